"""The Delta logs of the cold tier: each commit and checkpoint is what was written, or is named."""

import io
import json
import re
from collections.abc import Iterator, Sequence

import polars as pl

from adapters.stores.cold_blocks import NOTES, ColdBlocks
from adapters.stores.cold_errors import ColdDamagedError
from adapters.stores.segments import UNREADABLE

_LOG = "_delta_log"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*parquet")
_CHECKPOINT_EVERY = 100  # versions: delta-rs writes one by itself


class ColdLog:
    """Notes a sum of each commit when it is made, and compares what a table is opened from.

    That is the newest checkpoint and the commits after it, once for as long as their sizes, times
    and inodes stay. On S3, whose servers prove their own disks, one whose size or time is not that
    of its writing.
    """

    def __init__(self, blocks: ColdBlocks) -> None:
        self._blocks, self._place = blocks, blocks.place

    def note(self, table: str, version: int) -> None:
        """Note the sums of a commit, and of the checkpoint that came with it."""
        names = [f"{version:020d}.json"]
        if (version + 1) % _CHECKPOINT_EVERY == 0:
            names += [n for n in self._names(table) if n.startswith(f"{version:020d}.checkpoint")]
        for name in names:
            self._note(table, name)

    def prove(self, table: str, version: int | None) -> None:
        """Raise ColdDamagedError where the log up to a version is not what was written."""
        log = f"{table}/{_LOG}"
        stamps = self._place.folder_stamps(log, lambda names: self._needed(names, version))
        paths = [f"{_LOG}/{name}" for name in stamps]
        self._blocks.prove(table, paths, stamps=list(stamps.values()))

    def require_readable(self, table: str, version: int | None) -> None:
        """Raise ColdDamagedError where a file of a log is no log, whether or not it has sums."""
        for name in self._needed(self._names(table), version):
            path = f"{table}/{_LOG}/{name}"
            _require_readable(path, self._place.read_bytes(path))

    def damages(self, table: str) -> Iterator[tuple[str, str]]:
        """Compare every commit and checkpoint there is; yield (name, reason) of what changed.

        What has no sums yet gets them, and what has some must be there: no commit is ever removed.
        """
        held, noted = self._names(table), self._place.file_names(f"{table}/{NOTES}/{_LOG}")
        for name in sorted({n.removesuffix(".json") for n in noted} - set(held)):
            if _COMMIT.fullmatch(name):
                yield f"{_LOG}/{name}", "is gone: bring it back from a backup"
        for name in held:
            if not (_COMMIT.fullmatch(name) or _CHECKPOINT.fullmatch(name)):
                continue
            path = f"{_LOG}/{name}"
            try:
                content = self._place.read_bytes(f"{table}/{path}")
                if not self._blocks.compare(table, path, content):
                    _require_readable(f"{table}/{path}", content)
                    self._note(table, name)
            except ColdDamagedError as error:
                yield path, str(error).removeprefix(f"{table}/{path} ")

    def _note(self, table: str, name: str) -> None:
        path = f"{_LOG}/{name}"
        self._blocks.note(table, path, self._place.read_bytes(f"{table}/{path}"))

    @staticmethod
    def _needed(names: Sequence[str], version: int | None) -> list[str]:
        """Return the names of the newest checkpoint up to a version and of the commits after it."""
        commits: dict[int, str] = {}
        checkpoints: dict[int, list[str]] = {}
        for name in names:
            if match := _COMMIT.fullmatch(name):
                commits[int(match[1])] = name
            elif match := _CHECKPOINT.fullmatch(name):
                checkpoints.setdefault(int(match[1]), []).append(name)
        end = max(commits, default=-1) if version is None else version
        start = max((v for v in checkpoints if v <= end), default=-1)
        after = [name for v, name in sorted(commits.items()) if start < v <= end]
        return [*checkpoints.get(start, []), *after]

    def _names(self, table: str) -> tuple[str, ...]:
        return self._place.file_names(f"{table}/{_LOG}")


def _require_readable(path: str, content: bytes) -> None:
    try:
        if path.endswith(".json"):
            for line in content.splitlines():
                json.loads(line)
        else:
            pl.read_parquet(io.BytesIO(content))
    except (*UNREADABLE, pl.exceptions.PanicException) as error:
        raise ColdDamagedError(
            f"{path} must be readable, is not ({first_line(error)}): bring it back from a backup"
        ) from error


def first_line(error: BaseException) -> str:
    """Return what an error of the storage says, without the stack that it brings."""
    return " ".join(str(error).split("\n   0: ")[0].split())[:300]
