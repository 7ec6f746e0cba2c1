"""What `apiary trade` says: a line for what happens, and never at the cost of an order."""

import threading
import time
from dataclasses import replace
from pathlib import Path

from swarm_core import events as ev
from swarm_core.reconciliation import ReconciliationRules
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import NOW_NS, A, B, make_decision, make_fill, make_order
from tests.trader.desks import make_desk
from tests.trader.homes import make_home, run_to_end, trader_process
from tests.trader.venue import FileVenue
from trader.account_keeper import AccountKeeper
from trader.kill_switch import Halt
from trader.narrator import Narrator
from trader.overnight import NightBooks
from trader.settings import TraderSettings
from trader.teller import Teller

WELL = {"connected": True, "held_back": ""}


def test_a_session_is_told_line_by_line(tmp_path: Path) -> None:
    """Decisions with what was sent, fills with their prices, and the summary at the end."""
    said = run_to_end(make_home(tmp_path)).splitlines()

    first = next(line for line in said if " decision " in line)
    assert first.startswith("2024-01-02 14:40:00"), first
    assert first.endswith(": 2 orders, 2 sent"), first
    fills = [line for line in said if " filled buy " in line and "US.BEE at 40." in line]
    assert fills, said
    assert "session 2024-01-02 opens, NAV 1000000.00 USD" in said[4]
    assert said[-1].startswith("active: 7 orders"), said[-1]


def test_quiet_tells_the_beginning_and_the_end(tmp_path: Path) -> None:
    config = make_home(tmp_path)

    with trader_process(config, more=("--quiet",)) as process:
        said, _ = process.communicate(timeout=120)

    assert process.returncode == 0, said
    assert [line.split()[0] for line in said.splitlines()] == [
        *("trading", "control", "limits", "active:")
    ]


def test_denials_are_told_with_their_leading_reasons(tmp_path: Path) -> None:
    desk, lines = make_desk(tmp_path), list[str]()
    narrator = Narrator(desk, lines.append, quiet=False)
    desk.limits = replace(desk.limits, restricted=frozenset({B}))

    desk.release(make_decision("d1", A=0.1, B=0.1, C=0.1))
    narrator.hear(WELL)

    assert [line.split(" ", 2)[2] for line in lines] == [
        "decision d1: 2 orders, 1 sent, 1 denied (restricted 1), 1 targets denied (no_quote 1)"
    ]
    narrator.hear(WELL)
    assert len(lines) == 1


def test_halts_and_the_broker_are_told_also_when_quiet(tmp_path: Path) -> None:
    desk, lines = make_desk(tmp_path, FileVenue(tmp_path / "venue", fills=False)), list[str]()
    narrator = Narrator(desk, lines.append, quiet=True)

    desk.release(make_decision("d1", A=0.1))
    narrator.hear(WELL)
    narrator.hear({"connected": False, "held_back": "the broker must be connected"})
    narrator.hear(WELL)
    desk.halt(Halt(reason="a drill", actor="anna"))
    narrator.hear(WELL)
    desk.resume(by="anna", reason="seen")
    narrator.hear(WELL)

    assert desk.book.trading_state is TradingState.ACTIVE
    assert [line.split(" ", 2)[2] for line in lines] == [
        "the broker is away: nothing is released",
        "the broker is reached again",
        "HALTED by anna: a drill",
        "ACTIVE by anna: seen",
    ]


def test_what_is_held_without_exits_is_told_once_also_when_quiet(tmp_path: Path) -> None:
    """Between a fill and its exits is a moment that needs no word, and a halt says so itself."""
    desk, lines = make_desk(tmp_path, FileVenue(tmp_path / "venue")), list[str]()
    narrator = Narrator(desk, lines.append, quiet=True)
    bare = {**WELL, "state": "active", "unprotected": [A]}

    narrator.hear(bare)
    narrator.hear(WELL)
    for _ in range(3):
        narrator.hear({**bare, "state": "halted"})
    assert lines == []
    for _ in range(3):
        narrator.hear(bare)

    assert [line.split(" ", 2)[2] for line in lines] == [
        f"held without exits, for a person to look at: {A}"
    ]


