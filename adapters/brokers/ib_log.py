"""What ib_async logs: whole in a file, and to a person in one short line."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from queue import SimpleQueue
from typing import Any

_FILE_BYTES_MAX, _FILES_KEPT = 1_000_000, 3
_TOLD_EVERY_S = 60.0
_LENGTH_MAX, _QUOTED_MAX = 200, 120
# The library quotes the broker's message, by itself or as the last of a trade's whole story.
_MESSAGE = re.compile(
    r"(?:Error|Warning) (?P<code>\d+), reqId -?\d+: "
    r"(?P<text>.*?)(?=, contract: |['\"], errorCode=|$)",
    re.DOTALL,
)
_NUMBERS = re.compile(r"\d+")
_REPEATS = "Canceled order: "  # of an error that was logged just before


class _File(RotatingFileHandler):
    """A full disk costs lines, and nothing else."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        pass


class _ShortLines(logging.Handler):
    """Tells each kind of message once a minute."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell
        self._told_s: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        line = _without_trace(record.getMessage())
        if line.startswith(_REPEATS):
            return
        found = list(_MESSAGE.finditer(line))
        kind = found[-1]["code"] if found else line[:_LENGTH_MAX]
        text = f"{kind}: {found[-1]['text']}" if found else kind
        kind = _NUMBERS.sub("#", kind) if not found else kind  # e.g. that of a question
        if record.created - self._told_s.get(kind, float("-inf")) < _TOLD_EVERY_S:
            return
        self._told_s[kind] = record.created
        self._tell(f"the broker's client says {_one_line(text)[:_LENGTH_MAX]}")


def _without_trace(text: str) -> str:
    """Return a message and what its traceback ends with."""
    message, found, trace = text.partition("\nTraceback (most recent call last):")
    return f"{message[:_QUOTED_MAX]}: {trace.rstrip().splitlines()[-1]}" if found else text


def _one_line(text: str) -> str:
    return " ".join(text.replace("\\n", " ").split())


@contextmanager
def library_log(path: Path, tell: Callable[[str], None] | None) -> Iterator[None]:
    """Keep what ib_async warns of in a file that is turned over, and tell it shortened.

    Without `tell` it is only kept. By itself it would print a trade's whole story for each message.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = _File(
        path, maxBytes=_FILE_BYTES_MAX, backupCount=_FILES_KEPT, delay=True, encoding="utf-8"
    )
    whole.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    handlers: list[logging.Handler] = [whole, *([] if tell is None else [_ShortLines(tell)])]
    waiting: SimpleQueue[Any] = SimpleQueue()
    listener = QueueListener(waiting, *handlers)  # a slow disk does not hold up the orders
    logger, entry = logging.getLogger("ib_async"), QueueHandler(waiting)
    entry.setLevel(logging.WARNING)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(entry)
    listener.start()
    try:
        yield
    finally:
        logger.removeHandler(entry)
        logger.propagate = propagated
        listener.stop()
        with suppress(OSError):
            whole.close()
