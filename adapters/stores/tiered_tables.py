"""What happened, kept in tiers: written hot, moved down as it ages, read without knowing where."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from adapters.stores.cold_errors import ColdArchivedError
from adapters.stores.cold_sums import ColdSums, Damage
from adapters.stores.content_hash import canonical_order, content_hash
from adapters.stores.hot import HotStore
from adapters.stores.segments import SegmentTier
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tiers import Catalogue, Move, TierPolicies, Tiers
from features.schemas_derived import DERIVED_TABLES


class TieredTables:
    """Rows that are only ever added: decisions, orders, fills, NAV.

    It also answers reads of tables that never leave the cold store, so that a reader needs one
    place only.
    """

    def __init__(
        self, hot: HotStore, warm: SegmentTier, cold: DeltaTableStore, policy: TierPolicies
    ) -> None:
        self._tiers = Tiers(hot, warm, cold)
        self._cold = cold
        self._policy = policy

    def write(self, table: str, rows: pl.DataFrame) -> str:
        """Add the rows to the hot tier and return their content hash; the same rows add nothing.

        Rows that have moved to a colder tier already are not written again.
        """
        if rows.is_empty():
            return content_hash(canonical_order(rows))
        known = self._find(table, rows)
        new = rows if known is None else _unknown(table, rows, known)
        if not new.is_empty():
            self._tiers.hot.write(table, new)
        return content_hash(canonical_order(rows))

    def _find(self, table: str, rows: pl.DataFrame | None = None) -> pl.DataFrame | None:
        """Return what any tier holds of the table, within the times of `rows`; None: nothing."""
        start: datetime | None = None
        end: datetime | None = None
        if rows is not None and "event_time" in rows.columns:
            first, last = rows["event_time"].min(), rows["event_time"].max()
            if isinstance(first, datetime) and isinstance(last, datetime):
                start, end = first, last + timedelta(microseconds=1)
        try:
            return self._tiers.catalogue().query(table, revisions=True, start=start, end=end)
        except KeyError:
            return None

    def demote(self, as_of: datetime, *, closed_until: datetime | None = None) -> tuple[Move, ...]:
        """Move what the policies let go; each move was read back and compared."""
        return self._tiers.demote(as_of, self._policy, closed_until=closed_until)

    def restore(
        self, table: str, *, start: datetime, end: datetime, until: datetime
    ) -> tuple[Move, ...]:
        """Bring rows from cold back to warm, to stay there `until` then."""
        return self._tiers.restore(table, start=start, end=end, until=until)

    def damages(self) -> tuple[Damage, ...]:
        """Read everything in every tier and return what is not as it was written."""
        sums = ColdSums(self._cold)
        cold = [d for report in sums.verify_all() for d in report.damages]
        return (*self._tiers.damages(), *cold)

    def catalogue(self) -> Catalogue:
        """Return the catalogue over all tiers."""
        return self._tiers.catalogue()

    def query(
        self,
        table: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        sql: str | None = None,
    ) -> pl.DataFrame:
        """Return the rows with start <= event_time < end from every tier, each once.

        Raises KeyError where no tier has the table.
        """
        return self._tiers.catalogue().query(table, start=start, end=end, sql=sql)

    def places(self) -> pl.DataFrame:
        """Return (table, tier, rows, bytes, first, last), a row for each table in each tier."""
        return self._tiers.catalogue().tables()

    def counted(self) -> pl.DataFrame:
        """Return (table, rows, distinct) of the tables that have rows above the cold tier.

        `distinct` is null where months of the table must be thawed before they can be read. Rows
        that were brought back from cold on purpose count once.
        """
        places = self.places()
        tiered = places.filter(pl.col("tier") != "cold")["table"].unique()
        held = places.filter(pl.col("table").is_in(tiered.implode()))
        sums = held.group_by("table").agg(pl.col("rows").sum()).sort("table")
        distinct = [self._distinct(t) for t in sums["table"]]
        again = pl.Series([self._tiers.restored(t) for t in sums["table"]], dtype=pl.Int64())
        sums = sums.with_columns(rows=pl.col("rows") - again)
        return sums.with_columns(pl.Series("distinct", distinct, dtype=pl.Int64))

    def _distinct(self, table: str) -> int | None:
        try:
            return self.catalogue().scan(table, revisions=True).select(pl.len()).collect().item()
        except ColdArchivedError:
            return None

    def exists(self, table: str) -> bool:
        """Return whether any tier has the table."""
        return self._cold.exists(table) or self._find(table) is not None

    def read(
        self,
        table: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        known_by: datetime | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
    ) -> pl.DataFrame:
        """Return rows of a table: pinned ones from the cold store, others from every tier."""
        if version is not None:
            return self._cold.read(
                table, start=start, end=end, known_by=known_by, columns=columns, version=version
            )
        return self._tiers.catalogue().query(
            table, start=start, end=end, known_by=known_by, columns=columns
        )


def _unknown(table: str, rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that are not stored; what stored ones never had tells nobody apart."""
    compared = [c for c in rows.columns if c in known.columns]
    new = rows.join(known, on=compared, how="anti", nulls_equal=True)
    schema = DERIVED_TABLES.get(table)
    added = [c for c in compared if schema is not None and c in schema.added]
    if new.is_empty() or not added:
        return new
    older = known.filter(pl.all_horizontal(pl.col(added).is_null()))
    before = [c for c in compared if c not in added]
    return new.join(older, on=before, how="anti", nulls_equal=True)
