"""What of a home is backed up, and how a file that may be written to is copied whole."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

_SQLITE = (".db", ".sqlite", ".sqlite3")
# What is fetched or locked anew, and the files beside a database that belong to a running one.
_LEFT_OUT_FOLDERS = frozenset({"cache", "locks", "__pycache__", "storage"})
_LEFT_OUT_ENDS = ("-wal", "-shm", "-journal", "-anchor", ".part", ".lock", ".pid", ".tmp")
# In the order in which a row or a state moves: what moves meanwhile is found twice, never lost.
_ORDER = ("warm/events.db", "control", "hot", "backtests/trials.db", "bus", "warm", "cold")


def files_of(home: Path) -> list[Path]:
    """Return the files of a home that a backup holds, relative to it, in the order of copying.

    A link stands for what lies in the archive of the cold tier: the backup holds the file. Raises
    OSError where it leads to nothing, for a backup without it would not be one.
    """
    found = [
        path.relative_to(home)
        for path in home.rglob("*")
        if (path.is_file() or path.is_symlink()) and _belongs(path.relative_to(home))
    ]
    lost = [p for p in found if not (home / p).exists()]
    if lost:
        raise OSError(f"{lost[0]} must lead to a file to be backed up, does not")
    return sorted(found, key=lambda p: (_rank(p.as_posix()), p.as_posix()))


def _belongs(path: Path) -> bool:
    return not (_LEFT_OUT_FOLDERS & set(path.parts[:-1])) and not path.name.endswith(_LEFT_OUT_ENDS)


def _rank(name: str) -> int:
    places = [n for n, start in enumerate(_ORDER) if name == start or name.startswith(f"{start}/")]
    return places[0] if places else len(_ORDER)


def is_database(path: Path) -> bool:
    """Return whether a file is a SQLite database, which must not be copied byte by byte."""
    if path.suffix not in _SQLITE:
        return False
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\x00"


def last_record(copies: Mapping[str, Path]) -> int | None:
    """Return the last record of the log among copies of a home's databases; None without one.

    The copy of a server's log stands before a log of the home itself.
    """
    path = copies.get("copies/events.db") or copies.get("warm/events.db")
    if path is None:
        return None
    try:
        with closing(sqlite3.connect(path)) as log:
            row = log.execute("select sequence from head").fetchone()
    except sqlite3.Error:  # no log of ours, which its restore will tell
        return None
    return None if row is None else int(row[0])


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as of one transaction, whoever writes to it meanwhile.

    Raises OSError where it cannot be read, or the copy not written, e.g. on a full disk.
    """
    try:
        with (
            closing(
                sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
            ) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("pragma journal_mode=delete")
    except sqlite3.Error as error:
        raise OSError(f"{source} must be copied to {target}, was not: {error}") from error
