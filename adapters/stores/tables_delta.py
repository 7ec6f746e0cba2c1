"""Tables in Delta Lake: they grow in versions, and every read can be pinned and repeated."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from adapters.stores.cold_errors import ColdArchivedError, ColdDamagedError
from adapters.stores.cold_places import ColdPlace, LocalPlace, answering, require_archive
from adapters.stores.cold_scans import (
    ColdView,
    crowded_months,
    is_readable,
    month_files,
    months_held,
    scan_months,
    table_schema,
)
from adapters.stores.content_hash import IDENTITY_COLUMNS, canonical_order
from adapters.stores.delta_commits import Change, DeltaCommits, WriteReceipt
from adapters.stores.revisions import new_rows
from adapters.stores.segments import asked
from adapters.stores.table_months import MONTH, UNDATED, month_span, span_filter, utc, with_month
from adapters.stores.table_types import storable, unified

_VIEWS_MAX = 100  # spans of months of a table that are kept ready


@dataclass(slots=True)
class _Known:
    """The newest version of a table as it was last seen."""

    newest: DeltaTable
    version: int
    stamp: object | None = None  # of its newest commit, where the place has stamps
    views: dict[tuple[str | None, str | None], ColdView] = field(
        default_factory=dict[tuple[str | None, str | None], ColdView]
    )


class DeltaTableStore:
    """The cold tier: one Delta table per name, partitioned by month of event_time.

    `root` is a folder, or a place on S3-compatible storage. Raises ColdStoreUnavailableError
    where the storage is away.
    """

    def __init__(self, root: Path | ColdPlace) -> None:
        self.place: ColdPlace = LocalPlace(root) if isinstance(root, Path | str) else root
        self._commits = DeltaCommits(self.place)
        self.blocks, self.log = self._commits.blocks, self._commits.log
        self._looking = Lock()
        self._known: dict[str, _Known] = {}

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

        def plan(stored: DeltaTable | None) -> Change | None:
            return self._plan_append(table, stored, rows, key, ingested_at)

        return self._commits.commit(table, rows, plan)

    def add(self, table: str, rows: pl.DataFrame) -> WriteReceipt:
        """Add exactly the rows that are not there yet, every column compared: for moving rows.

        Unlike `append` it judges nothing: what another tier held is what this one holds.
        """
        rows = storable(table, rows).unique(maintain_order=True)

        def plan(stored: DeltaTable | None) -> Change | None:
            if stored is None:
                return Change(rows, rows.height)
            batch = unified(table, rows, table_schema(stored))
            old = unified(table, self._rows(stored, *_months(batch)).collect(), batch.schema)
            fresh = batch.join(old, on=batch.columns, how="anti", nulls_equal=True)
            return None if fresh.is_empty() else Change(fresh, fresh.height)

        return self._commits.commit(table, rows, plan)

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

        def plan(stored: DeltaTable | None) -> Change | None:
            return self._plan_replace(table, stored, rows, start, end)

        return self._commits.commit(table, rows, plan)

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
        scan = scan_months(self.blocks, stored, *month_span(start, end)).filter(
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
        except FileNotFoundError as error:
            self.require_files(table, version)
            if version is None:
                raise  # the newest version must have its files: this is damage
            raise KeyError(
                f"version {stored.version()} of {table} must have its files: {error}"
            ) from error
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
        """Return rows with start <= event_time < end of these instruments, read when collected.

        Rows lie sorted by instrument within a month, so that the statistics of the row groups rule
        out nearly all that hold other instruments.
        """
        view = self.view(table, start=start, end=end, version=version)
        if view is None:
            raise KeyError(f"there is no table {table} in {self.place}")
        return asked(view.scan(), start, end, instrument_ids)

    def view(
        self,
        table: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        version: int | None = None,
    ) -> ColdView | None:
        """Return the months that start <= event_time < end touches, as of a version.

        None where there is no such table; KeyError where there is no such version.
        """
        months = month_span(start, end)
        if version is not None:
            return ColdView(self.blocks, self.open(table, version), *months)
        with self._looking:
            known = self._look_again(table)
            if known is None:
                return None
            if months not in known.views:
                if len(known.views) >= _VIEWS_MAX:
                    known.views.clear()
                known.views[months] = ColdView(self.blocks, known.newest, *months)
            return known.views[months]

    def _look_again(self, table: str) -> "_Known | None":
        """Return the newest version; of a table that was opened before, only its new commits."""
        known = self._known.get(table)
        newest = None if known is None else known.newest
        if known is not None and newest is not None:
            stamp, is_newest = self.place.commit_stamp(table, newest.version())
            if stamp != known.stamp:  # the table was made anew
                newest = None
            elif is_newest:
                return known
        if not self.exists(table):
            return None
        if newest is not None:
            if not self.place.proves_itself:  # there it is one look more at every question
                self.log.prove(table, None)
            try:
                with answering():
                    newest.update_incremental()
            except DeltaError:  # the table was made anew
                newest = None
        if newest is None:
            newest = self.open(table)
        stamp, _ = self.place.commit_stamp(table, newest.version())
        if known is None or known.newest is not newest or known.version != newest.version():
            known = self._known[table] = _Known(newest, newest.version())
        known.stamp = stamp
        return known

    def open(self, table: str, version: int | None = None) -> DeltaTable:
        """Return the Delta table as of a version; KeyError where it does not exist."""
        return self._commits.open(table, version)

    def exists(self, table: str) -> bool:
        return self._commits.exists(table)

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
        """Return the first and the last event_time; None where no row has one.

        Of a table with files that must be thawed first, or are damaged: the span of its months.
        """
        stored = self.open(table)
        if "event_time" not in table_schema(stored):
            return None, None
        bounds = self._rows(stored).select(
            low=pl.col("event_time").min(), high=pl.col("event_time").max()
        )
        try:
            with answering():
                low, high = bounds.collect().row(0)
        except (ColdArchivedError, ColdDamagedError, FileNotFoundError):
            # What cannot be read is known by its months: who looks for damage must be shown it.
            low, high = months_held(stored)
        return low, high

    def unreadable(self, table: str, version: int | None = None) -> tuple[str, ...]:
        """Return the files of a version that are not there or are no Parquet files any more."""
        stored = self.open(table, version)
        return tuple(
            file
            for file in month_files(self.place, table, stored, None, None)
            if not is_readable(self.place, file)
        )

    def require_files(self, table: str, version: int | None = None) -> None:
        """Raise ArchiveAwayError where a file of a version lies in an archive that is not there."""
        stored = self.open(table, version)
        require_archive(month_files(self.place, table, stored, None, None))

    def compact(self, table: str, *, files_min: int = 2) -> int:
        """Merge each month of `files_min` files or more into one, sorted; return the version.

        One month is one version, so that little is done again where it is interrupted. Older
        versions stay readable.
        """
        for month in crowded_months(self.open(table), files_min):
            # A month that must be thawed before it can be read stays as it is.
            with suppress(ColdArchivedError):
                self._commits.commit(
                    table, pl.DataFrame(), lambda now, m=month: self._merged(now, m)
                )
        return self.version(table)

    def rewrite_month(self, table: str, month: str) -> int:
        """Write the files of a month anew, the same rows in them; return the version."""

        def plan(stored: DeltaTable | None) -> Change | None:
            assert stored is not None
            return Change(self._rows(stored, month, month).collect(), 0, (month, month))

        self._commits.commit(table, pl.DataFrame(), plan)
        return self.version(table)

    def _merged(self, stored: DeltaTable | None, month: str) -> Change | None:
        assert stored is not None
        if month not in crowded_months(stored, 2):  # another has done it
            return None
        return Change(self._rows(stored, month, month).collect(), 0, (month, month))

    def _rows(
        self, stored: DeltaTable, first: str | None = None, last: str | None = None
    ) -> pl.LazyFrame:
        return scan_months(self.blocks, stored, first, last)

    def _plan_append(
        self,
        table: str,
        stored: DeltaTable | None,
        rows: pl.DataFrame,
        key: Sequence[str],
        ingested_at: datetime | None,
    ) -> Change | None:
        if stored is None:
            fresh = new_rows(rows.clear(), rows, key, table=table)
            return Change(fresh, fresh.height)
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
            return Change(fresh, fresh.height)
        fresh = fresh.unique(list(key), keep="last", maintain_order=True)
        kept = old.join(fresh, on=list(key), how="anti", nulls_equal=True)
        return Change(pl.concat([kept, fresh]), fresh.height, ("", UNDATED))

    def _plan_replace(
        self,
        table: str,
        stored: DeltaTable | None,
        rows: pl.DataFrame,
        start: datetime,
        end: datetime,
    ) -> Change | None:
        if stored is None:
            return Change(rows, rows.height)
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
        return Change(changed, dated.height + added.height, removed)


def _months(rows: pl.DataFrame) -> tuple[str | None, str | None]:
    months: list[str] = with_month(rows)[MONTH].unique().to_list()
    return (min(months), max(months)) if months else (None, None)


def _require(table: str, rows: pl.DataFrame, columns: Sequence[str]) -> None:
    missing = [c for c in columns if c not in rows.columns]
    if missing or not columns:
        raise ValueError(f"{table} must have the columns {list(columns)}, had {rows.columns}")
