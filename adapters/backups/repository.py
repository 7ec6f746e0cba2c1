"""A repository of backups: manifests of moments over one store of blocks."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from adapters.backups.blocks import (
    BackupCorruptionError,
    BlockStore,
    needing_room,
    sync_folder,
)
from adapters.backups.home_parts import copy_database, files_of, is_database, last_record
from adapters.file_lock import Locked

FORMAT = 1
_TRIES = 3
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SavedFile:
    """One file of a home: its path, mode, size, the hash of all of it, and its blocks in order."""

    path: str
    mode: int
    size: int
    sha256: str
    blocks: list[str]
    stamp: int = 0  # of the file that was read, to know it again; 0 for a database


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a home held at a moment: all of it was written by then, `begun` before it was copied."""

    taken_at: str
    files: list[SavedFile]
    notes: Mapping[str, object] = field(default_factory=dict[str, object])
    format: int = FORMAT

    @property
    def name(self) -> str:
        """The moment and the hash of the content: sorts by time, and cannot be changed unseen."""
        moment = self.taken_at.replace(":", "").replace("-", "").replace("+0000", "Z")
        return f"{moment}-{hashlib.sha256(self.to_bytes()).hexdigest()[:16]}"

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.taken_at)

    @property
    def begun(self) -> datetime:
        """Return a moment up to which everything that was written is within."""
        noted = self.notes.get("begun_at")
        return datetime.fromisoformat(noted) if isinstance(noted, str) else self.moment

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup came to."""

    name: str
    file_count: int
    byte_count: int
    new_byte_count: int


class FileVanishedError(OSError):
    """A file went while it was copied: rows moved to the next tier."""


class RemoteFile(Protocol):
    """A file that lies elsewhere and is backed up as if it lay at `path` in the home.

    `stamp` is another when its content is; 0 where that cannot be told.
    """

    @property
    def path(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def stamp(self) -> int: ...

    def fetch(self, target: Path) -> bool:
        """Bring it here; False where it cannot be read now, FileNotFoundError where it is gone."""
        ...


class RemoteFiles(Protocol):
    """Files that lie elsewhere; they are listed anew at each try, when the home's own are kept."""

    def files(self) -> Sequence[RemoteFile]: ...
    def left_out(self, path: str) -> None:
        """Be told of a file that could not be read."""
        ...

    def notes(self) -> Mapping[str, object]:
        """Return what the manifest shall say of them."""
        ...


