"""Futures, options and currencies worked by hand, to the minor unit."""

from decimal import Decimal

import pytest

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.action_events import ActionKind
from swarm_core.book import Book
from swarm_core.commissions import PerContractCommission
from swarm_core.currencies import CurrencyExchange
from swarm_core.derivatives.futures import (
    CalendarRoll,
    FutureContract,
    VolumeRoll,
    expiry_events,
    next_contract,
    roll_orders,
    variation_settlements,
)
from swarm_core.derivatives.options import OptionContract, OptionRight, OptionSettlement
from swarm_core.fills import FillSettings
from swarm_core.frictions.slippage import TickSlippage
from swarm_core.instruments import MINOR_PER_UNIT, Instrument
from swarm_core.market import Bar
from swarm_core.orders import OrderSide
from tests.swarm_core.builders import NOW_NS, A, make_fill, make_instrument, make_order

USD = MINOR_PER_UNIT
START = 1_000_000 * USD
MARCH = FutureContract(instrument_id="ESH6", root="ES", expiry_session="2026-03-20")
JUNE = FutureContract(instrument_id="ESM6", root="ES", expiry_session="2026-06-19")
CHAIN = (JUNE, MARCH, FutureContract(instrument_id="CLK6", root="CL", expiry_session="2026-04-21"))


def future(instrument_id: str) -> Instrument:
    """Return an index future: 50 dollars a point, a tick of a quarter point."""
    return make_instrument(
        instrument_id,
        asset_class="future",
        price_increment=Decimal("0.25"),
        multiplier=Decimal(50),
    )


FUTURES = {c.instrument_id: future(c.instrument_id) for c in (MARCH, JUNE)}


def futures_venue() -> SimulatedBroker:
    return SimulatedBroker(
        FUTURES,
        fills=FillSettings(participation_fraction_max=1.0, slippage=TickSlippage(1)),
        commission=PerContractCommission(Decimal("0.85"), Decimal("1.38")),
    )


def bars(time_ns: int, march: int, june: int) -> list[Bar]:
    """Return bars that open at points of the index."""
    return [
        Bar(instrument_id=name, time_ns=time_ns, open_ticks=4 * p, close_ticks=4 * p)
        for name, p in (("ESH6", march), ("ESM6", june))
    ]


def test_a_roll_is_two_fills_with_their_costs_and_variation_is_paid_daily() -> None:
    broker, book = futures_venue(), Book("USD", START)
    ledger = book.ledger

    def trade(*orders: object, time_ns: int, march: int, june: int) -> None:
        for order in orders:
            broker.submit(order, time_ns - 1)  # type: ignore[arg-type]  # orders
        book.apply_all(
            e
            for e in broker.on_bars(bars(time_ns, march, june), time_ns)
            if isinstance(e, ev.OrderFilled)
        )
        assert ledger.find_imbalance() is None

    def settle(time_ns: int, march: int, june: int) -> None:
        prices = {"ESH6": 4 * march, "ESM6": 4 * june}
        book.apply_all(variation_settlements(ledger, prices, time_ns))
        assert ledger.find_imbalance() is None

    trade(make_order("ESH6", lots=2), time_ns=NOW_NS + 1, march=5_000, june=5_040)
    # Bought 2 at 5,000.25: no cash moves but 2 x 2.23 of fees.
    assert ledger.cash["USD"] == START - 446 * USD // 100
    settle(NOW_NS + 2, 5_010, 5_050)
    # 2 x 9.75 points x 50 dollars.
    assert ledger.cash["USD"] == START + 975 * USD - 446 * USD // 100
    assert ledger.find_nav_minor() == ledger.cash["USD"]

    orders = roll_orders("roll-1", ledger.lots("ESH6"), MARCH, next_contract(MARCH, CHAIN))
    trade(*orders, time_ns=NOW_NS + 3, march=5_020, june=5_060)
    # Sold at 5,019.75 (9.75 over the settlement), bought June at 5,060.25; four more fees.
    assert (ledger.lots("ESH6"), ledger.lots("ESM6")) == (0, 2)
    assert ledger.cash["USD"] == START + 1_950 * USD - 3 * 446 * USD // 100
    settle(NOW_NS + 4, 5_020, 5_060)
    assert ledger.cash["USD"] == START + 1_925 * USD - 3 * 446 * USD // 100
    assert ledger.find_nav_minor() == ledger.cash["USD"]


