"""Records of a stored log on their way to whoever acts on them: each one proved by the chain."""

from collections.abc import Callable, Iterable, Iterator

from adapters.stores.event_log_bytes import read_event
from swarm_core.event_chain import chain_hash
from swarm_core.events import RecordedEvent


def linked(
    rows: Iterable[tuple[int, bytes, bytes]], after_sequence: int, hash_after: Callable[[], bytes]
) -> Iterator[RecordedEvent]:
    """Yield the records of rows (sequence, bytes, hash) that follow a record of this hash.

    Nobody trades on a changed record or past one that is gone: ValueError names it. What the first
    one follows is asked when there is one: most reads find nothing new.
    """
    make, kind = tuple.__new__, RecordedEvent  # the constructor of a named tuple is Python
    before, previous, wanted = b"", "", after_sequence
    for sequence, body, digest in rows:
        if not previous:
            before = hash_after()
            previous = before.hex()
        wanted += 1
        if sequence != wanted or chain_hash(before, sequence, body) != digest:
            raise ValueError(
                f"record {wanted} of the event log must be there as it was written, is not: "
                "`apiary log verify`, and bring it back from a backup"
            )
        current = digest.hex()
        yield make(kind, (sequence, read_event(body), current, previous))
        before, previous = digest, current
