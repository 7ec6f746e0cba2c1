"""From the arrays of one cycle to a Decision: names, contributions, reasons, vetoes and events."""

import hashlib
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony import codec
from swarm_core.colony.blueprint import scout_name
from swarm_core.colony.cycle import Output
from swarm_core.colony.decision import (
    ColonyEvent,
    Decision,
    ScoutShares,
    StateDigest,
    Veto,
    VetoCode,
)
from swarm_core.colony.drones import DRIFT, limits_of
from swarm_core.colony.observation import Observation
from swarm_core.colony.parameters import DroneParameters, parameters
from swarm_core.colony.purse import learned_cost
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.settings_castes import CHANNELS
from swarm_core.colony.state import EMPTY, REGIMES, ColonyState

_CODES = tuple(VetoCode)
REASONS = (
    "no trade: no scout has a conviction",
    "no trade: neither camp reached the quorum",
    "no trade: too few independent senses behind the camp",
    "no trade: the change would not pay for its cost",
    "traded: the camp for long decided",
    "traded: the camp for short decided",
    "reduced: no camp decided any more",
    "reduced: a limit of the book binds",
    "no trade: a veto binds the book",
    "no trade: a limit of the book binds",
    "no trade: that its convictions pay is less likely than not",
)
_BOOK_REASONS = {
    VetoCode.DRAWDOWN: "the drawdown must stay below its limit: only reductions",
    VetoCode.VALUE_AT_RISK: "the value at risk must stay below its limit: only reductions",
    VetoCode.EXPECTED_SHORTFALL: "the shortfall must stay below its limit: only reductions",
    VetoCode.EXPOSURE: "the gross exposure must stay below its limit: only reductions",
    VetoCode.CONCENTRATION: "one name holds more than its limit: it may only be reduced",
    VetoCode.CORRELATION: "the instruments move as one: only reductions",
    VetoCode.MODEL_DRIFT: "the forecast no longer pays as it did: its sense is silenced",
}
_HOLD_REASONS = {
    VetoCode.STALE_DATA: "held: the data are older than their limit",
    VetoCode.NO_PRICE: "held: no usable price",
    VetoCode.ANOMALY: "held: the bar looks like nothing seen before",
    VetoCode.UNKNOWN_POSITION: "held: what is held is not known",
}


def decision_of(
    settings: ColonySettings,
    before: ColonyState,
    after: ColonyState,
    observation: Observation,
    order: NDArray[np.int64],
    out: Output,
) -> Decision:
    """Return the decision in the observation's instrument order."""
    living = np.flatnonzero(after.scouts.status != EMPTY)
    trust = after.trust.weight[living]
    vetoes = _vetoes(settings, after, out, order, observation.instrument_ids)
    decision_id = _decision_id(before, observation.time_ns, out)
    target = out.target[order]
    return Decision(
        decision_id=decision_id,
        time_ns=observation.time_ns,
        instrument_ids=observation.instrument_ids,
        conviction=out.conviction[order],
        target_weights=target,
        sense_names=after.sense_names,
        sense_contributions=after.queen.sense_conviction[:, order],
        scout_names=scout_names(after, living),
        scout_shares=ScoutShares(partial(_weigh_scouts, out.scouts, trust, living, order)),
        trust=trust,
        channel_names=CHANNELS,
        trails=after.field.trails[:, order],
        regime_names=REGIMES,
        regime_posterior=after.queen.posterior.copy(),
        reasons=_reasons(out, order),
        vetoes=vetoes,
        digest_before=StateDigest(partial(codec.digest, before)),
        digest_after=StateDigest(partial(codec.digest, after)),
        events=_events(before, after, vetoes),
        diagnostics=_diagnostics(settings, after, out, order),
    )


