"""Upkeep of the cold tier: what nobody can ask for any more goes, all else stays and is compact."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from adapters.stores.delta_names import names_in_table
from adapters.stores.tables_delta import DeltaTableStore

# A reader or a writer that is at work now may use files that the newest version has let go of.
RETENTION_FLOOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class UpkeepReport:
    """What upkeep did to a table."""

    table: str
    version: int
    removed_file_count: int
    kept_versions: tuple[int, ...]


class ColdUpkeep:
    """Compaction and vacuum of every table; readers and pinned versions never notice."""

    def __init__(self, store: DeltaTableStore, *, floor: timedelta = RETENTION_FLOOR) -> None:
        self._store = store
        self._floor = floor

    def keep(
        self,
        pinned: Mapping[str, Collection[int]],
        *,
        retention: timedelta,
        files_min: int,
    ) -> tuple[UpkeepReport, ...]:
        """Compact and vacuum every table; `pinned` says which versions must stay readable."""
        return tuple(
            self.keep_table(table, pinned.get(table, ()), retention=retention, files_min=files_min)
            for table in self._store.tables()
        )

    def keep_table(
        self, table: str, pinned: Collection[int], *, retention: timedelta, files_min: int
    ) -> UpkeepReport:
        """Compact the months of many files, then remove what no version that matters names."""
        self._store.compact(table, files_min=files_min)
        removed = self.vacuum(table, pinned, retention=retention)
        kept = tuple(sorted(set(pinned)))
        return UpkeepReport(table, self._store.version(table), len(removed), kept)

    def can_be_read(self, table: str, version: int) -> bool:
        """Return whether the version is there with all its files."""
        try:
            stored = self._store.open(table, version)
        except KeyError:
            return False
        files = stored.file_uris()
        return len(self._there(table, files)) == len(files)

    def vacuum(
        self, table: str, pinned: Collection[int], *, retention: timedelta
    ) -> tuple[str, ...]:
        """Remove files that were let go of longer ago than `retention` and return their names.

        Never one that the newest version or a pinned one reads. Raises ValueError where the
        retention is below the floor.
        """
        if retention < self._floor:
            raise ValueError(f"retention must be at least {self._floor}, was {retention}")
        stored = self._store.open(table)
        kept = sorted(v for v in set(pinned) if v <= stored.version())
        hours = int(retention.total_seconds() // 3600)

        def swept(*, dry_run: bool) -> list[str]:
            # Full, so that files of writers who died before their commit go too.
            return stored.vacuum(
                hours,
                dry_run=dry_run,
                enforce_retention_duration=False,
                full=True,
                keep_versions=kept or None,
            )

        with self._store.place.locked(table):
            # What is listed may be gone already, and to remove nothing would make two versions.
            there = self._there(table, swept(dry_run=True))
            if there:
                swept(dry_run=False)
                self._store.blocks.forget(table, there)
            return there

    def _there(self, table: str, listed: Collection[str]) -> tuple[str, ...]:
        """Return those of the files listed, as `month/file`, that still exist."""
        names = set(names_in_table(listed))
        found: set[str] = set()
        for folder in {name.split("/")[0] for name in names}:
            at = self._store.place.file_names(f"{table}/{folder}")
            found |= {f"{folder}/{name}" for name in at}
        return tuple(sorted(names & found))
