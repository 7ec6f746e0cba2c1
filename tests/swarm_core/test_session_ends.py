"""A session closes or rolls the contracts that are due: once, by the gate, resumed after an end."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from adapters.brokers.simulated import SimulatedBroker
from adapters.stores.event_log_memory import MemoryEventLog
from swarm_core import events as ev
from swarm_core.colony.engine import new_state
from swarm_core.colony.settings import ColonySettings
from swarm_core.contract_ends import EndSettings, closed_to_more
from swarm_core.end_orders import ContractEnd
from swarm_core.halting import change_trading_state
from swarm_core.instruments import Instrument
from swarm_core.lineage import Lineage, ends_contract, last_day_of
from swarm_core.market import Bar, Quote
from swarm_core.replay import replay
from swarm_core.retirement import retirable
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.limits import RiskLimits
from swarm_core.session import (
    Checks,
    SessionMarket,
    SessionRules,
    close_session,
    end_due,
    trade_session,
)
from swarm_core.sizing import SizingSettings
from swarm_core.trading import ReleaseReport, book_from_events, release
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import CASH, DAY_NS, NOW_NS, Targeted, make_instrument, make_limits

FRONT, NEXT = "FUT.Z", "FUT.H"
FUTURES = {
    name: make_instrument(name, asset_class="future", multiplier=Decimal(50))
    for name in (FRONT, NEXT)
}
LIMITS = closed_to_more(make_limits(permitted_asset_classes=frozenset({"future"})), [FRONT])


class KilledError(Exception):
    """The process ends here."""


class DyingBroker(SimulatedBroker):
    """A broker that takes `orders_left` orders and then sees the process die."""

    orders_left = 10**6

    def submit(self, order, time_ns):  # type: ignore[no-untyped-def]
        if not self.orders_left:
            raise KilledError
        self.orders_left -= 1
        return super().submit(order, time_ns)


class Floor:
    """A book that holds `lots` of the front contract, session by session."""

    def __init__(self, lots: int = 4, instruments: dict[str, Instrument] | None = None) -> None:
        self.instruments = instruments or FUTURES
        self.log, self.broker = MemoryEventLog(), DyingBroker(self.instruments)
        self.number, self.volumes = 0, dict[str, float]()
        self.settings = EndSettings(then="roll", into={FRONT: NEXT})
        self.limits = LIMITS
        self.quoted = set(self.instruments)
        self.close()
        if lots:
            weight = (lots + 0.5) * 5_000 / float(CASH)
            self._release(Targeted("bought", self.market.decision_ns, (FRONT,), (weight,)))
            self.close()

    @property
    def book(self):  # type: ignore[no-untyped-def]
        return book_from_events(self.log.read(), "USD", CASH)

    @property
    def market(self) -> SessionMarket:
        close_ns = NOW_NS + self.number * DAY_NS
        open_ns = close_ns - 6 * 3_600 * 10**9
        bars = tuple(
            Bar.from_prices(
                instrument,
                close_ns,
                100.0,
                open_=100.0,
                high=100.0,
                low=100.0,
                volume=self.volumes.get(name, 1e7),
            )
            for name, instrument in self.instruments.items()
        )
        quotes = {
            name: Quote.from_price(self.instruments[name], 100.0, close_ns, daily_volume=1e7)
            for name in self.quoted
        }
        return SessionMarket(
            session=f"2026-12-{self.number + 1:02}",
            open_ns=open_ns,
            close_ns=close_ns,
            decision_ns=close_ns,
            bars=bars,
            quotes=quotes,
        )

    @property
    def rules(self) -> SessionRules:
        return SessionRules(
            colony=ColonySettings(),
            limits=self.limits,
            instruments=self.instruments,
            sizing=SizingSettings(),
            ends=self.settings,
        )

    def _release(self, decision: Targeted, limits: RiskLimits | None = None) -> ReleaseReport:
        return release(
            decision,
            book=self.book,
            quotes=self.market.quotes,
            instruments=self.instruments,
            limits=limits or make_limits(permitted_asset_classes=frozenset({"future"})),
            log=self.log,
            broker=self.broker,
            checks_passed=True,
            check_reason="",
            time_ns=self.market.decision_ns,
        )

    def close(self) -> None:
        """Go to the next session: what was ordered fills at its prices."""
        self.number += 1
        close_session(self.market, self.rules, book=self.book, log=self.log, broker=self.broker)

    def end(self, left: int = 1, following: str = NEXT) -> tuple[str, ...]:
        due = (ContractEnd(name=FRONT, last_day="2026-12-18", left=left, following=following),)
        rules = replace(self.rules, due=due)
        return end_due(self.market, rules, book=self.book, log=self.log, broker=self.broker)

    def lots(self) -> tuple[int, int]:
        return self.book.lots(FRONT), self.book.lots(NEXT)

    def told(self, kind: type[ev.Event]) -> list[ev.Event]:
        return [r.event for r in self.log.read() if isinstance(r.event, kind)]


def test_what_is_due_is_rolled_once_a_session_and_says_why() -> None:
    floor = Floor()
    assert floor.lots() == (4, 0)
    assert floor.end() == ()
    written = floor.log.last_sequence()
    assert floor.end() == ()  # the same session again: nothing more is written
    assert floor.log.last_sequence() == written
    floor.close()

    assert floor.lots() == (0, 4)
    taken = floor.told(ev.DecisionTaken)[-1]
    assert isinstance(taken, ev.DecisionTaken)
    assert ends_contract(taken.lineage.decision_id)
    assert taken.lineage.session == "2026-12-03"
    assert taken.lineage.run_id.startswith(f"{FRONT} is rolled into {NEXT}: its last trading day")
    assert floor.end() == ()  # nothing is held of it any more
    assert len(floor.told(ev.DecisionTaken)) == 2


def test_a_short_position_is_closed() -> None:
    floor = Floor(lots=0)
    floor._release(Targeted("sold", floor.market.decision_ns, (FRONT,), (-0.0125,)))
    floor.close()
    assert floor.lots() == (-2, 0)
    assert floor.end(following="") == ()
    floor.close()
    assert floor.lots() == (0, 0)


@pytest.mark.parametrize(("left", "lots"), [(3, (4, 0)), (1, (0, 0))])
def test_what_cannot_be_rolled_is_closed_when_no_session_is_left(
    left: int, lots: tuple[int, int]
) -> None:
    """The next contract has no quote: neither leg leaves while another session may roll it."""
    floor = Floor()
    floor.quoted = {FRONT}
    told = floor.end(left=left)
    floor.close()
    assert floor.lots() == lots
    assert told == (
        () if left == 1 else (f"{FRONT} is not rolled into {NEXT}: {NEXT} must have a quote",)
    )


def test_a_contract_is_not_rolled_into_another_size() -> None:
    other = {**FUTURES, NEXT: make_instrument(NEXT, asset_class="future", multiplier=Decimal(5))}
    floor = Floor(instruments=other)
    (line,) = floor.end(left=2)
    assert line.endswith(f"{NEXT} must be a future of the same currency, multiplier and lots")
    floor.close()
    assert floor.lots() == (4, 0)


def test_a_halted_book_closes_nothing_and_says_so() -> None:
    floor = Floor()
    change_trading_state(
        TradingState.HALTED,
        book=floor.book,
        log=floor.log,
        reason="a drill",
        actor="anna",
        by_person=True,
        time_ns=floor.market.decision_ns,
    )
    assert floor.end() == (f"{FRONT} is not rolled into {NEXT}: trading is halted",)
    floor.close()
    assert floor.lots() == (4, 0)


@pytest.mark.parametrize("orders_left", [0, 1])
def test_a_roll_that_was_cut_off_is_finished_and_nothing_sent_twice(orders_left: int) -> None:
    floor = Floor()
    floor.broker.orders_left = orders_left
    with pytest.raises(KilledError):
        floor.end()
    floor.broker.orders_left = 10**6
    assert floor.end() == ()
    floor.close()

    assert floor.lots() == (0, 4)
    assert len(floor.told(ev.OrderFilled)) == 3  # the purchase and the two legs


def test_the_colony_orders_nothing_in_what_is_due() -> None:
    """A like order of its own would keep the one that closes from the wire, as a repetition."""
    floor = Floor()
    due = (ContractEnd(name=FRONT, last_day="2026-12-18", left=1),)
    rules = replace(floor.rules, due=due)
    report = floor._release(
        Targeted("less", floor.market.decision_ns, (FRONT,), (2.5 * 0.005,)), rules.colony_limits
    )
    assert set(report.denied.values()) == {DenialCode.RESTRICTED}
    assert floor.end(following="") == ()
    floor.close()
    assert floor.lots() == (0, 0)


def test_orders_that_work_already_are_counted() -> None:
    """What was left to be sold at a limit counts as sold: no more is sold than is held."""
    floor = Floor()
    floor._release(Targeted("less", floor.market.decision_ns, (FRONT,), (1.5 * 0.005,)))
    assert floor.end(following="") == ()
    floor.close()
    assert floor.lots() == (0, 0)
    sold = [e.lots for e in floor.told(ev.OrderFilled) if isinstance(e, ev.OrderFilled)]
    assert sold == [4, 3, 1]


def test_a_thin_contract_is_rolled_over_several_sessions_and_opened_once() -> None:
    """Two of four lots are closed in each session: the next contract is not bought again."""
    floor = Floor()
    floor.volumes = {FRONT: 20.0}
    assert floor.end(left=3) == ()
    floor.close()
    assert floor.lots() == (2, 4)
    assert floor.end(left=2) == ()
    floor.close()
    assert floor.lots() == (0, 4)


def test_what_ended_a_contract_stays_in_memory_until_its_last_trading_day() -> None:
    """The next try counts it."""
    floor = Floor()
    floor.end()
    floor.close()
    last_day = datetime(2026, 12, 18, tzinfo=UTC)
    hour = 3_600 * 10**9
    (ending,) = (i for i in floor.book.decisions if ends_contract(i))
    for moment, stays in ((last_day, True), (last_day + timedelta(days=1), False)):
        retired = retirable(floor.book, int(moment.timestamp()) * 10**9 + hour)
        assert (ending in retired) is not stays
        assert "bought" in retired


@pytest.mark.parametrize("number", [1, "2026-12-16"])
def test_a_decision_tells_the_day_that_it_is_named_after(number: int | str) -> None:
    end = ContractEnd(name="FUT.ES-2026-01-01", last_day="2026-12-18", left=1)
    assert last_day_of(end.decision_id(number)) == "2026-12-18"
    assert last_day_of("targets-2026-12-18-1") == ""


class DyingLog(MemoryEventLog):
    """A log that takes `writes_left` writes and then sees the process die."""

    writes_left = 10**6

    def append(self, events, *, expected_sequence=None):  # type: ignore[no-untyped-def]
        if not self.writes_left:
            raise KilledError
        self.writes_left -= 1
        return super().append(events, expected_sequence=expected_sequence)


def _next_session_after(floor: Floor) -> tuple[int, int]:
    """Return what is held once the next session has rolled too, and its orders have filled."""
    log = floor.log
    if isinstance(log, DyingLog):
        log.writes_left = 10**6
    for step in (floor.close, floor.end, floor.close):
        floor.broker = DyingBroker(FUTURES).with_events(floor.log.read())
        step()
    return floor.lots()


@pytest.mark.parametrize("writes", range(10))
def test_a_roll_that_was_killed_at_a_write_is_finished_by_the_next_session(writes: int) -> None:
    floor = Floor()
    log = DyingLog()
    log.append([recorded.event for recorded in floor.log.read()])
    floor.log, log.writes_left = log, writes
    with suppress(KilledError):
        floor.end(left=2)

    assert _next_session_after(floor) == (0, 4)
    assert sum(e.lots for e in floor.told(ev.OrderFilled)) == 12  # 4 bought, 4 sold, 4 bought
    assert replay(floor.log.read(), "USD", CASH).first_difference is None


@pytest.mark.parametrize("sent", [0, 1])
def test_a_roll_whose_order_got_lost_at_the_wire_is_finished_by_the_next_session(
    sent: int,
) -> None:
    floor = Floor()
    floor.broker.orders_left = sent
    with pytest.raises(KilledError):
        floor.end(left=2)

    assert _next_session_after(floor) == (0, 4)
    assert sum(e.lots for e in floor.told(ev.OrderFilled)) == 12


def test_an_order_that_got_lost_with_its_run_counts_as_working_no_more() -> None:
    floor = Floor(0)
    floor.broker.orders_left = 0
    with pytest.raises(KilledError):
        floor._release(Targeted("bought", floor.market.decision_ns, (NEXT,), (0.1,)))
    floor.broker = DyingBroker(FUTURES).with_events(floor.log.read())
    assert floor.book.working_orders()
    floor.number += 1

    trade_session(
        floor.market,
        floor.rules,
        new_state(ColonySettings(), (NEXT,), 1),
        book=floor.book,
        log=floor.log,
        broker=floor.broker,
        instrument_ids=(NEXT,),
        observe=lambda *_: pytest.fail("nothing is decided on failed checks"),
        checks=Checks(passed=False, reason="a check failed"),
        lineage=Lineage(decision_id="pending", session=floor.market.session),
        at_close=lambda: None,
        keep_state=lambda _: None,
    )

    assert not [r for r in floor.book.working_orders() if r.is_unanswered]
    assert not floor.book.lots(NEXT)
