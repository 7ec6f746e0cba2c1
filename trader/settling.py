"""A person's word that an order which its broker has lost is over, held against the account."""

from swarm_core import events as ev
from swarm_core.order_states import OrderState
from swarm_core.reconciliation import ReconciliationRules, reconcile
from swarm_core.trading_state import TradingState
from trader.desk import TradingDesk
from trader.order_commands import find_working, must_be_cancelled
from trader.ports import LiveBroker


def settle(
    desk: TradingDesk,
    broker: LiveBroker,
    rules: ReconciliationRules,
    order_id: str,
    *,
    actor: str,
    reason: str,
) -> None:
    """Put on record that an order has ended, where the whole account holds nothing of it.

    What it has filled is what is booked. Raises OSError where the account cannot be read in full,
    and ValueError with one line where the account shows the order, or positions differ: then it
    may have filled. A fill that is told later is booked all the same.
    """
    desk.catch_up()
    record = find_working(desk.book, order_id)
    must_be_cancelled(record)
    found_id, account = record.order.client_order_id, broker.account()
    desk.take_in(broker.heard())
    if record.state is not OrderState.CANCEL_PENDING:
        raise ValueError(f"{found_id} has ended by itself: {record.state.value}")
    for shown in account.orders:
        if found_id != shown.client_order_id and record.broker_order_id != shown.broker_order_id:
            continue
        how = "works there" if shown.ending is None else f"is {shown.ending.value} there"
        raise ValueError(f"the broker must not know {found_id} any more, it {how}")
    found = reconcile(desk.book, desk.unretired(account), rules)
    if found.mode is TradingState.HALTED:
        raise ValueError(f"positions must agree before an order is settled: {found.reason}")
    if any(isinstance(e, ev.OrderFilled) and e.client_order_id == found_id for e in found.events):
        raise ValueError(f"the fills of {found_id} must be booked first: start the trader")
    now_ns, decision_id = desk.now_ns(), record.order.decision_id
    instructed = ev.PersonInstructed(
        event_id=ev.make_event_id("PersonInstructed", found_id, actor, desk.book.sequence),
        time_ns=now_ns,
        client_order_id=found_id,
        instruction="settle",
        actor=actor,
        reason=reason,
    )
    ended = ev.OrderCancelled(
        event_id=ev.make_event_id("OrderCancelled", found_id, "settled"),
        time_ns=now_ns,
        causation_id=instructed.event_id,
        correlation_id=decision_id,
        client_order_id=found_id,
        reason=f"settled by {actor}: {reason}; the broker knows it no more",
        filled_lots=record.filled_lots,
    )
    desk.note(instructed, ended)
