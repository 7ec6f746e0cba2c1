"""What travels on the bus, what a bus can do, and the two loops around it: relay and consume."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from swarm_core import events as ev

BATCH = 500  # messages a publish is given at once
_JOIN = b"\n"


class BusError(OSError):
    """The bus did not answer, refused, or broke off; nothing may be assumed of the last call."""


class BusMismatchError(ValueError):
    """The bus does not continue this log: its last message is not the log's record there."""


class BusGapError(ValueError):
    """A message is missing between two that came; it must be read from the log."""


@dataclass(frozen=True, slots=True)
class Message:
    """One record of the log: its place, its hash in the chain, and the event's canonical bytes."""

    sequence: int
    hash: str
    body: bytes

    @classmethod
    def of(cls, recorded: ev.RecordedEvent) -> "Message":
        """Return the message of a record."""
        return cls(recorded.sequence, recorded.hash, ev.encode(recorded.event))

    @property
    def event(self) -> ev.Event:
        """The event, lifted to its newest version; ValueError where it cannot be read."""
        return ev.decode(self.body)

    def to_bytes(self) -> bytes:
        """Return the message as one value: sequence, hash and body, a line each."""
        return _JOIN.join((str(self.sequence).encode(), self.hash.encode(), self.body))

    @classmethod
    def from_bytes(cls, value: bytes) -> "Message":
        """Return the message of such a value; ValueError where it is none."""
        parts = value.split(_JOIN, 2)
        if len(parts) != 3 or not parts[0].isdigit():
            raise ValueError(f"a message must be sequence, hash and body, was {value[:80]!r}")
        return cls(int(parts[0]), parts[1].decode("ascii"), parts[2])


class Log(Protocol):
    """The part of the event log that the relay needs."""

    def read(self, after_sequence: int = 0) -> Iterable[ev.RecordedEvent]: ...


class EventBus(Protocol):
    """Messages in the order of their sequence, and how far each group of consumers has come.

    Every call raises BusError where the bus does not answer.
    """

    def find_last(self) -> Message | None:
        """Return the newest message, None where nothing was ever published."""
        ...

    def publish(self, messages: Sequence[Message]) -> None:
        """Add messages that follow the last one; they last once the call returns.

        What is there already is left as it is. A call that broke off may have published some.
        """
        ...

    def read(self, group: str, count_max: int) -> Sequence[Message]:
        """Return the messages after the group's offset, oldest first; the same until it commits."""
        ...

    def commit(self, group: str, sequence: int) -> None:
        """Say that the group is done with everything up to this message; it never goes back."""
        ...

    def committed(self, group: str) -> int:
        """Return the last message that the group is done with, 0 for a new group."""
        ...


def relay(log: Log, bus: EventBus, batch: int = BATCH) -> int:
    """Publish what the log has and the bus has not, in order; return how many messages that was.

    Killed anywhere and started again, it goes on after the last message that arrived. Raises
    BusMismatchError where the bus holds another log's events, BusError where it is away.
    """
    last = bus.find_last()
    if last is not None:
        _check_same_log(log, last)
    records = iter(log.read(0 if last is None else last.sequence))
    count = 0
    while messages := [Message.of(r) for r in islice(records, batch)]:
        bus.publish(messages)
        count += len(messages)
    return count


def _check_same_log(log: Log, last: Message) -> None:
    mine = next(iter(log.read(last.sequence - 1)), None)
    if mine is None or (mine.sequence, mine.hash) != (last.sequence, last.hash):
        found = "the log ends before it" if mine is None else f"the log has {mine.hash[:12]} there"
        raise BusMismatchError(
            f"the bus must continue this log: its message {last.sequence} is {last.hash[:12]}, "
            f"{found}"
        )


def consume(
    bus: EventBus, group: str, handle: Callable[[Message], None], count_max: int = BATCH
) -> int:
    """Hand every new message to `handle` once, in order, and commit; return how many there were.

    A message that arrives again is passed over. What `handle` raises ends the call with everything
    before that message committed, so that it comes again. Raises BusGapError on a gap.
    """
    done = bus.committed(group)
    count = 0
    while fresh := list(_in_order(bus, group, bus.read(group, count_max), done)):
        try:
            for message in fresh:
                handle(message)
                done = message.sequence
                count += 1
        finally:
            if done >= fresh[0].sequence:
                bus.commit(group, done)
    return count


def _in_order(
    bus: EventBus, group: str, messages: Sequence[Message], done: int
) -> Iterator[Message]:
    """Yield the messages after `done`; those before them another consumer may have committed."""
    for message in messages:
        if message.sequence <= done:
            continue
        if message.sequence != done + 1 and bus.committed(group) < message.sequence - 1:
            raise BusGapError(
                f"the message after {done} must be {done + 1}, was {message.sequence}: "
                "read the log from there"
            )
        done = message.sequence
        yield message


def check_group(group: str) -> None:
    """Raise ValueError where the name of a group is empty or unprintable."""
    if not group or not group.isprintable():
        raise ValueError(f"group must be printable text, was {group!r}")
