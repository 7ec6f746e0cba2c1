"""The order path: what is sent, what is not, and that nothing is sent twice."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from adapters.brokers.simulated import SimulatedBroker
from adapters.stores.event_log_memory import MemoryEventLog
from swarm_core import events as ev
from swarm_core.halting import cancel_all, change_trading_state
from swarm_core.market import Quote
from swarm_core.order_states import OrderState
from swarm_core.orders import Order, OrderSide
from swarm_core.replay import replay
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.limits import RiskLimits
from swarm_core.trading import ReleaseReport, book_from_events, recover, release
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import (
    CASH,
    DAY_NS,
    INSTRUMENTS,
    NOW_NS,
    A,
    B,
    Targeted,
    make_bar,
    make_decision,
    make_limits,
    make_quote,
)


class LoggedFirstBroker(SimulatedBroker):
    """A broker that looks into the log at every submission: the verdict must be there."""

    def __init__(self, log: MemoryEventLog) -> None:
        super().__init__(INSTRUMENTS)
        self.log = log
        self.received: list[Order] = []
        self.fails: OSError | None = None
        self.is_away = False

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        on_disk = [r.event for r in self.log.read()]
        mine = [e for e in on_disk if getattr(e, "client_order_id", "") == order.client_order_id]
        assert any(isinstance(e, ev.OrderApproved) for e in mine)
        assert isinstance(mine[-1], ev.OrderSubmitted)
        self.received.append(order)
        if self.fails is not None:
            raise self.fails
        return super().submit(order, time_ns)

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        if self.is_away:
            raise ConnectionError("no route to the broker")
        return super().find(client_order_id)


class Desk:
    """One book with its log and broker, and the release of decisions on it."""

    def __init__(self) -> None:
        self.log = MemoryEventLog()
        self.broker = LoggedFirstBroker(self.log)
        self.quotes = {A: make_quote(A), B: make_quote(B)}
        self.limits: RiskLimits = make_limits()
        self.passed = True

    def book(self):
        return book_from_events(self.log.read(), "USD", CASH)

    def release(self, decision: Targeted, time_ns: int = NOW_NS) -> ReleaseReport:
        return release(
            decision,
            book=self.book(),
            quotes=self.quotes,
            instruments=INSTRUMENTS,
            limits=self.limits,
            log=self.log,
            broker=self.broker,
            checks_passed=self.passed,
            check_reason="" if self.passed else "gaps in bars of 2024-01-02",
            time_ns=time_ns,
        )

    def events(self, kind: type[ev.Event]) -> list[ev.Event]:
        return [r.event for r in self.log.read() if isinstance(r.event, kind)]

    def fill(self, time_ns: int = NOW_NS + DAY_NS) -> None:
        bars = [make_bar(i, time_ns, q.reference_ticks / 100) for i, q in self.quotes.items()]
        self.log.append(self.broker.on_bars(bars, time_ns))


def test_target_weights_become_orders_in_whole_lots() -> None:
    desk = Desk()

    report = desk.release(make_decision(A=0.10004, B=-0.05))

    assert [(o.instrument_id, o.signed_lots) for o in report.orders] == [(A, 1000), (B, -500)]
    assert set(report.states.values()) == {OrderState.ACCEPTED}
    assert (report.sent_count, report.blocked) == (2, False)


def test_the_same_decision_again_sends_nothing() -> None:
    desk = Desk()
    first = desk.release(make_decision(A=0.1))
    length = desk.log.last_sequence()

    again = desk.release(make_decision(A=0.1), time_ns=NOW_NS + 5)

    assert (again.orders, again.states) == (first.orders, first.states)
    assert again.sent_count == 0
    assert len(desk.broker.received) == 1
    assert desk.log.last_sequence() == length


def test_a_decision_told_again_with_other_weights_sends_nothing_more() -> None:
    desk = Desk()
    desk.release(make_decision(A=0.1))

    desk.release(make_decision(A=0.2, B=0.2))

    assert len(desk.broker.received) == 1


def test_a_failed_check_releases_nothing_and_leaves_its_reason() -> None:
    desk = Desk()
    desk.passed = False

    report = desk.release(make_decision(A=0.1))

    assert report.blocked_reason == "gaps in bars of 2024-01-02"
    assert desk.broker.received == []
    assert [type(r.event) for r in desk.log.read()] == [ev.ReleaseBlocked]


def test_a_decision_held_back_is_released_once_its_checks_pass() -> None:
    desk = Desk()
    desk.passed = False
    desk.release(make_decision(A=0.1))
    desk.passed = True

    assert desk.release(make_decision(A=0.1)).sent_count == 1


@pytest.mark.parametrize(
    "weights", [(float("nan"), 0.1), (float("inf"), 0.1), (0.1,), (0.1, 0.1, 0.1)]
)
def test_a_decision_that_is_not_sound_trades_nothing(weights: tuple[float, ...]) -> None:
    desk = Desk()

    report = desk.release(Targeted("d1", NOW_NS, (A, B), weights))

    assert report.blocked_reason.startswith("target")
    assert desk.broker.received == []


def test_weights_may_come_as_an_array() -> None:
    desk = Desk()
    decision = Targeted("d1", NOW_NS, (A, B), np.array([0.1, 0.2]))  # type: ignore[arg-type]  # an array

    assert desk.release(decision).sent_count == 2


def test_a_target_without_a_quote_is_denied_and_the_rest_is_sent() -> None:
    desk = Desk()
    del desk.quotes[B]

    report = desk.release(make_decision(A=0.1, B=0.1, X=0.1))

    assert report.denied == {B: DenialCode.NO_QUOTE, "US.X": DenialCode.UNKNOWN_INSTRUMENT}
    assert [o.instrument_id for o in desk.broker.received] == [A]


def test_a_stale_quote_denies() -> None:
    desk = Desk()
    desk.quotes[A] = make_quote(A, time_ns=NOW_NS - 3 * DAY_NS)

    assert desk.release(make_decision(A=0.1)).denied == {A: DenialCode.STALE_QUOTE}


def test_dust_is_not_traded_but_an_exit_is() -> None:
    desk = Desk()
    desk.release(make_decision("d1", A=0.001))
    desk.fill()
    for quote in (A, B):
        desk.quotes[quote] = make_quote(quote, time_ns=NOW_NS + DAY_NS)

    dust = desk.release(make_decision("d2", A=0.0012), time_ns=NOW_NS + DAY_NS)
    exit_ = desk.release(make_decision("d3", A=0.0), time_ns=NOW_NS + DAY_NS)

    assert dust.orders == ()
    assert [(o.side, o.quantity_lots) for o in exit_.orders] == [(OrderSide.SELL, 10)]


def test_what_works_at_the_broker_counts_as_done() -> None:
    desk = Desk()
    desk.release(make_decision("d1", A=0.1))

    assert desk.release(make_decision("d2", A=0.1)).orders == ()


def test_an_approved_order_counts_against_the_next_ones_limits() -> None:
    desk = Desk()
    desk.limits = make_limits(gross_fraction_max=0.15)

    report = desk.release(make_decision(A=0.1, B=0.1))

    assert sorted(report.states.values(), key=str) == [OrderState.ACCEPTED, OrderState.DENIED]
    assert set(report.denied.values()) == {DenialCode.GROSS_EXPOSURE}


def test_a_halt_lets_nothing_out_but_cancels() -> None:
    desk = Desk()
    desk.release(make_decision("d1", A=0.1))
    change_trading_state(
        TradingState.HALTED,
        book=desk.book(),
        log=desk.log,
        reason="drill",
        actor="ann",
        by_person=True,
        time_ns=NOW_NS,
    )

    report = desk.release(make_decision("d2", A=0.2, B=0.1), time_ns=NOW_NS + 1)
    count = cancel_all(
        book=desk.book(), log=desk.log, broker=desk.broker, reason="halt", time_ns=NOW_NS + 2
    )

    assert set(report.denied.values()) == {DenialCode.HALTED}
    assert len(desk.broker.received) == 1
    assert count == 1
    assert {r.state for r in desk.book().orders.values()} == {
        OrderState.CANCELLED,
        OrderState.DENIED,
    }


def test_only_a_person_lifts_a_halt() -> None:
    desk = Desk()
    for state in (TradingState.REDUCING, TradingState.HALTED):
        change_trading_state(
            state,
            book=desk.book(),
            log=desk.log,
            reason="feed lost",
            actor="watchdog",
            by_person=False,
            time_ns=NOW_NS,
        )
    with pytest.raises(ValueError, match="must be lifted by a person"):
        change_trading_state(
            TradingState.ACTIVE,
            book=desk.book(),
            log=desk.log,
            reason="feed back",
            actor="watchdog",
            by_person=False,
            time_ns=NOW_NS,
        )
    assert desk.book().trading_state is TradingState.HALTED


def test_a_connection_lost_in_submission_is_looked_up_and_not_sent_again() -> None:
    desk = Desk()
    desk.broker.fails = ConnectionResetError("reset by peer")
    report = desk.release(make_decision(A=0.1))
    assert set(report.states.values()) == {OrderState.UNKNOWN}

    desk.broker.fails = None
    SimulatedBroker.submit(desk.broker, report.orders[0], NOW_NS)  # it had arrived after all
    report = desk.release(make_decision(A=0.1))

    assert set(report.states.values()) == {OrderState.ACCEPTED}
    assert len(desk.broker.received) == 1


def test_an_order_that_the_broker_never_got_is_judged_and_sent_again() -> None:
    desk = Desk()
    desk.broker.fails = ConnectionResetError("reset by peer")
    desk.release(make_decision(A=0.1))
    desk.broker.fails = None

    report = desk.release(make_decision(A=0.1), time_ns=NOW_NS + 1)

    assert set(report.states.values()) == {OrderState.ACCEPTED}
    assert len(desk.broker.received) == 2
    assert len(desk.broker.working_order_ids()) == 1


def test_a_lost_order_is_not_sent_into_a_halt() -> None:
    desk = Desk()
    desk.broker.fails = ConnectionResetError("reset by peer")
    desk.release(make_decision(A=0.1))
    desk.broker.fails = None
    change_trading_state(
        TradingState.HALTED,
        book=desk.book(),
        log=desk.log,
        reason="reconciliation failed",
        actor="watchdog",
        by_person=False,
        time_ns=NOW_NS,
    )

    report = desk.release(make_decision(A=0.1), time_ns=NOW_NS + 1)

    assert set(report.states.values()) == {OrderState.DENIED}
    assert len(desk.broker.received) == 1


def test_an_order_cancelled_before_it_was_known_to_arrive_is_never_sent_again() -> None:
    desk = Desk()
    desk.broker.fails = ConnectionResetError("reset by peer")
    desk.release(make_decision(A=0.1))
    desk.broker.fails = None
    cancel_all(book=desk.book(), log=desk.log, broker=desk.broker, reason="halt", time_ns=NOW_NS)
    desk.broker.is_away = True
    recover(book=desk.book(), log=desk.log, broker=desk.broker, time_ns=NOW_NS)
    assert {r.state for r in desk.book().orders.values()} == {OrderState.CANCEL_PENDING}
    desk.broker.is_away = False

    report = desk.release(make_decision(A=0.1), time_ns=NOW_NS + 1)
    recover(book=desk.book(), log=desk.log, broker=desk.broker, time_ns=NOW_NS)

    assert {r.state for r in desk.book().orders.values()} == {OrderState.CANCELLED}
    assert (report.sent_count, len(desk.broker.received)) == (0, 1)


def test_an_order_stays_unknown_while_the_broker_cannot_be_asked() -> None:
    desk = Desk()
    desk.broker.fails = ConnectionResetError("reset by peer")
    desk.release(make_decision(A=0.1))
    desk.broker.fails, desk.broker.is_away = None, True

    for i in range(3):
        report = desk.release(make_decision(A=0.1), time_ns=NOW_NS + i)
        recover(book=desk.book(), log=desk.log, broker=desk.broker, time_ns=NOW_NS + i)

    assert set(report.states.values()) == {OrderState.UNKNOWN}
    assert len(desk.broker.received) == 1


def test_fills_missed_while_away_are_recovered_once() -> None:
    desk = Desk()
    desk.release(make_decision(A=0.1))
    missed = desk.broker.on_bars([make_bar(A, NOW_NS + DAY_NS, 100.0)], NOW_NS + DAY_NS)
    assert len(missed) == 1

    recovered = [
        recover(book=desk.book(), log=desk.log, broker=desk.broker, time_ns=NOW_NS + DAY_NS)
        for _ in range(2)
    ]

    assert recovered == [1, 0]
    assert desk.book().lots(A) == 1000
    assert desk.book().ledger.find_imbalance() is None


def test_an_uncertain_order_that_the_broker_has_is_found() -> None:
    desk = Desk()
    report = desk.release(make_decision(A=0.1))
    order_id = report.orders[0].client_order_id
    desk.log.append(
        [
            ev.OrderStateUnknown(
                event_id="lost", time_ns=NOW_NS, client_order_id=order_id, reason="1100"
            )
        ]
    )

    recover(book=desk.book(), log=desk.log, broker=desk.broker, time_ns=NOW_NS)

    assert desk.book().orders[order_id].state is OrderState.ACCEPTED


def test_a_log_that_others_write_to_meanwhile_is_read_on() -> None:
    desk = Desk()
    plain, count = desk.log.append, [0]

    def disturbed(events: Sequence[ev.Event], *, expected_sequence: int | None = None):
        count[0] += 1
        if count[0] in (2, 4):
            plain(
                [
                    ev.DataCheckFailed(
                        event_id=f"other-{count[0]}",
                        time_ns=NOW_NS,
                        session="s",
                        check_name="c",
                        reason="r",
                    )
                ]
            )
        return plain(events, expected_sequence=expected_sequence)

    desk.log.append = disturbed  # type: ignore[method-assign]  # a fault

    report = desk.release(make_decision(A=0.1, B=0.1))

    assert set(report.states.values()) == {OrderState.ACCEPTED}
    assert len(desk.broker.received) == 2
    assert replay(desk.log.read(), "USD", CASH).first_difference is None


def test_decisions_and_orders_stand_in_the_log_with_their_causes() -> None:
    desk = Desk()
    desk.release(make_decision(A=0.1))

    by_id = {r.event.event_id: r.event for r in desk.log.read()}
    accepted = desk.events(ev.OrderAccepted)[0]
    approved = next(e for e in by_id.values() if isinstance(e, ev.OrderApproved))
    intended = by_id[approved.causation_id]
    decision = by_id[intended.causation_id]

    assert accepted.correlation_id == "d1"
    assert isinstance(intended, ev.OrderIntended)
    assert isinstance(decision, ev.DecisionTaken)
    assert decision.lineage.decision_id == "d1"


def test_replay_reproduces_orders_and_verdicts() -> None:
    desk = Desk()
    desk.release(make_decision("d1", A=0.1, B=-0.2))
    desk.fill()
    desk.quotes = {i: make_quote(i, 101.0, NOW_NS + DAY_NS) for i in (A, B)}
    desk.release(make_decision("d2", A=-0.1, X=0.3), time_ns=NOW_NS + DAY_NS)

    report = replay(desk.log.read(), "USD", CASH)

    assert report.first_difference is None
    assert (report.order_count, report.verdict_count) == (3, 3)
    assert report.book_digest == replay(desk.log.read(), "USD", CASH).book_digest


def _changed(event: ev.Event) -> ev.Event:
    """Return the event with one thing about it changed."""
    if isinstance(event, ev.OrderIntended):
        return replace(event, order=replace(event.order, quantity_lots=7))
    if isinstance(event, ev.OrderApproved):
        return replace(event, value_micros=event.value_micros + 1)
    if isinstance(event, ev.ReferencesTaken):
        quotes = tuple(replace(q, reference_ticks=q.reference_ticks + 9) for q in event.quotes)
        return replace(event, quotes=quotes)
    return event


@pytest.mark.parametrize("kind", [ev.OrderIntended, ev.OrderApproved, ev.ReferencesTaken])
def test_replay_names_the_first_difference(kind: type[ev.Event]) -> None:
    desk = Desk()
    desk.release(make_decision(A=0.1))
    records = [
        r._replace(event=_changed(r.event)) if isinstance(r.event, kind) else r
        for r in desk.log.read()
    ]

    assert replay(records, "USD", CASH).first_difference is not None


def test_a_quote_from_the_future_denies() -> None:
    desk = Desk()
    desk.quotes[A] = Quote(instrument_id=A, reference_ticks=10_000, time_ns=NOW_NS + 1)

    assert desk.release(make_decision(A=0.1)).denied == {A: DenialCode.STALE_QUOTE}
