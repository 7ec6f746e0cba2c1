"""A halt that flattens closes what it could not close at first, and nothing twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from swarm_core import events as ev
from swarm_core.halting import reset_throttle
from swarm_core.market import Bar, Quote
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import OrderSide
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import NOW_NS, A, B, make_fill, make_order, make_quote
from tests.trader.desks import make_desk
from tests.trader.drills import Drill
from tests.trader.sessions import ListFeed
from trader.account_keeper import UNANSWERED_NS
from trader.closing import cancelled_by
from trader.flattening import Flattening
from trader.kill_switch import Halt

FLATTEN = Halt(reason="a drill", actor="anna", flatten=True)


class FlattenDrill(Drill):
    """A trader that holds a thousand of A, and is halted with --flatten."""

    @property
    def orders(self) -> int:
        return self.received("order")

    async def play(self, in_the_middle: Callable[[], None], then: Callable[[], None]) -> None:
        task = asyncio.create_task(self.trader.run())
        await self.until(lambda: self.lots == 1_000)
        in_the_middle()
        self.desk.switch.pull(FLATTEN)
        await self.until(lambda: self.is_halted)
        await self.rest()
        then()
        await self.until(lambda: self.lots == 0)
        await self.rest()
        assert self.is_halted
        await self.end(task)


def test_what_had_no_quote_is_closed_when_it_is_quoted(tmp_path: Path) -> None:
    drill = FlattenDrill(tmp_path)
    quotes = dict[str, object]()

    def lose() -> None:
        quotes.update(drill.desk.quotes)
        drill.desk.quotes.clear()

    def find() -> None:
        assert (drill.lots, drill.orders) == (1_000, 1)
        drill.desk.quotes.update(quotes)  # type: ignore[arg-type]  # they came from there

    asyncio.run(asyncio.wait_for(drill.play(lose, find), 60))

    assert drill.orders == 2


def test_a_fill_that_is_told_after_the_flattening_is_closed(tmp_path: Path) -> None:
    """The cancelled order had filled a little more: that is closed by an order of its own."""
    drill = FlattenDrill(tmp_path)

    def late() -> None:
        assert (drill.lots, drill.orders) == (0, 2)
        first = next(iter(drill.venue.orders().values()))
        drill.venue._unheard.append(make_fill(first, 7, number=3))

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.lots == 1_000)
        drill.desk.switch.pull(FLATTEN)
        await drill.until(lambda: drill.is_halted and drill.lots == 0)
        late()
        await drill.until(lambda: drill.orders == 3)
        await drill.until(lambda: drill.lots == 0)
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))

    assert drill.is_halted


def test_what_was_held_while_the_broker_was_away_is_closed_when_it_is_back(
    tmp_path: Path,
) -> None:
    drill = FlattenDrill(tmp_path)

    def back() -> None:
        assert (drill.lots, drill.orders) == (1_000, 1)
        drill.venue.is_connected, drill.venue.lost = True, False
        drill.venue.connection_count += 1

    def away() -> None:
        drill.venue.is_connected, drill.venue.lost = False, True

    asyncio.run(asyncio.wait_for(drill.play(away, back), 60))

    assert drill.lots == 0


class Holding:
    """A flattened desk that holds A and B: A is throttled, the order that closes B works."""

    def __init__(self, home: Path) -> None:
        self.desk = make_desk(home)
        self.desk.note(*(make_fill(make_order(i, 100)) for i in (A, B)))
        self.desk.book.throttled.add(A)
        self.left = Flattening(self.desk, SimpleNamespace(is_connected=True, connection_count=1))  # type: ignore[arg-type]  # all that it asks
        self.desk.halt(FLATTEN)
        self.left.note()

    def closing(self) -> OrderRecord:
        (record,) = self.desk.book.working_orders()
        assert record.order.instrument_id == B
        return record


def test_what_is_closed_later_leaves_the_closing_orders_of_others_alone(tmp_path: Path) -> None:
    """The throttle of A is reset: B's order was cancelled for it, and sent anew."""
    holding = Holding(tmp_path)
    desk, closing = holding.desk, holding.closing()
    reset_throttle(A, book=desk.book, log=desk.log, actor="anna", reason="seen", time_ns=NOW_NS)

    desk.halt(FLATTEN)

    assert {r.order.instrument_id: r.state for r in desk.book.working_orders()} == {
        A: OrderState.ACCEPTED,
        B: closing.state,
    }
    assert closing.state is OrderState.ACCEPTED


