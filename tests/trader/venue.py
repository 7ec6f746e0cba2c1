"""A venue whose memory is a file: it outlives the trading process, as a real one does."""

import json
from collections.abc import Sequence
from pathlib import Path

from swarm_core import events as ev
from swarm_core.broker_account import BrokerAccount, BrokerOrder
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from tests.swarm_core.builders import NOW_NS, make_fill


class FileVenue:
    """Fills each order in two halves at 100; what it says reaches only who is listening.

    Orders that arrive are lines of a file, so an order that was sent twice is there twice.
    """

    is_thread_safe = True

    def __init__(self, path: Path, *, fills: bool = True) -> None:
        self.path, self.fills = path, fills
        self.filled_orders = 2**31  # so many are filled, those that come after work
        self.connection_count, self.readings_asked, self.is_connected = 1, 0, True
        self.unreadable = self.lost = False
        self.refusal = ""  # why it is given up for good
        self._unheard: list[ev.Event] = []
        self.path.touch()

    def received(self) -> list[tuple[str, str]]:
        """Return (what, client order id) of all that arrived, in order."""
        return [tuple(json.loads(line)[:2]) for line in self.path.read_text().splitlines()]

    def orders(self) -> dict[str, Order]:
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        orders: dict[str, Order] = {}
        for what, order_id, body in lines:
            if what == "order":
                event = ev.decode(body.encode())
                assert isinstance(event, ev.OrderIntended)
                orders[order_id] = event.order
        return orders

    def _arrives(self, what: str, order_id: str, body: str = "") -> None:
        with self.path.open("a") as file:
            file.write(json.dumps([what, order_id, body]) + "\n")

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        if self.lost:
            raise ConnectionResetError("the venue is away")
        order_id = order.client_order_id
        intended = ev.OrderIntended(event_id=order_id, time_ns=time_ns, order=order)
        self._arrives("order", order_id, ev.encode(intended).decode())
        story = self._story(order)
        self._unheard += story[1:]
        return story[:1]

    def submit_together(self, orders: Sequence[Order], time_ns: int) -> Sequence[ev.Event]:
        """Take them one after the other: the process may die in between."""
        return [event for order in orders for event in self.submit(order, time_ns)]

    def _story(self, order: Order) -> list[ev.Event]:
        order_id = order.client_order_id
        accepted = ev.OrderAccepted(
            event_id=ev.make_event_id("OrderAccepted", order_id),
            time_ns=NOW_NS,
            client_order_id=order_id,
            broker_order_id=f"V{order_id}",
        )
        return [accepted, *self._fills(order)]

    def _fills(self, order: Order) -> list[ev.OrderFilled]:
        known = list(self.orders())
        place = known.index(order.client_order_id) if order.client_order_id in known else len(known)
        if (
            not self.fills or order.is_exit or place >= self.filled_orders
        ):  # no exit is reached here
            return []
        half = order.quantity_lots // 2
        return [
            make_fill(order, half, number=1),
            make_fill(order, order.quantity_lots - half, number=2),
        ]

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        order = self.orders().get(client_order_id)
        return None if order is None else self._story(order)

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
        self._arrives("cancel", client_order_id)
        return (
            ev.OrderCancelled(
                event_id=ev.make_event_id("OrderCancelled", client_order_id),
                time_ns=time_ns,
                client_order_id=client_order_id,
                reason="asked for",
            ),
        )

    def cancel_everything(self) -> None:
        for order_id in self.orders():
            self._arrives("cancel", order_id)

    def heard(self) -> Sequence[ev.Event]:
        said, self._unheard = self._unheard, []
        return said

    def account(self) -> BrokerAccount:
        if self.unreadable:
            raise ConnectionResetError("completed orders were not read to their end")
        orders = self.orders()
        cancelled = {i for what, i in self.received() if what == "cancel"}
        fills = [fill for order in orders.values() for fill in self._fills(order)]
        lots: dict[str, int] = {}
        for fill in fills:
            lots[fill.instrument_id] = lots.get(fill.instrument_id, 0) + fill.side.sign * fill.lots
        return BrokerAccount(
            time_ns=NOW_NS,
            orders=tuple(
                BrokerOrder(
                    broker_order_id=f"V{order_id}",
                    client_order_id=order_id,
                    instrument_id=order.instrument_id,
                    ending=OrderState.FILLED
                    if self._fills(order)
                    else OrderState.CANCELLED
                    if order_id in cancelled
                    else None,
                )
                for order_id, order in orders.items()
            ),
            fills=tuple(fills),
            position_lots=lots,
        )
