"""Cancels at the broker beside an act on the book that waits, e.g. for a log that is locked."""

import asyncio
from collections import deque
from collections.abc import Callable

from swarm_core import events as ev
from swarm_core.halting import cancel_all, cancel_at_once
from swarm_core.order_states import OrderRecord
from trader.closing import cancelled_by
from trader.desk import TradingDesk
from trader.kill_switch import Halt

# An act that takes longer is not waited for by the cancels of a halt.
_ACT_PATIENCE_S = 0.25


class Cutter:
    """Cuts once a halt; what the broker says to it waits in `said` until the act is done."""

    def __init__(self, desk: TradingDesk, tell: Callable[[str], None]) -> None:
        self.desk, self._tell = desk, tell
        self.said: deque[ev.Event] = deque()
        self._cut: Halt | None = None  # the halt whose cancels went out

    async def beside(self, act: "asyncio.Future[object]", acted_on: Callable[[], object]) -> None:
        """Wait for an act, and cancel where the switch is pulled by a halt not `acted_on` yet.

        The log hears of the cancels when the act is done.
        """
        desk = self.desk
        while not (await asyncio.wait((act,), timeout=_ACT_PATIENCE_S))[0]:
            halt = desk.switch.find() if desk.switch.is_pulled else None
            if halt is None or halt in (acted_on(), self._cut):
                continue
            self._cut, which = halt, cancelled_by(halt, desk.book)
            work = asyncio.to_thread(cancel_at_once, desk.book, desk.line, desk.now_ns(), which)
            cut = await work
            self.said.extend(cut.said)
            count = f"halt: {len(cut.asked)} orders cancelled at the broker, the log is waited for"
            for line in (count, *cut.unheard, *cut.out_of_reach):
                self._tell(line)


def heed_log(desk: TradingDesk) -> int:
    """Cancel what works where the log alone says that trading is halted; return how much.

    Another home that shares the log may have halted: its switch is a file that is not seen here.
    What flattens for such a halt goes on.
    """
    book = desk.book
    halt = Halt(reason="the log says that trading is halted", actor="log", flatten=True)
    hindered = cancelled_by(halt, book)

    def goes(record: OrderRecord) -> bool:
        return not record.is_ending and not record.is_unsent and hindered(record.order)

    if not any(map(goes, book.working_orders())):
        return 0
    return cancel_all(
        book=book,
        log=desk.log,
        broker=desk.line,
        reason=halt.reason,
        time_ns=desk.now_ns(),
        which=lambda order: goes(book.orders[order.client_order_id]),
    )
