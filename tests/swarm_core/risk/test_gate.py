"""The gate: nothing over a limit, and nothing unmeasurable, passes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.market import Quote
from swarm_core.orders import ExitKind, Order, OrderKind, OrderSide
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.compiled import CompiledGate
from swarm_core.risk.context import RiskContext, measure
from swarm_core.risk.gate import Approved, Denied, check_order
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import (
    NOW_NS,
    A,
    B,
    C,
    make_fill,
    make_instrument,
    make_limits,
    make_order,
    make_quote,
)

NAV = 100_000  # dollars; every instrument trades at 100.00, so 10 lots are 1 % of it


@dataclass
class Desk:
    """A book in which an order for 10 lots of US.A passes; each case spoils one thing."""

    book: Book = field(default_factory=lambda: Book("USD", NAV * 10**8))
    quotes: dict[str, Quote] = field(default_factory=lambda: {i: make_quote(i) for i in (A, B, C)})
    instruments: dict[str, Any] = field(
        default_factory=lambda: {i: make_instrument(i) for i in (A, B, C)}
    )
    limits: dict[str, object] = field(default_factory=dict)
    order: Order = field(default_factory=make_order)

    def context(self) -> RiskContext:
        return measure(
            book=self.book,
            quotes=self.quotes,
            instruments=self.instruments,
            limits=make_limits(**self.limits),
            time_ns=NOW_NS,
        )

    def check(self) -> Approved | Denied:
        return check_order(self.order, self.context())

    def hold(self, instrument_id: str, lots: int) -> None:
        side = OrderSide.BUY if lots > 0 else OrderSide.SELL
        self.book.ledger.book_fill(
            make_fill(make_order(instrument_id, abs(lots), side, decision_id=f"held-{lots}"))
        )

    def send(self, order: Order) -> None:
        for event in sent(order):
            self.book.apply(event)


def sent(order: Order) -> list[ev.Event]:
    order_id = order.client_order_id
    head = {"time_ns": NOW_NS, "client_order_id": order_id}
    return [
        ev.OrderIntended(event_id=f"{order_id}i", time_ns=NOW_NS, order=order),
        ev.OrderApproved(
            **head, event_id=f"{order_id}a", attempt=1, reference_ticks=1, value_micros=1
        ),
        ev.OrderSubmitted(**head, event_id=f"{order_id}s", attempt=1),
    ]


def buys(name: str) -> Callable[[Desk], None]:
    return lambda desk: desk.send(make_order(name, 11, decision_id="other"))


def spoil(desk: Desk, **fields: object) -> None:
    for name, value in fields.items():
        setattr(desk, name, value)


def unquoted(desk: Desk) -> None:
    del desk.quotes[A]


def quoted(**fields: Any) -> Callable[[Desk], None]:
    return lambda desk: desk.quotes.update({A: replace(desk.quotes[A], **fields)})


def limited(**fields: object) -> Callable[[Desk], None]:
    return lambda desk: desk.limits.update(fields)


def ordered(**fields: Any) -> Callable[[Desk], None]:
    return lambda desk: spoil(desk, order=make_order(**fields))


def stopped(ticks: int, **fields: Any) -> Callable[[Desk], None]:
    return ordered(kind=OrderKind.STOP, stop_price_ticks=ticks, **fields)


def instrument(**fields: object) -> Callable[[Desk], None]:
    return lambda desk: desk.instruments.update({A: make_instrument(A, **fields)})


def state(to: TradingState) -> Callable[[Desk], None]:
    return lambda desk: spoil(desk.book, trading_state=to)  # type: ignore[arg-type]  # any object


def peak(dollars: int, name: str) -> Callable[[Desk], None]:
    return lambda desk: setattr(desk.book, name, dollars * 10**8)


def bankrupt(desk: Desk) -> None:
    desk.book.ledger.cash["USD"] = -1


def throttled(desk: Desk) -> None:
    desk.book.throttled.add(A)


def exits_of(lots: int) -> Callable[[Desk], None]:
    """Hold 10 lots, and ask for the way out of other lots."""

    def ask(desk: Desk) -> None:
        desk.hold(A, 10)
        desk.order = make_order(
            lots=lots,
            side=OrderSide.SELL,
            kind=OrderKind.STOP,
            stop_price_ticks=9_000,
            exit_kind=ExitKind.STOP_LOSS,
            parent_client_order_id="A1",
        )

    return ask


# Every code of the enum, and the least that brings it about.
CASES: list[tuple[DenialCode, tuple[Callable[[Desk], None], ...]]] = [
    (DenialCode.UNKNOWN_INSTRUMENT, (ordered(instrument_id="US.X"),)),
    (DenialCode.UNKNOWN_INSTRUMENT, (lambda desk: desk.instruments.pop(A),)),
    (DenialCode.NO_QUOTE, (unquoted,)),
    (DenialCode.STALE_QUOTE, (quoted(time_ns=NOW_NS - 93_601 * 10**9),)),
    (DenialCode.STALE_QUOTE, (quoted(time_ns=NOW_NS + 1),)),
    (DenialCode.BAD_REFERENCE, (quoted(reference_ticks=0),)),
    (DenialCode.BAD_REFERENCE, (quoted(reference_ticks=-3_763),)),
    (DenialCode.BAD_REFERENCE, (instrument(asset_class="future"), quoted(reference_ticks=0))),
    (
        DenialCode.PRICE_COLLAR,  # 5 % of 3,763 are 188
        (
            instrument(asset_class="future"),
            quoted(reference_ticks=-3_763),
            ordered(limit=-3_952),
        ),
    ),
    (DenialCode.NO_CURRENCY_RATE, (instrument(currency="EUR"),)),
    (DenialCode.NO_NET_ASSET_VALUE, (bankrupt,)),
    (DenialCode.NO_NET_ASSET_VALUE, (peak(0, "session_nav_minor"),)),
    (DenialCode.NO_VOLUME, (quoted(daily_volume_lots=None), limited(volume_required=True))),
    (DenialCode.OUT_OF_RANGE, (ordered(lots=10**12), quoted(reference_ticks=10**12))),
    (DenialCode.HALTED, (state(TradingState.HALTED),)),
    (DenialCode.REDUCING_ONLY, (state(TradingState.REDUCING),)),
    (DenialCode.RESTRICTED, (limited(restricted=frozenset({A})),)),
    (DenialCode.NOT_PERMITTED, (instrument(asset_class="warrant"),)),
    (DenialCode.SESSION_CLOSED, (ordered(kind=OrderKind.MARKET), quoted(session_open=False))),
    (DenialCode.SESSION_UNKNOWN, (ordered(kind=OrderKind.MARKET),)),
    (DenialCode.NO_LOCATE, (ordered(side=OrderSide.SELL), limited(short_locate_required=True))),
    (DenialCode.DUPLICATE_ORDER, (lambda desk: desk.send(make_order()),)),
    (DenialCode.DUPLICATE_ORDER, (lambda desk: desk.send(make_order(decision_id="other")),)),
    (DenialCode.MESSAGE_RATE, (buys(B), limited(messages_max=1))),
    (DenialCode.THROTTLE, (buys(A), limited(repeats_max=1))),
    (DenialCode.THROTTLE, (throttled,)),
    (DenialCode.PRICE_COLLAR, (ordered(limit=10_501),)),
    (DenialCode.PRICE_COLLAR, (ordered(limit=9_499),)),
    (DenialCode.STOP_PRICE, (stopped(10_000), quoted(session_open=True))),
    (DenialCode.STOP_PRICE, (stopped(10_000, side=OrderSide.SELL), quoted(session_open=True))),
    (DenialCode.ORDER_VALUE, (limited(order_value_max=Decimal("999.99")),)),
    (DenialCode.ORDER_VALUE, (limited(order_value_fraction_max=0.0099),)),
    (DenialCode.ORDER_VOLUME, (quoted(daily_volume_lots=199),)),
    (DenialCode.POSITION_VALUE, (limited(position_value_max=Decimal("999.99")),)),
    (DenialCode.CONCENTRATION, (limited(position_fraction_max=0.0099),)),
    (DenialCode.CONCENTRATION, (buys(A), limited(position_fraction_max=0.0209))),
    (DenialCode.GROSS_EXPOSURE, (buys(B), limited(gross_fraction_max=0.0209))),
    (DenialCode.NET_EXPOSURE, (buys(B), limited(net_fraction_max=0.0209))),
    (DenialCode.SECTOR_EXPOSURE, (buys(B), limited(sector_fraction_max=0.0209))),
    (
        DenialCode.CURRENCY_EXPOSURE,
        (
            instrument(currency="EUR"),
            lambda desk: desk.book.ledger.mark_currency("EUR", Decimal("1.1")),
            limited(currency_fraction_max=0.0109),
        ),
    ),
    (DenialCode.BRACKET, (exits_of(11),)),
    (DenialCode.BUYING_POWER, (buys(B), limited(leverage_max=0.0209))),
    (DenialCode.DAILY_LOSS, (peak(105_264, "session_nav_minor"),)),
    (DenialCode.DRAWDOWN, (peak(133_400, "peak_nav_minor"),)),
]


def test_an_order_within_every_limit_is_approved() -> None:
    assert Desk().check() == Approved(reference_ticks=10_000, value_micros=1_000 * 10**6)


@pytest.mark.parametrize(("code", "spoilers"), CASES)
def test_one_spoiled_thing_denies_with_its_code(
    code: DenialCode, spoilers: tuple[Callable[[Desk], None], ...]
) -> None:
    desk = Desk()
    for spoiler in spoilers:
        spoiler(desk)

    verdict = desk.check()

    assert isinstance(verdict, Denied)
    assert verdict.code is code


def test_a_way_out_of_what_is_held_passes_every_limit_on_exposure() -> None:
    desk = Desk()
    exits_of(10)(desk)
    limited(order_value_max=Decimal(1), gross_fraction_max=0.001)(desk)
    assert isinstance(desk.check(), Approved)


def test_the_compiled_gate_does_not_judge_exits() -> None:
    desk = Desk()
    exits_of(10)(desk)
    with pytest.raises(ValueError, match="check_order"):
        CompiledGate(desk.context()).check([desk.order])


def test_every_code_has_a_case() -> None:
    # The margin is the broker's to say: tests/trader/test_margin.py.
    assert {code for code, _ in CASES} == set(DenialCode) - {DenialCode.MARGIN}


LOOSER = [
    (DenialCode.PRICE_COLLAR, ordered(limit=10_500)),
    (DenialCode.ORDER_VALUE, limited(order_value_max=Decimal(1_000))),
    (DenialCode.ORDER_VOLUME, quoted(daily_volume_lots=200)),
    (DenialCode.CONCENTRATION, limited(position_fraction_max=0.01)),
    (DenialCode.GROSS_EXPOSURE, limited(gross_fraction_max=0.01)),
    (DenialCode.STALE_QUOTE, quoted(time_ns=NOW_NS - 93_600 * 10**9)),
]


@pytest.mark.parametrize(("code", "spoiler"), LOOSER)
def test_an_order_at_its_limit_is_approved(
    code: DenialCode, spoiler: Callable[[Desk], None]
) -> None:
    desk = Desk()
    spoiler(desk)

    assert isinstance(desk.check(), Approved), code


@pytest.mark.parametrize(
    "spoiler",
    [
        limited(gross_fraction_max=0.001),
        limited(position_fraction_max=0.001),
        state(TradingState.REDUCING),
        peak(200_000, "peak_nav_minor"),
        peak(200_000, "session_nav_minor"),
    ],
)
def test_a_way_back_stays_open(spoiler: Callable[[Desk], None]) -> None:
    desk = Desk(order=make_order(side=OrderSide.SELL, lots=10))
    desk.hold(A, 20)
    spoiler(desk)

    assert isinstance(desk.check(), Approved)


def test_two_orders_that_reduce_do_not_together_turn_the_position() -> None:
    desk = Desk(order=make_order(side=OrderSide.SELL, lots=11))
    desk.hold(A, 20)
    desk.send(make_order(side=OrderSide.SELL, lots=10, decision_id="first"))
    desk.book.trading_state = TradingState.REDUCING

    verdict = desk.check()

    assert isinstance(verdict, Denied)
    assert verdict.code is DenialCode.REDUCING_ONLY


def test_a_cancel_counts_as_a_message() -> None:
    desk = Desk()
    desk.limits["messages_max"] = 2
    order = make_order(B, 11, decision_id="other")
    desk.send(order)
    assert isinstance(desk.check(), Approved)
    desk.book.apply(
        ev.OrderCancelRequested(
            event_id="c", time_ns=NOW_NS, client_order_id=order.client_order_id, reason=""
        )
    )

    verdict = desk.check()

    assert isinstance(verdict, Denied)
    assert verdict.code is DenialCode.MESSAGE_RATE


def test_a_tripped_throttle_waits_for_a_person() -> None:
    desk = Desk()
    first = make_order(A, 1, decision_id="runaway")
    desk.book.apply(ev.OrderIntended(event_id="i", time_ns=0, order=first))
    desk.book.apply(
        ev.OrderDenied(
            event_id="d",
            time_ns=0,
            client_order_id=first.client_order_id,
            code=DenialCode.THROTTLE,
            measured=21,
            limit=20,
            detail="",
        )
    )
    assert isinstance(desk.check(), Denied)

    desk.book.apply(
        ev.ThrottleReset(event_id="r", time_ns=1, instrument_id=A, actor="ann", reason="looked")
    )
    assert isinstance(desk.check(), Approved)


@given(
    orders=st.lists(
        st.tuples(st.sampled_from([A, B, C]), st.sampled_from(OrderSide), st.integers(1, 600)),
        max_size=30,
    ),
    held=st.tuples(st.integers(-300, 300), st.integers(-300, 300)),
)
def test_whatever_is_approved_no_fill_of_it_breaks_a_limit(
    orders: list[tuple[str, OrderSide, int]], held: tuple[int, int]
) -> None:
    desk = Desk(limits={"gross_fraction_max": 0.9, "position_fraction_max": 0.4})
    for name, lots in zip((A, B), held, strict=True):
        if lots:
            desk.hold(name, lots)
    context = desk.context()
    assert context.nav is not None
    start = {name: desk.book.lots(name) for name in (A, B, C)}
    bought, sold = dict.fromkeys(start, 0), dict.fromkeys(start, 0)
    for i, (name, side, lots) in enumerate(orders):
        order = make_order(name, lots, side, decision_id=f"d{i}")
        if isinstance(check_order(order, context), Approved):
            context.send(order)
            (bought if side is OrderSide.BUY else sold)[name] += lots

    worst = {
        n: max(abs(start[n]), abs(start[n] + bought[n]), abs(start[n] - sold[n])) for n in start
    }
    value = 100 * 10**6
    for name in start:
        assert worst[name] * value <= max(0.4 * context.nav, abs(start[name]) * value)
    gross_before = sum(map(abs, start.values())) * value
    assert sum(worst.values()) * value <= max(0.9 * context.nav, gross_before)
