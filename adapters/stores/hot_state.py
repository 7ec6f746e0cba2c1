"""What the next decision needs at once, in any hot store: field, positions, orders, heartbeats."""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from adapters.stores.hot_embedded import HotStore
from swarm_core.live_view import PheromoneField as PheromoneField

_FIELD, _NAMES = "field", "field_names"
_POSITIONS, _ORDERS, _HEARTBEATS = "positions/", "working_orders/", "heartbeats"
_HEADER = struct.Struct("<8sqII32s")  # magic, step, rows, columns, digest of the names
_MAGIC = b"field/1\0"


class CorruptStateError(ValueError):
    """A value of the hot store is not what was written."""


class HotState:
    """Typed values over a hot store; each write is all or nothing.

    The names of a field's rows and columns are written once, under their digest, and read once by
    each process: a field that changes every second does not carry them along.
    """

    def __init__(self, store: HotStore) -> None:
        self._store = store
        self._names: dict[bytes, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def write_field(self, colony: str, field: PheromoneField) -> None:
        """Make this the colony's field; raise ValueError where it is not finite."""
        if not np.isfinite(field.values).all():
            raise ValueError(f"the field of {colony} must be finite, was not")
        names = json.dumps([field.instrument_ids, field.channels]).encode()
        digest = hashlib.sha256(names).digest()
        if digest not in self._names:
            self._store.put(_NAMES, {digest.hex(): names})
            self._names[digest] = (field.instrument_ids, field.channels)
        header = _HEADER.pack(_MAGIC, field.step, *field.values.shape, digest)
        self._store.put(_FIELD, {colony: header + field.values.astype("<f8").tobytes()})

    def find_field(self, colony: str) -> PheromoneField | None:
        """Return the colony's field, read-only; CorruptStateError where it is not whole."""
        content = self._store.find(_FIELD, colony)
        if content is None:
            return None
        if len(content) < _HEADER.size:
            raise CorruptStateError(f"the field of {colony} must have a header")
        magic, step, rows, columns, digest = _HEADER.unpack_from(content)
        if magic != _MAGIC or len(content) != _HEADER.size + 8 * rows * columns:
            raise CorruptStateError(
                f"the field of {colony} must be whole, had {len(content)} bytes"
            )
        values = np.frombuffer(content, "<f8", offset=_HEADER.size).reshape(rows, columns)
        return PheromoneField(step, *self._named(colony, digest), values)

    def _named(self, colony: str, digest: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
        known = self._names.get(digest)
        if known is None:
            names = self._store.find(_NAMES, digest.hex())
            if names is None or hashlib.sha256(names).digest() != digest:
                raise CorruptStateError(f"the names of the field of {colony} must be there")
            instruments, channels = json.loads(names)
            known = self._names[digest] = (tuple(instruments), tuple(channels))
        return known

    def write_positions(self, book: str, lots: Mapping[str, int]) -> None:
        """Make these the book's positions, in lots by instrument; zero is no position."""
        held = {i: str(n).encode() for i, n in lots.items() if n}
        self._store.swap(_POSITIONS + book, held)

    def positions(self, book: str) -> dict[str, int]:
        """Return lots by instrument."""
        return {i: int(n) for i, n in self._store.read(_POSITIONS + book).items()}

    def write_orders(self, book: str, orders: Mapping[str, bytes]) -> None:
        """Set these working orders, by client order id; others stay."""
        self._store.put(_ORDERS + book, orders)

    def replace_orders(self, book: str, orders: Mapping[str, bytes]) -> None:
        """Make these all of the book's working orders, by client order id."""
        self._store.swap(_ORDERS + book, orders)

    def forget_orders(self, book: str, client_order_ids: Sequence[str]) -> int:
        """Remove orders that work no more; return how many were there."""
        return self._store.remove(_ORDERS + book, client_order_ids)

    def orders(self, book: str) -> dict[str, bytes]:
        """Return the working orders by client order id."""
        return self._store.read(_ORDERS + book)

    def beat(self, process: str, time_ns: int) -> None:
        """Say that a process was alive at this time."""
        self._store.put(_HEARTBEATS, {process: str(time_ns).encode()})

    def heartbeats(self) -> dict[str, int]:
        """Return when each process was last alive, in nanoseconds since 1970."""
        return {p: int(t) for p, t in self._store.read(_HEARTBEATS).items()}

    def silent(self, now_ns: int, *, age_ns_max: int) -> tuple[str, ...]:
        """Return the processes whose last beat is older than this, sorted."""
        beats = self.heartbeats().items()
        return tuple(sorted(p for p, t in beats if now_ns - t > age_ns_max))
