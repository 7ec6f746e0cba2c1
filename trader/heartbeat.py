"""The file by which everybody sees that the trader lives: written at each beat, whole or not."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def heartbeat_path(home: Path) -> Path:
    """Return where the trader of a home tells that it lives."""
    return home / "control" / "trader.json"


class Heartbeat:
    """Writes the file at most every `every_ns`; a disk that refuses is told, and stops nothing."""

    def __init__(self, path: Path, every_ns: int) -> None:
        self.path, self.every_ns = path, every_ns
        self.failure = ""
        self._written_ns = 0

    def beat(self, now_ns: int, body: Mapping[str, object], *, last: bool = False) -> None:
        """Write the body, its moment and the process; `last` says that no other will follow."""
        # However the clock is set, the file is written.
        if 0 <= now_ns - self._written_ns < self.every_ns and not last:
            return
        self._written_ns = now_ns
        told = {**body, "time_ns": now_ns, "process": os.getpid(), "ended": last}
        beside = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(told))
            beside.replace(self.path)
            self.failure = ""
        except OSError as error:
            self.failure = f"{self.path} must be writable: {error}"


def find_heartbeat(path: Path) -> dict[str, Any] | None:
    """Return what the trader told last, or None where it never did or cannot be read."""
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None
