"""The report's pictures as PNG."""

import struct
from datetime import UTC, datetime

import pytest

from adapters.reports.data import ReportData
from adapters.reports.figures import all_figures, png
from tests.adapters.reports.sample_run import make_run

PNG = b"\x89PNG\r\n\x1a\n"


def test_every_picture_is_a_png_of_one_size() -> None:
    pictures = all_figures(make_run(sessions=40, instruments=6))

    assert len(pictures) == 8
    assert all(content.startswith(PNG) for content in pictures.values())
    assert {struct.unpack(">II", c[16:24]) for c in pictures.values()} == {(990, 396)}


def test_pictures_without_rows_are_left_out_or_say_so() -> None:
    data = ReportData(generated_at=datetime(2026, 1, 5, tzinfo=UTC))

    assert all_figures(data) == {}
    assert png("equity", data).startswith(PNG)


def test_a_single_session_can_be_drawn() -> None:
    assert len(all_figures(make_run(sessions=1, instruments=3))) == 8


def test_the_same_rows_give_the_same_bytes_and_other_rows_others() -> None:
    first, again, other = (png("equity", make_run(30, 3, seed=s)) for s in (1, 1, 2))

    assert first == again
    assert first != other


def test_an_unknown_picture_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        png("portrait", make_run(2, 2))
