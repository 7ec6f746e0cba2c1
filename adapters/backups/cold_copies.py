"""The cold tier on S3 in a backup: its tables pinned to a version, and brought back to S3."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.backups.server_copies import COLD, COPIES
from adapters.stores.cold_errors import ColdArchivedError, ColdStoreUnavailableError
from adapters.stores.cold_places import S3Place

_LOG = "_delta_log"
_VERSION = re.compile(r"^(\d{20})\.")
# Sealed files are swapped for others of their size, and a server's clock may count in seconds.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class ColdFile:
    """One object of the cold tier, as a backup keeps it."""

    place: S3Place
    path: str
    name: str  # table/...
    size: int
    stamp: int

    def fetch(self, target: Path) -> bool:
        """Bring it here; False where it lies in an archive class and must be thawed first."""
        try:
            with target.open("wb") as file:
                for data in self.place.stream(self.name):
                    file.write(data)
        except ColdArchivedError:
            return False
        return True


class ColdCopies:
    """The tables of a cold tier on S3 as files of a backup; each version up to its pin is there.

    Tables are pinned first and their files listed afterwards: what a version names was written
    before it. Commits after the pin are left out, and what only they name does no harm.
    """

    def __init__(self, place: S3Place, now_ns: int) -> None:
        self._place, self._now_ns = place, now_ns
        self._pins: dict[str, int] = {}
        self._left_out: list[str] = []

    def files(self) -> Sequence[ColdFile]:
        self._left_out = []
        self._pins = {table: _newest(self._place, table) for table in self._place.tables()}
        return [file for table in self._pins for file in self._of(table)]

    def _of(self, table: str) -> Iterator[ColdFile]:
        for name, size, changed_ns in self._place.objects_below(table):
            if _belongs(name, self._pins[table]):
                stamp = changed_ns if self._now_ns - changed_ns > _SETTLED_NS else 0
                yield ColdFile(self._place, f"{COPIES}/{COLD}/{name}", name, size, stamp)

    def left_out(self, path: str) -> None:
        self._left_out.append(path.removeprefix(f"{COPIES}/{COLD}/"))

    def notes(self) -> Mapping[str, object]:
        return {"cold_versions": self._pins, "cold_left_out": self._left_out}


def _newest(place: S3Place, table: str) -> int:
    found = [_VERSION.match(name) for name in place.file_names(f"{table}/{_LOG}")]
    return max((int(match[1]) for match in found if match), default=-1)


def _belongs(name: str, pin: int) -> bool:
    """Return whether an object is of the versions up to the pin."""
    table_and_folder, _, base = name.rpartition("/")
    if not table_and_folder.endswith(f"/{_LOG}"):
        return True
    match = _VERSION.match(base)
    return match is not None and int(match[1]) <= pin  # the pointer to a checkpoint is not needed


def load_cold(folder: Path, place: S3Place) -> tuple[int, int]:
    """Bring the tables of a folder to S3; return how many files were there whole, how many written.

    Files go first and commits last, in their order, each read back and its hash compared: killed
    anywhere, a table is as of one of its versions, and the next call goes on. What differs under
    the name of a data file is damage and is written anew. Raises ValueError, before anything is
    written, where a table there has commits that are not those of the folder.
    """
    tables = (
        [p.name for p in sorted(folder.iterdir()) if (p / _LOG).is_dir()] if folder.is_dir() else []
    )
    for table in tables:
        _require_beginning(folder, place, table)
    there = written = 0
    for table in tables:
        place.prepare(table)
        with place.locked(table):
            names = [
                p.relative_to(folder).as_posix() for p in (folder / table).rglob("*") if p.is_file()
            ]
            held = {name: size for name, size, _ in place.objects_below(table)}
            for name in sorted(names, key=lambda n: (f"/{_LOG}/" in n, n)):
                if _load_file(folder, place, name, held.get(name)):
                    written += 1
                else:
                    there += 1
    return there, written


def _load_file(folder: Path, place: S3Place, name: str, held: int | None) -> bool:
    wanted = _hash_of(folder / name)
    if held == (folder / name).stat().st_size and _place_hash(place, name) == wanted:
        return False
    place.write_file(name, folder / name)
    if _place_hash(place, name) != wanted:
        raise ColdStoreUnavailableError(f"{name} must be read back as it was written, was not")
    return True


def _require_beginning(folder: Path, place: S3Place, table: str) -> None:
    for base in place.file_names(f"{table}/{_LOG}"):
        name = f"{table}/{_LOG}/{base}"
        if base.endswith(".json") and _VERSION.match(base):
            ours = folder / name
            if not ours.is_file() or ours.read_bytes() != place.read_bytes(name):
                raise ValueError(
                    f"{place}/{table} must be a beginning of the home's table, has another version "
                    f"{int(base[:20])}: choose another prefix or remove it"
                )


def _place_hash(place: S3Place, name: str) -> str | None:
    """Return the sha256 of an object, None where it cannot be read."""
    digest = hashlib.sha256()
    try:
        for data in place.stream(name):
            digest.update(data)
    except (ColdArchivedError, FileNotFoundError):
        return None
    return digest.hexdigest()


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
