"""Events as older releases stored them: their bytes, word for word, are read for ever."""

import json
from pathlib import Path

import pytest

from adapters.stores.event_log_bytes import read_event
from adapters.stores.event_log_memory import MemoryEventLog
from swarm_core import events as ev

STORED = Path(__file__).with_name("stored_events.jsonl")
LINES = STORED.read_bytes().splitlines()


@pytest.mark.parametrize("line", LINES, ids=lambda line: json.loads(line)["type"])
def test_bytes_of_an_older_release_are_read(line: bytes) -> None:
    """Every field that was stored has its value still; what was added has its default."""
    event = read_event(line)
    again = json.loads(ev.encode(event))

    assert event == ev.decode(line)
    stored = json.loads(line)
    assert again["type"] == stored["type"]
    assert again["v"] >= stored["v"]
    assert again["event_id"] == stored["event_id"]
    if again["v"] == stored["v"]:
        assert ev.encode(event) == line, "bytes of this version must be written as they were"


def test_every_class_that_has_changed_is_read_in_all_its_versions() -> None:
    kept = {(json.loads(line)["type"], json.loads(line)["v"]) for line in LINES}
    needed = {
        (cls.__name__, version)
        for cls in ev.EVENT_CLASSES
        for version in range(1, cls.schema_version + 1)
    }

    assert needed <= kept, "run `python -m tests.adapters.stores.test_event_versions` and look"


def test_an_event_that_was_stored_by_an_older_release_is_known_again() -> None:
    """A log that holds the old bytes takes the same fact, told by the new release, as known."""
    for line in LINES:
        log, event = MemoryEventLog(), read_event(line)
        log.append([event])
        row = log._rows[0]
        log._rows[0] = row._replace(body=line)

        assert [r.sequence for r in log.append([event])] == [1]


def missing() -> list[bytes]:
    """Return the bytes of classes and versions that the file does not hold, as written now."""
    from hypothesis import find

    from tests.swarm_core.test_events import drawn_events

    kept = {(json.loads(line)["type"], json.loads(line)["v"]) for line in LINES}
    return [
        ev.encode(find(drawn_events(), lambda event, cls=cls: type(event) is cls))
        for cls in ev.EVENT_CLASSES
        if (cls.__name__, cls.schema_version) not in kept
    ]


if __name__ == "__main__":
    with STORED.open("ab") as file:
        file.writelines(line + b"\n" for line in missing())
