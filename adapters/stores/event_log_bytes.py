"""Events to stored bytes and back, fast: compiled ways beside the canonical ones of swarm_core."""

from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from typing import get_type_hints

import msgspec

from swarm_core.events import EVENT_CLASSES, Event, decode, encode


class _Heading(msgspec.Struct):
    """What every event's bytes hold, whatever its class."""

    type: str
    v: int
    event_id: str


_heading = msgspec.json.Decoder(_Heading).decode
_READERS: dict[tuple[str, int], Callable[[bytes], Event]] = {
    (cls.__name__, cls.schema_version): msgspec.json.Decoder(cls).decode for cls in EVENT_CLASSES
}


def _tail(cls: type[Event]) -> bytes:
    """Return how the bytes of a class end where no field's name comes after `type`."""
    return b',"type":"%s","v":%d}' % (cls.__name__.encode(), cls.schema_version)


def _is_plain(cls: type[Event]) -> bool:
    """Return whether all fields are whole numbers, texts and flags, and come before `type`."""
    hints = get_type_hints(cls)
    return all(
        field.name < "type"
        and (
            hints[field.name] in (int, str, bool, int | None)
            or _is_enum_of_texts(hints[field.name])
        )
        for field in fields(cls)
    )


def _is_enum_of_texts(hint: object) -> bool:
    return (
        isinstance(hint, type)
        and issubclass(hint, Enum)
        and all(isinstance(member.value, str) for member in hint)
    )


_PLAIN_TAILS = {cls: _tail(cls) for cls in EVENT_CLASSES if _is_plain(cls)}
_PLAIN_READERS = {tail: msgspec.json.Decoder(cls).decode for cls, tail in _PLAIN_TAILS.items()}
_write_sorted = msgspec.json.Encoder(order="sorted").encode


def write_event(event: Event) -> bytes:
    """Return the canonical bytes of an event: the same as `swarm_core.events.encode` gives."""
    tail = _PLAIN_TAILS.get(event.__class__)
    if tail is not None:
        try:
            return _write_sorted(event)[:-1] + tail
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
            pass  # a number of another kind, or beyond 64 bits: the canonical writer knows it
    return encode(event)


def read_event(body: bytes) -> Event:
    """Return the event of bytes that `encode` wrote, now or by an older version.

    Raises ValueError on bytes that are no event. The same as `swarm_core.events.decode` for
    whatever a log holds; that one also reads what is not of the newest version.
    """
    try:
        # Inside a JSON text a quote is escaped: this can only be the end of the whole.
        plain = _PLAIN_READERS.get(body[body.rfind(b',"type":"') :])
        if plain is not None:
            return plain(body)
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
