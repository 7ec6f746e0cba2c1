"""Synthetic markets whose truth is known: what pays, when it changes, and what is only noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.replay import Panel
from swarm_core.colony.sense import MEMORY_RETURN, Genome, Sense
from swarm_core.colony.senses.registry import register

Floats = NDArray[np.float64]
LOOKBACKS = (1, 2, 3, 5, 8, 13, 21, 34)
FAMILIES = ("flip", "flip_random", "new_regime", "drift", "crash", "uneven", "noise")
_DAY_NS = 86_400 * 10**9
_SIGMA = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One synthetic market; `family` names what is tried."""

    family: str
    flip_bars: int = 500
    phi: float = 0.15
    noise_scouts: int = 16
    cost_bps: float = 0.0
    instruments: int = 40
    bars: int = 6_000
    seed: int = 1

    @property
    def name(self) -> str:
        """Return a name that says all of it."""
        return (
            f"{self.family} flip={self.flip_bars} phi={self.phi:g} noise={self.noise_scouts} "
            f"cost={self.cost_bps:g}bp instruments={self.instruments} seed={self.seed}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What was generated: the panel, outcomes in sigmas, and the regime of each bar."""

    panel: Panel
    outcome: Floats  # [T, N]
    regime: NDArray[np.int64]  # [T]


def path_of_phi(market: Market) -> tuple[Floats, NDArray[np.int64]]:
    """Return the autocorrelation [T] of each bar and the label of its regime."""
    t = np.arange(market.bars)
    turn = (t // market.flip_bars) % 2
    if market.family == "drift":
        # A full swing takes as long as two flips would; regimes are its halves.
        wave = np.sin(np.pi * t / market.flip_bars)
        return market.phi * wave, (wave < 0).astype(np.int64)
    if market.family == "noise":
        return np.zeros(market.bars), np.zeros(market.bars, np.int64)
    if market.family == "new_regime":
        # Two regimes recur; a third comes in the last third, twice as strong.
        late = t >= 2 * market.bars // 3
        strength = np.where(turn == 0, market.phi, -market.phi) * np.where(late, 2.0, 1.0)
        return strength, turn + 2 * late
    if market.family == "flip_random":
        # As often as the others turn, but nobody can foretell when.
        rng = np.random.default_rng([market.seed, 1])
        turn = np.cumsum(rng.random(market.bars) < 1.0 / market.flip_bars) % 2
    return np.where(turn == 0, market.phi, -market.phi), turn


def generate(market: Market) -> Truth:
    """Return the market's panel and truth; the same market gives the same bits."""
    rng = np.random.default_rng(market.seed)
    shape = (market.bars, market.instruments)
    phi, regime = path_of_phi(market)
    shocks = rng.standard_normal(shape)
    outcome = np.zeros(shape)
    pays = np.ones(market.instruments)
    if market.family == "uneven":
        pays[market.instruments // 2 :] = 0.0  # half of the sectors hold nothing to find
    for t in range(1, market.bars):
        outcome[t] = pays * phi[t] * outcome[t - 1] + shocks[t]
    if market.family == "crash":
        # One instrument loses 60 % over three bars, three times.
        for start in (market.bars // 4, market.bars // 2, 3 * market.bars // 4):
            outcome[start : start + 3, 0] = -30.0
    features = {f"noise_{k:03d}": rng.standard_normal(shape) for k in range(market.noise_scouts)}
    panel = Panel(
        time_ns=np.arange(1, market.bars + 1, dtype=np.int64) * _DAY_NS,
        instrument_ids=tuple(f"SIM.{i:03d}" for i in range(market.instruments)),
        prices=100.0 * np.exp(_SIGMA * np.cumsum(outcome, axis=0)),
        sigma=np.full(shape, _SIGMA),
        features=features,
        # Sectors of five keep the sector limit from binding where it is not what is tried.
        sectors=tuple(f"sector {i // 5}" for i in range(market.instruments)),
        cost_bps=market.cost_bps,
    )
    return Truth(panel=panel, outcome=outcome, regime=regime)


def senses_of(market: Market) -> tuple[str, ...]:
    """Register and return the senses: eight lookbacks each way round, and noise."""
    both = tuple(
        Genome(column=f"{MEMORY_RETURN}{bars}", gain=sign * 0.7)
        for bars in LOOKBACKS
        for sign in (1.0, -1.0)
    )
    names = [register(Sense(name="lookbacks", source="made up", genomes=both)).name]
    if market.noise_scouts:
        noise = tuple(Genome(column=f"noise_{k:03d}", gain=0.7) for k in range(market.noise_scouts))
        name = f"noise_of_{market.noise_scouts}"
        names.append(register(Sense(name=name, source="made up", genomes=noise)).name)
    return tuple(names)


def default_markets(seed: int, *, quick: bool) -> list[Market]:
    """Return the families of the report."""
    marks = [
        Market(family="flip", flip_bars=flip, noise_scouts=noise, seed=seed)
        for flip in (500, 100)
        for noise in (16, 144)
    ]
    if quick:
        return [*marks[:2], Market(family="noise", phi=0.0, cost_bps=5.0, seed=seed)]
    return [
        *marks,
        Market(family="flip", flip_bars=1_000, phi=0.08, seed=seed),
        Market(family="flip", flip_bars=250, phi=0.25, noise_scouts=64, seed=seed),
        Market(family="flip", flip_bars=200, phi=0.15, instruments=10, seed=seed),
        Market(family="flip", flip_bars=500, cost_bps=1.0, seed=seed),
        Market(family="flip", flip_bars=500, cost_bps=5.0, seed=seed),
        *(Market(family="flip_random", flip_bars=flip, seed=seed) for flip in (500, 100)),
        Market(family="flip_random", flip_bars=200, instruments=10, seed=seed),
        Market(family="new_regime", flip_bars=300, seed=seed),
        Market(family="drift", flip_bars=1_000, seed=seed),
        Market(family="crash", flip_bars=500, seed=seed),
        Market(family="uneven", flip_bars=500, cost_bps=1.0, seed=seed),
        *(Market(family="noise", phi=0.0, cost_bps=5.0, seed=seed + k) for k in range(3)),
        Market(family="noise", phi=0.0, cost_bps=1.0, seed=seed),
        Market(family="noise", phi=0.0, cost_bps=5.0, noise_scouts=144, seed=seed),
    ]


def is_ablated(market: Market) -> bool:
    """Return whether the mechanisms are switched off one by one here unless more is asked for.

    One market of each kind: quick flips, flips at a cost, and turns that nobody foretells.
    And one where what there is to find is in half of the sectors.
    """
    flips = (market.family, market.flip_bars, market.cost_bps) in {
        ("flip", 100, 0.0),
        ("flip", 500, 5.0),
        ("flip_random", 100, 0.0),
        ("uneven", 500, 1.0),
    }
    return flips and market.noise_scouts == 16 and market.instruments == 40
