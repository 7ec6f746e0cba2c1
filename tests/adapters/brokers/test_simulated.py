"""The simulated broker: one order per client id, the same events for the same bars."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.actions.splits import Split
from swarm_core.commissions import (
    IbFixedCommission,
    IbTieredCommission,
    MakerTakerCommission,
)
from swarm_core.fills import FillSettings
from swarm_core.frictions.latency import Latency
from swarm_core.frictions.slippage import TickSlippage, VolumeShareSlippage
from swarm_core.ledger import Ledger
from swarm_core.orders import OrderKind, OrderSide, TimeInForce
from tests.swarm_core.builders import DAY_NS, INSTRUMENTS, NOW_NS, A, B, make_bar, make_order

GTC = {"kind": OrderKind.MARKET, "time_in_force": TimeInForce.GOOD_TILL_CANCELLED}


def make_broker(**fields: object) -> SimulatedBroker:
    values: dict[str, object] = {"fills": FillSettings(participation_fraction_max=0.1)}
    return SimulatedBroker(INSTRUMENTS, **{**values, **fields})  # type: ignore[arg-type]  # a builder


def filled_lots(events: Iterable[ev.Event] | None) -> list[int]:
    return [e.lots for e in events or () if isinstance(e, ev.OrderFilled)]


def test_an_order_is_filled_from_the_next_bar_and_no_earlier() -> None:
    broker = make_broker()
    broker.submit(make_order(), NOW_NS)

    assert broker.on_bars([make_bar(A, NOW_NS, 100.0)], NOW_NS) == ()
    assert filled_lots(broker.on_bars([make_bar(A, NOW_NS + 1, 100.0)], NOW_NS + 1)) == [10]


def test_an_order_sent_again_changes_nothing() -> None:
    broker = make_broker()

    assert broker.submit(make_order(), NOW_NS) == broker.submit(make_order(), NOW_NS + 5)
    assert len(broker.working_order_ids()) == 1


def test_the_same_bars_again_fill_nothing_more() -> None:
    broker = make_broker()
    broker.submit(make_order(lots=150, **GTC), NOW_NS)
    bars = [make_bar(A, NOW_NS + DAY_NS, 100.0, volume=1_000)]

    assert filled_lots(broker.on_bars(bars, NOW_NS + DAY_NS)) == [100]
    assert broker.on_bars(bars, NOW_NS + DAY_NS) == ()


def test_what_the_volume_does_not_carry_waits_or_expires() -> None:
    broker = make_broker()
    waits, expires = make_order(lots=150, **GTC), make_order(B, lots=160, decision_id="d2")
    for order in (waits, expires):
        broker.submit(order, NOW_NS)

    bars = [make_bar(i, NOW_NS + 1, 100.0, volume=1_000) for i in (A, B)]
    said = broker.on_bars(bars, NOW_NS + 1)
    later = broker.on_bars([make_bar(A, NOW_NS + 2, 100.0, volume=1_000)], NOW_NS + 2)

    assert sorted(filled_lots(said)) == [100, 100]
    assert [
        (e.client_order_id, e.unfilled_lots) for e in said if isinstance(e, ev.OrderExpired)
    ] == [(expires.client_order_id, 60)]
    assert filled_lots(later) == [50]
    assert broker.working_order_ids() == ()


def test_a_day_order_does_not_wait_for_ever_for_a_bar() -> None:
    broker = make_broker()
    broker.submit(make_order(), NOW_NS)

    assert broker.on_bars([make_bar(B, NOW_NS + DAY_NS, 1.0)], NOW_NS + DAY_NS) == ()
    late = NOW_NS + 5 * DAY_NS
    assert [type(e) for e in broker.on_bars([], late)] == [ev.OrderExpired]


def test_a_cancel_stops_what_is_open_and_keeps_what_is_filled() -> None:
    broker = make_broker()
    order = make_order(lots=150, **GTC)
    broker.submit(order, NOW_NS)
    broker.on_bars([make_bar(A, NOW_NS + 1, 100.0, volume=1_000)], NOW_NS + 1)

    assert [type(e) for e in broker.cancel(order.client_order_id, NOW_NS + 2)] == [
        ev.OrderCancelled
    ]
    assert broker.cancel(order.client_order_id, NOW_NS + 3) == ()
    assert broker.on_bars([make_bar(A, NOW_NS + 4, 100.0)], NOW_NS + 4) == ()
    assert filled_lots(broker.find(order.client_order_id)) == [100]


def test_an_unknown_instrument_is_rejected() -> None:
    broker = make_broker()

    said = broker.submit(make_order("US.X"), NOW_NS)

    assert [type(e) for e in said] == [ev.OrderRejected]
    assert broker.working_order_ids() == ()


def test_an_order_that_never_came_is_not_found() -> None:
    assert make_broker().find("A0") is None


def test_minimum_commission_is_charged_once_per_order() -> None:
    broker = make_broker(commission=IbFixedCommission())
    broker.submit(make_order(lots=150, **GTC), NOW_NS)
    for day in (1, 2):
        broker.on_bars([make_bar(A, NOW_NS + day, 100.0, volume=1_000)], NOW_NS + day)

    fills = [
        e for e in broker.find(make_order().client_order_id) or () if isinstance(e, ev.OrderFilled)
    ]

    assert [f.commission_minor for f in fills] == [100_000_000, 0]


def test_three_bars_fill_an_order_of_250_at_100_lots_a_bar() -> None:
    broker = make_broker()
    broker.submit(make_order(lots=250, **GTC), NOW_NS)

    days = [
        broker.on_bars([make_bar(A, NOW_NS + n, 100.0, volume=1_000)], NOW_NS + n)
        for n in range(1, 5)
    ]

    assert [filled_lots(said) for said in days] == [[100], [100], [50], []]


def test_two_orders_in_one_instrument_share_the_volume_of_a_bar() -> None:
    broker = make_broker()
    for name in ("d1", "d2"):
        broker.submit(make_order(lots=80, decision_id=name, **GTC), NOW_NS)

    said = broker.on_bars([make_bar(A, NOW_NS + 1, 100.0, volume=1_000)], NOW_NS + 1)

    assert sorted(filled_lots(said)) == [20, 80]


def test_an_order_two_bars_away_is_filled_by_the_third() -> None:
    broker = make_broker(fills=FillSettings(latency=Latency(bars=2)))
    order = make_order()
    broker.submit(order, NOW_NS)

    said = [broker.on_bars([make_bar(A, NOW_NS + n, 100.0)], NOW_NS + n) for n in (1, 2, 3)]

    assert [[type(e) for e in part] for part in said] == [
        [ev.OrderHeld],
        [ev.OrderHeld],
        [ev.OrderFilled],
    ]


def test_an_order_still_on_its_way_misses_a_bar_that_closes_first() -> None:
    broker = make_broker(fills=FillSettings(latency=Latency(milliseconds=1)))
    broker.submit(make_order(), NOW_NS)

    assert broker.on_bars([make_bar(A, NOW_NS + 10**6, 100.0)], NOW_NS + 10**6) == ()
    assert filled_lots(broker.on_bars([make_bar(A, NOW_NS + 10**6 + 1, 100.0)], NOW_NS + 10**7))


def test_a_halted_instrument_lets_day_orders_expire_and_others_wait() -> None:
    broker = make_broker()
    waits, expires = make_order(**GTC), make_order(decision_id="d2")
    for order in (waits, expires):
        broker.submit(order, NOW_NS)

    said = broker.on_bars([replace(make_bar(A, NOW_NS + 1, 100.0), is_halted=True)], NOW_NS + 1)
    later = broker.on_bars([make_bar(A, NOW_NS + 2, 100.0)], NOW_NS + 2)

    assert [(type(e), e.client_order_id) for e in said if isinstance(e, ev.OrderEvent)] == [
        (ev.OrderExpired, expires.client_order_id)
    ]
    assert filled_lots(later) == [10]


def test_a_stop_limit_that_triggered_is_a_limit_order_even_after_a_restart() -> None:
    broker = make_broker(fills=FillSettings(slippage=TickSlippage(0)))
    order = make_order(
        limit=10_100,
        kind=OrderKind.STOP_LIMIT,
        stop_price_ticks=10_050,
        time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
    )
    log: list[ev.Event] = [ev.OrderIntended(event_id="i", time_ns=0, order=order)]
    log.extend(broker.submit(order, NOW_NS))
    log.extend(broker.on_bars([make_bar(A, NOW_NS + 1, 102.0)], NOW_NS + 1))  # over the limit

    said = broker.with_events(log).on_bars([make_bar(A, NOW_NS + 2, 100.0)], NOW_NS + 2)

    assert [type(e) for e in log[1:]] == [ev.OrderAccepted, ev.OrderTriggered]
    assert [e.price_ticks for e in said if isinstance(e, ev.OrderFilled)] == [10_000]


def test_the_tier_is_found_by_what_was_traded_this_month() -> None:
    model = IbTieredCommission()
    broker = make_broker(commission=model)
    for name in ("d1", "d2"):
        broker.submit(make_order(lots=300_000, decision_id=name), NOW_NS)
        broker.on_bars([make_bar(A, NOW_NS + int(name[1]), 100.0)], NOW_NS + int(name[1]))
    next_month = NOW_NS + 31 * DAY_NS
    broker.submit(make_order(lots=300_000, decision_id="d3"), next_month)
    broker.on_bars([make_bar(A, next_month + 1, 100.0)], next_month + 1)

    charged = [
        e.commission_minor
        for name in ("d1", "d2", "d3")
        for e in broker.find(make_order(decision_id=name).client_order_id) or ()
        if isinstance(e, ev.OrderFilled)
    ]

    # 300,000 x 0.0035, then all of the second tier x 0.0020, then a new month.
    assert charged == [1_050 * 10**8, 600 * 10**8, 1_050 * 10**8]


def test_a_resting_limit_pays_as_maker_and_a_market_order_as_taker() -> None:
    broker = make_broker(
        fills=FillSettings(slippage=TickSlippage(0)),
        commission=MakerTakerCommission(Decimal(1), Decimal(10)),
    )
    rests = make_order(limit=9_900, kind=OrderKind.LIMIT)
    takes = make_order(decision_id="d2")
    for order in (rests, takes):
        broker.submit(order, NOW_NS)
    seen = replace(make_bar(A, NOW_NS + 1, 100.0), low_ticks=9_800)

    fills = [e for e in broker.on_bars([seen], NOW_NS + 1) if isinstance(e, ev.OrderFilled)]

    # 10 x 100.00 at 10 bps, 10 x 99.00 at 1 bp.
    assert {(f.is_maker, f.commission_minor) for f in fills} == {
        (False, 10**8),
        (True, 9_900_000),
    }


VENUES: list[dict[str, Any]] = [
    {},
    {"fills": FillSettings(latency=Latency(bars=1)), "commission": IbTieredCommission()},
    {"fills": FillSettings(slippage=VolumeShareSlippage()), "commission": MakerTakerCommission()},
]
STOPS: dict[str, Any] = {
    "kind": OrderKind.STOP_LIMIT,
    "stop_price_ticks": 5_400,
    "limit": 5_500,
    "time_in_force": TimeInForce.GOOD_TILL_CANCELLED,
}


@pytest.mark.parametrize("seed", range(20))
def test_a_broker_rebuilt_from_the_log_at_any_bar_goes_on_as_if_it_had_lived(seed: int) -> None:
    def run(restart_at: int) -> list[ev.Event]:
        random, broker = Random(seed), make_broker(**VENUES[seed % len(VENUES)])
        log: list[ev.Event] = []
        for day in range(6):
            if day == restart_at:
                broker = broker.with_events(log)
            for i in range(2):
                order = make_order(
                    random.choice([A, B]),
                    random.randint(1, 400),
                    random.choice(list(OrderSide)),
                    decision_id=f"{day}-{i}",
                    **random.choice([GTC, {}, STOPS]),
                )
                log.append(ev.OrderIntended(event_id=order.client_order_id, time_ns=0, order=order))
                log.extend(broker.submit(order, NOW_NS + day * DAY_NS))
            time_ns = NOW_NS + (day + 1) * DAY_NS
            if day in (2, 4):  # a split of 3 for 2, and one of 1 for 2 that cancels
                split = Split(
                    action_id=f"s{day}", instrument_id=A, numerator=5 - day, denominator=2
                )
                log.extend(broker.on_action(split, time_ns - 1))
            bars = [make_bar(n, time_ns, random.uniform(50, 60), 2_000) for n in (A, B)]
            log.extend(broker.on_bars(bars, time_ns))
        return log

    lived = run(restart_at=-1)
    assert len(filled_lots(lived)) > 3
    for day in range(6):
        assert run(restart_at=day) == lived


def test_every_fill_can_be_booked() -> None:
    broker, ledger = make_broker(), Ledger("USD", 10**14)
    broker.submit(make_order(), NOW_NS)
    for event in broker.on_bars([make_bar(A, NOW_NS + 1, 100.0)], NOW_NS + 1):
        assert isinstance(event, ev.OrderFilled)
        assert ledger.book_fill(event)
        assert not ledger.book_fill(event)
    assert ledger.lots(A) == 10
