"""The fast reader and writer of stored events do what the canonical ones do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.stores.event_log_bytes import find_event_id, read_event, write_event, write_events
from adapters.stores.event_log_frames import key_of, keys_of
from swarm_core import events as ev
from tests.swarm_core.test_events import drawn_events


@given(event=drawn_events())
def test_both_readers_read_the_same_event(event: ev.Event) -> None:
    data = ev.encode(event)
    read = read_event(data)

    assert read == event
    assert repr(read) == repr(ev.decode(data))
    assert ev.encode(read) == data
    assert find_event_id(data) == event.event_id


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        b'{"type":"SessionClosed","v":1,"event_id":"e"}',
        b'{"type":"SessionClosed","v":99,"event_id":"e"}',
        b'{"type":"Nothing","v":1,"event_id":"e"}',
        b'{"event_id":"","nav_minor":1,"session":"s","time_ns":5,"type":"SessionClosed","v":1}',
        b'{"event_id":"e","nav_minor":"1","session":"s","time_ns":5,"type":"SessionClosed","v":1}',
    ],
)
def test_what_is_no_event_is_refused_in_one_line(body: bytes) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        read_event(body)

    assert len(str(caught.value).splitlines()) == 1


@given(event=drawn_events())
def test_both_writers_write_the_same_bytes(event: ev.Event) -> None:
    assert write_event(event) == ev.encode(event)


@pytest.mark.parametrize(
    ("minor", "reason"),
    [
        (2**63, ""),
        (-(2**200), ""),
        (0, '\x00\x1f\x7f\b\f\n\r\t"\\/'),
        (0, "é\u2028\ud800"),
        (0, ',"type":"SessionClosed","v":1}'),
        (True, "a flag is a number as well"),
    ],
)
def test_numbers_and_texts_at_the_edges_are_written_canonically(minor: int, reason: str) -> None:
    event = ev.CashMoved(
        event_id="e", time_ns=1, currency="USD", amount_minor=int(minor), reason=reason
    )
    try:
        expected = ev.encode(event)
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            write_event(event)
        return

    assert write_event(event) == expected
    assert read_event(expected) == event


@given(events=st.lists(drawn_events(), max_size=6))
def test_many_are_written_as_each_alone(events: list[ev.Event]) -> None:
    assert write_events(events) == [ev.encode(event) for event in events]


@pytest.mark.parametrize("minor", [1, 2**63])
def test_a_line_break_or_a_large_number_among_many_changes_none_of_them(minor: int) -> None:
    events = [
        ev.CashMoved(
            event_id=f"e{number}", time_ns=1, currency="USD", amount_minor=minor, reason="}\n{"
        )
        for number in range(3)
    ]

    assert write_events(events) == [ev.encode(event) for event in events]


@pytest.mark.parametrize(
    "ids",
    [
        [],
        [32 * "a", 32 * "F"],
        [32 * "a", 31 * "a" + "g"],  # not hexadecimal
        [30 * "a", 34 * "a"],  # of 32 on average
        [32 * "a", 30 * "a" + "  "],
        [16 * "a" + "_" + 15 * "a"],
        ["event-1"],
    ],
)
def test_the_keys_of_many_ids_are_those_of_each(ids: list[str]) -> None:
    assert keys_of(ids) == [key_of(event_id) for event_id in ids]
