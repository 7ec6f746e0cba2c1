"""Where old files of the cold tier may lie instead: in another folder, or in a class of S3."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapters.stores.cold_places import FROZEN_CLASSES
from adapters.stores.s3_objects import S3Objects, StoredObject

CLASSES = ("STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", *FROZEN_CLASSES)
_STANDARD = "STANDARD"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of the cold tier: `table/month/name`, and where it is kept.

    `kept_in` is a class of S3 or a folder, empty where the file lies as it was written.
    """

    path: str
    size: int
    kept_in: str
    is_readable: bool


class ArchiveMedium(Protocol):
    """Takes files of the cold tier, each whole, and gives them back."""

    def files(self, folder: str) -> Iterator[KeptFile]:
        """Yield the files of the folder `table/month`."""
        ...

    def take(self, file: KeptFile) -> None:
        """Keep a file in the archive; readers find it where it was, or are told."""
        ...

    def give_back(self, file: KeptFile, days: int) -> bool:
        """Make a file readable again; False where that takes time and was asked for."""
        ...

    def sweep(self, table: str) -> int:
        """Remove what the archive keeps of files that are gone; return how many there were."""
        ...


class FolderArchive:
    """Another folder, on a larger and slower medium; a link stands where the file was.

    Both ways a file is written beside, synced, read back by its hash and swapped in one rename: a
    kill leaves the file where it was, at worst in both places.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = Path(root), Path(folder).resolve()
        if self._folder.is_relative_to(self._root.resolve()):
            raise ValueError(f"the archive must lie outside the cold tier, was {folder}")

    def files(self, folder: str) -> Iterator[KeptFile]:
        at = self._root / folder
        for path in sorted(at.iterdir()) if at.is_dir() else ():
            if path.suffix != ".parquet":
                continue
            is_kept = path.is_symlink()
            is_there = path.is_file()
            size = path.stat().st_size if is_there else 0
            name = f"{folder}/{path.name}"
            yield KeptFile(name, size, str(self._folder) if is_kept else "", is_there)

    def take(self, file: KeptFile) -> None:
        here, there = self._root / file.path, self._folder / file.path
        _copy(here, there)
        link = here.with_name(f"{here.name}.link.part")
        link.unlink(missing_ok=True)
        link.symlink_to(there)
        link.replace(here)

    def give_back(self, file: KeptFile, days: int) -> bool:
        here = self._root / file.path
        there = here.readlink()
        if not there.is_file():
            raise FileNotFoundError(f"{file.path} must lie in the archive at {there}, does not")
        _copy(there, here)
        there.unlink()
        return True

    def sweep(self, table: str) -> int:
        kept = self._folder / table
        paths = [p for p in kept.rglob("*") if p.is_file()] if kept.is_dir() else []
        gone = [p for p in paths if not _exists(self._root / p.relative_to(self._folder))]
        for path in gone:
            path.unlink()
        return len(gone)


class ClassArchive:
    """A storage class of S3: an object is copied onto itself, which its storage does whole."""

    def __init__(self, objects: S3Objects, prefix: str, storage_class: str) -> None:
        if storage_class not in CLASSES:
            raise ValueError(f"the class must be one of {', '.join(CLASSES)}, was {storage_class}")
        self._objects, self._class = objects, storage_class
        self._prefix = f"{prefix}/" if prefix else ""

    def files(self, folder: str) -> Iterator[KeptFile]:
        for found in self._objects.list(f"{self._prefix}{folder}/"):
            if found.key.endswith(".parquet"):
                is_plain = found.storage_class == _STANDARD
                name = found.key.removeprefix(self._prefix)
                kept_in = "" if is_plain else found.storage_class
                yield KeptFile(name, found.size, kept_in, self._is_readable(found))

    def _is_readable(self, found: StoredObject) -> bool:
        if found.storage_class not in FROZEN_CLASSES:
            return True
        return 'ongoing-request="false"' in self._objects.head(found.key).get("x-amz-restore", "")

    def take(self, file: KeptFile) -> None:
        self._objects.change_class(self._object(file), self._class)

    def give_back(self, file: KeptFile, days: int) -> bool:
        if not file.is_readable:
            asked = self._objects.head(self._prefix + file.path).get("x-amz-restore", "")
            if not asked:
                self._objects.restore(self._prefix + file.path, days)
            return False
        self._objects.change_class(self._object(file), _STANDARD)
        return True

    def sweep(self, table: str) -> int:
        return 0  # an object is nowhere but in its place

    def _object(self, file: KeptFile) -> StoredObject:
        return StoredObject(self._prefix + file.path, file.size, file.kept_in)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        with source.open("rb") as read, part.open("wb") as written:
            shutil.copyfileobj(read, written, 1 << 20)
            written.flush()
            os.fsync(written.fileno())
        if _digest(source) != _digest(part):
            raise OSError(f"{part} must hold what {source} does, does not")
        shutil.copystat(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()
