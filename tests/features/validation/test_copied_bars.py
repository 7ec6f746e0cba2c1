"""A bar that copies the one before it is put aside, where chance could not have made it."""

import polars as pl
import pytest

from tests.features.validation.make import (
    check_bars,
    make_bars,
    set_cells,
    sp500_bars,
    stopped_rows,
)
from tests.shared_data import needs_shared_data

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


@pytest.mark.parametrize(("at", "of"), [(119, 114), (119, 20), (60, 3)])
def test_a_bar_of_an_earlier_day_is_stale_where_its_volume_is_nearly_the_same(
    at: int, of: int
) -> None:
    """A vendor filled days with those of the week before, with a few lots more."""
    rows = make_bars(instruments=1)
    copied = {c: rows[c][of] for c in _COPIED}
    report = check_bars(set_cells(rows, [at], **{**copied, "volume": copied["volume"] + 100}))
    assert at in stopped_rows(report, "stale") <= {at, of}
    assert report.withheld == (("US.T0",) if at == 119 else ())


def test_the_copy_is_the_bar_that_does_not_fit_its_neighbours() -> None:
    rows = make_bars(instruments=1)
    far = next(i for i in range(90, 110) if abs(rows["close"][i] / rows["close"][30] - 1) > 0.06)
    report = check_bars(set_cells(rows, [30], **{c: rows[c][far] for c in _COPIED}))
    assert stopped_rows(report, "stale") == {30}


def test_equal_prices_beside_another_volume_are_chance() -> None:
    rows = make_bars(instruments=1)
    copied = {c: rows[c][100] for c in _COPIED}
    rows = set_cells(rows, [119], **{**copied, "volume": copied["volume"] * 1.5})
    assert stopped_rows(check_bars(rows), "stale") == set()


def test_prices_in_few_steps_recur_beside_any_volume() -> None:
    rows = make_bars(instruments=1)
    step = (pl.int_range(pl.len()) % 7) / 100
    coarse = {"open": 2.82 + step, "high": 2.84 + step, "low": 2.8 + step, "close": 2.83 + step}
    report = check_bars(rows.with_columns(**coarse))
    assert report.findings.filter(rule="recurring_bars").is_empty()


@needs_shared_data
def test_days_that_a_vendor_filled_with_others_are_found() -> None:
    """Bars of 1 August 2017 stand again on the 4th, with a few lots more or less.

    Of the 52 pairs that another source tells, 46 wrong bars are among those put aside.
    """
    rows = sp500_bars()
    found = check_bars(rows).findings.filter(rule="recurring_bars")
    days = found.group_by(pl.col("event_time").dt.date().alias("day")).len().sort("len")
    assert (found.height, str(days["day"][-1])) == (965, "2017-08-01")
