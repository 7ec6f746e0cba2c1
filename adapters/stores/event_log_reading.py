"""Records of a stored log on their way to whoever acts on them: each one proved by the chain."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import repeat
from typing import NamedTuple

from adapters.stores.event_log_bytes import read_events
from adapters.stores.event_log_frames import FRAME_RECORDS_MAX, Frame, FrameRow, split_together
from swarm_core.event_chain import packed_numbers
from swarm_core.events import RecordedEvent


class Stored(NamedTuple):
    """Records as a store gives them, some at a time: a number, bytes and a hash for each."""

    sequences: list[int]
    bodies: list[bytes]
    hashes: list[bytes]


def joined(rows: Sequence[FrameRow], after_sequence: int) -> Iterator[Stored]:
    """Yield the records of frames behind a sequence number, those of small frames together."""
    start, begun = 0, after_sequence
    for end, row in enumerate(rows, 1):
        if row[0] - begun >= FRAME_RECORDS_MAX or end == len(rows):
            yield from _split(rows[start:end], after_sequence)
            start, begun = end, row[0]


def _split(rows: Sequence[FrameRow], after_sequence: int) -> Iterator[Stored]:
    """Yield the records of frames: at once where each is sound, else up to the one that is not."""
    split = split_together(rows)
    if split is not None:
        yield _behind(Stored(*split), after_sequence)
        return
    for frame in map(Frame._make, rows):
        sequences = list(range(frame.first, frame.last + 1))
        yield _behind(Stored(sequences, *frame.split()), after_sequence)


def _behind(stored: Stored, after_sequence: int) -> Stored:
    skipped = max(0, after_sequence + 1 - stored.sequences[0])
    if not skipped:
        return stored
    sequences, bodies, hashes = stored
    return Stored(sequences[skipped:], bodies[skipped:], hashes[skipped:])


def linked(
    stored: Iterable[Stored], after_sequence: int, hash_after: Callable[[], bytes]
) -> Iterator[RecordedEvent]:
    """Yield the records that follow a record of this hash.

    Nobody trades on a changed record or past one that is gone: ValueError names it. What the first
    one follows is asked when there is one: most reads find nothing new.
    """
    make, kind = tuple.__new__, RecordedEvent  # the constructor of a named tuple is Python
    before, previous, last = b"", "", after_sequence
    for sequences, bodies, hashes in stored:
        if not previous:
            before = hash_after()
            previous = before.hex()
        wanted = list(range(last + 1, last + 1 + len(bodies)))
        sound = _count_sound(wanted, Stored(sequences, bodies, hashes), before)
        if sound:
            told = [digest.hex() for digest in hashes[:sound]]
            events, earlier = read_events(bodies[:sound]), [previous, *told[:-1]]
            # One record after the other, but in no step of Python: most of a read is this.
            yield from map(make, repeat(kind), zip(wanted, events, told, earlier, strict=False))
            previous = told[-1]
        if sound < len(bodies):
            raise ValueError(
                f"record {wanted[sound]} of the event log must be there as it was written, is not: "
                "`apiary log verify`, and bring it back from a backup"
            )
        before, last = hashes[-1], wanted[-1]


def _count_sound(wanted: list[int], stored: Stored, before: bytes) -> int:
    """Return how many of the records are as they were written, up to the first that is not.

    A record is sound where its stored hash follows from its bytes and the stored hash before it,
    which was sound itself: so each may be hashed by itself, and all be compared at once.
    """
    numbers = packed_numbers(wanted[0], len(wanted))
    earlier = (before, *stored.hashes[:-1])
    told = [
        sha256(previous + number + body).digest()  # chain_hash
        for previous, number, body in zip(earlier, numbers, stored.bodies, strict=True)
    ]
    if told == stored.hashes and stored.sequences == wanted:
        return len(told)
    pairs = zip(told, stored.hashes, stored.sequences, wanted, strict=True)
    return next(
        (i for i, (a, b, number, due) in enumerate(pairs) if a != b or number != due), len(told)
    )
