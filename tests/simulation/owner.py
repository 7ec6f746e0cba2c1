"""What an exchange takes back and an owner moves in a simulated session, and who says so."""

from dataclasses import dataclass

from swarm_core import events as ev
from swarm_core.instruments import from_minor
from swarm_core.reconciliation import ReconciliationRules
from tests.simulation.faults import Faults
from tests.simulation.invariants import Watch
from tests.simulation.venue import Venue
from trader.account_settling import AccountClaim, settle_account
from trader.desk import TradingDesk
from trader.loop import Trader
from trader.ports import LiveBroker

_CENTS = 10**6


@dataclass(slots=True)
class Owner:
    """Moves cash without a word, and claims it until it is booked; trades are busted beside it."""

    venue: Venue
    faults: Faults
    watch: Watch
    moved_minor: int = 0
    is_settled: bool = False

    @property
    def unsaid_minor(self) -> int:
        """What was moved and is in no claim that was booked."""
        return self.moved_minor - self.watch.book.moved_in_minor

    @property
    def lost_fees_minor(self) -> int:
        """What executions cost that were taken back before anybody had heard of them."""
        # A commission may be heard of without its execution: then it is in the book.
        told = {*self.watch.booked, *self.watch.book.ledger.commissions}
        lost = [i for i in self.venue.taken_back if i in self.venue.commissions and i not in told]
        return sum(self.venue.commissions[i].commission_minor for i in lost)

    @property
    def unbooked_minor(self) -> int:
        """What the venue's cash has more than the book, and only a person can tell why."""
        if self.is_settled:
            return 0
        return self.unsaid_minor - self.lost_fees_minor

    def act(self, living: Trader | None, now_ns: int) -> None:
        if self.faults.happens("taken_back"):
            self._take_back(now_ns)
        if self.faults.happens("owner_moves"):
            # Too much to be taken for a dividend or for what a fraction brings.
            sign = self.faults.owner.choice((1, -1))
            amount = sign * self.faults.owner.randint(4_000_000, 9_000_000) * _CENTS
            self.moved_minor += amount
            self.venue.cash_minor += amount
        if self.unsaid_minor and living is not None:
            living.claims.ask(self._claim(self.unsaid_minor))

    def say(self, desk: TradingDesk, broker: LiveBroker, rules: ReconciliationRules) -> None:
        """Settle what is left as `apiary account settle` does where no trader runs."""
        left = self.unbooked_minor
        ledger = self.watch.book.ledger
        if any(owed.is_estimate for owed in ledger.entitlements.values()):
            # What was estimated may have been paid with such a fee in it: nobody can tell.
            off = self.venue.cash_minor - ledger.cash["USD"]
            left = self.unsaid_minor if off == self.unsaid_minor else left
        if left:
            try:
                settle_account(desk, broker, rules, self._claim(left))
            except ValueError as error:
                raise AssertionError(f"what the owner moved must be settled: {error}") from error
        self.is_settled = True

    @staticmethod
    def _claim(minor: int) -> AccountClaim:
        cash = {"USD": from_minor(minor)}
        return AccountClaim(actor="the owner", reason="moved", cash=cash)

    def _take_back(self, now_ns: int) -> None:
        """Bust a whole execution of ours, of any age; what it cost stays charged."""
        # Where an action of the night is booked late, nobody could say in which lots.
        fills = [
            f
            for f in self.venue.fills.values()
            if f.client_order_id and f.instrument_id not in self.venue.has_changed
        ]
        if not fills:
            self.faults.happened["taken_back"] -= 1
            return
        fill = self.faults.owner.choice(fills)
        ticket = self.venue.find(fill.client_order_id)
        assert ticket is not None
        del self.venue.fills[fill.execution_id]
        self.venue.taken_back[fill.execution_id] = fill
        ticket.story.remove(fill)
        ticket.taken_lots += fill.lots
        signed = fill.side.sign * fill.lots
        self.venue.lots[fill.instrument_id] -= signed
        self.venue.cash_minor += signed * fill.price_ticks * fill.lot_tick_minor
        self.venue.corrections.append(
            ev.ExecutionCorrected(
                event_id=ev.make_event_id("ExecutionCorrected", fill.execution_id, 2),
                time_ns=now_ns,
                execution_id=fill.execution_id,
                revision=2,
                lots=0,
                price_ticks=fill.price_ticks,
            )
        )
        self.venue.readings_asked += 1  # whoever hears of it reads the account
