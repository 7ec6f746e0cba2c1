"""The kill switch: every way to pull it, what it does, and who may lift it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import DAY_NS, INSTRUMENTS, NOW_NS, A, B, make_bar, make_decision
from tests.trader.desks import LostLog, make_desk
from trader.desk import TradingDesk
from trader.kill_switch import Halt, KillSwitch

HALT = Halt(reason="drill", actor="anna")


def fill_all(desk: TradingDesk, number: int) -> None:
    time_ns = NOW_NS + number * DAY_NS
    broker = desk.broker
    assert isinstance(broker, SimulatedBroker)
    desk.take_in(broker.on_bars([make_bar(i, time_ns, 100.0) for i in (A, B)], time_ns))


def states(desk: TradingDesk) -> set[OrderState]:
    return {record.state for record in desk.book.orders.values()}


def test_a_halt_cancels_everything_and_lets_nothing_more_out(tmp_path: Path) -> None:
    """Orders that work are cancelled; the next decision's are denied."""
    desk = make_desk(tmp_path)
    desk.release(make_decision(A=0.1, B=-0.1))

    report = desk.halt(HALT)
    later = desk.release(make_decision("d2", A=0.2))

    assert (report.cancelled_count, report.failures) == (2, ())
    assert desk.book.trading_state is TradingState.HALTED
    assert states(desk) == {OrderState.CANCELLED, OrderState.DENIED}
    assert later.sent_count == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"stop",
        b"\xff\xfe\x00",
        b"[1]",
        b'{"reason": 1, "actor": "anna"}',
        b'{"reason": null, "actor": null}',
        b'{"reason": "r", "actor": "anna", "flatten": "no"}',
        b'{"reason": "r", "actor": "anna", "by_person": 0}',
        b'{"halt": true}',
    ],
)
def test_a_file_of_any_content_halts_and_flattens_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "halt.json"
    path.write_bytes(content)
    found = KillSwitch(path).find()
    assert found == Halt(reason=f"{path} is there", actor="file")


def test_children_are_cancelled_with_their_parents(tmp_path: Path) -> None:
    """A child order that works is cancelled like any other."""
    desk = make_desk(tmp_path)
    parent = desk.release(make_decision(A=0.1)).orders[0]
    child = Order(
        decision_id="d1",
        instrument_id=A,
        side=parent.side,
        quantity_lots=5,
        slice_index=1,
        parent_client_order_id=parent.client_order_id,
    )
    order_id, fields = child.client_order_id, {"time_ns": NOW_NS}
    desk.log.append(
        [
            ev.OrderIntended(event_id="i", order=child, **fields),
            ev.OrderApproved(
                event_id="v",
                client_order_id=order_id,
                attempt=1,
                reference_ticks=1,
                value_micros=1,
                **fields,
            ),
            ev.OrderSubmitted(event_id="s", client_order_id=order_id, attempt=1, **fields),
            *desk.broker.submit(child, NOW_NS),
        ]
    )

    assert desk.halt(HALT).cancelled_count == 2
    assert desk.book.orders[order_id].state is OrderState.CANCELLED


def test_a_halt_that_flattens_leaves_no_position(tmp_path: Path) -> None:
    """What works is cancelled, what is held is closed through the gate, then nothing leaves."""
    desk = make_desk(tmp_path)
    desk.release(make_decision(A=0.1, B=-0.1))
    fill_all(desk, 1)
    desk.release(make_decision("d2", A=0.3))

    report = desk.halt(Halt(reason="drill", actor="anna", flatten=True))
    fill_all(desk, 2)

    assert report.failures == ()
    assert (desk.book.lots(A), desk.book.lots(B)) == (0, 0)
    assert desk.book.trading_state is TradingState.HALTED
    assert not desk.book.working_orders()


def test_what_cannot_be_measured_is_not_flattened_and_is_told(tmp_path: Path) -> None:
    """Without a quote the gate denies the closing order; the book is halted all the same."""
    desk = make_desk(tmp_path)
    desk.release(make_decision(A=0.1))
    fill_all(desk, 1)
    desk.quotes.clear()

    report = desk.halt(Halt(reason="drill", actor="anna", flatten=True))

    assert "by hand" in report.failures[0]
    assert desk.book.trading_state is TradingState.HALTED


def test_orders_are_cancelled_while_the_log_is_away(tmp_path: Path) -> None:
    """With the database down the broker is told directly, and the file holds the halt."""
    desk = make_desk(tmp_path)
    desk.release(make_decision(A=0.1))
    desk.log = LostLog(desk.log)

    report = desk.halt(HALT)

    assert isinstance(desk.broker, SimulatedBroker)
    assert desk.broker.working_order_ids() == ()
    assert "must be writable" in report.failures[0]
    assert KillSwitch(desk.switch.path).find() == HALT


def test_a_release_under_way_sends_no_further_order(tmp_path: Path) -> None:
    """The switch is pulled between two orders of one release: the second does not leave."""

    class Pulling(SimulatedBroker):
        def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
            switch.pull(HALT)
            received.append(order)
            return super().submit(order, time_ns)

    received: list[Order] = []
    desk = make_desk(tmp_path, Pulling(INSTRUMENTS))
    switch = desk.switch

    desk.release(make_decision(A=0.1, B=0.1))

    assert len(received) == 1
    assert states(desk) == {OrderState.ACCEPTED, OrderState.REJECTED}


