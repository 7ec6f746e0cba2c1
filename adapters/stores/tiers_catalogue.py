"""One catalogue over all tiers: where a table's rows lie is nobody's business but its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TypeVar

import polars as pl
from polars.io.plugins import register_io_source

from adapters.stores.catalogue_sql import answer
from adapters.stores.cold_places import answering
from adapters.stores.content_hash import canonical_order
from adapters.stores.hot import HotStore
from adapters.stores.hot_tables import HotTables
from adapters.stores.plan_parts import all_of, pushable
from adapters.stores.segments import (
    ColdRows,
    ColdTables,
    Segment,
    SegmentTier,
    TierCorruptionError,
)
from adapters.stores.table_months import utc
from adapters.stores.tier_questions import Asked, Between, joined
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
# A record keeps these in all its versions, so that a condition on them may come before the choice
# of the newest version.
_LASTING = ("event_time", "instrument_id", "session")

_TRIES = 20  # to read what lies above the cold tier while rows move

Read = TypeVar("Read")


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

    def scan(
        self,
        table: str,
        *,
        between: Between = (None, None),
        instrument: str | Sequence[str] | None = None,
        known_by: datetime | None = None,
        versions: Mapping[str, int] | None = None,
        revisions: bool = False,
    ) -> pl.LazyFrame:
        """Return rows with between[0] <= event_time < between[1] from every tier, each once.

        A row in two tiers is one row; of a record's versions the newest known (by `known_by`) is
        returned, or all with `revisions`. Files, row groups and partitions that cannot hold what
        is asked are not read, and a filter put on the frame prunes as the arguments do. A table
        named in `versions` is read from the cold tier as of that version alone. The order is
        none. Raises KeyError where no tier has the table.
        """
        ids = [instrument] if isinstance(instrument, str) else instrument
        pinned = (versions or {}).get(table)
        above = self._upper_schemas(table, between, ids) if pinned is None else []
        view = self._cold_view(table, between, pinned)
        schema = joined(above if view is None else [*above, view.schema])
        if schema is None:
            raise KeyError(f"no tier has a table {table}")

        def fetch(
            columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            key = [] if revisions else self._key(table, schema)
            names: list[str] = list(schema)
            if key and columns is not None:
                roots = predicate.meta.root_names() if predicate is not None else []
                needed = {*columns, *roots, *key, "knowledge_time"}
                names = [c for c in schema if c in needed]
            early = [pushable(predicate, _LASTING)]
            if known_by is not None:
                early.append(pl.col("knowledge_time") <= utc("known_by", known_by))
            asked = Asked(table, between, ids, schema, names, all_of(early))
            # Where nothing lay above, the cold tier stays that of the scan.
            found = self._read_all(asked) if above else self._collected(asked, [], view, pinned)
            found = _once(found, key)
            found = found if predicate is None else found.filter(predicate)
            found = found if columns is None else found.select(columns)
            yield found if limit is None else found.head(limit)

        return register_io_source(fetch, schema=schema)

    def query(
        self,
        table: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: Sequence[str] | None = None,
        instrument_ids: Sequence[str] | None = None,
        known_by: datetime | None = None,
        revisions: bool = False,
        sql: str | None = None,
    ) -> pl.DataFrame:
        """Return what `scan` finds, in canonical order; with `sql`, DuckDB's answer over it."""
        rows = canonical_order(
            self.scan(
                table,
                between=(start, end),
                instrument=instrument_ids,
                known_by=known_by,
                revisions=revisions,
            ).collect()
        )
        rows = rows if columns is None else rows.select(columns)
        return rows if sql is None else answer(sql, {table: rows.lazy()})

    def sql(
        self,
        query: str,
        *,
        versions: Mapping[str, int] | None = None,
        known_by: datetime | None = None,
        revisions: bool = False,
    ) -> pl.DataFrame:
        """Return DuckDB's answer to a query in which every table of every tier is a table.

        Conditions on time and instrument, and the columns that are named, reach down to the
        files. The query sees these tables and nothing else: neither files nor the network.
        A table of the house that holds nothing yet is empty; the other arguments are those of
        `scan`. Raises ValueError where DuckDB refuses the query, and where a table cannot say
        what was known by then.
        """
        held = self.names()
        named = [t for t in held if t in query]
        for table in versions or {}:
            if table not in named:
                raise ValueError(f"a version must be of a table of the query, was of {table}")
        unborn = [t for t in DERIVED_TABLES if t in query and t not in named]
        frames = {
            t: self.scan(t, versions=versions, known_by=known_by, revisions=revisions)
            for t in named
        }
        for table, rows in frames.items() if known_by is not None else ():
            if "knowledge_time" not in rows.collect_schema():
                raise ValueError(f"{table} must have a knowledge_time to be read as of one")
        frames |= {t: DERIVED_TABLES[t].empty().lazy() for t in unborn}
        return answer(query, frames, known=held)

    def names(self) -> tuple[str, ...]:
        """Return the names of the tables of every tier, sorted."""
        tiers = (*self._segmented, self._cold)
        return tuple(sorted({t for tier in tiers for t in tier.tables()}))

    def tables(self) -> pl.DataFrame:
        """Return (table, tier, rows, bytes, first, last), a row for each table in each tier."""
        places = [*self._segment_places(), *self._cold_places()]
        return pl.DataFrame(places, schema=_PLACES, orient="row").sort("table", "tier")

    def _cold_view(self, table: str, between: Between, pinned: int | None) -> ColdRows | None:
        return self._cold.view(table, start=between[0], end=between[1], version=pinned)

    def _upper_schemas(
        self, table: str, between: Between, ids: Sequence[str] | None
    ) -> list[pl.Schema]:
        """Return the columns that the hot and the warm tier have of a table."""

        def look() -> list[pl.Schema]:
            schemas: list[pl.Schema] = []
            with _moving():
                for tier, inside, found in self._listed(table, between):
                    if found:  # the columns must be known even where no row is asked for
                        scan = tier.scan(table, inside or found[:1], instrument_ids=ids)
                        schemas.append(scan.collect_schema())
            return schemas

        return _while_moving(table, look)

    def _listed(
        self, table: str, between: Between
    ) -> Iterator[tuple[SegmentTier, list[Segment], Sequence[Segment]]]:
        """Yield (tier, segments that may hold what is asked for, all segments), hot first."""
        seen: set[str] = set()  # a segment on its way lies in two tiers
        for tier in self._segmented:
            tier.prove(table)
            found = tier.segments(table)
            inside = [s for s in found if s.overlaps(*between) and s.content_hash not in seen]
            seen |= {s.content_hash for s in inside}
            yield tier, inside, found

    def _read_all(self, asked: Asked) -> pl.DataFrame:
        """Return what is asked for of all tiers.

        They are listed from above downwards, for rows move down: what left a tier before it was
        listed is in the next one. What leaves a tier before it is read has all listed again.
        """

        def read() -> pl.DataFrame:
            upper = self._upper_rows(asked)
            view = self._cold_view(asked.table, asked.between, None)
            return self._collected(asked, upper, view, None)

        return _while_moving(asked.table, read)

    def _upper_rows(self, asked: Asked) -> list[pl.LazyFrame]:
        """Return what the hot and the warm tier hold; a server is asked at once."""
        table, (start, end), parts = asked.table, asked.between, list[pl.LazyFrame]()
        with _moving():
            for tier, inside, _ in self._listed(table, asked.between):
                if inside:
                    scan = tier.scan(table, inside, start=start, end=end, instrument_ids=asked.ids)
                    rows = asked.narrowed(scan)
                    parts.append(self._upper_read(table, rows) if tier.on_server else rows)
        return parts

    def _upper_read(self, table: str, rows: pl.LazyFrame) -> pl.LazyFrame:
        try:
            with _moving():
                return rows.collect().lazy()
        except pl.exceptions.ComputeError as error:
            raise self._named(table, error, None, self._segmented) from error

    def _collected(
        self,
        asked: Asked,
        upper: Sequence[pl.LazyFrame],
        view: ColdRows | None,
        pinned: int | None,
    ) -> pl.DataFrame:
        """Return the rows of all parts, read at once; the part that cannot be read is named."""
        with self._named_cold(asked.table, pinned):
            lower = asked.of_cold(view)
        if upper:
            with suppress(pl.exceptions.ComputeError, OSError):
                return pl.concat([*upper, lower]).collect()
            upper = [self._upper_read(asked.table, rows) for rows in upper]
        with self._named_cold(asked.table, pinned):
            return pl.concat([*upper, lower]).collect()

    @contextmanager
    def _named_cold(self, table: str, pinned: int | None) -> Iterator[None]:
        """Name what cannot be read of the cold tier."""
        try:
            with answering():
                yield
        except FileNotFoundError:
            self._cold.require_files(table, pinned)
            raise
        except pl.exceptions.ComputeError as error:
            raise self._named(table, error, pinned, ()) from error

    def _key(self, table: str, schema: pl.Schema) -> list[str]:
        key = list(self._keys.get(table) or known_key(table))
        return key if set(key) <= set(schema) and "knowledge_time" in schema else []

    def _named(
        self, table: str, error: Exception, pinned: int | None, tiers: Sequence[SegmentTier]
    ) -> TierCorruptionError:
        """Return what tells which segment or file cannot be read."""
        for tier in tiers:
            for segment in tier.segments(table):
                tier.read_segment(segment)  # raises, and names it, where it is the one
        cold = not tiers and self._cold.exists(table)
        broken = self._cold.unreadable(table, pinned) if cold else ()
        text = " ".join(str(error).split())[:300]
        return TierCorruptionError(
            f"{table}: every file must be whole, {', '.join(broken) or 'one'} is not: {text}"
        )

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


