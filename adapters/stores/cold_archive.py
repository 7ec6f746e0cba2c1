"""Old months of the cold tier in an archive: taken there by age, and given back when asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from adapters.stores.archive_media import ArchiveMedium, KeptFile
from adapters.stores.cold_sums import ColdSums, Damage
from adapters.stores.table_months import MONTH, UNDATED, month_span, utc
from adapters.stores.tables_delta import DeltaTableStore

_HELD = "_held"  # a name that Delta passes over


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What lies in the archive of one table, and what went there now; sizes in bytes."""

    table: str
    taken_count: int
    kept_count: int
    kept_bytes: int
    frozen_count: int  # of these, how many must be thawed before they can be read
    swept_count: int  # files of the archive that no version names any more


@dataclass(frozen=True, slots=True)
class ThawReport:
    """Files of the months asked for: readable again, and those that will be."""

    ready_count: int
    waiting_count: int


class ColdArchive:
    """Files of whole months, whatever version names them; a version reads them where it did.

    Months that are newer than `age` stay, and so do those that were given back, for as long as was
    asked. A file's check sum is noted before it is taken. Killed
    anywhere, it goes on with the next call: each file is in its place or in the archive, never in
    neither.
    """

    def __init__(self, store: DeltaTableStore, medium: ArchiveMedium, *, age: timedelta) -> None:
        if age < timedelta(days=31):
            raise ValueError(f"only months that are over may be archived, age was {age}")
        self._store, self._medium, self._age = store, medium, age

    def keep(self, as_of: datetime) -> tuple[ArchiveReport, ...]:
        """Take every file of the months that are old enough; return what lies there now."""
        moment = utc("as_of", as_of)
        return tuple(self._keep(table, moment) for table in self._store.tables())

    def _keep(self, table: str, moment: datetime) -> ArchiveReport:
        before, held = f"{moment - self._age:%Y-%m}", self._held(table, moment)
        months = [m for m in self._months(table) if m < before and m not in held]
        taken = [f for m in months for f in self._files(table, m) if not f.kept_in]
        if taken:
            ColdSums(self._store).verify(table)
        with self._store.place.locked(table):
            for file in taken:
                self._medium.take(file)
            swept = self._medium.sweep(table)
        kept = [f for m in self._months(table) for f in self._files(table, m) if f.kept_in]
        frozen = sum(not f.is_readable for f in kept)
        size = sum(f.size for f in kept)
        return ArchiveReport(table, len(taken), len(kept), size, frozen, swept)

    def thaw(
        self, table: str, *, start: datetime, end: datetime, as_of: datetime, days: int = 7
    ) -> ThawReport:
        """Give the files of the months of start <= event_time < end back; asked again, goes on.

        They stay out of the archive for `days`. What must be thawed first is asked for. Raises
        KeyError where the cold tier has no such table, FileNotFoundError where the archive has
        lost one of its files.
        """
        if not 1 <= days <= 3650:
            raise ValueError(f"days must be in 1..3650, was {days}")
        first, last = month_span(start, end)
        months = [m for m in self._months(table) if (first or "") <= m <= (last or UNDATED)]
        kept = [f for m in months for f in self._files(table, m) if f.kept_in]
        until = (utc("as_of", as_of) + timedelta(days=days)).isoformat().encode()
        for month in months:
            self._store.place.write_bytes(f"{table}/{_HELD}/{month}", until)
        with self._store.place.locked(table):
            back = [self._medium.give_back(file, days) for file in kept]
        return ThawReport(sum(back), len(back) - sum(back))

    def damages(self) -> Iterator[Damage]:
        """Yield what the archive lost, and what of it has another sum than when it was taken."""
        for table in self._store.tables():
            kept = {
                f.path.partition("/")[2]
                for m in self._months(table)
                for f in self._files(table, m)
                if f.kept_in
            }
            if kept:
                found = ColdSums(self._store).verify(table).damages
                yield from (d for d in found if d.name in kept)

    def _held(self, table: str, moment: datetime) -> set[str]:
        """Return the months that were given back and are to stay for a while yet."""
        place, folder = self._store.place, f"{table}/{_HELD}"
        notes = {m: place.read_bytes(f"{folder}/{m}").decode() for m in place.file_names(folder)}
        return {m for m, until in notes.items() if datetime.fromisoformat(until) > moment}

    def _months(self, table: str) -> list[str]:
        actions = pl.DataFrame(self._store.open(table).get_add_actions(flatten=True))
        column = f"partition.{MONTH}"
        months = actions[column].unique().to_list() if column in actions.columns else []
        return sorted(m for m in months if m != UNDATED)

    def _files(self, table: str, month: str) -> Iterator[KeptFile]:
        return self._medium.files(f"{table}/{MONTH}={month}")
