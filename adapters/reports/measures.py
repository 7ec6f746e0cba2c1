"""The numbers behind a report's pictures, computed once for the page and for the PNGs."""

import math
from dataclasses import dataclass

import polars as pl

SESSIONS_PER_YEAR = 252
_INSTRUMENTS_SHOWN = 10
_COLUMNS_SHOWN = 260  # a heat map wider than a screen's pixels only costs bytes
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures of the NAV curve; None where there are too few sessions to say."""

    nav: float | None
    total_return: float | None
    benchmark_return: float | None
    annual_return: float | None
    annual_volatility: float | None
    sharpe: float | None
    drawdown_max: float | None
    sessions: int


def grown() -> pl.Expr:
    """Return the NAV of sorted rows as it would stand without what the owner moved in since.

    A session's return is of what was held before it: capital that came in during it is no part.
    Source: the time-weighted return of the GIPS standards, one period a session.
    """
    moved = pl.col("moved_in").fill_null(strategy="forward").fill_null(0.0)
    growth = (pl.col("nav") - moved.diff().fill_null(0.0)) / pl.col("nav").shift(1)
    adjusted = growth.fill_null(1.0).cum_prod() * pl.col("nav").first()
    is_moved = moved.n_unique() > 1
    return pl.when(is_moved).then(adjusted).otherwise(pl.col("nav")).alias("nav")


def performance(nav: pl.DataFrame) -> Performance:
    """Return the performance of NAV rows; returns are simple, the Sharpe ratio has no risk-free."""
    rows = nav.sort("session")
    if rows.is_empty():
        return Performance(None, None, None, None, None, None, None, 0)
    levels = rows.select(grown()).to_series()
    returns = levels.pct_change().drop_nulls()
    count = len(returns)
    mean, deviation = _number(returns.mean()), _number(returns.std())
    total = _growth(levels)
    # Below a month of sessions an annual figure would say more about the calendar than the book.
    annual = count >= 21 and total is not None and total > -1
    volatility = deviation * math.sqrt(SESSIONS_PER_YEAR) if annual and deviation else None
    return Performance(
        nav=float(rows["nav"][-1]),
        total_return=total,
        benchmark_return=_growth(rows["benchmark"].drop_nulls()),
        annual_return=(1 + (total or 0.0)) ** (SESSIONS_PER_YEAR / count) - 1 if annual else None,
        annual_volatility=volatility,
        sharpe=(mean or 0.0) * SESSIONS_PER_YEAR / volatility if volatility else None,
        drawdown_max=_number((1 - levels / levels.cum_max()).max()),
        sessions=rows.height,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _growth(levels: pl.Series) -> float | None:
    if len(levels) < 2 or not levels[0]:
        return None
    return float(levels[-1] / levels[0] - 1)


def equity(nav: pl.DataFrame) -> pl.DataFrame:
    """Return (session, strategy, benchmark), both 100 at the benchmark's or the book's start."""
    return nav.sort("session").select(
        "session",
        strategy=grown() / pl.col("nav").first() * 100,
        benchmark=pl.col("benchmark") / pl.col("benchmark").drop_nulls().first() * 100,
    )


def drawdown(nav: pl.DataFrame) -> pl.DataFrame:
    """Return (session, strategy, benchmark): how far below the high so far, 0 or negative."""
    return nav.sort("session").select(
        "session",
        strategy=grown() / grown().cum_max() - 1,
        benchmark=pl.col("benchmark") / pl.col("benchmark").cum_max() - 1,
    )


def weights(positions: pl.DataFrame) -> pl.DataFrame:
    """Return (session, <instrument>...): weights of the largest positions, the rest as others."""
    if positions.is_empty():
        return pl.DataFrame(schema={"session": pl.Date()})
    size = positions.group_by("instrument_id").agg(pl.col("weight").abs().sum())
    largest = size.sort("weight", "instrument_id", descending=[True, False])["instrument_id"]
    named = largest.head(_INSTRUMENTS_SHOWN).to_list()
    rows = positions.with_columns(
        name=pl.when(pl.col("instrument_id").is_in(named))
        .then(pl.col("instrument_id"))
        .otherwise(pl.lit(OTHERS))
    )
    wide = (
        rows.group_by("session", "name")
        .agg(pl.col("weight").sum())
        .pivot(on="name", index="session", values="weight", aggregate_function="sum")
        .sort("session")
        .fill_null(0.0)
    )
    order = [n for n in (*named, OTHERS) if n in wide.columns]
    return wide.select("session", *order)


def sense_shares(contributions: pl.DataFrame, window: int = 5) -> pl.DataFrame:
    """Return (session, <sense>...): each sense's mean absolute contribution to a conviction.

    Averaged over the last `window` sessions, the strongest sense first.
    """
    if contributions.is_empty():
        return pl.DataFrame(schema={"session": pl.Date()})
    wide = (
        contributions.group_by("session", "sense")
        .agg(pl.col("contribution").abs().mean())
        .pivot(on="sense", index="session", values="contribution", aggregate_function="sum")
        .sort("session")
        .fill_null(0.0)
    )
    strength = {c: float(wide[c].sum()) for c in wide.columns if c != "session"}
    order = sorted(strength, key=lambda c: (-strength[c], c))
    return wide.select("session", pl.col(order).rolling_mean(window, min_samples=1))


def trail_map(trails: pl.DataFrame, channel: str) -> pl.DataFrame:
    """Return (instrument_id, <session>...): a channel's level, thinned to a screen's width.

    Channel "net" is long minus short.
    """
    wanted = ["long", "short"] if channel == "net" else [channel]
    rows = trails.filter(pl.col("channel").is_in(wanted))
    if channel == "net":
        sign = pl.when(pl.col("channel") == "short").then(-1.0).otherwise(1.0)
        rows = rows.with_columns(value=pl.col("value") * sign)
    sessions = rows["session"].unique().sort()
    step = max(1, math.ceil(len(sessions) / _COLUMNS_SHOWN))
    kept = sessions.gather_every(step, offset=(len(sessions) - 1) % step if len(sessions) else 0)
    rows = rows.filter(pl.col("session").is_in(kept.implode()))
    wide = rows.sort("session").pivot(
        on="session", index="instrument_id", values="value", aggregate_function="sum"
    )
    return wide.sort("instrument_id", descending=True)


def channels(trails: pl.DataFrame) -> list[str]:
    """Return the channels that can be shown, the net of long and short first."""
    found: list[str] = trails["channel"].unique().sort().to_list()
    return ["net", *found] if {"long", "short"} <= set(found) else found


def regime_shares(regimes: pl.DataFrame) -> pl.DataFrame:
    """Return (session, <regime>...): the posterior over the regimes."""
    if regimes.is_empty():
        return pl.DataFrame(schema={"session": pl.Date()})
    wide = regimes.pivot(
        on="regime", index="session", values="probability", aggregate_function="sum"
    )
    names = sorted(c for c in wide.columns if c != "session")
    return wide.sort("session").fill_null(0.0).select("session", *names)


def costs(fills: pl.DataFrame, base_currency: str) -> dict[str, pl.DataFrame]:
    """Return (session, cost, cumulative, slippage_bps) of each currency that fills were paid in.

    Amounts of two currencies have no sum without a rate. The base currency comes first; a fill
    that names no currency is in it.
    """
    value = pl.col("quantity").abs() * pl.col("price")
    rows = (
        fills.with_columns(pl.col("currency").fill_null(base_currency))
        .group_by("currency", "session")
        .agg(
            pl.col("cost").sum(),
            slippage_bps=(pl.col("slippage_bps") * value).sum() / value.sum(),
        )
        .sort(pl.col("currency") != base_currency, "currency", "session")
        .with_columns(cumulative=pl.col("cost").cum_sum().over("currency", order_by="session"))
    )
    parts = rows.partition_by("currency", as_dict=True, maintain_order=True, include_key=False)
    return {str(currency): part for (currency,), part in parts.items()}


def ic_curve(model_ic: pl.DataFrame, window: int = 21) -> pl.DataFrame:
    """Return (session, ic, mean): the rank IC and its rolling mean."""
    rows = model_ic.drop_nulls("ic").sort("session")
    mean = pl.col("ic").rolling_mean(window, min_samples=1)
    return rows.select("session", "ic", mean=mean)


def quarantine_counts(quarantine: pl.DataFrame) -> pl.DataFrame:
    """Return (table, kind, rule, severity, rows): what was held back, the most first."""
    keys = ["table", "kind", "rule", "severity"]
    return quarantine.group_by(keys).agg(rows=pl.len()).sort("rows", *keys, descending=True)
