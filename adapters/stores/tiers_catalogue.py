"""One catalogue over all tiers: where a table's rows lie is nobody's business but its own."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import duckdb
import polars as pl

from adapters.stores.content_hash import canonical_order
from adapters.stores.hot import HotStore
from adapters.stores.hot_tables import HotTables
from adapters.stores.segments import ColdTables, SegmentTier
from adapters.stores.table_months import span_filter, utc
from features.schemas import TABLES, UTC_TIME
from features.schemas_derived import DERIVED_TABLES

_PLACES: dict[str, pl.DataType] = {
    "table": pl.String(),
    "tier": pl.String(),
    "rows": pl.Int64(),
    "bytes": pl.Int64(),
    "first": UTC_TIME,
    "last": UTC_TIME,
}


def known_key(table: str) -> tuple[str, ...]:
    """Return the key of a table by its name or its part after the first "_" ("clean_bars")."""
    schemas = {**TABLES, **DERIVED_TABLES}
    schema = schemas.get(table) or schemas.get(table.partition("_")[2])
    return schema.key if schema is not None else ()


class Catalogue:
    """Answers over the hot, the warm and the cold tier at once.

    `keys` names the key of tables that the schemas do not know.
    """

    def __init__(
        self,
        hot: HotStore | HotTables,
        warm: SegmentTier,
        cold: ColdTables,
        *,
        keys: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        hot_tables = hot if isinstance(hot, HotTables) else HotTables(hot)
        self._segmented: tuple[SegmentTier, ...] = (hot_tables, warm)
        self._cold = cold
        self._keys = dict(keys or {})

    def query(
        self,
        table: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: Sequence[str] | None = None,
        instrument_ids: Sequence[str] | None = None,
        known_by: datetime | None = None,
        versions: bool = False,
        sql: str | None = None,
    ) -> pl.DataFrame:
        """Return rows with start <= event_time < end from every tier, each once.

        A row in two tiers is one row; of a record's versions the newest known (by `known_by`) is
        returned, or all with `versions`. With `sql`, DuckDB answers it over these rows under the
        table's name. Raises KeyError where no tier has the table.
        """
        parts = list(self._parts(table, start, end))
        if not parts:
            raise KeyError(f"no tier has a table {table}")
        rows = pl.concat(parts, how="diagonal_relaxed").unique(maintain_order=True)
        if start is not None or end is not None:
            rows = rows.filter(span_filter(start, end))
        if instrument_ids is not None:
            rows = rows.filter(pl.col("instrument_id").is_in(list(instrument_ids)))
        if known_by is not None:
            rows = rows.filter(pl.col("knowledge_time") <= utc("known_by", known_by))
        rows = canonical_order(rows if versions else self._newest(table, rows))
        rows = rows if columns is None else rows.select(columns)
        return rows if sql is None else _answer(table, rows, sql)

    def tables(self) -> pl.DataFrame:
        """Return (table, tier, rows, bytes, first, last), a row for each table in each tier."""
        places = [*self._segment_places(), *self._cold_places()]
        return pl.DataFrame(places, schema=_PLACES, orient="row").sort("table", "tier")

    def _parts(
        self, table: str, start: datetime | None, end: datetime | None
    ) -> Iterator[pl.DataFrame]:
        for tier in self._segmented:
            found = tier.segments(table)
            inside = [s for s in found if s.overlaps(start, end)]
            for segment in inside:
                yield tier.read_segment(segment)
            if found and not inside:  # the columns must be known even where no row is asked for
                yield tier.read_segment(found[0]).clear()
        if self._cold.exists(table):
            yield self._cold.read(table, start=start, end=end)

    def _newest(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        key = list(self._keys.get(table) or known_key(table))
        if not key or not set(key) <= set(rows.columns) or "knowledge_time" not in rows.columns:
            return rows
        # Stable, so that of two versions known at one time the hotter tier's stands.
        ordered = rows.sort("knowledge_time", descending=True, nulls_last=True, maintain_order=True)
        return ordered.unique(key, keep="first", maintain_order=True)

    def _segment_places(self) -> Iterator[tuple[object, ...]]:
        for tier in self._segmented:
            for table in tier.tables():
                found = tier.segments(table)
                yield (
                    table,
                    tier.tier,
                    sum(s.row_count for s in found),
                    sum(s.byte_count for s in found),
                    min((s.first for s in found if s.first), default=None),
                    max((s.last for s in found if s.last), default=None),
                )

    def _cold_places(self) -> Iterator[tuple[object, ...]]:
        for table in self._cold.tables():
            yield (table, "cold", *self._cold.size(table), *self._cold.span(table))


def _answer(table: str, rows: pl.DataFrame, sql: str) -> pl.DataFrame:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register(table, rows.to_arrow())
        connection.execute("SET enable_external_access = false")
        return pl.DataFrame(connection.execute(sql).to_arrow_table())
