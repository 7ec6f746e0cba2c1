"""What each strategy won or lost is its own doing, and a limit on its loss stops it alone."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.action_events import ActionKind
from swarm_core.book import Book
from swarm_core.instruments import to_minor
from swarm_core.orders import OrderSide
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.context import measure
from swarm_core.risk.gate import Approved, Denied, check_order
from swarm_core.risk.limits import RiskLimits
from tests.swarm_core.builders import (
    INSTRUMENTS,
    NOW_NS,
    A,
    B,
    make_fill,
    make_order,
    make_quote,
)

LIMITS = RiskLimits.from_mapping(
    {
        "short_locate_required": False,
        "position_fraction_max": 1.0,
        "daily_loss_fraction_max": 0.5,
        "levels": {"strategy": {"bees": {"daily_loss_fraction_max": 0.01}}},
    }
)


def make_book() -> Book:
    book = Book("USD", to_minor(100_000))
    book.apply(
        ev.SessionOpened(
            event_id="open", time_ns=1, session="s", base_currency="USD",
            nav_minor=to_minor(100_000),
        )
    )  # fmt: skip
    return book


def trade(book: Book, strategy: str, lots: int, ticks: int, number: int) -> ev.OrderFilled:
    side = OrderSide.BUY if lots > 0 else OrderSide.SELL
    order = make_order(lots=abs(lots), side=side, decision_id=f"d{number}", strategy=strategy)
    fill = replace(make_fill(order, price_ticks=ticks), commission_minor=None)
    book.apply_all([ev.OrderIntended(event_id=f"i{number}", time_ns=1, order=order), fill])
    return fill


def mark(book: Book, ticks: int) -> None:
    book.apply(
        ev.PositionMarked(
            event_id=f"m{ticks}", time_ns=1, instrument_id=A, price_ticks=ticks,
            lot_tick_minor=10**6, currency="USD",
        )
    )  # fmt: skip


def verdict(
    book: Book,
    strategy: str,
    *,
    instrument_id: str = B,
    limits: RiskLimits = LIMITS,
    side: OrderSide = OrderSide.BUY,
) -> Approved | Denied:
    context = measure(
        book=book,
        quotes={A: make_quote(), B: make_quote(B)},
        instruments=INSTRUMENTS,
        limits=limits,
        time_ns=NOW_NS,
    )
    order = make_order(instrument_id, side=side, strategy=strategy, decision_id="new")
    return check_order(order, context)


def test_a_strategy_that_lost_too_much_is_stopped_and_the_others_go_on() -> None:
    book = make_book()
    trade(book, "bees", 100, 10_000, 1)
    mark(book, 9_900)  # 100 dollars: a tenth of what stops it
    assert isinstance(verdict(book, "bees"), Approved)
    mark(book, 8_900)  # 1,100 dollars of 100,000

    denied = verdict(book, "bees")

    assert isinstance(denied, Denied)
    assert (denied.code, denied.measured, denied.level) == (
        DenialCode.DAILY_LOSS, 11_000, "strategy bees",
    )  # fmt: skip
    assert isinstance(verdict(book, "ants"), Approved)


def test_the_loss_of_another_strategy_is_not_counted_against_it() -> None:
    book = make_book()
    trade(book, "bees", 10, 10_000, 1)
    trade(book, "ants", 100, 10_000, 2)
    mark(book, 8_900)
    assert isinstance(verdict(book, "bees"), Approved)


def test_the_loss_is_of_the_day() -> None:
    book = make_book()
    trade(book, "bees", 100, 10_000, 1)
    mark(book, 8_900)
    nav = book.ledger.find_nav_minor()
    assert nav is not None
    book.apply(
        ev.SessionOpened(
            event_id="next", time_ns=2, session="t", base_currency="USD", nav_minor=nav
        )
    )
    assert isinstance(verdict(book, "bees"), Approved)


def next_session(book: Book, number: int, *, opens: bool = True) -> None:
    nav = book.ledger.find_nav_minor()
    assert nav is not None
    if opens:
        book.apply(
            ev.SessionOpened(
                event_id=f"open{number}", time_ns=number, session=f"s{number}",
                base_currency="USD", nav_minor=nav,
            )
        )  # fmt: skip
        return
    book.apply(
        ev.SessionClosed(
            event_id=f"close{number}", time_ns=number, session=f"s{number}", nav_minor=nav
        )
    )


FALLS = RiskLimits.from_mapping(
    {
        "short_locate_required": False,
        "position_fraction_max": 1.0,
        "drawdown_fraction_max": 0.9,
        "levels": {"strategy": {"bees": {"drawdown_fraction_max": 0.02}}},
    }
)


def test_a_fall_over_many_days_stops_the_strategy_that_fell_alone() -> None:
    book = make_book()
    trade(book, "bees", 100, 10_000, 1)
    mark(book, 11_000)  # 1,000 dollars won at the close of the first day
    next_session(book, 1, opens=False)
    for number, ticks in enumerate((10_500, 10_000, 9_500), 2):  # 500 more lost each day
        next_session(book, number)
        mark(book, ticks)
    assert isinstance(verdict(book, "bees", limits=FALLS), Approved)
    next_session(book, 5)
    mark(book, 8_900)  # 2,100 below the peak, where the book would be worth 101,000

    denied = verdict(book, "bees", limits=FALLS)

    assert isinstance(denied, Denied)
    assert (denied.code, denied.measured, denied.level) == (
        DenialCode.DRAWDOWN, 2_100 * 10**6 // 101_000, "strategy bees",
    )  # fmt: skip
    assert isinstance(verdict(book, "ants", limits=FALLS), Approved)
    assert isinstance(verdict(book, "bees", instrument_id=A, limits=FALLS), Denied)
    assert isinstance(verdict(book, "bees", instrument_id=A, side=OrderSide.SELL, limits=FALLS),
                      Approved)  # fmt: skip


def test_a_strategy_that_only_ever_lost_falls_from_nothing_won() -> None:
    book = make_book()
    trade(book, "bees", 100, 10_000, 1)
    mark(book, 8_950)
    next_session(book, 1)
    assert isinstance(verdict(book, "bees", limits=FALLS), Approved)
    mark(book, 7_950)
    denied = verdict(book, "bees", limits=FALLS)
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.DRAWDOWN
    assert denied.measured == 2_050 * 10**6 // 100_000


def test_a_fee_counts_once_whether_it_comes_before_or_after_its_fill() -> None:
    for late in (True, False):
        book = make_book()
        order = make_order(decision_id="d1", strategy="bees")
        fill = replace(make_fill(order), commission_minor=None)
        fee = ev.CommissionCharged(
            event_id="c", time_ns=1, execution_id=fill.execution_id, currency="USD",
            commission_minor=7,
        )  # fmt: skip
        book.apply(ev.OrderIntended(event_id="i", time_ns=1, order=order))
        book.apply_all([fill, fee, fee] if late else [fee, fill, fill])
        assert book.strategies["bees"].fees == {"USD": 7}


def test_a_split_is_no_loss_and_a_dividend_makes_up_for_the_fall() -> None:
    book = make_book()
    trade(book, "bees", 100, 10_000, 1)
    trade(book, "ants", 50, 10_000, 2)
    book.apply(
        ev.HoldingChanged(
            event_id="s", time_ns=1, action_id="split", action=ActionKind.SPLIT, instrument_id=A,
            currency="USD", lots_change=150, cost_out_minor=0, cash_minor=0, mark_ticks=5_000,
        )
    )  # fmt: skip
    assert {n: s.positions[A].lots for n, s in book.strategies.items()} == {
        "bees": 200,
        "ants": 100,
    }
    assert book.strategies["bees"].find_profit_minor(book.ledger) == 0
    book.apply(
        ev.EntitlementAccrued(
            event_id="e", time_ns=1, action_id="dividend", instrument_id=A, currency="USD",
            amount_minor=300 * 100 * 10**6, pay_ns=5,
        )
    )  # fmt: skip
    mark(book, 4_900)
    assert book.strategies["bees"].find_profit_minor(book.ledger) == 0


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("bees", "ants")), st.integers(-50, 50).filter(bool),
            st.integers(9_000, 11_000),
        ),
        min_size=1, max_size=12,
    ),
    st.integers(8_000, 12_000),
)  # fmt: skip
def test_the_strategies_together_won_what_the_book_won(
    trades: list[tuple[str, int, int]], ticks: int
) -> None:
    book = make_book()
    for number, (strategy, lots, price) in enumerate(trades):
        trade(book, strategy, lots, price, number)
    mark(book, ticks)
    profits = [s.find_profit_minor(book.ledger) for s in book.strategies.values()]
    nav = book.ledger.find_nav_minor()
    assert nav is not None
    assert sum(p or 0 for p in profits) == nav - to_minor(100_000)
    held = sum(s.positions[A].lots for s in book.strategies.values() if A in s.positions)
    assert held == book.lots(A)
