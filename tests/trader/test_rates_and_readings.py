"""What the account is asked for beside its regular readings: rates, and what the broker asks."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from swarm_core import events as ev
from swarm_core.broker_account import BrokerAccount, ToldRate
from swarm_core.instruments import to_minor
from swarm_core.order_states import OrderState
from swarm_core.ports import OutOfReachError
from swarm_core.replay import replay
from tests.swarm_core.builders import CASH, NOW_NS
from tests.trader.drills import Drill

FEE = ev.CashMoved(
    event_id="fee", time_ns=NOW_NS, currency="EUR", amount_minor=to_minor(-2), reason="a fee"
)


def test_nothing_leaves_until_what_is_owed_can_be_valued(tmp_path: Path) -> None:
    """Every order of the decision was denied for good, as its book had no value."""
    drill, rates = Drill(tmp_path), dict[str, ToldRate]()
    read = drill.venue.account

    def account() -> BrokerAccount:
        return replace(read(), rates=dict(rates))

    drill.venue.account = account  # type: ignore[method-assign]
    drill.desk.note(FEE)

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: "rate of EUR" in str(drill.trader.health()["held_back"]))
        await drill.rest()
        assert (drill.received("order"), drill.is_halted) == (0, False)
        rates.update(USD=ToldRate(Decimal(1), NOW_NS), EUR=ToldRate(Decimal("1.1"), NOW_NS))
        drill.venue.readings_asked += 1
        await drill.until(lambda: drill.lots == 999)  # a tenth of a little less
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))

    book = drill.desk.book
    assert book.ledger.rates["EUR"] == Decimal("1.1")
    assert not any(r.state is OrderState.DENIED for r in book.orders.values())
    replayed = replay(drill.desk.log.read(0), "USD", CASH)
    assert replayed.first_difference is None


def test_the_account_is_read_when_the_broker_asks_for_it(tmp_path: Path) -> None:
    """Another hand has changed an order: the next regular reading is an hour away."""
    drill, read = Drill(tmp_path), list[int]()
    account = drill.venue.account

    def counted() -> BrokerAccount:
        read.append(drill.trader.beat_count)
        return account()

    drill.venue.account = counted  # type: ignore[method-assign]

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.lots == 1_000)
        await drill.rest()
        count = len(read)
        drill.venue.readings_asked += 1
        await drill.until(lambda: len(read) > count)
        await drill.rest()
        assert len(read) == count + 1
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_an_order_that_only_a_person_can_cancel_is_named(tmp_path: Path) -> None:
    """It stayed in cancel_pending outside a halt, and nobody was told why."""
    drill = Drill(tmp_path, fills=False)

    def cancel(order_id: str, time_ns: int) -> tuple[ev.Event, ...]:
        raise OutOfReachError("client 7 has placed it")

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.working == 1)
        assert drill.trader.health()["out_of_reach"] == []
        drill.venue.cancel = cancel  # type: ignore[method-assign]
        (record,) = drill.desk.book.working_orders()
        drill.desk.cancel(record.order.client_order_id, "a person asks")
        line = f"{record.order.client_order_id} must be cancelled by hand: client 7 has placed it"
        assert drill.trader.health()["out_of_reach"] == [line]
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))
