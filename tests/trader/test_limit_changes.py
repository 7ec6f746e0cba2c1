"""Limits while trading: tighter at once, looser only by a person's word, never by a bad file."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.stores.event_log_memory import MemoryEventLog
from pipelines.cli import app
from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.limit_record import SignOff, write_limits
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.limits import RiskLimits
from tests.swarm_core.builders import NOW_NS, A, make_order
from tests.trader.homes import book_of, log_of, make_slow_home, trader_process, wait_for
from trader.limit_changes import LimitsWatch, read_limits_file


class Stage:
    """A limits file that is watched, and the log that holds what came of it."""

    def __init__(self, folder: Path, text: str) -> None:
        self.path, self.log, self.book = folder / "limits.yaml", MemoryEventLog(), Book("USD", 1)
        self.told: list[str] = []
        self.writes = 0
        self.write(text)
        self.restart()

    def restart(self) -> None:
        self.watch = LimitsWatch(
            self.path,
            lambda path: read_limits_file(path, "hive", "anna"),
            log=self.log,
            now_ns=lambda: NOW_NS,
            tell=self.told.append,
        )

    def write(self, text: str) -> None:
        self.writes += 1
        self.path.write_bytes((text + "\n" * self.writes).encode(errors="surrogateescape"))

    def look(self) -> RiskLimits:
        return self.watch.look(self.book)

    def changes(self) -> list[ev.LimitsChanged]:
        return [r.event for r in self.log.read() if isinstance(r.event, ev.LimitsChanged)]


def test_what_is_tighter_counts_at_once_and_stands_in_the_log(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "messages_max: 10")
    assert stage.look().messages_max == 10

    stage.write("messages_max: 5")

    assert stage.look().messages_max == 5
    first, second = stage.changes()
    assert (first.by_person, second.by_person, second.loosened) == (False, False, ())
    assert second.digest_before == first.digest_after != second.digest_after


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("messages_max: 11", "must be loosened by `apiary limits apply`, were by the file: messag"),
        ("{}", "messages_max"),  # the default is looser
        ("messages_max: [", "must be readable YAML"),
        ("messages: 5", "limits must be among"),
        ("messages_max: -1", r"messages_max must be in [0, 1000000], was -1"),
        ("messages_max: 5\nlevels: {desk: {}}", "a level must be one of"),
        ("[1]", "must hold a mapping"),
        ("", "limits.yaml must hold a mapping"),  # an editor empties a file before it writes it
        ("# caf\udce9", "limits.yaml must be readable YAML"),  # not UTF-8
    ],
)
def test_a_file_that_is_looser_or_does_not_hold_changes_nothing(
    tmp_path: Path, text: str, said: str
) -> None:
    """One line is said, once; the old limits stay, and stay after a restart as well."""
    stage = Stage(tmp_path, "messages_max: 10")
    before = stage.look()

    stage.write(text)

    assert [stage.look(), stage.look()] == [before, before]
    assert len(stage.told) == 1
    assert said in stage.told[0]
    assert "\n" not in stage.told[0]
    stage.restart()
    assert stage.look() == before
    assert len(stage.changes()) == 1


def test_a_tightening_that_the_log_could_not_take_is_taken_when_it_can(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "messages_max: 10")
    stage.look()
    append = stage.log.append

    def full(*_: object, **__: object) -> None:
        raise OSError("database or disk is full")

    stage.log.append = full  # type: ignore[method-assign, assignment]
    stage.write("messages_max: 5")
    with pytest.raises(OSError, match="full"):
        stage.look()
    stage.log.append = append  # type: ignore[method-assign]

    assert stage.look().messages_max == 5


def test_a_person_loosens_by_name_and_reason(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "messages_max: 10")
    stage.look()
    stage.write("messages_max: 20")
    stage.look()

    looser = write_limits(
        read_limits_file(stage.path, "hive", "anna"),
        book=Book("USD", 1),
        log=stage.log,
        time_ns=NOW_NS,
        sign_off=SignOff(by="anna", reason="a busier market"),
    )
    stage.book.apply_all(stage.log.read(stage.book.sequence))

    assert looser == ("messages_max",)
    assert stage.look().messages_max == 20
    change = stage.changes()[-1]
    assert (change.actor, change.reason, change.by_person) == ("anna", "a busier market", True)


@pytest.mark.parametrize(
    "fields",
    [
        {"by": "", "reason": "why"},
        {"by": "anna", "reason": " "},
        {"by": "anna", "reason": "why", "four_eyes": True},
        {"by": "anna", "reason": "why", "four_eyes": True, "second": "anna"},
    ],
)
def test_a_sign_off_needs_its_names_and_a_reason(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        SignOff(**fields)  # type: ignore[arg-type]  # spoiled on purpose


def say(config: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--config", str(config)])
    return f"{result.exit_code} {' '.join(result.output.split())}"


def test_a_running_trader_takes_limits_while_it_trades(tmp_path: Path) -> None:
    """Tighter by the file alone; looser when a person has applied it, with two names if asked."""
    config = make_slow_home(tmp_path)
    config.write_text(config.read_text() + "book: {limits_need_two: true}\n")
    limits = tmp_path / "risk_limits.yaml"
    limits.write_text("messages_max: 50\n")

    def in_force() -> int:
        found = book_of(config).limits
        return 0 if found is None else found.messages_max

    with trader_process(config) as process:
        wait_for(config, lambda _: in_force() == 50, process)
        limits.write_text("messages_max: 5\n")
        wait_for(config, lambda _: in_force() == 5, process)
        limits.write_text("messages_max: 500\n")
        alone = say(config, "limits", "apply", "--by", "anna", "--reason", "more")
        both = say(config, "limits", "apply", "--by", "anna", "--reason", "more", "--second", "ben")
        wait_for(config, lambda told: told["limits"] == book_of(config).limits.digest(), process)  # type: ignore[union-attr]  # there since the start
        shown = say(config, "limits", "show")

    assert alone.startswith("1 apiary: a second person must agree")
    assert both.startswith("0 limits")
    assert in_force() == 500
    assert "messages_max: 500" in shown
    changes = [r.event for r in log_of(config) if isinstance(r.event, ev.LimitsChanged)]
    assert [(c.actor, c.second_actor) for c in changes][-1] == ("anna", "ben")


def test_a_tripped_throttle_is_reset_by_a_person(tmp_path: Path) -> None:
    """The command names who and why; without a trip, or without a name, nothing is written."""
    from adapters.stores.event_log_sqlite import SqliteEventLog

    config = make_slow_home(tmp_path)
    order = make_order()
    denied = ev.OrderDenied(
        event_id="t",
        time_ns=1,
        client_order_id=order.client_order_id,
        code=DenialCode.THROTTLE,
        measured=21,
        limit=20,
        detail="often",
    )
    intended = ev.OrderIntended(event_id="i", time_ns=1, order=order)
    SqliteEventLog(tmp_path / "home" / "warm" / "events.db").append([intended, denied])

    nameless = say(config, "throttle", "reset", A, "--by", " ", "--reason", "looked")
    other = say(config, "throttle", "reset", "US.B", "--by", "anna", "--reason", "looked")
    before = say(config, "throttle", "show")
    reset = say(config, "throttle", "reset", A, "--by", "anna", "--reason", "looked")

    assert nameless.startswith("1 apiary: reason and actor must be given")
    assert other.startswith("1 apiary: the throttle must have tripped")
    assert (before, reset[:1]) == (f"0 {A}", "0")
    assert not book_of(config).throttled
    last = log_of(config)[-1].event
    assert isinstance(last, ev.ThrottleReset)
    assert (last.actor, last.reason) == ("anna", "looked")
