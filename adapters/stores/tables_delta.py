"""Tables in Delta Lake: they grow in versions, and every read can be pinned and repeated."""

import fcntl
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from deltalake.exceptions import CommitFailedError, DeltaError

from adapters.stores.content_hash import IDENTITY_COLUMNS, canonical_order, content_hash
from adapters.stores.revisions import new_rows
from adapters.stores.table_months import MONTH, UNDATED, month_span, span_filter, utc, with_month
from adapters.stores.table_types import storable, unified

# Every commit carries this transaction id, so that two writers who started from one version
# conflict even when both only append; the later one reads again and retries.
_WRITER = "apiary"
_ATTEMPTS = 8
_NAME = re.compile(r"[a-z][a-z0-9_]*")
# Statistics beyond the identity columns cost log bytes and are never asked for: months prune.
_CONFIGURATION = {"delta.dataSkippingNumIndexedCols": "4"}
# Dictionaries shrink text; on prices they double the time of a write and save nothing.
_WRITER_PROPERTIES = WriterProperties(
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
    """The cold tier: one Delta table per name under `root`, partitioned by month of event_time."""

    def __init__(self, root: Path) -> None:
        self._root = Path(root)

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
            batch = unified(table, rows, _schema(stored))
            old = unified(table, _scan(stored, *_months(batch)).collect(), batch.schema)
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
        stored = self._open(table, version)
        scan = _scan(stored, *month_span(start, end)).filter(span_filter(start, end))
        if known_by is not None:
            scan = scan.filter(pl.col("knowledge_time") <= utc("known_by", known_by))
        wanted = list(columns) if columns is not None else list(_schema(stored))
        identity = [c for c in IDENTITY_COLUMNS if c in _schema(stored) and c not in wanted]
        try:
            rows = scan.select([*wanted, *identity]).collect()
        except pl.exceptions.ColumnNotFoundError as error:
            raise KeyError(f"{table} must have the columns asked for: {error}") from error
        return canonical_order(rows).select(wanted)

    def exists(self, table: str) -> bool:
        return DeltaTable.is_deltatable(str(self._path(table)))

    def version(self, table: str) -> int:
        """Return the newest version; raise KeyError where the table does not exist."""
        return self._open(table).version()

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables that exist, sorted."""
        if not self._root.is_dir():
            return ()
        return tuple(sorted(p.name for p in self._root.iterdir() if (p / "_delta_log").is_dir()))

    def schema(self, table: str, version: int | None = None) -> pl.Schema:
        """Return the columns of a table and their types; raise KeyError where it is not there."""
        return _schema(self._open(table, version))

    def history(self, table: str) -> Sequence[Mapping[str, object]]:
        """Return what each version did, newest first, with the content hash of its rows."""
        return self._open(table).history()

    def size(self, table: str) -> tuple[int, int]:
        """Return (rows, bytes) of the newest version, from its log alone."""
        actions = pl.DataFrame(self._open(table).get_add_actions(flatten=True))
        if actions.is_empty():
            return 0, 0
        return int(actions["num_records"].sum()), int(actions["size_bytes"].sum())

    def span(self, table: str) -> tuple[datetime | None, datetime | None]:
        """Return the first and the last event_time; None where no row has one."""
        stored = self._open(table)
        if "event_time" not in _schema(stored):
            return None, None
        bounds = _scan(stored).select(
            low=pl.col("event_time").min(), high=pl.col("event_time").max()
        )
        low, high = bounds.collect().row(0)
        return low, high

    def compact(self, table: str) -> int:
        """Merge each month's small files into one and return the version; older ones stay."""
        stored = self._open(table)
        stored.optimize.compact(
            writer_properties=_WRITER_PROPERTIES,
            commit_properties=_commit_properties(stored.version() + 1, {}),
        )
        return stored.version()

    def _path(self, table: str) -> Path:
        if not _NAME.fullmatch(table):
            raise ValueError(f"a table's name must be lower_snake_case, was {table!r}")
        return self._root / table

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        path = self._path(table)
        if not DeltaTable.is_deltatable(str(path)):
            raise KeyError(f"there is no table {table} in {self._root}")
        try:
            return DeltaTable(path, version=version)
        except DeltaError as error:
            raise KeyError(f"{table} has no version {version}: {error}") from error

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
        rows = unified(table, rows, _schema(stored))
        # A record moves between months only where its time is not part of its key.
        months: list[str] = (
            with_month(rows)[MONTH].unique().to_list() if "event_time" in key else []
        )
        near = _scan(stored, min(months), max(months)) if months else _scan(stored)
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
        rows = unified(table, rows, _schema(stored))
        first, last = month_span(start, end)
        old = unified(table, _scan(stored, first, last).collect(), rows.schema)
        undated = unified(table, _scan(stored, UNDATED, UNDATED).collect(), rows.schema)
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
        with _locked(self._root / ".locks" / self._path(table).name):
            return self._commit_retrying(table, digest, plan)

    def _commit_retrying(
        self, table: str, digest: str, plan: Callable[[DeltaTable | None], _Change | None]
    ) -> WriteReceipt:
        for attempt in range(_ATTEMPTS):
            stored = self._open(table) if self.exists(table) else None
            change = plan(stored)
            if change is None and stored is not None:
                return WriteReceipt(table, stored.version(), 0, digest)
            assert change is not None
            try:
                version = self._write(self._path(table), stored, change, digest)
            except (CommitFailedError, DeltaError):
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            return WriteReceipt(table, version, change.inserted_row_count, digest)
        raise AssertionError("the loop returns or raises")

    def _write(self, path: Path, stored: DeltaTable | None, change: _Change, digest: str) -> int:
        version = 0 if stored is None else stored.version() + 1
        removed = change.removed_months
        mode = "error" if stored is None else "overwrite" if removed else "append"
        rows = with_month(unified(path.name, canonical_order(change.rows), pl.Schema()))
        path.mkdir(parents=True, exist_ok=True)
        write_deltalake(
            stored if stored is not None else path,
            rows,  # in order of time, hence of months
            # Its overloads want one literal mode, ours is one of three.
            mode=mode,  # pyright: ignore[reportArgumentType]
            predicate=_between(*removed) if removed else None,
            partition_by=[MONTH],
            schema_mode="merge" if stored is not None else None,
            configuration=_CONFIGURATION if stored is None else None,
            writer_properties=_WRITER_PROPERTIES,
            commit_properties=_commit_properties(version, {"content_hash": digest}),
        )
        return version


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file, or dying, releases it
        yield


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


def _schema(stored: DeltaTable) -> pl.Schema:
    columns = pl.Schema(stored.schema()).items()
    return pl.Schema({name: dtype for name, dtype in columns if name != MONTH})


def _scan(stored: DeltaTable, first: str | None = None, last: str | None = None) -> pl.LazyFrame:
    """Return the rows of the months first..last, without the month itself."""
    bounds = [(MONTH, op, m) for op, m in ((">=", first), ("<=", last)) if m is not None]
    files = sorted(stored.file_uris(file_pruning_predicate=bounds or None))
    schema = _schema(stored)
    if not files:
        return pl.LazyFrame(schema=schema)
    return pl.scan_parquet(
        files,
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
        hive_partitioning=False,
        glob=False,
    )
