"""Check sums of the cold tier's files: what was written once must never change."""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote

import polars as pl

from adapters.secrets.references import SecretError
from adapters.stores.cold_errors import ColdArchivedError, ColdDamagedError
from adapters.stores.cold_log import first_line
from adapters.stores.envelope import SealError, is_sealed
from adapters.stores.sealed_place import SealedPlace
from adapters.stores.segments import UNREADABLE
from adapters.stores.tables_delta import DeltaTableStore

_FOLDER = "_sums"  # a name that Delta passes over


@dataclass(frozen=True, slots=True)
class Damage:
    """Something of a tier that is not what was written: a file, a segment or a row group."""

    tier: str
    table: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SumsReport:
    """What a look at every file of a table's newest version found."""

    table: str
    file_count: int
    first_seen_count: int  # had no sum yet, and have one now
    damages: tuple[Damage, ...]
    archived_count: int = 0  # could not be looked at: they must be thawed first


class ColdSums:
    """Sums of the files that the newest versions name, kept beside each table.

    A file's sum is noted when it is first looked at; files never change, so that any other sum
    afterwards is damage. Notes are only ever added, each under the version at which it was made.
    Sealed files have none: to open one proves it, and a rotation of keys changes its head.
    """

    def __init__(self, store: DeltaTableStore) -> None:
        self._store = store

    def verify(self, table: str) -> SumsReport:
        """Look at every file of the newest version; note new ones, name those that changed."""
        log = self._store.log.damages(table)
        damages = [Damage("cold", table, name, reason) for name, reason in log]
        try:
            stored = self._store.open(table)
        except ColdDamagedError as error:
            named = damages or [Damage("cold", table, "_delta_log", str(error))]
            return SumsReport(table, 0, 0, tuple(named))
        known = self._known(table)
        seen: dict[str, str] = {}
        frozen = 0
        added = pl.DataFrame(stored.get_add_actions(flatten=True))
        paths = added["path"].to_list()
        for told in added.iter_rows(named=True):
            path = unquote(told["path"])
            try:
                found = self._sum(table, path, known.get(path), told)
                if found is not None:
                    seen[path] = found
            except ColdArchivedError:
                frozen += 1
            except FileNotFoundError:
                damages.append(Damage("cold", table, path, "is gone"))
            except ColdDamagedError as error:
                reason = str(error).removeprefix(f"{table}/{path} ")
                damages.append(Damage("cold", table, path, reason))
        new = {p: s for p, s in seen.items() if p not in known}
        if new:
            note = json.dumps(new, sort_keys=True).encode()
            name = f"{stored.version():020d}-{hashlib.sha256(note).hexdigest()[:8]}.json"
            self._store.place.write_bytes(f"{table}/{_FOLDER}/{name}", note)
        return SumsReport(table, len(paths), len(new), tuple(damages), frozen)

    def verify_all(self) -> Iterator[SumsReport]:
        """Look at every table."""
        for table in self._store.tables():
            yield self.verify(table)

    def _sum(
        self, table: str, path: str, known: str | None, told: Mapping[str, object]
    ) -> str | None:
        """Return a file's sum, None for a sealed one, which was opened.

        What reads compare is noted where it was not when it was written.

        A file that has no sum of any kind must at least be what the table's log says of it.
        Raises ColdDamagedError where the file is not what it was.
        """
        content = self._store.place.read_bytes(f"{table}/{path}")
        place, blocks = self._store.place, self._store.blocks
        if isinstance(place, SealedPlace) and is_sealed(content):
            try:
                place.sealer.open(content, f"{table}/{path}")
            except (SealError, SecretError) as error:
                raise ColdDamagedError(str(error)) from error
            return None
        is_noted = blocks.compare(table, path, content)
        found = hashlib.sha256(content).hexdigest()
        if known is not None and found != known:
            raise ColdDamagedError(
                f"{table}/{path} must have the sum {known[:12]}, has {found[:12]}"
            )
        if not is_noted:
            if known is None:
                _require_as_logged(f"{table}/{path}", content, told)
            blocks.note(table, path, content)
        return found

    def _known(self, table: str) -> dict[str, str]:
        folder = f"{table}/{_FOLDER}"
        known: dict[str, str] = {}
        for name in reversed(self._store.place.file_names(folder)):  # the first note stands
            if name.endswith(".json"):
                known |= json.loads(self._store.place.read_bytes(f"{folder}/{name}"))
        return known


def _require_as_logged(name: str, content: bytes, told: Mapping[str, object]) -> None:
    """Raise ColdDamagedError where a file is not of the size, rows and bounds that its commit says.

    All of it is decoded. A value that changed within the bounds cannot be told.
    """
    if len(content) != told["size_bytes"]:
        raise ColdDamagedError(
            f"{name} must have the {told['size_bytes']} bytes that were written, has {len(content)}"
        )
    try:
        rows = pl.read_parquet(io.BytesIO(content))
    except (*UNREADABLE, pl.exceptions.PanicException) as error:
        raise ColdDamagedError(f"{name} must be a Parquet file: {first_line(error)}") from error
    if told["num_records"] not in (None, rows.height):
        raise ColdDamagedError(
            f"{name} must have the {told['num_records']} rows that were written, has {rows.height}"
        )
    for column in rows.columns:
        low, high = told.get(f"min.{column}"), told.get(f"max.{column}")
        if isinstance(low, datetime) and isinstance(high, datetime):
            held = rows[column].min(), rows[column].max()
            if not (_same(held[0], low) and _same(held[1], high)):
                raise ColdDamagedError(
                    f"{name} must have {column} from {low} to {high}, has {held[0]} to {held[1]}"
                )


def _same(held: object, told: datetime) -> bool:
    """Return whether a time is the one that a commit tells, which may be cut to milliseconds."""
    if not isinstance(held, datetime):
        return False
    return abs(held.replace(tzinfo=None) - told.replace(tzinfo=None)) < timedelta(milliseconds=1)
