"""Events to stored bytes and back, fast: compiled ways beside the canonical ones of swarm_core."""

import re
from collections.abc import Callable, Iterable, Sequence
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
    return all(field.name < "type" and _is_simple(cls, field.name) for field in fields(cls))


def _ends_simply(cls: type[Event]) -> bool:
    """Return whether the last `type` in the bytes of a class is its own: no object comes after."""
    return all(field.name < "type" or _is_simple(cls, field.name) for field in fields(cls))


def _is_simple(cls: type[Event], name: str) -> bool:
    hint = get_type_hints(cls)[name]
    return hint in (int, str, bool, int | None) or _is_enum_of_texts(hint)


def _is_enum_of_texts(hint: object) -> bool:
    return (
        isinstance(hint, type)
        and issubclass(hint, Enum)
        and all(isinstance(member.value, str) for member in hint)
    )


_PLAIN_TAILS = {cls: _tail(cls) for cls in EVENT_CLASSES if _is_plain(cls)}
_TYPE = b',"type":"'
# By what stands after `type`: the name, the version, and in most classes the end.
_READERS_BY_END = {
    _tail(cls)[len(_TYPE) :]: _READERS[cls.__name__, cls.schema_version]
    for cls in EVENT_CLASSES
    if _ends_simply(cls)
}
_find_version = re.compile(rb'\w+","v":[0-9]+(?=,)').match
_encoder = msgspec.json.Encoder()  # fields are in the order of their names: `sort_fields`
_write_sorted, _write_lines = _encoder.encode, _encoder.encode_lines


def write_event(event: Event) -> bytes:
    """Return the canonical bytes of an event: the same as `swarm_core.events.encode` gives."""
    tail = _PLAIN_TAILS.get(event.__class__)
    if tail is not None:
        try:
            return _write_sorted(event)[:-1] + tail
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
            pass  # a number of another kind, or beyond 64 bits: the canonical writer knows it
    return encode(event)


def write_events(events: Sequence[Event]) -> list[bytes]:
    """Return what `write_event` gives for each; where all are plain, by one pass over them."""
    tails = [tail for event in events if (tail := _PLAIN_TAILS.get(event.__class__)) is not None]
    if len(tails) < len(events):
        return [write_event(event) for event in events]
    try:
        # A line break inside a JSON text is escaped: this can only be the end of an event.
        lines = _write_lines(events).split(b"\n")
        lines.pop()  # behind the last line break
        return [line[:-1] + tail for line, tail in zip(lines, tails, strict=True)]
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
        return [write_event(event) for event in events]


def read_event(body: bytes) -> Event:
    """Return the event of bytes that `encode` wrote, now or by an older version.

    Raises ValueError on bytes that are no event. The same as `swarm_core.events.decode` for
    whatever a log holds; that one also reads what is not of the newest version.
    """
    try:
        # Inside a JSON text a quote is escaped: this can only be a key, and the last one.
        known = _find_reader(body.rpartition(_TYPE)[2])
        if known is not None:
            return known(body)
        heading = _heading(body)
        reader = _READERS.get((heading.type, heading.v))
        if reader is not None:
            return reader(body)
    except (msgspec.MsgspecError, ValueError, ArithmeticError):
        pass  # the canonical reader says what is wrong, or knows better
    return decode(body)


def read_events(bodies: Sequence[bytes]) -> Iterable[Event]:
    """Return what `read_event` gives for each: at once, or one by one where one is special."""
    find = _READERS_BY_END.get
    try:
        return [
            (find(end := body.rpartition(_TYPE)[2]) or _find_reader(end) or read_event)(body)
            for body in bodies
        ]
    except (msgspec.MsgspecError, ValueError, ArithmeticError):
        return map(read_event, bodies)  # those before it are read, and it says what is wrong


def _find_reader(end: bytes) -> Callable[[bytes], Event] | None:
    """Return what reads an event whose bytes go on so after their last `type`, if that says it."""
    known = _READERS_BY_END.get(end)
    version = _find_version(end) if known is None else None
    return known if version is None else _READERS_BY_END.get(version[0] + b"}")


def find_event_id(body: bytes) -> str | None:
    """Return the id in an event's bytes, or None where they are no event."""
    try:
        return _heading(body).event_id
    except msgspec.MsgspecError:
        return None
