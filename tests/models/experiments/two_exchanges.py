"""London and New York on their real calendars: seeded bars in pounds and dollars, and a rate."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from features.calendars import sessions
from features.currency_rates import SCHEMA as RATES
from features.schemas import CORPORATE_ACTIONS
from features.session_actions import chosen_actions
from models.experiments.costs import venue_with
from models.experiments.floor import Exchange, FloorTables
from models.experiments.market import Market, MarketTables, build_market
from models.experiments.points import Ground
from models.experiments.running import trials_of
from models.experiments.spec import ExperimentSpec, read_spec
from models.experiments.trials import Trial
from models.experiments.windows import windows_of
from swarm_core.colony.settings import ColonySettings
from swarm_core.frictions.venue import Venue
from swarm_core.risk.limits import LOOSEST
from tests.models.experiments.known import FREE, LAG, share

# London rests on Good Friday, Easter Monday and the 8th and 25th of May, New York on Good Friday,
# the 25th of May and the 3rd of July.
START, END = date(2020, 4, 1), date(2020, 7, 15)
LONDON, NEW_YORK = ("L1", "L2"), ("A1", "A2")
SHARES = {
    **{name: share(name) for name in NEW_YORK},
    **{name: share(name, currency="GBP") for name in LONDON},
}
HOURS = {
    name: sessions(calendar, START, END + timedelta(days=400))
    for name, calendar in (("L", "XLON"), ("A", "XNYS"))
}


def bars_of(seed: int) -> pl.DataFrame:
    """Return daily bars of each name on its exchange's sessions."""
    parts: list[pl.DataFrame] = []
    rng = np.random.default_rng(seed)
    for name in SHARES:
        hours = HOURS[name[0]].filter(pl.col("session") <= END)
        close = np.round(50 * np.exp(np.cumsum(0.02 * rng.standard_normal(hours.height))), 2)
        opened = np.round(close * (1 + 0.004 * rng.standard_normal(hours.height)), 2)
        parts.append(
            pl.DataFrame(
                {
                    "instrument_id": name,
                    "event_time": hours["close"],
                    "open": opened,
                    "high": np.maximum(opened, close) + 0.5,
                    "low": np.minimum(opened, close) - 0.5,
                    "close": close,
                    "volume": rng.integers(2_000, 9_000, hours.height).astype(float),
                }
            )
        )
    return pl.concat(parts).with_columns(
        knowledge_time=pl.col("event_time") + timedelta(minutes=15),
        source=pl.lit("seeded"),
        adjustment=pl.lit("raw"),
    )


def rates_of(seed: int) -> pl.DataFrame:
    """Return dollars for a pound at noon of every day, known at once."""
    days = [START - timedelta(days=3) + timedelta(days=n) for n in range((END - START).days + 6)]
    walk = np.random.default_rng(seed + 1).standard_normal(len(days))
    rates = np.round(1.25 * np.exp(np.cumsum(0.005 * walk)), 4)
    at = [datetime(d.year, d.month, d.day, 12, tzinfo=UTC) for d in days]
    rows = {"currency": "GBP", "event_time": at, "knowledge_time": at, "above": rates, "below": 1.0}
    return pl.DataFrame(rows, schema=RATES)


def make_spec(strategy: Mapping[str, Any] | None, **fields: Any) -> ExperimentSpec:
    return read_spec(
        "two",
        {
            "question": "does each exchange keep its own calendar?",
            "universe": list(SHARES),
            "start": START.isoformat(),
            "end": END.isoformat(),
            "costs": FREE | {"participation_fraction_max": 0.1, "commission_bps": 5},
            **({} if strategy is None else {"strategy": dict(strategy)}),
            **fields,
        },
    )


def make_trial(spec: ExperimentSpec) -> Trial:
    ground = Ground(
        colony=ColonySettings(), venue=venue_with(FREE, Venue()), limits=LOOSEST, seed=1,
        nav=100_000.0,
    )  # fmt: skip
    (window,) = windows_of(spec)
    (trial,) = trials_of(spec, window, ground, "seeded")
    return trial


def make_market(spec: ExperimentSpec, seed: int = 0) -> Market:
    """Return the market of the universe, with one feature: yesterday's return."""
    bars = bars_of(seed)
    change = (pl.col("close") / pl.col("close").shift(1)).over("instrument_id") - 1.0
    features = bars.select(
        "instrument_id", "event_time", "knowledge_time", ewma_vol=pl.lit(0.3), change=change
    )
    none = pl.DataFrame(schema=CORPORATE_ACTIONS.columns)
    tables = MarketTables(
        features=features,
        forecasts=features.select("instrument_id", "event_time", forecast=pl.lit(0.0)).clear(),
        bars=bars,
        instruments=pl.DataFrame(
            {
                "instrument_id": list(SHARES),
                "sector": ["x"] * len(SHARES),
                "currency": [i.currency for i in SHARES.values()],
            }
        ),
        benchmark=bars.filter(pl.col("instrument_id") == "A1").select("event_time", "close"),
        floor=FloorTables(
            bars=bars,
            actions=chosen_actions(none, bars),
            hours=HOURS["A"],
            instruments=SHARES,
            rates=rates_of(seed),
            exchanges=(Exchange(instrument_ids=frozenset(LONDON), hours=HOURS["L"]),),
        ),
    )
    return build_market(tables, spec.universe, LAG, spec.contracts)
