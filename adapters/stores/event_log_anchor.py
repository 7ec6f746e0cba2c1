"""The anchor: beside the log, how far it has been acknowledged, so that a lost end is noticed.

SQLite takes a damaged end of its write-ahead file for one that was never written. Whoever was
told that a record is on disk must find it there again: the anchor says up to where that is so.
It is written after the commit and not synced, so it never runs ahead of the log.
"""

import os
import re
from pathlib import Path

_FORM = re.compile(rb"([0-9]{20}) ([0-9a-f]{64})\n")


class Anchor:
    """The file at `path`: the sequence and the hash of the last record that was acknowledged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def close(self) -> None:
        os.close(self._file)

    def write(self, sequence: int, digest: bytes) -> None:
        os.pwrite(self._file, b"%020d %s\n" % (sequence, digest.hex().encode()), 0)

    def read(self) -> tuple[int, bytes] | None:
        """Return sequence and hash; None where nothing was acknowledged yet.

        A loss of power may leave it empty or zeroed. Raises ValueError on anything else that it
        never held.
        """
        text = os.pread(self._file, 200, 0)
        if not text.strip(b"\0"):
            return None
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"the anchor {self.path} must hold a sequence and a hash, does not")
        return int(found[1]), bytes.fromhex(found[2].decode())