def test_what_reconciliation_finds_is_told_once(tmp_path: Path) -> None:
    """A fill that was missed, and a position that nobody explains."""
    venue = FileVenue(tmp_path / "venue")
    desk, lines = make_desk(tmp_path, venue), list[str]()
    keeper = AccountKeeper(
        desk,
        venue,
        ReconciliationRules(),
        NightBooks(desk, venue),
        TraderSettings(),
        pull=lambda reason: None,
        why_not=lambda: "",
        tell=lines.append,
    )
    stranger = replace(make_order(decision_id="stranger"), instrument_id=A)
    venue.submit(stranger, NOW_NS)
    venue.heard()

    keeper.reconcile()
    told = list(lines)
    keeper.reconcile()

    assert any("foreign_fill" in line for line in told), told
    assert any(f"position_differs {A}" in line for line in told), told
    assert lines == told


def test_a_log_that_cannot_be_read_is_said_and_stops_nothing(tmp_path: Path) -> None:
    desk, lines = make_desk(tmp_path), list[str]()
    narrator = Narrator(desk, lines.append, quiet=False)
    desk.release(make_decision("d1", A=0.1))
    desk.log.close()  # type: ignore[attr-defined]  # the embedded log

    narrator.hear(WELL)

    assert lines
    assert "could not be told" in lines[0]


def test_a_reader_that_stands_still_holds_nobody_up() -> None:
    """A paused pager: lines are taken at once, and what is too much is counted."""
    moves, written = threading.Event(), list[str]()

    def write(line: str) -> None:
        assert moves.wait(20)
        written.append(line)

    teller = Teller(write, kept_max=5)
    began = time.monotonic()
    for number in range(1_000):
        teller.tell(str(number))
    assert time.monotonic() - began < 1.0
    moves.set()
    teller.close()

    assert written[:5] == [str(n) for n in range(5)]
    assert written[-1].endswith("lines were left out: too slow a reader)")


def test_a_reader_that_has_gone_ends_the_printing_alone() -> None:
    def write(line: str) -> None:
        raise BrokenPipeError("the pager was closed")

    teller = Teller(write)
    teller.tell("a line")
    teller.close()
    teller.tell("another")


def test_what_was_settled_and_taken_back_is_told(tmp_path: Path) -> None:
    desk, lines = make_desk(tmp_path), list[str]()
    narrator = Narrator(desk, lines.append, quiet=False)
    done = make_fill(make_order(lots=4))
    common = {"time_ns": NOW_NS, "currency": "USD", "actor": "anna", "reason": "a gift"}
    lots = {"instrument_id": A, "lots": -3, "price_ticks": 9_050, "lot_tick_minor": 10**6}
    desk.note(
        done,
        ev.ExecutionCorrected(
            event_id="c",
            time_ns=NOW_NS,
            execution_id=done.execution_id,
            revision=2,
            lots=0,
            price_ticks=0,
        ),
        ev.TransferBooked(event_id="a", amount_minor=5 * 10**8, is_capital=False, **common),
        ev.TransferBooked(event_id="b", amount_minor=0, is_capital=True, **common, **lots),
    )
    narrator.hear(WELL)
    assert [line.split(" ", 2)[2] for line in lines][-3:] == [
        f"execution {done.execution_id} of US.A is taken back by the broker",
        "anna settles +5.00 USD as profit or loss: a gift",
        "anna settles -3 lots of US.A at 90.50 as capital: a gift",
    ]


def test_what_only_a_person_can_cancel_is_told_once_also_when_quiet(tmp_path: Path) -> None:
    lines = list[str]()
    narrator = Narrator(make_desk(tmp_path), lines.append, quiet=True)
    line = "A1 must be cancelled by hand: client 7 has placed it"
    stands = {**WELL, "out_of_reach": [line]}

    for health in (WELL, stands, stands, WELL, {**stands, "state": "halted"}, WELL, stands):
        narrator.hear(health)

    assert [told.split(" ", 2)[2] for told in lines] == [line, line]
