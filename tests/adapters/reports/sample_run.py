"""A run of two years with every table filled, drawn from a seed."""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl

from adapters.reports.data import ReportData
from features.schemas_derived import (
    DECISION_CONTRIBUTIONS,
    FILLS,
    NAV,
    ORDERS,
    POSITIONS,
    QUARANTINE,
    REGIMES,
    TRAILS,
)

SENSES = ("momentum", "reversal", "breakout", "volatility", "sentiment", "macro", "forecast")
CHANNELS = ("long", "short", "danger", "success")
REGIME_NAMES = ("calm", "turbulent", "trending")


def weekdays(count: int) -> list[date]:
    days = (date(2023, 1, 2) + timedelta(days=i) for i in range(2 * count + 7))
    return [d for d in days if d.weekday() < 5][:count]


def close_of(day: date) -> datetime:
    return datetime.combine(day, time(21), UTC)


def make_run(sessions: int = 500, instruments: int = 24, seed: int = 7) -> ReportData:
    """Return a report's data; the same arguments give the same rows."""
    rng = np.random.default_rng(seed)
    days = weekdays(sessions)
    names = [f"US.{chr(65 + i // 26)}{chr(65 + i % 26)}X" for i in range(instruments)]
    return ReportData(
        generated_at=datetime(2026, 1, 5, 9, tzinfo=UTC),
        title="Apiary: session report",
        benchmark_name="S&P 500",
        nav=_nav(rng, days),
        positions=_by_instrument(rng, days, names[: instruments * 2 // 3]),
        contributions=_contributions(rng, days, names),
        trails=_trails(rng, days, names),
        regimes=_regimes(rng, days),
        orders=_orders(days, names),
        fills=_fills(rng, days, names),
        quarantine=_quarantine(names, days),
        model_ic=pl.DataFrame(
            {"session": days[::5], "ic": 0.03 + 0.09 * rng.normal(size=len(days[::5]))}
        ),
        places=pl.DataFrame(
            {
                "table": ["clean_bars", "features", "fills", "fills"],
                "tier": ["cold", "cold", "hot", "warm"],
                "rows": [128_580, 128_580, 12, 412],
                "bytes": [9_301_221, 61_220_110, 4_410, 21_034],
            }
        ),
        model={"name": "lgbm_rank", "version": "v3f9a1c", "training": "2018-01-02 to 2022-12-30"},
        facts={"rows_ingested": 412_331, "sessions": sessions, "home": "/var/apiary"},
        lineage=_lineage(names[0]),
    )


def _times(days: list[date]) -> dict[str, object]:
    closes = [close_of(d) for d in days]
    return {"session": days, "event_time": closes, "knowledge_time": closes}


def _nav(rng: np.random.Generator, days: list[date]) -> pl.DataFrame:
    count = len(days)
    nav = 1e6 * np.cumprod(1 + rng.normal(0.0006, 0.007, count))
    rows = pl.DataFrame(_times(days)).with_columns(
        nav=pl.lit(pl.Series(nav)),
        benchmark=pl.lit(pl.Series(4000 * np.cumprod(1 + rng.normal(0.0004, 0.009, count)))),
        gross=pl.lit(pl.Series(1.1 + 0.3 * np.sin(np.arange(count) / 60))),
        net=pl.lit(pl.Series(0.35 + 0.2 * np.cos(np.arange(count) / 45))),
    )
    nav_minor = (pl.col("nav") * 1e8).round().cast(pl.Int64)
    return NAV.conform(rows.with_columns(nav_minor=nav_minor))


def _cross(days: list[date], **axes: list[str]) -> pl.DataFrame:
    rows = pl.DataFrame(_times(days))
    for name, values in axes.items():
        rows = rows.join(pl.DataFrame({name: values}), how="cross")
    return rows


def _by_instrument(rng: np.random.Generator, days: list[date], names: list[str]) -> pl.DataFrame:
    rows = _cross(days, instrument_id=names)
    phase = np.tile(rng.uniform(0, 6, len(names)), len(days))
    angle = np.repeat(np.arange(len(days)), len(names)) / 50 + phase
    weight = 0.07 * np.sin(angle) + 0.02
    return POSITIONS.conform(
        rows.with_columns(weight=pl.lit(pl.Series(weight)), quantity=pl.lit(10.0))
    )


def _contributions(rng: np.random.Generator, days: list[date], names: list[str]) -> pl.DataFrame:
    rows = _cross(days, instrument_id=names[:6], sense=list(SENSES))
    level = np.tile(rng.uniform(0.02, 0.2, len(SENSES)), rows.height // len(SENSES))
    values = pl.Series(level * rng.normal(size=rows.height))
    return DECISION_CONTRIBUTIONS.conform(
        rows.with_columns(contribution=pl.lit(values), decision_id=pl.lit("D"))
    )


def _trails(rng: np.random.Generator, days: list[date], names: list[str]) -> pl.DataFrame:
    rows = _cross(days, instrument_id=names, channel=list(CHANNELS))
    walk = rng.normal(size=(len(days), len(names) * len(CHANNELS))).cumsum(axis=0)
    return TRAILS.conform(rows.with_columns(value=pl.lit(pl.Series(np.abs(walk).ravel() / 10))))


def _regimes(rng: np.random.Generator, days: list[date]) -> pl.DataFrame:
    rows = _cross(days, regime=list(REGIME_NAMES))
    score = np.exp(rng.normal(size=(len(days), len(REGIME_NAMES))).cumsum(axis=0) / 6)
    share = (score / score.sum(axis=1, keepdims=True)).ravel()
    return REGIMES.conform(rows.with_columns(probability=pl.lit(pl.Series(share))))


def _orders(days: list[date], names: list[str]) -> pl.DataFrame:
    rows = pl.DataFrame(_times(days[::2]))
    number = pl.int_range(pl.len())
    denied = number % 9 == 4
    return ORDERS.conform(
        rows.with_columns(
            order_id=pl.format("A{}", number.cast(pl.String).str.zfill(24)),
            decision_id=pl.lit("D"),
            instrument_id=pl.lit(pl.Series([names[i % len(names)] for i in range(rows.height)])),
            side=pl.when(number % 2 == 0).then(pl.lit("buy")).otherwise(pl.lit("sell")),
            quantity=pl.lit(100.0),
            reference_price=pl.lit(101.25),
            verdict=pl.when(denied).then(pl.lit("denied")).otherwise(pl.lit("approved")),
            denial_code=pl.when(denied).then(pl.lit("STALE_QUOTE")),
            status=pl.when(denied).then(pl.lit("denied")).otherwise(pl.lit("filled")),
        )
    )


def _fills(rng: np.random.Generator, days: list[date], names: list[str]) -> pl.DataFrame:
    orders = _orders(days, names).filter(pl.col("verdict") == "approved")
    return FILLS.conform(
        orders.with_columns(
            fill_id=pl.format("X{}", pl.int_range(pl.len())),
            price=pl.lit(101.3),
            currency=pl.lit("USD"),
            cost=pl.lit(pl.Series(rng.uniform(0.5, 3.0, orders.height))),
            slippage_bps=pl.lit(pl.Series(rng.normal(2.0, 3.0, orders.height))),
        )
    )


def _quarantine(names: list[str], days: list[date]) -> pl.DataFrame:
    count = 40
    kinds = ("bad_print", "unadjusted_split", "stale", "wrong_unit")
    return QUARANTINE.conform(
        pl.DataFrame(
            {
                "table": "bars",
                "rule": [f"rule_{i % 4}" for i in range(count)],
                "kind": [kinds[i % 4] for i in range(count)],
                "severity": ["block" if i % 8 == 0 else "quarantine" for i in range(count)],
                "confidence": 0.93,
                "reason": [
                    f"close of {names[i % len(names)]} must be within 8 sigma of its neighbours, "
                    f"was {i + 3} sigma and came back the next session"
                    for i in range(count)
                ],
                "event_time": [close_of(days[i % len(days)]) for i in range(count)],
                "source": "default/us_equities_20@ee21cac28bef",
                "source_row": range(count),
            }
        )
    )


def _lineage(instrument_id: str) -> dict[str, object]:
    bar = {"event_time": "2024-11-29T21:00:00+00:00", "source": "default/x@1", "close": 101.2}
    raw = {"kind": "raw_rows", "title": "253 rows of bars", "facts": {}, "rows": [bar] * 60}
    senses = {"kind": "contributions", "title": "7 senses", "facts": {"momentum": 0.31}, "rows": []}
    decision = {
        "kind": "decision",
        "title": "decision D",
        "facts": {"session": "2024-11-29", "reason": "quorum of 3.1 senses"},
        "rows": [],
        "children": [senses | {"children": []}, raw | {"children": []}],
    }
    facts = {"instrument": instrument_id, "side": "buy", "lots": 100}
    order = {"kind": "order", "title": "order A0000", "facts": facts, "rows": []}
    return order | {"children": [decision]}
