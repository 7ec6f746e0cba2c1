"""Markets as a broken feed tells them: every value may be poison, and instruments come and go."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from swarm_core.colony.decision import Decision
from swarm_core.colony.observation import Observation
from swarm_core.colony.replay import Panel
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import GROUPS, ColonyState
from tests.swarm_core.colony.builders import DAY_NS, FEATURES, make_panel, make_settings

_SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, -5.0, 1.0, 1e9, 1e30)
POISON = np.array([*_SPECIAL, 1e300, -1e300, 1.7e308, 1e-300, 5e-324])
MARKET = ("vix", "term_slope", "breadth", "avg_correlation", "realised_vol", "trend_strength", "x")
# What stands for "not known" in the memory; everything else must be a number.
UNKNOWN = frozenset({"log_price", "last_log_price", "variance", "outcome", "market"})
CAREFUL = make_settings()
# A colony that wants much more than its limits allow, at once.
EAGER = make_settings(
    recruitment={"enabled": False},
    worker={
        "engagement_enabled": False, "volatility_target": 2.0, "gross_max": 0.6, "net_max": 0.2,
        "name_max": 0.15, "sector_max": 0.3, "currency_max": 0.25,
    },
)  # fmt: skip


@dataclass
class Feed:
    """A seeded source of observations; `rate` is the chance of poison for each value."""

    rng: np.random.Generator
    rate: float
    instruments: int
    time_ns: int = 0

    def poison(self, values: np.ndarray, rate: float | None = None) -> np.ndarray:
        """Return a copy of the values with some of them poisoned."""
        out = np.array(values, np.float64)
        hit = self.rng.random(out.shape) < (self.rate if rate is None else rate)
        out[hit] = self.rng.choice(POISON, int(hit.sum()))
        return out

    def observe(self, prices: np.ndarray, book: dict[str, float]) -> Observation:
        """Return one bar on some of the instruments, with what the book holds of them."""
        rng, n = self.rng, self.instruments
        self.time_ns += DAY_NS * int(rng.choice([1, 1, 1, 10, 4_000]))
        some = rng.permutation(n)[: n if rng.random() < 0.7 else int(rng.integers(0, n + 1))]
        ids, k = tuple(f"I{i}" for i in some), len(some)
        weights = np.array([book.get(name, 0.0) for name in ids])
        if rng.random() < 0.15:
            weights = weights + rng.standard_normal(k) * rng.choice([0.1, 1.0, 10.0])
        nav = rng.choice([5e-324, 1e-300, 1.0, 1e300]) if rng.random() < 0.3 * self.rate else 1e6
        return Observation(
            time_ns=self.time_ns,
            instrument_ids=ids,
            prices=self.poison(prices[some]),
            sigma=self.poison(np.full(k, 0.02)),
            features={
                name: self.poison(rng.standard_normal(k)) for name in FEATURES if rng.random() < 0.9
            },
            market={name: float(self.poison(rng.standard_normal(1))[0]) for name in MARKET},
            weights=self.poison(weights, 0.3 * self.rate),
            nav=float(nav),
            sectors=tuple(f"sector {i % 3}" for i in some),
            currencies=tuple("EU"[i % 2] for i in some),
            data_age_s=self.poison(np.zeros(k)) if rng.random() < 0.5 else None,
        )


def hostile_bars(seed: int) -> Iterator[tuple[Observation, np.ndarray | None, dict[str, float]]]:
    """Yield observations, anomaly scores and the book to write the targets of each into."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    feed = Feed(rng, float(rng.choice([0.0, 0.05, 0.3, 0.9])), n)
    prices, book = 100.0 * 10.0 ** rng.integers(-6, 7, n), dict[str, float]()
    for _ in range(int(rng.integers(1, 30))):
        prices = prices * np.exp(0.02 * rng.standard_normal(n))
        seen = feed.observe(prices, book)
        score = feed.poison(0.7 * rng.random(len(seen.instrument_ids)))
        yield seen, score if rng.random() < 0.5 else None, book


def hostile_panel(seed: int, bars: int = 30) -> Panel:
    """Return a panel of one to seven instruments in which one value in ten is poison."""
    rng = np.random.default_rng(seed)
    panel = make_panel(bars, int(rng.integers(1, 8)), seed)
    feed = Feed(rng, 0.1, 0)
    return replace(
        panel,
        prices=feed.poison(panel.prices),
        sigma=feed.poison(panel.sigma),
        features={name: feed.poison(values) for name, values in panel.features.items()},
        market={name: feed.poison(values) for name, values in panel.market.items()},
        data_age_s=feed.poison(np.zeros(panel.prices.shape), 0.02),
    )


def assert_finite(state: ColonyState) -> None:
    """No array may be infinite, and none NaN but for what stands for "not known"."""
    for group in GROUPS:
        values = getattr(state, group)
        for name in values._fields:
            array = getattr(values, name)
            assert not np.isinf(array).any(), f"{group}.{name}"
            assert name in UNKNOWN or np.isfinite(array).all(), f"{group}.{name}"


def assert_known(decision: Decision) -> None:
    """Whatever a decision says must be a number, and trust a share."""
    for name in (
        "conviction", "target_weights", "sense_contributions", "scout_contributions", "trust",
        "trails", "regime_posterior",
    ):  # fmt: skip
        assert np.isfinite(getattr(decision, name)).all(), name
    for name, values in decision.diagnostics.items():
        assert name == "market" or np.isfinite(values).all(), name
    assert all(np.isfinite([veto.value, veto.limit]).all() for veto in decision.vetoes)
    assert all(np.isfinite(event.value) for event in decision.events)
    assert np.abs(decision.conviction).max(initial=0.0) <= 1.0 + 1e-9
    idle = float(decision.diagnostics["idle_trust"][0])
    assert abs(decision.trust.sum() + idle - 1.0) < 1e-9


def assert_inside(decision: Decision, seen: Observation, settings: ColonySettings) -> None:
    """Every limit must hold, but for what cannot be traded: there it must not get worse."""
    worker, target = settings.worker, decision.target_weights
    held = decision.diagnostics["held"] >= 0.0
    known = np.abs(seen.weights) < 1e6
    assert held[~known].all()
    assert (target[held & known] == seen.weights[held & known]).all()
    assert np.abs(target[~held]).max(initial=0.0) <= worker.name_max + 1e-9
    standing = np.where(held, target, 0.0)
    _assert_less(np.abs(target), np.abs(standing), worker.gross_max)
    _assert_less(target, standing, worker.net_max)
    for name in set(seen.sectors):
        inside = np.array([sector == name for sector in seen.sectors])
        _assert_less(np.abs(target[inside]), np.abs(standing[inside]), worker.sector_max)
    for name in set(seen.currencies):
        inside = np.array([currency == name for currency in seen.currencies])
        _assert_less(target[inside], standing[inside], worker.currency_max)


def _assert_less(target: np.ndarray, standing: np.ndarray, limit: float) -> None:
    total, allowed = abs(float(target.sum())), max(limit, abs(float(standing.sum())))
    assert total <= allowed + 2e-9 * (1.0 + allowed)
