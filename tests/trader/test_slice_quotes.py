"""A slice that has no quote yet waits for one, and nothing of it is lost over a restart."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarm_core import events as ev
from swarm_core.execution.working import WorkingSettings
from swarm_core.order_states import OrderState
from swarm_core.ports import Broker
from swarm_core.replay import replay
from swarm_core.risk.codes import DenialCode
from tests.swarm_core.builders import CASH, NOW_NS, A, B, make_bar, make_decision, make_quote
from tests.trader.desks import Timepiece, make_desk
from trader.desk import TradingDesk
from trader.ports import Intent
from trader.settings import QUOTE_PATIENCE_NS
from trader.working import Worker

MINUTE_NS = 60 * 10**9
TWAP = WorkingSettings(slices=4, minutes=20.0)  # one each five minutes
LAST_NS = NOW_NS + 15 * MINUTE_NS


class Process:
    """One life of a trader's desk and worker in a home, with or without quotes."""

    def __init__(self, home: Path, at_ns: int, *quoted: str, broker: Broker | None = None) -> None:
        self.desk = make_desk(home, broker)
        self.desk.quotes.clear()
        self.worker = Worker(self.desk, TWAP)
        self.at(at_ns)
        self.quote(*quoted)

    def at(self, now_ns: int) -> None:
        clock = self.desk.now_ns
        assert isinstance(clock, Timepiece)
        clock.ns = now_ns

    def quote(self, *names: str) -> None:
        now_ns = self.desk.now_ns()
        for name in names:
            self.desk.quotes[name] = replace(make_quote(name, time_ns=now_ns), session_open=True)

    def begin(self, **weights: float) -> None:
        self.worker.begin(Intent(targets=make_decision("d1", **weights)), self.desk.now_ns())

    def work(self) -> None:
        self.worker.work(self.desk.now_ns())

    def fill(self) -> None:
        """Let the market fill what works; each act of it is told at once."""
        time_ns = self.desk.now_ns() + 1
        bars = [make_bar(name, time_ns, 100.0) for name in (A, B)]
        self.desk.take_in(self.desk.broker.on_bars(bars, time_ns))  # type: ignore[attr-defined]

    def slices(self, name: str = A) -> list[str]:
        return [
            r.order.decision_id
            for r in self.desk.book.orders.values()
            if r.order.instrument_id == name
        ]


def traded(home: Path, **weights: float) -> TradingDesk:
    """Trade the first three slices of a decision, as a process that is killed then."""
    life = Process(home, NOW_NS, A, B)
    life.begin(**(weights or {"A": 0.1}))
    for number in range(3):
        life.at(NOW_NS + 5 * number * MINUTE_NS)
        life.quote(A, B)
        life.work()
        life.fill()
    assert life.slices() == ["d1/1", "d1/2", "d1/3"]
    assert life.desk.book.lots(A) == pytest.approx(750, abs=2)
    return life.desk


