"""The colony's whole state: named arrays, one group for each part, and nothing hidden."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

MARKET_KEYS = (
    "vix",
    "term_slope",
    "macro_surprise",
    "news_sentiment",
    "breadth",
    "avg_correlation",
    "realised_vol",
    "trend_strength",
)
REGIMES = ("calm_trend", "calm_chop", "stress_trend", "stress_chop")

EMPTY, ACTIVE, DORMANT = 0, 1, 2  # scouts.status; a dead scout's place is empty again


class Memory(NamedTuple):
    """What the colony remembers of prices and of the market; N instruments, B bars, M keys."""

    log_price: Floats  # [B, N] ring, row = step mod B; the last known price where one is missing
    last_log_price: Floats  # [N] NaN until first seen
    sigma: Floats  # [N] volatility of one bar that the last convictions were scaled by
    variance: Floats  # [N] running variance of one bar's return; NaN until first seen
    outcome: Floats  # [N] last return in sigmas; NaN where it is missing
    market_moment: Floats  # [6] running moments, see memory.py
    standard_mean: Floats  # [M] running mean of each market value
    standard_variance: Floats  # [M]
    standard_weight: Floats  # [M] how much has been seen, 0 to 1
    market: Floats  # [M] last standardised market values; NaN where not known


class Scouts(NamedTuple):
    """The foragers that look: K places, H horizons, N instruments."""

    status: Integers  # [K] EMPTY, ACTIVE or DORMANT
    identity: Integers  # [K] number given at birth, never given twice
    sense: Integers  # [K] place in ColonyState.sense_names
    column: Integers  # [K] place in ColonyState.columns
    shape: Integers  # [K] sense.Shape
    gain: Floats  # [K]
    center: Floats  # [K]
    scale: Integers  # [K] place in columns, -1 for none
    gate: Integers  # [K] place in market_keys, -1 for none
    gate_gain: Floats  # [K]
    gate_center: Floats  # [K]
    born_step: Integers  # [K]
    floor_bars: Integers  # [K] bars in a row with trust at the floor
    carried: Singles  # [H, K, N] positions of mean age `horizon` made of past convictions
    cost: Floats  # [K] what the last change of positions cost, in sigmas
    births: Integers  # [1] identities given so far


class Trust(NamedTuple):
    """Who is believed; K scouts and the idle one last (K + 1), J learners, Z regimes, V memories.

    A candidate is one trust vector on offer: the learners, then the queen's mixture of the regime
    vectors, then the memories; E = J + 1 + V of them.
    """

    weight: Floats  # [K + 1] the trust that the next conviction is made with; sums to one
    payoff: Floats  # [K + 1] of the last bar; the idle scout's is zero
    variance: Floats  # [K + 1] running mean square of the payoffs
    learner: Floats  # [J, K + 1] fixed-share over a grid of edges and shares
    regime: Floats  # [Z, K + 1] one vector for each regime of the queen
    memory: Floats  # [V, K + 1] what worked in each regime that the payoffs themselves reveal
    memory_belief: Floats  # [V] filtered chance that the market is in the memory's regime
    candidate: Floats  # [Q, E] filtered belief in each candidate under each of Q switch rates
    opposite: Floats  # [K + 1] running product of each payoff and what trust earned in advance
    succession: Floats  # [V, V] how often a memory's reign was followed by another's
    excursion: Floats  # [2, V] Page's sums against the reigning memory, and their lengths
    tempo: Floats  # [tempo.SIZE] who reigns, since when, and how long reigns last: see tempo.py
    pooled: Floats  # [7] payoff variance, weight; found mean, square, weight; own mean, square


class Queen(NamedTuple):
    """Regimes and budgets; Z regimes, S senses, G asset classes."""

    posterior: Floats  # [Z] filtered, never smoothed
    held: Integers  # [1] the regime that hysteresis holds
    sense_payoff: Floats  # [Z, S] discounted sum of the senses' payoffs in each regime
    sense_weight: Floats  # [Z, S] discounted number of bars behind it
    sense_square: Floats  # [Z, S] discounted sum of the squared payoffs
    sense_allocation: Floats  # [S] share of foragers times S: one is an even share
    sense_conviction: Floats  # [S, N] what each sense contributed last
    class_payoff: Floats  # [Z, G] per unit of risk, in sigmas
    class_weight: Floats  # [Z, G]
    class_square: Floats  # [Z, G]
    class_budget: Floats  # [G] risk budget times G: one is an even share


class Field(NamedTuple):
    """The environment that the bees share, and where the foragers stand."""

    trails: Floats  # [5, N] in the order of settings_castes.CHANNELS
    camps: Floats  # [2, N] shares of foragers committed to long and to short


class Book(NamedTuple):
    """What the workers and drones remember of the book."""

    conviction: Floats  # [N] of the last bar
    target: Floats  # [N] last target weights
    nav: Floats  # [3] last, peak, and 1.0 while a drawdown veto binds
    engagement: Floats  # [4] log odds that acting pays, and running mean, variance, weight
    drift: Floats  # [4] running mean of the forecast's payoff, fast and slow, variance, weight
    tail: Floats  # [2] value at risk and expected shortfall of the last targets
    edge: Floats  # [3] running means of c x, c^2 and c c' of the colony's convictions c
    stake: Floats  # [1] what one unit of capital has become by the colony's own targets, net
    friction: Floats  # [2] discounted sums of what fills cost and of what was traded, of NAV


@dataclass(frozen=True, eq=False)
class ColonyState:
    """All of it; two states are the same where codec.digest says so.

    Instruments stand sorted by id, so that the order they are given in never matters.
    """

    settings_digest: str
    settings: str  # their canonical text; empty in a state of version 2 that has not moved on
    seed: int
    steps: int
    time_ns: int
    instrument_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    columns: tuple[str, ...]
    market_keys: tuple[str, ...]
    sense_names: tuple[str, ...]
    memory: Memory
    scouts: Scouts
    trust: Trust
    queen: Queen
    field: Field
    book: Book


GROUPS: dict[str, type] = {
    "memory": Memory,
    "scouts": Scouts,
    "trust": Trust,
    "queen": Queen,
    "field": Field,
    "book": Book,
}
