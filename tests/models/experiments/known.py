"""A small exchange written out by hand, and an experiment over it, from tables to rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from features.currency_rates import SCHEMA as RATES
from features.schemas import CORPORATE_ACTIONS, UTC_TIME
from features.session_actions import chosen_actions
from models.experiments.account import Walked, walk
from models.experiments.backtest import Result, compute
from models.experiments.costs import venue_with
from models.experiments.floor import FloorTables
from models.experiments.market import Market, MarketTables, build_market
from models.experiments.points import Ground
from models.experiments.running import trials_of
from models.experiments.spec import read_spec
from models.experiments.trials import Trial
from models.experiments.windows import windows_of
from swarm_core.colony.settings import ColonySettings
from swarm_core.frictions.venue import Venue
from swarm_core.instruments import Instrument
from swarm_core.risk.limits import LOOSEST

FIRST = date(2020, 1, 6)  # a Monday
LAG = timedelta(hours=2)
FREE = {"commission_bps": 0, "slippage_bps": 0, "participation_fraction_max": 1}


@dataclass(frozen=True)
class Told:
    """What an experiment came to, day by day."""

    result: Result
    walked: Walked
    market: Market
    trial: Trial

    @property
    def nav(self) -> list[float]:
        return self.walked.nav.tolist()

    def parts(self, kind: str) -> dict[str, float]:
        """Return what each part of a kind added, as fractions of NAV."""
        rows = self.result.parts.filter(pl.col("kind") == kind)
        return dict(rows.select("name", "contribution").iter_rows())


def share(name: str, **changes: Any) -> Instrument:
    plain: dict[str, Any] = {"instrument_id": name, "asset_class": "equity", "currency": "USD"}
    return Instrument(**(plain | changes))


def close_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 21, tzinfo=UTC)


def trading_days(count: int) -> list[date]:
    """Return so many weekdays from the first."""
    days = (FIRST + timedelta(days=n) for n in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


def run(
    instruments: Sequence[Instrument],
    bars: Mapping[str, Sequence[tuple[float, ...] | None]],
    strategy: Mapping[str, Any],
    *,
    costs: Mapping[str, Any] = FREE,
    actions: Sequence[Mapping[str, Any]] = (),
    rates: Mapping[str, Sequence[str]] | pl.DataFrame | None = None,
    nav: float = 100_000.0,
    adjustment: str = "raw",
    **fields: Any,
) -> Told:
    """Run an experiment over bars of (open, high, low, close, volume), one a weekday from FIRST."""
    days = trading_days(max(len(rows) for rows in bars.values()))
    spec = read_spec(
        "known",
        {
            "question": "does it come out as by hand?",
            "start": days[0].isoformat(),
            "end": days[-1].isoformat(),
            "costs": dict(costs),
            "strategy": dict(strategy),
            **fields,
        },
    )
    ground = Ground(
        colony=ColonySettings(), venue=venue_with(FREE, Venue()), limits=LOOSEST, seed=1, nav=nav
    )
    (window,) = windows_of(spec)
    (trial,) = trials_of(spec, window, ground, "by hand")
    market = _market(instruments, bars, days, actions, rates, adjustment, spec)
    return Told(compute(trial, market), walk(trial, market), market, trial)


def order(
    day: int, side: str, quantity: float, instrument: str = "A", **more: Any
) -> dict[str, Any]:
    """Return an order that leaves after the close of the day of that number."""
    when = trading_days(day + 1)[day].isoformat()
    return {"day": when, "instrument": instrument, "side": side, "quantity": quantity, **more}


def _market(
    instruments: Sequence[Instrument],
    bars: Mapping[str, Sequence[tuple[float, ...] | None]],
    days: Sequence[date],
    actions: Sequence[Mapping[str, Any]],
    rates: Mapping[str, Sequence[str]] | pl.DataFrame | None,
    adjustment: str,
    spec: Any,
) -> Market:
    rows = [
        dict(zip(("open", "high", "low", "close", "volume"), row, strict=False))
        | {"instrument_id": name, "event_time": close_of(day)}
        for name, told in bars.items()
        for day, row in zip(days, told, strict=False)
        if row is not None
    ]
    series = pl.DataFrame(rows, schema_overrides={"event_time": UTC_TIME}).with_columns(
        knowledge_time=pl.col("event_time") + timedelta(minutes=15),
        source=pl.lit("hand"),
        adjustment=pl.lit(adjustment),
    )
    happened = CORPORATE_ACTIONS.conform(
        pl.DataFrame(
            [_action(row, days) for row in actions] or None,
            schema=None if actions else CORPORATE_ACTIONS.columns,
        )
    )
    later = [days[-1] + timedelta(days=n) for n in range(1, 100)]
    sessions = [*days, *(day for day in later if day.weekday() < 5)]
    tables = MarketTables(
        features=series.select(
            "instrument_id", "event_time", "knowledge_time", ewma_vol=pl.lit(0.2)
        ),
        forecasts=series.select("instrument_id", "event_time", forecast=pl.lit(0.0)).clear(),
        bars=series,
        instruments=pl.DataFrame(
            {
                "instrument_id": [i.instrument_id for i in instruments],
                "sector": ["x"] * len(instruments),
                "currency": [i.currency for i in instruments],
            }
        ),
        benchmark=pl.DataFrame({"event_time": [close_of(d) for d in days], "close": 1.0}),
        floor=FloorTables(
            bars=series,
            actions=chosen_actions(happened, series),
            hours=pl.DataFrame(
                {
                    "session": sessions,
                    "open": [close_of(d) - timedelta(hours=6, minutes=30) for d in sessions],
                    "close": [close_of(d) for d in sessions],
                },
                schema_overrides={"open": UTC_TIME, "close": UTC_TIME},
            ),
            instruments={i.instrument_id: i for i in instruments},
            rates=rates if isinstance(rates, pl.DataFrame) else _rates(rates or {}, days),
        ),
    )
    return build_market(tables, spec.universe, LAG, spec.contracts)


def _action(row: Mapping[str, Any], days: Sequence[date]) -> dict[str, Any]:
    ex = datetime.combine(days[row["day"]], datetime.min.time(), tzinfo=UTC)
    told = {"instrument_id": "A", "source": "hand", "knowledge_time": ex, "event_time": ex}
    if "until" in row:
        told["end_time"] = datetime.combine(days[row["until"]], datetime.min.time(), tzinfo=UTC)
    return told | {k: v for k, v in row.items() if k not in ("day", "until")}


def _rates(rates: Mapping[str, Sequence[str]], days: Sequence[date]) -> pl.DataFrame:
    rows = [
        {"currency": name, "event_time": close_of(day), "above": float(rate)}
        for name, told in rates.items()
        for day, rate in zip(days, told, strict=True)
    ]
    known = {"knowledge_time": pl.col("event_time"), "below": pl.lit(1.0)}
    return pl.DataFrame(rows or None, schema=RATES).with_columns(**known)


def flat(price: float, count: int, volume: float = 1_000_000) -> list[tuple[float, ...]]:
    """Return bars that do not move."""
    return [(price, price, price, price, volume)] * count
