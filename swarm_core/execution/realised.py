"""What fills have cost since the last decision: implementation shortfall (Perold 1988), folded."""

from decimal import Decimal

from swarm_core.events import OrderFilled
from swarm_core.instruments import convert_minor

_MINOR = 1e8


class RealisedCost:
    """Value traded and its cost in minor units of the base currency, from the log alone.

    The arrival price of an order is the reference that the gate first approved it at, and of a
    slice of a parent order the one of the first slice of it; a fill costs
    what it is worse than that, and its commission. A fill is left out of both sums where its order
    was never approved, was changed by a corporate action, leaves a position at a price set
    before, or was approved before the last decision but one, and where its currency has no rate.
    """

    def __init__(self) -> None:
        self.traded_minor = 0
        self.paid_minor = 0
        self._seen_minor = 0, 0
        self._arrival_ticks: dict[str, int] = {}  # by client order id, since the last decision
        self._carried: dict[str, int] = {}  # of the decision before: its orders may fill late
        self._rates: dict[str, Decimal] = {}  # of executions counted, by id

    def approve(self, client_order_id: str, reference_ticks: int, parent_id: str = "") -> None:
        """Note the price that an order was first approved at; `parent_id` where it is a slice."""
        if client_order_id in self._carried:
            return
        arrival = reference_ticks
        if parent_id:
            arrival = self._arrival_ticks.setdefault(parent_id, reference_ticks)
        self._arrival_ticks.setdefault(client_order_id, arrival)

    def forget(self, client_order_id: str, parent_id: str = "") -> None:
        """Leave out what an order will fill: it was retired, or an action has moved its price."""
        for order_id in (client_order_id, parent_id):
            self._arrival_ticks.pop(order_id, None)
            self._carried.pop(order_id, None)

    def fill(self, fill: OrderFilled, rate: Decimal | None, commission_minor: int | None) -> None:
        """Count a fill that is new; `rate` is what its currency is worth in the base one."""
        name = fill.client_order_id
        arrival = self._arrival_ticks.get(name)
        if arrival is None:
            arrival = self._carried.get(name)
        if arrival is None or rate is None:
            return
        value = fill.lots * fill.lot_tick_minor
        worse = fill.side.sign * (fill.price_ticks - arrival) * value
        self.traded_minor += convert_minor(abs(fill.price_ticks) * value, rate)
        self.paid_minor += convert_minor(worse, rate)
        self._rates[fill.execution_id] = rate
        if commission_minor is not None:
            self.charge(fill.execution_id, commission_minor)

    def charge(self, execution_id: str, commission_minor: int) -> None:
        """Count the commission of a fill, once."""
        rate = self._rates.pop(execution_id, None)
        if rate is not None:
            self.paid_minor += convert_minor(commission_minor, rate)

    def decide(self) -> None:
        """Begin anew: what came before is what the decision has seen."""
        self._seen_minor = self.traded_minor, self.paid_minor
        self.traded_minor = self.paid_minor = 0
        self._carried, self._arrival_ticks = self._arrival_ticks, {}
        self._rates.clear()

    def fractions(self, nav: float) -> tuple[float, float]:
        """Return what was traded and what it cost, as fractions of NAV in base currency units."""
        return self.traded_minor / _MINOR / nav, self.paid_minor / _MINOR / nav

    def fractions_decided(self, nav: float) -> tuple[float, float]:
        """Return the same as the last decision saw it."""
        traded, paid = self._seen_minor
        return traded / _MINOR / nav, paid / _MINOR / nav
