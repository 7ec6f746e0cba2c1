"""The simulation finds bugs: each is planted, and some seed must fail because of it."""

from collections.abc import Callable, Sequence

import pytest

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.halting import change_trading_state
from swarm_core.ledger import Ledger
from swarm_core.order_changes import refused
from swarm_core.order_path import OrderPath
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import Order
from swarm_core.reconciliation import _Comparison
from swarm_core.references import References
from swarm_core.risk.gate import Approved
from swarm_core.trading_state import TradingState
from swarm_core.working_terms import WorkingTerms
from tests.simulation.verdict import judge
from tests.simulation.world import play
from trader import account_keeper, loop
from trader.desk import TradingDesk
from trader.kill_switch import KillSwitch
from trader.switched_broker import SwitchedBroker

SEEDS = range(240)
Plant = Callable[[pytest.MonkeyPatch], None]


def resend_without_asking(patch: pytest.MonkeyPatch) -> None:
    """What was submitted and not answered is taken for lost."""

    def look_up(self: OrderPath, record: OrderRecord) -> None:
        if record.state in (OrderState.SUBMITTED, OrderState.UNKNOWN):
            order_id = record.order.client_order_id
            self.write(
                [
                    ev.OrderSubmissionLost(
                        event_id=ev.make_event_id("OrderSubmissionLost", order_id, record.attempt),
                        time_ns=self.time_ns,
                        client_order_id=order_id,
                        attempt=record.attempt,
                    )
                ]
            )

    patch.setattr(OrderPath, "look_up", look_up)


def book_what_is_told_again(patch: pytest.MonkeyPatch) -> None:
    """An execution that is told in other words is booked once more."""
    book_fill = Ledger.book_fill

    def book_twice(self: Ledger, fill: ev.OrderFilled) -> bool:
        known = self.executions.pop(fill.execution_id, None)
        done = book_fill(self, fill)
        if known is not None:
            self.executions[fill.execution_id] = known
        return done

    patch.setattr(Ledger, "book_fill", book_twice)
    patch.setattr(Book, "knows", lambda self, event: False)


def drop_late_fills(patch: pytest.MonkeyPatch) -> None:
    """A fill of an order that has ended is not booked."""
    knows = Book.knows

    def knows_ended(self: Book, event: ev.Event) -> bool:
        if isinstance(event, ev.OrderFilled):
            record = self.orders.get(event.client_order_id)
            if record is not None and record.state.is_final:
                return True
        return knows(self, event)

    patch.setattr(Book, "knows", knows_ended)
    patch.setattr("swarm_core.reconciliation._Comparison.fills", lambda self: None)


def never_reconcile(patch: pytest.MonkeyPatch) -> None:
    """What was filled while the line was down is not asked for."""
    patch.setattr(
        account_keeper.AccountKeeper, "reconcile", lambda self: setattr(self, "fault", "")
    )
    for module in (loop, account_keeper):
        patch.setattr(module, "recover", lambda **_: 0)


def send_before_writing(patch: pytest.MonkeyPatch) -> None:
    """The order leaves first, and is written down afterwards."""

    def submit(self: OrderPath, unit: Sequence[OrderRecord]) -> None:
        self.take_in(self._hand_over([record.order for record in unit]))

    patch.setattr(OrderPath, "_submit", submit)


def approve_everything(patch: pytest.MonkeyPatch) -> None:
    """The gate lets everything through, halted or not, and the switch is not looked at."""
    patch.setattr("swarm_core.verdicts.check_order", lambda order, context: Approved(1, 1))
    patch.setattr(
        SwitchedBroker, "submit", lambda self, order, time_ns: self.broker.submit(order, time_ns)
    )


def lift_a_halt_by_machine(patch: pytest.MonkeyPatch) -> None:
    """A trader that starts sets its book active, as if a person had looked."""
    run = loop.Trader.run

    async def run_active(self: loop.Trader) -> None:
        desk = self.desk
        if desk.book.trading_state is TradingState.HALTED:
            self.desk.switch.reset()
            change_trading_state(
                TradingState.ACTIVE,
                book=desk.book,
                log=desk.log,
                reason="started",
                actor="trader",
                by_person=False,
                time_ns=desk.now_ns(),
            )
        await run(self)

    patch.setattr(TradingState, "may_become", lambda self, state, *, by_person: True)
    patch.setattr(loop.Trader, "run", run_active)


