"""Moving rows hot -> warm -> cold: nothing leaves a tier before the next one proved to hold it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from adapters.stores.cold_sums import Damage
from adapters.stores.content_hash import canonical_order, content_hash
from adapters.stores.hot import HotStore
from adapters.stores.hot_tables import HotTables
from adapters.stores.segments import ColdTables, Segment, SegmentTier, TierCorruptionError
from adapters.stores.table_months import utc
from adapters.stores.tier_holds import Holds
from adapters.stores.tier_policy import TierPolicies, TierPolicy
from adapters.stores.tiers_catalogue import Catalogue

__all__ = ["Catalogue", "Move", "TierPolicies", "TierPolicy", "Tiers"]


@dataclass(frozen=True, slots=True)
class Move:
    """One segment that left `source` after `target` was read back and hashed the same."""

    table: str
    source: str
    target: str
    row_count: int
    content_hash: str


class Tiers:
    """The three tiers; demotion may be killed at any instruction and simply run again.

    Several may move rows at once: what one has taken, another passes over.
    """

    def __init__(self, hot: HotStore, warm: SegmentTier, cold: ColdTables) -> None:
        self.hot = HotTables(hot)
        self.warm = warm
        self.cold = cold
        self._holds = Holds(hot)

    def catalogue(self) -> Catalogue:
        """Return the catalogue over these tiers."""
        return Catalogue(self.hot, self.warm, self.cold)

    def demote(
        self,
        as_of: datetime,
        policy: TierPolicy | TierPolicies | None = None,
        *,
        closed_until: datetime | None = None,
    ) -> tuple[Move, ...]:
        """Move every segment that its table's policy lets go; return the moves.

        Hot rows go to the warm tier first, so that one call takes very old rows all the way. Rows
        after `closed_until`, the close of the newest closed session, stay where they are. Raises
        TierCorruptionError where rows do not read back as they are; nothing is dropped.
        """
        rules = TierPolicies(policy) if isinstance(policy, TierPolicy) else policy or TierPolicies()
        moment = utc("as_of", as_of)
        down = list(self._to_warm(rules, moment, closed_until))
        return (*down, *self._to_cold(rules, moment))

    def restore(
        self, table: str, *, start: datetime, end: datetime, until: datetime
    ) -> tuple[Move, ...]:
        """Bring rows with start <= event_time < end from cold back to warm, to stay `until` then.

        They stay in the cold tier as well; a catalogue returns each once. Raises KeyError where
        the cold tier has no such table.
        """
        rows = self.cold.read(table, start=start, end=end)
        copies = self.warm.write(table, rows)
        for copy in copies:
            self.warm.read_segment(copy)  # proves its hash
        self._holds.hold(table, copies, utc("until", until))
        return tuple(Move(table, "cold", "warm", c.row_count, c.content_hash) for c in copies)

    def restored(self, table: str) -> int:
        """Return how many rows of the warm tier were brought back: they are in the cold one too."""
        noted = self._holds.noted(table)
        held = self.warm.segments(table) if noted else ()
        return sum(s.row_count for s in held if s.content_hash in noted)

    def damages(self) -> Iterator[Damage]:
        """Read every segment of the hot and the warm tier; yield those that are not whole."""
        for tier in (self.hot, self.warm):
            for table in tier.tables():
                for name, reason in tier.damages(table):
                    yield Damage(tier.tier, table, name, reason)

    def _to_warm(
        self, rules: TierPolicies, moment: datetime, closed_until: datetime | None
    ) -> Iterator[Move]:
        for table in self.hot.tables():
            held = self.hot.segments(table)
            for segment in rules.of(table).leaves_hot(held, moment, closed_until):
                try:
                    rows = self.hot.read_segment(segment)
                    copies = self.warm.write(table, rows)
                    back = [self.warm.read_segment(copy) for copy in copies]
                except (KeyError, FileNotFoundError):
                    continue  # another mover has taken it further
                _require_same(segment, back, "warm")
                self.hot.remove(table, [segment])
                yield Move(table, "hot", "warm", segment.row_count, segment.content_hash)

    def _to_cold(self, rules: TierPolicies, moment: datetime) -> Iterator[Move]:
        for table in self.warm.tables():
            held = self.warm.segments(table)
            kept = self._holds.held(table, moment)
            for segment in rules.of(table).leaves_warm(held, moment):
                if segment.content_hash in kept:
                    continue
                try:
                    rows = self.warm.read_segment(segment)
                except (KeyError, FileNotFoundError):
                    continue
                self.cold.add(table, rows)
                _require_same(segment, [self._back_from_cold(segment, rows)], "cold")
                self.warm.remove(table, [segment])
                yield Move(table, "warm", "cold", segment.row_count, segment.content_hash)

    def _back_from_cold(self, segment: Segment, rows: pl.DataFrame) -> pl.DataFrame:
        """Return those of the segment's rows that the cold tier holds, as it holds them."""
        dated = "event_time" in rows.columns and rows["event_time"].null_count() == 0
        end = segment.last + timedelta(microseconds=1) if dated and segment.last else None
        stored = self.cold.read(segment.table, start=segment.first if dated else None, end=end)
        found = stored.select(rows.columns).unique(maintain_order=True)
        return found.join(rows, on=rows.columns, how="semi", nulls_equal=True)


def _require_same(segment: Segment, back: Sequence[pl.DataFrame], tier: str) -> None:
    found = content_hash(canonical_order(pl.concat(back))) if back else "nothing"
    if found != segment.content_hash:
        raise TierCorruptionError(
            f"{segment.table} read back from the {tier} tier must hash to "
            f"{segment.content_hash[:12]}, was {found[:12]}; nothing was dropped"
        )
