"""Why this order: contributions, trails, thresholds, and what would have made it no trade."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from swarm_core.colony.decision import Decision
from swarm_core.colony.engine import step
from swarm_core.colony.observation import Observation
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ColonyState

_MOVED = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """What the decision on one instrument would have been had something been different."""

    changed: str
    target_weight: float
    trades: bool


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
    conditions: tuple[str, ...]  # what would have had to be different for no trade
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
        lines += [f"  no trade if {text}" for text in self.conditions]
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
) -> Explanation:
    """Return why the decision is what it is for one instrument.

    With the settings, the state before and the observation the decision is replayed with each
    sense silenced in turn, and with the drones off: exact counterfactuals. Raises ValueError
    where the instrument is not in the decision, or the state given is not the one before it.
    """
    if instrument_id not in decision.instrument_ids:
        raise ValueError(
            f"instrument_id must be one of the decision's {len(decision.instrument_ids)}, "
            f"was {instrument_id!r}"
        )
    at = decision.instrument_ids.index(instrument_id)
    others: tuple[Counterfactual, ...] = ()
    if settings is not None and state is not None and observation is not None:
        others = _counterfactuals(settings, state, observation, decision, at)
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
        conditions=_conditions(decision, at, settings),
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


def _conditions(decision: Decision, at: int, settings: ColonySettings | None) -> tuple[str, ...]:
    """Return the nearest gates, each of which alone would have stopped the trade."""
    found = _measures(decision, at)
    camp = max(found["camp_long"], found["camp_short"])
    quorum = settings.recruitment.quorum if settings else None
    conditions = [
        f"the deciding camp ({camp:.3f}) were below the quorum"
        + (f" of {quorum:.3f}" if quorum is not None else ""),
        f"the weight held were within {found['band']:.4%} of {found['solved']:+.4%}",
        f"no sense spoke for it (now {found['senses']:.2f} independent ones do)",
    ]
    return tuple(conditions) if found["side"] != 0.0 else ()


def _counterfactuals(
    settings: ColonySettings,
    state: ColonyState,
    observation: Observation,
    decision: Decision,
    at: int,
) -> tuple[Counterfactual, ...]:
    _, replayed = step(settings, state, observation)
    if replayed.state_digest_before != decision.state_digest_before:
        raise ValueError(
            f"state must be the one before the decision ({decision.state_digest_before[:12]}), "
            f"was {replayed.state_digest_before[:12]}"
        )
    weight = _weight_before(observation, at)
    found = list[Counterfactual]()
    for place, name in enumerate(state.sense_names):
        if decision.sense_contributions[place, at] == 0.0:
            continue
        # A gain of zero makes every scout of the sense abstain, and changes nothing else.
        gain = np.where(state.scouts.sense == place, 0.0, state.scouts.gain)
        silenced = dataclasses.replace(state, scouts=state.scouts._replace(gain=gain))
        _, other = step(settings, silenced, observation)
        found.append(_compare(f"had {name} abstained", other, at, weight))
    return tuple(found)


def _compare(changed: str, other: Decision, at: int, weight: float | None) -> Counterfactual:
    target = float(other.target_weights[at])
    return Counterfactual(
        changed=changed,
        target_weight=target,
        trades=weight is not None and abs(target - weight) > _MOVED,
    )