class BackupRepository:
    """Backups of one home in the folder `root`, which may lie on another disk or machine.

    Blocks go first and the manifest last, in one rename: a backup that was killed is none, and
    what it has written is used by the next. Who takes one or forgets some waits for any other that
    does, on the same machine. Raises OSError where the folder cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._blocks = BlockStore(self.root / "blocks")
        self._manifests = self.root / "manifests"

    def take(
        self,
        home: Path,
        now: datetime,
        *,
        notes: Mapping[str, object] | None = None,
        quiet: Callable[[], AbstractContextManager[object]] = nullcontext,
        tell: Tell = lambda _: None,
        remote: RemoteFiles | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> BackupReport:
        """Back up the home as it is; files that did not change since the last one are not read.

        `now` is when it began, `clock` tells when all is copied (at once where it is left out):
        that is the moment of the backup. With it goes what is `remote`. `quiet` gives what is held
        while databases and small files are copied, so that nobody trades meanwhile; what is large
        never changes once written.
        """
        if not home.is_dir():
            raise ValueError(f"a home to back up must be a folder that exists, was {home}")
        if not self.root.exists():  # what it holds is for its user alone
            self.root.parent.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(mode=0o700, exist_ok=True)
        with needing_room(self.root, "no backup was taken"), self._changing():
            for _ in range(_TRIES):
                try:
                    return self._take(home, now, notes or {}, quiet, tell, remote, clock)
                except FileVanishedError as error:
                    tell(f"again: {error}")
        raise OSError(f"rows must rest while they are backed up, moved {_TRIES} times")

    def _take(
        self,
        home: Path,
        now: datetime,
        notes: Mapping[str, object],
        quiet: Callable[[], AbstractContextManager[object]],
        tell: Tell,
        remote: RemoteFiles | None,
        clock: Callable[[], datetime] | None,
    ) -> BackupReport:
        known = self._known_files()
        saved: list[SavedFile] = []
        fresh = 0
        with tempfile.TemporaryDirectory(prefix="apiary-backup-", dir=self._scratch()) as folder:
            copies: dict[str, Path] = {}
            with quiet():
                paths = files_of(home)
                for number, path in enumerate(p for p in paths if is_database(home / p)):
                    copies[path.as_posix()] = Path(folder) / f"{number}.db"
                    copy_database(home / path, copies[path.as_posix()])
                if "warm/events.db" not in copies and (home / "warm" / "events.db").exists():
                    raise OSError(f"the event log of {home} must be a database, is none")
            told: dict[str, object] = {"begun_at": now.astimezone(UTC).isoformat()}
            if (last := last_record(copies)) is not None:
                told["log_last"] = last
            for number, path in enumerate(paths, 1):
                copy = copies.get(path.as_posix())
                file, new = self._save(home, path, copy, known)
                saved.append(file)
                fresh += new
                if number % 500 == 0 or number == len(paths):
                    tell(f"{number} of {len(paths)} files")
            for file, new in self._save_remote(remote, Path(folder), known, tell):
                saved.append(file)
                fresh += new
        told |= dict(notes) | dict(remote.notes() if remote else {})
        done = now if clock is None else max(now, clock())
        manifest = Manifest(done.astimezone(UTC).isoformat(), saved, told)
        self._write(manifest)
        size = sum(f.size for f in saved)
        return BackupReport(manifest.name, len(saved), size, fresh)

    def _save(
        self, home: Path, path: Path, copy: Path | None, known: Mapping[str, SavedFile]
    ) -> tuple[SavedFile, int]:
        name, source = path.as_posix(), copy or home / path
        try:
            told = (home / path).stat()
            stamp = 0 if copy else told.st_mtime_ns
            before = known.get(name)
            same = before and stamp and (before.stamp, before.size) == (stamp, told.st_size)
            if before and same and self._blocks.has(before.blocks):
                return before, 0
            return self._kept(name, source, told.st_mode & 0o777, stamp)
        except FileNotFoundError as error:
            raise FileVanishedError(f"{name} moved while it was copied") from error

    def _kept(self, name: str, source: Path, mode: int, stamp: int) -> tuple[SavedFile, int]:
        blocks, new = self._blocks.put_file(source)
        digest, size = hashlib.sha256(), 0
        for data in self._blocks.stream(blocks):  # read back: what is kept is what was meant
            digest.update(data)
            size += len(data)
        if size != source.stat().st_size:
            raise FileVanishedError(f"{name} grew while it was copied")
        return SavedFile(name, mode, size, digest.hexdigest(), blocks, stamp), new

    def _save_remote(
        self, remote: RemoteFiles | None, folder: Path, known: Mapping[str, SavedFile], tell: Tell
    ) -> Iterator[tuple[SavedFile, int]]:
        """Keep what lies elsewhere; what is known by size and stamp is not fetched again."""
        listed = remote.files() if remote is not None else ()
        for number, file in enumerate(listed, 1):
            before = known.get(file.path)
            same = before is not None and before.size == file.size
            if before and same and file.stamp and before.stamp == file.stamp:
                yield before, 0
                continue
            fetched = folder / "fetched"
            try:
                if file.fetch(fetched):
                    if fetched.stat().st_size != file.size:
                        raise FileVanishedError(f"{file.path} changed while it was copied")
                    yield self._kept(file.path, fetched, 0o600, file.stamp)
                elif before and same:  # it was kept before it went where it cannot be read
                    yield before, 0
                elif remote is not None:
                    remote.left_out(file.path)
            except FileNotFoundError as error:
                raise FileVanishedError(f"{file.path} went while it was copied") from error
            if number % 100 == 0 or number == len(listed):
                tell(f"{number} of {len(listed)} files of the cold tier")

    def _scratch(self) -> Path:
        folder = self.root / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _known_files(self) -> dict[str, SavedFile]:
        names = self.names()
        return {f.path: f for f in self.read(names[-1]).files} if names else {}

    def _write(self, manifest: Manifest) -> None:
        self._manifests.mkdir(parents=True, exist_ok=True)
        for folder in {self.root / "blocks" / b[:2] for f in manifest.files for b in f.blocks}:
            sync_folder(folder)
        target = self._manifests / f"{manifest.name}.json"
        part = target.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            file.write(manifest.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        sync_folder(self._manifests)

    def names(self) -> list[str]:
        """Return the names of all backups, the oldest first."""
        return sorted(p.stem for p in self._manifests.glob("*.json"))

    def read(self, name: str) -> Manifest:
        """Return a manifest; BackupCorruptionError where it is not what its name says."""
        path = self._manifests / f"{name}.json"
        try:
            plain = json.loads(path.read_bytes())
            files = [SavedFile(**file) for file in plain.pop("files")]
            manifest = Manifest(files=files, **plain)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BackupCorruptionError(f"{path} must be a manifest: {error}") from error
        if manifest.name != name:
            raise BackupCorruptionError(f"{path} must be the manifest {name}, was changed")
        return manifest

    def find_at(self, moment: datetime | None) -> Manifest | None:
        """Return the newest backup taken at or before the moment, the newest of all for None."""
        for name in reversed(self.names()):
            manifest = self.read(name)
            if moment is None or manifest.moment <= moment:
                return manifest
        return None

    def find_after(self, base: Manifest, moment: datetime | None = None) -> Manifest | None:
        """Return the oldest backup after `base` that holds all that was written by the moment.

        Where there is none, the newest after `base`; the next one where no moment is given.
        """
        found: Manifest | None = None
        names = self.names()
        for name in names[names.index(base.name) + 1 :]:
            found = self.read(name)
            if moment is None or found.begun > moment:
                return found
        return found

    def extract(self, manifest: Manifest, path: str, target: Path) -> None:
        """Bring one file of a backup back, its hash compared; KeyError where it has none."""
        found = next((file for file in manifest.files if file.path == path), None)
        if found is None:
            raise KeyError(f"the backup {manifest.name} must hold {path}, does not")
        self._assemble(found, target)

    def verify(self, manifest: Manifest) -> None:
        """Read every block of a backup; BackupCorruptionError on the first that is not whole."""
        for file in manifest.files:
            self._assemble(file, None)

    def restore(
        self,
        manifest: Manifest,
        target: Path,
        tell: Tell = lambda _: None,
        finish: Callable[[Path], object] = lambda _: None,
    ) -> None:
        """Bring a home back as it was, in one step; every file's hash is compared on the way.

        `finish` is shown the home beside its place, before it appears there.

        Raises ValueError where the target is there and not empty, BackupCorruptionError where a
        block is not whole: the target is then as it was.
        """
        if target.exists() and any(target.iterdir()):
            raise ValueError(f"a home to restore to must be empty or not there, was {target}")
        part = target.with_name(f".{target.name}.restoring")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir(mode=0o700)
        try:
            with needing_room(target, "nothing was restored"):
                for number, file in enumerate(manifest.files, 1):
                    self._assemble(file, part / file.path)
                    if number % 500 == 0 or number == len(manifest.files):
                        tell(f"{number} of {len(manifest.files)} files")
                finish(part)
            if target.exists():
                target.rmdir()
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _assemble(self, file: SavedFile, target: Path | None) -> None:
        digest, size = hashlib.sha256(), 0
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        out = None if target is None else target.open("wb")
        try:
            for data in self._blocks.stream(file.blocks):
                digest.update(data)
                size += len(data)
                if out is not None:
                    out.write(data)
            if out is not None:
                out.flush()
                os.fsync(out.fileno())
        finally:
            if out is not None:
                out.close()
        if (size, digest.hexdigest()) != (file.size, file.sha256):
            raise BackupCorruptionError(f"{file.path} must come back as it was saved, did not")
        if target is not None:
            target.chmod(file.mode)

    def forget(self, keep: int) -> tuple[int, int]:
        """Remove all but the newest `keep` backups and what only they used; return both counts.

        The second is in bytes. Raises ValueError where none would be left.
        """
        if keep < 1:
            raise ValueError(f"keep must be at least 1, was {keep}")
        with self._changing():
            return self._forget(keep)

    def _changing(self) -> Locked:
        """Return the lock of the changes: blocks of a backup under way are in no manifest yet."""
        return Locked(self.root / ".lock")

    def _forget(self, keep: int) -> tuple[int, int]:
        names = self.names()
        gone = names[:-keep]
        used = {b for name in names[-keep:] for f in self.read(name).files for b in f.blocks}
        for name in gone:
            (self._manifests / f"{name}.json").unlink()
        freed = sum(self._blocks.remove(digest) for digest in self._blocks.digests() - used)
        return len(gone), freed
