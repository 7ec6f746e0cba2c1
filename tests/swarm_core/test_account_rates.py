"""Exchange rates that the broker's account tells: how long they hold, and what denies."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from swarm_core import events as ev
from swarm_core.account_rates import rate_events
from swarm_core.book import Book
from swarm_core.broker_account import ToldRate
from swarm_core.instruments import to_minor
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.context import measure
from tests.swarm_core.builders import CASH, NOW_NS, A, make_instrument, make_limits, make_quote

HOUR_NS = 3_600 * 10**9
EUR = Decimal("1.0850")


def make_book() -> Book:
    """Return a book that owes a commission of two euros."""
    book = Book("USD", to_minor(CASH))
    paid = ev.CashMoved(
        event_id="c", time_ns=NOW_NS, currency="EUR", amount_minor=to_minor(-2), reason="fee"
    )
    book.apply(paid)
    return book


def at(rates: Mapping[str, Decimal], told_ns: int) -> dict[str, ToldRate]:
    return {currency: ToldRate(rate, told_ns) for currency, rate in rates.items()}


def tell(book: Book, rates: Mapping[str, Decimal], time_ns: int = NOW_NS) -> list[ev.Event]:
    found = rate_events(book, at(rates, time_ns), ("USD",), time_ns=time_ns, age_ns_max=HOUR_NS)
    book.apply_all(found)
    return found


def test_a_currency_without_a_rate_is_valued_at_the_accounts() -> None:
    """A commission in it left the book without a value, and every order was denied for good."""
    book = make_book()
    assert (book.ledger.find_nav_minor(), book.ledger.unrated()) == (None, ["EUR"])

    (marked,) = tell(book, {"USD": Decimal(1), "EUR": EUR})

    assert isinstance(marked, ev.CurrencyMarked)
    assert (marked.source, marked.time_ns, marked.rate) == ("account", NOW_NS, EUR)
    assert book.ledger.find_nav_minor() == to_minor(CASH) - to_minor("2.17")
    assert not book.ledger.unrated()


def test_a_rate_is_marked_anew_before_the_log_would_call_it_old() -> None:
    """The log says at each decision how old its rates are."""
    book, rates = make_book(), {"USD": Decimal(1), "EUR": EUR}
    assert len(tell(book, rates)) == 1
    assert not tell(book, rates, NOW_NS + HOUR_NS // 2)
    assert len(tell(book, rates, NOW_NS + HOUR_NS // 2 + 1)) == 1


def test_a_rate_that_the_account_tells_no_more_lapses() -> None:
    """What cannot be measured denies, also where it could be measured once."""
    book = make_book()
    tell(book, {"USD": Decimal(1), "EUR": EUR})

    assert not tell(book, {"USD": Decimal(1)}, NOW_NS + HOUR_NS)
    (lapsed,) = tell(book, {"USD": Decimal(1)}, NOW_NS + HOUR_NS + 1)

    assert isinstance(lapsed, ev.CurrencyRateLapsed)
    assert lapsed.told_ns == NOW_NS
    assert book.ledger.find_nav_minor() is None
    assert not tell(book, {}, NOW_NS + 3 * HOUR_NS)


def test_a_rate_that_was_told_long_ago_is_none() -> None:
    """A client shows what it heard last, however long ago that was."""
    book, told = make_book(), at({"USD": Decimal(1), "EUR": EUR}, NOW_NS)
    late_ns = NOW_NS + HOUR_NS

    (marked,) = rate_events(book, told, (), time_ns=late_ns, age_ns_max=HOUR_NS)
    assert marked.time_ns == NOW_NS
    book.apply(marked)
    (lapsed,) = rate_events(book, told, (), time_ns=late_ns + 1, age_ns_max=HOUR_NS)
    book.apply(lapsed)
    assert not rate_events(book, told, (), time_ns=late_ns + 2, age_ns_max=HOUR_NS)
    assert book.ledger.unrated() == ["EUR"]


def test_a_rate_of_the_markets_tables_does_not_lapse_with_the_account() -> None:
    book = make_book()
    book.apply(ev.CurrencyMarked(event_id="t", time_ns=NOW_NS, currency="EUR", rate=EUR))

    assert not tell(book, {"USD": Decimal(1)}, NOW_NS + 9 * HOUR_NS)
    assert book.ledger.rates["EUR"] == EUR


def test_an_account_in_another_base_currency_tells_the_ratio() -> None:
    """Its rates are of its own base; without that of the book's they say nothing."""
    book = make_book()

    assert not tell(book, {"EUR": Decimal(1), "CHF": Decimal("1.05")})
    (marked,) = tell(book, {"EUR": Decimal(1), "USD": Decimal("0.92")})

    assert isinstance(marked, ev.CurrencyMarked)
    assert str(marked.rate) == "1.08695652174"


def test_an_instrument_in_a_currency_that_nobody_rates_is_denied() -> None:
    instrument, book = make_instrument(A, currency="EUR"), Book("USD", to_minor(CASH))

    def code() -> DenialCode | None:
        context = measure(
            book=book,
            quotes={A: replace(make_quote(A))},
            instruments={A: instrument},
            limits=make_limits(),
            time_ns=NOW_NS,
        )
        return context.instruments[A].unmeasured

    assert code() is DenialCode.NO_CURRENCY_RATE
    told = at({"USD": Decimal(1), "EUR": EUR}, NOW_NS)
    found = rate_events(book, told, ("EUR",), time_ns=NOW_NS, age_ns_max=HOUR_NS)
    book.apply_all(found)
    assert code() is None
