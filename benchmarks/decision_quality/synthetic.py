"""The colony, its ablations and the baselines on synthetic markets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.decision_quality.baselines import BASELINES, informed_observer, oracle
from benchmarks.decision_quality.markets import Market, Truth, generate, senses_of
from benchmarks.decision_quality.scouts import net_payoff, scout_book
from models.statistics import confidence_interval
from swarm_core.colony.engine import new_state
from swarm_core.colony.replay import Records, run
from swarm_core.colony.settings import ColonySettings

Floats = NDArray[np.float64]
ABLATIONS: dict[str, dict[str, object]] = {
    "without memory of regimes": {"trust": {"memory_enabled": False, "regime_enabled": False}},
    "without the queen's regimes": {"trust": {"regime_enabled": False}},
    "without the tempo of regimes": {"trust": {"tempo_enabled": False}},
    "without the contrary candidate": {"trust": {"contrary_enabled": False}},
    "without trust (equal weight)": {"trust": {"enabled": False}},
    "without the queen's bandit": {"queen": {"allocation_enabled": False}},
    "without trails": {"trails": {"enabled": False}},
    "without recruitment": {"recruitment": {"enabled": False}},
    "without response thresholds": {"worker": {"threshold_enabled": False}},
    "without the no-trade band": {"worker": {"band_enabled": False}},
    "without weighing engagement": {"worker": {"engagement_enabled": False}},
    "without drones": {"drone": {"enabled": False}},
}
RECOVERY_BARS = 5
_DEFAULT = ColonySettings()
SCOUTS_PAY = _DEFAULT.trust.cost_bps / _DEFAULT.worker.cost_bps  # of what trading costs
FLIPPING = ("flip", "flip_random", "crash", "uneven")  # between two regimes, at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row of the report. Shares are of the oracle's payoff; NaN where there is none."""

    market: str
    family: str
    who: str
    share: float
    share_low: float
    share_high: float
    recovery: float  # payoff rate 5 bars after recurring flips, as a share of the oracle's
    nav: float
    turnover: float  # a bar
    sharpe: float


def settings_for(market: Market, changes: dict[str, object] | None = None) -> ColonySettings:
    """Return the default colony on this market's senses; its scouts are the truth's, no others."""
    mapping: dict[str, object] = {
        "senses": list(senses_of(market)),
        "scouts_max": 1_024,
        "lifecycle": {"enabled": False},
        "trust": {"cost_bps": SCOUTS_PAY * market.cost_bps},
        "worker": {"cost_bps": market.cost_bps},
    }
    for caste, values in (changes or {}).items():
        assert isinstance(values, dict)
        before = mapping.get(caste, {})
        assert isinstance(before, dict)
        mapping[caste] = before | values
    return ColonySettings.from_mapping(mapping)


def colony_on(truth: Truth, settings: ColonySettings) -> Records:
    """Return the record of a fresh colony on the market."""
    state = new_state(settings, truth.panel.instrument_ids, 3)
    return run(settings, state, truth.panel)[1]


def _share(payoff: Floats, best: Floats) -> tuple[float, float, float]:
    """Return the payoff's share of the oracle's with its block-bootstrap interval."""
    if not best.mean() > 0.0:
        nan = float("nan")
        return nan, nan, nan
    found = confidence_interval(payoff, replications=500)
    mean = float(best.mean())
    return found.value / mean, found.low / mean, found.high / mean


def recovery_of(payoff: Floats, best: Floats, regime: NDArray[np.int64]) -> float:
    """Return the mean payoff on the fifth to ninth bar after recurring flips over the oracle's."""
    flips = np.flatnonzero(np.diff(regime)) + 1
    seen: set[int] = set()
    rows: list[int] = []
    for at in [0, *flips.tolist()]:
        if int(regime[at]) in seen and at + RECOVERY_BARS + 5 < len(payoff):
            rows += range(at + RECOVERY_BARS, at + RECOVERY_BARS + 5)
        seen.add(int(regime[at]))
    if not rows or not best.mean() > 0.0:
        return float("nan")
    return float(payoff[rows].mean() / best[rows].mean())


def _sharpe(nav: Floats) -> float:
    returns = np.diff(np.log(nav))
    spread = float(returns.std())
    return float(returns.mean() / spread * np.sqrt(252.0)) if spread > 1e-12 else 0.0


def compare(market: Market, *, ablations: bool) -> list[Result]:
    """Return the rows of one market: colony, ablations, baselines, all after the market's cost."""
    truth = generate(market)
    variants: dict[str, dict[str, object]] = {"colony": {}}
    if ablations:
        variants |= ABLATIONS
    book = scout_book(truth, settings_for(market), market.cost_bps)
    known = market.family != "noise"
    best = book.earn(oracle(book.payoff, truth.regime)) if known else np.zeros(market.bars)
    rows: list[Result] = []
    for who, changes in variants.items():
        found = colony_on(truth, settings_for(market, changes))
        payoff = net_payoff(found.conviction, truth.outcome, book.cost)
        rows.append(_row(market, who, payoff, best, truth, found))
    learned = {who: learner(book.payoff) for who, learner in BASELINES.items()}
    if market.family in FLIPPING:
        told = informed_observer(book.payoff, truth.regime, 1.0 / market.flip_bars)
        learned["informed observer (knows all but the regime)"] = told
    rows += [_row(market, who, book.earn(w), best, truth) for who, w in learned.items()]
    return rows


def _row(
    market: Market, who: str, payoff: Floats, best: Floats, truth: Truth,
    found: Records | None = None,
) -> Result:  # fmt: skip
    share, low, high = _share(payoff, best)
    nan = float("nan")
    return Result(
        market=market.name,
        family=market.family,
        who=who,
        share=share,
        share_low=low,
        share_high=high,
        recovery=recovery_of(payoff, best, truth.regime),
        nav=nan if found is None else float(found.nav[-1]),
        turnover=nan if found is None else float(found.turnover.mean()),
        sharpe=nan if found is None else _sharpe(found.nav),
    )
