"""Where the cold tier's tables lie: a folder of this machine, or S3-compatible storage."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import polars as pl
import pyarrow.fs as arrow_fs
from deltalake.exceptions import DeltaError, TableNotFoundError

from adapters.file_lock import Locked
from adapters.stores.cold_errors import (
    ArchiveAwayError,
    ColdArchivedError,
    ColdStoreUnavailableError,
)
from adapters.stores.delta_names import require_folder
from adapters.stores.s3_access import RETRIES_MAX, S3Access
from adapters.stores.s3_objects import S3Objects

# What S3 calls it, and what Arrow makes of it.
_FROZEN = ("InvalidObjectState", "not valid for the object's storage class")
_MUST_THAW = (
    "what was asked for lies in an archive class and must be restored first: "
    "`apiary tiers thaw TABLE --start DAY --end DAY`"
)
# What S3 keeps in these must be thawed before it can be read; all other classes answer at once.
FROZEN_CLASSES = ("GLACIER", "DEEP_ARCHIVE")
_PIECE_BYTES = 1 << 20
_ROOM_BYTES = 1 << 18  # beside the rows: a commit, its sums, a checkpoint

PART = ".part"  # the ending of a file of a folder while it is written


class ColdPlace(Protocol):
    """A root under which every table is a Delta table of its name."""

    def uri(self, table: str) -> str: ...

    @property
    def shared(self) -> bool:
        """Return whether writers of other machines, who do not queue for our lock, may come."""
        ...

    @property
    def proves_itself(self) -> bool:
        """Return whether the storage compares what it reads from its disks with sums of its own."""
        ...

    @property
    def delta_options(self) -> dict[str, str] | None:
        """How delta-rs reaches it; None for a folder."""
        ...

    @property
    def scan_options(self) -> dict[str, str | int] | None:
        """How polars reaches it; None for a folder."""
        ...

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables that exist, sorted."""
        ...

    def exists(self, table: str) -> bool: ...

    def commit_stamp(self, table: str, version: int) -> tuple[object | None, bool]:
        """Return what tells this commit from any other, and whether it is the newest.

        None and False where to ask is as dear as to look.
        """
        ...

    def file_stamps(self, paths: Sequence[str]) -> list[tuple[int, ...]]:
        """Return (size in bytes, what changes whenever the file does, ...) of each `table/...`.

        FileNotFoundError where one is gone.
        """
        ...

    def prepare(self, table: str) -> None:
        """Make room for a new table."""
        ...

    def require_room(self, size: int) -> None:
        """Raise ColdStoreUnavailableError where so many bytes do not fit, as far as it can tell."""
        ...

    def read_bytes(self, path: str) -> bytes:
        """Return what lies at `table/...`; FileNotFoundError where nothing does."""
        ...

    def write_bytes(self, path: str, content: bytes) -> None:
        """Put the content at `table/...`, all or nothing."""
        ...

    def remove(self, path: str) -> None:
        """Remove what lies at `table/...`; nothing where nothing does."""
        ...

    def file_names(self, folder: str) -> tuple[str, ...]:
        """Return the names of the files in the folder `table/...`, sorted; none where it is not.

        What a writer that was killed left unfinished is none.
        """
        ...

    def folder_stamps(
        self, folder: str, choose: Callable[[Sequence[str]], Sequence[str]]
    ) -> dict[str, tuple[int, ...]]:
        """Return the stamps of the files of a folder that are chosen, in one look where it can."""
        ...

    def locked(self, table: str) -> Locked:
        """Queue this machine's writers of a table; a holder that dies lets go."""
        ...


