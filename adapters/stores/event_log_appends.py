"""What every event log does with an append: know what it holds, chain the rest, share a sync."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from typing import NamedTuple, overload

from adapters.stores.event_log_bytes import read_event
from swarm_core.event_chain import chain_hash
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


# The constructor of a named tuple is Python; what it calls is not.
_make_row = tuple.__new__


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
        return (self[index] for index in range(len(self._rows)))


@dataclass(slots=True, eq=False)
class Request:
    """One append that waits for its turn; `failure` or `rows` is its outcome."""

    events: Sequence[Event]
    bodies: Sequence[bytes]
    expected_sequence: int | None
    written: Sequence[Written] | None = None  # when, where it is a copy; else it is now
    done: bool = False
    rows: list[Row] = field(default_factory=list[Row])
    failure: BaseException | None = None

    def result(self) -> Sequence[RecordedEvent]:
        if self.failure is not None:
            raise self.failure
        return Appended(self.events, self.rows)


def link(
    request: Request, head: tuple[int, bytes], known: Callable[[str], Row | None] | None
) -> list[Row]:
    """Place a request behind `head`: its rows are set, and those that are new are returned.

    `known` finds the row of an event id; None where the caller has seen that none is known.
    Raises EventConflictError on a known id with other contents, ConcurrentAppendError where the
    last record is not the expected one.
    """
    expected = request.expected_sequence
    if expected is not None and head[0] != expected:
        raise ConcurrentAppendError(f"the last record must be {expected}, was {head[0]}: read on")
    ids = [event.event_id for event in request.events]
    if known is None and len(set(ids)) == len(ids):
        request.rows = _chained(request.bodies, head)
        return request.rows
    return _link_each(request, head, known or _nothing)


def _nothing(_: str) -> Row | None:
    return None


def _chained(bodies: Sequence[bytes], head: tuple[int, bytes]) -> list[Row]:
    """Return the rows of bytes that are all new: the common case, in the fewest steps."""
    sequence, previous = head
    rows: list[Row] = []
    for body in bodies:
        sequence += 1
        digest = sha256(previous + sequence.to_bytes(8, "big") + body).digest()  # chain_hash
        rows.append(_make_row(Row, (sequence, body, digest, previous)))
        previous = digest
    return rows


def _link_each(
    request: Request, head: tuple[int, bytes], known: Callable[[str], Row | None]
) -> list[Row]:
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
    return list(fresh.values())


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
