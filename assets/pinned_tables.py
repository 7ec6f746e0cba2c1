"""A table store as it stood when something was decided: reads answer at the versions it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from assets.ports import TableStore, WriteReceipt
from swarm_core.lineage import Lineage


def versions_of(lineage: Lineage) -> dict[str, int]:
    """Return the table versions that a decision's lineage names.

    Raises ValueError where one of them is no "table@version".
    """
    named = [*lineage.clean_versions, *lineage.raw_versions]
    if lineage.feature_table_version:
        named.append(f"features@{lineage.feature_table_version}")
    versions: dict[str, int] = {}
    for text in named:
        table, separator, version = text.rpartition("@")
        if not (separator and table and version.isdigit()):
            raise ValueError(f"a version of the lineage must be TABLE@NUMBER, was {text!r}")
        versions[table] = int(version)
    return versions


@dataclass(frozen=True, slots=True)
class PinnedTables:
    """Reads at pinned versions where there is a pin, at the newest elsewhere; writes nothing."""

    tables: TableStore
    versions: Mapping[str, int]

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
        """Return rows as TableStore.read does, of the pinned version where none is asked for."""
        return self.tables.read(
            table,
            start=start,
            end=end,
            known_by=known_by,
            columns=columns,
            version=self.versions.get(table) if version is None else version,
        )

    def exists(self, table: str) -> bool:
        return self.tables.exists(table)

    def version(self, table: str) -> int:
        pinned = self.versions.get(table)
        return self.tables.version(table) if pinned is None else pinned

    def append(
        self,
        table: str,
        rows: pl.DataFrame,
        *,
        key: Sequence[str],
        ingested_at: datetime | None = None,
    ) -> WriteReceipt:
        raise TypeError(f"pinned tables must not be written to, {table} was")

    def replace(
        self, table: str, rows: pl.DataFrame, *, start: datetime, end: datetime
    ) -> WriteReceipt:
        raise TypeError(f"pinned tables must not be written to, {table} was")
