"""Corporate actions worked by hand: lots, cash, cost and marks to the minor unit."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.action_events import ActionKind
from swarm_core.actions.action import CorporateAction
from swarm_core.actions.dividends import CashDividend, due_payments
from swarm_core.actions.exchanges import CashOut, SpinOff, StockMerger
from swarm_core.actions.splits import Split
from swarm_core.fills import FillSettings
from swarm_core.instruments import MINOR_PER_UNIT, to_minor
from swarm_core.ledger import Ledger
from swarm_core.orders import OrderKind, OrderSide, TimeInForce
from tests.swarm_core.builders import (
    INSTRUMENTS,
    NOW_NS,
    A,
    B,
    make_bar,
    make_fill,
    make_instrument,
    make_order,
)

USD = MINOR_PER_UNIT
START = 1_000_000 * USD


def held(lots: int, price_ticks: int = 10_000, mark_ticks: int | None = None) -> Ledger:
    """Return a ledger that traded `lots` of A at a price and marks it, with no commission."""
    ledger = Ledger("USD", START)
    side = OrderSide.BUY if lots > 0 else OrderSide.SELL
    order = make_order(lots=abs(lots), side=side)
    fill = make_fill(order, price_ticks=price_ticks)
    ledger.book_fill(fill)
    ledger.book_cash(
        ev.CashMoved(
            event_id="c", time_ns=0, currency="USD", amount_minor=USD // 2, reason="the fee back"
        )
    )
    ledger.positions[A].mark_ticks = price_ticks if mark_ticks is None else mark_ticks
    return ledger


def book(ledger: Ledger, action: CorporateAction) -> Sequence[ev.Event]:
    events = action.holding_events(ledger, INSTRUMENTS, NOW_NS)
    for event in events:
        if isinstance(event, ev.HoldingChanged):
            assert ledger.book_holding(event)
            assert not ledger.book_holding(event)  # told again, it changes nothing
        elif isinstance(event, ev.EntitlementAccrued):
            ledger.book_entitlement(event)
        assert ledger.find_imbalance() is None
    assert action.holding_events(ledger, INSTRUMENTS, NOW_NS) == []
    return events


def split(numerator: int, denominator: int) -> Split:
    return Split(action_id="s", instrument_id=A, numerator=numerator, denominator=denominator)


def dividend(amount: str, pay_ns: int = NOW_NS) -> CashDividend:
    return CashDividend(
        action_id="d", instrument_id=A, amount=Decimal(amount), currency="USD", pay_ns=pay_ns
    )


def test_a_split_of_three_for_two_pays_the_half_share_in_cash() -> None:
    ledger = held(7, 10_000, mark_ticks=12_000)  # bought 7 at 100.00, now at 120.00
    nav = ledger.find_nav_minor()

    book(ledger, split(3, 2))

    position = ledger.positions[A]
    # 10.5 shares: 10 at 80.00 and 40.00 in cash for the half, whose cost was 700 / 21 = 33.33..
    assert (position.lots, position.mark_ticks) == (10, 8_000)
    assert ledger.cash["USD"] == START - 700 * USD + 40 * USD
    assert position.cost_minor == 700 * USD - 700 * USD // 21
    assert position.realised_minor == 40 * USD - 700 * USD // 21
    assert ledger.find_nav_minor() == nav


def test_a_split_of_a_short_position_owes_the_fraction() -> None:
    ledger = held(-7, 12_000)
    nav = ledger.find_nav_minor()

    book(ledger, split(3, 2))

    assert ledger.lots(A) == -10
    assert ledger.cash["USD"] == START + 840 * USD - 40 * USD
    assert ledger.find_nav_minor() == nav


def test_a_reverse_split_may_pay_out_a_whole_holding() -> None:
    ledger = held(3, 200)

    book(ledger, split(1, 10))

    assert (ledger.lots(A), ledger.positions[A].cost_minor) == (0, 0)
    assert ledger.cash["USD"] == START


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (2.0, (2, 1)),
        (1.5, (3, 2)),
        (0.333333, (1, 3)),
        (0.05, (1, 20)),
        (0.0004, (1, 2_500)),
        (0.075, (3, 40)),
    ],
)
def test_a_ratio_is_read_as_its_simplest_fraction(ratio: float, expected: tuple[int, int]) -> None:
    found = Split.of_ratio("s", A, ratio)

    assert (found.numerator, found.denominator) == expected


@pytest.mark.parametrize("ratio", [0.0, -2.0, float("inf"), float("nan"), 1.0])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match=r"split of US\.A must be"):
        Split.of_ratio("s", A, ratio)


def test_a_dividend_is_owed_from_the_ex_date_and_cash_at_the_pay_date() -> None:
    ledger = held(100)
    nav = ledger.find_nav_minor() or 0

    book(ledger, dividend("0.82", pay_ns=NOW_NS + 5))

    assert ledger.find_nav_minor() == nav + 82 * USD
    assert ledger.cash["USD"] == START - 10_000 * USD
    assert due_payments(ledger, NOW_NS + 4) == []
    (paid,) = due_payments(ledger, NOW_NS + 5)
    assert isinstance(paid, ev.EntitlementPaid)
    for _ in range(2):
        ledger.book_payment(paid)
        assert ledger.cash["USD"] == START - 10_000 * USD + 82 * USD
        assert ledger.find_nav_minor() == nav + 82 * USD
        assert ledger.find_imbalance() is None
    assert due_payments(ledger, NOW_NS + 9) == []


def test_who_is_short_pays_the_dividend() -> None:
    ledger = held(-100)

    book(ledger, dividend("0.82"))
    for paid in due_payments(ledger, NOW_NS):
        assert isinstance(paid, ev.EntitlementPaid)
        ledger.book_payment(paid)

    assert ledger.cash["USD"] == START + 10_000 * USD - 82 * USD
    assert ledger.income["USD"] == -82 * USD


@pytest.mark.parametrize(
    ("lots", "price", "cash"),
    [(100, None, 1_200_000), (100, "0", 0), (-100, "5", -50_000), (100, "5.0075", 50_075)],
)
def test_a_delisted_holding_becomes_cash(lots: int, price: str | None, cash: int) -> None:
    ledger = held(lots, 10_000, mark_ticks=12_000)
    before = ledger.cash["USD"]

    paid = None if price is None else Decimal(price)
    book(ledger, CashOut(action_id="x", instrument_id=A, price=paid))

    assert ledger.lots(A) == 0
    assert ledger.cash["USD"] - before == cash * USD // 100
    assert ledger.positions[A].realised_minor == ledger.cash["USD"] - START
    assert ledger.find_nav_minor() == ledger.cash["USD"]


def test_a_merger_for_shares_and_cash_takes_the_cost_over() -> None:
    ledger = held(101, 10_000)  # cost 10,100

    book(
        ledger,
        StockMerger(
            action_id="m",
            instrument_id=A,
            to_instrument_id=B,
            ratio=Decimal("0.5"),
            cash=Decimal(10),
            to_price_ticks=18_000,
        ),
    )

    # 50.5 shares of B: 50, and 90.00 for the half; 1,010.00 in cash; 9,000.00 of cost go over.
    target = ledger.positions[B]
    assert (ledger.lots(A), target.lots, target.mark_ticks) == (0, 50, 18_000)
    assert ledger.cash["USD"] == START - 10_100 * USD + 1_100 * USD
    assert target.cost_minor == 9_000 * USD
    assert ledger.positions[A].realised_minor == 0


def test_a_change_of_symbol_moves_the_holding_whole() -> None:
    ledger = held(-40, 10_000, mark_ticks=11_111)
    nav = ledger.find_nav_minor()

    (event,) = book(
        ledger,
        StockMerger(action_id="r", instrument_id=A, to_instrument_id=B, action=ActionKind.RENAME),
    )

    assert isinstance(event, ev.HoldingChanged)
    assert event.action is ActionKind.RENAME
    assert (ledger.lots(A), ledger.lots(B)) == (0, -40)
    assert (ledger.positions[B].cost_minor, ledger.positions[B].mark_ticks) == (
        -4_000 * USD,
        11_111,
    )
    assert ledger.find_nav_minor() == nav


def test_a_merger_into_a_stock_that_is_held_short_closes_what_it_meets() -> None:
    ledger = held(100, 10_000)
    short = make_order(B, lots=150, side=OrderSide.SELL, decision_id="d2")
    ledger.book_fill(make_fill(short, price_ticks=12_000))

    book(ledger, StockMerger(action_id="m", instrument_id=A, to_instrument_id=B))

    # 100 bought at 100.00 cover 100 of the 150 that were sold at 120.00.
    assert ledger.lots(B) == -50
    assert ledger.positions[B].realised_minor == 2_000 * USD


def test_a_spin_off_divides_the_cost_by_market_value() -> None:
    ledger = held(11, 10_000, mark_ticks=20_000)  # cost 1,100, worth 2,200
    nav = ledger.find_nav_minor()

    book(
        ledger,
        SpinOff(
            action_id="o",
            instrument_id=A,
            to_instrument_id=B,
            ratio=Decimal("0.5"),
            to_price=Decimal(100),
        ),
    )

    # 5.5 shares of B are worth 550, a quarter: 275 of the cost; 5 shares, and 50 for the half.
    parent, child = ledger.positions[A], ledger.positions[B]
    assert (parent.lots, parent.mark_ticks, parent.cost_minor) == (11, 15_000, 825 * USD)
    assert (child.lots, child.mark_ticks, child.cost_minor) == (5, 10_000, 250 * USD)
    assert parent.realised_minor == 25 * USD  # 50 of cash for a cost of 25
    assert ledger.find_nav_minor() == nav


def test_what_is_exchanged_must_be_quoted_in_one_currency() -> None:
    instruments = {A: make_instrument(A), B: make_instrument(B, currency="EUR")}
    merger = StockMerger(action_id="m", instrument_id=A, to_instrument_id=B)

    with pytest.raises(ValueError, match=r"must be quoted in USD, US.B was in EUR"):
        merger.holding_events(held(1), instruments, NOW_NS)


GTC = TimeInForce.GOOD_TILL_CANCELLED


def venue() -> SimulatedBroker:
    return SimulatedBroker(INSTRUMENTS, fills=FillSettings(participation_fraction_max=0.1))


@pytest.mark.parametrize(
    "action",
    [
        split(2, 1),
        CashOut(action_id="x", instrument_id=A),
        StockMerger(action_id="x", instrument_id=A, to_instrument_id=B, action=ActionKind.RENAME),
        SpinOff(
            action_id="x",
            instrument_id=A,
            to_instrument_id=B,
            ratio=Decimal(1),
            to_price=Decimal(20),
        ),
    ],
    ids=lambda action: type(action).__name__,
)
def test_no_action_pays_back_a_price_that_was_never_paid(action: CorporateAction) -> None:
    ledger = held(100)
    ledger.positions[A].is_margined = True

    with pytest.raises(ValueError, match=r"paid for, US\.A is on margin"):
        action.holding_events(ledger, INSTRUMENTS, NOW_NS)


def test_a_split_with_an_open_limit_order_that_is_partly_filled() -> None:
    broker = venue()
    order = make_order(lots=150, limit=10_001, kind=OrderKind.LIMIT, time_in_force=GTC)
    broker.submit(order, NOW_NS)
    broker.on_bars([make_bar(A, NOW_NS + 1, 100.0, volume=1_000)], NOW_NS + 1)  # 100 of 150

    (adjusted,) = broker.on_action(split(3, 2), NOW_NS + 2)

    # 50 open lots become 75; 100.01 x 2 / 3 = 66.67333.. goes down to 66.67.
    assert isinstance(adjusted, ev.OrderAdjusted)
    assert (adjusted.quantity_lots, adjusted.limit_price_ticks) == (175, 6_667)
    assert broker.on_action(split(3, 2), NOW_NS + 2) == ()
    said = broker.on_bars([make_bar(A, NOW_NS + 3, 66.0, volume=10_000)], NOW_NS + 3)
    assert [e.lots for e in said if isinstance(e, ev.OrderFilled)] == [75]
    assert broker.working_order_ids() == ()


@pytest.mark.parametrize(
    ("side", "kind", "prices", "expected"),
    [
        (OrderSide.BUY, OrderKind.LIMIT, (10_000, None), (9_918, None)),
        (OrderSide.SELL, OrderKind.LIMIT, (10_000, None), None),
        (OrderSide.SELL, OrderKind.STOP, (None, 9_000), (None, 8_918)),
        (OrderSide.BUY, OrderKind.STOP, (None, 11_000), None),
        (OrderSide.SELL, OrderKind.STOP_LIMIT, (8_900, 9_000), (8_818, 8_918)),
    ],
)
def test_a_dividend_lowers_open_buys_and_stops_to_sell(
    side: OrderSide,
    kind: OrderKind,
    prices: tuple[int | None, int | None],
    expected: tuple[int | None, int | None] | None,
) -> None:
    broker = venue()
    order = make_order(
        side=side, kind=kind, limit=prices[0], stop_price_ticks=prices[1], time_in_force=GTC
    )
    broker.submit(order, NOW_NS)

    said = broker.on_action(dividend("0.815"), NOW_NS)  # 81.5 cents: down to the next tick

    told = [
        (e.limit_price_ticks, e.stop_price_ticks) for e in said if isinstance(e, ev.OrderAdjusted)
    ]
    assert told == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    "action",
    [
        split(1, 10),
        CashOut(action_id="x", instrument_id=A),
        StockMerger(action_id="m", instrument_id=A, to_instrument_id=B),
    ],
)
def test_a_reverse_split_and_an_end_cancel_open_orders(action: CorporateAction) -> None:
    broker = venue()
    broker.submit(make_order(limit=10_000, kind=OrderKind.LIMIT, time_in_force=GTC), NOW_NS)
    other = make_order(B, limit=10_000, kind=OrderKind.LIMIT, time_in_force=GTC)
    broker.submit(other, NOW_NS)

    said = broker.on_action(action, NOW_NS)

    assert [type(e) for e in said] == [ev.OrderCancelled]
    assert broker.working_order_ids() == (other.client_order_id,)


def test_cost_is_whole_minor_units_whatever_the_ratio() -> None:
    ledger = held(97, 9_999)
    book(ledger, split(7, 3))

    assert ledger.lots(A) == 226
    assert ledger.cash["USD"] == START - to_minor("9699.03") + round(
        to_minor("99.99") / 7
    )  # a third of a new share
