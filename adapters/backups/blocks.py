"""A store of blocks by the hash of their bytes: what is there already is not written again."""

import errno
import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BLOCK_BYTES = 1 << 20  # a log that grew shares all blocks but its last ones with the one before


class BackupCorruptionError(ValueError):
    """A block or a manifest is not what was written; the text names it."""


@contextmanager
def needing_room(place: Path, what: str) -> Iterator[None]:
    """Say in one line where no space is left for what is written at a place."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            f"{place} must have room, no space is left on its disk: {what}; free some and try again"
        ) from error


class BlockStore:
    """Blocks below `root`, compressed, each under its sha256; safe against kills and full disks."""

    def __init__(self, root: Path) -> None:
        self._root = Path(root)

    def put_file(self, path: Path) -> tuple[list[str], int]:
        """Keep a file's blocks; return their hashes in order and the bytes that were new."""
        hashes: list[str] = []
        written = 0
        with path.open("rb") as file:
            while data := file.read(BLOCK_BYTES):
                digest, fresh = self.put(data)
                hashes.append(digest)
                written += len(data) if fresh else 0
        return hashes, written

    def put(self, data: bytes) -> tuple[str, bool]:
        """Keep the bytes, durably; return their hash and whether they were new."""
        digest = hashlib.sha256(data).hexdigest()
        target = self._path(digest)
        if target.exists():
            return digest, False
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                file.write(zlib.compress(data, 1))
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return digest, True

    def get(self, digest: str) -> bytes:
        """Return the bytes of a hash; BackupCorruptionError where they are not these."""
        try:
            data = zlib.decompress(self._path(digest).read_bytes())
        except (OSError, zlib.error) as error:
            raise BackupCorruptionError(f"the block {digest} must be readable: {error}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise BackupCorruptionError(f"the block {digest} must have this hash, has another")
        return data

    def stream(self, digests: Sequence[str]) -> Iterator[bytes]:
        """Yield the bytes of blocks in order, each checked."""
        for digest in digests:
            yield self.get(digest)

    def has(self, digests: Sequence[str]) -> bool:
        """Return whether all of these blocks are there."""
        return all(self._path(digest).exists() for digest in digests)

    def digests(self) -> set[str]:
        """Return the hash of every block that is kept."""
        return {p.name for p in self._root.glob("*/*") if len(p.name) == 64}

    def remove(self, digest: str) -> int:
        """Remove a block; return its bytes on disk."""
        path = self._path(digest)
        size = path.stat().st_size
        path.unlink()
        return size

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest


def sync_folder(folder: Path) -> None:
    """Make what was renamed into a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
