"""An order that its broker has lost is ended by a person's word, and by nothing else."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from swarm_core import events as ev
from swarm_core.broker_account import BrokerAccount
from swarm_core.findings import FindingKind
from swarm_core.halting import ask_again
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.reconciliation import ReconciliationRules, reconcile
from swarm_core.trading_state import TradingState
from tests.adapters.brokers.test_broker_contract import tcp_ib
from tests.gateway_simulator.gateways import hosted
from tests.swarm_core.builders import CASH, NOW_NS, A, make_decision, make_fill
from tests.trader.desks import make_desk
from tests.trader.drills import Drill
from tests.trader.venue import FileVenue
from trader.kill_switch import Halt
from trader.order_commands import OrderCommand
from trader.settling import settle

RULES = ReconciliationRules()
SETTLE = OrderCommand(order_id="A", actor="anna", reason="not in TWS", settles=True)


class LosingVenue(FileVenue):
    """Answers no cancel, and loses every order when it is told to."""

    lost_orders = False

    def cancel(self, client_order_id: str, time_ns: int):
        self._arrives("asked to cancel", client_order_id)
        return ()

    def find(self, client_order_id: str):
        return None if self.lost_orders else super().find(client_order_id)

    def account(self) -> BrokerAccount:
        account = super().account()
        return replace(account, orders=()) if self.lost_orders else account


class Case:
    """A desk whose only order has a cancel that nobody answers."""

    def __init__(self, home: Path, *, asked: bool = True, lost: bool = True) -> None:
        self.venue = LosingVenue(home / "venue", fills=False)
        self.desk = make_desk(home, self.venue)
        self.desk.release(make_decision("d1", A=0.1))
        (self.record,) = self.desk.book.working_orders()
        if asked:
            self.desk.cancel(self.record.order.client_order_id, "drill")
        self.venue.lost_orders = lost

    def settle(self) -> None:
        name = self.record.order.client_order_id[:8]
        settle(self.desk, self.venue, RULES, name, actor="anna", reason="not in TWS")


def test_an_order_that_the_whole_account_does_not_hold_is_ended(tmp_path: Path) -> None:
    """Who said so, and why, stand in the log; the account agrees then, and a person lifts."""
    case = Case(tmp_path)
    found = reconcile(case.desk.book, case.venue.account(), RULES)
    assert [f.kind for f in found.findings] == [FindingKind.ORDER_MISSING]
    assert found.mode is TradingState.REDUCING

    case.settle()

    assert case.record.state is OrderState.CANCELLED
    assert case.desk.book.working_orders() == []
    *_, said, ended = (r.event for r in case.desk.log.read())
    assert isinstance(said, ev.PersonInstructed)
    assert (said.actor, said.reason, said.instruction) == ("anna", "not in TWS", "settle")
    assert isinstance(ended, ev.OrderCancelled)
    assert "anna: not in TWS" in ended.reason
    assert reconcile(case.desk.book, case.venue.account(), RULES).findings == ()


def test_a_fill_that_is_told_after_it_was_settled_is_booked(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.settle()
    case.desk.take_in([make_fill(case.record.order, 30)])
    assert (case.desk.book.lots(A), case.record.filled_lots) == (30, 30)
    assert case.record.state is OrderState.CANCELLED


def test_what_the_broker_knows_is_not_settled(tmp_path: Path) -> None:
    case = Case(tmp_path, lost=False)
    with pytest.raises(ValueError, match=r"must not know .* any more, it works there"):
        case.settle()
    assert case.record.state is OrderState.CANCEL_PENDING


def test_an_order_is_cancelled_before_it_is_settled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be cancelled before it is settled, .* is accepted"):
        Case(tmp_path, asked=False).settle()


def test_an_account_that_was_not_read_in_full_settles_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.venue.unreadable = True
    with pytest.raises(OSError, match="were not read to their end"):
        case.settle()


@pytest.mark.parametrize(
    ("is_told", "said"), [(True, "fills of .* must be booked first"), (False, "positions must")]
)
def test_an_order_that_may_have_filled_is_not_settled(
    tmp_path: Path, is_told: bool, said: str
) -> None:
    """Its execution is told and not booked, or only the position shows it."""
    case = Case(tmp_path)
    fills = (make_fill(case.record.order, 30),) if is_told else ()
    account = replace(case.venue.account(), fills=fills, position_lots={A: 30})
    case.venue.account = lambda: account  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=said):
        case.settle()


def test_what_was_settled_and_works_after_all_is_cancelled_at_the_broker(tmp_path: Path) -> None:
    drill, venue = _losing(tmp_path)

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        record = await _lost(drill, venue)
        drill.trader.orders.ask(replace(SETTLE, order_id=record.order.client_order_id))
        await drill.until(lambda: record.state is OrderState.CANCELLED)
        asked = drill.received("asked to cancel")
        venue.lost_orders = False
        venue.connection_count += 1
        await drill.until(lambda: drill.received("asked to cancel") > asked)
        assert any("ended_works" in line for line in drill.lines)
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_an_order_is_settled_while_trading_is_halted(tmp_path: Path) -> None:
    """It comes before the halt is lifted; what the account shows is told where it is refused."""
    drill, venue = _losing(tmp_path)

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        record = await _lost(drill, venue)
        drill.desk.switch.pull(Halt(reason="drill", actor="anna"))
        await drill.until(lambda: drill.is_halted)
        command = replace(SETTLE, order_id=record.order.client_order_id)
        venue.lost_orders = False
        assert "is looked for in the account" in drill.trader.orders.ask(command)
        await drill.until(lambda: any("is not settled" in line for line in drill.lines))
        venue.lost_orders = True
        drill.trader.orders.ask(command)
        await drill.until(lambda: record.state is OrderState.CANCELLED)
        assert drill.is_halted
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_cancels_that_nobody_answers_are_asked_for_ever_more_seldom(tmp_path: Path) -> None:
    """One each ten seconds, for as long as the order stood, filled log and message rate."""
    case = Case(tmp_path)
    desk = case.desk
    for second in range(0, 86_400, 10):
        now_ns = NOW_NS + second * 10**9
        ask_again(book=desk.book, log=desk.log, broker=desk.line, time_ns=now_ns)
    asked = [r.event for r in desk.log.read() if isinstance(r.event, ev.OrderCancelRequested)]
    assert 100 < len(asked) < 200
    assert asked[5].time_ns - NOW_NS < 120 * 10**9


def test_an_order_that_a_gateway_has_lost_is_settled_over_tcp(tmp_path: Path) -> None:
    """The gateway answers that it knows no such order; its three answers do not hold it."""
    with hosted(matches_by_itself=False) as host:
        broker = tcp_ib(host)
        try:
            desk = make_desk(tmp_path, broker)
            desk.release(make_decision("d1", A=0.1))
            (record,) = desk.book.working_orders()
            host.call(lambda g: g.venue.orders.clear())
            desk.cancel(record.order.client_order_id, "drill")
            desk.take_in(broker.heard())
            assert record.state is OrderState.CANCEL_PENDING
            rules = ReconciliationRules(cash_tolerance_minor=int(CASH) * 10**9)
            settle(desk, broker, rules, record.order.client_order_id, actor="anna", reason="lost")
            assert record.state is OrderState.CANCELLED
        finally:
            broker.close()


def _losing(home: Path) -> tuple[Drill, LosingVenue]:
    drill, venue = Drill(home, fills=False), LosingVenue(home / "venue", fills=False)
    drill.venue = drill.desk.broker = drill.desk.line.broker = venue
    drill.trader.broker = drill.trader.account.broker = venue
    return drill, venue


async def _lost(drill: Drill, venue: LosingVenue) -> OrderRecord:
    """Wait for the order of a drill; ask for its cancel, and have the venue lose it."""
    await drill.until(lambda: drill.working == 1)
    (record,) = drill.desk.book.working_orders()
    command = replace(SETTLE, order_id=record.order.client_order_id, settles=False)
    drill.trader.orders.ask(command)
    await drill.until(lambda: record.state is OrderState.CANCEL_PENDING)
    venue.lost_orders = True
    return record
