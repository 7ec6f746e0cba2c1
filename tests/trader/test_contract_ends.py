"""Futures near their last trading day: told, let only shrink, closed or rolled, each once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from swarm_core import events as ev
from swarm_core.contract_ends import EndSettings, iso_day
from swarm_core.market import Quote
from swarm_core.orders import Order, OrderSide
from swarm_core.replay import replay
from swarm_core.risk.codes import DenialCode
from swarm_core.sizing_settings import ExitSettings
from swarm_core.trading import recover
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import CASH, NOW_NS, A, B, Targeted, make_instrument
from tests.trader.desks import make_desk
from tests.trader.venue import FileVenue
from trader.contract_ends import ContractEnds
from trader.desk import TradingDesk
from trader.kill_switch import Halt

FRONT, NEXT, OPTION = "FUT.ESZ6", "FUT.ESH7", "OPT.ES6000"
FUTURES = {
    n: make_instrument(n, asset_class="future", multiplier=Decimal(50), sector="index")
    for n in (FRONT, NEXT)
}
TODAY = datetime.fromtimestamp(NOW_NS // 10**9, UTC).date()
ROLL = EndSettings(then="roll", into={FRONT: NEXT})


def day(after: int) -> str:
    return (TODAY + timedelta(days=after)).isoformat()


class EveryDay:
    """A calendar on which every day is a session that never closes."""

    def session_at(self, time_ns: int) -> str:
        return datetime.fromtimestamp(time_ns // 10**9, UTC).date().isoformat()

    def is_over(self, session: str, time_ns: int) -> bool:
        return self.session_at(time_ns) > session

    def is_open(self, time_ns: int) -> bool:
        return True

    @staticmethod
    def sessions_left(session: str, last_day: str) -> int:
        return (datetime.fromisoformat(last_day) - datetime.fromisoformat(session)).days


class Future:
    """A desk that holds `lots` of the front contract, and what looks after it."""

    def __init__(
        self,
        home: Path,
        settings: EndSettings,
        *,
        ends_in: int,
        lots: int = 4,
        venue: FileVenue | None = None,
    ) -> None:
        self.desk = make_desk(home, venue or FileVenue(home / "venue"))
        self.desk.instruments = {**self.desk.instruments, **FUTURES}
        self.limits = self.desk.limits = replace(
            self.desk.limits,
            permitted_asset_classes=frozenset({"equity", "future"}),
            short_locate_required=False,
        )
        self.show(FRONT, NEXT)
        if lots and not self.desk.book.lots(FRONT):
            self.release("bought", FRONT, lots)
        self.told: list[str] = []
        self.days = {FRONT: day(ends_in), NEXT: day(ends_in + 90)}
        self.ends = self.watched(settings)

    def watched(self, settings: EndSettings) -> ContractEnds:
        hours = EveryDay()
        return ContractEnds(
            self.desk, hours, hours.sessions_left, settings, self.days, self.told.append
        )

    def show(self, *names: str) -> None:
        for name in names:
            quote = Quote.from_price(
                self.desk.instruments[name], 100.0, self.desk.now_ns(), session_open=True
            )
            self.desk.quotes[name] = quote

    def release(self, decision_id: str, name: str, lots: int) -> dict[str, DenialCode]:
        nav = self.desk.book.find_nav()
        assert nav is not None
        weight = (lots + (0.5 if lots > 0 else -0.5)) * 5_000 / nav if lots else 0.0
        report = self.desk.release(Targeted(decision_id, self.desk.now_ns(), (name,), (weight,)))
        self.hear()
        return dict(report.denied)

    def hear(self) -> None:
        self.desk.take_in(self.desk.broker.heard())  # type: ignore[attr-defined]  # a FileVenue

    def beat(self, seconds: float = 0.0) -> None:
        self.desk.now_ns.ns += int(seconds * 1e9)  # type: ignore[attr-defined]  # a Timepiece
        self.show(*(name for name in (*FUTURES, OPTION) if name in self.desk.quotes))
        self.hear()
        self.desk.limits = self.ends.limited(self.limits)
        self.ends.act()
        self.hear()

    @property
    def lots(self) -> tuple[int, int]:
        return self.desk.book.lots(FRONT), self.desk.book.lots(NEXT)

    def orders(self) -> Sequence[Order]:
        assert isinstance(self.desk.broker, FileVenue)
        return [o for o in self.desk.broker.orders().values() if o.decision_id.startswith("end-")]


def test_a_contract_is_warned_of_once_a_session_and_may_then_only_shrink(tmp_path: Path) -> None:
    future = Future(tmp_path, EndSettings(), ends_in=6)
    future.beat()
    assert future.told == []
    for _ in range(3):
        future.beat()
    future.beat(86_400)
    future.beat(1)

    assert future.told == [
        f"{FRONT}: last trading day {day(6)}, 5 sessions after this one, 4 lots held"
    ]
    assert future.release("more", FRONT, 6) == {}

    future.beat(3 * 86_400)

    assert future.told[1:] == [
        f"{FRONT}: last trading day {day(6)}, 2 sessions after this one, 6 lots held, "
        "it may only be reduced"
    ]
    denied = future.release("still more", FRONT, 8)
    assert set(denied.values()) == {DenialCode.POSITION_VALUE}
    assert f"instrument {FRONT}" in last_denial(future.desk).detail
    assert future.release("the next one", NEXT, 2) == {}
    assert future.release("less", FRONT, 4) == {}
    assert future.lots == (4, 2)
    future.beat(86_400)
    assert future.lots == (4, 2), "nothing else is asked for"


@pytest.mark.parametrize("lots", [4, -4])
def test_a_position_is_closed_when_it_is_due(tmp_path: Path, lots: int) -> None:
    future = Future(tmp_path, replace(ROLL, then="close"), ends_in=2, lots=lots)
    future.beat()
    assert future.lots == (lots, 0)

    future.beat(86_400)

    assert future.lots == (0, 0)
    assert [(o.instrument_id, o.signed_lots) for o in future.orders()] == [(FRONT, -lots)]
    future.beat(120)
    assert len(future.orders()) == 1
    assert future.told[-1] == f"{FRONT}: closed"


@pytest.mark.parametrize("lots", [4, -4])
def test_a_position_is_rolled_by_two_orders_that_the_gate_has_approved(
    tmp_path: Path, lots: int
) -> None:
    future = Future(tmp_path, ROLL, ends_in=1, lots=lots)
    future.release("some of the next one", NEXT, 2)
    cash = future.desk.book.ledger.cash["USD"]

    future.beat()
    future.beat(120)

    assert future.lots == (0, 2 + lots)
    sent = [(o.instrument_id, o.signed_lots) for o in future.orders()]
    assert sorted(sent) == sorted([(FRONT, -lots), (NEXT, lots)])
    book = future.desk.book
    states = [book.orders[o.client_order_id].attempt for o in future.orders()]
    assert states == [1, 1]
    assert book.ledger.find_imbalance() is None
    assert cash != 0
    decision = book.decisions[future.orders()[0].decision_id]
    assert decision.lineage.run_id == (
        f"{FRONT} is rolled into {NEXT}: its last trading day is {day(1)}, 1 sessions "
        f"after {day(0)} (trade.contract_end: roll from 1 on)"
    )
    assert future.ends.standing() == [f"{FRONT}: rolled into {NEXT}"]
    future.beat(86_400)
    assert future.ends.standing() == [
        f"{FRONT}: last trading day {day(1)}, 0 sessions after this one, 0 lots held, "
        "it may only be reduced"
    ]


def test_a_roll_stands_in_the_log_and_is_worked_out_again_from_it(tmp_path: Path) -> None:
    future = Future(tmp_path, ROLL, ends_in=1)
    future.beat()

    report = replay(future.desk.log.read(), "USD", CASH)

    assert report.first_difference is None
    assert report.order_count == 3


def test_a_process_that_died_between_the_two_orders_sends_the_second_once(tmp_path: Path) -> None:
    class Dying(FileVenue):
        left = 1

        def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
            if order.decision_id.startswith("end-"):
                if not self.left:
                    raise KeyboardInterrupt("killed")
                self.left -= 1
            return super().submit(order, time_ns)

    future = Future(tmp_path, ROLL, ends_in=1, venue=Dying(tmp_path / "venue"))
    with pytest.raises(KeyboardInterrupt):
        future.beat()
    assert len(future.orders()) == 1

    again = Future(tmp_path, ROLL, ends_in=1)
    desk = again.desk
    recover(book=desk.book, log=desk.log, broker=desk.line, time_ns=desk.now_ns())  # as at a start
    desk.take_in(desk.broker.account().fills)  # type: ignore[attr-defined]  # a FileVenue
    again.beat()
    again.beat()
    again.beat(86_400)

    assert again.lots == (0, 4)
    assert len(again.orders()) == 2


def test_a_roll_of_which_one_order_would_not_pass_sends_neither(tmp_path: Path) -> None:
    """It is closed on the last day where it could not be rolled until then."""
    future = Future(tmp_path, ROLL, ends_in=1)
    future.limits = replace(future.limits, gross_fraction_max=0.025)
    assert future.lots == (4, 0)

    for _ in range(4):
        future.beat(61)

    assert future.lots == (4, 0)
    assert len([line for line in future.told if "is not rolled into" in line]) == 1
    future.beat(86_400)
    assert future.lots == (0, 0)
    assert [o.instrument_id for o in future.orders()] == [FRONT]


@pytest.mark.parametrize("missing", [FRONT, NEXT])
def test_a_roll_waits_for_quotes_of_both(tmp_path: Path, missing: str) -> None:
    future = Future(tmp_path, ROLL, ends_in=1)
    del future.desk.quotes[missing]

    future.beat()
    future.beat(61)
    assert future.lots == (4, 0)
    assert future.told[-1] == f"{FRONT}: is not rolled into {NEXT} yet: {missing} must have a quote"
    future.show(missing)
    future.beat(61)

    assert future.lots == (0, 4)


def test_what_was_not_filled_is_tried_again(tmp_path: Path) -> None:
    future = Future(tmp_path, replace(ROLL, then="close"), ends_in=1)
    venue = future.desk.broker
    assert isinstance(venue, FileVenue)
    venue.fills = False
    future.beat()
    order = future.orders()[0]
    future.beat(61)
    assert len(future.orders()) == 1, "it works still"
    future.desk.cancel(order.client_order_id, "by the venue")
    venue.fills = True

    future.beat(61)

    assert future.lots == (0, 0)
    assert [o.decision_id[-2:] for o in future.orders()] == ["-1", "-2"]


def test_nothing_is_rolled_while_trading_is_halted(tmp_path: Path) -> None:
    future = Future(tmp_path, ROLL, ends_in=1)
    future.desk.halt(Halt(reason="a drill", actor="a person"))
    assert future.desk.book.trading_state is TradingState.HALTED

    future.beat()

    assert future.orders() == []


def test_a_roll_brings_the_exits_of_the_new_position(tmp_path: Path) -> None:
    future = Future(tmp_path, ROLL, ends_in=1)
    exits = ExitSettings(take_profit_fraction=0.1, stop_loss_fraction=0.05)
    future.desk.sizing = replace(future.desk.sizing, exits=exits)

    future.beat()

    assert future.lots == (0, 4)
    ways_out = [o for o in future.orders() if o.is_exit]
    assert {(o.instrument_id, o.side, o.quantity_lots) for o in ways_out} == {
        (NEXT, OrderSide.SELL, 4)
    }
    assert len(ways_out) == 2


def test_a_contract_that_has_ended_with_lots_held_is_a_persons_to_settle(tmp_path: Path) -> None:
    future = Future(tmp_path, replace(ROLL, then="close"), ends_in=-1)

    future.beat()

    assert future.told == [
        f"{FRONT}: ended on {day(-1)} and 4 lots are held still: a person must settle them"
    ]
    assert future.orders() == []
    assert DenialCode.POSITION_VALUE in future.release("more", FRONT, 6).values()


def test_the_last_day_is_asked_of_the_broker_until_it_answers(tmp_path: Path) -> None:
    class Dated(FileVenue):
        asked = 0

        def find_last_day(self, instrument_id: str) -> str | None:
            self.asked += 1
            if self.asked == 1:
                raise ConnectionResetError("the venue is away")
            return day(1) if instrument_id == FRONT else day(91)

    venue = Dated(tmp_path / "venue")
    future = Future(tmp_path, ROLL, ends_in=1, venue=venue)
    future.days = {NEXT: day(91)}
    future.ends = future.watched(ROLL)

    for _ in range(5):
        future.beat()
    assert (future.lots, venue.asked) == ((4, 0), 1)
    future.beat(61)
    future.beat(61)

    assert (future.lots, venue.asked) == ((0, 4), 2)


def test_a_last_day_that_nobody_knows_is_said(tmp_path: Path) -> None:
    future = Future(tmp_path, ROLL, ends_in=1)
    future.days = {NEXT: day(91)}
    future.ends = future.watched(ROLL)

    for _ in range(3):
        future.beat(61)

    assert len(future.told) == 1
    assert "trade.contracts" in future.told[0]
    assert future.lots == (4, 0)


def test_shares_are_left_alone_and_limits_of_others_stay(tmp_path: Path) -> None:
    future = Future(tmp_path, ROLL, ends_in=1)
    assert future.ends.limited(future.limits) is future.ends.limited(future.limits)
    limited = future.ends.limited(future.limits)

    assert [level.name for level in limited.levels] == [FRONT]
    assert replace(limited, levels=()) == future.limits
    future.beat()
    assert {o.instrument_id for o in future.orders()}.isdisjoint({A, B})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"act_sessions": 3}, "act_sessions <= reduce_sessions"),
        ({"warn_sessions": 251}, "0..250"),
        ({"then": "hope"}, "then must be one of"),
        ({"asset_classes": ("equity",)}, "asset_classes must be of"),
        ({"into": {FRONT: FRONT}}, "into itself"),
    ],
)
def test_settings_that_do_not_hold_are_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        replace(ROLL, **change)  # type: ignore[arg-type]  # some are wrong
    assert len(str(caught.value).splitlines()) == 1


def test_a_month_is_no_day() -> None:
    assert (iso_day("20261218"), iso_day("202612"), iso_day("")) == ("2026-12-18", None, None)


def last_denial(desk: TradingDesk) -> ev.OrderDenied:
    denials = [r.event for r in desk.log.read() if isinstance(r.event, ev.OrderDenied)]
    return denials[-1]
