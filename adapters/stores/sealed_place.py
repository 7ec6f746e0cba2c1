"""A place of the cold tier whose files are encrypted before they leave the process."""

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import polars as pl
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from adapters.file_lock import Locked
from adapters.stores.cold_places import ColdPlace
from adapters.stores.envelope import Sealer, SealError, is_sealed
from adapters.stores.table_months import MONTH


class SealedPlace:
    """Another place, with every data file sealed for one owner; the Delta log stays readable.

    Names of tables and columns, months and numbers of rows are in the log; values are not: no
    minima and maxima are kept. A month is decrypted whole when it is read. Files from before the
    encryption was switched on are read as they are, unless `only_sealed`.
    """

    def __init__(self, place: ColdPlace, sealer: Sealer, *, only_sealed: bool = False) -> None:
        self._place, self.sealer, self._only_sealed = place, sealer, only_sealed

    @property
    def plain(self) -> ColdPlace:
        """Return the place that holds the sealed files."""
        return self._place

    def __str__(self) -> str:
        return str(self._place)

    @property
    def shared(self) -> bool:
        return self._place.shared

    @property
    def proves_itself(self) -> bool:
        return self._place.proves_itself

    @property
    def delta_options(self) -> dict[str, str] | None:
        return self._place.delta_options

    @property
    def scan_options(self) -> dict[str, str | int] | None:
        return self._place.scan_options

    def uri(self, table: str) -> str:
        return self._place.uri(table)

    def tables(self) -> tuple[str, ...]:
        return self._place.tables()

    def exists(self, table: str) -> bool:
        return self._place.exists(table)

    def commit_stamp(self, table: str, version: int) -> tuple[object | None, bool]:
        return self._place.commit_stamp(table, version)

    def file_stamps(self, paths: Sequence[str]) -> list[tuple[int, ...]]:
        return self._place.file_stamps(paths)

    def prepare(self, table: str) -> None:
        self._place.prepare(table)

    def require_room(self, size: int) -> None:
        self._place.require_room(size)

    def read_bytes(self, path: str) -> bytes:
        return self._place.read_bytes(path)

    def write_bytes(self, path: str, content: bytes) -> None:
        self._place.write_bytes(path, content)

    def remove(self, path: str) -> None:
        self._place.remove(path)

    def file_names(self, folder: str) -> tuple[str, ...]:
        return self._place.file_names(folder)

    def folder_stamps(
        self, folder: str, choose: Callable[[Sequence[str]], Sequence[str]]
    ) -> dict[str, tuple[int, ...]]:
        return self._place.folder_stamps(folder, choose)

    def locked(self, table: str) -> Locked:
        return self._place.locked(table)

    def plain_bytes(self, file: str) -> bytes:
        """Return the Parquet bytes of a file that a Delta table names by its address.

        Raises SealError where it is not sealed for this owner or was changed,
        FileNotFoundError where it is gone.
        """
        root = self._place.uri("_")[:-1]
        path = file.removeprefix("file://").removeprefix(root)
        content = self._place.read_bytes(path)
        if is_sealed(content):
            return self.sealer.open(content, path)
        if self._only_sealed:
            raise SealError(f"{path} must be sealed, is not")
        return content

    def is_sealed(self, path: str) -> bool:
        """Return whether the file at `table/...` is sealed."""
        return is_sealed(self._place.read_bytes(path))

    def rewrap(self, path: str) -> bool:
        """Put a sealed file's data key under the owner's newest key; False where it is not sealed.

        The file keeps its length and is swapped whole, so that readers never notice.
        """
        content = self._place.read_bytes(path)
        if not is_sealed(content):
            return False
        self._place.write_bytes(path, self.sealer.rewrapped(content, path))
        return True

    def write(
        self,
        table: str,
        stored: DeltaTable | None,
        rows: pl.DataFrame,
        removed_months: tuple[str, str] | None,
        configuration: Mapping[str, str | None],
        properties: CommitProperties,
        row_group_size: int,
    ) -> int:
        """Seal the rows, a file a month, and commit them; return the version.

        `rows` have their month. The commit fails as any commit of delta-rs does where another
        came first; the files are then named by no version.
        """
        added = [
            self._sealed_file(table, str(month), part, row_group_size)
            for (month,), part in rows.partition_by(
                MONTH, as_dict=True, maintain_order=True
            ).items()
        ]
        schema = Schema.from_arrow(rows.clear().to_arrow().schema)
        if stored is None:
            create_table_with_add_actions(
                self.uri(table),
                schema,
                added,
                mode="error",
                partition_by=[MONTH],
                configuration=configuration,
                storage_options=self.delta_options,
                commit_properties=properties,
            )
            return 0
        known = {field.name for field in stored.schema().fields}
        new = [field for field in schema.fields if field.name not in known]
        if new:
            stored.alter.add_columns(new)
        gone = _removed(stored, removed_months) if removed_months else []
        actions: list[AddAction | RemoveAction] = [*gone, *added]
        stored.create_write_transaction(
            actions, "append", stored.schema(), partition_by=[MONTH], commit_properties=properties
        )
        stored.update_incremental()
        return stored.version()

    def _sealed_file(
        self, table: str, month: str, rows: pl.DataFrame, row_group_size: int
    ) -> AddAction:
        plain = io.BytesIO()
        rows.drop(MONTH).write_parquet(plain, row_group_size=row_group_size)
        name = f"{MONTH}={month}/part-{uuid4()}.parquet"
        sealed = self.sealer.seal(plain.getvalue(), f"{table}/{name}")
        self._place.write_bytes(f"{table}/{name}", sealed)
        stats = json.dumps({"numRecords": rows.height})
        return AddAction(name, len(sealed), {MONTH: month}, _now_ms(), True, stats)


def _removed(stored: DeltaTable, months: tuple[str, str]) -> list[RemoveAction]:
    """Return what takes the files of the months first..last out of the newest version."""
    actions: Any = pl.DataFrame(stored.get_add_actions(flatten=True))
    first, last = (pl.lit(month) for month in months)
    inside = actions.filter(pl.col(f"partition.{MONTH}").is_between(first, last))
    now = _now_ms()
    return [
        RemoveAction(row["path"], True, now, row["size_bytes"], {MONTH: row[f"partition.{MONTH}"]})
        for row in inside.iter_rows(named=True)
    ]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
