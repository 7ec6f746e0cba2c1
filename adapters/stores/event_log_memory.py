"""The event log in memory: for backtests and tests, under the contract of the durable ones."""

from collections.abc import Iterator, Sequence

from adapters.stores.event_log_appends import GroupCommit, Request, Row, link, recorded
from swarm_core.event_chain import GENESIS, ChainReport, check_chain
from swarm_core.events import Event, RecordedEvent, encode
from swarm_core.ports import ConcurrentAppendError


class MemoryEventLog:
    """A log that lasts as long as its object; it keeps bytes, as a log on disk does."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._ids: dict[str, int] = {}
        self._group = GroupCommit(self._write)

    def append(
        self, events: Sequence[Event], *, expected_sequence: int | None = None
    ) -> Sequence[RecordedEvent]:
        """Add the events that are new, all or none, and return all of them as they stand."""
        return self._group.append(Request(events, [encode(e) for e in events], expected_sequence))

    def _write(self, group: Sequence[Request]) -> None:
        for request in group:
            try:
                rows = link(request, self._head(), self._find)
            except (ValueError, ConcurrentAppendError) as failure:
                request.failure = failure
                continue
            self._rows += rows
            for event, row in zip(request.events, request.rows, strict=True):
                self._ids[event.event_id] = row.sequence

    def _head(self) -> tuple[int, bytes]:
        return (len(self._rows), self._rows[-1].hash) if self._rows else (0, GENESIS)

    def _find(self, event_id: str) -> Row | None:
        sequence = self._ids.get(event_id)
        return None if sequence is None else self._rows[sequence - 1]

    def read(self, after_sequence: int = 0) -> Iterator[RecordedEvent]:
        """Yield the records after a sequence number, in order."""
        for place in range(after_sequence, len(self._rows)):
            yield recorded(self._rows[place])

    def find_all(self, event_ids: Sequence[str]) -> dict[str, RecordedEvent]:
        """Return, by id, the records of those events that are here."""
        found = {i: self._find(i) for i in event_ids}
        return {i: recorded(row) for i, row in found.items() if row is not None}

    def rows(self, after_sequence: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield sequence, bytes and hash of the records after a sequence number."""
        for row in self._rows[after_sequence:]:
            yield row.sequence, row.body, row.hash

    def hash_at(self, sequence: int) -> str | None:
        """Return the hash of a record in hex, None where there is no such record."""
        return self._rows[sequence - 1].hash.hex() if 0 < sequence <= len(self._rows) else None

    def last_sequence(self) -> int:
        return len(self._rows)

    def verify(self) -> ChainReport:
        return check_chain((row.sequence, row.body, row.hash) for row in self._rows)
