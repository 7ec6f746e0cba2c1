"""What every event log must do; each adapter's test runs this suite on itself."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import pytest

from adapters.stores.event_log_appends import EventConflictError, Written
from swarm_core import events as ev
from swarm_core.event_chain import ChainReport
from swarm_core.ports import ConcurrentAppendError


class CheckedLog(Protocol):
    def append(
        self, events: Sequence[ev.Event], *, expected_sequence: int | None = None
    ) -> Sequence[ev.RecordedEvent]: ...
    def read(self, after_sequence: int = 0) -> Iterable[ev.RecordedEvent]: ...
    def rows(self, after_sequence: int = 0) -> Iterable[tuple[int, bytes, bytes]]: ...
    def hash_at(self, sequence: int) -> str | None: ...
    def find_all(self, event_ids: Sequence[str]) -> Mapping[str, ev.RecordedEvent]: ...
    def last_sequence(self) -> int: ...
    def verify(self) -> ChainReport: ...


class TimedLog(CheckedLog, Protocol):
    """A log that notes when its records were written, by the clock that it was opened with."""

    def append(
        self,
        events: Sequence[ev.Event],
        *,
        expected_sequence: int | None = None,
        written: Sequence[Written] | None = None,
    ) -> Sequence[ev.RecordedEvent]: ...
    def written(self, after_sequence: int = 0, through: int | None = None) -> Sequence[Written]: ...


def check_times_of_writing(log: TimedLog, copy: TimedLog) -> None:
    """Check that each append is noted once, whole, and taken along by a copy.

    Both are empty, and have clocks that say 1 at the first append, 2 at the second, and so on.
    """
    log.append([make_event(i) for i in range(3)])
    log.append([make_event(i) for i in range(2, 7)])  # one of them is known
    log.append([make_event(1)])
    log.append([make_event(i) for i in range(7, 9)])

    assert log.written() == [(1, 3, 1), (4, 7, 2), (8, 9, 3)]
    assert log.written(5) == [(6, 7, 2), (8, 9, 3)]
    assert log.written(2, 5) == [(3, 3, 1), (4, 5, 2)]
    assert log.written(7, 8) == [(8, 8, 3)]
    assert log.written(9) == []
    events = [r.event for r in log.read()]
    copy.append(events[:2])
    copy.append(events[2:5], written=[])  # nobody noted when
    copy.append(events[5:], written=[Written(6, 7, 70), Written(8, 9, 80)])
    assert copy.written() == [(1, 2, 1), (6, 7, 70), (8, 9, 80)]
    assert copy.written(2, 5) == []
    assert copy.verify().sound


def make_event(number: int, reason: str = "because") -> ev.Event:
    return ev.DataCheckFailed(
        event_id=f"event-{number}",
        time_ns=number,
        session="2024-01-02",
        check_name="gaps",
        reason=reason,
    )


class EventLogContract:
    """Subclasses give a fixture `open_log`, which opens the same log again at each call."""

    @pytest.fixture
    def log(self, open_log: Callable[[], CheckedLog]) -> CheckedLog:
        return open_log()

    def test_what_was_appended_is_read_in_order(self, log: CheckedLog) -> None:
        events = [make_event(i) for i in range(5)]
        log.append(events[:2])
        log.append(events[2:])

        assert [r.event for r in log.read()] == events
        assert [r.sequence for r in log.read()] == [1, 2, 3, 4, 5]
        assert [r.sequence for r in log.read(after_sequence=3)] == [4, 5]

    def test_append_returns_the_records_that_read_returns(self, log: CheckedLog) -> None:
        returned = log.append([make_event(i) for i in range(3)])

        assert list(returned) == list(log.read())

    def test_rows_are_the_stored_bytes_of_the_records(self, log: CheckedLog) -> None:
        log.append([make_event(i) for i in range(3)])
        log.append([make_event(i) for i in range(3, 7)])

        for after in range(8):
            told = [(r.sequence, ev.encode(r.event), r.hash) for r in log.read(after)]
            assert [(s, b, h.hex()) for s, b, h in log.rows(after)] == told
        assert [log.hash_at(r.sequence) for r in log.read()] == [r.hash for r in log.read()]
        assert (log.hash_at(0), log.hash_at(8)) == (None, None)

    def test_records_are_found_by_the_ids_of_their_events(
        self, open_log: Callable[[], CheckedLog]
    ) -> None:
        log = open_log()
        log.append([make_event(i) for i in range(3)])
        log.append([make_event(i) for i in range(3, 7)])
        told = {r.event.event_id: r for r in log.read()}

        assert log.find_all(["event-5", "event-0", "nobody's"]) == {
            i: told[i] for i in ("event-5", "event-0")
        }
        assert open_log().find_all(list(told)) == told
        assert log.find_all([]) == {}

    def test_each_record_carries_the_hash_of_the_one_before(self, log: CheckedLog) -> None:
        records = log.append([make_event(i) for i in range(3)])

        assert [r.previous_hash for r in records[1:]] == [r.hash for r in records[:-1]]
        assert len({r.hash for r in records}) == 3

    def test_the_same_event_twice_is_written_once(self, log: CheckedLog) -> None:
        first = log.append([make_event(1)])
        again = log.append([make_event(2), make_event(1)])

        assert again[1] == first[0]
        assert [r.event for r in log.read()] == [make_event(1), make_event(2)]

    def test_the_same_event_twice_in_one_batch_is_written_once(self, log: CheckedLog) -> None:
        records = log.append([make_event(1), make_event(1)])

        assert records[0] == records[1]
        assert log.last_sequence() == 1

    def test_a_known_id_with_other_contents_is_refused_with_its_batch(
        self, log: CheckedLog
    ) -> None:
        log.append([make_event(1)])

        with pytest.raises(EventConflictError):
            log.append([make_event(2), make_event(1, reason="another")])
        assert log.last_sequence() == 1

    def test_an_append_behind_the_end_is_refused(self, log: CheckedLog) -> None:
        log.append([make_event(1)], expected_sequence=0)

        with pytest.raises(ConcurrentAppendError):
            log.append([make_event(2)], expected_sequence=0)
        assert log.last_sequence() == 1
        log.append([make_event(2)], expected_sequence=1)

    def test_an_event_that_cannot_be_written_leaves_nothing_of_its_batch(
        self, log: CheckedLog
    ) -> None:
        bad = ev.RegimeAssessed(
            event_id="bad", time_ns=1, regime_names=("calm",), regime_posterior=(float("nan"),)
        )

        with pytest.raises(ValueError, match=r"not JSON compliant|[Oo]ut of range"):
            log.append([make_event(1), bad])
        assert log.last_sequence() == 0

    def test_a_log_opened_again_goes_on_where_it_stood(
        self, open_log: Callable[[], CheckedLog]
    ) -> None:
        open_log().append([make_event(1)])
        log = open_log()
        log.append([make_event(2)], expected_sequence=1)

        assert [r.event for r in log.read()] == [make_event(1), make_event(2)]
        assert log.verify().sound

    def test_a_sound_log_verifies(self, log: CheckedLog) -> None:
        assert log.verify().sound
        records = log.append([make_event(i) for i in range(10)])

        report = log.verify()

        assert report.sound
        assert (report.checked_count, report.head) == (10, records[-1].hash)
