"""The end of a contract as something that happens when a session opens, like a corporate action."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from swarm_core import events as ev
from swarm_core.derivatives.futures import FutureContract, expiry_events
from swarm_core.derivatives.options import OptionContract
from swarm_core.instruments import Instrument
from swarm_core.ledger import Ledger
from swarm_core.orders import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expiry:
    """What every end of a contract has: its names, and no terms for orders in what is gone."""

    contract: FutureContract | OptionContract

    @property
    def action_id(self) -> str:
        return f"expiry:{self.contract.instrument_id}:{self.contract.expiry_session}"

    @property
    def instrument_id(self) -> str:
        return self.contract.instrument_id

    def order_terms(self, order: Order, open_lots: int, instrument: Instrument) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class FutureExpiry(_Expiry):
    """A future that is settled at `final_ticks` and closed, before the session after its last.

    What is still open of an order in it is cancelled.
    """

    contract: FutureContract
    final_ticks: int

    def holding_events(
        self, ledger: Ledger, instruments: Mapping[str, Instrument], time_ns: int
    ) -> list[ev.Event]:
        return expiry_events(self.contract, ledger, self.final_ticks, time_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionExpiry(_Expiry):
    """An option that is exercised, assigned or worthless by its underlying's last close.

    It is booked before the session after its last, as clearing houses tell it overnight. What is
    still open of an order in it is cancelled.
    """

    contract: OptionContract
    underlying_price: Decimal

    def holding_events(
        self, ledger: Ledger, instruments: Mapping[str, Instrument], time_ns: int
    ) -> list[ev.Event]:
        return self.contract.expiry_events(ledger, instruments, self.underlying_price, time_ns)
