"""What the account differs by is settled by a person's word, where it is exactly that."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from swarm_core import events as ev
from swarm_core.book import book_from_events
from swarm_core.broker_account import BrokerAccount
from swarm_core.findings import FindingKind
from swarm_core.instruments import to_minor
from swarm_core.reconciliation import ReconciliationRules, reconcile
from swarm_core.replay import book_digest
from tests.adapters.brokers.test_broker_contract import tcp_ib
from tests.gateway_simulator.gateways import fill, hosted, wait_until
from tests.swarm_core.builders import (
    CASH,
    NOW_NS,
    A,
    B,
    make_decision,
    make_fill,
    make_order,
    make_quote,
)
from tests.trader.desks import make_desk
from tests.trader.drills import Drill
from tests.trader.venue import FileVenue
from trader.account_settling import AccountClaim, differences, settle_account

RULES = ReconciliationRules()


class MovedVenue(FileVenue):
    """An account in which a person moves cash and lots, or trades by hand."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.cash_minor: dict[str, int] = {}
        self.lots: dict[str, int] = {}
        self.by_hand: tuple[ev.OrderFilled, ...] = ()

    def account(self) -> BrokerAccount:
        account = super().account()
        cash, lots = {"USD": to_minor(CASH)}, dict(account.position_lots)
        cash["USD"] += sum(_paid(done) for done in account.fills)
        for done in self.by_hand:
            lots[done.instrument_id] = lots.get(done.instrument_id, 0) + done.side.sign * done.lots
            cash["USD"] += _paid(done)
        for name, minor in self.cash_minor.items():
            cash[name] = cash.get(name, 0) + minor
        for name, more in self.lots.items():
            lots[name] = lots.get(name, 0) + more
        return replace(
            account,
            fills=(*account.fills, *self.by_hand),
            position_lots={name: held for name, held in lots.items() if held},
            cash_minor=cash,
        )


def _paid(fill: ev.OrderFilled) -> int:
    paid = -fill.side.sign * fill.lots * fill.price_ticks * fill.lot_tick_minor
    return paid - (fill.commission_minor or 0)


class Case:
    """A desk that holds 1,000 lots of A at its venue."""

    def __init__(self, home: Path) -> None:
        self.venue = MovedVenue(home / "venue")
        self.desk = make_desk(home, self.venue)
        self.desk.release(make_decision("d1", A=0.1))
        self.desk.take_in(self.venue.heard())
        assert self.found() == []

    def found(self) -> list[FindingKind]:
        found = reconcile(self.desk.book, self.venue.account(), RULES)
        return [finding.kind for finding in found.findings]

    def settle(self, **claimed: object) -> str:
        body = {"by": "anna", "reason": "moved", **claimed}
        return settle_account(self.desk, self.venue, RULES, AccountClaim.of(body))

    def events(self) -> list[ev.Event]:
        return [r.event for r in self.desk.log.read()]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.mark.parametrize("amount", ["5000", "-12.34"])
def test_cash_that_was_moved_is_capital_and_no_profit_or_drawdown(case: Case, amount: str) -> None:
    """The account agrees after it; the marks of drawdown and of the session move with it."""
    book, minor = case.desk.book, to_minor(amount)
    nav, before = book.ledger.find_nav_minor(), (book.peak_nav_minor, book.session_nav_minor)
    case.venue.cash_minor["USD"] = minor
    assert case.found() == [FindingKind.CASH_DIFFERS]

    case.settle(cash={"USD": amount})

    assert case.found() == []
    assert nav is not None
    assert book.ledger.find_nav_minor() == nav + minor
    assert (book.peak_nav_minor, book.session_nav_minor) == tuple(b + minor for b in before)
    assert book.moved_in_minor == minor
    assert book.ledger.income == {}
    assert book.ledger.find_imbalance() is None
    moved = case.events()[-1]
    assert isinstance(moved, ev.TransferBooked)
    assert (moved.actor, moved.reason, moved.amount_minor) == ("anna", "moved", minor)