@pytest.mark.parametrize("margined", [True, False])
def test_a_future_ends_in_cash_at_its_final_price(margined: bool) -> None:
    book = Book("USD", START)
    instrument = future("ESH6") if margined else make_instrument("ESH6")
    order = make_order("ESH6", lots=3, side=OrderSide.SELL)
    fill = ev.OrderFilled(
        event_id="f",
        time_ns=1,
        client_order_id=order.client_order_id,
        execution_id="x",
        instrument_id="ESH6",
        side=order.side,
        lots=3,
        price_ticks=20_000,
        lot_tick_minor=future("ESH6").lot_tick_minor,
        currency="USD",
        commission_minor=0,
        is_margined=instrument.is_margined,
    )
    book.apply(fill)

    book.apply_all(expiry_events(MARCH, book.ledger, 20_040, NOW_NS))

    # Short 3 from 5,000 to 5,010: a loss of 3 x 10 x 50.
    assert book.lots("ESH6") == 0
    assert book.ledger.cash["USD"] == START - 1_500 * USD == book.ledger.find_nav_minor()
    assert book.ledger.find_imbalance() is None
    assert expiry_events(MARCH, book.ledger, 20_040, NOW_NS) == []


def test_rolls_are_due_by_the_calendar_or_by_the_volume() -> None:
    assert [CalendarRoll(sessions_before=5).is_due(n, 9, 1) for n in (6, 5, 0)] == [
        False,
        True,
        True,
    ]
    volume = VolumeRoll(sessions_before=1)
    assert [volume.is_due(*seen) for seen in ((9, 5, 5), (9, 5, 6), (1, 9, 0))] == [
        False,
        True,
        True,
    ]
    assert next_contract(MARCH, CHAIN) is JUNE
    with pytest.raises(ValueError, match="a contract after ESM6 must be known, was none"):
        next_contract(JUNE, CHAIN)


STOCK = make_instrument(A)


def option(right: OptionRight, settlement: OptionSettlement) -> OptionContract:
    return OptionContract(
        instrument_id="A-100",
        underlying_id=A,
        right=right,
        strike=Decimal(100),
        expiry_session="2026-01-16",
        settlement=settlement,
    )


OPTIONS = {
    A: STOCK,
    "A-100": make_instrument("A-100", asset_class="option", multiplier=Decimal(100)),
}


def option_book(lots: int, premium_ticks: int = 250) -> Book:
    book = Book("USD", START)
    side = OrderSide.BUY if lots > 0 else OrderSide.SELL
    order = make_order("A-100", lots=abs(lots), side=side)
    book.apply(
        ev.OrderFilled(
            event_id="f",
            time_ns=1,
            client_order_id=order.client_order_id,
            execution_id="x",
            instrument_id="A-100",
            side=side,
            lots=abs(lots),
            price_ticks=premium_ticks,
            lot_tick_minor=OPTIONS["A-100"].lot_tick_minor,
            currency="USD",
            commission_minor=0,
        )
    )
    return book


CALL, PUT = OptionRight.CALL, OptionRight.PUT


@pytest.mark.parametrize(
    ("lots", "right", "price", "action", "shares", "cash"),
    [
        # A premium of 2.50 x 100 is paid or received first; then shares and the strike move.
        (3, CALL, "107.40", ActionKind.EXERCISE, 300, -750 - 30_000),
        (-3, CALL, "107.40", ActionKind.ASSIGNMENT, -300, 750 + 30_000),
        (3, PUT, "92.00", ActionKind.EXERCISE, -300, -750 + 30_000),
        (-3, PUT, "92.00", ActionKind.ASSIGNMENT, 300, 750 - 30_000),
        (3, CALL, "100.00", ActionKind.EXPIRY, 0, -750),
        (3, CALL, "100.01", ActionKind.EXERCISE, 300, -750 - 30_000),  # in the money by a cent
        (-3, PUT, "100.005", ActionKind.EXPIRY, 0, 750),
        (-3, PUT, "99.995", ActionKind.EXPIRY, 0, 750),  # by less than a cent
    ],
)
def test_an_option_on_shares_is_exercised_or_assigned_at_its_strike(
    lots: int, right: OptionRight, price: str, action: ActionKind, shares: int, cash: int
) -> None:
    book = option_book(lots)
    contract = option(right, OptionSettlement.PHYSICAL)

    events = contract.expiry_events(book.ledger, OPTIONS, Decimal(price), NOW_NS)
    book.apply_all(events)

    (event,) = events
    assert isinstance(event, ev.HoldingChanged)
    assert event.action is action
    assert (book.lots("A-100"), book.lots(A)) == (0, shares)
    assert book.ledger.cash["USD"] == START + cash * USD
    assert book.ledger.find_imbalance() is None
    if shares:
        value = STOCK.value_minor(shares, STOCK.price_to_ticks(price))
        assert book.ledger.find_nav_minor() == book.ledger.cash["USD"] + value
    assert contract.expiry_events(book.ledger, OPTIONS, Decimal(price), NOW_NS) == []


