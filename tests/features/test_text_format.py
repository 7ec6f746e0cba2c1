"""Sentences of rows are right on frames of several chunks, and their places are counted."""

import polars as pl
import pytest

from features.text_format import format_text


def test_a_frame_that_a_filter_left_in_chunks_is_worded_row_by_row() -> None:
    passing, failing = pl.DataFrame({"text": ["a"] * 5}), pl.DataFrame({"text": ["x", "y"]})
    chunked = pl.concat([passing, passing, failing], rechunk=False).with_row_index()
    left = chunked.filter(pl.col("text") != "a")
    worded = left.select(format_text("row {} is '{}'.", "index", pl.col("text").str.head(80)))
    assert worded.to_series().to_list() == ["row 10 is 'x'.", "row 11 is 'y'."]


def test_a_row_without_a_value_has_no_sentence() -> None:
    frame = pl.DataFrame({"text": ["x", None]})
    assert frame.select(format_text("was {}", "text")).to_series().to_list() == ["was x", None]


def test_places_and_values_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="must have 2 places, had 1"):
        format_text("was {}", "text", "other")
