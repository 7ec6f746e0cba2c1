"""Builders of the ground's values, valid by default, for every test that needs one."""

from dataclasses import dataclass
from decimal import Decimal

from swarm_core import events as ev
from swarm_core.instruments import Instrument
from swarm_core.market import Bar, Quote
from swarm_core.orders import Order, OrderKind, OrderSide
from swarm_core.risk.limits import RiskLimits

DAY_NS = 86_400 * 10**9
NOW_NS = 20_000 * DAY_NS
A, B, C = "US.A", "US.B", "US.C"


@dataclass(frozen=True)
class Targeted:
    """The part of a decision that is traded."""

    decision_id: str
    time_ns: int
    instrument_ids: tuple[str, ...]
    target_weights: tuple[float, ...]


def make_instrument(instrument_id: str = A, **fields: object) -> Instrument:
    values: dict[str, object] = {
        "instrument_id": instrument_id,
        "asset_class": "equity",
        "currency": "USD",
        "calendar": "XNYS",
        "sector": "tech",
    }
    return Instrument(**{**values, **fields})  # type: ignore[arg-type]  # a builder of any field


INSTRUMENTS = {i: make_instrument(i) for i in (A, B, C)}


def make_quote(instrument_id: str = A, price: float = 100.0, time_ns: int = NOW_NS) -> Quote:
    return Quote.from_price(make_instrument(instrument_id), price, time_ns, daily_volume=1e7)


def make_bar(instrument_id: str, time_ns: int, price: float, volume: float | None = 1e7) -> Bar:
    return Bar.from_prices(
        make_instrument(instrument_id),
        time_ns,
        price,
        open_=price,
        high=price,
        low=price,
        volume=volume,
    )


def make_decision(decision_id: str = "d1", time_ns: int = NOW_NS, **weights: float) -> Targeted:
    """Return a decision; weights by the last letter of the instrument: make_decision(A=0.1)."""
    ids = tuple(f"US.{name}" for name in weights)
    return Targeted(decision_id, time_ns, ids, tuple(weights.values()))


def make_order(
    instrument_id: str = A,
    lots: int = 10,
    side: OrderSide = OrderSide.BUY,
    decision_id: str = "d1",
    limit: int | None = None,
    **fields: object,
) -> Order:
    kind = OrderKind.MARKET_ON_OPEN if limit is None else OrderKind.LIMIT_ON_OPEN
    values: dict[str, object] = {"kind": kind, **fields}
    return Order(
        decision_id=decision_id,
        instrument_id=instrument_id,
        side=side,
        quantity_lots=lots,
        limit_price_ticks=limit,
        **values,  # type: ignore[arg-type]  # a builder of any field
    )


def make_fill(
    order: Order, lots: int | None = None, price_ticks: int = 10_000, number: int = 1
) -> ev.OrderFilled:
    execution_id = f"{order.client_order_id}-{number}"
    return ev.OrderFilled(
        event_id=ev.make_event_id("OrderFilled", execution_id),
        time_ns=NOW_NS + number,
        client_order_id=order.client_order_id,
        execution_id=execution_id,
        instrument_id=order.instrument_id,
        side=order.side,
        lots=order.quantity_lots if lots is None else lots,
        price_ticks=price_ticks,
        lot_tick_minor=10**6,
        currency="USD",
        commission_minor=50_000_000,
    )


def make_limits(**fields: object) -> RiskLimits:
    values: dict[str, object] = {"short_locate_required": False, "position_fraction_max": 1.0}
    return RiskLimits(**{**values, **fields})  # type: ignore[arg-type]  # a builder of any field


CASH = Decimal(1_000_000)
