"""Keys of the cold tier in use: every file wrapped anew after a rotation, old plain ones sealed."""

from collections.abc import Iterator
from urllib.parse import unquote

import polars as pl

from adapters.stores.envelope import is_sealed
from adapters.stores.sealed_place import SealedPlace
from adapters.stores.table_months import MONTH
from adapters.stores.tables_delta import DeltaTableStore


def find_sealed(store: DeltaTableStore) -> str | None:
    """Return the first file of a table's newest version that is sealed, None where there is none.

    The store is that of the files as they lie.
    """
    for table in store.tables():
        actions = pl.DataFrame(store.open(table).get_add_actions(flatten=True))
        for path in [] if actions.is_empty() else actions["path"].to_list()[:1]:
            if is_sealed(store.place.read_bytes(f"{table}/{unquote(path)}")):
                return f"{table}/{unquote(path)}"
    return None


class ColdKeys:
    """Upkeep of the encryption of a store whose place seals."""

    def __init__(self, store: DeltaTableStore, place: SealedPlace) -> None:
        self._store, self._place = store, place

    def rewrap_all(self) -> int:
        """Put the data key of every file, of old versions too, under the owner's newest key.

        Return how many were wrapped anew. Interrupted, it can be done again; what is not yet
        wrapped anew stays readable by the older key.
        """
        return sum(self._place.rewrap(path) for path in self._files())

    def seal_all(self) -> int:
        """Write each month that holds a plain file anew, sealed; return how many months.

        Older versions keep their plain files until a vacuum removes them.
        """
        count = 0
        for table in self._store.tables():
            for month in self._plain_months(table):
                self._store.rewrite_month(table, month)
                count += 1
        return count

    def _files(self) -> Iterator[str]:
        for table in self._store.tables():
            versions = range(self._store.version(table) + 1)
            months = {m for v in versions for m in self._months(table, v)}
            for month in sorted(months):
                folder = f"{table}/{MONTH}={month}"
                for name in self._place.file_names(folder):
                    yield f"{folder}/{name}"

    def _months(self, table: str, version: int) -> set[str]:
        try:
            actions = pl.DataFrame(self._store.open(table, version).get_add_actions(flatten=True))
        except KeyError:  # its log was cleaned up
            return set()
        return set() if actions.is_empty() else set(actions[f"partition.{MONTH}"].to_list())

    def _plain_months(self, table: str) -> list[str]:
        actions = pl.DataFrame(self._store.open(table).get_add_actions(flatten=True))
        plain = {
            row[f"partition.{MONTH}"]
            for row in actions.iter_rows(named=True)
            if not self._place.is_sealed(f"{table}/{unquote(row['path'])}")
        }
        return sorted(plain)
