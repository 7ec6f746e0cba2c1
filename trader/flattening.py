"""What a flattening halt has left open, and when closing it may go better than it did."""

from trader.desk import TradingDesk
from trader.kill_switch import Halt
from trader.ports import LiveBroker


class Flattening:
    """Says when a halt that flattens is to be acted on again.

    A closing order needs a quote and the broker, and a fill may be told after it: what is held and
    has no order working is closed again once one of these has changed, and never otherwise.
    """

    def __init__(self, desk: TradingDesk, broker: LiveBroker) -> None:
        self.desk, self.broker = desk, broker
        self._tried: object = None

    def note(self) -> None:
        """Remember how things stand now that it was tried."""
        self._tried = self._stand()

    def is_due(self, halt: Halt) -> bool:
        if not (halt.flatten and halt.by_person and self.broker.is_connected):
            return False
        held = self._held()
        working = {r.order.instrument_id for r in self.desk.book.working_orders()}
        return bool(held.keys() - working) and self._stand() != self._tried

    def _held(self) -> dict[str, int]:
        positions = self.desk.book.ledger.positions
        return {i: p.lots for i, p in sorted(positions.items()) if p.lots}

    def _stand(self) -> object:
        held, quotes = self._held(), self.desk.settled_quotes()
        told = tuple((i, lots, i in quotes) for i, lots in held.items())
        return told, self.broker.connection_count, self.broker.is_connected
