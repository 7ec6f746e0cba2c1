"""Small markets that are valid by default."""

from dataclasses import replace

import numpy as np

from swarm_core.colony.observation import Observation
from swarm_core.colony.replay import Panel, Records
from swarm_core.colony.settings import ColonySettings

DAY_NS = 86_400 * 10**9
FEATURES = ("forecast", "donchian_20d", "mom_252d_21d_rank", "rev_5d_rank", "beta_63d")


def make_settings(**changes: object) -> ColonySettings:
    """Return settings with two horizons and a quick lifecycle, so that all code runs early."""
    mapping: dict[str, object] = {
        "memory_bars": 32,
        "trust": {"horizons": [1, 5], "horizon_weights": [0.7, 0.3]},
        "lifecycle": {"review_bars": 7, "dormant_after_bars": 9, "dead_after_bars": 18},
    }
    return ColonySettings.from_mapping(mapping | changes)


def make_panel(bars: int = 60, instruments: int = 12, seed: int = 0, **changes: object) -> Panel:
    """Return a panel of random walks with holes in prices and features."""
    rng = np.random.default_rng(seed)
    shape = (bars, instruments)
    prices = 100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(shape), axis=0))
    prices[rng.random(shape) < 0.02] = np.nan
    features = {name: rng.standard_normal(shape) for name in FEATURES}
    features["forecast"][rng.random(shape) < 0.1] = np.nan
    panel = Panel(
        time_ns=np.arange(1, bars + 1, dtype=np.int64) * DAY_NS,
        instrument_ids=tuple(f"US.{i:03d}" for i in range(instruments)),
        prices=prices,
        sigma=np.full(shape, 0.01),
        features=features,
        market={"vix": 20.0 + rng.standard_normal(bars)},
        sectors=tuple("abc"[i % 3] for i in range(instruments)),
        currencies=tuple(("EUR", "USD")[i % 2] for i in range(instruments)),
        cost_bps=5.0,
    )
    return replace(panel, **changes)  # type: ignore[arg-type]  # a builder's free keywords


def observation_of(panel: Panel, records: Records, t: int) -> Observation:
    """Return what a live colony would see on bar t with the book of the record."""
    return Observation(
        time_ns=int(panel.time_ns[t]),
        instrument_ids=panel.instrument_ids,
        prices=panel.prices[t],
        sigma=panel.sigma[t],
        features={name: values[t] for name, values in panel.features.items()},
        market={name: float(values[t]) for name, values in panel.market.items()},
        weights=records.weights[t],
        nav=float(records.nav[t]),
        sectors=panel.sectors,
        currencies=panel.currencies,
        data_age_s=None if panel.data_age_s is None else panel.data_age_s[t],
        traded=float(records.turnover[t - 1]) if t else float("nan"),
        paid=panel.cost_bps * 1e-4 * float(records.turnover[t - 1]) if t else float("nan"),
    )


def permuted(panel: Panel, order: np.ndarray) -> Panel:
    """Return the panel with its instruments in another order."""
    age = panel.data_age_s
    return replace(
        panel,
        instrument_ids=tuple(panel.instrument_ids[i] for i in order),
        prices=panel.prices[:, order],
        sigma=panel.sigma[:, order],
        features={name: values[:, order] for name, values in panel.features.items()},
        sectors=tuple(panel.sectors[i] for i in order),
        currencies=tuple(panel.currencies[i] for i in order),
        data_age_s=None if age is None else age[:, order],
    )
