"""Moving rows hot -> warm -> cold: nothing leaves a tier before the next one proved to hold it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from adapters.stores.content_hash import canonical_order, content_hash
from adapters.stores.hot import HotStore
from adapters.stores.hot_tables import HotTables
from adapters.stores.segments import ColdTables, Segment, SegmentTier, TierCorruptionError
from adapters.stores.table_months import utc
from adapters.stores.tiers_catalogue import Catalogue

__all__ = ["Catalogue", "Move", "TierPolicy", "Tiers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPolicy:
    """How long a row stays: in the hot tier, and then in the warm one, counted from event_time."""

    hot_age: timedelta = timedelta(days=7)
    warm_age: timedelta = timedelta(days=730)

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.hot_age <= self.warm_age:
            raise ValueError(
                f"ages must be 0 <= hot_age <= warm_age, were {self.hot_age} and {self.warm_age}"
            )


@dataclass(frozen=True, slots=True)
class Move:
    """One segment that left `source` after `target` was read back and hashed the same."""

    table: str
    source: str
    target: str
    row_count: int
    content_hash: str


class Tiers:
    """The three tiers; demotion may be killed at any instruction and simply run again."""

    def __init__(self, hot: HotStore, warm: SegmentTier, cold: ColdTables) -> None:
        self.hot = HotTables(hot)
        self.warm = warm
        self.cold = cold

    def catalogue(self) -> Catalogue:
        """Return the catalogue over these tiers."""
        return Catalogue(self.hot, self.warm, self.cold)

    def demote(self, as_of: datetime, policy: TierPolicy | None = None) -> tuple[Move, ...]:
        """Move every segment whose newest row is older than the policy allows; return the moves.

        Hot rows go to the warm tier first, so that one call takes very old rows all the way.
        Raises TierCorruptionError where rows do not read back as they are; nothing is dropped.
        """
        policy = policy or TierPolicy()
        moment = utc("as_of", as_of)
        down = list(self._to_warm(moment - policy.hot_age))
        return (*down, *self._to_cold(moment - policy.warm_age))

    def _to_warm(self, before: datetime) -> Iterator[Move]:
        for segment in _older(self.hot, before):
            rows = self.hot.read_segment(segment)
            copies = self.warm.write(segment.table, rows)
            back = [self.warm.read_segment(copy) for copy in copies]
            _require_same(segment, back, "warm")
            self.hot.remove(segment.table, [segment])
            yield Move(segment.table, "hot", "warm", segment.row_count, segment.content_hash)

    def _to_cold(self, before: datetime) -> Iterator[Move]:
        for segment in _older(self.warm, before):
            rows = self.warm.read_segment(segment)
            self.cold.add(segment.table, rows)
            _require_same(segment, [self._back_from_cold(segment, rows)], "cold")
            self.warm.remove(segment.table, [segment])
            yield Move(segment.table, "warm", "cold", segment.row_count, segment.content_hash)

    def _back_from_cold(self, segment: Segment, rows: pl.DataFrame) -> pl.DataFrame:
        """Return those of the segment's rows that the cold tier holds, as it holds them."""
        dated = "event_time" in rows.columns and rows["event_time"].null_count() == 0
        end = segment.last + timedelta(microseconds=1) if dated and segment.last else None
        stored = self.cold.read(segment.table, start=segment.first if dated else None, end=end)
        found = stored.select(rows.columns).unique(maintain_order=True)
        return found.join(rows, on=rows.columns, how="semi", nulls_equal=True)


def _older(tier: SegmentTier, before: datetime) -> Iterator[Segment]:
    for table in tier.tables():
        for segment in tier.segments(table):
            if segment.last is None or segment.last < before:
                yield segment


def _require_same(segment: Segment, back: Sequence[pl.DataFrame], tier: str) -> None:
    found = content_hash(canonical_order(pl.concat(back))) if back else "nothing"
    if found != segment.content_hash:
        raise TierCorruptionError(
            f"{segment.table} read back from the {tier} tier must hash to "
            f"{segment.content_hash[:12]}, was {found[:12]}; nothing was dropped"
        )
