"""The log in PostgreSQL: its contract, and what it does when its server goes away."""

import signal
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from adapters.stores.event_log_memory import MemoryEventLog
from adapters.stores.event_log_postgres import PostgresEventLog
from adapters.stores.postgres_address import PostgresAddress
from swarm_core.ports import ConcurrentAppendError
from tests.adapters.stores.event_log_contract import (
    CheckedLog,
    EventLogContract,
    check_times_of_writing,
    make_event,
)
from tests.services import PostgresService, postgres_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresService]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def schema(request: pytest.FixtureRequest) -> str:
    """A log of its own for each test, with a name that must be quoted."""
    return request.node.name[:60]


@pytest.fixture
def open_log(server: PostgresService, schema: str) -> Iterator[Callable[[], PostgresEventLog]]:
    opened: list[PostgresEventLog] = []

    def open_once_more() -> PostgresEventLog:
        opened.append(PostgresEventLog(PostgresAddress(server.url), schema=schema))
        return opened[-1]

    yield open_once_more
    for log in opened:
        log.close()


class TestPostgresEventLog(EventLogContract):
    @pytest.fixture
    def open_log(self, open_log: Callable[[], CheckedLog]) -> Callable[[], CheckedLog]:
        return open_log


def test_when_records_were_written_is_noted_and_copied(server: PostgresService) -> None:
    address = PostgresAddress(server.url)
    log, copy = (
        PostgresEventLog(address, schema=name, time_ns=clock.__next__)
        for name, clock in (("times", count(1)), ("times_copy", count(1)))
    )
    check_times_of_writing(log, copy)


def test_both_servers_and_files_chain_the_same_events_alike(
    open_log: Callable[[], PostgresEventLog],
) -> None:
    events = [make_event(i, reason="ü\n\x00'") for i in range(5)]
    log, other = open_log(), MemoryEventLog()
    log.append(events)
    other.append(events)

    assert log.verify().head == other.verify().head


def test_of_many_writers_that_expect_the_same_end_one_wins(
    open_log: Callable[[], PostgresEventLog],
) -> None:
    open_log().append([make_event(0)])
    outcomes: list[str] = []
    logs = [open_log() for _ in range(6)]

    def race(number: int) -> None:
        try:
            logs[number - 1].append([make_event(number)], expected_sequence=1)
            outcomes.append("won")
        except ConcurrentAppendError:
            outcomes.append("lost")

    together(race, range(1, 7))

    assert sorted(outcomes) == ["lost"] * 5 + ["won"]
    assert logs[0].verify().sound


