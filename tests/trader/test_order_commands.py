"""A person cancels or replaces one order of a running trader, by name and with a reason."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from swarm_core import events as ev
from swarm_core.order_states import OrderState
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.sizing_settings import ExitSettings, SizingSettings
from tests.adapters.brokers.test_broker_contract import tcp_ib
from tests.gateway_simulator.gateways import hosted
from tests.swarm_core.builders import A, make_decision
from tests.trader.desks import make_desk
from trader.desk import TradingDesk
from trader.kill_switch import Halt
from trader.order_commands import OrderCommand, OrderCommands


def make_command(order_id: str, **fields: object) -> OrderCommand:
    values: dict[str, object] = {"actor": "anna", "reason": "too large", **fields}
    return OrderCommand(order_id=order_id, **values)  # type: ignore[arg-type]  # a builder


def released(desk: TradingDesk) -> str:
    (order,) = desk.release(make_decision(A=0.1)).orders
    return order.client_order_id


def test_a_cancel_is_done_at_the_next_beat_and_stands_in_the_log(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    order_id, commands = released(desk), OrderCommands(desk)

    assert order_id in commands.ask(make_command(order_id[:8]))
    assert desk.book.orders[order_id].state is OrderState.ACCEPTED
    commands.act()

    assert desk.book.orders[order_id].state is OrderState.CANCELLED
    told = [r.event for r in desk.log.read()]
    (asked,) = [e for e in told if isinstance(e, ev.PersonInstructed)]
    (request,) = [e for e in told if isinstance(e, ev.OrderCancelRequested)]
    assert (asked.actor, asked.reason, asked.instruction) == ("anna", "too large", "cancel")
    assert request.reason == "by anna: too large"


def test_what_is_said_twice_under_one_id_is_taken_in_the_first_words(tmp_path: Path) -> None:
    """A broker that is asked again may tell one end at two times: that halted the trader."""
    desk = make_desk(tmp_path)
    order_id = released(desk)
    told = ev.OrderCancelled(event_id="end", time_ns=1, client_order_id=order_id, reason="once")
    assert desk.take_in([told, replace(told, time_ns=2), replace(told, reason="twice")]) == 1
    assert desk.book.orders[order_id].state is OrderState.CANCELLED
    *_, last = desk.log.read()
    assert last.event == told


def test_a_replacement_takes_what_is_asked_and_keeps_the_rest(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    order_id, commands = released(desk), OrderCommands(desk)
    command = make_command(order_id, replaces=True, quantity=Decimal(400))

    told = commands.ask(command)
    commands.act()
    commands.act()

    (new,) = desk.book.working_orders()
    assert new.order.client_order_id in told
    assert (new.order.quantity_lots, new.order.side) == (400, desk.book.orders[order_id].order.side)
    assert desk.book.orders[order_id].state is OrderState.REPLACED


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"replaces": True}, "must be given to replace"),
        ({"quantity": Decimal(1)}, "and only then"),
        ({"replaces": True, "limit": Decimal(-1)}, "must be positive"),
        ({"actor": " "}, "actor of a command must be given"),
    ],
)
def test_a_command_that_does_not_hold_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_command("A1", **fields)


def test_what_does_not_fit_the_order_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    order_id, commands = released(desk), OrderCommands(desk)
    sequence = desk.book.sequence
    for command, said in (
        (make_command("A0"), "must be one of those that work"),
        (make_command(order_id, replaces=True, limit=Decimal(90)), "must be given no limit"),
        (make_command(order_id, replaces=True, quantity=Decimal("1.5")), "must be whole lots"),
    ):
        with pytest.raises(ValueError, match=said):
            commands.ask(command)
    commands.act()
    assert desk.book.sequence == sequence


def waiting_replacement(home: Path) -> tuple[TradingDesk, OrderCommands, str]:
    """Return a desk on which a replacement waits for a cancel that is not answered."""
    desk = make_desk(home)
    order_id, commands = released(desk), OrderCommands(desk)
    desk.broker.cancel = lambda *_: ()  # type: ignore[method-assign]
    commands.ask(make_command(order_id, replaces=True, quantity=Decimal(400)))
    commands.act()
    assert desk.book.orders[order_id].state is OrderState.CANCEL_PENDING
    cancelled = ev.OrderCancelled(
        event_id="late", time_ns=1, client_order_id=order_id, reason="answered at last"
    )
    desk.note(cancelled)
    return desk, commands, order_id


def test_a_replacement_that_waits_is_dropped_by_a_halt(tmp_path: Path) -> None:
    """The halt has cancelled the order: nothing of it is sent when the halt is lifted."""
    desk, commands, _ = waiting_replacement(tmp_path)
    desk.switch.pull(Halt(reason="drill", actor="anna"))
    commands.act(is_free=False)
    desk.switch.reset()
    commands.act()
    assert len(desk.book.orders) == 1


def test_a_replacement_whose_order_has_left_memory_is_dropped(tmp_path: Path) -> None:
    """The trader failed on it, and was halted, at each beat until it was started again."""
    desk, commands, order_id = waiting_replacement(tmp_path)
    commands.act(is_free=False)
    desk.note(
        ev.DecisionsRetired(
            event_id="r", time_ns=2, decision_ids=(desk.book.orders[order_id].order.decision_id,)
        )
    )
    commands.act()
    assert not desk.book.orders


def test_an_order_of_a_bracket_is_cancelled_and_not_replaced(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    exits = ExitSettings(take_profit_fraction=0.1, stop_loss_fraction=0.1)
    desk.sizing = SizingSettings(exits=exits)
    entry, profit, _ = desk.release(make_decision(A=0.1)).orders
    commands = OrderCommands(desk)
    for order in (entry, profit):
        asked = make_command(order.client_order_id, replaces=True, quantity=Decimal(5))
        with pytest.raises(ValueError, match="must be cancelled"):
            commands.ask(asked)
    commands.ask(make_command(entry.client_order_id))
    commands.act()
    assert not desk.book.working_orders()


def test_a_replacement_keeps_the_id_of_an_order_where_the_broker_changes_it(
    tmp_path: Path,
) -> None:
    """Over TCP the order is changed at the gateway: there is never a second one beside it."""
    with hosted(matches_by_itself=False) as host:
        broker = tcp_ib(host)
        try:
            desk = make_desk(tmp_path, broker)
            desk.sizing = SizingSettings(
                kind=OrderKind.MARKET, time_in_force=TimeInForce.GOOD_TILL_CANCELLED
            )
            order_id, commands = released(desk), OrderCommands(desk)

            told = commands.ask(make_command(order_id, replaces=True, quantity=Decimal(400)))
            commands.act()

            assert "under its own id" in told
            working = host.call(lambda g: [(o.ref, int(o.quantity)) for o in g.venue.orders])
            assert working == [(order_id, 400)]
            assert desk.book.orders[order_id].order.quantity_lots == 400
            assert desk.book.lots(A) == 0
        finally:
            broker.close()
