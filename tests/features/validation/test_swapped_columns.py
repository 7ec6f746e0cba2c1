"""Opens and closes in one another's place, and days that a vendor filled."""

import numpy as np
import polars as pl
import pytest

from tests.features.validation.make import (
    STOPPED,
    check_bars,
    conform_bars,
    lean_bars,
    make_bars,
    set_cells,
    sp500_bars,
    stopped_rows,
)
from tests.shared_data import needs_shared_data


def with_nights(days: int) -> pl.DataFrame:
    """Return bars that open near the close of the day before, as shares do."""
    bars = make_bars(instruments=1, days=days)
    rng = np.random.default_rng(11)
    night = pl.Series(np.exp(rng.normal(0, 0.003, days)))
    bars = bars.with_columns(open=pl.col("close").shift(1).fill_null(50.0) * night)
    return conform_bars(
        bars.with_columns(
            high=pl.max_horizontal("open", "close") * 1.004,
            low=pl.min_horizontal("open", "close") * 0.996,
        )
    )


def swapped(bars: pl.DataFrame, at: range) -> pl.DataFrame:
    return set_cells(bars, list(at), open=pl.col("close"), close=pl.col("open"))


@pytest.mark.parametrize("at", [range(180), range(100, 180), range(60)])
def test_opens_and_closes_that_are_swapped_are_put_aside(at: range) -> None:
    """All of a series or its newest months: each bar by itself is sound."""
    bars = swapped(with_nights(180), at)
    assert stopped_rows(check_bars(with_nights(180))) == set()
    found = stopped_rows(check_bars(bars), "swapped")
    assert found <= set(at)
    assert len(found) >= min(len(at), 59) - 1
    if at.stop == 180:
        assert {120, 150, 179} <= found


@needs_shared_data
def test_of_real_series_none_is_called_swapped() -> None:
    few = sp500_bars()["instrument_id"].unique().sort().gather_every(10)
    real = sp500_bars().filter(pl.col("instrument_id").is_in(few.implode()))
    for bars in (real, lean_bars()):
        assert stopped_rows(check_bars(bars), "swapped") == set()


def with_market_nights(instruments: int, days: int) -> pl.DataFrame:
    """Return bars of a market that open near the close before."""
    bars = make_bars(instruments=instruments, days=days)
    night = pl.Series(np.exp(np.random.default_rng(3).normal(0, 0.003, bars.height)))
    before = pl.col("close").shift(1).over("instrument_id").fill_null(pl.col("open"))
    bars = bars.with_columns(open=before * night)
    return conform_bars(
        bars.with_columns(
            high=pl.max_horizontal("open", "close") * 1.004,
            low=pl.min_horizontal("open", "close") * 0.996,
        )
    )


@pytest.mark.parametrize("back", [0, 30])
def test_a_day_on_which_a_whole_market_is_swapped_is_put_aside(back: int) -> None:
    """Of one share alone nothing tells it: prices often come back to where they were."""
    bars = with_market_nights(40, 80)
    places = [80 * number + 79 - back for number in range(40)]
    spoiled = set_cells(bars, places, open=pl.col("close"), close=pl.col("open"))
    assert stopped_rows(check_bars(bars), "swapped") == set()
    assert stopped_rows(check_bars(spoiled), "swapped") == set(places)


def test_a_crash_at_the_open_that_is_made_good_by_the_close_is_true() -> None:
    """The next day opens where that one closed. As the newest day it would have to wait for it."""
    bars = with_market_nights(40, 80)
    places = [80 * number + 49 for number in range(40)]
    fall = dict(zip(places, np.random.default_rng(7).uniform(0.8, 0.97, len(places)), strict=True))
    opened = pl.Series([fall.get(row, 1.0) for row in range(bars.height)])
    before = pl.col("close").shift(1).over("instrument_id").fill_null(pl.col("open"))
    is_crash = pl.Series([row in fall for row in range(bars.height)])
    crashed = bars.with_columns(
        open=pl.when(is_crash).then(before * opened).otherwise("open"),
    ).with_columns(low=pl.min_horizontal("low", pl.col("open") * 0.999))
    assert stopped_rows(check_bars(conform_bars(crashed)), "swapped") == set()


@needs_shared_data
@pytest.mark.parametrize("first", range(0, 12, 3))
def test_the_crash_of_august_2015_is_true_in_a_few_shares_as_well(first: int) -> None:
    bars = sp500_bars().filter(pl.col("event_time").dt.year() == 2015)
    names = bars["instrument_id"].unique().sort().gather_every(12, first)
    few = bars.filter(pl.col("instrument_id").is_in(names.implode()))
    assert stopped_rows(check_bars(few), "swapped") == set()


@pytest.mark.parametrize("at", [40, 79])
def test_a_swapped_bar_of_a_market_that_never_rests_is_put_aside(at: int) -> None:
    """There an open is the close before: what opens away from it and closes at it is swapped."""
    bars = make_bars(instruments=1, days=80)
    bars = bars.with_columns(open=pl.col("close").shift(1).fill_null(50.0))
    bars = conform_bars(
        bars.with_columns(
            high=pl.max_horizontal("open", "close") * 1.004,
            low=pl.min_horizontal("open", "close") * 0.996,
        )
    )
    assert stopped_rows(check_bars(bars)) == set()
    report = check_bars(swapped(bars, range(at, at + 1)))
    assert stopped_rows(report, "swapped") == {at}


def filled(bars: pl.DataFrame, at: range) -> pl.DataFrame:
    close = float(bars["close"][at.start - 1])
    return set_cells(bars, list(at), **dict.fromkeys(("open", "high", "low", "close"), close),
                     volume=0.0)  # fmt: skip


@pytest.mark.parametrize("at", [range(60, 81), range(110, 120)])
def test_days_that_a_vendor_filled_are_no_bars(at: range) -> None:
    """The close of the day before and no volume, where every other bar has one."""
    report = check_bars(filled(make_bars(instruments=1), at))
    assert stopped_rows(report, "stale") == set(at)
    if at.stop == 120:
        assert report.withheld == ("US.T0",)


def test_a_name_that_seldom_trades_and_some_quiet_days_are_true() -> None:
    bars = filled(make_bars(instruments=1), range(60, 64))
    assert check_bars(bars).findings.filter(STOPPED).is_empty()
    thin = make_bars(instruments=1)
    for start in range(10, 110, 25):
        thin = filled(thin, range(start, start + 12))
    assert check_bars(thin).findings.filter(STOPPED).is_empty()
