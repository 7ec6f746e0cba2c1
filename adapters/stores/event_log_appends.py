"""What every event log does with an append: know what it holds, chain the rest, share a sync."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import NamedTuple, overload

from adapters.stores.event_log_bytes import read_event
from swarm_core.event_chain import chain_hash, packed_numbers
from swarm_core.events import Event, RecordedEvent, decode
from swarm_core.ports import ConcurrentAppendError


class EventConflictError(ValueError):
    """An event id is in the log already, with other contents."""


class Row(NamedTuple):
    """A record as a log stores it: its bytes, its hash and the hash before it."""

    sequence: int
    body: bytes
    hash: bytes
    previous_hash: bytes


def recorded(row: Row) -> RecordedEvent:
    """Return a stored record as it is read; ValueError on bytes that are no event."""
    return RecordedEvent(
        row.sequence, read_event(row.body), row.hash.hex(), row.previous_hash.hex()
    )


class Written(NamedTuple):
    """Records `first`..`last` were written in one append at `time_ns`, ns since 1970, UTC."""

    first: int
    last: int
    time_ns: int


class Run(Sequence[Row]):
    """Records that follow each other, `first` behind a record of the hash `before`.

    Each becomes a row only when somebody looks at it.
    """

    def __init__(
        self, first: int, bodies: Sequence[bytes], hashes: Sequence[bytes], before: bytes
    ) -> None:
        self.first, self.bodies, self.hashes, self.before = first, bodies, hashes, before

    @property
    def last(self) -> int:
        return self.first + len(self.bodies) - 1

    def __len__(self) -> int:
        return len(self.bodies)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        places = range(len(self.bodies))[index]
        return self._row(places) if isinstance(places, int) else [self._row(i) for i in places]

    def recorded(self, events: Sequence[Event]) -> Iterator[RecordedEvent]:
        """Yield the records of the events that the rows hold, in order."""
        make, kind = tuple.__new__, RecordedEvent  # the constructor of a named tuple is Python
        previous = self.before.hex()
        for sequence, (event, digest) in enumerate(
            zip(events, self.hashes, strict=True), self.first
        ):
            current = digest.hex()
            yield make(kind, (sequence, event, current, previous))
            previous = current

    def _row(self, place: int) -> Row:
        before = self.hashes[place - 1] if place else self.before
        return Row(self.first + place, self.bodies[place], self.hashes[place], before)


class Appended(Sequence[RecordedEvent]):
    """The records of an append, each made only when somebody looks at it."""

    def __init__(self, events: Sequence[Event], rows: Sequence[Row]) -> None:
        self._events, self._rows = events, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> RecordedEvent: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RecordedEvent]: ...
    def __getitem__(self, index: int | slice) -> RecordedEvent | Sequence[RecordedEvent]:
        if isinstance(index, slice):
            return Appended(self._events[index], self._rows[index])
        row = self._rows[index]
        return RecordedEvent(
            row.sequence, self._events[index], row.hash.hex(), row.previous_hash.hex()
        )

    def __iter__(self) -> Iterator[RecordedEvent]:
        if isinstance(self._rows, Run):
            return self._rows.recorded(self._events)
        return (self[index] for index in range(len(self._rows)))


@dataclass(slots=True, eq=False)
class Request:
    """One append that waits for its turn; `failure` or `rows` is its outcome."""

    events: Sequence[Event]
    bodies: Sequence[bytes]
    expected_sequence: int | None
    written: Sequence[Written] | None = None  # when, where it is a copy; else it is now
    done: bool = False
    rows: Sequence[Row] = ()
    failure: BaseException | None = None

    def result(self) -> Sequence[RecordedEvent]:
        if self.failure is not None:
            raise self.failure
        return Appended(self.events, self.rows)


def link(
    request: Request, head: tuple[int, bytes], known: Callable[[str], Row | None] | None
) -> Run:
    """Place a request behind `head`: its rows are set, and those that are new are returned.

    `known` finds the row of an event id; None where the caller has seen that none is known and
    that no two are the same. Raises EventConflictError on a known id with other contents,
    ConcurrentAppendError where the last record is not the expected one.
    """
    expected = request.expected_sequence
    if expected is not None and head[0] != expected:
        raise ConcurrentAppendError(f"the last record must be {expected}, was {head[0]}: read on")
    if known is None:
        request.rows = run = _chained(request.bodies, head)
        return run
    return _link_each(request, head, known)


def _chained(bodies: Sequence[bytes], head: tuple[int, bytes]) -> Run:
    """Return the run of bytes that are all new: the common case, in the fewest steps."""
    previous, numbers = head[1], packed_numbers(head[0] + 1, len(bodies))
    hashes = [
        previous := sha256(previous + number + body).digest()  # chain_hash
        for number, body in zip(numbers, bodies, strict=True)
    ]
    return Run(head[0] + 1, bodies, hashes, head[1])


def _link_each(
    request: Request, head: tuple[int, bytes], known: Callable[[str], Row | None]
) -> Run:
    sequence, previous = head
    fresh: dict[str, Row] = {}
    placed: list[Row] = []
    for event, body in zip(request.events, request.bodies, strict=True):
        row = fresh.get(event.event_id) or known(event.event_id)
        if row is None:
            sequence += 1
            digest = chain_hash(previous, sequence, body)
            row = fresh[event.event_id] = Row(sequence, body, digest, previous)
            previous = digest
        elif row.body != body and decode(row.body) != event:
            # Bytes of an older schema may tell the same event: what they mean decides.
            raise EventConflictError(
                f"event {event.event_id} must be told the same way twice, "
                f"was another {type(event).__name__}"
            )
        placed.append(row)
    request.rows = placed
    rows = list(fresh.values())  # in the order of their sequences
    return Run(head[0] + 1, [row.body for row in rows], [row.hash for row in rows], head[1])


class GroupCommit:
    """Lets appends of several threads share one transaction, and with it one sync of the disk.

    The first thread that comes writes for all that wait meanwhile. `write` sets each request's
    rows or failure; what it raises is the failure of every request that it was given.
    """

    def __init__(self, write: Callable[[Sequence[Request]], None]) -> None:
        self._write, self._turn = write, Lock()
        self._waiting: deque[Request] = deque()

    def append(self, request: Request) -> Sequence[RecordedEvent]:
        self._waiting.append(request)
        with self._turn:
            if not request.done:
                self._lead()
        return request.result()

    def _lead(self) -> None:
        group = list(_drained(self._waiting))
        try:
            self._write(group)
        except BaseException as error:
            for request in group:
                request.failure = error
            if not isinstance(error, Exception):
                raise
        finally:
            for request in group:
                request.done = True


def _drained(waiting: "deque[Request]") -> Iterable[Request]:
    while waiting:
        yield waiting.popleft()