def _weigh_scouts(
    scouts: NDArray[np.float32],
    trust: NDArray[np.float64],
    living: NDArray[np.int64],
    order: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return [L, N]: the living scouts' shares of the conviction, in the order asked for."""
    return trust[:, None] * scouts[np.ix_(living, order)]


def _decision_id(before: ColonyState, time_ns: int, out: Output) -> str:
    """Return an id that is the same wherever the same decision is taken from the same history."""
    hasher = hashlib.sha256(before.settings_digest.encode())
    hasher.update(f"{before.seed} {before.steps} {before.time_ns} {time_ns}".encode())
    for values in (before.trust.weight, out.conviction, out.target):
        hasher.update(values.tobytes())
    return hasher.hexdigest()[:32]


def _diagnostics(
    settings: ColonySettings, after: ColonyState, out: Output, order: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    per_instrument = {
        name: np.asarray(getattr(out, name)[order], np.float64)
        for name in (
            "threshold",
            "probability",
            "side",
            "senses",
            "band",
            "desired",
            "solved",
            "danger",
            "held",
        )
    }
    return {
        **per_instrument,
        "camp_long": after.field.camps[0, order],
        "camp_short": after.field.camps[1, order],
        "sigma": after.memory.sigma[order],
        "share": out.share.copy(),
        "idle_trust": after.trust.weight[-1:].copy(),
        "measured": out.measured.copy(),
        "bound": out.bound.copy(),
        "market": after.memory.market.copy(),
        "cost": np.array([learned_cost(after.book, parameters(settings).worker)]),
        "class_budget": after.queen.class_budget.copy(),
    }


def scout_names(state: ColonyState, living: NDArray[np.int64]) -> tuple[str, ...]:
    """Return the names of the scouts at these places."""
    s = state.scouts
    whole = (s.identity, s.sense, s.column, s.shape, s.scale, s.gate)
    # Bytes are hashed faster than tuples, and scouts change only now and then.
    return _names(
        b"".join(array.tobytes() for array in whole),
        s.gain.tobytes() + s.center.tobytes(),
        living.tobytes(),
        state.sense_names,
        state.columns,
        state.market_keys,
    )


@lru_cache(maxsize=16)
def _names(
    whole: bytes,
    real: bytes,
    living: bytes,
    senses: tuple[str, ...],
    columns: tuple[str, ...],
    gates: tuple[str, ...],
) -> tuple[str, ...]:
    chosen = np.frombuffer(living, np.int64)
    places: list[list[int]] = np.frombuffer(whole, np.int64).reshape(6, -1).T[chosen].tolist()
    sizes: list[list[float]] = np.frombuffer(real, np.float64).reshape(2, -1).T[chosen].tolist()
    names: list[str] = []
    for (identity, sense, column, shape, scale, gate), (gain, center) in zip(
        places, sizes, strict=True
    ):
        scale_name = columns[scale] if scale >= 0 else ""
        gate_name = gates[gate] if gate >= 0 else ""
        genome = (columns[column], shape, gain, center, scale_name, gate_name)
        names.append(scout_name(senses[sense], genome, identity))
    return tuple(names)


def _reasons(out: Output, order: NDArray[np.int64]) -> tuple[str, ...]:
    """Return why each instrument is traded or not; explain() gives the numbers."""
    held = out.held[order]
    codes: list[int] = out.reason[order].tolist()
    texts = [REASONS[c] for c in codes]
    for at in np.flatnonzero(held >= 0).tolist():
        texts[at] = _HOLD_REASONS[_CODES[int(held[at])]]
    return tuple(texts)


def _vetoes(
    settings: ColonySettings,
    after: ColonyState,
    out: Output,
    order: NDArray[np.int64],
    ids: tuple[str, ...],
) -> tuple[Veto, ...]:
    drone = parameters(settings).drone
    limit, vetoes = _veto_limits(drone), list[Veto]()
    measured: list[float] = out.measured.tolist()
    bound: list[float] = out.bound.tolist()
    drifted = drone.enabled and measured[DRIFT] > drone.drift_max
    for c, code in enumerate(_CODES):
        binds = drifted if code is VetoCode.MODEL_DRIFT else bound[c] > 0.0
        if binds and code in _BOOK_REASONS:
            vetoes.append(Veto(code, None, measured[c], limit[c], _BOOK_REASONS[code]))
    held = out.held[order]
    for at in np.flatnonzero(held >= 0).tolist():
        code = _CODES[int(held[at])]
        vetoes.append(Veto(code, ids[at], 1.0, limit[int(held[at])], _HOLD_REASONS[code]))
    return tuple(vetoes)


@lru_cache(maxsize=32)
def _veto_limits(drone: DroneParameters) -> tuple[float, ...]:
    return tuple(limits_of(drone).tolist())


def _events(
    before: ColonyState, after: ColonyState, vetoes: tuple[Veto, ...]
) -> tuple[ColonyEvent, ...]:
    events = list[ColonyEvent]()
    held_before, held = int(before.queen.held[0]), int(after.queen.held[0])
    if held != held_before:
        lead = float(after.queen.posterior[held])
        events.append(ColonyEvent("RegimeChanged", REGIMES[held], lead, REGIMES[held_before]))
    first, last = int(before.scouts.births[0]), int(after.scouts.births[0])
    for identity in range(first, last):
        events.append(ColonyEvent("ScoutBorn", str(identity), 1.0))
    was, now = before.scouts.status, after.scouts.status
    for k in np.flatnonzero(was != now).tolist():
        kind = ("ScoutDied", "ScoutWoke", "ScoutFellAsleep")[int(now[k])]
        if was[k] != EMPTY:
            events.append(ColonyEvent(kind, str(int(before.scouts.identity[k])), 1.0))
    foragers = after.queen.sense_allocation
    deposits = foragers * np.abs(after.queen.sense_conviction).sum(axis=1)
    for name, total in zip(after.sense_names, deposits.tolist(), strict=True):
        events.append(ColonyEvent("TrailsMarked", name, total))
    drawn = (
        ("ForagersAllocated", after.sense_names, before.queen.sense_allocation, foragers),
        ("RiskBudgetAllocated", after.class_names, before.queen.class_budget,
         after.queen.class_budget),
    )  # fmt: skip
    for kind, names, was_drawn, shares in drawn:
        if shares.tolist() != was_drawn.tolist():
            told = zip(names, shares.tolist(), strict=True)
            events += [ColonyEvent(kind, name, share) for name, share in told]
    for veto in vetoes:
        subject = veto.instrument_id or "book"
        events.append(ColonyEvent("Vetoed", subject, veto.value, veto.code.value))
    return tuple(events)
