"""Check sums of the blocks of the cold tier's files: what a read needs is compared first."""

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from adapters.stores.cold_errors import ColdDamagedError
from adapters.stores.cold_places import ColdPlace
from adapters.stores.row_groups import RowGroups, Spans

BLOCK = 65_536  # bytes
NOTES = "_blocks"  # a name that Delta passes over
_RUN = 64  # blocks that are read at once
_THREADS = 4
_WHOLE_MAX = 1_000_000  # bytes of a file that is compared whole rather than by row groups
_QUESTIONS_MAX = 1_000
_FOOTER_END = 8  # bytes: the footer's length, and the magic ones

Mask = NDArray[np.bool_]  # one of a block
Question = tuple[tuple[str, ...] | None, bytes]


@dataclass(frozen=True, slots=True)
class _Note:
    """What was noted of a file when it was written; `stamp` where its place proves itself."""

    size: int
    stamp: tuple[int, ...] | None
    sums: NDArray[np.uint32]


@dataclass(slots=True)
class _Proven:
    """What was compared of a file, for as long as its stamp is the same."""

    stamp: tuple[int, ...]
    whole: bool = False
    groups: RowGroups | None = None
    blocks: Mask = field(default_factory=lambda: np.zeros(0, np.bool_))
    questions: set[Question] = field(default_factory=set[Question])


class ColdBlocks:
    """Sums of blocks of 64 kB, noted when a file is written and compared before it is read.

    On a disk the blocks that a question needs are compared, once for as long as the file's size,
    times and inode stay. S3 storage proves its own disks: an object is compared whole where its
    size or time is not that of its writing. A file without a note is read as it is. Raises
    ColdDamagedError in one line that names the file, FileNotFoundError where it is gone.
    """

    def __init__(self, place: ColdPlace) -> None:
        self.place = place
        self._proven: dict[str, _Proven] = {}

    def note_version(self, table: str, version: int) -> None:
        """Note the sums of the files that a version added, read back from where they lie."""
        log = self.place.read_bytes(f"{table}/_delta_log/{version:020d}.json")
        for line in log.splitlines():
            if line.startswith(b'{"add"'):
                added = json.loads(line)["add"]
                path = unquote(added["path"])
                content = self.place.read_bytes(f"{table}/{path}")
                _require_size(f"{table}/{path}", added["size"], len(content))
                self.note(table, path, content)

    def note(self, table: str, path: str, content: bytes) -> None:
        """Note the sums of the file at `table/path`, whose content this is."""
        (stamp,) = self.place.file_stamps([f"{table}/{path}"])
        told = {
            "size": len(content),
            "stamp": stamp if self.place.proves_itself else None,
            "crc32": [zlib.crc32(content[at : at + BLOCK]) for at in range(0, len(content), BLOCK)],
        }
        self.place.write_bytes(_note_path(f"{table}/{path}"), json.dumps(told).encode())

    def compare(self, table: str, path: str, content: bytes) -> bool:
        """Compare the whole content of a file with its note; return whether it has one."""
        note = self._find_note(f"{table}/{path}")
        if note is not None:
            _compare_content(f"{table}/{path}", note, content)
        return note is not None

    def forget(self, table: str, paths: Sequence[str]) -> None:
        """Remove the notes of files that are gone for good."""
        for path in paths:
            self.place.remove(_note_path(f"{table}/{path}"))

    def prove(
        self,
        table: str,
        paths: Sequence[str],
        columns: Sequence[str] | None = None,
        predicate: pl.Expr | None = None,
        *,
        stamps: list[tuple[int, ...]] | None = None,
    ) -> list[tuple[int, ...]]:
        """Compare what a question over these files needs and was not compared already.

        `paths` are those within the table; all columns for None. Returns the files' stamps, which
        are looked up where they are not given.
        """
        files = [f"{table}/{path}" for path in paths]
        stamps = self.place.file_stamps(files) if stamps is None else stamps
        named = None if columns is None else tuple(sorted({*columns, *_roots(predicate)}))
        question = named, b"" if predicate is None else predicate.meta.serialize()
        due = [
            (f"{table}/{path}", stamp)
            for path, file, stamp in zip(paths, files, stamps, strict=True)
            if not self._is_proven(file, stamp, question)
        ]
        if len(due) > 1:
            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(lambda d: self._prove(d[0], d[1], question, predicate), due))
        elif due:
            self._prove(*due[0], question, predicate)
        return stamps

    def _is_proven(self, file: str, stamp: tuple[int, ...], question: Question) -> bool:
        known = self._proven.get(file)
        if known is None or known.stamp != stamp:
            return False
        return known.whole or question in known.questions

    def _prove(
        self, name: str, stamp: tuple[int, ...], question: Question, predicate: pl.Expr | None
    ) -> None:
        note = self._find_note(name)
        if note is None or (self.place.proves_itself and stamp == note.stamp):
            self._proven[name] = _Proven(stamp, whole=True)
            return
        _require_size(name, note.size, stamp[0])
        if self.place.proves_itself or note.size <= _WHOLE_MAX:
            _compare_content(name, note, self.place.read_bytes(name))
            self._proven[name] = _Proven(stamp, whole=True)
            return
        known = self._proven.get(name)
        if known is None or known.stamp != stamp:
            known = _Proven(stamp, blocks=np.zeros(len(note.sums), np.bool_))
        # Another thread may do the same meanwhile: what was compared twice is as true.
        table, _, path = name.partition("/")
        with Path(self.place.uri(table), path).open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            _prove_blocks(name, note, known, file, question[0], predicate)
        if len(known.questions) >= _QUESTIONS_MAX:
            known.questions.clear()
        known.questions.add(question)
        self._proven[name] = known

    def _find_note(self, name: str) -> _Note | None:
        at = _note_path(name)
        try:
            content = self.place.read_bytes(at)
        except FileNotFoundError:
            return None
        if not content:  # the machine went down as it was written
            return None
        try:
            told = json.loads(content)
            stamp = None if told["stamp"] is None else tuple(told["stamp"])
            return _Note(told["size"], stamp, np.array(told["crc32"], np.uint32))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise ColdDamagedError(f"{at} must hold the sums of a file: {error}") from error


