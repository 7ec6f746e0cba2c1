"""Carry worked by hand: a borrow over a weekend, interest by currency, what cannot be borrowed."""

from decimal import Decimal

import pytest

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.carry.borrow import BorrowAvailability, BorrowCost
from swarm_core.carry.interest import CashInterest, CashRates
from swarm_core.instruments import MINOR_PER_UNIT
from swarm_core.ledger import Ledger
from swarm_core.orders import OrderSide
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


def short_ledger(lots: int = 1_000, price_ticks: int = 5_012) -> Ledger:
    ledger = Ledger("USD", 10**6 * USD)
    order = make_order(lots=lots, side=OrderSide.SELL)
    ledger.book_fill(make_fill(order, price_ticks=price_ticks))
    return ledger


def test_a_borrow_over_a_weekend_costs_three_nights() -> None:
    ledger = short_ledger()

    (fee,) = BorrowCost(annual_rate=Decimal("0.03")).charges(ledger, INSTRUMENTS, 3, NOW_NS)

    # 50.12 x 1.02 = 51.1224, up to 52; 1,000 x 52 x 3 % x 3 / 360 = 13.00.
    assert isinstance(fee, ev.CarryCharged)
    assert (fee.amount_minor, fee.days, fee.instrument_id) == (-13 * USD, 3, A)
    before = ledger.cash["USD"]
    for _ in range(2):  # told twice, charged once
        ledger.book_carry(fee)
        assert ledger.cash["USD"] == before - 13 * USD
        assert ledger.find_imbalance() is None


def test_a_rate_of_its_own_takes_the_place_of_the_general_one() -> None:
    plain = BorrowCost(rates={A: Decimal("0.36")}, collateral_fraction=Decimal(1), rounds_up=False)

    (fee,) = plain.charges(short_ledger(), INSTRUMENTS, 1, NOW_NS)

    assert isinstance(fee, ev.CarryCharged)
    assert fee.amount_minor == -5_012 * USD // 100  # 50,120 x 36 % / 360


def test_longs_and_what_is_not_borrowed_pay_nothing() -> None:
    ledger = Ledger("USD", 10**6 * USD)
    ledger.book_fill(make_fill(make_order(lots=10)))
    assert BorrowCost().charges(ledger, INSTRUMENTS, 1, NOW_NS) == []

    future = {A: make_instrument(asset_class="future")}
    assert BorrowCost().charges(short_ledger(), future, 1, NOW_NS) == []


def test_cash_earns_and_debt_pays_by_the_day_count_of_its_currency() -> None:
    ledger = Ledger("USD", 36_000 * USD)
    ledger.cash["GBP"] = -36_500 * USD
    ledger.deposited["GBP"] = -36_500 * USD
    model = CashInterest(
        rates={
            "USD": CashRates(credit=Decimal("0.04"), debit=Decimal("0.06")),
            "GBP": CashRates(credit=Decimal("0.03"), debit=Decimal("0.05")),
        }
    )

    charges = model.charges(ledger, 2, NOW_NS)

    # 36,000 x 4 % x 2 / 360 = 8.00; -36,500 x 5 % x 2 / 365 = -10.00.
    assert [(e.currency, e.amount_minor) for e in charges if isinstance(e, ev.CarryCharged)] == [
        ("GBP", -10 * USD),
        ("USD", 8 * USD),
    ]


def test_what_cannot_be_borrowed_is_rejected_by_the_venue() -> None:
    broker = SimulatedBroker(INSTRUMENTS, borrow=BorrowAvailability(lots={A: 15}))
    first = make_order(lots=10, side=OrderSide.SELL)
    second = make_order(lots=6, side=OrderSide.SELL, decision_id="d2")
    third = make_order(lots=5, side=OrderSide.SELL, decision_id="d3")

    answers = [broker.submit(order, NOW_NS) for order in (first, second, third)]

    assert [type(said[0]) for said in answers] == [
        ev.OrderAccepted,
        ev.OrderRejected,
        ev.OrderAccepted,
    ]
    rejected = answers[1][0]
    assert isinstance(rejected, ev.OrderRejected)
    assert rejected.reason == "16 lots of US.A cannot be borrowed"


def test_what_is_held_can_be_sold_without_a_borrow() -> None:
    broker = SimulatedBroker(INSTRUMENTS, borrow=BorrowAvailability(default_lots=0))
    broker.submit(make_order(lots=10), NOW_NS)
    broker.on_bars([make_bar(A, NOW_NS + 1, 100.0)], NOW_NS + 1)

    answers = [
        broker.submit(make_order(lots=n, side=OrderSide.SELL, decision_id=f"s{n}"), NOW_NS + 2)
        for n in (10, 1)
    ]
    unborrowed = broker.submit(make_order(B, side=OrderSide.SELL), NOW_NS + 2)

    assert [type(said[0]) for said in (*answers, unborrowed)] == [
        ev.OrderAccepted,
        ev.OrderRejected,
        ev.OrderRejected,
    ]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: BorrowCost(annual_rate=Decimal(-1)), r"annual_rate must be in \[0, 10\], was -1"),
        (lambda: BorrowCost(rates={"US.A": Decimal(11)}), r"US.A must be in \[0, 10\], was 11"),
        (lambda: BorrowAvailability(lots={"US.A": -1}), r"US.A must be >= 0, was -1"),
        (lambda: CashRates(credit=Decimal(2)), r"credit rate must be in \[-1, 1\], was 2"),
    ],
)
def test_a_rate_out_of_bounds_gives_one_line(make: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make()  # type: ignore[operator]  # a builder of what is refused
