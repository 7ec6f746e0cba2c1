"""Series that are dated a session late or early, which no calendar tells."""

import numpy as np
import polars as pl
import pytest

from tests.features.validation.make import (
    check_bars,
    conform_bars,
    make_bars,
    sp500_bars,
    stopped_rows,
)
from tests.shared_data import needs_shared_data

DAYS = 400


def make_market(*, instruments: int = 8, days: int = DAYS, seed: int = 4) -> pl.DataFrame:
    """Return bars of shares of which half of each one's variance is the market's."""
    rng = np.random.default_rng(seed)
    market = rng.normal(0, 0.01, days)
    bars = make_bars(instruments=instruments, days=days)
    close = np.concatenate([
        50 * np.exp(np.cumsum(market + rng.normal(0, 0.01, days))) for _ in range(instruments)
    ])  # fmt: skip
    priced = bars.with_columns(close=pl.Series(close), open=pl.Series(close)).with_columns(
        high=pl.col("close") * 1.004, low=pl.col("close") * 0.996
    )
    return conform_bars(priced)


def moved(bars: pl.DataFrame, names: list[str], sessions: int) -> pl.DataFrame:
    """Return the bars with the prices of some instruments on a session later, or earlier."""
    prices = ("open", "high", "low", "close", "volume")
    shifted = bars.with_columns(
        pl.when(pl.col("instrument_id").is_in(names))
        .then(pl.col(c).shift(sessions).over("instrument_id"))
        .otherwise(pl.col(c))
        .alias(c)
        for c in prices
    )
    return conform_bars(shifted.drop_nulls("close"))


def names_of(bars: pl.DataFrame, rows: set[int]) -> set[str]:
    return set(bars[sorted(rows)]["instrument_id"].to_list())


@pytest.mark.parametrize(("sessions", "word"), [(1, "late"), (-1, "early")])
def test_a_series_that_is_dated_by_another_session_is_put_aside_whole(
    sessions: int, word: str
) -> None:
    bars = moved(make_market(), ["US.T3"], sessions)
    report = check_bars(bars)
    stopped = stopped_rows(report, "wrong_date")
    assert names_of(bars, stopped) == {"US.T3"}
    assert len(stopped) == DAYS - 1
    assert f"dated a session {word}" in report.findings.filter(kind="wrong_date")["reason"][0]


@pytest.mark.parametrize("market", [{}, {"instruments": 5}, {"days": 100}])
def test_what_is_dated_rightly_passes_and_so_does_what_too_little_tells(
    market: dict[str, int],
) -> None:
    bars = make_market(**market)
    if market:
        bars = moved(bars, ["US.T3"], 1)
    assert check_bars(bars).findings.filter(kind="wrong_date").is_empty()


def test_of_many_series_it_is_told_and_open_which_are_right() -> None:
    bars = moved(make_market(instruments=10), ["US.T1", "US.T3", "US.T5"], 1)
    told = check_bars(bars).findings.filter(kind="wrong_date")
    assert set(told["severity"]) == {"warn"}


@pytest.mark.parametrize(("own_holidays", "severity"), [(25, "warn"), (0, "quarantine")])
def test_an_exchange_that_follows_by_a_session_is_told_by_its_own_days(
    own_holidays: int, severity: str
) -> None:
    """Tokyo closes before New York opens: what moved New York moves it a session later."""
    rng = np.random.default_rng(4)
    market = rng.normal(0, 0.01, DAYS)
    before = np.concatenate([[0.0], market[:-1]])
    close = 50 * np.exp(np.cumsum(0.6 * before + 0.05 * market + rng.normal(0, 0.005, DAYS)))
    closed = rng.choice(np.arange(5, DAYS - 5), own_holidays, replace=False)
    tokyo = (
        make_market(days=DAYS)
        .filter(instrument_id="US.T3")
        .with_columns(close=pl.Series(close), open=pl.Series(close))
        .with_columns(high=pl.col("close") * 1.004, low=pl.col("close") * 0.996)
    )
    tokyo = tokyo.with_row_index("day").filter(~pl.col("day").is_in(closed.tolist())).drop("day")
    others = make_market(days=DAYS).filter(pl.col("instrument_id") != "US.T3")
    told = check_bars(conform_bars(pl.concat([others, tokyo]))).findings.filter(kind="wrong_date")
    assert set(told["severity"]) == {severity}


@needs_shared_data
def test_of_real_shares_none_is_called_late_and_each_that_is_is_found() -> None:
    rows = sp500_bars().filter(pl.len().over("instrument_id") > 1_000)
    names = rows["instrument_id"].unique().sort().gather_every(12)
    real = rows.filter(pl.col("instrument_id").is_in(names.implode()))
    assert stopped_rows(check_bars(real), "wrong_date") == set()
    found: set[str] = set()
    for group in (names[:4], names[4:8], names[8:12]):
        late = moved(real, group.to_list(), 1)
        found |= names_of(late, stopped_rows(check_bars(late), "wrong_date"))
    assert found == set(names[:12])
