"""Commits to Delta tables: planned on the newest version, and planned again where it was not."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from adapters.stores.cold_blocks import ColdBlocks
from adapters.stores.cold_errors import ColdDamagedError
from adapters.stores.cold_log import ColdLog, first_line
from adapters.stores.cold_places import ColdPlace, answering
from adapters.stores.content_hash import IDENTITY_COLUMNS, canonical_order, content_hash
from adapters.stores.sealed_place import SealedPlace
from adapters.stores.table_months import MONTH, with_month
from adapters.stores.table_types import unified

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
_ROW_GROUPS = 128  # in a month, so that one of hundreds of instruments is in a hundredth of it


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
class Change:
    """Rows to add in one commit, after removing the months first..last (None removes nothing)."""

    rows: pl.DataFrame
    inserted_row_count: int
    removed_months: tuple[str, str] | None = None


class DeltaCommits:
    """The tables of one place, opened and added to; ColdStoreUnavailableError where it is away."""

    def __init__(self, place: ColdPlace) -> None:
        self.place = place
        self.blocks = ColdBlocks(place)
        self.log = ColdLog(self.blocks)

    def uri(self, table: str) -> str:
        if not _NAME.fullmatch(table):
            raise ValueError(f"a table's name must be lower_snake_case, was {table!r}")
        return self.place.uri(table)

    def open(self, table: str, version: int | None = None) -> DeltaTable:
        """Return the Delta table as of a version; KeyError where it does not exist.

        Raises ColdDamagedError, which names the file, where its log is not what was written.
        """
        uri = self.uri(table)
        self.log.prove(table, version)
        try:
            with answering():
                return DeltaTable(uri, version=version, storage_options=self.place.delta_options)
        except TableNotFoundError as error:
            raise KeyError(f"there is no table {table} in {self.place}") from error
        except (DeltaError, pa.ArrowException) as error:
            self.log.require_readable(table, version)
            if version is None:
                raise ColdDamagedError(
                    f"{table}/_delta_log must be readable, is not: {first_line(error)}"
                ) from error
            newest = DeltaTable(uri, storage_options=self.place.delta_options).version()
            raise KeyError(
                f"{table} has no version {version} that can be read, its newest is {newest}"
            ) from error

    def exists(self, table: str) -> bool:
        self.uri(table)
        return self.place.exists(table)

    def commit(
        self, table: str, rows: pl.DataFrame, plan: Callable[[DeltaTable | None], Change | None]
    ) -> WriteReceipt:
        """Plan against the newest version and commit on top of it, again if another came first.

        Writers on this machine queue for a lock, which dies with its holder; retries are for
        writers on others, who share the storage but not the lock.
        """
        digest = content_hash(canonical_order(rows))
        self.uri(table)
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
        try:
            with answering():
                self._write(table, None, Change(rows.clear(), 0), "")
        except DeltaError:
            if not self.exists(table):  # else another machine made it meanwhile
                raise
        return self.open(table)

    def _commit_retrying(
        self,
        table: str,
        rows: pl.DataFrame,
        digest: str,
        plan: Callable[[DeltaTable | None], Change | None],
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

    def _write(self, table: str, stored: DeltaTable | None, change: Change, digest: str) -> int:
        version = 0 if stored is None else stored.version() + 1
        removed = change.removed_months
        mode = "error" if stored is None else "overwrite" if removed else "append"
        rows = with_month(unified(table, change.rows, pl.Schema()))
        rows = canonical_order(rows, [c for c in _CLUSTER if c in rows.columns])
        self.place.prepare(table)
        properties = commit_properties(version, {"content_hash": digest})
        self.place.require_room(int(rows.estimated_size()))
        if isinstance(self.place, SealedPlace):  # what it seals proves itself
            group = _row_group_size(rows)
            given = table, stored, rows, removed, _CONFIGURATION, properties, group
            written = self.place.write(*given)
            self.log.note(table, written)
            return written
        write_deltalake(
            stored if stored is not None else self.uri(table),
            rows,
            # Its overloads want one literal mode, ours is one of three.
            mode=mode,  # pyright: ignore[reportArgumentType]
            predicate=_between(*removed) if removed else None,
            partition_by=[MONTH],
            schema_mode="merge" if stored is not None else None,
            configuration=_CONFIGURATION if stored is None else None,
            writer_properties=_writer_properties(rows),
            commit_properties=properties,
            storage_options=self.place.delta_options if stored is None else None,
        )
        written = 0 if stored is None else stored.version()
        self.blocks.note_version(table, written)
        self.log.note(table, written)
        return written


def _row_group_size(rows: pl.DataFrame) -> int:
    a_month = rows.height // max(1, rows[MONTH].n_unique())
    return min(65_536, max(8_192, a_month // _ROW_GROUPS))


def _writer_properties(rows: pl.DataFrame) -> WriterProperties:
    # Dictionaries shrink text; on prices they double the time of a write and save nothing.
    return WriterProperties(
        max_row_group_size=_row_group_size(rows),
        default_column_properties=ColumnProperties(dictionary_enabled=False),
        column_properties={
            c: ColumnProperties(dictionary_enabled=True)
            for c in (*IDENTITY_COLUMNS, "source", "currency", "interval", "adjustment")
        },
    )


def commit_properties(version: int, metadata: dict[str, str]) -> CommitProperties:
    return CommitProperties(
        custom_metadata=metadata, app_transactions=[Transaction(_WRITER, version)]
    )


def _between(first: str, last: str) -> str:
    return f"{MONTH} >= '{first}' AND {MONTH} <= '{last}'"
