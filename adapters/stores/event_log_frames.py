"""Frames: the records of one append as they lie in the embedded log, side by side in one row."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from adapters.stores.event_log_appends import Row

FRAME_RECORDS_MAX = 250  # bounds the memory of a reader
_HASH_BYTES, _ID_BYTES, _KEY_BYTES = 32, 16, 8
_ONE_BY_ONE = 8  # so few ids cost less one after the other
_KEY_MASK = 2**63 - 1  # what an integer key of SQLite holds


FrameRow = tuple[int, bytes, bytes, bytes]  # as it lies in the file: the fields of a Frame
Records = tuple[list[int], list[bytes], list[bytes]]  # numbers, bodies and hashes


class Frame(NamedTuple):
    """Records that follow each other; JSON holds no line break, so one line is one body."""

    last: int
    bodies: bytes
    hashes: bytes
    keys: bytes

    @property
    def record_count(self) -> int:
        return len(self.hashes) // _HASH_BYTES

    @property
    def first(self) -> int:
        return self.last - self.record_count + 1

    def split(self) -> tuple[list[bytes], list[bytes]]:
        """Return bodies and hashes; ValueError where there is not one of each a record."""
        bodies = self.bodies.split(b"\n")
        hashes = [self.hashes[i : i + _HASH_BYTES] for i in range(0, len(self.hashes), _HASH_BYTES)]
        if not len(bodies) == len(hashes) == len(self.keys) // _KEY_BYTES:
            raise ValueError(
                f"the frame that ends with record {self.last} must hold a hash and a key for each "
                f"of its {len(bodies)} records, held {len(hashes)} hashes"
            )
        return bodies, hashes

    def split_keys(self) -> list[int]:
        keys = self.keys
        return [
            int.from_bytes(keys[i : i + _KEY_BYTES], "big") for i in range(0, len(keys), _KEY_BYTES)
        ]

    def hash_of(self, sequence: int) -> bytes:
        start = (sequence - self.first) * _HASH_BYTES
        return self.hashes[start : start + _HASH_BYTES]

    def row(self, sequence: int, before: bytes) -> Row:
        """Return one record; `before` is the hash before the frame."""
        bodies, hashes = self.split()
        place = sequence - self.first
        return Row(sequence, bodies[place], hashes[place], hashes[place - 1] if place else before)


def split_together(rows: Sequence[FrameRow]) -> Records | None:
    """Return the records of frames that follow each other, in one go.

    None where there is not one hash and one key for each: then one of the frames is none.
    """
    lasts, bodies, hashes, keys = zip(*rows, strict=True)
    first = lasts[0] + 1 - len(hashes[0]) // _HASH_BYTES
    count = lasts[-1] + 1 - first
    split, hashed, keyed = b"\n".join(bodies).split(b"\n"), b"".join(hashes), sum(map(len, keys))
    if (len(split), len(hashed), keyed) != (count, count * _HASH_BYTES, count * _KEY_BYTES):
        return None
    found = list(struct.unpack(f"{_HASH_BYTES}s" * count, hashed))
    return list(range(first, first + count)), split, found


def pack(
    first: int, bodies: Sequence[bytes], hashes: Sequence[bytes], keys: Sequence[int]
) -> Iterator[Frame]:
    """Put the records from `first` on, and the keys of their ids, into frames."""
    for start in range(0, len(bodies), FRAME_RECORDS_MAX):
        part = slice(start, start + FRAME_RECORDS_MAX)
        count = len(bodies[part])
        yield Frame(
            first + start + count - 1,
            b"\n".join(bodies[part]),
            b"".join(hashes[part]),
            struct.pack(f">{count}Q", *keys[part]),
        )


def unpack(frames: Iterable[Frame]) -> Iterator[tuple[int, bytes, bytes, int]]:
    """Yield sequence, body, hash and key of each record; ValueError on a frame that is not one."""
    for frame in frames:
        sequence = frame.first
        for body, digest, key in zip(*frame.split(), frame.split_keys(), strict=True):
            yield sequence, body, digest, key
            sequence += 1


def keys_of(event_ids: Sequence[str]) -> list[int]:
    """Return the key of each id; of ids as this house makes them, all at once."""
    if len(event_ids) > _ONE_BY_ONE and set(map(len, event_ids)) == {2 * _ID_BYTES}:
        try:
            numbers = bytes.fromhex("".join(event_ids))
        except ValueError:
            numbers = b""  # some are not ours
        if len(numbers) == _ID_BYTES * len(event_ids):
            ends = struct.unpack(">" + "8xQ" * len(event_ids), numbers)
            return [end & _KEY_MASK for end in ends]
    return [key_of(event_id) for event_id in event_ids]


def key_of(event_id: str) -> int:
    """Return the number under which an event id is looked up: 63 bits, the same for ever.

    Ids are hashes already; of any other text the hash is taken. Two ids of one number are told
    apart by their records.
    """
    if len(event_id) == 2 * _ID_BYTES:
        try:
            return int(event_id, 16) & _KEY_MASK
        except ValueError:
            pass  # not one of ours
    digest = blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()
    return int.from_bytes(digest, "big") & _KEY_MASK
