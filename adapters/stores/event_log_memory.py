"""The event log in memory: for backtests and tests, under the contract of the durable ones."""

from collections.abc import Iterator, Sequence

from adapters.stores.event_log_appends import EventConflictError
from swarm_core.event_chain import GENESIS, ChainReport, chain_hash, check_chain
from swarm_core.events import Event, RecordedEvent, decode, encode
from swarm_core.ports import ConcurrentAppendError


class MemoryEventLog:
    """A log that lasts as long as its object; it keeps bytes, as a log on disk does."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, bytes, bytes]] = []
        self._ids: dict[str, int] = {}

    def append(
        self, events: Sequence[Event], *, expected_sequence: int | None = None
    ) -> tuple[RecordedEvent, ...]:
        """Add the events that are new, all or none, and return all of them as they stand."""
        if expected_sequence is not None and expected_sequence != len(self._rows):
            raise ConcurrentAppendError(
                f"the last record must be {expected_sequence}, was {len(self._rows)}: read on"
            )
        rows, ids, places = list(self._rows), dict(self._ids), list[int]()
        for event in events:
            body, known = encode(event), ids.get(event.event_id)
            if known is None:
                known = len(rows) + 1
                previous = rows[-1][2] if rows else GENESIS
                rows.append((known, body, chain_hash(previous, known, body)))
                ids[event.event_id] = known
            elif rows[known - 1][1] != body:
                raise EventConflictError(
                    f"event {event.event_id} must be told the same way twice, "
                    f"was another {type(event).__name__}"
                )
            places.append(known)
        self._rows, self._ids = rows, ids
        return tuple(self._record(place) for place in places)

    def _record(self, sequence: int) -> RecordedEvent:
        previous = self._rows[sequence - 2][2] if sequence > 1 else GENESIS
        _, body, digest = self._rows[sequence - 1]
        return RecordedEvent(sequence, decode(body), digest.hex(), previous.hex())

    def read(self, after_sequence: int = 0) -> Iterator[RecordedEvent]:
        """Yield the records after a sequence number, in order."""
        for sequence in range(after_sequence + 1, len(self._rows) + 1):
            yield self._record(sequence)

    def last_sequence(self) -> int:
        return len(self._rows)

    def verify(self) -> ChainReport:
        return check_chain(self._rows)
