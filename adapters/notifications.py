"""Where people are told that something failed: a log and a file, which need no service."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from adapters.clock import SystemClock

logger = logging.getLogger("apiary.notifications")


@dataclass(frozen=True, slots=True)
class FileNotifier:
    """Appends one JSON line per notification and logs it."""

    path: Path

    def notify(self, title: str, body: str) -> None:
        """Write the notification; raises OSError where the file cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = {"time": SystemClock().now().isoformat(), "title": title, "body": body}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        logger.error("%s: %s", title, body)
