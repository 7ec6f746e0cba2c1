"""Spreads and futures around zero: what is large as a fraction is small in money."""

import numpy as np
import polars as pl

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
