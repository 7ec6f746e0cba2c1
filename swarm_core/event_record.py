"""What every event carries, and its place in the log."""

from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, NamedTuple


def make_event_id(kind: str, *parts: str | int) -> str:
    """Return the id of a fact: 32 hex characters of the hash of its kind and its parts."""
    text = "\x1f".join((kind, *map(str, parts)))
    return sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event carries; `time_ns` is nanoseconds since 1970 in UTC."""

    schema_version: ClassVar[int] = 1

    event_id: str
    time_ns: int
    causation_id: str = ""
    correlation_id: str = ""

    def __post_init__(self) -> None:
        if not self.event_id:
            raise ValueError("event_id must not be empty, was ''")
        if self.time_ns < 0:
            raise ValueError(f"time_ns must be >= 0, was {self.time_ns}")


def sort_fields(cls: type[Event]) -> None:
    """Let whoever walks over the fields of an event meet them in the order of their names.

    Canonical bytes hold them so: what writes them need not sort, and what reads them finds each
    where it looks first. Fields are given by keyword, so their order means nothing else.
    """
    unsorted = cls.__dataclass_fields__
    cls.__dataclass_fields__ = {name: unsorted[name] for name in sorted(unsorted)}


class RecordedEvent(NamedTuple):
    """An event at its place in the log; `hash` covers it and everything before it (hex)."""

    sequence: int
    event: Event
    hash: str
    previous_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent(Event):
    """What happened to one order."""

    client_order_id: str
