"""Stamps are read once each, however many rows share one, and read as if each were alone."""

import polars as pl
import pytest

from adapters.sources import moments
from adapters.sources.mapping import TableMapping, TimeField
from adapters.sources.moments import moment_of, with_moment

NEW_YORK = "America/New_York"
TEXTS = ["2020-01-02 09:30", "2020-03-08 02:30", "soon", None, "2020-01-02T10:00:00+01:00", "1700"]
FRAMES = {
    "text": (TEXTS, TimeField(column=("t",), zone=NEW_YORK)),
    "session": (["20200102", "20200103", "x"], TimeField(
        column=("t",), format=("%Y%m%d",), stands_for="session")),
    "epochs": ([1.5e9, None, 2.5e9], TimeField(column=("t",), format=("epoch_s",))),
    "day": (TEXTS, TimeField(column=("t",), stands_for="day", plus="1d")),
}  # fmt: skip


def spec(field: TimeField) -> TableMapping:
    return TableMapping(table="macro", files=("a.csv",), time=field)


@pytest.mark.parametrize("kind", FRAMES)
def test_a_stamp_that_many_rows_share_says_what_it_says_alone(kind: str) -> None:
    values, field = FRAMES[kind]
    frame = pl.DataFrame({"t": values * 50}).with_row_index("row")
    alone = moment_of(field, "time", frame.schema, spec(field))
    found, once = with_moment(frame, field, "time", spec(field))
    parts = ("utc", "day", "day_over", "is_bad", "is_empty", "problem")
    expected = frame.select("row", **{part: getattr(alone, part) for part in parts})
    assert found.select("row", **{part: getattr(once, part) for part in parts}).equals(expected)


def test_each_different_stamp_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading one costs more than all other cells of its row; of files with the same days, once."""
    read: list[int] = []

    def seen(text: pl.Series) -> pl.Series:
        read.append(len(text))
        return text

    parse = moments._strptime
    monkeypatch.setattr(
        moments, "_strptime",
        lambda text, form: parse(text.map_batches(seen, return_dtype=pl.String), form),
    )  # fmt: skip
    field = TimeField(join=("day", "clock"), zone="UTC")
    rows = pl.DataFrame({"day": ["2020-01-02", "2020-01-03"] * 500, "clock": ["10:00"] * 1000})
    found, told = with_moment(rows, field, "time", spec(field))
    assert found.select(told.utc.dt.day()).to_series().to_list() == [2, 3] * 500
    assert set(read) == {2}
