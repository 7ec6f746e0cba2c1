"""Valuing the book: marks of positions and currencies, and the opening and closing of sessions."""

from collections.abc import Mapping
from decimal import Decimal

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import to_decimal
from swarm_core.market import Quote


def position_marks(book: Book, quotes: Mapping[str, Quote], time_ns: int) -> list[ev.Event]:
    """Return marks of what is held, at the quotes, where they change its value.

    What was paid for is not worth less than nothing: a price that is not positive is no mark of it.
    """
    marks: list[ev.Event] = []
    for instrument_id, position in sorted(book.ledger.positions.items()):
        quote = quotes.get(instrument_id)
        if quote is None or not position.lots or quote.reference_ticks == position.mark_ticks:
            continue
        if quote.reference_ticks <= 0 and not position.is_margined:
            continue
        marks.append(
            ev.PositionMarked(
                event_id=ev.make_event_id(
                    "PositionMarked", instrument_id, time_ns, quote.reference_ticks
                ),
                time_ns=time_ns,
                instrument_id=instrument_id,
                price_ticks=quote.reference_ticks,
                lot_tick_minor=position.lot_tick_minor,
                currency=position.currency,
            )
        )
    return marks


def currency_marks(
    book: Book, rates: Mapping[str, Decimal | float], time_ns: int
) -> list[ev.Event]:
    """Return marks of currencies (units of base currency for one unit) that change a rate.

    Raises ValueError on a rate that is not finite and positive.
    """
    marks: list[ev.Event] = []
    for currency in sorted(rates):
        rate = to_decimal(rates[currency], f"rate of {currency}")
        if currency == book.base_currency or book.ledger.rates.get(currency) == rate:
            continue
        marks.append(
            ev.CurrencyMarked(
                event_id=ev.make_event_id("CurrencyMarked", currency, time_ns, str(rate)),
                time_ns=time_ns,
                currency=currency,
                rate=rate,
            )
        )
    return marks
