"""Why this order: contributions, trails, thresholds, and what would have made it no trade."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from swarm_core.colony.constraints import LimitSolver
from swarm_core.colony.decision import Decision, Floats
from swarm_core.colony.engine import step
from swarm_core.colony.observation import Observation
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ColonyState

_MOVED = 1e-12
_TRIES = 8  # to find a weight that stays; the first one is nearly always it
_COST_BPS_MAX = 1_000.0
_HALVINGS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """What the decision on one instrument would have been had something been different."""

    changed: str
    target_weight: float
    trades: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that alone would have meant no trade; `value` in place of `was` was tried."""

    name: str  # weight_held (of NAV), cost_bps, quorum, conviction or price of the instrument
    was: float
    value: float  # NaN: not known
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One instrument's part of one decision; `senses` and `scouts` each add up to conviction."""

    decision_id: str
    instrument_id: str
    conviction: float
    target_weight: float
    weight_before: float | None
    reason: str
    senses: Mapping[str, float]
    scouts: Mapping[str, float]
    trails: Mapping[str, float]
    measures: Mapping[str, float]  # camps, quorum side, threshold, band, risk share
    vetoes: tuple[str, ...]
    conditions: tuple[Condition, ...]  # what would have had to be different for no trade
    counterfactuals: tuple[Counterfactual, ...]

    def to_text(self) -> str:
        """Return the explanation as lines for a terminal."""
        lines = [
            f"{self.instrument_id}: target {self.target_weight:+.4%} of NAV, {self.reason}",
            f"conviction {self.conviction:+.4f} (decision {self.decision_id})",
        ]
        lines += [f"  sense {name}: {value:+.4f}" for name, value in self.senses.items()]
        lines += [f"  trail {name}: {value:.4f}" for name, value in self.trails.items()]
        lines += [f"  {name}: {value:.4f}" for name, value in self.measures.items()]
        lines += [f"  veto: {text}" for text in self.vetoes]
        lines += [f"  no trade if {condition.text}" for condition in self.conditions]
        for other in self.counterfactuals:
            outcome = "a trade" if other.trades else "no trade"
            lines.append(f"  {other.changed}: {outcome}, target {other.target_weight:+.4%}")
        return "\n".join(lines)


def explain(
    decision: Decision,
    instrument_id: str,
    *,
    settings: ColonySettings | None = None,
    state: ColonyState | None = None,
    observation: Observation | None = None,
    solver: LimitSolver | None = None,
    anomaly: Floats | None = None,
) -> Explanation:
    """Return why the decision is what it is for one instrument.

    With all that `step` was given (settings, the state before, observation, and where there were,
    solver and anomaly scores) the decision is taken again with each sense silenced in turn; and
    where it trades the instrument, with another weight held, a higher cost, a higher quorum, all
    scouts silent, no price: those of them that end in no trade are the conditions. Nothing is
    said of what was not tried. Raises ValueError where the instrument is not in the decision, or
    what is given does not lead to it.
    """
    if instrument_id not in decision.instrument_ids:
        raise ValueError(
            f"instrument_id must be one of the decision's {len(decision.instrument_ids)}, "
            f"was {instrument_id!r}"
        )
    at = decision.instrument_ids.index(instrument_id)
    others: tuple[Counterfactual, ...] = ()
    conditions: tuple[Condition, ...] = ()
    if settings is not None and state is not None and observation is not None:
        retrial = _Retrial(settings, state, observation, solver, anomaly, at)
        retrial.check(decision)
        others = _counterfactuals(retrial, decision)
        conditions = _conditions(retrial, decision)
    vetoes = tuple(
        f"{veto.code.value}: {veto.reason}"
        for veto in decision.vetoes
        if veto.instrument_id in (None, instrument_id)
    )
    scouts = zip(decision.scout_names, decision.scout_contributions[:, at].tolist(), strict=True)
    spoken = {name: value for name, value in scouts if value != 0.0}
    senses = zip(decision.sense_names, decision.sense_contributions[:, at].tolist(), strict=True)
    trails = zip(decision.channel_names, decision.trails[:, at].tolist(), strict=True)
    return Explanation(
        decision_id=decision.decision_id,
        instrument_id=instrument_id,
        conviction=float(decision.conviction[at]),
        target_weight=float(decision.target_weights[at]),
        weight_before=_weight_before(observation, at),
        reason=decision.reasons[at],
        senses=dict(sorted(senses, key=lambda pair: -abs(pair[1]))),
        scouts=dict(sorted(spoken.items(), key=lambda pair: -abs(pair[1]))),
        trails=dict(trails),
        measures=_measures(decision, at),
        vetoes=vetoes,
        conditions=conditions,
        counterfactuals=others,
    )


def _weight_before(observation: Observation | None, at: int) -> float | None:
    weight = np.nan if observation is None else float(observation.weights[at])
    return weight if np.isfinite(weight) else None


def _measures(decision: Decision, at: int) -> dict[str, float]:
    names = (
        "camp_long", "camp_short", "side", "senses", "threshold", "probability", "band", "solved",
        "desired", "danger", "sigma",
    )  # fmt: skip
    measures = {name: float(decision.diagnostics[name][at]) for name in names}
    measures["risk_share"] = float(decision.diagnostics["share"][0])
    measures["cost_bps"] = 1e4 * float(decision.diagnostics["cost"][0])
    measures["idle_trust"] = float(decision.diagnostics["idle_trust"][0])
    return measures


