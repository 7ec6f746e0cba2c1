"""Tables in Delta Lake: they grow in versions, and every read can be pinned and repeated."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from adapters.stores.cold_places import ColdPlace, LocalPlace, answering
from adapters.stores.cold_scans import scan_months, scan_rows, table_schema
from adapters.stores.content_hash import IDENTITY_COLUMNS, canonical_order, content_hash
from adapters.stores.revisions import new_rows
from adapters.stores.table_months import MONTH, UNDATED, month_span, span_filter, utc, with_month
from adapters.stores.table_types import storable, unified

# Every commit carries this transaction id, so that two writers who started from one version
# conflict even when both only append; the later one reads again and retries.
_WRITER = "apiary"
_ATTEMPTS = 8
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_CONFIGURATION = {
    # Statistics beyond the identity columns cost log bytes and are never asked for: months prune.
    "delta.dataSkippingNumIndexedCols": "4",
    # By default a version older than a month goes with the log; a backtest may have pinned it.
    "delta.enableExpiredLogCleanup": "false",
}
# Within a month rows lie by these, so that one instrument is in few row groups.
_CLUSTER = (MONTH, "instrument_id", "series_id")
_ROW_GROUP_ROWS = 65_536
# Dictionaries shrink text; on prices they double the time of a write and save nothing.
_WRITER_PROPERTIES = WriterProperties(
    max_row_group_size=_ROW_GROUP_ROWS,
    default_column_properties=ColumnProperties(dictionary_enabled=False),
    column_properties={
        c: ColumnProperties(dictionary_enabled=True)
        for c in (*IDENTITY_COLUMNS, "source", "currency", "interval", "adjustment")
    },
)


@dataclass(frozen=True, slots=True)
class WriteReceipt:
    """What a write did: the table's version after it and the rows that were new to it.

    `content_hash` is that of the rows given, whatever of them was new: the same rows written
    twice give the same hash.
    """

    table: str
    version: int
    inserted_row_count: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class _Change:
    """Rows to add in one commit, after removing the months first..last (None removes nothing)."""

    rows: pl.DataFrame
    inserted_row_count: int
    removed_months: tuple[str, str] | None = None


class DeltaTableStore:
    """The cold tier: one Delta table per name, partitioned by month of event_time.

    `root` is a folder, or a place on S3-compatible storage. Raises ColdStoreUnavailableError
    where the storage is away.
    """

    def __init__(self, root: Path | ColdPlace) -> None:
        self.place: ColdPlace = LocalPlace(root) if isinstance(root, Path | str) else root

    def append(
        self,
        table: str,
        rows: pl.DataFrame,
        *,
        key: Sequence[str],
        ingested_at: datetime | None = None,
    ) -> WriteReceipt:
        """Add the rows that say something new, in one new version; never change a row.

        What is new is decided in `revisions.new_rows`. A table without knowledge_time keeps one
        row per key: its older values stay readable by version. Where values changed under a
        stored knowledge time, the rows are stamped `ingested_at` if it is given, else
        SilentRevisionError is raised; ValueError where a column of the key is missing.
        """
        _require(table, rows, key)
        rows = storable(table, rows)

        def plan(stored: DeltaTable | None) -> _Change | None:
            return self._plan_append(table, stored, rows, key, ingested_at)

        return self._commit(table, rows, plan)

    def add(self, table: str, rows: pl.DataFrame) -> WriteReceipt:
        """Add exactly the rows that are not there yet, every column compared: for moving rows.

        Unlike `append` it judges nothing: what another tier held is what this one holds.
        """
        rows = storable(table, rows).unique(maintain_order=True)

        def plan(stored: DeltaTable | None) -> _Change | None:
            if stored is None:
                return _Change(rows, rows.height)
            batch = unified(table, rows, table_schema(stored))
            old = unified(table, self._rows(stored, *_months(batch)).collect(), batch.schema)
            fresh = batch.join(old, on=batch.columns, how="anti", nulls_equal=True)
            return None if fresh.is_empty() else _Change(fresh, fresh.height)

        return self._commit(table, rows, plan)

    def replace(
        self, table: str, rows: pl.DataFrame, *, start: datetime, end: datetime
    ) -> WriteReceipt:
        """Replace the rows with start <= event_time < end in one new version.

        Equal content makes no new version. Rows without event_time are added where they are not
        there yet. Raises ValueError where a row lies outside the span.
        """
        _require(table, rows, ("event_time",))
        rows = storable(table, rows)
        inside = pl.col("event_time").is_null() | span_filter(start, end)
        if start >= end or not rows.select(inside.all()).item():
            raise ValueError(f"{table}: rows must lie in {start} <= event_time < {end}")

        def plan(stored: DeltaTable | None) -> _Change | None:
            return self._plan_replace(table, stored, rows, start, end)

        return self._commit(table, rows, plan)

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
        """Return rows with start <= event_time < end and knowledge_time <= known_by.

        Rows come in canonical order: by time, identity, then every other column. Only the files
        of the months asked for are opened. Raises KeyError where the table, a column or the
        version does not exist, ValueError on times without a zone.
        """
        stored = self.open(table, version)
        scan = scan_months(self.place, stored, *month_span(start, end)).filter(
            span_filter(start, end)
        )
        if known_by is not None:
            scan = scan.filter(pl.col("knowledge_time") <= utc("known_by", known_by))
        wanted = list(columns) if columns is not None else list(table_schema(stored))
        identity = [c for c in IDENTITY_COLUMNS if c in table_schema(stored) and c not in wanted]
        try:
            with answering():
                rows = scan.select([*wanted, *identity]).collect()
        except pl.exceptions.ColumnNotFoundError as error:
            raise KeyError(f"{table} must have the columns asked for: {error}") from error
        return canonical_order(rows).select(wanted)

    def scan(
        self,
        table: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        instrument_ids: Sequence[str] | None = None,
        version: int | None = None,
    ) -> pl.LazyFrame:
        """Return rows with start <= event_time < end of these instruments, read when collected."""
        return scan_rows(self.place, self.open(table, version), start, end, instrument_ids)

    def exists(self, table: str) -> bool:
        self._uri(table)
        return self.place.exists(table)

    def version(self, table: str) -> int:
        """Return the newest version; raise KeyError where the table does not exist."""
        return self.open(table).version()

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables that exist, sorted."""
        return self.place.tables()

    def schema(self, table: str, version: int | None = None) -> pl.Schema:
        """Return the columns of a table and their types; raise KeyError where it is not there."""
        return table_schema(self.open(table, version))

    def history(self, table: str) -> Sequence[Mapping[str, object]]:
        """Return what each version did, newest first, with the content hash of its rows."""
        return self.open(table).history()

    def size(self, table: str) -> tuple[int, int]:
        """Return (rows, bytes) of the newest version, from its log alone."""
        actions = pl.DataFrame(self.open(table).get_add_actions(flatten=True))
        if actions.is_empty():
            return 0, 0
        return int(actions["num_records"].sum()), int(actions["size_bytes"].sum())

    def span(self, table: str) -> tuple[datetime | None, datetime | None]:
        """Return the first and the last event_time; None where no row has one."""
        stored = self.open(table)
        if "event_time" not in table_schema(stored):
            return None, None
        bounds = self._rows(stored).select(
            low=pl.col("event_time").min(), high=pl.col("event_time").max()
        )
        low, high = bounds.collect().row(0)
        return low, high

    def compact(self, table: str) -> int:
        """Merge each month's small files into one and return the version; older ones stay."""
        stored = self.open(table)
        stored.optimize.compact(
            writer_properties=_WRITER_PROPERTIES,
            commit_properties=_commit_properties(stored.version() + 1, {}),
        )
        return stored.version()

    def _uri(self, table: str) -> str:
        if not _NAME.fullmatch(table):
            raise ValueError(f"a table's name must be lower_snake_case, was {table!r}")
        return self.place.uri(table)

    def open(self, table: str, version: int | None = None) -> DeltaTable:
        """Return the Delta table as of a version; KeyError where it does not exist."""
        try:
            with answering():
                return DeltaTable(
                    self._uri(table), version=version, storage_options=self.place.delta_options
                )
        except TableNotFoundError as error:
            raise KeyError(f"there is no table {table} in {self.place}") from error
        except DeltaError as error:
            raise KeyError(f"{table} has no version {version}: {error}") from error

    def _rows(
        self, stored: DeltaTable, first: str | None = None, last: str | None = None
    ) -> pl.LazyFrame:
        return scan_months(self.place, stored, first, last)

    def _plan_append(
        self,
        table: str,
        stored: DeltaTable | None,
        rows: pl.DataFrame,
        key: Sequence[str],
        ingested_at: datetime | None,
    ) -> _Change | None:
        if stored is None:
            fresh = new_rows(rows.clear(), rows, key, table=table)
            return _Change(fresh, fresh.height)
        rows = unified(table, rows, table_schema(stored))
        # A record moves between months only where its time is not part of its key.
        months: list[str] = (
            with_month(rows)[MONTH].unique().to_list() if "event_time" in key else []
        )
        near = self._rows(stored, *((min(months), max(months)) if months else ()))
        old = unified(table, near.collect(), rows.schema)
        fresh = new_rows(old, rows, key, table=table, ingested_at=ingested_at)
        if fresh.is_empty():
            return None
        if "knowledge_time" in rows.columns:
            return _Change(fresh, fresh.height)
        fresh = fresh.unique(list(key), keep="last", maintain_order=True)
        kept = old.join(fresh, on=list(key), how="anti", nulls_equal=True)
        return _Change(pl.concat([kept, fresh]), fresh.height, ("", UNDATED))

    def _plan_replace(
        self,
        table: str,
        stored: DeltaTable | None,
        rows: pl.DataFrame,
        start: datetime,
        end: datetime,
    ) -> _Change | None:
        if stored is None:
            return _Change(rows, rows.height)
        rows = unified(table, rows, table_schema(stored))
        first, last = month_span(start, end)
        old = unified(table, self._rows(stored, first, last).collect(), rows.schema)
        undated = unified(table, self._rows(stored, UNDATED, UNDATED).collect(), rows.schema)
        dated = rows.filter(pl.col("event_time").is_not_null())
        added = rows.filter(pl.col("event_time").is_null()).join(
            undated, on=rows.columns, how="anti", nulls_equal=True
        )
        current = old.filter(span_filter(start, end))
        if added.is_empty() and canonical_order(current).equals(canonical_order(dated)):
            return None
        kept = old.filter(~span_filter(start, end))
        changed = pl.concat([kept, dated, added])
        removed = (first or "", last or "") if old.height else None
        return _Change(changed, dated.height + added.height, removed)

    def _commit(
        self, table: str, rows: pl.DataFrame, plan: Callable[[DeltaTable | None], _Change | None]
    ) -> WriteReceipt:
        """Plan against the newest version and commit on top of it, again if another came first.

        Writers on this machine queue for a lock, which dies with its holder; retries are for
        writers on others, who share the storage but not the lock.
        """
        digest = content_hash(canonical_order(rows))
        self._uri(table)
        with self.place.locked(table):
            return self._commit_retrying(table, rows, digest, plan)

    def _opened(self, table: str, rows: pl.DataFrame) -> DeltaTable | None:
        """Return the table, or None where its first rows are to make it.

        delta-rs commits the loser of two creations as a second version, unasked. Where writers
        of other machines may come, a table is therefore made without rows, and then added to.
        """
        if self.exists(table):
            return self.open(table)
        if not self.place.shared:
            return None
        self._write(table, None, _Change(rows.clear(), 0), "")
        return self.open(table)

    def _commit_retrying(
        self,
        table: str,
        rows: pl.DataFrame,
        digest: str,
        plan: Callable[[DeltaTable | None], _Change | None],
    ) -> WriteReceipt:
        for attempt in range(_ATTEMPTS):
            stored = self._opened(table, rows)
            change = plan(stored)
            if change is None and stored is not None:
                return WriteReceipt(table, stored.version(), 0, digest)
            assert change is not None
            try:
                with answering():
                    version = self._write(table, stored, change, digest)
            except (CommitFailedError, DeltaError):
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            return WriteReceipt(table, version, change.inserted_row_count, digest)
        raise AssertionError("the loop returns or raises")

    def _write(self, table: str, stored: DeltaTable | None, change: _Change, digest: str) -> int:
        version = 0 if stored is None else stored.version() + 1
        removed = change.removed_months
        mode = "error" if stored is None else "overwrite" if removed else "append"
        rows = with_month(unified(table, change.rows, pl.Schema()))
        rows = canonical_order(rows, [c for c in _CLUSTER if c in rows.columns])
        self.place.prepare(table)
        write_deltalake(
            stored if stored is not None else self._uri(table),
            rows,
            # Its overloads want one literal mode, ours is one of three.
            mode=mode,  # pyright: ignore[reportArgumentType]
            predicate=_between(*removed) if removed else None,
            partition_by=[MONTH],
            schema_mode="merge" if stored is not None else None,
            configuration=_CONFIGURATION if stored is None else None,
            writer_properties=_WRITER_PROPERTIES,
            commit_properties=_commit_properties(version, {"content_hash": digest}),
            storage_options=self.place.delta_options if stored is None else None,
        )
        return version


def _commit_properties(version: int, metadata: dict[str, str]) -> CommitProperties:
    return CommitProperties(
        custom_metadata=metadata, app_transactions=[Transaction(_WRITER, version)]
    )


def _months(rows: pl.DataFrame) -> tuple[str | None, str | None]:
    months: list[str] = with_month(rows)[MONTH].unique().to_list()
    return (min(months), max(months)) if months else (None, None)


def _between(first: str, last: str) -> str:
    return f"{MONTH} >= '{first}' AND {MONTH} <= '{last}'"


def _require(table: str, rows: pl.DataFrame, columns: Sequence[str]) -> None:
    missing = [c for c in columns if c not in rows.columns]
    if missing or not columns:
        raise ValueError(f"{table} must have the columns {list(columns)}, had {rows.columns}")