def _prove_blocks(
    name: str,
    note: _Note,
    known: _Proven,
    file: BinaryIO,
    columns: Sequence[str] | None,
    predicate: pl.Expr | None,
) -> None:
    """Compare the blocks that hold these columns of the row groups that a condition leaves."""
    size = note.size
    if known.groups is None:
        _compare_blocks(name, note, known, file, np.array([[0, 4], [size - _FOOTER_END, size]]))
        length = int.from_bytes(os.pread(file.fileno(), 4, size - _FOOTER_END), "little")
        footer = max(0, size - _FOOTER_END - length)
        _compare_blocks(name, note, known, file, np.array([[footer, size]]))
        try:
            known.groups = RowGroups.read(file, size)
        except (pa.ArrowException, OSError) as error:
            text = " ".join(str(error).split())
            raise ColdDamagedError(f"{name} must be a Parquet file: {text}") from error
    spans = known.groups.needed(columns, predicate)
    _compare_blocks(name, note, known, file, np.vstack([spans, [known.groups.tail]]))


def _compare_blocks(name: str, note: _Note, known: _Proven, file: BinaryIO, spans: Spans) -> None:
    """Compare the blocks under these spans of bytes that were not compared before."""
    edges = np.zeros(len(note.sums) + 1, np.int64)
    np.add.at(edges, spans[:, 0] // BLOCK, 1)
    np.add.at(edges, (spans[:, 1] - 1) // BLOCK + 1, -1)
    due = np.flatnonzero((np.cumsum(edges[:-1]) > 0) & ~known.blocks)
    for first, count in _runs(due):
        content = os.pread(file.fileno(), count * BLOCK, first * BLOCK)
        for number in range(count):
            block = content[number * BLOCK : (number + 1) * BLOCK]
            _require_sum(name, note, first + number, block)
        known.blocks[first : first + count] = True


def _runs(blocks: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield (first, count) of blocks that lie behind one another."""
    for run in np.split(blocks, np.flatnonzero(np.diff(blocks) != 1) + 1):
        for at in range(0, len(run), _RUN):
            yield int(run[at]), min(_RUN, len(run) - at)


def _compare_content(name: str, note: _Note, content: bytes) -> None:
    _require_size(name, note.size, len(content))
    for number in range(len(note.sums)):
        _require_sum(name, note, number, content[number * BLOCK : (number + 1) * BLOCK])


def _require_sum(name: str, note: _Note, number: int, block: bytes) -> None:
    if zlib.crc32(block) != note.sums[number]:
        raise ColdDamagedError(
            f"{name} must be as it was written, is not at bytes "
            f"{number * BLOCK}..{number * BLOCK + len(block)}: bring it back from a backup"
        )


def _require_size(name: str, size: int, found: int) -> None:
    if size != found:
        raise ColdDamagedError(
            f"{name} must have the {size} bytes that were written, has {found}: "
            "bring it back from a backup"
        )


def _roots(predicate: pl.Expr | None) -> list[str]:
    return [] if predicate is None else predicate.meta.root_names()


def _note_path(name: str) -> str:
    table, _, path = name.partition("/")
    return f"{table}/{NOTES}/{path}.json"