class LocalPlace:
    """A folder; commits are made by a rename that fails where the version is there."""

    shared = False
    proves_itself = False
    delta_options: dict[str, str] | None = None
    scan_options: dict[str, str | int] | None = None

    def __init__(self, root: Path) -> None:
        self.root = require_folder(Path(root))

    def __str__(self) -> str:
        return str(self.root)

    def uri(self, table: str) -> str:
        return str(self.root / table)

    def tables(self) -> tuple[str, ...]:
        if not self.root.is_dir():
            return ()
        return tuple(sorted(p.name for p in self.root.iterdir() if (p / "_delta_log").is_dir()))

    def exists(self, table: str) -> bool:
        log = self.root / table / "_delta_log"
        try:
            with os.scandir(log) as found:  # delta-rs looks longer than a small read takes
                return any(entry.name.endswith((".json", ".parquet")) for entry in found)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def commit_stamp(self, table: str, version: int) -> tuple[object | None, bool]:
        log = f"{self.root}/{table}/_delta_log"
        try:
            told = os.stat(f"{log}/{version:020d}.json")  # noqa: PTH116 - each question asks it
        except FileNotFoundError:
            return None, False
        is_newest = not os.path.exists(f"{log}/{version + 1:020d}.json")  # noqa: PTH110
        return (told.st_ino, told.st_mtime_ns), is_newest

    def file_stamps(self, paths: Sequence[str]) -> list[tuple[int, ...]]:
        root, found = str(self.root), list[tuple[int, ...]]()
        for path in paths:
            told = os.stat(f"{root}/{path}")  # noqa: PTH116 - a question asks it of many files
            found.append((told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino))
        return found

    def prepare(self, table: str) -> None:
        (self.root / table).mkdir(parents=True, exist_ok=True)

    def require_room(self, size: int) -> None:
        told = os.statvfs(self.root)
        free, needed = told.f_bavail * told.f_frsize, size + _ROOM_BYTES
        if free < needed:
            raise ColdStoreUnavailableError(
                f"the cold tier at {self.root} must have {needed / 1e6:.1f} MB free to write these "
                f"rows, has {free / 1e6:.1f} MB: nothing was written"
            )

    def read_bytes(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def write_bytes(self, path: str, content: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(PART)
        try:
            part.write_bytes(content)
            part.replace(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ColdStoreUnavailableError(
                f"{target} must be writable: {error.strerror}"
            ) from error

    def remove(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)

    def file_names(self, folder: str) -> tuple[str, ...]:
        at = self.root / folder
        held = at.iterdir() if at.is_dir() else ()
        return tuple(sorted(p.name for p in held if p.suffix != PART and p.is_file()))

    def folder_stamps(
        self, folder: str, choose: Callable[[Sequence[str]], Sequence[str]]
    ) -> dict[str, tuple[int, ...]]:
        names = choose(self.file_names(folder))
        stamps = self.file_stamps([f"{folder}/{name}" for name in names])
        return dict(zip(names, stamps, strict=True))

    def locked(self, table: str) -> Locked:
        return Locked(self.root / ".locks" / table)


class S3Place:
    """A prefix of a bucket (s3://bucket/prefix); commits are conditional puts.

    Two writers on two machines cannot both put one version of a table: the later is refused and
    tries again. `locks` is a folder of this machine, where its own writers queue.
    """

    shared = True
    proves_itself = True

    def __init__(self, url: str, access: S3Access, *, locks: Path) -> None:
        at = urlsplit(url)
        if at.scheme != "s3" or not at.netloc:
            raise ValueError("the cold storage must be s3://bucket/prefix, is not")
        if "@" in at.netloc:
            raise ValueError("the cold storage must be named without its keys, these have settings")
        self._bucket = at.netloc
        self._path = "/".join(p for p in (at.netloc, at.path.strip("/")) if p)
        self._access = access
        self._locks = locks / hashlib.sha256(url.encode()).hexdigest()[:16]
        self._files: arrow_fs.S3FileSystem | None = None

    def __str__(self) -> str:
        return f"s3://{self._path}"

    @property
    def delta_options(self) -> dict[str, str] | None:
        bounded = {
            "max_retries": str(RETRIES_MAX),
            "retry_timeout": f"{round(3000 * self._access.timeout_s)}ms",
        }
        return self._access.options() | bounded | {"aws_conditional_put": "etag"}

    @property
    def scan_options(self) -> dict[str, str | int] | None:
        return {**self._access.options(), "max_retries": RETRIES_MAX}

    def uri(self, table: str) -> str:
        return f"s3://{self._path}/{table}"

    def files(self) -> arrow_fs.S3FileSystem:
        """Return the file system of this storage, opened once."""
        if self._files is None:
            self._files = self._access.filesystem()
        return self._files

    def tables(self) -> tuple[str, ...]:
        listed = arrow_fs.FileSelector(self._path, allow_not_found=True)
        with answering():
            names = [f.base_name for f in self.files().get_file_info(listed)]
            return tuple(sorted(n for n in names if self.exists(n)))

    def exists(self, table: str) -> bool:
        log = arrow_fs.FileSelector(f"{self._path}/{table}/_delta_log", allow_not_found=True)
        with answering():
            return bool(self.files().get_file_info(log))

    def commit_stamp(self, table: str, version: int) -> tuple[object | None, bool]:
        return None, False

    def file_stamps(self, paths: Sequence[str]) -> list[tuple[int, ...]]:
        with answering():
            found = self.files().get_file_info([f"{self._path}/{path}" for path in paths])
        for path, told in zip(paths, found, strict=True):
            if told.type != arrow_fs.FileType.File:
                raise FileNotFoundError(f"{self}/{path} is gone")
        return [(told.size, told.mtime_ns or 0) for told in found]

    def prepare(self, table: str) -> None:
        with answering():
            if self.files().get_file_info(self._bucket).type == arrow_fs.FileType.NotFound:
                self.files().create_dir(self._bucket)

    def require_room(self, size: int) -> None:
        pass  # the server says so itself

    def read_bytes(self, path: str) -> bytes:
        return b"".join(self.stream(path))

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield what lies at `table/...` in pieces; raises as `read_bytes` does."""
        try:
            with answering(), self.files().open_input_stream(f"{self._path}/{path}") as stream:
                while piece := stream.read(_PIECE_BYTES):
                    yield bytes(piece)
        except ColdStoreUnavailableError as error:
            # Arrow says the same of what must be thawed and of a wrong key.
            if "ACCESS_DENIED" in str(error) and self._is_frozen(path):
                raise ColdArchivedError(_MUST_THAW) from error
            raise

    def objects(self) -> S3Objects:
        """Return the storage's requests beside reading and writing."""
        return S3Objects(self._bucket, self._access)

    @property
    def prefix(self) -> str:
        """Return what every key begins with, without the bucket."""
        return self._path.partition("/")[2]

    def _is_frozen(self, path: str) -> bool:
        key = "/".join(p for p in (self.prefix, path) if p)
        return self.objects().head(key).get("x-amz-storage-class") in FROZEN_CLASSES

    def write_bytes(self, path: str, content: bytes) -> None:
        with answering(), self.files().open_output_stream(f"{self._path}/{path}") as stream:
            stream.write(content)

    def write_file(self, path: str, source: Path) -> None:
        """Put a file at `table/...`, piece by piece; it appears when it is whole."""
        with (
            source.open("rb") as file,
            answering(),
            self.files().open_output_stream(f"{self._path}/{path}") as stream,
        ):
            while piece := file.read(_PIECE_BYTES):
                stream.write(piece)

    def objects_below(self, table: str) -> tuple[tuple[str, int, int], ...]:
        """Return name (`table/...`), bytes and time of change (ns) of all that a table has."""
        below = f"{self._path}/{table}"
        listed = arrow_fs.FileSelector(below, allow_not_found=True, recursive=True)
        with answering():
            found = self.files().get_file_info(listed)
        files = [f for f in found if f.type == arrow_fs.FileType.File]
        start = len(self._path) + 1
        return tuple(sorted((f.path[start:], int(f.size), int(f.mtime_ns or 0)) for f in files))

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError), answering():
            self.files().delete_file(f"{self._path}/{path}")

    def file_names(self, folder: str) -> tuple[str, ...]:
        return tuple(sorted(self._listed(folder)))

    def folder_stamps(
        self, folder: str, choose: Callable[[Sequence[str]], Sequence[str]]
    ) -> dict[str, tuple[int, ...]]:
        held = self._listed(folder)
        return {name: held[name] for name in choose(sorted(held))}

    def _listed(self, folder: str) -> dict[str, tuple[int, ...]]:
        listed = arrow_fs.FileSelector(f"{self._path}/{folder}", allow_not_found=True)
        with answering():
            found = self.files().get_file_info(listed)
        return {str(f.base_name): (int(f.size), int(f.mtime_ns or 0)) for f in found if f.is_file}

    def locked(self, table: str) -> Locked:
        return Locked(self._locks / table)


@contextmanager
def answering() -> Iterator[None]:
    """Turn what storage raises when it is away, which is many lines long, into one line."""
    try:
        yield
    except (ColdStoreUnavailableError, FileNotFoundError, TableNotFoundError):
        raise
    except (DeltaError, OSError, pl.exceptions.ComputeError) as error:
        text = _one_line(error)
        if any(frozen in str(error) for frozen in _FROZEN):
            raise ColdArchivedError(_MUST_THAW) from error
        away = ("object-store", "Generic S3", "(os error")  # a full disk is an "os error"
        if isinstance(error, OSError) or any(a in text for a in away):
            raise ColdStoreUnavailableError(f"the cold storage failed: {text}") from error
        raise


def require_archive(files: Iterable[str]) -> None:
    """Raise ArchiveAwayError where a file of a folder is a link that leads to nothing."""
    for path in map(Path, files):
        if path.is_symlink() and not path.exists():
            raise ArchiveAwayError(
                f"{path} lies in the archive at {path.readlink()}, which is not there"
            )


def _one_line(error: Exception) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m|\u21b3", "", str(error))
    return " ".join(plain.split())[:400]


def storage(options: Mapping[str, str | int] | None) -> dict[str, object]:
    """Return keyword arguments for polars' scans."""
    return {} if options is None else {"storage_options": dict(options)}
