"""Replacing an order that works: never both at once, only what is left, and through the gate."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.order_states import OrderState
from swarm_core.orders import Order, OrderKind, TimeInForce
from swarm_core.replay import replay
from tests.swarm_core.builders import CASH, INSTRUMENTS, A, B, make_decision
from tests.trader.desks import make_desk
from trader.desk import TradingDesk
from trader.kill_switch import Halt


def working(desk: TradingDesk) -> tuple[str, Order]:
    """Release an order, and return its id and one to put in its place: a limit, half as large."""
    (old,) = desk.release(make_decision(A=0.1)).orders
    new = replace(
        old,
        kind=OrderKind.LIMIT,
        time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
        limit_price_ticks=9_900,
        quantity_lots=old.quantity_lots // 2,
        slice_index=1,
    )
    return old.client_order_id, new


def states(desk: TradingDesk, *order_ids: str) -> list[OrderState]:
    return [desk.book.orders[i].state for i in order_ids]


def test_a_working_order_is_replaced_by_another(tmp_path: Path) -> None:
    """The old one ends as replaced, the new one works; asked again, nothing more happens."""
    desk = make_desk(tmp_path)
    old_id, new = working(desk)

    assert desk.replace(old_id, new)
    events = desk.book.sequence
    assert desk.replace(old_id, new)

    ids = (old_id, new.client_order_id)
    assert states(desk, *ids) == [OrderState.REPLACED, OrderState.ACCEPTED]
    assert isinstance(desk.broker, SimulatedBroker)
    assert desk.broker.working_order_ids() == (new.client_order_id,)
    assert desk.book.sequence == events
    assert replay(desk.log.read(), "USD", CASH).first_difference is None


def test_what_was_filled_meanwhile_is_not_ordered_again(tmp_path: Path) -> None:
    """The new order is for what the old one left of it."""

    class Filling(SimulatedBroker):
        def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
            order = desk.book.orders[client_order_id].order
            fill = ev.OrderFilled(
                event_id="f",
                time_ns=time_ns,
                client_order_id=client_order_id,
                execution_id="f1",
                instrument_id=order.instrument_id,
                side=order.side,
                lots=7,
                price_ticks=10_000,
                lot_tick_minor=10**6,
                currency="USD",
                commission_minor=0,
            )
            return [fill, *super().cancel(client_order_id, time_ns)]

    desk = make_desk(tmp_path, Filling(INSTRUMENTS))
    old_id, new = working(desk)

    desk.replace(old_id, new)

    placed = desk.book.orders[new.client_order_id].order
    assert placed.quantity_lots == new.quantity_lots - 7


def test_until_the_cancel_is_answered_the_new_one_waits(tmp_path: Path) -> None:
    """A process that dies between the two goes on from the log."""

    class Silent(SimulatedBroker):
        away = True

        def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
            if self.away:
                raise ConnectionResetError("no answer")
            return super().cancel(client_order_id, time_ns)

    broker = Silent(INSTRUMENTS)
    desk = make_desk(tmp_path, broker)
    old_id, new = working(desk)

    assert not desk.replace(old_id, new)
    assert states(desk, old_id) == [OrderState.CANCEL_PENDING]
    assert new.client_order_id not in desk.book.orders
    broker.away = False
    desk = make_desk(tmp_path, broker)
    desk.take_in(broker.cancel(old_id, desk.now_ns()))

    assert desk.replace(old_id, new)


def test_the_new_one_passes_the_gate_like_any_other(tmp_path: Path) -> None:
    """While trading is halted the old order is cancelled and nothing takes its place."""
    desk = make_desk(tmp_path)
    old_id, new = working(desk)
    desk.halt(Halt(reason="drill", actor="anna"))

    assert not desk.replace(old_id, new)
    assert states(desk, new.client_order_id) == [OrderState.DENIED]


def test_another_instrument_is_no_replacement(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    old_id, new = working(desk)

    with pytest.raises(ValueError, match=r"must be replaced by one of US\.A, buy, was US\.B"):
        desk.replace(old_id, replace(new, instrument_id=B))
    with pytest.raises(ValueError, match="must be in the log"):
        desk.replace("A0", new)
    assert A in {r.order.instrument_id for r in desk.book.working_orders()}
