"""Snapshots of a book beside its log: a start folds what came since, and not the whole log.

A snapshot is a convenience and never the truth. It is used only where its own hash holds, where it
was made by the same code, and where the log still has, at the snapshot's place, the very record
that the snapshot was made at; else it is ignored, and the log is folded from its beginning.
"""

import io
import json
import pickle
from decimal import Decimal
from enum import Enum
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import swarm_core
from swarm_core.book import Book
from swarm_core.instruments import to_minor
from swarm_core.ports import EventLog

# So many records are folded in less time than a person notices.
SAVE_EVERY = 5_000
_PLAIN = frozenset(
    {
        ("builtins", "set"),
        ("builtins", "frozenset"),
        ("collections", "deque"),
        ("decimal", "Decimal"),
        ("copyreg", "__newobj__"),
        ("copyreg", "_reconstructor"),
        ("builtins", "object"),
    }
)


class HashedLog(EventLog, Protocol):
    """A log that tells the hash of a record: with it a snapshot is held against the log."""

    def hash_at(self, sequence: int) -> str | None: ...


class _Writer(pickle.Pickler):
    """Writes members of an enum by their value: Python 3.11.2 would write a call of `getattr`."""

    def reducer_override(self, obj: object) -> Any:
        return (type(obj), (obj.value,)) if isinstance(obj, Enum) else NotImplemented


class _Reader(pickle.Unpickler):
    """Makes values of swarm_core and plain containers, and runs nothing else."""

    def find_class(self, module_name: str, global_name: str) -> object:
        ours = module_name.startswith("swarm_core.")
        if not ours and (module_name, global_name) not in _PLAIN:
            raise pickle.UnpicklingError(f"a snapshot holds no {module_name}.{global_name}")
        found = super().find_class(module_name, global_name)
        if ours and not isinstance(found, type):
            raise pickle.UnpicklingError(f"a snapshot holds no {module_name}.{global_name}")
        return found


@cache
def code_digest() -> str:
    """Return the hash of the code that folds: another version may fold otherwise."""
    digest = sha256()
    folder = Path(next(iter(swarm_core.__path__)))
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class BookSnapshots:
    """The snapshot of one book in one file, which is replaced as a whole."""

    def __init__(self, path: Path, base_currency: str, starting_cash: Decimal | int) -> None:
        self.path = path
        self._base_currency, self._starting_cash = base_currency, starting_cash

    def open_book(self, log: HashedLog) -> Book:
        """Return the book that the log leads to, and keep a snapshot where much was folded."""
        book = self._find(log)
        folded_from = 0 if book is None else book.sequence
        if book is None:
            book = Book(self._base_currency, to_minor(self._starting_cash))
        book.apply_all(log.read(book.sequence))
        if book.sequence - folded_from >= SAVE_EVERY:
            self.save(book, log)
        return book

    def save(self, book: Book, log: HashedLog) -> bool:
        """Write the book down; False where that could not be done, which stops nothing."""
        digest = log.hash_at(book.sequence)
        if digest is None:
            return False
        written = io.BytesIO()
        _Writer(written, protocol=5).dump(book)
        body = written.getvalue()
        part = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(self._head(book.sequence, digest, body) + b"\n" + body)
            part.replace(self.path)
        except OSError:
            return False
        return True

    def _head(self, sequence: int, digest: str, body: bytes) -> bytes:
        told = {
            "sequence": sequence,
            "hash": digest,
            "code": code_digest(),
            "base_currency": self._base_currency,
            "starting_cash": str(self._starting_cash),
            "body": sha256(body).hexdigest(),
        }
        return json.dumps(told, sort_keys=True).encode()

    def _find(self, log: HashedLog) -> Book | None:
        """Return the book of the snapshot, or None where it is not one of this log and code."""
        try:
            head, _, body = self.path.read_bytes().partition(b"\n")
            told = json.loads(head)
            sequence, digest = told["sequence"], told["hash"]
            if head != self._head(sequence, digest, body) or log.hash_at(sequence) != digest:
                return None
            book = _Reader(io.BytesIO(body)).load()
        except (OSError, ValueError, KeyError, TypeError, pickle.UnpicklingError, EOFError):
            return None
        return book if isinstance(book, Book) and book.sequence == sequence else None
