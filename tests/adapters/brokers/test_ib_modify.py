"""A working order in other terms under its own id: over the adapter, over TCP, races and deaths."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.brokers.ib import IbBroker
from gateway_simulator.faults import FaultKind
from gateway_simulator.gateway import Gateway
from gateway_simulator.hosting import HostedGateway
from gateway_simulator.orders import Status
from swarm_core import events as ev
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import Order, OrderKind, TimeInForce
from swarm_core.reconciliation import ReconciliationRules, reconcile
from swarm_core.replay import replay
from swarm_core.trading import recover
from swarm_core.trading_state import TradingState
from swarm_core.working_terms import WorkingTerms
from tests.adapters.brokers.test_broker_contract import tcp_ib
from tests.gateway_simulator.gateways import do, fill, hosted, order_of, wait_until
from tests.swarm_core.builders import CASH, make_decision
from tests.trader.desks import make_desk
from trader.desk import TradingDesk
from trader.kill_switch import Halt
from trader.order_commands import OrderCommand, OrderCommands

K = FaultKind


class KilledError(Exception):
    """kill -9: nothing that catches an error may catch it."""


class Racing(IbBroker):
    """An adapter during whose changes something else happens, before and after the wire."""

    def __init__(self, broker: IbBroker) -> None:
        self.__dict__ = broker.__dict__
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None

    def modify(
        self, order: Order, terms: WorkingTerms, number: int, time_ns: int
    ) -> Sequence[ev.Event]:
        self.before()
        told = super().modify(order, terms, number, time_ns)
        self.after()
        return told


class Rig:
    """A desk with a limit order that rests at a gateway which fills only what a test fills."""

    def __init__(self, host: HostedGateway, home: Path) -> None:
        self.host, self.home = host, home
        self.broker = Racing(tcp_ib(host))
        self.desk: TradingDesk = make_desk(home, self.broker)
        (market,) = self.desk.release(make_decision(A=0.1)).orders
        limit = replace(
            market,
            kind=OrderKind.LIMIT,
            time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
            limit_price_ticks=9_900,
            quantity_lots=100,
            slice_index=1,
        )
        self.order_id = limit.client_order_id
        self.until(lambda: self.desk.replace(market.client_order_id, limit))
        self.until(lambda: self.record.state is OrderState.ACCEPTED)

    def until(self, holds: Callable[[], object]) -> None:
        for _ in range(500):
            self.desk.take_in(self.broker.heard())
            if holds():
                return
            time.sleep(0.01)
        raise AssertionError(f"it must hold at last, the order is {self.record}")

    @property
    def record(self) -> OrderRecord:
        return self.desk.book.orders[self.order_id]

    @property
    def terms(self) -> tuple[int, int | None]:
        return self.record.order.quantity_lots, self.record.order.limit_price_ticks

    def changed(self, lots: int | None = None, limit: int | None = None) -> Order:
        old = self.record.order
        return replace(
            old,
            quantity_lots=lots or old.quantity_lots,
            limit_price_ticks=limit or old.limit_price_ticks,
        )

    def change(self, lots: int | None = None, limit: int | None = None) -> bool:
        return self.desk.replace(self.order_id, self.changed(lots, limit))

    def at_gateway(self) -> tuple[Decimal, Decimal | None, Status]:
        def show(gateway: Gateway) -> tuple[Decimal, Decimal | None, Status]:
            order = order_of(gateway, self.order_id)
            return order.quantity, order.limit, order.status

        return self.host.call(show)

    def restart(self) -> None:
        """Open the book again from its log, as a new process does, and recover."""
        self.broker.close()
        self.broker = Racing(tcp_ib(self.host))
        self.desk = make_desk(self.home, self.broker)
        self.recover()

    def recover(self) -> None:
        desk = self.desk
        recover(book=desk.book, log=desk.log, broker=self.broker, time_ns=desk.now_ns())

    def kinds(self) -> list[str]:
        """Return what the log tells of changes, in order."""
        names = (type(r.event).__name__ for r in self.desk.log.read())
        return [name for name in names if name.startswith("OrderModif")]

    def check(self) -> None:
        """The log replays to the bit, and book and account agree."""
        assert replay(self.desk.log.read(), "USD", CASH).first_difference is None
        self.until(lambda: len(self.broker.account().commissions) == self.fill_count())
        found = reconcile(self.desk.book, self.broker.account(), ReconciliationRules())
        assert found.mode is TradingState.ACTIVE, found.reason

    def fill_count(self) -> int:
        return len(self.desk.book.ledger.commissions)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with hosted(matches_by_itself=False) as host:
        rig = Rig(host, tmp_path)
        yield rig
        rig.broker.close()


def test_an_order_works_on_under_its_own_id(rig: Rig) -> None:
    """Quantity and price change; at the gateway it is the same order, and none beside it."""
    received = rig.host.call(lambda g: g.venue.received_count)

    assert rig.change(150, 9_950)

    assert rig.record.state is OrderState.ACCEPTED
    assert rig.terms == (150, 9_950)
    assert rig.at_gateway() == (150, Decimal("99.5"), Status.SUBMITTED)
    assert rig.host.call(lambda g: g.venue.received_count) == received
    assert rig.kinds() == ["OrderModifyRequested", "OrderModified"]
    rig.check()


def test_it_is_changed_again_and_filled_in_its_last_terms(rig: Rig) -> None:
    rig.change(150)
    rig.change(120, 9_910)
    fill(rig.host, rig.order_id)
    rig.until(lambda: rig.record.state is OrderState.FILLED)

    assert (rig.record.filled_lots, rig.record.change_number) == (120, 2)
    assert rig.kinds() == ["OrderModifyRequested", "OrderModified"] * 2
    rig.check()


def test_what_the_gate_denies_is_never_sent(rig: Rig) -> None:
    """Limits hold for the new values: the order stands as it was, and the log says why."""
    assert not rig.change(10_000_000)
    assert not rig.change(limit=20_000)

    assert rig.terms == (100, 9_900)
    assert rig.at_gateway()[:2] == (100, Decimal(99))
    assert rig.kinds() == ["OrderModifyDenied"] * 2
    assert rig.record.state is OrderState.ACCEPTED
    rig.check()


def test_what_has_filled_counts_in_what_is_approved(rig: Rig) -> None:
    """The changed order is measured as a whole once, not its filled part twice."""
    nav = rig.desk.book.ledger.find_nav_minor() or 0
    share = 100 * 10_000 * 10**6 / nav  # what 100 lots at 100 are of NAV
    rig.desk.limits = replace(rig.desk.limits, position_fraction_max=share * 1.5)
    fill(rig.host, rig.order_id, 60)
    rig.until(lambda: rig.record.filled_lots == 60)

    assert rig.change(140)
    assert not rig.change(160)

    assert rig.terms == (140, 9_900)
    rig.check()


def test_an_account_that_halts_changes_nothing(rig: Rig) -> None:
    rig.desk.halt(Halt(reason="a drill", actor="a person"))
    rig.until(lambda: rig.record.state is OrderState.CANCELLED)

    assert rig.kinds() == []


def test_a_pulled_switch_keeps_a_change_back(rig: Rig) -> None:
    """The switch is pulled after the gate: the change does not leave."""
    rig.desk.switch.pull(Halt(reason="a drill", actor="a person"))

    rig.change(150)

    assert rig.terms == (100, 9_900)
    assert rig.at_gateway()[0] == 100
    assert rig.kinds() == ["OrderModifyRequested", "OrderModifyRejected"]


def test_a_fill_comes_before_the_change(rig: Rig) -> None:
    rig.broker.before = lambda: fill(rig.host, rig.order_id, 60)

    rig.change(150)

    rig.until(lambda: rig.record.filled_lots == 60)
    assert rig.record.state is OrderState.PARTIALLY_FILLED
    assert rig.terms == (150, 9_900)
    rig.check()


def test_the_last_fill_comes_before_the_change(rig: Rig) -> None:
    """Nothing is left to change: the order is filled in its old terms."""
    rig.broker.before = lambda: fill(rig.host, rig.order_id)

    rig.change(150)

    rig.until(lambda: rig.record.state is OrderState.FILLED)
    assert (rig.record.filled_lots, *rig.terms) == (100, 100, 9_900)
    assert rig.kinds() == ["OrderModifyRequested", "OrderModifyRejected"]
    rig.check()


def test_the_change_is_filled_before_it_is_answered(rig: Rig) -> None:
    rig.broker.after = lambda: fill(rig.host, rig.order_id)

    rig.change(150)

    rig.until(lambda: rig.record.state is OrderState.FILLED)
    assert rig.record.filled_lots == 150
    rig.check()


def test_more_has_filled_than_the_change_would_leave(rig: Rig) -> None:
    """The broker refuses it: the order stands as it was, works on, and can be cancelled."""
    rig.broker.before = lambda: fill(rig.host, rig.order_id, 60)

    rig.change(50)

    rig.until(lambda: rig.record.filled_lots == 60)
    assert rig.record.state is OrderState.PARTIALLY_FILLED
    assert rig.terms == (100, 9_900)
    assert rig.kinds() == ["OrderModifyRequested", "OrderModifyRejected"]
    rig.check()
    rig.desk.cancel(rig.order_id, "a drill")
    rig.until(lambda: rig.record.state is OrderState.CANCELLED)
    assert rig.at_gateway()[2] is Status.CANCELLED


def test_a_rejected_change_leaves_the_order_as_it_was(rig: Rig) -> None:
    """201 about a change is not the end of the order, though the client takes it for dead."""
    do(rig.host, K.REJECT, reason="no more shares to be had")

    rig.change(150)

    assert rig.record.state is OrderState.ACCEPTED
    assert rig.terms == (100, 9_900)
    (told,) = [r.event for r in rig.desk.log.read() if isinstance(r.event, ev.OrderModifyRejected)]
    assert "no more shares" in told.reason
    rig.check()
    assert rig.change(120)
    assert rig.terms == (120, 9_900)
    rig.desk.cancel(rig.order_id, "a drill")
    rig.until(lambda: rig.record.state is OrderState.CANCELLED)


def die() -> None:
    raise KilledError


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_dies_around_the_wire_knows_its_terms_again(rig: Rig, when: str) -> None:
    """The request is on disk first; what became of it is asked of the broker, and never guessed."""
    setattr(rig.broker, when, die)
    with pytest.raises(KilledError):
        rig.change(150)

    rig.restart()

    taken = when == "after"
    assert rig.record.state is OrderState.ACCEPTED
    assert rig.terms == (150 if taken else 100, 9_900)
    assert rig.at_gateway()[0] == rig.record.order.quantity_lots
    last = "OrderModified" if taken else "OrderModifyRejected"
    assert rig.kinds() == ["OrderModifyRequested", last]
    rig.check()


@pytest.mark.parametrize("lots", [60, 150], ids=["less", "more"])
def test_all_has_filled_before_a_dead_process_comes_back(rig: Rig, lots: int) -> None:
    rig.broker.after = die
    with pytest.raises(KilledError):
        rig.change(lots)
    fill(rig.host, rig.order_id)

    rig.restart()

    rig.until(lambda: rig.record.state is OrderState.FILLED)
    assert (rig.record.filled_lots, rig.terms[0]) == (lots, lots)
    rig.check()


@pytest.mark.parametrize("kind", [K.LOSE_ORDER, K.DROP_BEFORE_ACK], ids=["lost", "unanswered"])
def test_a_connection_breaks_around_a_change(rig: Rig, kind: FaultKind) -> None:
    """Until it is known, the order counts in its larger terms; then it is as the broker says."""
    do(rig.host, kind, at="place_order")

    rig.change(150)

    assert rig.record.state is OrderState.MODIFY_PENDING
    assert rig.record.open_lots == 150
    wait_until(lambda: rig.broker.is_connected)
    rig.until(lambda: (rig.recover(), rig.record.state is OrderState.ACCEPTED)[1])
    taken = kind is K.DROP_BEFORE_ACK
    assert rig.terms[0] == rig.at_gateway()[0] == (150 if taken else 100)
    rig.check()


def test_an_order_whose_change_is_open_is_cancelled(rig: Rig) -> None:
    do(rig.host, K.LOSE_ORDER, at="place_order")
    rig.change(150)
    wait_until(lambda: rig.broker.is_connected)

    rig.desk.cancel(rig.order_id, "a drill")

    rig.until(lambda: rig.record.state is OrderState.CANCELLED)
    assert rig.at_gateway()[2] is Status.CANCELLED
    rig.check()


def test_a_person_changes_an_order_under_its_own_id(rig: Rig) -> None:
    """`apiary orders replace` asks once; the name and the reason stand in the log."""
    commands = OrderCommands(rig.desk)
    command = OrderCommand(
        order_id=rig.order_id,
        actor="anna",
        reason="too large",
        replaces=True,
        quantity=Decimal(40),
        limit=Decimal("99.5"),
    )

    assert "under its own id" in commands.ask(command)
    commands.act()
    end = rig.desk.book.sequence
    commands.act()

    assert rig.terms == (40, 9_950)
    assert rig.desk.book.sequence == end
    assert rig.at_gateway()[:2] == (40, Decimal("99.5"))
    rig.check()
