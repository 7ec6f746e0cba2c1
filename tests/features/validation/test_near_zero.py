"""Spreads and futures around zero: what is large as a fraction is small in money."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from tests.features.validation.make import (
    STOPPED,
    check_bars,
    conform_bars,
    make_bars,
    make_instruments,
)


def make_spread(*, seed: int = 3, days: int = 300) -> pl.DataFrame:
    """Return bars of a future that moves by about 0.1 a day around zero."""
    rng = np.random.default_rng(seed)
    close = np.empty(days)
    level = 0.2
    for n, shock in enumerate(rng.normal(0, 0.15, days)):
        level = 0.97 * level + shock
        close[n] = level
    opened = close - rng.normal(0, 0.1, days)
    bars = make_bars(instruments=1, days=days).with_columns(
        instrument_id=pl.lit("FUT.CLZ2"),
        open=pl.Series(opened),
        high=pl.Series(np.maximum(opened, close) + 0.05),
        low=pl.Series(np.minimum(opened, close) - 0.05),
        close=pl.Series(close),
    )
    return conform_bars(bars, adjustment="raw")


def stopped(bars: pl.DataFrame) -> pl.DataFrame:
    futures = make_instruments(bars).with_columns(asset_class=pl.lit("future"))
    return check_bars(bars, instruments=futures).findings.filter(STOPPED)


def test_true_bars_around_zero_pass() -> None:
    """An open of 0.02 before a close of 0.5 was called a bad print."""
    bars = make_spread()
    assert (bars["close"] < 0).any()
    assert stopped(bars).is_empty()


def test_a_stray_price_of_such_a_series_is_found_in_money() -> None:
    bars = make_spread()
    at = int(bars["close"].arg_max())  # type: ignore[arg-type]  # a filled column
    wick = pl.when(pl.int_range(pl.len()) == at).then(40.0).otherwise(pl.col("high"))
    found = stopped(bars.with_columns(high=wick))
    assert found["kind"].to_list() == ["bad_print"]


def test_the_same_open_far_from_a_price_that_never_nears_zero_is_stopped() -> None:
    bars = make_bars(instruments=1)
    opened = pl.when(pl.int_range(pl.len()) == 60).then(pl.col("close") / 25).otherwise("open")
    low = pl.min_horizontal("low", opened)
    assert set(stopped(bars.with_columns(open=opened, low=low))["kind"]) == {"bad_print"}


def with_bar(bars: pl.DataFrame, at: int, **prices: float) -> pl.DataFrame:
    here = pl.int_range(pl.len()) == at
    return bars.with_columns(
        pl.when(here).then(price).otherwise(pl.col(c)).alias(c) for c, price in prices.items()
    )


def test_a_whole_bar_apart_from_its_neighbours_is_a_bad_print() -> None:
    """Between prices of both signs no logarithm told it: 30 before and after 0.1 passed."""
    bars = make_spread()
    at = int(bars["close"].head(290).arg_min())  # type: ignore[arg-type]  # a filled column
    found = stopped(with_bar(bars, at, open=30.0, high=31.0, low=29.0, close=30.5))
    assert found["source_row"].to_list() == [at]
    assert found["kind"].to_list() == ["bad_print"]


def test_a_fall_below_zero_that_its_own_bar_shows_is_true() -> None:
    """Oil of 20 April 2020: from 17.73 to -37.63 within a day, and back on the next."""
    bars = make_bars(instruments=1, start=18.0).with_columns(instrument_id=pl.lit("FUT.CLK0"))
    before = float(bars["close"][79])
    fall = with_bar(bars, 80, open=before - 0.5, high=before - 0.4, low=-40.3, close=-37.6)
    assert stopped(fall).is_empty()


def whole(price: float) -> dict[str, float]:
    return dict.fromkeys(("open", "high", "low", "close"), price)


def make_future(start: float = 105.0) -> pl.DataFrame:
    named = make_bars(instruments=1, start=start).with_columns(instrument_id=pl.lit("FUT.ESZ4"))
    return conform_bars(named, adjustment="raw")


@pytest.mark.parametrize("places", [[60], [119], [0], [60, 61, 62, 63, 64], range(100, 120)])
def test_bars_whose_sign_is_wrong_are_put_aside(places: Sequence[int]) -> None:
    """All four prices of -105 among 105s were taken for true."""
    bars = make_future()
    for at in places:
        bars = with_bar(bars, at, **whole(-float(bars["close"][at])))
    found = stopped(bars)
    assert sorted(found["source_row"]) == list(places)
    assert set(found["rule"]) == {"below_zero"}


@pytest.mark.parametrize("price", [0.0, -12.3])
@pytest.mark.parametrize("at", [60, 119])
def test_a_whole_bar_below_a_price_that_never_nears_zero_is_put_aside(
    price: float, at: int
) -> None:
    found = stopped(with_bar(make_future(), at, **whole(price)))
    assert found["source_row"].to_list() == [at]


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_a_low_at_zero_within_such_a_bar_is_put_aside(low: float) -> None:
    found = stopped(with_bar(make_future(), 60, low=low))
    assert found["source_row"].to_list() == [60]


OIL = (22.41, 20.11, 19.87, 19.87, 18.27, -37.63, 10.01, 13.78, 16.50, 16.94)  # CL, April 2020


@pytest.mark.parametrize("is_newest", [False, True])
def test_oil_below_zero_is_true_in_settlements_alone(is_newest: bool) -> None:
    bars = make_future(start=22.0)
    rng = np.random.default_rng(5)
    shown = OIL[:6] if is_newest else OIL
    calm = 30 - np.abs(np.cumsum(rng.normal(0, 1.5, bars.height - len(shown))))[::-1] % 8
    settled = pl.Series(np.concatenate([calm, shown]))
    bars = bars.with_columns(open=settled, high=settled, low=settled, close=settled)
    assert stopped(bars).filter(rule="below_zero").is_empty()
    assert bars.height - len(shown) + 5 not in stopped(bars)["source_row"].to_list()


def test_rates_that_cross_zero_are_true() -> None:
    level = np.round(np.concatenate([np.full(40, 0.25), np.full(40, 0.0), np.full(40, -0.25)]), 2)
    level += np.tile([0.0, 0.01, 0.0, -0.01], 30)
    rate = pl.Series(level)
    bars = make_future().with_columns(open=rate, high=rate, low=rate, close=rate)
    assert stopped(bars).filter(rule="below_zero").is_empty()


def test_a_spread_that_lies_below_zero_is_true_and_its_stray_sign_is_left() -> None:
    """Of which sign a series is, most of its bars say."""
    bars = make_future().with_columns(-pl.col(c) for c in ("open", "close"))
    bars = bars.with_columns(high=-pl.col("low"), low=-pl.col("high"))
    assert stopped(bars).is_empty()


def test_a_spread_that_closes_at_zero_is_in_its_own_range() -> None:
    """Nothing beyond a range, as a fraction of nothing, was taken for beyond it."""
    bars = make_spread()
    at = [n for n, close in enumerate(bars["close"]) if abs(close) < 0.05]
    assert at
    assert stopped(with_bar(bars, at[0], **whole(0.0))).is_empty()
    assert stopped(with_bar(bars, at[0], open=0.02, high=0.04, low=0.0, close=0.0)).is_empty()