def test_an_option_cannot_deliver_what_is_held_on_margin() -> None:
    book, contract = option_book(3), option(CALL, OptionSettlement.PHYSICAL)
    instruments = OPTIONS | {A: make_instrument(A, asset_class="future")}

    with pytest.raises(ValueError, match=r"paid for in full, US\.A is on margin"):
        contract.expiry_events(book.ledger, instruments, Decimal("107.40"), NOW_NS)


@pytest.mark.parametrize(
    ("lots", "right", "price", "cash"),
    [(2, CALL, "107.40", 980), (-2, CALL, "107.40", -980), (2, PUT, "92.00", 1_100)],
)
def test_an_option_on_an_index_pays_its_intrinsic_value(
    lots: int, right: OptionRight, price: str, cash: int
) -> None:
    book = option_book(lots)

    book.apply_all(
        option(right, OptionSettlement.CASH).expiry_events(
            book.ledger, OPTIONS, Decimal(price), NOW_NS
        )
    )

    # 2 x 100 x 7.40 less the premium of 500; short, the other way; 2 x 100 x 8 less 500.
    assert book.ledger.cash["USD"] == START + cash * USD
    assert book.lots(A) == 0
    assert book.ledger.find_imbalance() is None


def test_an_assigned_put_closes_a_short_position_it_meets() -> None:
    book = option_book(-1)
    book.apply(make_fill(make_order(lots=150, side=OrderSide.SELL), price_ticks=12_000))

    book.apply_all(
        option(PUT, OptionSettlement.PHYSICAL).expiry_events(
            book.ledger, OPTIONS, Decimal(90), NOW_NS
        )
    )

    assert book.lots(A) == -50
    assert book.ledger.positions[A].realised_minor == 2_000 * USD  # 100 sold at 120, put at 100
    assert book.ledger.find_imbalance() is None


def test_the_profit_of_a_foreign_holding_is_valued_at_the_days_rates() -> None:
    book = Book("USD", START)
    exchange = CurrencyExchange(spread_bps=Decimal(1))
    book.ledger.mark_currency("EUR", Decimal("1.10"))

    bought = exchange.convert(
        "USD", 110_000 * USD, "EUR", book.ledger.rates, base_currency="USD", time_ns=NOW_NS
    )
    book.apply(bought)
    # 110,000 / 1.10 x 0.9999 = 99,990 euros; 0.2 bps of 110,000 is 2.20.
    assert (bought.to_minor, bought.fee_minor) == (99_990 * USD, 220 * USD // 100)
    assert book.ledger.find_nav_minor() == START - 11 * USD - 220 * USD // 100

    order = make_order("EU.B", lots=1_000)
    book.apply(
        ev.OrderFilled(
            event_id="f",
            time_ns=1,
            client_order_id=order.client_order_id,
            execution_id="x",
            instrument_id="EU.B",
            side=OrderSide.BUY,
            lots=1_000,
            price_ticks=5_000,
            lot_tick_minor=10**6,
            currency="EUR",
            commission_minor=0,
        )
    )
    book.ledger.positions["EU.B"].mark_ticks = 5_200
    book.ledger.mark_currency("EUR", Decimal("1.15"))

    # Euros: 99,990 - 50,000 + 52,000 = 101,990, at 1.15.
    dollars = START - 110_000 * USD - 220 * USD // 100
    assert book.ledger.find_nav_minor() == dollars + 10_199_000 * USD * 115 // 10_000
    assert book.ledger.find_imbalance() is None


def test_a_conversion_told_twice_is_booked_once_and_small_ones_pay_the_minimum() -> None:
    book = Book("USD", START)
    book.ledger.mark_currency("EUR", Decimal("1.25"))
    trade = CurrencyExchange().convert(
        "USD", 125 * USD, "EUR", book.ledger.rates, base_currency="USD", time_ns=NOW_NS
    )

    book.apply_all([trade, trade])

    assert book.ledger.cash == {"USD": START - 127 * USD, "EUR": 100 * USD}


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ("USD", "CHF", "the rate of CHF must be known to convert, was not"),
        ("USD", "USD", "must be between two currencies, was of USD"),
    ],
)
def test_a_conversion_that_cannot_be_is_refused(first: str, second: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        CurrencyExchange().convert(
            first, USD, second, {"USD": Decimal(1)}, base_currency="USD", time_ns=1
        )
