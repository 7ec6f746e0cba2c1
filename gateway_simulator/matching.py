"""Which part of an order fills against a quote, and at what price."""

from dataclasses import dataclass
from decimal import Decimal

from gateway_simulator.market import Quote
from gateway_simulator.orders import LiveOrder


@dataclass(frozen=True, slots=True)
class Match:
    quantity: Decimal
    price: Decimal


def is_stopped(order: LiveOrder, quote: Quote) -> bool:
    """Tell whether an order still waits for its stop price: a buy for a rise, a sell for a fall."""
    stop = order.stop
    if stop is None or order.triggered:
        return False
    return quote.last < stop if order.side > 0 else quote.last > stop


def find_match(order: LiveOrder, quote: Quote, most: Decimal | None = None) -> Match | None:
    """Return what fills now, at the quote and never beyond the limit; None where nothing does.

    `most` is how much may fill at once; the size of the quote bounds it as well.
    """
    price = quote.ask if order.side > 0 else quote.bid
    if order.limit is not None and (price - order.limit) * order.side > 0:
        return None
    offered = quote.ask_size if order.side > 0 else quote.bid_size
    quantity = min(order.remaining, offered, *([most] if most is not None else []))
    if order.tif == "FOK" and quantity < order.remaining:
        return None
    return Match(quantity, price) if quantity > 0 else None


def find_auction_match(order: LiveOrder, price: Decimal) -> Match | None:
    """Return what an auction at a price gives: all of the order, or None beyond its limit."""
    if order.limit is not None and (price - order.limit) * order.side > 0:
        return None
    return Match(order.remaining, price)
