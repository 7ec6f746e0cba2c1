"""An order that nobody answers on an unbroken connection is looked up, and not left for ever."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import Order
from tests.trader.drills import Drill
from tests.trader.venue import FileVenue
from trader.account_keeper import CHANGES_NS, UNANSWERED_NS
from trader.order_commands import OrderCommand


class SilentDrill(Drill):
    """A trader whose first order is not answered; the connection stands all the time."""

    def __init__(self, home: Path, *, arrives: bool, raises: bool) -> None:
        super().__init__(home)
        self.submit, self.arrives, self.raises = self.venue.submit, arrives, raises
        self.venue.submit = self.swallow  # type: ignore[method-assign]
        self.trader.settings = replace(self.trader.settings, feed_silence_s_max=86_400)

    def swallow(self, order: Order, time_ns: int):
        self.venue.submit = self.submit  # type: ignore[method-assign]
        if self.arrives:
            self.submit(order, time_ns)
            self.venue._unheard.clear()
        if self.raises:
            raise TimeoutError("the broker does not answer")
        return ()

    @property
    def record(self) -> OrderRecord:
        (record,) = self.desk.book.orders.values()
        return record

    def later(self, ns: int) -> None:
        self.desk.now_ns.ns += ns  # type: ignore[attr-defined]  # a clock that a test sets


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("arrives", [True, False])
def test_an_order_without_an_answer_is_looked_up_after_a_minute(
    tmp_path: Path, arrives: bool, raises: bool
) -> None:
    """What has arrived is taken in; what has not is no longer counted as open, nor sent late."""
    drill = SilentDrill(tmp_path, arrives=arrives, raises=raises)
    asked = OrderState.UNKNOWN if raises else OrderState.SUBMITTED

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: bool(drill.desk.book.orders) and drill.record.state is asked)
        await drill.rest()
        drill.later(UNANSWERED_NS - 1)
        await drill.rest()
        assert drill.record.state is asked
        drill.later(2)
        wanted = OrderState.FILLED if arrives else OrderState.APPROVED
        await drill.until(lambda: drill.record.state is wanted)
        await drill.rest()
        assert drill.working == 0
        assert drill.received("order") == int(arrives)
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_a_broker_that_goes_on_not_answering_is_asked_once_a_minute(tmp_path: Path) -> None:
    """Nothing more is written meanwhile, and the order is counted as open."""
    drill = SilentDrill(tmp_path, arrives=True, raises=True)
    asked = list[str]()

    def find(client_order_id: str):
        asked.append(client_order_id)
        raise TimeoutError("the broker does not answer")

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: bool(drill.desk.book.orders) and drill.record.is_unanswered)
        drill.venue.unreadable = True
        find_at_last, drill.venue.find = drill.venue.find, find  # type: ignore[method-assign]
        for count in (1, 2, 3):
            drill.later(UNANSWERED_NS + 1)
            await drill.until(lambda count=count: len(asked) == count)
            await drill.rest()
            assert len(asked) == count
        assert drill.record.state is OrderState.UNKNOWN
        assert drill.working == 1
        drill.venue.find = find_at_last  # type: ignore[method-assign]
        drill.later(UNANSWERED_NS + 1)
        await drill.until(lambda: drill.record.state is OrderState.FILLED)
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))


class ChangingVenue(FileVenue):
    """Takes changes and says nothing about them, and nothing of where the orders are."""

    asked = 0

    def modify(self, *_: object):
        return ()

    def find_terms(self, order: Order):
        raise TimeoutError("the broker does not answer")

    def find(self, client_order_id: str):
        self.asked += 1
        return


def test_a_change_that_nobody_answers_is_asked_about_every_ten_seconds(tmp_path: Path) -> None:
    """It was at each beat, for as long as the gateway did not know the order."""
    venue = ChangingVenue(tmp_path / "venue", fills=False)
    drill = Drill(tmp_path, fills=False)
    drill.venue = drill.desk.broker = drill.desk.line.broker = venue
    drill.trader.broker = drill.trader.account.broker = venue
    drill.trader.settings = replace(drill.trader.settings, feed_silence_s_max=86_400)

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.working == 1)
        (record,) = drill.desk.book.working_orders()
        command = OrderCommand(
            order_id=record.order.client_order_id,
            actor="anna",
            reason="less",
            replaces=True,
            quantity=Decimal(400),
        )
        drill.trader.orders.ask(command)
        await drill.until(lambda: record.state is OrderState.MODIFY_PENDING)
        for count in (1, 2, 3):
            drill.desk.now_ns.ns += CHANGES_NS + 1  # type: ignore[attr-defined]
            await drill.until(lambda count=count: venue.asked == count)
            await drill.rest()
            assert venue.asked == count
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))
    assert drill.desk.switch.find() is None
