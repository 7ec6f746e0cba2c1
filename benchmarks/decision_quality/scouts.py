"""What the scouts of a synthetic market say, and what any mixture of them earns after costs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.decision_quality.markets import Truth
from swarm_core.colony.blueprint import blueprint
from swarm_core.colony.sense import MEMORY_RETURN, Genome
from swarm_core.colony.settings import ColonySettings

Floats = NDArray[np.float64]
_OUTCOME_CLIP = 6.0  # sigmas, as the colony's own


def net_payoff(conviction: Floats, outcome: Floats, cost: float) -> Floats:
    """Return [T]: what the last bar's conviction [T, N] earned on each bar, in sigmas.

    `outcome` [T, N] is in sigmas; `cost` is paid, in sigmas, for each unit of conviction that
    changes, as the colony charges its scouts.
    """
    out = np.zeros(len(outcome))
    moved = np.abs(np.diff(conviction, axis=0, prepend=0.0)).mean(axis=1)
    clipped = np.clip(outcome[1:], -_OUTCOME_CLIP, _OUTCOME_CLIP)
    out[1:] = (conviction[:-1] * clipped).mean(axis=1) - cost * moved[:-1]
    return out


@dataclass(frozen=True, slots=True)
class ScoutBook:
    """The scouts of a market: what each said on each close, and earned by it after costs."""

    convictions: NDArray[np.float32]  # [K, T, N]
    payoff: Floats  # [T, K]
    outcome: Floats  # [T, N]
    cost: float  # sigmas a unit of conviction

    def earn(self, weights: Floats) -> Floats:
        """Return the payoff [T] after costs of the scouts mixed with weights [T, K].

        Row t of the weights, which knows the payoffs before bar t, is in force on bar t. The
        mixture pays for its own changes: scouts that trade against each other cost nothing, and
        a weight that moves from one to another does.
        """
        position = np.zeros(self.outcome.shape)
        for scout, said in enumerate(self.convictions):
            position[:-1] += weights[1:, scout, None] * said[:-1]
        return net_payoff(position, self.outcome, self.cost)


def scout_book(truth: Truth, settings: ColonySettings, cost_bps: float) -> ScoutBook:
    """Return what the founders of the settings said and earned on the market, K in their order."""
    rows = [_convictions(truth, genome) for _, genome in blueprint(settings).genomes]
    cost = cost_bps * 1e-4 / float(truth.panel.sigma[0, 0])
    payoff = [net_payoff(row.astype(np.float64), truth.outcome, cost) for row in rows]
    return ScoutBook(np.stack(rows), np.stack(payoff, axis=1), truth.outcome, cost)


def _convictions(truth: Truth, genome: Genome) -> NDArray[np.float32]:
    """Return [T, N]: the column through the plainest shape; 0 where it is not known."""
    if genome.column.startswith(MEMORY_RETURN):
        bars = int(genome.column.removeprefix(MEMORY_RETURN))
        price = np.log(truth.panel.prices)
        column = np.full(price.shape, np.nan)
        column[bars:] = (price[bars:] - price[:-bars]) / (truth.panel.sigma[bars:] * bars**0.5)
    else:
        column = truth.panel.features[genome.column]
    x = np.float32(genome.gain) * (column.astype(np.float32) - np.float32(genome.center))
    return np.nan_to_num(x / np.sqrt(1.0 + x * x)).astype(np.float32)