def test_a_restart_goes_on_with_the_closing_order_that_works(tmp_path: Path) -> None:
    """kill -9 while it flattens: the order that closes B was cancelled, and sent anew."""
    before = Holding(tmp_path)
    closing = before.closing()
    before.desk.note(make_fill(closing.order, 30, number=2))

    desk = make_desk(tmp_path, before.desk.broker)
    desk.book.throttled.add(A)
    halt = desk.switch.find()
    assert halt == FLATTEN
    sequence = desk.book.sequence
    desk.halt(halt)

    (record,) = desk.book.working_orders()
    assert record.order == closing.order
    assert (record.state, record.open_lots) == (OrderState.PARTIALLY_FILLED, 70)
    news = [r.event for r in desk.log.read(sequence)]
    assert not [e for e in news if isinstance(e, ev.OrderCancelRequested | ev.OrderSubmitted)]
    assert desk.book.trading_state is TradingState.HALTED


@pytest.mark.parametrize("spoil", ["halt", "less", "cancelled", "other"])
def test_what_does_not_flatten_any_more_is_cancelled(tmp_path: Path, spoil: str) -> None:
    """A halt that does not flatten, less held than it closes, its cancel under way, another."""
    holding = Holding(tmp_path)
    desk, order = holding.desk, holding.closing().order
    halt = FLATTEN
    if spoil == "halt":
        desk.switch.reset()
        halt = replace(FLATTEN, flatten=False)
    elif spoil == "less":
        desk.note(make_fill(make_order(B, 40, OrderSide.SELL, decision_id="by hand"), number=2))
    elif spoil == "cancelled":
        desk.note(
            ev.OrderCancelRequested(
                event_id="c", time_ns=NOW_NS, client_order_id=order.client_order_id, reason="drill"
            )
        )
    else:
        order = make_order(B, 100, OrderSide.SELL, decision_id="flat")
        assert cancelled_by(halt, desk.book)(order)
    desk.now_ns.ns += 11 * 10**9  # type: ignore[attr-defined]  # no duplicate of the one before
    desk.halt(halt)

    ended = desk.book.orders.get(order.client_order_id)
    assert ended is None or ended.state is OrderState.CANCELLED
    held = sum(r.open_lots for r in desk.book.working_orders() if r.order.instrument_id == B)
    assert held == {"halt": 0, "less": 60, "cancelled": 100, "other": 100}[spoil]


def test_a_trader_that_leaves_lets_the_flattening_go_on(tmp_path: Path) -> None:
    """TERM in the middle of it left the position open, with nothing that closes it."""
    holding = Holding(tmp_path)
    closing = holding.closing()
    holding.desk.withdraw("the trader leaves")
    assert holding.closing() is closing


def test_a_killed_trader_flattens_on_with_the_same_order(tmp_path: Path) -> None:
    """Through the whole start of a trader, at a venue whose memory outlives it."""
    first = FlattenDrill(tmp_path)

    async def die(drill: FlattenDrill) -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.lots == 1_000)
        drill.venue.filled_orders = 1  # the closing order works
        drill.desk.switch.pull(FLATTEN)
        await drill.until(lambda: drill.is_halted and drill.working == 1)
        task.cancel()

    asyncio.run(asyncio.wait_for(die(first), 60))
    assert first.orders == 2
    again = FlattenDrill(tmp_path)
    again.venue.filled_orders = 1

    async def live() -> None:
        task = asyncio.create_task(again.trader.run())
        await again.until(lambda: again.is_halted)
        await again.rest()
        assert (again.orders, again.received("cancel"), again.working) == (2, 0, 1)
        await again.end(task)

    asyncio.run(asyncio.wait_for(live(), 60))
    assert (again.orders, again.received("cancel")) == (2, 0)