def together(act: Callable[[int], None], numbers: range) -> None:
    threads = [threading.Thread(target=act, args=(i,)) for i in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_many_writers_lose_nothing_and_write_nothing_twice(
    open_log: Callable[[], PostgresEventLog],
) -> None:
    logs = [open_log() for _ in range(3)]

    def write(number: int) -> None:
        for start in range(0, 40, 4):
            # Each event is told by two writers.
            first = number // 2 * 40 + start
            logs[number % 3].append([make_event(i) for i in range(first, first + 4)])

    together(write, range(6))

    assert logs[0].last_sequence() == 120
    assert len({r.event.event_id for r in logs[1].read()}) == 120
    assert logs[2].verify().sound


CHANGES = {
    "body": "update events set body = convert_to(replace(convert_from(body, 'UTF8'), "
    "'gaps', 'GAPS'), 'UTF8') where sequence = 5",
    "hash": "update events set hash = decode(repeat('00', 32), 'hex') where sequence = 5",
    "name": "update events set event_id = 'other' where sequence = 5",
    "place": "update events set sequence = 999 where sequence = 5",
    "end": "delete from events where sequence > 9",
    "beginning": "delete from events where sequence = 1",
    "all": "delete from events",
    "head": "delete from head",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_change_by_hand_is_found(
    open_log: Callable[[], PostgresEventLog], server: PostgresService, schema: str, change: str
) -> None:
    log = open_log()
    log.append([make_event(i) for i in range(12)])
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute(f'set search_path to "{schema}"'.encode())
        db.execute(change.encode())

    report = log.verify()

    assert not report.sound
    assert len(report.detail.splitlines()) == 1


def test_a_server_that_comes_back_is_found_again(tmp_path: Path) -> None:
    with postgres_server() as server:
        log = PostgresEventLog(PostgresAddress(server.url))
        log.append([make_event(1)])
        server.stop()
        with pytest.raises(OSError, match="must be usable"):
            log.append([make_event(2)])
        with pytest.raises(OSError, match="must be usable"):
            list(log.read())
        server.start()
        log.append([make_event(2)], expected_sequence=1)

        assert [r.event for r in log.read()] == [make_event(1), make_event(2)]


def test_a_connection_that_was_cut_is_opened_again_without_a_word(
    open_log: Callable[[], PostgresEventLog], server: PostgresService
) -> None:
    log = open_log()
    for number in range(3):
        log.append([make_event(number)], expected_sequence=number)
        with psycopg.connect(server.url, autocommit=True) as db:
            db.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> "
                       "pg_backend_pid() and application_name = 'apiary event log'")  # fmt: skip

    assert log.last_sequence() == 3


def test_an_append_whose_answer_was_lost_is_not_written_twice(
    open_log: Callable[[], PostgresEventLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit arrives, the connection dies before the answer: the retry finds the events."""
    log, place = open_log(), PostgresEventLog._place
    log.append([make_event(0)])
    cut: list[int] = []

    def place_and_die(self: PostgresEventLog, db: psycopg.Connection, group, *, again: bool):
        place(self, db, group, again=again)
        if not again:
            db.execute("commit")
            cut.append(1)
            db.close()
            raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(PostgresEventLog, "_place", place_and_die)
    records = log.append([make_event(1), make_event(2)], expected_sequence=1)

    assert cut
    assert [r.sequence for r in records] == [2, 3]
    assert log.last_sequence() == 3
    assert log.verify().sound


def test_what_was_acknowledged_survives_the_crash_of_the_server() -> None:
    with postgres_server() as server:
        with psycopg.connect(server.url, autocommit=True) as db:
            db.execute("alter system set synchronous_commit = off")
            db.execute("select pg_reload_conf()")
        log = PostgresEventLog(PostgresAddress(server.url))
        for number in range(50):
            log.append([make_event(number)])
        server.stop(signal.SIGQUIT)
        server.start()

        assert log.last_sequence() == 50
        assert log.verify().sound


def test_a_server_elsewhere_must_prove_itself_and_the_password_is_never_told() -> None:
    address = PostgresAddress("postgresql://me:s3cret@db.example.org/apiary")

    assert "verify-full" in address.conninfo()
    assert "s3cret" not in f"{address} {address!r}"
    assert "verify-full" not in PostgresAddress("postgresql://me@127.0.0.1/apiary").conninfo()


def test_an_address_that_cannot_be_read_does_not_repeat_its_password() -> None:
    with pytest.raises(ValueError, match="must be a URL") as caught:
        PostgresAddress("postgresql://me:s3cret@[broken/apiary")

    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_server_that_is_not_there_is_one_line() -> None:
    with pytest.raises(OSError, match="must be usable") as caught:
        PostgresEventLog(PostgresAddress("postgresql://me:s3cret@127.0.0.1:1/apiary"))

    assert "s3cret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_one_process_at_a_time_holds_a_log_that_homes_share(
    open_log: Callable[[], PostgresEventLog],
) -> None:
    """Each home's lock is a file of its own: two traders of one log saw none."""
    one, other = open_log(), open_log()
    with one.hold():
        with pytest.raises(BlockingIOError, match="one process at a time"), other.hold():
            pass
        other.append([make_event(1)])  # a person's word needs no hold
    with other.hold():
        other.append([make_event(2)])


def test_a_holder_that_lost_its_connection_holds_again_before_it_writes(
    open_log: Callable[[], PostgresEventLog], server: PostgresService
) -> None:
    """Where another came meanwhile it writes nothing any more."""
    one, other = open_log(), open_log()
    with one.hold():
        one.append([make_event(1)])
        _cut_off(server, one)
        one.append([make_event(2)])
        with pytest.raises(BlockingIOError), other.hold():
            pass
        _cut_off(server, one)
        with other.hold(), pytest.raises(BlockingIOError):
            one.append([make_event(3)])
        assert other.last_sequence() == 2
        one.append([make_event(3)])


def test_a_holder_is_not_kept_out_by_its_own_lost_connection(
    open_log: Callable[[], PostgresEventLog],
) -> None:
    """The network is cut: the server does not see it, and keeps what the old connection held."""
    one = open_log()
    with one.hold():
        lost, one._db = one._db, None
        one.append([make_event(1)])
        assert lost is not None
        with pytest.raises(psycopg.OperationalError):
            lost.execute("select 1")


def _cut_off(server: PostgresService, log: PostgresEventLog) -> None:
    assert log._db is not None
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute("select pg_terminate_backend(%s, 5000)", (log._db.info.backend_pid,))
