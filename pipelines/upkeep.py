"""Upkeep of the cold tier as the desk's settings say, with every version on record kept."""

from collections.abc import Callable
from datetime import datetime, timedelta

from adapters.stores.cold_archive import ArchiveReport, ColdArchive
from adapters.stores.cold_sums import Damage
from adapters.stores.cold_upkeep import ColdUpkeep, UpkeepReport
from adapters.stores.tables_delta import DeltaTableStore
from pipelines.pins import Pins
from pipelines.tier_settings import ColdRules


class DeskUpkeep:
    """Compacts and vacuums the cold tables of a desk."""

    def __init__(self, store: DeltaTableStore, rules: ColdRules, pins: Callable[[], Pins]) -> None:
        self._store = store
        self._rules = rules
        self._pins = pins

    def keep(self) -> tuple[UpkeepReport, ...]:
        """Compact and vacuum every table and say what was done."""
        return ColdUpkeep(self._store).keep(
            self._pins(),
            retention=timedelta(days=self._rules.retention_days),
            files_min=self._rules.compact_files_min,
        )

    def broken_pins(self) -> tuple[str, ...]:
        """Return the versions on record ("table@version") that have lost a file."""
        kept = ColdUpkeep(self._store)
        return tuple(
            f"{table}@{version}"
            for table, versions in sorted(self._pins().items())
            for version in sorted(versions)
            if not kept.can_be_read(table, version)
        )


class DeskArchive:
    """Takes old months of the cold tier to the archive of a desk, where it has one."""

    def __init__(self, archive: ColdArchive | None) -> None:
        self.archive = archive

    def keep(self, as_of: datetime) -> tuple[ArchiveReport, ...]:
        """Take what is old enough and say what lies there; nothing where there is no archive."""
        return () if self.archive is None else self.archive.keep(as_of)

    def damages(self) -> tuple[Damage, ...]:
        """Return what the archive lost or changed."""
        return () if self.archive is None else tuple(self.archive.damages())
