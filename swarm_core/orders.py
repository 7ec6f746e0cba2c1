"""What is sent to the broker, and the id that makes sending it twice impossible."""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import sha256

from swarm_core.instruments import LOTS_MAX, TICKS_MAX

_SEPARATOR = "\x1f"  # cannot stand in an id, so two different triples never join to one text


class OrderSide(Enum):
    BUY = "buy"
    SELL = "sell"

    def __init__(self, value: str) -> None:
        self.sign = 1 if value == "buy" else -1  # worked out once: every fill asks several times


class OrderKind(Enum):
    MARKET = "market"
    LIMIT = "limit"
    MARKET_ON_OPEN = "market_on_open"
    MARKET_ON_CLOSE = "market_on_close"
    LIMIT_ON_OPEN = "limit_on_open"
    LIMIT_ON_CLOSE = "limit_on_close"
    STOP = "stop"  # becomes a market order when its stop price trades
    STOP_LIMIT = "stop_limit"  # becomes a limit order when its stop price trades

    def __init__(self, value: str) -> None:
        self.has_limit = "limit" in value
        self.has_stop = value.startswith("stop")

    @property
    def is_at_open(self) -> bool:
        return self in (OrderKind.MARKET_ON_OPEN, OrderKind.LIMIT_ON_OPEN)

    @property
    def is_at_close(self) -> bool:
        return self in (OrderKind.MARKET_ON_CLOSE, OrderKind.LIMIT_ON_CLOSE)

    @property
    def waits_for_auction(self) -> bool:
        """Whether the order may be placed while the session is closed."""
        return self.is_at_open or self.is_at_close


class ExitKind(Enum):
    """Which way out of a position an order of a bracket is."""

    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"


class TimeInForce(Enum):
    DAY = "day"
    GOOD_TILL_CANCELLED = "gtc"
    IMMEDIATE_OR_CANCEL = "ioc"


@lru_cache(maxsize=8_192)  # an order is asked for its id at every step of its life
def client_order_id(decision_id: str, instrument_id: str, slice_index: int) -> str:
    """Return the idempotency key of one slice of one decision's intent in one instrument.

    The same triple always gives the same 25 characters, which travel as the broker's order
    reference. Raises ValueError on an empty or unprintable part.
    """
    for name, part in (("decision_id", decision_id), ("instrument_id", instrument_id)):
        if not part or not part.isprintable():
            raise ValueError(f"{name} must be non-empty printable text, was {part!r}")
    if slice_index < 0:
        raise ValueError(f"slice_index must be >= 0, was {slice_index}")
    text = _SEPARATOR.join((decision_id, instrument_id, str(slice_index)))
    return "A" + sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order in lots and ticks; `client_order_id` is derived, never chosen."""

    decision_id: str
    instrument_id: str
    side: OrderSide
    quantity_lots: int
    kind: OrderKind = OrderKind.MARKET_ON_OPEN
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price_ticks: int | None = None
    stop_price_ticks: int | None = None
    slice_index: int = 0
    strategy: str = "colony"
    parent_client_order_id: str = ""
    exit_kind: ExitKind | None = None  # set where it closes what its parent opens

    def __post_init__(self) -> None:
        if not 0 < self.quantity_lots <= LOTS_MAX:
            raise ValueError(
                f"quantity_lots must be in 1..{LOTS_MAX}, was {self.quantity_lots} "
                f"for {self.instrument_id}"
            )
        if self.kind.has_limit != (self.limit_price_ticks is not None):
            raise ValueError(
                f"limit_price_ticks must be given exactly for limit orders, "
                f"was {self.limit_price_ticks} for a {self.kind.value} order"
            )
        if self.limit_price_ticks is not None and abs(self.limit_price_ticks) > TICKS_MAX:
            raise ValueError(
                f"limit_price_ticks must be within {TICKS_MAX}, was {self.limit_price_ticks}"
            )
        if self.kind.has_stop != (self.stop_price_ticks is not None):
            raise ValueError(
                f"stop_price_ticks must be given exactly for stop orders, "
                f"was {self.stop_price_ticks} for a {self.kind.value} order"
            )
        if self.stop_price_ticks is not None and not 0 < self.stop_price_ticks <= TICKS_MAX:
            raise ValueError(
                f"stop_price_ticks must be in 1..{TICKS_MAX}, was {self.stop_price_ticks}"
            )
        if self.exit_kind is not None:
            self._check_exit()
        client_order_id(self.decision_id, self.instrument_id, self.slice_index)

    def _check_exit(self) -> None:
        if not self.parent_client_order_id:
            raise ValueError(f"an exit of {self.instrument_id} must name its parent, was ''")
        profit = self.exit_kind is ExitKind.TAKE_PROFIT
        fits = self.kind is OrderKind.LIMIT if profit else self.kind.has_stop
        if not fits:
            needed = "a limit order" if profit else "a stop order"
            raise ValueError(f"{self.exit_kind} must be {needed}, was {self.kind.value}")

    @property
    def is_exit(self) -> bool:
        """Whether it is one of two ways out, of which one cancels the other."""
        return self.exit_kind is not None

    @property
    def client_order_id(self) -> str:
        return client_order_id(self.decision_id, self.instrument_id, self.slice_index)

    @property
    def signed_lots(self) -> int:
        return self.side.sign * self.quantity_lots


LikeKey = tuple[str, str, str, int, int, int]


def like_key(order: Order) -> LikeKey:
    """Return what makes two orders alike for the duplicate check, whoever decided them."""
    limit = order.limit_price_ticks if order.limit_price_ticks is not None else -1
    stop = order.stop_price_ticks if order.stop_price_ticks is not None else -1
    side, kind = order.side._value_, order.kind._value_  # `value` is a property, in Python
    return order.instrument_id, side, kind, order.quantity_lots, limit, stop