class _MovedError(Exception):
    """A segment left its tier between the look at the tier and the read."""


@contextmanager
def _moving() -> Iterator[None]:
    """Tell what has moved on from what is missing."""
    try:
        yield
    except (FileNotFoundError, KeyError) as error:
        raise _MovedError from error


def _while_moving(table: str, read: Callable[[], Read]) -> Read:
    """Return what is read, from the top again where a segment left its tier meanwhile."""
    for _ in range(_TRIES):
        with suppress(_MovedError):
            return read()
    raise TimeoutError(f"rows of {table} must rest to be read, moved {_TRIES} times")


def _once(rows: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Return each row once; under a key, the newest known version of its record."""
    if _all_differ(rows, key):
        return rows
    if not key:
        return rows.unique(maintain_order=True)
    # Stable, so that of two versions known at one time the hotter tier's stands.
    ordered = rows.sort("knowledge_time", descending=True, nulls_last=True, maintain_order=True)
    return ordered.unique(key, keep="first", maintain_order=True)


def _rises(values: pl.Series) -> bool:
    """Return whether each value is greater than the one before, as times in a file mostly are."""
    return values.null_count() == 0 and bool((values.slice(1) > values.head(-1)).all())


def _all_differ(rows: pl.DataFrame, key: list[str]) -> bool:
    """Return whether no two rows share a key, as far as a quick look can tell.

    One column of which no value comes twice is enough, and of one instrument time is one; else
    where all hashes differ all rows do.
    """
    whole = [c for c in key if rows.schema[c].is_temporal() or rows.schema[c].is_integer()]
    if any(_rises(rows[c]) or rows[c].n_unique() == rows.height for c in whole):
        return True
    return (rows.select(key) if key else rows).hash_rows().n_unique() == rows.height
