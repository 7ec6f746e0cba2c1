"""The kill switch: a latch in memory and a file beside the book that every process looks at."""

import json
import os
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from threading import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """That trading shall stop: who wants it, why, and whether what is held is to be sold."""

    reason: str
    actor: str
    flatten: bool = False
    by_person: bool = True

    def __post_init__(self) -> None:
        for name in ("reason", "actor"):
            given = getattr(self, name)
            if not (isinstance(given, str) and given.strip()):
                raise ValueError(f"{name} of a halt must be given as text, was {given!r}")
        odd = [n for n in ("flatten", "by_person") if not isinstance(getattr(self, n), bool)]
        if odd:
            raise ValueError(f"a halt must say true or false of {odd}, did not")


class KillSwitch:
    """Pulled once, it stays pulled until somebody resets it; the file outlives the process.

    A file that cannot be read, or that a person made with `touch`, halts like any other. So does a
    folder in its place: it is moved beside when the halt is written down or lifted, and kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._latched: Halt | None = None
        self._unwritten: Halt | None = None  # pulled last, and no disk would take it
        self._lock = Lock()

    def pull(self, halt: Halt) -> str | None:
        """Latch the halt, and write it down; return why it could not be written, or None."""
        with self._lock:
            earlier = self._latched
            if earlier is None or (halt.flatten and not earlier.flatten):
                self._latched = halt
            self._unwritten = halt
            try:
                self._write(self._latched or halt)
                self._unwritten = None
            except OSError as error:  # a full disk must not keep orders alive
                return f"{self.path} must be writable: {error}"
        return None

    def find(self) -> Halt | None:
        """Return the halt in force, from memory or from the file, or None."""
        if self._latched is None:
            self._latched = self._read()
        elif not self._latched.flatten:
            written = self._read()
            if written is not None and written.flatten:
                self._latched = written
        return self._latched

    @property
    def is_pulled(self) -> bool:
        return self._latched is not None or self.is_there

    @property
    def is_there(self) -> bool:
        """Return whether anything is in the file's place, also a link that leads nowhere."""
        return os.path.lexists(self.path)

    def reset(self) -> None:
        """Forget the halt; to be called only where a person has lifted it in the log."""
        with self._lock:
            self._move_folder()
            self.path.unlink(missing_ok=True)
            self._latched = self._unwritten = None

    def lift(self) -> None:
        """Forget the halt that another process has lifted; its file is gone with it.

        One that was pulled since, or that no disk would take, nobody knew of: it stays.
        """
        with self._lock:
            self._latched, self._unwritten = self._unwritten, None

    def _write(self, halt: Halt) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(f".{os.getpid()}.part")
        try:
            with beside.open("w") as file:
                json.dump(asdict(halt), file)
                file.flush()
                os.fsync(file.fileno())
            self._move_folder()  # who looks between the two has latched, or sees the file then
            beside.replace(self.path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise

    def _move_folder(self) -> None:
        """Move a folder that is in the file's place beside it; what is in it may be somebody's."""
        if not self.path.is_dir() or self.path.is_symlink():
            return
        names = (self.path.with_name(f"{self.path.name}.folder-{n}") for n in count(1))
        try:
            self.path.rename(next(name for name in names if not os.path.lexists(name)))
        except OSError as error:
            raise OSError(f"{self.path} is a folder and must be moved away: {error}") from error

    def _read(self) -> Halt | None:
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            if not self.is_there:
                return None
            return Halt(reason=f"{self.path} is there", actor="file")
        except IsADirectoryError:
            return Halt(reason=f"{self.path} is a folder, which halts like a file", actor="file")
        except OSError as error:
            return Halt(reason=f"{self.path} is there and cannot be read: {error}", actor="file")
        try:
            return Halt(**json.loads(text))
        except (ValueError, TypeError):
            return Halt(reason=f"{self.path} is there", actor="file")
