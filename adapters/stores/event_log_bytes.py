"""Events from stored bytes, fast: compiled readers beside the canonical one of swarm_core."""

from collections.abc import Callable

import msgspec

from swarm_core.events import EVENT_CLASSES, Event, decode


class _Heading(msgspec.Struct):
    """What every event's bytes hold, whatever its class."""

    type: str
    v: int
    event_id: str


_heading = msgspec.json.Decoder(_Heading).decode
_READERS: dict[tuple[str, int], Callable[[bytes], Event]] = {
    (cls.__name__, cls.schema_version): msgspec.json.Decoder(cls).decode for cls in EVENT_CLASSES
}


def read_event(body: bytes) -> Event:
    """Return the event of bytes that `encode` wrote, now or by an older version.

    Raises ValueError on bytes that are no event. The same as `swarm_core.events.decode` for
    whatever a log holds; that one also reads what is not of the newest version.
    """
    try:
        heading = _heading(body)
        reader = _READERS.get((heading.type, heading.v))
        if reader is not None:
            return reader(body)
    except (msgspec.MsgspecError, ValueError, ArithmeticError):
        pass  # the canonical reader says what is wrong, or knows better
    return decode(body)


def find_event_id(body: bytes) -> str | None:
    """Return the id in an event's bytes, or None where they are no event."""
    try:
        return _heading(body).event_id
    except msgspec.MsgspecError:
        return None
