"""Packed files: .gz, .bz2, .xz, .zst and .lz4 unpacked, .zip opened, what is no data told apart."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Set
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from adapters.sources.reading import MAX_FILE_BYTES, UnreadableFileError

PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4")  # of one file each; .zip holds several
_DEPTH_MAX = 3  # of archives within archives
_HIDDEN = ("__macosx", "thumbs.db", "desktop.ini")
_PROSE = ("readme", "license", "licence", "requirements", "changelog")
_DOCUMENTS = (".md", ".pdf", ".doc", ".docx", ".html", ".htm", ".png", ".jpg", ".jpeg", ".py",
              ".ipynb", ".yaml", ".yml", ".exe", ".dll")  # fmt: skip
# Data that nothing here reads; what people write beside data (.md, .pdf, .py) is no such thing.
_UNREAD = {
    "save each of its sheets as CSV UTF-8": (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"),
    "unpack it, or pack its files as .gz or .zip": (".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar"),
    "save it as CSV or Parquet (.gz or .zip too)": (
        ".feather", ".arrow", ".ipc", ".orc", ".avro", ".h5", ".hdf", ".hdf5", ".pkl", ".pickle",
        ".npy", ".npz", ".mat", ".rds", ".rdata", ".dta", ".sas7bdat", ".sqlite", ".sqlite3",
        ".db", ".mdb", ".dbf", ".dbn",
    ),
}  # fmt: skip
_WHAT_TO_DO = {ending: advice for advice, endings in _UNREAD.items() for ending in endings}
_BROKEN = (
    zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError, OSError,
    RuntimeError, NotImplementedError,  # a member with a password, or packed in a way of its own
)  # fmt: skip


def contents(path: Path, whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the (name, content) of a file, or of each member of a .zip; packed ones are unpacked.

    `whole` are the file's bytes. Raises UnreadableFileError where it is not the archive it is
    named, or unpacks to more than allowed.
    """
    if path.suffix.lower() != ".zip":
        yield _bare(path.name), _unpacked(path.name, whole, path)
        return
    with _opened(path, io.BytesIO(whole)) as archive:
        for name, read in _members_of(archive, path):
            yield name, read()


def members(path: Path) -> list[str]:
    """Return the names of an archive's data files; raises UnreadableFileError where it is none."""
    with _opened(path, path) as archive:
        return [name for name, _ in _members_of(archive, path)]


def unread_members(path: Path) -> list[str]:
    """Return the names of what a .zip holds of data that cannot be read; none of other files.

    Raises UnreadableFileError where it is no archive.
    """
    if path.suffix.lower() != ".zip":
        return []
    with _opened(path, path) as archive:
        named = [name for name, _ in _entries(archive, path)]
    return [name for name in named if what_to_do(name)]


def left_over(folder: Path, taken: Set[Path]) -> list[str]:
    """Return the files of a folder that are not taken, and what cannot be read in those that are.

    Raises UnreadableFileError where an archive that is taken is none.
    """
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    loose = [path for path in found if path not in taken]
    unread = [path / member for path in sorted(taken) for member in unread_members(path)]
    return [path.relative_to(folder).as_posix() for path in loose + unread]


def what_to_do(name: str) -> str | None:
    """Return what a user may do with data that cannot be read; None of other files."""
    return _WHAT_TO_DO.get(Path(_bare(name)).suffix.lower())


def is_beside_data(name: str) -> bool:
    """Return whether a file's name says that it is no data: hidden, or a document about them."""
    parts = Path(name.lower()).parts
    hidden = any(part.startswith((".", "~$")) or part in _HIDDEN for part in parts)
    return hidden or parts[-1].startswith(_PROSE) or parts[-1].endswith(_DOCUMENTS)


def _opened(path: Path, file: Path | io.BytesIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise _not_whole(path, error) from error


def _not_whole(path: Path, error: Exception) -> UnreadableFileError:
    return UnreadableFileError(f"{path} must be a whole archive, was not: {error}")


def _members_of(archive: zipfile.ZipFile, path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the name of each file that can be read, and how it is."""
    return ((name, read) for name, read in _entries(archive, path) if what_to_do(name) is None)


def _entries(
    archive: zipfile.ZipFile, path: Path, depth: int = 1
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the name of each file of data and how it is read, those in archives within included."""
    for info in sorted(archive.infolist(), key=lambda member: member.filename):
        if info.is_dir() or is_beside_data(info.filename):
            continue
        if info.file_size > MAX_FILE_BYTES:
            raise UnreadableFileError(
                f"{info.filename} in {path} must unpack to at most {MAX_FILE_BYTES} bytes, "
                f"was {info.file_size}"
            )
        read = partial(_member, archive, info, path)
        if not info.filename.lower().endswith(".zip"):
            yield _bare(info.filename), read
            continue
        if depth == _DEPTH_MAX:
            raise UnreadableFileError(
                f"{path} must hold archives within archives {_DEPTH_MAX} deep at most, "
                f"was deeper: {info.filename}"
            )
        with _opened(path, io.BytesIO(read())) as inner:
            for name, read_inner in _entries(inner, path, depth + 1):
                yield f"{info.filename}/{name}", read_inner


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    try:
        packed = archive.read(info)
    except _BROKEN as error:
        raise _not_whole(path, error) from error
    return _unpacked(info.filename, packed, path)


def _bare(name: str) -> str:
    """Return a name without the ending that says how it is packed."""
    return name[: -len(Path(name).suffix)] if name.lower().endswith(PACKED) else name


def _unpacked(name: str, packed: bytes, path: Path) -> bytes:
    """Return what a file holds, unpacked where its name says that it is packed."""
    suffix = Path(name).suffix.lower()
    if suffix not in PACKED:
        return packed
    try:
        with _stream(suffix, packed) as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except _BROKEN as error:
        raise _not_whole(path, error) from error
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableFileError(f"{path} must unpack to at most {MAX_FILE_BYTES} bytes, was more")
    return content


def _stream(suffix: str, packed: bytes) -> BinaryIO:
    source = io.BytesIO(packed)
    match suffix:
        case ".gz":
            return cast(BinaryIO, gzip.open(source))
        case ".bz2":
            return cast(BinaryIO, bz2.open(source))
        case ".xz":
            return cast(BinaryIO, lzma.open(source))
        case _:
            kind = {".zst": "zstd", ".lz4": "lz4"}[suffix]
            return cast(BinaryIO, pa.CompressedInputStream(pa.py_buffer(packed), kind))