@dataclass(frozen=True, slots=True)
class _Retrial:
    """What a decision was taken from, to take it again with one thing different."""

    settings: ColonySettings
    state: ColonyState
    observation: Observation
    solver: LimitSolver | None
    anomaly: Floats | None
    at: int  # place of the instrument that is asked about

    def check(self, decision: Decision) -> None:
        """Raise ValueError unless what was given leads to the decision."""
        again = self.decide()
        if again.state_digest_before != decision.state_digest_before:
            raise ValueError(
                f"state must be the one before the decision ({decision.state_digest_before[:12]}), "
                f"was {again.state_digest_before[:12]}"
            )
        if again.decision_id != decision.decision_id:
            raise ValueError(
                "observation, solver and anomaly must be those of the decision "
                f"{decision.decision_id}, led to {again.decision_id}"
            )

    def decide(self) -> Decision:
        return step(
            self.settings, self.state, self.observation, solver=self.solver, anomaly=self.anomaly
        )[1]

    def trades(self) -> bool:
        """Return whether the weight held would change; what is held by a drone does not."""
        return self.moves(self.decide())

    def moves(self, decision: Decision) -> bool:
        held = decision.diagnostics["held"][self.at] >= 0.0
        change = decision.target_weights[self.at] - self.observation.weights[self.at]
        return not held and abs(float(change)) > _MOVED

    def holding(self, weight: float) -> "_Retrial":
        weights = np.array(self.observation.weights, np.float64)
        weights[self.at] = weight
        return replace(self, observation=replace(self.observation, weights=weights))

    def unpriced(self) -> "_Retrial":
        prices = np.array(self.observation.prices, np.float64)
        prices[self.at] = np.nan
        return replace(self, observation=replace(self.observation, prices=prices))

    def under(self, settings: ColonySettings) -> "_Retrial":
        # The shapes of the state stay what they are, so it goes on under these settings as it is.
        text, digest = settings.text(), settings.digest()
        state = replace(self.state, settings=text, settings_digest=digest)
        return replace(self, settings=settings, state=state)

    def silencing(self, places: np.ndarray) -> "_Retrial":
        """Return it with these scouts [K] silent: that is what a gain of zero does."""
        scouts = self.state.scouts
        gain = np.where(places, 0.0, scouts.gain)
        return replace(self, state=replace(self.state, scouts=scouts._replace(gain=gain)))


def _conditions(retrial: _Retrial, decision: Decision) -> tuple[Condition, ...]:
    """Return what would each alone have meant no trade; empty where there was none."""
    if not retrial.moves(decision):
        return ()
    held = float(retrial.observation.weights[retrial.at])
    found, told = _measures(decision, retrial.at), list[Condition]()

    def tell(name: str, was: float, value: float, text: str) -> None:
        told.append(Condition(name, was, value, text))

    weight = _weight_that_stays(retrial, float(decision.target_weights[retrial.at]))
    if weight is not None:
        tell("weight_held", held, weight, f"{weight:+.4%} of NAV were held (it is {held:+.4%})")
    cost, now = _cost_that_stops(retrial, found["cost_bps"]), found["cost_bps"]
    if cost is not None:
        tell("cost_bps", now, cost, f"trading cost {cost:.4g} bps (it costs {now:.4g})")
    recruitment = retrial.settings.recruitment
    camp, now = max(found["camp_long"], found["camp_short"]), recruitment.quorum
    above = math.nextafter(camp, 1.0)
    if recruitment.enabled and now < above <= 0.99:
        other = replace(retrial.settings, recruitment=replace(recruitment, quorum=above))
        if not retrial.under(other).trades():
            text = f"the quorum were above the deciding camp's {camp:.3f} (it is {now:.3f})"
            tell("quorum", now, above, text)
    if not retrial.silencing(np.full(retrial.state.scouts.gain.shape, True)).trades():
        tell("conviction", float(decision.conviction[retrial.at]), 0.0, "no scout had a conviction")
    if not retrial.unpriced().trades():
        price = float(retrial.observation.prices[retrial.at])
        tell("price", price, math.nan, "its price were not known: what is held stays then")
    return tuple(told)


def _weight_that_stays(retrial: _Retrial, target: float) -> float | None:
    """Return the first weight, beginning with the target, that is its own target; None: none is."""
    weight = target
    for _ in range(_TRIES):
        other = retrial.holding(weight)
        taken = other.decide()
        if not other.moves(taken):
            return weight
        weight = float(taken.target_weights[retrial.at])
    return None


def _cost_that_stops(retrial: _Retrial, cost: float) -> float | None:
    """Return about the least cost in bps at which the change does not pay; None: none is."""
    worker = retrial.settings.worker

    def stops(bps: float) -> bool:
        other = replace(worker, cost_bps=bps, cost_feedback_enabled=False)
        return not retrial.under(replace(retrial.settings, worker=other)).trades()

    low, high = cost, _COST_BPS_MAX
    if cost >= high or not stops(high):
        return None
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if stops(middle) else (middle, high)
    return high


def _counterfactuals(retrial: _Retrial, decision: Decision) -> tuple[Counterfactual, ...]:
    at, found = retrial.at, list[Counterfactual]()
    for place, name in enumerate(retrial.state.sense_names):
        if decision.sense_contributions[place, at] == 0.0:
            continue
        other = retrial.silencing(retrial.state.scouts.sense == place)
        taken = other.decide()
        found.append(
            Counterfactual(
                changed=f"had {name} abstained",
                target_weight=float(taken.target_weights[at]),
                trades=other.moves(taken),
            )
        )
    return tuple(found)
