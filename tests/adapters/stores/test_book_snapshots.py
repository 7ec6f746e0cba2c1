"""A book from a snapshot is the book of its log; a snapshot of anything else is ignored."""

import json
import os
import pickle
from collections.abc import Iterator
from enum import Enum
from hashlib import sha256
from pathlib import Path

import pytest

from adapters.stores import book_snapshots
from adapters.stores.book_snapshots import BookSnapshots
from adapters.stores.event_log_memory import MemoryEventLog
from swarm_core import events as ev
from swarm_core.book import Book, book_from_events
from swarm_core.replay import book_digest
from tests.simulation.world import play
from tests.swarm_core.builders import CASH


class CountingLog(MemoryEventLog):
    """A log that counts the records that were read."""

    read_count = 0

    def read(self, after_sequence: int = 0) -> Iterator[ev.RecordedEvent]:
        for record in super().read(after_sequence):
            self.read_count += 1
            yield record


@pytest.fixture(scope="module")
def events() -> list[ev.Event]:
    return [record.event for record in play(3).watch.read()]


@pytest.fixture
def log(events: list[ev.Event]) -> CountingLog:
    log = CountingLog()
    log.append(events)
    return log


@pytest.fixture
def snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BookSnapshots:
    monkeypatch.setattr(book_snapshots, "SAVE_EVERY", 50)
    return BookSnapshots(tmp_path / "book.snapshot", "USD", CASH)


def insides(value: object) -> object:
    """Return everything that a book holds, whatever fields it has, comparable."""
    if hasattr(value, "__dict__") and not isinstance(value, Enum):
        return {n: insides(v) for n, v in vars(value).items()}
    if isinstance(value, dict):
        return {k: insides(v) for k, v in value.items()}
    return value


def same(book: Book, other: Book) -> bool:
    return insides(book) == insides(other) and book_digest(book) == book_digest(other)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 1.0])
def test_a_book_from_a_snapshot_is_the_book_of_the_log(
    log: CountingLog, events: list[ev.Event], snapshots: BookSnapshots, share: float
) -> None:
    """Every field is the same, those that are added later as well."""
    start = CountingLog()
    start.append(events[: int(len(events) * share)])
    snapshots.open_book(start)

    assert same(snapshots.open_book(log), book_from_events(log.read(), "USD", CASH))


def test_a_start_folds_only_what_came_since(log: CountingLog, snapshots: BookSnapshots) -> None:
    snapshots.open_book(log)
    log.read_count = 0
    log.append([ev.CashMoved(event_id="x", time_ns=1, currency="USD", amount_minor=5, reason="r")])

    book = snapshots.open_book(log)

    assert log.read_count == 1
    assert book.sequence == log.last_sequence()


def test_a_snapshot_is_read_again_on_a_python_that_names_enums_by_getattr(
    log: CountingLog, snapshots: BookSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11.2, that of Debian 12, does: every snapshot was refused as one that runs code."""
    by_name = lambda member, _: (getattr, (type(member), member.name))  # noqa: E731 - a method
    monkeypatch.setattr(Enum, "__reduce_ex__", by_name)
    snapshots.open_book(log)
    log.read_count = 0

    snapshots.open_book(log)

    assert log.read_count == 0


def damaged(path: Path, how: str, tmp_path: Path) -> None:
    head, _, body = path.read_bytes().partition(b"\n")
    if how == "a byte":
        path.write_bytes(head + b"\n" + body[:100] + b"?" + body[101:])
    elif how == "cut short":
        path.write_bytes(path.read_bytes()[:-40])
    elif how == "no snapshot":
        path.write_bytes(b"hello")
    elif how == "other code":
        path.write_bytes(head.replace(b'"code": "', b'"code": "0') + b"\n" + body)
    elif how == "runs code":
        body = pickle.dumps(Runs(tmp_path / "ran"))
        told = {**json.loads(head), "body": sha256(body).hexdigest()}
        path.write_bytes(json.dumps(told, sort_keys=True).encode() + b"\n" + body)
    elif how == "no book":
        body = pickle.dumps({"a": 1})
        told = {**json.loads(head), "body": sha256(body).hexdigest()}
        path.write_bytes(json.dumps(told, sort_keys=True).encode() + b"\n" + body)


class Runs:
    """What a hostile snapshot would hold: a call, made by reading it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "how", ["a byte", "cut short", "no snapshot", "other code", "runs code", "no book"]
)
def test_a_damaged_or_foreign_snapshot_is_ignored_and_made_anew(
    log: CountingLog, snapshots: BookSnapshots, how: str, tmp_path: Path
) -> None:
    snapshots.open_book(log)
    damaged(snapshots.path, how, tmp_path)
    log.read_count = 0

    book = snapshots.open_book(log)

    assert log.read_count == log.last_sequence()
    assert same(book, book_from_events(log.read(), "USD", CASH))
    assert not (tmp_path / "ran").exists()
    log.read_count = 0
    snapshots.open_book(log)
    assert log.read_count == 0


def test_a_snapshot_of_another_log_is_ignored(
    log: CountingLog, events: list[ev.Event], snapshots: BookSnapshots
) -> None:
    """As long, and other: the record at the snapshot's place is not the one it was made at."""
    other = CountingLog()
    first = ev.CashMoved(event_id="x", time_ns=1, currency="USD", amount_minor=5, reason="r")
    other.append([first, *events[1:]])
    snapshots.open_book(other)

    assert same(snapshots.open_book(log), book_from_events(log.read(), "USD", CASH))


def test_another_start_of_the_book_is_another_book(
    log: CountingLog, snapshots: BookSnapshots
) -> None:
    snapshots.open_book(log)
    other = BookSnapshots(snapshots.path, "USD", CASH + 1)

    assert other.open_book(log).ledger.cash["USD"] == (
        snapshots.open_book(log).ledger.cash["USD"] + 10**8
    )


def test_a_place_that_cannot_be_written_stops_nothing(log: CountingLog, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    snapshots = BookSnapshots(tmp_path / "file" / "book.snapshot", "USD", CASH)

    assert snapshots.open_book(log).sequence == log.last_sequence()
    assert not snapshots.save(snapshots.open_book(log), log)