def test_a_fee_is_a_cost_and_no_capital(case: Case) -> None:
    book = case.desk.book
    peak, deposited = book.peak_nav_minor, dict(book.ledger.deposited)
    case.venue.cash_minor["USD"] = -to_minor(10)

    case.settle(cash={"USD": "-10"}, income=True)

    assert case.found() == []
    assert book.ledger.income == {"USD": -to_minor(10)}
    assert (book.peak_nav_minor, book.ledger.deposited) == (peak, deposited)
    assert book.moved_in_minor == 0
    assert book.ledger.find_imbalance() is None


@pytest.mark.parametrize(
    ("name", "lots", "price"), [(A, 40, "@90"), (A, -40, "@90"), (A, -2_000, ""), (B, 7, "@12.5")]
)
def test_lots_that_were_moved_are_held_at_their_price(
    case: Case, name: str, lots: int, price: str
) -> None:
    """Into a position, out of it, through zero without a price of its own, and a new one."""
    book, instrument = case.desk.book, case.desk.instruments[name]
    before = book.lots(name)
    case.venue.lots[name] = lots
    assert case.found() == [FindingKind.POSITION_DIFFERS]
    found = reconcile(book, case.venue.account(), RULES)
    (quantity,) = differences(found, case.desk.instruments)["positions"].values()

    case.settle(positions={name: f"{quantity}{price}"})

    assert case.found() == []
    assert book.lots(name) == before + lots
    assert book.ledger.find_imbalance() is None
    moved = case.events()[-1]
    assert isinstance(moved, ev.TransferBooked)
    ticks = instrument.price_to_ticks(Decimal(price[1:])) if price else 10_000
    assert (moved.lots, moved.price_ticks) == (lots, ticks)
    rebuilt = book_from_events(case.desk.log.read(), "USD", CASH)
    assert book_digest(rebuilt) == book_digest(book)


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        ({"cash": {"USD": "5001"}}, r"must differ from the log by \+5001, as claimed, .* \+5000$"),
        ({"cash": {"EUR": "1"}}, r"by \+1, as claimed, it does by \+0$"),
        ({"cash": {"USD": "5000"}, "positions": {A: "1"}}, "position of US.A must differ"),
        ({"positions": {"US.ZZZ": "1"}}, "US.ZZZ must be known to this desk"),
        ({"positions": {A: "0.5"}}, "must differ from the log by"),
        ({"fills": True}, "must show executions of other orders"),
    ],
)
def test_what_is_not_as_claimed_is_not_booked(
    case: Case, claimed: Mapping[str, object], said: str
) -> None:
    case.venue.cash_minor["USD"], case.venue.lots[B] = to_minor(5_000), 7
    sequence = case.desk.book.sequence
    with pytest.raises(ValueError, match=said):
        case.settle(**claimed)
    assert case.desk.book.sequence == sequence


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        ({}, "cash, positions or fills must be claimed"),
        ({"cash": {"USD": "nan"}}, "must be finite and not 0"),
        ({"cash": {"USD": "much"}}, "must be a number, was 'much'"),
        ({"cash": {"USD": "0"}}, "must be finite and not 0"),
        ({"cash": ["USD"]}, "must be objects"),
        ({"fills": "yes"}, "true or false"),
        ({"cash": {"USD": "1"}, "by": " "}, "actor of a claim must be given"),
        ({"positions": {A: "1@"}}, "price of US.A must be a number"),
        ({"positions": {A: "1"}, "income": True}, "only cash can be income"),
        ({"cash": {"USD": "1"}, "lots": 3}, r"had \['lots'\]"),
        ({"positions": {A: "1@9"}, "cash": {}, "fills": 1}, "true or false"),
    ],
)
def test_a_claim_that_is_none_is_refused(claimed: Mapping[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AccountClaim.of({"by": "anna", "reason": "moved", **claimed})


def test_executions_of_other_orders_are_taken_in_by_a_person(case: Case) -> None:
    """A trade by hand: nothing else is settled before it, and who took it in is on record."""
    done = make_fill(make_order(lots=30, decision_id="by hand"), number=5)
    case.venue.by_hand = (replace(done, commission_minor=to_minor(1)),)
    before = case.desk.book.lots(A)
    assert FindingKind.FOREIGN_FILL in case.found()
    with pytest.raises(ValueError, match="claim the fills"):
        case.settle(positions={A: "30"})

    case.settle(fills=True)

    assert case.found() == []
    assert case.desk.book.lots(A) == before + 30
    said = [e for e in case.events() if isinstance(e, ev.PersonInstructed)]
    assert [(e.instruction, e.actor) for e in said] == [("adopt", "anna")]
    assert done.execution_id in said[0].reason


def test_cash_is_not_settled_while_a_commission_is_outstanding(case: Case) -> None:
    order = next(iter(case.desk.book.orders.values())).order
    case.desk.take_in([replace(make_fill(order, 1, number=9), commission_minor=None)])
    case.venue.cash_minor["USD"] = to_minor(5)
    with pytest.raises(ValueError, match="commissions must be told before cash is settled"):
        case.settle(cash={"USD": "5"})


def test_a_running_trader_settles_while_it_is_halted(tmp_path: Path) -> None:
    """It tells what came of a claim, and its health what a claim must say."""

    async def play() -> None:
        drill, venue = Drill(tmp_path), MovedVenue(tmp_path / "venue")
        drill.venue = drill.desk.broker = drill.desk.line.broker = venue
        drill.trader.broker = drill.trader.account.broker = venue
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.lots == 1_000)
        venue.cash_minor["USD"], venue.lots[A] = to_minor(-50), -10
        drill.trader.account.reconcile()
        await drill.until(lambda: drill.is_halted)
        differs = drill.trader.health()["differs"]
        assert differs == {"cash": {"USD": "-50"}, "positions": {A: "-10"}}

        claim = {"by": "anna", "reason": "moved", "cash": {"USD": "-50"}}
        assert "held against the account" in drill.trader.claims.ask(AccountClaim.of(claim))
        await drill.until(lambda: any("has settled 1 differences" in line for line in drill.lines))
        drill.trader.claims.ask(AccountClaim.of(claim))
        await drill.until(lambda: any("is not settled: the broker's" in i for i in drill.lines))
        drill.trader.claims.ask(AccountClaim.of({**claim, "cash": {}, "positions": {A: "-10"}}))
        await drill.until(lambda: drill.trader.claims.done == 3)
        assert drill.lots == 990
        health = drill.trader.health()
        assert health["differs"] == {"cash": {}, "positions": {}}
        assert health["claims"] == {
            "done": 3,
            "told": "anna has settled 1 differences, 0 executions",
        }
        assert drill.is_halted
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_nothing_is_settled_before_the_night_is_booked(tmp_path: Path) -> None:
    """A split of the night changes lots as well: a claim of them would book it twice."""
    drill = Drill(tmp_path)
    drill.trader.account._night_is_due = lambda: True
    claim = AccountClaim.of({"by": "anna", "reason": "moved", "cash": {"USD": "5"}})
    drill.trader.claims.ask(claim)
    drill.trader.claims.act()
    assert drill.lines == ["the account is not settled: the night must be booked first"]
    assert drill.desk.book.sequence == 0


def test_a_bust_and_a_deposit_over_tcp(tmp_path: Path) -> None:
    """The exchange takes a trade back: it is booked, halts once, and what is left is settled."""
    with hosted(matches_by_itself=False) as host:
        broker = tcp_ib(host)
        try:
            desk = make_desk(tmp_path, broker)
            start = host.call(lambda g: next(iter(g.venue.accounts.values())).start_cash)
            assert start == CASH
            desk.release(make_decision("d1", A=0.1))
            (record,) = desk.book.working_orders()
            done = fill(host, record.order.client_order_id, 40)
            kept = fill(host, record.order.client_order_id)

            def found() -> list[FindingKind]:
                account = broker.account()
                desk.take_in(broker.heard())
                told = reconcile(desk.book, account, RULES)
                desk.take_in(told.events)
                return [f.kind for f in told.findings]

            wait_until(lambda: found() == [], "what was filled must be booked")
            host.call(lambda g: g.venue.take_back(done.exec_id))
            before = desk.book.lots(A)
            assert found() == [FindingKind.FILL_TAKEN_BACK]
            assert found() == []
            assert desk.book.lots(A) == before - 40 == kept.quantity
            host.call(lambda g: next(iter(g.venue.accounts.values())).move("USD", Decimal("77.5")))
            wait_until(lambda: found() == [FindingKind.CASH_DIFFERS])
            claim = {"by": "anna", "reason": "deposit", "cash": {"USD": "77.5"}}
            settle_account(desk, broker, RULES, AccountClaim.of(claim))
            assert found() == []
            assert desk.book.ledger.find_imbalance() is None
        finally:
            broker.close()


def test_a_price_that_nobody_has_must_be_given(case: Case) -> None:
    """The desk's quote is one, and a desk of a command has none."""
    case.venue.lots[B] = 7
    case.desk.quotes.pop(B)
    with pytest.raises(ValueError, match=r"price of US.B must be given, as QUANTITY@PRICE"):
        case.settle(positions={B: "7"})
    case.desk.quotes[B] = make_quote(B)
    case.settle(positions={B: "7"})
    assert case.desk.book.ledger.positions[B].mark_ticks == make_quote(B).reference_ticks


def test_what_was_paid_beside_a_deposit_is_found(case: Case) -> None:
    """A dividend becomes cash while a deposit is unclaimed: the claim is the deposit alone."""
    owed = {"instrument_id": A, "currency": "USD", "amount_minor": to_minor(25), "pay_ns": NOW_NS}
    case.desk.note(ev.EntitlementAccrued(event_id="e", time_ns=NOW_NS, action_id="d", **owed))
    case.venue.cash_minor["USD"] = to_minor(5_025)
    assert case.found() == [FindingKind.CASH_DIFFERS]

    case.settle(cash={"USD": "5000"})

    assert case.found() == []
    assert case.desk.book.ledger.owed == {"USD": 0}
    assert case.desk.book.moved_in_minor == to_minor(5_000)


def test_cash_that_the_broker_does_not_tell_is_not_settled(case: Case) -> None:
    account = case.venue.account
    case.venue.account = lambda: replace(account(), cash_minor=None)
    with pytest.raises(ValueError, match="must tell its cash before any is settled"):
        case.settle(cash={"USD": "5"})


def test_an_execution_that_was_taken_back_needs_no_commission(case: Case) -> None:
    """It was never charged, or nobody tells: it kept every other difference open for ever."""
    order = next(iter(case.desk.book.orders.values())).order
    done = replace(make_fill(order, 1, number=9), commission_minor=None)
    gone = {"execution_id": done.execution_id, "revision": 2, "lots": 0, "price_ticks": 0}
    case.desk.take_in([done, ev.ExecutionCorrected(event_id="c", time_ns=NOW_NS, **gone)])
    case.venue.cash_minor["USD"] = to_minor(5)
    case.settle(cash={"USD": "5"})
    assert case.found() == []


def test_the_mark_of_what_is_not_held_any_more_is_no_price(case: Case) -> None:
    """It is as old as the last sale: the quote of now is taken, and without one the price asked."""
    held = case.desk.book.lots(A)
    case.venue.lots[A] = -held
    case.settle(positions={A: f"{-held}"})
    case.desk.quotes[A] = replace(make_quote(A), reference_ticks=12_345)
    case.venue.lots[A] = -held + 7
    case.settle(positions={A: "7"})
    moved = case.events()[-1]
    assert isinstance(moved, ev.TransferBooked)
    assert (moved.lots, moved.price_ticks) == (7, 12_345)
