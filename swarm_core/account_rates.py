"""Exchange rates as the broker's account tells them: for how long they hold, and what is booked."""

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context

from swarm_core import events as ev
from swarm_core.book_state import BookState
from swarm_core.broker_account import ToldRate

SOURCE = "account"
_ROUND = Context(prec=12, rounding=ROUND_HALF_EVEN)  # of a rate that is worked out of two others


def take_rate(book: BookState, event: ev.CurrencyMarked) -> None:
    """Value a currency at a rate from now on, whoever told it."""
    book.ledger.mark_currency(event.currency, event.rate)
    book.account_rates_ns.pop(event.currency, None)
    if event.source == SOURCE:
        book.account_rates_ns[event.currency] = event.time_ns


def lapse_rate(book: BookState, event: ev.CurrencyRateLapsed) -> None:
    """Know no more what a currency is worth."""
    book.ledger.forget_rate(event.currency)
    book.account_rates_ns.pop(event.currency, None)


def rate_events(
    book: BookState,
    told: Mapping[str, ToldRate],
    currencies: Iterable[str],
    *,
    time_ns: int,
    age_ns_max: int,
) -> list[ev.Event]:
    """Return what an account that was read at `time_ns` says of the rates of currencies.

    A rate is marked where it is new, and again by half of its age at most, so that the log says how
    old it is at every decision. One that the account told, and has not told for longer than
    `age_ns_max`, lapses: what cannot be measured denies. One that somebody else marked stands until
    the account tells another.
    """
    rates, found = _in_base(told, book.base_currency), list[ev.Event]()
    for currency in sorted({*currencies, *book.ledger.cash, *book.ledger.owed}):
        if currency == book.base_currency:
            continue
        now, marked_ns = rates.get(currency), book.account_rates_ns.get(currency)
        if now is not None and time_ns - now.told_ns <= age_ns_max:
            is_new = marked_ns is None or book.ledger.rates.get(currency) != now.rate
            if is_new or now.told_ns - (marked_ns or 0) > age_ns_max // 2:
                found.append(_marked(currency, now))
        elif marked_ns is not None and time_ns - marked_ns > age_ns_max:
            found.append(
                ev.CurrencyRateLapsed(
                    event_id=ev.make_event_id("CurrencyRateLapsed", currency, time_ns),
                    time_ns=time_ns,
                    currency=currency,
                    told_ns=marked_ns,
                )
            )
    return found


def _marked(currency: str, now: ToldRate) -> ev.CurrencyMarked:
    rate, told_ns = now
    return ev.CurrencyMarked(
        event_id=ev.make_event_id("CurrencyMarked", currency, SOURCE, told_ns, str(rate)),
        time_ns=told_ns,
        currency=currency,
        rate=rate,
        source=SOURCE,
    )


def _in_base(told: Mapping[str, ToldRate], base_currency: str) -> dict[str, ToldRate]:
    """Return rates in units of the book's base currency; none where that one is not told.

    An account may have another base currency than the book.
    """
    base = told.get(base_currency)
    if base is None:
        return {}
    if base.rate == 1:
        return dict(told)
    return {
        currency: ToldRate(_ROUND.divide(now.rate, base.rate), min(now.told_ns, base.told_ns))
        for currency, now in told.items()
    }
