"""Results of backtests as Arrow files: a folder for each trial, there whole or not at all."""

import hashlib
import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import polars as pl

_SEAL = "sha256"


class ArrowResults:
    """Frames below `root`, one folder for each key; a folder that is not whole is none."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def put(self, key: str, frames: Mapping[str, pl.DataFrame]) -> str:
        """Keep the frames under the key in one step and return the hash of their bytes."""
        part = self.root / f".{key}.{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, rows in frames.items():
            rows.write_ipc(part / f"{name}.arrow", compression="uncompressed")
        seal = _hash_of({path.name: path.read_bytes() for path in sorted(part.glob("*.arrow"))})
        (part / _SEAL).write_text(seal)
        for path in part.iterdir():
            with path.open("rb") as written:
                os.fsync(written.fileno())
        target = self.root / key
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
        return seal

    def find(self, key: str) -> dict[str, pl.DataFrame] | None:
        """Return the frames of the key, or None where they are not there or were damaged."""
        folder = self.root / key
        seal = folder / _SEAL
        if not seal.is_file():
            return None
        files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.arrow"))}
        if seal.read_text() != _hash_of(files):
            return None
        return {Path(name).stem: pl.read_ipc(io.BytesIO(body)) for name, body in files.items()}


def _hash_of(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, body in files.items():
        digest.update(name.encode())
        digest.update(body)
    return digest.hexdigest()