def test_the_last_slice_waits_for_its_quote_after_a_restart(tmp_path: Path) -> None:
    traded(tmp_path)
    life = Process(tmp_path, LAST_NS + 1)

    life.work()
    life.at(LAST_NS + 1 + QUOTE_PATIENCE_NS // 2)
    life.work()
    assert life.slices() == ["d1/1", "d1/2", "d1/3"]
    assert not life.desk.book.denied_targets
    life.quote(A)
    life.work()
    life.work()
    life.fill()
    life.work()

    assert life.slices() == ["d1/1", "d1/2", "d1/3", "d1/4"]
    assert life.desk.book.lots(A) == pytest.approx(1_000, abs=2)
    assert _ends(life.desk) == ["done"]


def test_a_slice_that_is_never_quoted_is_denied_when_it_was_waited_for(tmp_path: Path) -> None:
    """What the plan leaves undone is said by name, never called done."""
    traded(tmp_path)
    life = Process(tmp_path, LAST_NS + 1)
    life.work()
    life.at(LAST_NS + 2 + QUOTE_PATIENCE_NS)
    life.work()
    life.work()

    assert life.desk.book.denied_targets["d1/4"].keys() == {A}
    assert _ends(life.desk) == ["left: US.A (no_quote)"]


def test_the_last_slice_waits_for_a_fresh_quote_as_for_a_missing_one(tmp_path: Path) -> None:
    """It was denied at once, and what it was for was lost."""
    life = _with_a_stale_quote(tmp_path)
    life.work()
    life.at(LAST_NS + QUOTE_PATIENCE_NS // 2)
    life.work()
    assert life.slices() == ["d1/1", "d1/2", "d1/3"]
    assert not life.desk.book.denied_targets
    life.quote(A)
    life.work()
    life.fill()
    life.work()

    assert life.slices()[-1] == "d1/4"
    assert life.desk.book.lots(A) == pytest.approx(1_000, abs=2)
    assert _ends(life.desk) == ["done"]


def test_a_last_slice_whose_quote_stays_stale_is_told_as_what_is_left(tmp_path: Path) -> None:
    life = _with_a_stale_quote(tmp_path)
    life.work()
    assert _ends(life.desk) == []
    life.at(LAST_NS + QUOTE_PATIENCE_NS)
    life.work()
    life.work()

    (ending,) = _ends(life.desk)
    assert ending.startswith("left: ")
    assert "US.A" in ending
    assert life.desk.book.working_plan is None
    assert DenialCode.STALE_QUOTE in {
        *life.desk.book.denials.values(),
        *life.desk.book.denied_targets.get("d1/4", {}).values(),
    }


def test_an_order_cut_off_before_the_gate_waits_for_a_fresh_quote(tmp_path: Path) -> None:
    """The process died when the last slice was planned; its quote is old when it comes back."""
    traded(tmp_path)
    life = Process(tmp_path, LAST_NS, A)
    append, calls = life.desk.log.append, iter(range(100))

    def die(*arguments: Any, **named: Any) -> Any:
        if next(calls):
            raise KeyboardInterrupt
        return append(*arguments, **named)

    life.desk.log.append = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        life.work()
    life = Process(tmp_path, LAST_NS - 3 * MINUTE_NS, A)
    _bound_ages(life)
    life.at(LAST_NS + 1)
    life.work()
    assert not life.desk.book.denials
    life.quote(A)
    life.work()
    life.fill()
    life.work()

    assert life.desk.book.lots(A) == pytest.approx(1_000, abs=2)
    assert _ends(life.desk) == ["done"]


def test_what_is_quoted_is_not_kept_waiting_for_long_by_what_is_not(tmp_path: Path) -> None:
    """Later slices, after the patience of the start is over, do not wait again."""
    life = Process(tmp_path, NOW_NS, A)
    life.begin(A=0.1, B=0.1)
    plan = life.desk.book.working_plan
    assert plan is not None
    assert plan.targets(0).target_weights == pytest.approx((0.025, 0.025))  # unseen, and even
    life.work()
    assert life.slices() == []
    life.at(NOW_NS + QUOTE_PATIENCE_NS)
    life.quote(A)
    life.work()
    life.fill()
    life.at(NOW_NS + 5 * MINUTE_NS)
    life.quote(A)
    life.work()

    assert life.slices() == ["d1/1", "d1/2"]
    assert life.slices(B) == []


def test_what_needs_no_order_is_not_waited_for(tmp_path: Path) -> None:
    traded(tmp_path, A=0.1, B=0.0)
    life = Process(tmp_path, LAST_NS + 1, A)
    life.work()
    assert life.slices()[-1] == "d1/4"


@pytest.mark.parametrize("arrived", [True, False])
def test_an_order_that_was_cut_off_waits_for_its_quote_and_is_sent_once(
    tmp_path: Path, arrived: bool
) -> None:
    """The process died between the plan of the last slice and its acknowledgement."""
    desk = traded(tmp_path)
    life = Process(tmp_path, LAST_NS, A, broker=(broker := desk.broker))
    submit = broker.submit

    def die(order, time_ns: int):
        if arrived:
            submit(order, time_ns)
        raise KeyboardInterrupt

    broker.submit = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        life.work()
    broker.submit = submit  # type: ignore[method-assign]

    life = Process(tmp_path, LAST_NS + 1, broker=broker)
    life.work()
    (record,) = [r for r in life.desk.book.orders.values() if r.order.decision_id == "d1/4"]
    assert record.state is not OrderState.DENIED
    life.quote(A)
    life.work()
    life.work()
    life.fill()

    assert record.state is OrderState.FILLED
    assert life.desk.book.lots(A) == pytest.approx(1_000, abs=2)
    sent = [r.event for r in life.desk.log.read() if isinstance(r.event, ev.OrderAccepted)]
    assert len({e.client_order_id for e in sent}) == len(life.slices()) == 4


def test_a_slice_that_nobody_answers_is_asked_about_every_five_seconds(tmp_path: Path) -> None:
    """It was at each beat: a gateway that did not answer got a dozen questions a second."""
    life = Process(tmp_path, NOW_NS, A)
    life.begin(A=0.1)
    broker, asked = life.desk.broker, list[int]()

    def silent(*_: object):
        asked.append(life.desk.now_ns())
        raise TimeoutError("the broker does not answer")

    find, submit = broker.find, broker.submit
    broker.find = broker.submit = silent  # type: ignore[method-assign]
    life.work()
    assert len(asked) == 1
    for beat in range(80):  # twenty seconds of beats
        life.at(NOW_NS + beat * 250_000_000)
        life.quote(A)
        life.work()
    assert len(asked) == 5

    broker.find, broker.submit = find, submit  # type: ignore[method-assign]
    life.at(NOW_NS + 30 * 10**9)
    life.quote(A)
    life.work()
    assert [r.state for r in life.desk.book.orders.values()] == [OrderState.ACCEPTED]


def test_an_order_of_an_earlier_slice_that_never_left_keeps_no_plan_open(tmp_path: Path) -> None:
    """The third slice was cut off before it left; the last one is for its lots as well."""
    life = Process(tmp_path, NOW_NS, A)
    life.begin(A=0.1)
    life.work()
    life.fill()
    life.at(NOW_NS + 10 * MINUTE_NS)
    life.quote(A)

    def die(*_: object):
        raise KeyboardInterrupt

    append = life.desk.log.append
    calls = iter(range(100))
    life.desk.log.append = lambda *a, **k: append(*a, **k) if next(calls) < 2 else die()  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        life.work()
    life = Process(tmp_path, LAST_NS, A)
    life.work()
    life.fill()
    life.work()

    assert life.desk.book.lots(A) == pytest.approx(1_000, abs=2)
    assert _ends(life.desk) == ["done"]


def test_equal_slices_some_seconds_apart_all_leave(tmp_path: Path) -> None:
    """They were denied as duplicates of one another, and all was left to the last one."""
    life = Process(tmp_path, NOW_NS, A)
    life.worker.settings = WorkingSettings(slices=4, minutes=8 / 60)
    life.begin(A=0.1)
    for number in range(4):
        life.at(NOW_NS + 2 * number * 10**9)
        life.quote(A)
        life.work()
        life.fill()

    assert life.slices() == ["d1/1", "d1/2", "d1/3", "d1/4"]
    assert not life.desk.book.denials
    assert life.desk.book.lots(A) == pytest.approx(1_000, abs=2)
    assert replay(life.desk.log.read(), "USD", CASH).first_difference is None


def _bound_ages(life: Process) -> None:
    life.desk.limits = replace(life.desk.limits, quote_age_s_max=60.0)


def _with_a_stale_quote(home: Path) -> Process:
    """Return the trader at the moment of the last slice; the newest quote is three minutes old."""
    traded(home)
    life = Process(home, LAST_NS - 3 * MINUTE_NS, A)
    _bound_ages(life)
    life.at(LAST_NS)
    return life


def _ends(desk: TradingDesk) -> list[str]:
    return [r.event.reason for r in desk.log.read() if isinstance(r.event, ev.WorkingEnded)]
