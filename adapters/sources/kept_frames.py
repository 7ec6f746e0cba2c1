"""Frames that a later process may read in place of making them anew: whole, or not at all."""

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

import features.calendars
from adapters.file_lock import Locked

BYTES_MAX = 4 << 30  # of all shelves; the one that was not used for longest goes first
_CONTENTS = "contents.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What lies on a shelf: the owner's own note, and the hash of each frame's file."""

    note: dict[str, Any]
    sums: dict[str, str]
    folder: Path

    def frame(self, name: str) -> pl.DataFrame | None:
        """Return a frame exactly as it was put; None where it is not here as a whole."""
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            return None
        if self.sums.get(name) != hashlib.sha256(content).hexdigest():
            return None
        return pl.read_parquet(io.BytesIO(content))


class KeptFrames:
    """Shelves below one folder, which is safe to delete at any time.

    A shelf is one folder: frames as Parquet under names that are never used twice, and a note of
    what they are, which names them with their hashes and is put in place last. What is damaged,
    half written or gone is not there: its owner makes it anew. One process writes at a time; a
    reader whose frame another process has replaced misses it and no more.
    """

    def __init__(self, folder: Path, bytes_max: int = BYTES_MAX) -> None:
        self._folder = folder
        self._bytes_max = bytes_max

    def shelf(self, *subject: object) -> "Shelf":
        """Return the shelf of what these words name; other code than this finds another one."""
        words = "\n".join([made_by(), *map(str, subject)])
        return Shelf(self._folder / hashlib.sha256(words.encode()).hexdigest()[:32], self)

    def lock(self) -> Locked:
        """Return what a writer holds."""
        return Locked(self._folder / ".lock")

    def make_room(self, used: Path) -> None:
        """Delete the shelves that were not used for longest, down to the bound; `used` too if it
        is larger alone."""
        shelves = [path for path in self._folder.iterdir() if path.is_dir()]
        sizes = {path: sum(f.stat().st_size for f in path.iterdir()) for path in shelves}
        in_order = sorted(shelves, key=lambda path: (path == used, path.stat().st_mtime_ns))
        while sum(sizes.values()) > self._bytes_max:
            oldest = in_order.pop(0)
            shutil.rmtree(oldest, ignore_errors=True)
            del sizes[oldest]


class Shelf:
    """The frames of one subject."""

    def __init__(self, folder: Path, store: KeptFrames) -> None:
        self._folder, self._store = folder, store

    def read(self) -> Kept | None:
        """Return what lies here; None where nothing whole does."""
        try:
            told, _, text = (self._folder / _CONTENTS).read_bytes().partition(b"\n")
        except OSError:
            return None
        if told.decode("ascii", "replace") != hashlib.sha256(text).hexdigest():
            return None
        with contextlib.suppress(OSError):
            os.utime(self._folder)  # it is used
        return Kept(**json.loads(text), folder=self._folder)

    def put(self, note: Mapping[str, Any], frames: Mapping[str, pl.DataFrame]) -> None:
        """Let these frames and no others lie here; one that does already is not written again.

        A name stands for one content for ever. Where the folder cannot be written this is said in
        the log, and nothing is kept.
        """
        try:
            with self._store.lock():
                self._put(note, frames)
                self._store.make_room(self._folder)
        except OSError as error:
            _log.warning("what was read is not kept for the next run: %s", error)

    def _put(self, note: Mapping[str, Any], frames: Mapping[str, pl.DataFrame]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        held = self.read()
        known = {} if held is None else held.sums
        sums: dict[str, str] = {}
        for name, frame in frames.items():
            path = self._folder / name
            sums[name] = known[name] if name in known and path.exists() else _write(path, frame)
        text = json.dumps({"note": dict(note), "sums": sums})
        text = f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}"
        _replace(self._folder / _CONTENTS, text.encode())
        for path in self._folder.iterdir():
            if path.name not in sums and path.name != _CONTENTS:
                path.unlink(missing_ok=True)


def _write(path: Path, frame: pl.DataFrame) -> str:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="lz4", statistics=False)
    content = buffer.getvalue()
    _replace(path, content)
    return hashlib.sha256(content).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".incoming-", delete=False) as file:
        file.write(content)
    os.replace(file.name, path)  # noqa: PTH105 - atomic, and overwrites on every system


@cache
def made_by() -> str:
    """Return a name for the code that reads files, and for what it stands on."""
    here, below = Path(__file__).parent, Path(features.calendars.__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*here.glob("*.py"), *below.glob("*.py")]):
        digest.update(path.read_bytes())
    for package in ("polars", "exchange_calendars", "tzdata"):
        digest.update(version(package).encode())
    return digest.hexdigest()
