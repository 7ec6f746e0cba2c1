"""The limits in force: tightened by their file at once, loosened only by a signed-off change."""

from collections.abc import Callable
from pathlib import Path

import yaml

from swarm_core.book import Book
from swarm_core.limit_record import write_limits
from swarm_core.ports import EventLog
from swarm_core.risk.limits import RiskLimits


def read_limits_file(path: Path, tenant: str, trader: str) -> RiskLimits:
    """Return the limits of a file, as they hold for one tenant's trader.

    Raises ValueError with one line that says what must hold and what was given.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} must be readable YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a mapping, was {type(content).__name__}")  # noqa: TRY004  # a file raises one kind
    try:
        return RiskLimits.from_mapping(content).of_desk(tenant, trader)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


class LimitsWatch:
    """Looks at the file and at the log: what is tighter is taken, what is looser refused."""

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], RiskLimits],
        *,
        log: EventLog,
        now_ns: Callable[[], int],
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path, self._read, self._log, self._now_ns = path, read, log, now_ns
        self._tell, self._stamp = tell, (-1, -1)

    def look(self, book: Book) -> RiskLimits:
        """Return the limits in force; a change of the file is judged once, and said in one line.

        Raises ValueError where the file does not hold and the log has no limits to stay with.
        """
        stamp = self._stamped()
        if stamp != self._stamp:
            self._judge(book)
            self._stamp = stamp  # last: what the log could not take is judged again
        assert book.limits is not None, "judged above, or it raised"
        return book.limits

    def _judge(self, book: Book) -> None:
        before = book.limits
        try:
            write_limits(
                self._read(self.path),
                book=book,
                log=self._log,
                time_ns=self._now_ns(),
                sign_off=None,
            )
        except ValueError as error:
            if book.limits is None:
                raise
            self._tell(f"the limits stay as they were: {error}")
            return
        if before is not None and book.limits != before:
            self._tell(f"the limits are tighter from now on: {self.path}")

    def _stamped(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_size
