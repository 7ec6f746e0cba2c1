"""The order path over the adapter over TCP, while the gateway does what gateways do.

However it goes: each order is at the broker once, every fill is in the book once, and the book
equals the account to the last minor unit.
"""

import random
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.brokers.ib import IbBroker
from gateway_simulator.faults import Fault, FaultKind
from gateway_simulator.gateway import Gateway
from gateway_simulator.hosting import HostedGateway
from swarm_core.instruments import to_minor
from swarm_core.order_states import OrderState
from swarm_core.reconciliation import Reconciliation, ReconciliationRules, reconcile
from swarm_core.trading import recover
from swarm_core.trading_state import TradingState
from tests.adapters.brokers.test_broker_contract import tcp_ib
from tests.gateway_simulator.gateways import hosted, wait_until
from tests.gateway_simulator.official import official, stock
from tests.gateway_simulator.official import order as other_order
from tests.swarm_core.builders import make_decision
from tests.trader.desks import make_desk
from trader.desk import TradingDesk

K = FaultKind
ADOPTING = ReconciliationRules(adopt_foreign=True)
DECISIONS = ({"A": 0.02, "B": 0.01}, {"A": 0.01, "B": 0.02}, {"A": 0.0, "B": 0.015})
ROUNDS_MAX = 300


def at_order(kind: FaultKind, nth: int = 2, **fields: object) -> Fault:
    return Fault(kind=kind, at="place_order", nth=nth, **fields)  # type: ignore[arg-type]


BACK_S = 0.3
SCENARIOS: dict[str, list[Fault]] = {
    "nothing happens": [],
    "broken before the order is read": [at_order(K.LOSE_ORDER)],
    "broken before a word": [at_order(K.DROP_BEFORE_ACK), at_order(K.DROP_BEFORE_ACK, 3)],
    "broken twice in a row": [at_order(K.LOSE_ORDER, 1), at_order(K.DROP_BEFORE_ACK, 2)],
    "half open": [at_order(K.HALF_OPEN)],
    "restarts that roll the ids back": [
        at_order(K.RESTART, 1, seconds=0.1),
        at_order(K.RESTART, 3, seconds=0.1),
        Fault(kind=K.RESTART, at="fill", nth=2),
    ],
    "filled while away": [at_order(K.FILL_WHILE_AWAY), at_order(K.FILL_WHILE_AWAY, 4)],
    "1100 and 1102": [at_order(K.UPSTREAM_LOST), at_order(K.UPSTREAM_BACK, after_s=BACK_S)],
    "1100 and 1101": [
        at_order(K.UPSTREAM_LOST),
        at_order(K.UPSTREAM_BACK_DATA_LOST, after_s=BACK_S),
    ],
    "an order by hand": [at_order(K.MANUAL_ORDER, symbol="A", quantity=Decimal(7))],
    "fills told twice": [Fault(kind=K.DUPLICATE_FILLS)],
    "fills told late": [Fault(kind=K.LATE_FILLS, delay_s=0.1)],
    "fills out of order": [Fault(kind=K.REORDER_FILLS), Fault(kind=K.PARTIAL_FILLS, quantity=70)],  # type: ignore[arg-type]
    "many small fills": [Fault(kind=K.PARTIAL_FILLS, quantity=Decimal(9))],
    "commissions first": [Fault(kind=K.COMMISSION_FIRST)],
    "commissions late": [Fault(kind=K.COMMISSION_LATE, delay_s=0.2)],
    "an order rejected": [at_order(K.REJECT, 1, reason="no shares")],
    "slow answers": [Fault(kind=K.SLOW, delay_s=0.01)],
    "torn frames": [Fault(kind=K.TORN)],
    "a clock that is wrong": [Fault(kind=K.CLOCK_SKEW, seconds=-7_200)],
}