def charge_commissions_each_time(patch: pytest.MonkeyPatch) -> None:
    """A commission that is told apart from its fill is charged again."""
    book = Ledger._book_commission

    def charge(self: Ledger, execution_id: str, currency: str, minor: int | None) -> bool:
        self.commissions.pop(execution_id, None)
        return book(self, execution_id, currency, minor)

    patch.setattr(Ledger, "_book_commission", charge)
    patch.setattr(Book, "knows", lambda self, event: False)


def trade_on_failed_checks(patch: pytest.MonkeyPatch) -> None:
    """A decision whose checks have failed is released all the same."""
    release = TradingDesk.release

    def release_all(self: TradingDesk, decision, *, fault: str = "", **more):
        return release(self, decision, fault="", **more)

    patch.setattr(TradingDesk, "release", release_all)
    patch.setattr(loop.Trader, "_pull", lambda self, reason: None)


def forget_the_split(patch: pytest.MonkeyPatch) -> None:
    """What a night did to the holdings is not booked."""
    patch.setattr("trader.overnight.action_events", lambda *_: [])


def take_silence_for_a_refusal(patch: pytest.MonkeyPatch) -> None:
    """A change that was not answered is taken for refused, and nobody is asked."""

    def settle(path: OrderPath, record: OrderRecord) -> None:
        order_id, number = record.order.client_order_id, record.change_number
        path.take_in([refused(order_id, number, "no answer", path.time_ns)])

    patch.setattr("swarm_core.order_path.settle", settle)


def change_before_writing(patch: pytest.MonkeyPatch) -> None:
    """The broker is asked for other terms, and what it says is all that is written down."""

    def modify(path: OrderPath, record: OrderRecord, order: Order, _: References) -> bool:
        number = record.change_number + 1
        broker = path.broker
        assert isinstance(broker, SwitchedBroker)
        broker.modify(record.order, WorkingTerms.of(order), number, path.time_ns)
        return True

    patch.setattr("trader.desk.modify", modify)


def overlook_what_others_did(patch: pytest.MonkeyPatch) -> None:
    """Fills that are not ours, such as of shares that were bought in, are passed over."""
    missed = _Comparison._missed

    def ours_alone(self: _Comparison, fill: ev.OrderFilled) -> None:
        if fill.client_order_id in self.book.orders:
            missed(self, fill)

    patch.setattr(_Comparison, "_missed", ours_alone)
    patch.setattr(_Comparison, "positions", lambda self: None)
    patch.setattr(_Comparison, "cash", lambda self: None)


def take_an_unwritten_halt_for_lifted(patch: pytest.MonkeyPatch) -> None:
    """Neither the file nor the log has a halt, as no disk took it: it counts as lifted."""
    told = property(lambda self: self._halted is not None, lambda self, value: None)
    patch.setattr(loop.Trader, "_on_record", told, raising=False)
    patch.setattr(KillSwitch, "lift", KillSwitch.reset)


def keep_what_was_taken_back(patch: pytest.MonkeyPatch) -> None:
    """An execution that is corrected to no lots stays in the books."""
    correct = Ledger.correct_fill
    patch.setattr(Ledger, "correct_fill", lambda self, event: event.lots and correct(self, event))


BUGS: tuple[Plant, ...] = (
    resend_without_asking,
    book_what_is_told_again,
    drop_late_fills,
    never_reconcile,
    send_before_writing,
    approve_everything,
    lift_a_halt_by_machine,
    charge_commissions_each_time,
    trade_on_failed_checks,
    forget_the_split,
    take_silence_for_a_refusal,
    change_before_writing,
    overlook_what_others_did,
    take_an_unwritten_halt_for_lifted,
    keep_what_was_taken_back,
)


# Where the first seed that finds a bug comes late, it is tried before the others.
FOUND_LATE = {take_silence_for_a_refusal: 161}


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for seed in (FOUND_LATE.get(plant, 0), *SEEDS):
        try:
            verdict = judge(play(seed))
        except (AssertionError, ValueError) as found:
            print(f"seed {seed} found it: {found}")
            return
        if verdict.duplicate_orders or verdict.lost_fills or verdict.unbooked_differences:
            print(f"seed {seed} found it: {verdict}")
            return
    pytest.fail(f"no seed of {SEEDS} found that {plant.__name__}")
