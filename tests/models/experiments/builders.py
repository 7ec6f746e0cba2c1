"""Small experiments and their markets, valid by default."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from models.experiments.costs import venue_with
from models.experiments.market import Market
from models.experiments.points import Ground
from models.experiments.spec import ExperimentSpec, read_spec
from swarm_core.colony.settings import ColonySettings
from swarm_core.frictions.venue import Venue
from swarm_core.risk.limits import LOOSEST
from tests.swarm_core.colony.builders import make_panel

FIRST_CLOSE = datetime(2020, 1, 1, 21, tzinfo=UTC)


def content(**changes: Any) -> dict[str, Any]:
    """Return what a file of an experiment holds."""
    plain: dict[str, Any] = {
        "question": "does it pay?",
        "start": "2020-01-01",
        "end": "2020-12-31",
        "colony": {
            "memory_bars": 32,
            "trust": {"horizons": [1, 5], "horizon_weights": [0.7, 0.3]},
            "recruitment": {"enabled": False},  # whoever is convinced may trade
            "worker": {"engagement_prior": 0.65},  # and from the first day on
            "lifecycle": {"review_bars": 7, "dormant_after_bars": 9, "dead_after_bars": 18},
        },
        "walk_forward": {"warmup_months": 2, "test_months": 4},
    }
    return plain | changes


def make_spec(name: str = "trial", **changes: Any) -> ExperimentSpec:
    """Return the experiment of that content."""
    return read_spec(name, content(**changes))


def make_ground() -> Ground:
    """Return a desk's own choices."""
    costs = {"commission_bps": 1.0, "slippage_bps": 2.0}
    return Ground(
        colony=ColonySettings(),
        venue=venue_with(costs, Venue()),
        limits=LOOSEST,
        seed=1,
        nav=1_000_000.0,
    )


def make_market(sessions: int = 366, instruments: int = 12, seed: int = 0) -> Market:
    """Return a market with a close on every day from the first of 2020."""
    closes = tuple(FIRST_CLOSE + timedelta(days=t) for t in range(sessions))
    known = [round((c + timedelta(hours=2)).timestamp()) * 10**9 for c in closes]
    panel = make_panel(sessions, instruments, seed, time_ns=np.array(known, np.int64))
    benchmark = 100.0 * np.exp(np.cumsum(np.full(sessions, 1e-4)))
    return Market(closes, panel, benchmark)


class ListLedger:
    """A trial ledger in memory."""

    def __init__(self) -> None:
        self.written: list[dict[str, object]] = []

    def append(self, record: Mapping[str, object]) -> int:
        self.written.append(dict(record))
        return len(self.written)

    def records(self) -> list[dict[str, object]]:
        return list(self.written)
