"""Segments that were brought back on purpose, and how long they are to stay."""

from collections.abc import Iterable
from datetime import datetime

from adapters.stores.hot import HotStore
from adapters.stores.segments import Segment

_SPACE = "tiers/held/"


class Holds:
    """Notes in the hot store: a segment of the warm tier stays until its time."""

    def __init__(self, store: HotStore) -> None:
        self._store = store

    def hold(self, table: str, segments: Iterable[Segment], until: datetime) -> None:
        stamp = until.isoformat().encode()
        self._store.put(_SPACE + table, {s.content_hash: stamp for s in segments})

    def noted(self, table: str) -> frozenset[str]:
        """Return the hashes of all segments that were brought back, whether or not they leave."""
        return frozenset(self._store.read(_SPACE + table))

    def held(self, table: str, moment: datetime) -> frozenset[str]:
        """Return the hashes of the segments that stay; notes whose time has come are removed."""
        notes = self._store.read(_SPACE + table)
        over = [h for h, until in notes.items() if datetime.fromisoformat(until.decode()) <= moment]
        if over:
            self._store.remove(_SPACE + table, over)
        return frozenset(notes) - frozenset(over)
