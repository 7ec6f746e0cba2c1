"""A newest bar that was filled, or of which one price is stray, withholds its instrument."""

import polars as pl
import pytest

from features.validation import ValidationReport
from tests.features.validation.make import (
    check_bars,
    make_bars,
    make_instruments,
    set_cells,
    stopped_rows,
)

_PRICES = ("open", "high", "low", "close")
_NEWEST = 119


def with_last_close(rows: pl.DataFrame, at: int, volume: float | None) -> pl.DataFrame:
    """Return the rows with a bar at the one price of the close before, as a fill makes it."""
    close = float(rows["close"][at - 1])
    return set_cells(rows, [at], **dict.fromkeys(_PRICES, close), volume=volume)


@pytest.mark.parametrize("volume", [0.0, None])
def test_a_newest_bar_without_a_trade_withholds(volume: float | None) -> None:
    report = check_bars(with_last_close(make_bars(instruments=1), _NEWEST, volume))
    assert stopped_rows(report, "stale") == {_NEWEST}
    assert report.withheld == ("US.T0",)


def test_a_day_without_a_trade_that_others_follow_passes() -> None:
    """A halt is true, and its close moves nothing."""
    report = check_bars(with_last_close(make_bars(instruments=1), 60, 0.0))
    assert stopped_rows(report, "stale") == set()


def test_a_name_that_rests_often_may_rest_today() -> None:
    rows = make_bars(instruments=1)
    for at in (20, 50, 80, _NEWEST):
        rows = with_last_close(rows, at, 0.0)
    assert check_bars(rows).withheld == ()


@pytest.mark.parametrize("at", [60, _NEWEST])
@pytest.mark.parametrize("volume", [0.0, 5e6, None])
def test_the_prices_of_the_day_before_beside_another_volume_are_filled(
    at: int, volume: float | None
) -> None:
    rows = make_bars(instruments=1).with_columns(pl.col(*_PRICES).round(2))
    report = check_bars(
        set_cells(rows, [at], **{c: rows[c][at - 1] for c in _PRICES}, volume=volume)
    )
    assert stopped_rows(report, "stale") == {at}
    assert report.withheld == (("US.T0",) if at == _NEWEST else ())


def test_prices_of_a_few_steps_recur() -> None:
    rows = make_bars(instruments=1, start=0.5).with_columns(pl.col(*_PRICES).round(2))
    copied = set_cells(rows, [60], **{c: rows[c][59] for c in _PRICES})
    assert stopped_rows(check_bars(copied), "stale") == set()


def stray(name: str, factor: float, volume: float = 1.0) -> ValidationReport:
    rows = make_bars(instruments=1)
    price = float(rows["close"][_NEWEST]) * factor
    usual = float(rows["volume"].median())  # type: ignore[arg-type]  # of a column of numbers
    return check_bars(set_cells(rows, [_NEWEST], **{name: price}, volume=volume * usual))


@pytest.mark.parametrize(("name", "factor"), [("high", 1.5), ("high", 1.3), ("low", 0.6)])
def test_a_wick_on_a_quiet_day_withholds(name: str, factor: float) -> None:
    report = stray(name, factor)
    assert stopped_rows(report, "bad_print") == {_NEWEST}
    assert report.withheld == ("US.T0",)


@pytest.mark.parametrize(("name", "factor"), [("high", 1.5), ("low", 0.6)])
def test_a_wick_that_was_traded_passes(name: str, factor: float) -> None:
    """As lows of 24 August 2015 were."""
    assert stray(name, factor, volume=3.0).withheld == ()


@pytest.mark.parametrize("asset_class", ["fx", "future"])
@pytest.mark.parametrize("factor", [10.0, 0.1])
@pytest.mark.parametrize("count", [2, 5])
def test_a_decimal_that_stays_shifted_is_not_traded_on(
    asset_class: str, factor: float, count: int
) -> None:
    """What has no shares was not split, so that it is not the older bars that are wrong."""
    rows = make_bars(instruments=1)
    newest = list(range(120 - count, 120))
    rows = set_cells(rows, newest, **{c: pl.col(c) * factor for c in _PRICES})
    classes = make_instruments(rows).with_columns(asset_class=pl.lit(asset_class))
    report = check_bars(rows, instruments=classes)
    assert stopped_rows(report, "unit_error") == set(newest)
    assert report.withheld == ("US.T0",)
