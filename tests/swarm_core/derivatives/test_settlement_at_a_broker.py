"""Futures at a broker that pays their profit by itself: the books follow its cash."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.findings import FindingKind
from swarm_core.instruments import to_minor
from swarm_core.orders import OrderSide
from swarm_core.reconciliation import ReconciliationRules, reconcile
from swarm_core.trading_state import TradingState
from tests.swarm_core.broker_accounts import LATER_NS, account
from tests.swarm_core.builders import CASH, NOW_NS, make_fill, make_order

ES, NQ = "FUT.ES", "FUT.NQ"
TICK = 12_50 * 10**6  # 12.50 a lot and tick
RULES = ReconciliationRules(settlement_fraction_max=0.05)


def fill(instrument_id: str, lots: int, price: int, number: int) -> ev.OrderFilled:
    side = OrderSide.BUY if lots > 0 else OrderSide.SELL
    order = make_order(instrument_id, lots=abs(lots), side=side, decision_id=f"d{number}")
    told = make_fill(order, price_ticks=price)
    return replace(told, lot_tick_minor=TICK, is_margined=True, commission_minor=0)


def mark(book: Book, instrument_id: str, price: int) -> None:
    book.apply(
        ev.PositionMarked(
            event_id="m",
            time_ns=NOW_NS,
            instrument_id=instrument_id,
            price_ticks=price,
            lot_tick_minor=TICK,
            currency="USD",
        )
    )


def lots_of(book: Book) -> dict[str, int]:
    return {i: p.lots for i, p in book.ledger.positions.items()}


def shown(book: Book, cash: int, lots: dict[str, int] | None = None):
    held = lots_of(book) if lots is None else lots
    return account(cash_minor={"USD": cash}, position_lots=held)


def holding(*held: tuple[str, int, int]) -> Book:
    book = Book("USD", to_minor(CASH))
    for number, (instrument_id, lots, price) in enumerate(held):
        book.apply(fill(instrument_id, lots, price, number))
    return book


def test_a_settlement_is_booked_and_moves_no_net_asset_value() -> None:
    """Settled at 18_010, which nobody tells; the book's mark is 18_012."""
    book = holding((ES, 2, 18_000))
    mark(book, ES, 18_012)
    nav, cash = book.ledger.find_nav_minor(), book.ledger.cash["USD"] + 2 * 10 * TICK

    found = reconcile(book, shown(book, cash), RULES)
    book.apply_all(found.events)
    again = reconcile(book, shown(book, cash), RULES)

    assert [f.kind for f in found.findings] == [FindingKind.SETTLEMENT_BOOKED]
    assert "as if at 18010.00 ticks" in found.findings[0].detail
    assert (found.mode, again.findings) == (TradingState.ACTIVE, ())
    assert (book.ledger.cash["USD"], book.ledger.find_nav_minor()) == (cash, nav)
    assert book.ledger.find_imbalance() is None


@pytest.mark.parametrize("fraction", [0.0, 0.05])
def test_what_no_settlement_explains_stops_new_risk(fraction: float) -> None:
    """A tenth of what is held is missing, or nothing may be booked at all."""
    book = holding((ES, 2, 18_000))
    cash = book.ledger.cash["USD"] - 2 * 1_800 * TICK

    found = reconcile(
        book, shown(book, cash), ReconciliationRules(settlement_fraction_max=fraction)
    )

    assert [f.kind for f in found.findings] == [FindingKind.CASH_DIFFERS]
    assert (found.events, found.mode) == ((), TradingState.REDUCING)


def test_without_futures_cash_that_differs_is_no_settlement() -> None:
    book = Book("USD", to_minor(CASH))

    found = reconcile(book, shown(book, to_minor(CASH) + 1), RULES)

    assert [f.kind for f in found.findings] == [FindingKind.CASH_DIFFERS]


def test_nothing_is_booked_while_a_fee_is_outstanding() -> None:
    book = holding((ES, 2, 18_000))
    book.apply(replace(fill(ES, 1, 18_000, 7), commission_minor=None))
    cash = book.ledger.cash["USD"] + 10 * TICK

    found = reconcile(book, shown(book, cash), RULES)

    assert (found.findings, found.events) == ((), ())


def test_a_closing_fill_that_was_missed_brings_its_profit() -> None:
    """Its cash is the profit, not the price: the account agrees at once."""
    book = holding((ES, 2, 18_000))
    closing = fill(ES, -2, 18_020, 9)
    cash = book.ledger.cash["USD"] + 2 * 20 * TICK
    rules = replace(RULES, adopt_foreign=True)
    told = replace(shown(book, cash, {}), fills=(closing,))

    found = reconcile(book, told, rules)
    book.apply_all(found.events)

    assert (found.mode, book.ledger.cash["USD"]) == (TradingState.ACTIVE, cash)
    assert reconcile(book, told, rules).findings == ()


class Broker:
    """Pays futures as an exchange does: each day's move of each lot, to the tick."""

    def __init__(self) -> None:
        self.cash = to_minor(CASH)
        self.lots = {ES: 0, NQ: 0}
        self.basis = {ES: Decimal(0), NQ: Decimal(0)}

    def trade(self, instrument_id: str, lots: int, price: int) -> None:
        self.settle(instrument_id, price)
        self.lots[instrument_id] += lots

    def settle(self, instrument_id: str, price: int) -> None:
        moved = price - self.basis[instrument_id]
        self.cash += int(moved * self.lots[instrument_id]) * TICK
        self.basis[instrument_id] = Decimal(price)


@given(
    days=st.lists(
        st.tuples(
            st.integers(-3, 3),
            st.integers(-3, 3),
            st.integers(17_800, 18_200),
            st.integers(19_800, 20_200),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_over_many_days_cash_agrees_and_the_profit_is_all_there(
    days: list[tuple[int, int, int, int]],
) -> None:
    """Trades in two futures, a settlement a day at prices that the book sees only nearly."""
    broker, book = Broker(), Book("USD", to_minor(CASH))
    for number, (es, nq, es_price, nq_price) in enumerate(days):
        trades = ((ES, es, es_price, 0), (NQ, nq, nq_price, 1))
        for instrument_id, lots, price, place in trades:
            if lots:
                book.apply(fill(instrument_id, lots, price + 3, 2 * number + place))
                broker.trade(instrument_id, lots, price + 3)
        for instrument_id, price in ((ES, es_price), (NQ, nq_price)):
            broker.settle(instrument_id, price)
            mark(book, instrument_id, price + 2)
        told = replace(shown(book, broker.cash, dict(broker.lots)), time_ns=LATER_NS + number)
        found = reconcile(book, told, RULES)
        book.apply_all(found.events)

        assert found.mode is TradingState.ACTIVE, found.reason
        assert book.ledger.cash["USD"] == broker.cash
        assert book.ledger.find_imbalance() is None
        assert reconcile(book, told, RULES).events == ()
