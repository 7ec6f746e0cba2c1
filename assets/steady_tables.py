"""Tables that stand still for a reader: the version of its first read is that of all later ones."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from assets.pinned_tables import PinnedTables
from assets.ports import TableStore, WriteReceipt


class SteadyTables:
    """A table store whose reads all see one version of each table, and that says which.

    What is on record as read is then what was read, whoever writes meanwhile. It writes nothing.
    """

    def __init__(self, tables: TableStore) -> None:
        self.versions: dict[str, int] = {}
        self._tables = tables
        self._pinned = PinnedTables(tables, self.versions)

    def version(self, table: str) -> int:
        """Return the version that reads see; from now on it stands."""
        if table not in self.versions:
            self.versions[table] = self._tables.version(table)
        return self.versions[table]

    def exists(self, table: str) -> bool:
        return table in self.versions or self._tables.exists(table)

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
        """Return rows of the version that stands, or of the one that is asked for."""
        seen = self.version(table) if version is None else version
        return self._tables.read(
            table, start=start, end=end, known_by=known_by, columns=columns, version=seen
        )

    def append(
        self,
        table: str,
        rows: pl.DataFrame,
        *,
        key: Sequence[str],
        ingested_at: datetime | None = None,
    ) -> WriteReceipt:
        return self._pinned.append(table, rows, key=key, ingested_at=ingested_at)

    def replace(
        self, table: str, rows: pl.DataFrame, *, start: datetime, end: datetime
    ) -> WriteReceipt:
        return self._pinned.replace(table, rows, start=start, end=end)