def test_a_halt_outlives_the_process(tmp_path: Path) -> None:
    """A process started later finds the halt in the log and in the file."""
    make_desk(tmp_path).halt(HALT)

    desk = make_desk(tmp_path)

    assert desk.book.trading_state is TradingState.HALTED
    assert desk.switch.find() == HALT


@pytest.mark.parametrize("content", ["", "{not json", '{"reason": ""}', "[]"])
def test_any_file_halts(tmp_path: Path, content: str) -> None:
    """A file that a person made in a hurry is a halt, whatever stands in it."""
    path = tmp_path / "halt.json"
    path.write_text(content)

    found = KillSwitch(path).find()

    assert found is not None
    assert "is there" in found.reason


@pytest.mark.parametrize("is_full", [True, False])
def test_a_folder_halts_like_a_file_and_is_lifted_like_one(tmp_path: Path, is_full: bool) -> None:
    """The halt could not be written down, and `apiary resume` failed on it with an errno."""
    desk = make_desk(tmp_path)
    path = desk.switch.path
    path.mkdir(parents=True)
    if is_full:
        (path / "notes").write_text("mine")
    found = desk.switch.find()
    assert found is not None
    assert found.reason == f"{path} is a folder, which halts like a file"
    assert not found.flatten

    report = desk.halt(found)
    assert report.failures == ()
    assert KillSwitch(path).find() == found, "whoever starts now reads why"
    desk.resume(by="anna", reason="tidied up")

    assert desk.book.trading_state is TradingState.ACTIVE
    assert not KillSwitch(path).is_pulled
    aside = path.with_name("halt.json.folder-1")
    assert [f.name for f in aside.iterdir()] == (["notes"] if is_full else [])
    assert not list(path.parent.glob("*.part"))


def test_a_folder_that_no_process_met_is_lifted_too(tmp_path: Path) -> None:
    """Twice: the first that was moved beside keeps its name."""
    desk = make_desk(tmp_path)
    for number in (1, 2):
        desk.switch.path.mkdir(parents=True)
        desk.resume(by="anna", reason="tidied up")
        assert not desk.switch.is_pulled
        assert desk.switch.path.with_name(f"halt.json.folder-{number}").is_dir()


def test_a_folder_that_cannot_be_moved_is_told_in_a_line_and_halts_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path)
    desk.switch.path.mkdir(parents=True)

    def refuse(*_: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "rename", refuse)
    told = desk.switch.pull(HALT)
    assert told is not None
    assert "is a folder and must be moved away: not yours" in told
    assert not list(desk.switch.path.parent.glob("*.part"))
    with pytest.raises(OSError, match="is a folder and must be moved away"):
        desk.resume(by="anna", reason="tidied up")
    assert desk.switch.is_pulled
    assert desk.book.trading_state is TradingState.HALTED


def test_a_link_that_leads_nowhere_halts_as_well(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    desk.switch.path.parent.mkdir(parents=True, exist_ok=True)
    desk.switch.path.symlink_to(tmp_path / "gone")
    assert desk.switch.is_pulled
    assert desk.switch.find() is not None
    desk.resume(by="anna", reason="tidied up")
    assert not desk.switch.is_pulled


def test_a_later_flatten_tightens_an_earlier_halt(tmp_path: Path) -> None:
    """A second pull can ask for more, never for less."""
    mine, theirs = KillSwitch(tmp_path / "halt"), KillSwitch(tmp_path / "halt")
    mine.pull(HALT)
    theirs.pull(Halt(reason="all out", actor="ben", flatten=True))
    theirs.pull(HALT)

    found = mine.find()

    assert found is not None
    assert (found.flatten, found.actor) == (True, "ben")


def test_a_switch_that_cannot_be_written_halts_in_memory(tmp_path: Path) -> None:
    """A full or broken disk is told, and keeps nothing from being halted."""
    (tmp_path / "file").touch()
    switch = KillSwitch(tmp_path / "file" / "halt")

    told = switch.pull(HALT)

    assert told is not None
    assert switch.is_pulled
    assert switch.find() == HALT


@pytest.mark.parametrize(("by", "reason"), [("", "all clear"), ("anna", " ")])
def test_a_halt_is_lifted_only_by_a_person_with_a_reason(
    tmp_path: Path, by: str, reason: str
) -> None:
    """Without a name or a reason everything stays as it is."""
    desk = make_desk(tmp_path)
    desk.halt(HALT)

    with pytest.raises(ValueError, match="must be given"):
        desk.resume(by=by, reason=reason)

    assert desk.switch.is_pulled
    assert desk.book.trading_state is TradingState.HALTED


def test_who_lifted_a_halt_and_why_stands_in_the_log(tmp_path: Path) -> None:
    """After a resume orders leave again, and the log names the person."""
    desk = make_desk(tmp_path)
    desk.halt(HALT)

    desk.resume(by="anna", reason="feed checked")

    changes = [r.event for r in desk.log.read() if isinstance(r.event, ev.TradingStateChanged)]
    last = changes[-1]
    assert (last.state, last.actor, last.reason) == (TradingState.ACTIVE, "anna", "feed checked")
    assert last.by_person
    assert not desk.switch.is_pulled
    assert desk.release(make_decision("d3", A=0.1)).sent_count == 1
