"""The packed form of a feature view online: one checksummed block of ids, times and values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from struct import Struct

import numpy as np
import polars as pl
from numpy.typing import NDArray

_MAGIC = b"APIARYB1"
_HEADER = Struct("<8s16sI")  # magic, checksum of all that follows it, length of the names


class CorruptBlockError(ValueError):
    """What was stored is not what was written."""


@dataclass(frozen=True)
class FeatureBlock:
    """The newest row of every key of one feature view.

    `values` is [keys, features], NaN where not known; `event_us` and `known_us` are [keys],
    microseconds since 1970 UTC. Each key stands once.
    """

    feature_names: tuple[str, ...]
    keys: tuple[str, ...]
    event_us: NDArray[np.int64]
    known_us: NDArray[np.int64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = (len(self.keys), len(self.feature_names))
        if self.values.shape != shape:
            raise ValueError(f"values must have the shape {shape}, had {self.values.shape}")
        if len(self.event_us) != len(self.keys) or len(self.known_us) != len(self.keys):
            raise ValueError(f"there must be {len(self.keys)} times, were {len(self.event_us)}")

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Return each key's row."""
        return {key: row for row, key in enumerate(self.keys)}

    def encode(self) -> bytes:
        """Return the block as bytes that `decode` reads back, bit for bit."""
        names = json.dumps([self.feature_names, self.keys], separators=(",", ":")).encode()
        arrays = (self.event_us.astype("<i8"), self.known_us.astype("<i8"))
        values = np.ascontiguousarray(self.values, dtype="<f8")
        body = b"".join((names, *(a.tobytes() for a in arrays), values.tobytes()))
        return _HEADER.pack(_MAGIC, _checksum(len(names), body), len(names)) + body


def decode(content: bytes) -> FeatureBlock:
    """Read a block. Raises CorruptBlockError where a byte of it is missing or changed."""
    if len(content) < _HEADER.size:
        raise CorruptBlockError(f"a block must have {_HEADER.size} bytes, had {len(content)}")
    magic, checksum, name_size = _HEADER.unpack_from(content)
    body = memoryview(content)[_HEADER.size :]
    if magic != _MAGIC or checksum != _checksum(name_size, body):
        raise CorruptBlockError(
            f"a block must have the checksum {checksum.hex()}, had "
            f"{_checksum(name_size, body).hex()}; write the features again"
        )
    names, keys = json.loads(bytes(body[:name_size]))
    count, width = len(keys), len(names)
    times = np.frombuffer(body, dtype="<i8", count=2 * count, offset=name_size)
    values = np.frombuffer(body, dtype="<f8", offset=name_size + 16 * count)
    return FeatureBlock(
        tuple(names), tuple(keys), times[:count], times[count:], values.reshape(count, width)
    )


def _checksum(name_size: int, body: bytes | memoryview) -> bytes:
    return blake2b(body, digest_size=16, key=name_size.to_bytes(8, "little")).digest()


def newest(parts: Sequence[FeatureBlock]) -> FeatureBlock:
    """Return one block with each key's newest row: event, then knowledge, then the later part.

    The features are those of the last part; what an earlier part has not is not known (NaN).
    Keys stand in the order in which they first appear.
    """
    names = parts[-1].feature_names
    rows: dict[str, int] = {}
    keys = [key for part in parts for key in part.keys]
    codes = np.array([rows.setdefault(key, len(rows)) for key in keys], dtype=np.int64)
    event = np.concatenate([p.event_us for p in parts])
    known = np.concatenate([p.known_us for p in parts])
    order = np.lexsort((np.arange(len(keys)), known, event, codes))
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = codes[order][1:] != codes[order][:-1]
    chosen = order[last]
    values = np.concatenate([_columns(p, names) for p in parts])
    return FeatureBlock(names, tuple(rows), event[chosen], known[chosen], values[chosen])


def _columns(block: FeatureBlock, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the block's values under these names; NaN for a name that it has not."""
    if block.feature_names == names:
        return block.values
    found = np.full((len(block.keys), len(names)), np.nan)
    for column, name in enumerate(names):
        if name in block.feature_names:
            found[:, column] = block.values[:, block.feature_names.index(name)]
    return found


def block_from_frame(
    rows: pl.DataFrame, names: Sequence[str], *, key: str, event: str, known: str
) -> FeatureBlock:
    """Pack a frame's rows, the newest of each key. Null and NaN are both `not known`.

    Raises ValueError where a key or a time is null or a feature is missing.
    """
    missing = [c for c in (key, event, known, *names) if c not in rows.columns]
    if missing:
        raise ValueError(f"online rows must have the columns {missing}, had {rows.columns}")
    empty = [c for c in (key, event, known) if rows[c].null_count()]
    if empty:
        raise ValueError(f"online rows must have a value in every {empty}")
    happened, learned = (
        rows[c].cast(pl.Datetime("us", "UTC")).to_physical().to_numpy() for c in (event, known)
    )
    values = rows.select(pl.col(n).cast(pl.Float64).fill_null(np.nan) for n in names).to_numpy()
    # Rows of one key may repeat here; `newest` leaves the one that counts.
    keys = tuple(rows[key].to_list())
    return newest([FeatureBlock(tuple(names), keys, happened, learned, values)])
