"""The simulated broker: one order per client id, the same events for the same bars."""

from collections.abc import Iterable
from random import Random

import pytest

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.commissions import IbFixedCommission
from swarm_core.fills import FillSettings
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
    waits, expires = make_order(lots=150, **GTC), make_order(lots=160, decision_id="d2")
    for order in (waits, expires):
        broker.submit(order, NOW_NS)

    said = broker.on_bars([make_bar(A, NOW_NS + 1, 100.0, volume=1_000)], NOW_NS + 1)
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


@pytest.mark.parametrize("seed", range(20))
def test_a_broker_rebuilt_from_the_log_at_any_bar_goes_on_as_if_it_had_lived(seed: int) -> None:
    def run(restart_at: int) -> list[ev.Event]:
        random, broker = Random(seed), make_broker()
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
                    **random.choice([GTC, {}]),
                )
                log.append(ev.OrderIntended(event_id=order.client_order_id, time_ns=0, order=order))
                log.extend(broker.submit(order, NOW_NS + day * DAY_NS))
            time_ns = NOW_NS + (day + 1) * DAY_NS
            bars = [make_bar(n, time_ns, random.uniform(50, 60), 2_000) for n in (A, B)]
            log.extend(broker.on_bars(bars, time_ns))
        return log

    lived = run(restart_at=-1)
    assert len(filled_lots(lived)) > 6
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
