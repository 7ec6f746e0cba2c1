"""A bar that copies the one before it is put aside, where chance could not have made it."""

import polars as pl
import pytest

from tests.features.validation.make import check_bars, make_bars, set_cells, stopped_rows

_COPIED = ("open", "high", "low", "close", "volume")


def with_copy(rows: pl.DataFrame, at: int) -> pl.DataFrame:
    """Return the rows with the bar at `at` a copy of the one before."""
    return set_cells(rows, [at], **{c: rows[c][at - 1] for c in _COPIED})


@pytest.mark.parametrize("at", [60, 119])
def test_one_copied_daily_bar_is_stale_and_withholds_where_it_is_the_newest(at: int) -> None:
    report = check_bars(with_copy(make_bars(instruments=1), at))
    assert stopped_rows(report, "stale") == {at}
    assert report.withheld == (("US.T0",) if at == 119 else ())


def test_a_volume_of_fractions_tells_a_copy_as_well() -> None:
    rows = make_bars(instruments=1).with_columns(volume=pl.col("volume") / 1e6)
    assert stopped_rows(check_bars(with_copy(rows, 60)), "stale") == {60}


def test_a_few_lots_at_the_same_prices_may_recur() -> None:
    rows = make_bars(instruments=1).with_columns(volume=pl.lit(200.0))
    assert stopped_rows(check_bars(with_copy(rows, 60)), "stale") == set()


def test_a_minute_may_look_like_the_one_before() -> None:
    rows = make_bars(instruments=1).with_columns(interval=pl.lit("1m"))
    assert stopped_rows(check_bars(with_copy(rows, 60)), "stale") == set()
