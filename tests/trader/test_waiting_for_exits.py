"""An order that waits for the exits before it writes nothing to the log until it may leave."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from swarm_core import events as ev
from swarm_core.order_states import OrderState
from swarm_core.replay import replay
from swarm_core.sizing_settings import ExitSettings
from tests.swarm_core.builders import CASH, A, make_decision, make_quote
from tests.trader.drills import Drill
from tests.trader.sessions import ListFeed, PlannedEngine
from trader.ports import Item


class WaitingDrill(Drill):
    """A trader whose second decision must wait: the venue answers no cancel of the exits."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        exits = ExitSettings(take_profit_fraction=0.1, stop_loss_fraction=0.05)
        self.desk.sizing = replace(self.desk.sizing, exits=exits)
        self.answer, self.venue.cancel = self.venue.cancel, lambda *_: ()  # type: ignore[method-assign]
        self.trader.engine = PlannedEngine(
            [make_decision("d1", A=0.1), make_decision("d2", A=0.05)]
        )
        drill = self

        class Feed(ListFeed):
            async def stream(self) -> AsyncIterator[Item]:
                yield replace(make_quote(A), session_open=True)
                await drill.until(lambda: drill.lots == 1_000 and drill.working == 2)
                yield replace(make_quote(A), session_open=True)
                await asyncio.sleep(60)

        self.trader.feed = Feed([])

    def of_second(self) -> list[OrderState]:
        book = self.desk.book
        return [book.orders[i].state for i in book.intended.get("d2", ())]


def test_an_order_that_waits_for_exits_writes_when_something_changes(tmp_path: Path) -> None:
    """Its verdict was written anew at each beat: more than a hundred records a second."""
    drill = WaitingDrill(tmp_path)

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.of_second() == [OrderState.APPROVED] * 3)
        await drill.rest()
        sequence, beats = drill.desk.book.sequence, drill.trader.beat_count
        await drill.until(lambda: drill.trader.beat_count > beats + 20)
        assert drill.desk.book.sequence == sequence

        asked = [r.order.client_order_id for r in drill.desk.book.working_orders()]
        drill.venue._unheard += [event for i in asked for event in drill.answer(i, 0)]
        await drill.until(lambda: drill.lots < 600 and drill.working == 2)
        assert drill.of_second() == [OrderState.FILLED, OrderState.ACCEPTED, OrderState.ACCEPTED]
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))

    log = drill.desk.log
    assert replay(log.read(), "USD", CASH).first_difference is None
    approved = [r.event for r in log.read() if isinstance(r.event, ev.OrderApproved)]
    attempts = [e.attempt for e in approved if e.correlation_id == "d2"]
    assert attempts == [1, 1, 1, 2, 2, 2], "it is judged anew when the way is free"
