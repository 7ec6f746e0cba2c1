"""A colony under other settings: what it knows is carried over where it still has a place."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.founding import admit, new_state
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ACTIVE, EMPTY, Book, ColonyState, Memory, Queen, Scouts, Trust

Array = NDArray[np.generic]
_PER_SCOUT = tuple(name for name in Scouts._fields if name not in ("carried", "births"))


class SettingsChange(Protocol):
    """What the log holds of a signed-off change (swarm_core.colony_events)."""

    @property
    def digest_after(self) -> str: ...
    @property
    def settings(self) -> str: ...


def take_up(
    state: ColonyState, file: ColonySettings, changes: Sequence[SettingsChange], decided: str = ""
) -> tuple[ColonySettings, ColonyState]:
    """Return the settings that the next decision goes by, and the state carried over to them.

    `file` are the settings on disk, `decided` the digest of those that a recorded decision was
    made by (empty where nothing is decided yet). Settings other than the state's hold only where a
    change in the log brought them, for a new decision the newest one. Raises ValueError, in one
    line, where none did.
    """
    wanted = decided or file.digest()
    if wanted == file.digest():
        settings = file
    elif wanted == state.settings_digest and state.settings:
        settings = ColonySettings.from_text(state.settings)
    else:
        settings = _changed_to(wanted, changes)
    if wanted == state.settings_digest:
        return settings, state
    # What was decided stands; a new decision needs the newest word, and not one taken back since.
    signed_off = [change.digest_after for change in (changes if decided else changes[-1:])]
    if wanted not in signed_off:
        raise ValueError(
            f"the colony's settings must be those it decided by ({state.settings_digest[:12]}), "
            f"were {wanted[:12]}: `apiary colony apply --by NAME --reason TEXT` puts others in "
            "force"
        )
    return settings, migrate(settings, state)


def _changed_to(digest: str, changes: Sequence[SettingsChange]) -> ColonySettings:
    for change in changes:
        if change.digest_after == digest:
            return ColonySettings.from_text(change.settings)
    raise ValueError(f"settings {digest[:12]} must stand in the log to decide by them, did not")


def migrate(settings: ColonySettings, state: ColonyState) -> ColonyState:
    """Return the state under these settings; the same state and settings give the same bits.

    Kept are instruments, prices remembered, trails, camps, regimes, the book's memory, and of the
    scouts and the trust in them all whose sense and columns remain. A sense that is new brings its
    founders, with the trust of newcomers. What has another shape (a learner's grid, the number of
    memories, the horizons) begins anew. Raises ValueError where the instruments do not fit.
    """
    fresh = new_state(settings, state.instrument_ids, state.seed)
    fresh = admit(fresh, state.instrument_ids, state.class_names, settings.instruments_max)
    places = _places(state, fresh)
    return dataclasses.replace(
        fresh,
        steps=state.steps,
        time_ns=state.time_ns,
        memory=_memory(state, fresh),
        scouts=_scouts(state, fresh, places),
        trust=_trust(state, fresh, places),
        queen=_queen(state, fresh),
        field=state.field,
        book=Book(*(array.copy() for array in state.book)),
    )


def _places(old: ColonyState, fresh: ColonyState) -> NDArray[np.int64]:
    """Return [K] of the fresh state: the old place of each scout, -1 for a founder, -2 for none.

    Living scouts that may stay come first, the most trusted where there is no room for all.
    """
    s = old.scouts
    names = ("sense_names", "columns", "market_keys")
    alike = all(getattr(old, name) == getattr(fresh, name) for name in names)
    if alike and s.status.shape == fresh.scouts.status.shape:
        return np.arange(len(s.status))  # nobody moves
    stays = [k for k in range(len(s.status)) if s.status[k] != EMPTY and _fits(old, fresh, k)]
    new_senses = {i for i, n in enumerate(fresh.sense_names) if n not in old.sense_names}
    founders = [
        k for k in range(len(fresh.scouts.status))
        if fresh.scouts.status[k] != EMPTY and int(fresh.scouts.sense[k]) in new_senses
    ]  # fmt: skip
    room = len(fresh.scouts.status) - len(founders)
    best = sorted(stays, key=lambda k: (-float(old.trust.weight[k]), int(s.identity[k])))[:room]
    kept = sorted(best)
    out = np.full(len(fresh.scouts.status), -2, np.int64)
    free = [k for k in range(len(out)) if k not in founders]
    out[free[: len(kept)]] = kept
    out[founders] = -1
    return out


def _fits(old: ColonyState, fresh: ColonyState, k: int) -> bool:
    s = old.scouts
    sense, column, scale, gate = (int(values[k]) for values in (s.sense, s.column, s.scale, s.gate))
    return (
        old.sense_names[sense] in fresh.sense_names
        and old.columns[column] in fresh.columns
        and (scale < 0 or old.columns[scale] in fresh.columns)
        and (gate < 0 or old.market_keys[gate] in fresh.market_keys)
    )


def _scouts(old: ColonyState, fresh: ColonyState, places: NDArray[np.int64]) -> Scouts:
    s, kept = old.scouts, places >= 0
    found = {name: getattr(fresh.scouts, name).copy() for name in _PER_SCOUT}
    found["status"][places == -2] = EMPTY
    found["identity"][places == -2] = -1
    for name, values in found.items():
        values[kept] = getattr(s, name)[places[kept]]
    for name, was, now in (
        ("sense", old.sense_names, fresh.sense_names),
        ("column", old.columns, fresh.columns),
        ("scale", old.columns, fresh.columns),
        ("gate", old.market_keys, fresh.market_keys),
    ):
        for k in np.flatnonzero(kept):
            place = int(found[name][k])
            found[name][k] = now.index(was[place]) if place >= 0 else -1
    births = s.births.copy()
    for k in np.flatnonzero(places == -1):
        found["status"][k], found["born_step"][k] = ACTIVE, old.steps
        found["identity"][k] = births[0]
        births[0] += 1
    carried = fresh.scouts.carried.copy()
    if s.carried.shape[0] == carried.shape[0]:
        carried[:, kept] = s.carried[:, places[kept]]
    return Scouts(carried=carried, births=births, **found)


def _trust(old: ColonyState, fresh: ColonyState, places: NDArray[np.int64]) -> Trust:
    t, f = old.trust, fresh.trust
    last = len(places)
    index = np.append(np.maximum(places, 0), len(old.scouts.status))
    kept, born = np.append(places >= 0, True), np.append(places == -1, False)
    anchor = np.where(born, f.weight, 0.0)
    nobody_moves = np.array_equal(places, np.arange(len(old.scouts.status)))

    def spread(vectors: Array) -> NDArray[np.float64]:
        """Return vectors of mass one over the new places: newcomers get their founding share."""
        if nobody_moves:
            return np.asarray(vectors, np.float64).copy()
        out = np.where(kept, np.asarray(vectors, np.float64)[..., index], 0.0)
        mass = out.sum(axis=-1, keepdims=True)
        idle = np.zeros(last + 1)
        idle[last] = 1.0
        out = np.divide(out, mass, out=np.broadcast_to(idle, out.shape).copy(), where=mass > 0.0)
        return out * (1.0 - anchor.sum()) + anchor

    def moved(values: Array) -> NDArray[np.float64]:
        return np.where(kept, np.asarray(values, np.float64)[index], 0.0)

    learner = spread(t.learner) if len(t.learner) == len(f.learner) else f.learner
    same_slots = len(t.memory) == len(f.memory)
    same = same_slots and t.candidate.shape == f.candidate.shape
    return Trust(
        weight=spread(t.weight),
        payoff=moved(t.payoff),
        variance=moved(t.variance),
        learner=learner,
        regime=spread(t.regime),
        memory=spread(t.memory) if same_slots else f.memory,
        memory_belief=t.memory_belief.copy() if same_slots else f.memory_belief,
        candidate=t.candidate.copy() if same else f.candidate,
        opposite=moved(t.opposite),
        succession=t.succession.copy() if same_slots else f.succession,
        excursion=t.excursion.copy() if same_slots else f.excursion,
        tempo=t.tempo.copy() if same_slots else f.tempo,
        pooled=t.pooled.copy(),
    )


def _memory(old: ColonyState, fresh: ColonyState) -> Memory:
    m, f = old.memory, fresh.memory
    ring = f.log_price.copy()
    was, now = len(m.log_price), len(ring)
    for back in range(1, min(was, now, old.steps) + 1):
        ring[(old.steps - back) % now] = m.log_price[(old.steps - back) % was]
    keys = {}
    for name in ("standard_mean", "standard_variance", "standard_weight", "market"):
        values = getattr(f, name).copy()
        for place, key in enumerate(fresh.market_keys):
            if key in old.market_keys:
                values[place] = getattr(m, name)[old.market_keys.index(key)]
        keys[name] = values
    plain = ("last_log_price", "sigma", "variance", "outcome", "market_moment")
    return Memory(log_price=ring, **{name: getattr(m, name).copy() for name in plain}, **keys)


def _queen(old: ColonyState, fresh: ColonyState) -> Queen:
    q, f = old.queen, fresh.queen
    found = {name: getattr(f, name).copy() for name in Queen._fields}
    found["posterior"], found["held"] = q.posterior.copy(), q.held.copy()
    for name in Queen._fields:
        if name.startswith("class_"):
            found[name] = getattr(q, name).copy()
        elif name.startswith("sense_"):
            rows = name == "sense_conviction"
            for now, sense in enumerate(fresh.sense_names):
                if sense in old.sense_names:
                    was = old.sense_names.index(sense)
                    here = (now,) if rows else (..., now)
                    there = (was,) if rows else (..., was)
                    found[name][here] = getattr(q, name)[there]
    return Queen(**found)
