"""The books: exact, whole, and the same whatever order or number of messages."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import MINOR_PER_UNIT, convert_minor
from swarm_core.ledger import Ledger
from swarm_core.market import Quote
from swarm_core.marking import position_marks
from swarm_core.orders import OrderSide
from tests.swarm_core.builders import NOW_NS, A, B, make_fill, make_order

CASH = 10**6 * MINOR_PER_UNIT
TICK_MINOR = {"US.A": 10**6, "EU.B": 5 * 10**5}
CURRENCY = {"US.A": "USD", "EU.B": "EUR"}


def build_fill(number: int, terms: tuple[str, OrderSide, int, int, int | None]) -> ev.OrderFilled:
    instrument_id, side, lots, price, commission = terms
    return ev.OrderFilled(
        event_id=f"fill-{number}",
        time_ns=number,
        client_order_id=f"o{number % 3}",
        execution_id=f"x{number}",
        instrument_id=instrument_id,
        side=side,
        lots=lots,
        price_ticks=price,
        lot_tick_minor=TICK_MINOR[instrument_id],
        currency=CURRENCY[instrument_id],
        commission_minor=commission,
    )


fills = st.lists(
    st.tuples(
        st.sampled_from(["US.A", "EU.B"]),
        st.sampled_from(OrderSide),
        st.integers(1, 10**6),
        st.integers(-5_000, 10**6),  # oil has closed below zero
        st.none() | st.integers(-100, 10**9),
    ),
    max_size=25,
).map(lambda terms: [build_fill(i, t) for i, t in enumerate(terms)])


def booked(events: list[ev.Event]) -> Ledger:
    ledger = Ledger("USD", CASH)
    ledger.mark_currency("EUR", Decimal("1.0937"))
    for event in events:
        if isinstance(event, ev.OrderFilled):
            ledger.book_fill(event)
        elif isinstance(event, ev.CommissionCharged):
            ledger.book_commission(event)
        assert ledger.find_imbalance() is None
    return ledger


def charge(fill: ev.OrderFilled) -> ev.CommissionCharged:
    return ev.CommissionCharged(
        event_id=f"charge-{fill.execution_id}",
        time_ns=0,
        execution_id=fill.execution_id,
        currency=fill.currency,
        commission_minor=77,
    )


def summary(ledger: Ledger) -> object:
    """Return what may not depend on the order of messages, at common marks."""
    for instrument_id, position in ledger.positions.items():
        position.mark_ticks = 4_321 if instrument_id == "US.A" else 1_234
    profits = {
        i: (p.lots, p.realised_minor + p.unrealised_minor) for i, p in ledger.positions.items()
    }
    return ledger.cash, ledger.fees, sorted(profits.items()), ledger.find_nav_minor()


@given(fills=fills, data=st.data())
def test_any_order_and_any_duplication_of_fills_gives_the_same_books(
    fills: list[ev.OrderFilled], data: st.DataObject
) -> None:
    late = [charge(f) for f in fills if f.commission_minor is None]
    told: list[ev.Event] = [*fills, *late]
    repeated = [
        *told,
        *data.draw(st.lists(st.sampled_from(told), max_size=20) if told else st.just([])),
    ]
    shuffled = data.draw(st.permutations(repeated))

    assert summary(booked(list(shuffled))) == summary(booked(told))


@given(fills=fills, marks=st.tuples(st.integers(-100, 10**6), st.integers(1, 10**6)))
def test_cash_and_market_value_are_nav_and_profit_exactly(
    fills: list[ev.OrderFilled], marks: tuple[int, int]
) -> None:
    ledger = booked(list(fills))
    for instrument_id, ticks in zip(("US.A", "EU.B"), marks, strict=True):
        ledger.mark(
            ev.PositionMarked(
                event_id="m",
                time_ns=0,
                instrument_id=instrument_id,
                price_ticks=ticks,
                lot_tick_minor=TICK_MINOR[instrument_id],
                currency=CURRENCY[instrument_id],
            )
        )
    nav = 0
    for currency in ("USD", "EUR"):
        mine = [f for f in fills if f.currency == currency]
        traded = sum(-f.side.sign * f.lots * f.price_ticks * f.lot_tick_minor for f in mine)
        fees = sum(f.commission_minor or 0 for f in mine)
        held = [p for p in ledger.positions.values() if p.currency == currency]
        start = CASH if currency == "USD" else 0
        assert ledger.cash.get(currency, 0) == start + traded - fees
        total = ledger.cash.get(currency, 0) + ledger.market_value_minor(currency)
        profit = sum(p.realised_minor + p.unrealised_minor for p in held)
        assert total == start + profit - ledger.fees.get(currency, 0)
        nav += convert_minor(total, ledger.rates[currency])
    assert ledger.find_nav_minor() == nav


@given(fills=fills)
def test_a_position_is_the_sum_of_its_fills_and_flat_ones_cost_nothing(
    fills: list[ev.OrderFilled],
) -> None:
    ledger = booked(list(fills))
    for instrument_id, position in ledger.positions.items():
        mine = [f for f in fills if f.instrument_id == instrument_id]
        assert position.lots == sum(f.side.sign * f.lots for f in mine)
        if position.lots == 0:
            assert position.cost_minor == 0


def test_a_round_trip_realises_its_profit() -> None:
    ledger = booked(
        [
            build_fill(1, ("US.A", OrderSide.BUY, 10, 10_000, 100)),
            build_fill(2, ("US.A", OrderSide.SELL, 15, 11_000, 200)),
            build_fill(3, ("US.A", OrderSide.BUY, 5, 10_500, 300)),
        ]
    )

    position = ledger.positions["US.A"]

    # 10 lots from 100.00 to 110.00, then 5 lots short from 110.00 to 105.00: 100 + 25 dollars.
    assert position.realised_minor == 125 * MINOR_PER_UNIT
    assert (position.lots, position.cost_minor) == (0, 0)
    assert ledger.cash["USD"] == CASH + 125 * MINOR_PER_UNIT - 600


def test_an_execution_told_with_other_terms_is_kept_as_a_conflict() -> None:
    first = build_fill(1, ("US.A", OrderSide.BUY, 10, 10_000, None))
    other = build_fill(1, ("US.A", OrderSide.BUY, 11, 10_000, None))
    ledger = booked([first, other])

    assert ledger.lots("US.A") == 10
    assert ledger.conflicts == {"x1"}


def test_nav_is_unknown_without_a_rate() -> None:
    ledger = Ledger("USD", CASH)
    ledger.book_fill(build_fill(1, ("EU.B", OrderSide.BUY, 10, 10_000, 5)))

    assert ledger.find_nav_minor() is None


def test_deposits_are_no_profit() -> None:
    ledger = Ledger("USD", CASH)
    ledger.book_cash(
        ev.CashMoved(event_id="d", time_ns=0, currency="EUR", amount_minor=500, reason="dividend")
    )

    assert ledger.find_imbalance() is None
    assert ledger.deposited == {"USD": CASH, "EUR": 500}


def test_what_was_paid_for_is_not_marked_below_or_at_nothing() -> None:
    """A broken quote would move the net asset value, and every limit that hangs on it."""
    book = Book("USD", CASH)
    book.apply(make_fill(make_order(lots=10), 10))
    book.apply(replace(make_fill(make_order(B), 10), is_margined=True))
    before = book.ledger.find_nav_minor()

    for ticks in (-10_000, 0):
        quotes = {i: Quote(instrument_id=i, reference_ticks=ticks, time_ns=NOW_NS) for i in (A, B)}
        (mark,) = position_marks(book, quotes, NOW_NS)
        assert isinstance(mark, ev.PositionMarked)
        assert (mark.instrument_id, mark.price_ticks) == (B, ticks), "a future may cost less"
    assert book.ledger.find_nav_minor() == before