class Rig:
    """A desk on the adapter, the gateway behind it, and what must hold at the end."""

    def __init__(self, host: HostedGateway, broker: IbBroker, home: Path) -> None:
        self.host, self.broker = host, broker
        self.desk: TradingDesk = make_desk(home, broker)

    def trade(self, decision_id: str, weights: dict[str, float]) -> None:
        """Take a decision over the order path until all of its orders have ended."""
        decision = make_decision(decision_id, **weights)
        for _ in range(ROUNDS_MAX):
            self.desk.take_in(self.broker.heard())
            if self.broker.is_connected:
                report = self.desk.release(decision)
                assert not report.denied
                recover(
                    book=self.desk.book,
                    log=self.desk.log,
                    broker=self.broker,
                    time_ns=self.desk.now_ns(),
                )
                if all(state.is_final for state in report.states.values()):
                    return
            time.sleep(0.02)
        raise AssertionError(f"{decision_id} must end in {ROUNDS_MAX} rounds, did not")

    def settle(self) -> Reconciliation:
        """Reconcile until book and account agree; return the last comparison."""
        for _ in range(ROUNDS_MAX):
            self.desk.take_in(self.broker.heard())
            try:
                account = self.broker.account()
            except OSError:
                time.sleep(0.02)
                continue
            found = reconcile(self.desk.book, account, ADOPTING)
            self.desk.take_in(found.events)
            charged = len(self.desk.book.ledger.commissions) == len(account.fills)
            if not found.events and found.mode is TradingState.ACTIVE and charged:
                return found
            time.sleep(0.02)
        raise AssertionError(f"book and account must agree at last: {found.findings}")

    def check(self) -> None:
        """No order twice, no fill lost, the book equal to the account."""
        book = self.desk.book

        def truth(gateway: Gateway) -> tuple[list[str], set[str], dict[str, int], int]:
            (account,) = gateway.venue.accounts.values()
            held = {f"US.{h.listing.symbol}": int(h.quantity) for h in account.holdings.values()}
            refs = [order.ref for order in gateway.venue.orders if order.ref]
            ids = {done.exec_id for done in gateway.venue.executions}
            return refs, ids, held, to_minor(str(account.cash["USD"]))

        refs, executions, held, cash = self.host.call(truth)
        assert len(refs) == len(set(refs))
        assert set(book.ledger.executions) == executions
        assert set(book.ledger.commissions) == executions
        ours = {i: p.lots for i, p in book.ledger.positions.items() if p.lots}
        assert ours == {i: n for i, n in held.items() if n}
        assert book.ledger.cash["USD"] == cash
        assert book.ledger.find_imbalance() is None


def play(home: Path, faults: Sequence[Fault]) -> Rig:
    """Trade three decisions while the faults happen, settle, and check everything."""
    with hosted(market_every_s=0.02) as host:
        broker = tcp_ib(host, answer_s_max=0.5, pulse_s=0.1)
        try:
            rig = Rig(host, broker, home)
            for fault in faults:
                host.call(lambda g, fault=fault: g.faults.add(fault))
            for number, weights in enumerate(DECISIONS):
                rig.trade(f"d{number}", weights)
            kinds = {fault.kind for fault in faults}
            wait_until(lambda: kinds == {f.kind for f in host.call(lambda g: g.faults.done)})
            host.call(lambda g: g.faults.end())
            rig.settle()
            rig.check()
            return rig
        finally:
            broker.close()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_book_survives(name: str, tmp_path: Path) -> None:
    """Every fault of the list, each by itself."""
    rig = play(tmp_path, SCENARIOS[name])
    if name == "nothing happens":
        assert len(rig.desk.book.orders) == 6


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(n, marks=pytest.mark.slow) for n in range(100, 160))]
)
def test_the_book_survives_many_faults_at_once(seed: int, tmp_path: Path) -> None:
    """Five faults drawn by a seed, at orders drawn by the same seed."""
    draw = random.Random(seed)
    names = [n for n in SCENARIOS if n not in ("nothing happens", "an order rejected")]
    faults = [f for name in draw.sample(names, 5) for f in SCENARIOS[name]]
    play(tmp_path, faults)


def test_the_end_of_an_order_by_hand_is_seen_while_the_connection_stands() -> None:
    """Its end is told to whoever placed it: it had gone on working until the trader's restart."""
    with hosted(matches_by_itself=False) as host:
        broker = tcp_ib(host)
        placed = host.call(lambda g: g.place_by_hand("A", "BUY", Decimal(7), Decimal(50)))
        assert placed is not None
        (shown,) = broker.account().orders
        assert shown.ending is None
        host.call(lambda g: g.venue.cancel(placed))
        (shown,) = broker.account().orders
        broker.close()
    assert shown.ending is OrderState.CANCELLED


def test_two_clients_trade_one_account_at_once(tmp_path: Path) -> None:
    """What another program trades is not ours, and still stands in the book: it was adopted."""
    with hosted(market_every_s=0.02) as host, official(host.port, client_id=9) as other:
        other.wait("nextValidId")
        broker = tcp_ib(host, answer_s_max=2.0)
        try:
            rig = Rig(host, broker, tmp_path)
            for number, weights in enumerate(DECISIONS):
                other.placeOrder(number + 1, stock("C"), other_order(orderRef=f"other-{number}"))
                rig.trade(f"d{number}", weights)
            other.wait("commissionAndFeesReport", len(DECISIONS))
            rig.settle()
            rig.check()
            assert rig.desk.book.lots("US.C") == 10 * len(DECISIONS)
            # Neither hears of the other's fills unasked.
            assert {words[2].orderRef for words in other.told("execDetails")} == {
                f"other-{number}" for number in range(len(DECISIONS))
            }
        finally:
            broker.close()