def test_what_a_closing_order_fills_does_not_send_it_anew(tmp_path: Path) -> None:
    """A is left open: each part of B's fill had cancelled B's order and sent another one."""
    holding = Holding(tmp_path)
    desk, order = holding.desk, holding.closing().order

    desk.note(make_fill(order, 30, number=2))
    assert not holding.left.is_due(FLATTEN)

    ended = ev.OrderCancelled(
        event_id="end", time_ns=NOW_NS, client_order_id=order.client_order_id, reason="by hand"
    )
    desk.note(ended)
    assert holding.left.is_due(FLATTEN)


def test_a_throttle_that_a_person_resets_lets_the_flattening_go_on(tmp_path: Path) -> None:
    holding = Holding(tmp_path)
    assert not holding.left.is_due(FLATTEN)
    desk = holding.desk
    reset_throttle(A, book=desk.book, log=desk.log, actor="anna", reason="seen", time_ns=NOW_NS)
    assert holding.left.is_due(FLATTEN)


def test_a_closing_order_that_never_arrived_is_followed_by_another(tmp_path: Path) -> None:
    """Its answer did not come, on a connection that stands, and the broker does not have it."""
    drill = FlattenDrill(tmp_path)
    submit = drill.venue.submit

    def lose(*_: object):
        drill.venue.submit = submit  # type: ignore[method-assign]
        raise TimeoutError("the broker does not answer")

    def begin() -> None:
        drill.trader.settings = replace(drill.trader.settings, feed_silence_s_max=86_400)
        drill.venue.submit = lose  # type: ignore[method-assign]

    def go_on() -> None:
        assert (drill.lots, drill.orders, drill.working) == (1_000, 1, 1)
        drill.desk.now_ns.ns += UNANSWERED_NS + 1  # type: ignore[attr-defined]

    asyncio.run(asyncio.wait_for(drill.play(begin, go_on), 60))

    assert drill.orders == 2


@pytest.mark.parametrize("flatten", [True, False])
def test_what_stays_as_it_was_is_not_tried_again(tmp_path: Path, flatten: bool) -> None:
    """The gate denies the closing order: no order follows another for ever."""
    drill = FlattenDrill(tmp_path)

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.lots == 1_000)
        drill.desk.limits = replace(drill.desk.limits, restricted=frozenset({A}))
        drill.desk.switch.pull(replace(FLATTEN, flatten=flatten))
        await drill.until(lambda: drill.is_halted)
        sequence = drill.desk.book.sequence
        await drill.rest()
        assert (drill.lots, drill.orders) == (1_000, 1)
        assert drill.desk.book.sequence == sequence
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_a_person_flattens_what_a_dead_feed_has_halted(tmp_path: Path) -> None:
    """The trader halted by itself and keeps what it holds; the last quotes close it when asked."""
    drill = FlattenDrill(tmp_path)

    class DyingFeed(ListFeed):
        async def stream(self) -> AsyncIterator[Bar | Quote]:
            for item in self.items:
                yield item
            await drill.until(lambda: drill.lots == 1_000)
            raise ConnectionResetError("reset by peer")

    drill.trader.feed = DyingFeed([replace(make_quote(A), session_open=True)])

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.is_halted)
        await drill.rest()
        assert (drill.lots, drill.orders) == (1_000, 1)
        drill.desk.switch.pull(FLATTEN)
        await drill.until(lambda: drill.lots == 0)
        await drill.rest()
        assert drill.is_halted
        assert drill.orders == 2
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))
