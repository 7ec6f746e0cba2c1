"""A change of the colony's settings in a home that has decided: signed off, and on record."""

import zlib
from typing import Protocol

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.colony import codec
from swarm_core.colony.migration import migrate
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ColonyState
from swarm_core.ports import EventLog

STATES = "colony_states"


class StateReader(Protocol):
    """Where the colony's state after each session is kept."""

    def find(self, space: str, key: str) -> bytes | None: ...


def decided_sessions(book: Book) -> list[str]:
    """Return the sessions that a colony decided, oldest first."""
    decided = [d.lineage for d in book.decisions.values() if d.lineage.colony_state_digest]
    return sorted(lineage.session for lineage in decided)


def newest_state(book: Book, states: StateReader) -> ColonyState | None:
    """Return the state after the newest session that a colony decided; None before the first.

    Raises ValueError where it is not stored.
    """
    sessions = decided_sessions(book)
    if not sessions:
        return None
    stored = states.find(STATES, sessions[-1])
    if stored is None:
        raise ValueError(f"the colony's state after {sessions[-1]} must be stored, was not")
    return codec.decode(zlib.decompress(stored))


def differences(before: str, after: ColonySettings) -> tuple[str, ...]:
    """Return what changes, as "caste.name: old -> new"; `before` is a settings' canonical text."""
    if not before:
        return ()
    old = _flat(ColonySettings.from_text(before).to_mapping())
    new = _flat(after.to_mapping())
    return tuple(f"{name}: {old[name]} -> {new[name]}" for name in old if old[name] != new[name])


def _flat(mapping: dict[str, object], above: str = "") -> dict[str, object]:
    out: dict[str, object] = {}
    for name, value in mapping.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{above}{name}.")
        else:
            out[above + name] = value
    return out


def sign_off(
    settings: ColonySettings,
    state: ColonyState | None,
    *,
    book: Book,
    log: EventLog,
    time_ns: int,
    by: str,
    reason: str,
) -> ev.ColonySettingsChanged:
    """Put the change on record and return it; the next decision carries the state over.

    Raises ValueError where nothing is decided yet, nothing changes, the state cannot be carried
    over, or no name or reason is given.
    """
    if state is None:
        raise ValueError(
            "the colony must have decided before its settings change, has not: it will be founded "
            "with the file as it is"
        )
    signed_off = book.colony_changes[-1].digest_after if book.colony_changes else ""
    if settings.digest() in (signed_off, state.settings_digest):
        raise ValueError(
            f"settings must differ from those in force, {settings.digest()[:12]} do not"
        )
    migrate(settings, state)  # it must be possible before anybody relies on it
    change = ev.ColonySettingsChanged(
        event_id=ev.make_event_id("ColonySettingsChanged", settings.digest(), book.sequence),
        time_ns=time_ns,
        digest_before=state.settings_digest,
        digest_after=settings.digest(),
        settings=settings.text(),
        changed=differences(state.settings, settings),
        actor=by,
        reason=reason,
    )
    log.append([change], expected_sequence=book.sequence)
    return change
