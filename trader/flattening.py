"""What a flattening halt has left open, and when closing it may go better than it did."""

from trader.closing import lost_closings
from trader.desk import TradingDesk
from trader.kill_switch import Halt
from trader.ports import LiveBroker


class Flattening:
    """Says when a halt that flattens is to be acted on again.

    A closing order needs a quote and the broker, a person may reset a throttle, a fill may be
    told after it, and it may never have arrived: what is held and has no order working is closed
    again once one of these has changed, and never otherwise. What an order at work fills changes
    nothing.
    """

    def __init__(self, desk: TradingDesk, broker: LiveBroker) -> None:
        self.desk, self.broker = desk, broker
        self._tried: dict[str, object] = {}

    def note(self) -> None:
        """Remember how things stand now that it was tried."""
        self._tried = self._stand()

    def is_due(self, halt: Halt) -> bool:
        if not (halt.flatten and halt.by_person and self.broker.is_connected):
            return False
        working = {r.order.instrument_id for r in self.desk.book.working_orders()}
        stand = self._stand()
        return any(stand[i] != self._tried.get(i) for i in stand.keys() - working)

    def _stand(self) -> dict[str, object]:
        """Return, for each instrument that is held, what closing it depends on."""
        quotes, throttled = self.desk.settled_quotes(), self.desk.book.throttled
        line = self.broker.connection_count, self.broker.is_connected
        lost = lost_closings(self.desk.book)
        positions = self.desk.book.ledger.positions
        return {
            i: (p.lots, i in quotes, i in throttled, line, lost[i])
            for i, p in positions.items()
            if p.lots
        }
