"""The hash chain of the log: each record's hash covers its bytes and everything before it."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

GENESIS = bytes(32)


def chain_hash(previous: bytes, sequence: int, body: bytes) -> bytes:
    """Return sha256(previous hash, sequence as 8 bytes, body)."""
    return sha256(previous + sequence.to_bytes(8, "big") + body).digest()


def packed_numbers(first: int, count: int) -> tuple[bytes, ...]:
    """Return `count` sequences from `first` on as `chain_hash` takes them: 8 bytes each."""
    return struct.unpack("8s" * count, struct.pack(f">{count}Q", *range(first, first + count)))


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What checking a chain found; `first_bad_sequence` is None in a sound chain."""

    checked_count: int
    first_bad_sequence: int | None
    detail: str
    head: str

    @property
    def sound(self) -> bool:
        return self.first_bad_sequence is None


def check_chain(rows: Iterable[tuple[int, bytes, bytes]], start: bytes = GENESIS) -> ChainReport:
    """Check (sequence, body, hash) rows in order; stop at the first that does not follow."""
    previous, count = start, 0
    for sequence, body, stored in rows:
        expected_sequence = count + 1
        if sequence != expected_sequence:
            detail = f"sequence must be {expected_sequence}, was {sequence}"
            return ChainReport(count, expected_sequence, detail, previous.hex())
        if chain_hash(previous, sequence, body) != stored:
            detail = f"hash of record {sequence} must follow from its bytes, and does not"
            return ChainReport(count, sequence, detail, previous.hex())
        previous, count = stored, sequence
    return ChainReport(count, None, f"{count} records follow each other", previous.hex())
