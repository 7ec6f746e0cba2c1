"""A day of another instrument's prices is put aside, and both where nobody can tell whose it is."""

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

_BAR = ("open", "high", "low", "close", "volume")


def with_bar_of(rows: pl.DataFrame, at: int, other: int) -> pl.DataFrame:
    """Return the rows with the prices and the volume of one bar in another."""
    return set_cells(rows, [at], **{c: rows[c][other] for c in _BAR})


def level(rows: pl.DataFrame, series: int, factor: float) -> pl.DataFrame:
    """Return the rows with a series at `factor` times the close of the first on each day."""
    own = list(range(series * 120, series * 120 + 120))
    closes = rows["close"][:120].to_list() * 2
    scale = pl.Series(closes) * factor / rows["close"]
    prices = ("open", "high", "low", "close")
    return set_cells(rows, own, **{c: pl.col(c) * pl.lit(scale) for c in prices})


@pytest.mark.parametrize("day", [60, 119])
def test_a_bar_of_another_instrument_at_a_like_price_is_the_borrowers(day: int) -> None:
    """A tenth away it is no jump: the wrong price was traded on."""
    rows = level(make_bars(instruments=2), 1, 1.1)
    report = check_bars(with_bar_of(rows, day, 120 + day))
    assert stopped_rows(report, "foreign") == {day}
    assert report.withheld == (("US.T0",) if day == 119 else ())


def test_both_are_withheld_where_the_bar_may_be_of_either() -> None:
    rows = level(make_bars(instruments=2), 1, 1.0005)
    report = check_bars(with_bar_of(rows, 119, 239))
    assert stopped_rows(report, "foreign") == {119, 239}
    assert report.withheld == ("US.T0", "US.T1")


def test_series_that_are_equal_throughout_are_one_series() -> None:
    rows = make_bars(instruments=2)
    for at in range(120):
        rows = with_bar_of(rows, at, 120 + at)
    assert stopped_rows(check_bars(rows), "foreign") == set()


@needs_shared_data
def test_of_five_hundred_real_shares_none_has_a_bar_of_another() -> None:
    assert stopped_rows(check_bars(sp500_bars()), "foreign") == set()
