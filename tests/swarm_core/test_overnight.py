"""The night before a session: carry, splits and dividends, in one batch with its opening."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from adapters.brokers.simulated import SimulatedBroker
from adapters.stores.event_log_memory import MemoryEventLog
from swarm_core import events as ev
from swarm_core.actions.dividends import CashDividend
from swarm_core.actions.splits import Split
from swarm_core.book import Book
from swarm_core.carry.borrow import BorrowCost
from swarm_core.carry.interest import CashInterest, CashRates
from swarm_core.colony.settings import ColonySettings
from swarm_core.currencies import FillConversion
from swarm_core.fills import FillSettings
from swarm_core.frictions.slippage import TickSlippage
from swarm_core.instruments import MINOR_PER_UNIT
from swarm_core.order_path import OrderPath
from swarm_core.orders import OrderKind, OrderSide, TimeInForce
from swarm_core.overnight import Carry, nights_between
from swarm_core.replay import replay
from swarm_core.session import SessionMarket, SessionRules, close_session
from swarm_core.sizing import SizingSettings
from tests.swarm_core.builders import (
    CASH,
    DAY_NS,
    INSTRUMENTS,
    NOW_NS,
    A,
    make_bar,
    make_limits,
    make_order,
)

USD = MINOR_PER_UNIT
DIVIDEND = CashDividend(
    action_id="d", instrument_id=A, amount=Decimal("0.50"), currency="USD", pay_ns=0
)
SPLIT = Split(action_id="s", instrument_id=A, numerator=2, denominator=1)
CARRY = Carry(
    interest=CashInterest(rates={"USD": CashRates(credit=Decimal("0.036"))}),
    borrow=BorrowCost(annual_rate=Decimal("0.36"), collateral_fraction=Decimal(1), rounds_up=False),
)


class Desk:
    """A book, its log and a venue without frictions, over sessions named by their dates."""

    def __init__(self, carry: Carry, conversion: FillConversion | None = None) -> None:
        self.log, self.book = MemoryEventLog(), Book("USD", int(CASH) * USD)
        self.broker = SimulatedBroker(
            INSTRUMENTS, fills=FillSettings(slippage=TickSlippage(0), participation_fraction_max=1)
        )
        self.rules = SessionRules(
            colony=ColonySettings(),
            limits=make_limits(),
            instruments=INSTRUMENTS,
            sizing=SizingSettings(),
            carry=carry,
            conversion=conversion,
        )

    def close(
        self,
        session: str,
        day: int,
        price: float,
        *actions: object,
        rates: Mapping[str, Decimal] | None = None,
    ) -> None:
        time_ns = NOW_NS + day * DAY_NS
        market = SessionMarket(
            session=session,
            open_ns=time_ns - DAY_NS // 4,
            close_ns=time_ns,
            decision_ns=time_ns + 1,
            bars=(make_bar(A, time_ns, price),),
            quotes={},
            actions=actions,  # type: ignore[arg-type]  # actions of any kind
            rates=rates or {},
        )
        close_session(market, self.rules, book=self.book, log=self.log, broker=self.broker)
        assert self.book.ledger.find_imbalance() is None

    def order(self, lots: int, side: OrderSide, **fields: object) -> str:
        """Write and send an order as the order path does, without its gate."""
        order = make_order(lots=lots, side=side, decision_id=f"d{self.book.sequence}", **fields)  # type: ignore[arg-type]  # a builder
        name = order.client_order_id
        path = OrderPath(self.book, self.log, self.broker, NOW_NS)
        path.write(
            [
                ev.OrderIntended(event_id=f"i{name}", time_ns=NOW_NS, order=order),
                ev.OrderApproved(
                    event_id=f"v{name}",
                    time_ns=NOW_NS,
                    client_order_id=name,
                    attempt=1,
                    reference_ticks=1,
                    value_micros=1,
                ),
                ev.OrderSubmitted(
                    event_id=f"s{name}", time_ns=NOW_NS, client_order_id=name, attempt=1
                ),
            ]
        )
        path.take_in(self.broker.submit(order, NOW_NS))
        return name


@pytest.mark.parametrize(
    ("earlier", "later", "nights"),
    [("2026-03-06", "2026-03-09", 3), ("2026-03-09", "2026-03-10", 1), ("", "2026-03-10", 0)],
)
def test_nights_are_calendar_days(earlier: str, later: str, nights: int) -> None:
    assert nights_between(earlier, later) == nights


def test_a_short_held_over_a_weekend_pays_borrow_a_dividend_and_is_split() -> None:
    desk = Desk(CARRY)
    desk.order(100, OrderSide.SELL)
    desk.close("2026-03-06", 1, 100.0)
    cash = desk.book.ledger.cash["USD"]
    commission = desk.book.ledger.fees["USD"]
    assert cash == int(CASH) * USD + 10_000 * USD - commission

    desk.close("2026-03-09", 4, 49.0, DIVIDEND, SPLIT)

    # Three nights: interest of 3.6 % / 360 on the cash, borrow of 36 % / 360 on 10,000.
    interest, borrow = round(cash * 3 / 10_000), 30 * USD
    ledger = desk.book.ledger
    assert ledger.lots(A) == -200
    assert ledger.cash["USD"] == cash + interest - borrow - 50 * USD
    assert ledger.income["USD"] == interest - borrow - 50 * USD
    assert desk.book.find_nav() == float(ledger.cash["USD"] - 200 * 49 * USD) / USD


def test_an_order_left_open_over_a_split_is_filled_in_new_lots() -> None:
    desk = Desk(Carry())
    name = desk.order(
        100,
        OrderSide.BUY,
        limit=9_000,
        kind=OrderKind.LIMIT,
        time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
    )
    desk.close("2026-03-06", 1, 100.0)
    desk.close("2026-03-09", 4, 44.0, SPLIT)

    record = desk.book.orders[name]
    assert (record.order.quantity_lots, record.order.limit_price_ticks) == (200, 4_500)
    assert (desk.book.lots(A), record.state.value) == (200, "filled")


class StopsAfterFills:
    """A log that is written to and then ends its process, once fills are in it."""

    def __init__(self, log: MemoryEventLog) -> None:
        self.log = log

    def append(self, events: Sequence[ev.Event], *, expected_sequence: int | None = None):
        recorded = self.log.append(events, expected_sequence=expected_sequence)
        if any(isinstance(event, ev.OrderFilled) for event in events):
            raise KeyboardInterrupt
        return recorded

    def read(self, after_sequence: int = 0):
        return self.log.read(after_sequence)


def test_what_is_bought_at_the_opening_of_an_ex_date_has_no_claim() -> None:
    """A session that was opened and not closed is finished without meeting its actions again."""
    desk = Desk(CARRY)
    desk.close("2026-03-06", 1, 100.0)
    desk.order(100, OrderSide.BUY)
    market = _market("2026-03-09", 4, 50.0)
    stopping = StopsAfterFills(desk.log)
    with pytest.raises(KeyboardInterrupt):
        close_session(market, desk.rules, book=desk.book, log=stopping, broker=desk.broker)

    book, broker = Book("USD", int(CASH) * USD), desk.broker.with_events(desk.log.read())
    close_session(market, desk.rules, book=book, log=desk.log, broker=broker)

    # The open order became one for 200; what it bought is not split, and has no dividend.
    assert book.lots(A) == 200
    assert book.ledger.entitlements == {}
    kinds = [type(r.event) for r in desk.log.read()]
    assert (kinds.count(ev.SessionOpened), kinds.count(ev.CarryCharged)) == (2, 1)


def _market(session: str, day: int, price: float) -> SessionMarket:
    time_ns = NOW_NS + day * DAY_NS
    return SessionMarket(
        session=session,
        open_ns=time_ns - DAY_NS // 4,
        close_ns=time_ns,
        decision_ns=time_ns + 1,
        bars=(make_bar(A, time_ns, price),),
        quotes={},
        actions=(DIVIDEND, SPLIT),
    )


def test_the_log_of_such_nights_replays_to_the_same_books() -> None:
    desk = Desk(CARRY)
    desk.order(100, OrderSide.SELL)
    desk.close("2026-03-06", 1, 100.0)
    desk.close("2026-03-09", 4, 49.0, DIVIDEND, SPLIT)
    stored = [ev.decode(ev.encode(r.event)) for r in desk.log.read()]

    first, second = (replay(events, "USD", CASH) for events in (desk.log.read(), stored))

    assert first.book_digest == second.book_digest


def test_each_fill_of_a_foreign_share_is_converted_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 at 50.00 EUR and a commission in one batch with their trade; sold at 51.00 and 1.30.

    Bought at 1.25: (5,000 + c) x 1.25 and 20 bps of it; sold: (5,100 - c) x 1.30 less 20 bps.
    c is the commission, in euros. No euro is left.
    """
    monkeypatch.setitem(INSTRUMENTS, A, replace(INSTRUMENTS[A], currency="EUR"))
    desk = Desk(Carry(), FillConversion(spread_bps=Decimal(20)))
    cash, paid = int(CASH) * USD, 0
    for day, (side, price, rate) in enumerate(
        [(OrderSide.BUY, 50, "1.25"), (OrderSide.SELL, 51, "1.30")], 1
    ):
        desk.order(100, side)
        before = desk.book.sequence
        desk.close(f"2026-03-0{day + 1}", day, float(price), rates={"EUR": Decimal(rate)})
        told = [record.event for record in desk.log.read(before)]
        fill, trade = (
            next(e for e in told if isinstance(e, kind))
            for kind in (ev.OrderFilled, ev.CurrencyConverted)
        )
        assert told.index(trade) == told.index(fill) + 1
        assert fill.commission_minor is not None
        euros = -side.sign * 100 * price * USD - fill.commission_minor
        value = round(abs(euros) * Decimal(rate))
        spread = -(-value * 20 // 10_000)
        cash += (value if euros > 0 else -value) - spread
        paid += fill.commission_minor
        assert desk.book.ledger.cash == {"USD": cash, "EUR": 0}
    assert paid > 0
    assert desk.book.ledger.find_imbalance() is None
    assert desk.book.find_nav() == float(cash) / USD
