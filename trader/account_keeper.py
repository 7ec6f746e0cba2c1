"""Holds the book against the broker's account, at the times at which that is due."""

from collections.abc import Callable, Mapping

from swarm_core.account_rates import rate_events
from swarm_core.book import Book
from swarm_core.broker_account import BrokerAccount
from swarm_core.findings import FindingKind
from swarm_core.halting import change_trading_state
from swarm_core.reconciliation import Reconciliation, ReconciliationRules, reconcile
from swarm_core.trading import look_up_changes, look_up_unanswered, recover
from swarm_core.trading_state import TradingState
from trader.account_settling import AccountClaim, differences, settle_account
from trader.desk import TradingDesk
from trader.order_commands import OrderCommand
from trader.overnight import NightBooks
from trader.ports import LiveBroker, RefusingBroker
from trader.settings import TraderSettings
from trader.settling import settle

_NS_PER_S = 10**9
_TIGHTNESS = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)
# How long an order may be without an answer, and then how long between two questions.
UNANSWERED_NS = 60 * _NS_PER_S
RATES_NS = 10 * _NS_PER_S  # between two looks for a rate that is not known
CHANGES_NS = 10 * _NS_PER_S  # the same of a change of an order
# The log tells these by themselves, as they are booked.
_TOLD_BY_THE_LOG = frozenset(
    {FindingKind.CASH_BOOKED, FindingKind.FILL_CORRECTED, FindingKind.FILL_TAKEN_BACK}
)


class AccountKeeper:
    """Reconciles; `fault` says why nothing may be released, or is empty.

    `pull` halts; `why_not` says what else keeps releases back. `tell` is told what was found,
    each difference once for as long as it stays.
    """

    def __init__(
        self,
        desk: TradingDesk,
        broker: LiveBroker,
        rules: ReconciliationRules,
        nights: NightBooks,
        settings: TraderSettings,
        *,
        pull: Callable[[str], None],
        why_not: Callable[[], str],
        tell: Callable[[str], None] = lambda _: None,
        night_is_due: Callable[[], bool] = lambda: False,
    ) -> None:
        """Compose a keeper; `night_is_due` says whether an opening is still to be booked."""
        self.desk, self.broker, self.rules, self.settings = desk, broker, rules, settings
        self._nights, self._pull, self._why_not, self._tell = nights, pull, why_not, tell
        self._fault = "the account must be reconciled first"
        self._connections, self.reconciled_ns = -1, 0
        self._readings = 0  # of those that the broker asks for, how many were done
        self._looked_ns = self._changes_ns = 0  # when orders and changes were looked up last
        self._told: frozenset[str] = frozenset()
        self.differs: Mapping[str, Mapping[str, str]] = {}  # what a claim must say, in units
        self._overfilled = set(desk.book.overfills_seen)
        self._fills: tuple[int, str | None, int] | None = None
        self._night_is_due = night_is_due
        self.is_put_off = False  # whether cash differed while a night was to be booked

    @property
    def fault(self) -> str:
        """Why nothing may be released, or nothing; also that the books cannot be valued."""
        return self._fault or self.rate_fault

    @fault.setter
    def fault(self, why: str) -> None:
        self._fault = why

    @property
    def rate_fault(self) -> str:
        """Name the currencies of what is held that nobody says the worth of, or nothing."""
        unrated = self.desk.book.ledger.unrated()
        named = ", ".join(unrated)
        return f"the rate of {named} must be known, nobody has told it" if unrated else ""

    def note_away(self) -> None:
        """Release nothing until the broker is back; halt where it does not come back by itself."""
        self.fault = "the broker must be connected"
        refusal = self.broker.refusal if isinstance(self.broker, RefusingBroker) else ""
        if refusal and not self.desk.switch.is_pulled:
            self._pull(f"the trader must be started again when this is settled: {refusal}")

    def reconcile_if_due(self) -> bool:
        """Reconcile after each reconnection, when asked to, every so often, while it is unread."""
        now_ns = self.desk.now_ns()
        due_s = (now_ns - self.reconciled_ns) / _NS_PER_S
        if self._connections != self.broker.connection_count:
            self._connections = self.broker.connection_count
            recover(book=self.desk.book, log=self.desk.log, broker=self.desk.line, time_ns=now_ns)
        elif not (
            self._look_up(now_ns)
            or self._fault
            or (due_s * _NS_PER_S >= RATES_NS and self.rate_fault)
            or self._readings != self.broker.readings_asked
            or due_s >= self.settings.reconcile_every_s
        ):
            return False
        self._readings = self.broker.readings_asked  # what is asked for from now on is read anew
        self.reconcile()
        return True

    def look_up_changes(self) -> None:
        """Ask what became of changes that were not answered, every ten seconds."""
        desk, now_ns = self.desk, self.desk.now_ns()
        if abs(now_ns - self._changes_ns) >= CHANGES_NS and look_up_changes(
            book=desk.book,
            log=desk.log,
            broker=desk.line,
            time_ns=now_ns,
            patience_ns=CHANGES_NS,
        ):
            self._changes_ns = now_ns

    def _look_up(self, now_ns: int) -> bool:
        """Ask what became of orders that were never answered; return whether that was due.

        The connection may stand all the time: nobody else would ask.
        """
        sent_before_ns = now_ns - UNANSWERED_NS
        if abs(now_ns - self._looked_ns) < UNANSWERED_NS or not any(
            r.is_unanswered and (r.submitted_ns or 0) < sent_before_ns
            for r in self.desk.book.working_orders()
        ):
            return False
        desk, self._looked_ns = self.desk, now_ns
        look_up_unanswered(
            book=desk.book,
            log=desk.log,
            broker=desk.line,
            time_ns=now_ns,
            sent_before_ns=sent_before_ns,
        )
        return True

    def reconcile(self) -> None:
        """Hold the book against the account; without a whole account nothing is released."""
        desk, now_ns = self.desk, self.desk.now_ns()
        try:
            account = self.broker.account()
        except OSError as error:
            self.fault = f"the account must be readable: {error}"
            return
        # What was said while the account was read is part of both.
        desk.take_in(self.broker.heard())
        self._take_rates(account)
        account = desk.unretired(account)
        if any(p.is_margined and p.lots for p in desk.book.ledger.positions.values()):
            desk.mark(now_ns)  # what the broker has paid of futures is judged by their newest marks
        found = reconcile(desk.book, account, self.rules)
        desk.take_in(found.events)
        # Fills come first: an action is of what is held.
        if found.mode is TradingState.HALTED and self._nights.explain(account, now_ns):
            found = reconcile(desk.book, account, self.rules)
            desk.take_in(found.events)
        self.fault, self.reconciled_ns = "", now_ns
        self.is_put_off = self._night_is_due() and _is_of_cash(found)
        if self.is_put_off:
            return  # what the night owes may be paid already; until it is booked nothing leaves
        if any(f.kind is FindingKind.POSITION_LATE for f in found.findings):
            self.fault = "the account's positions must show the last executions, do not yet"
        self._say(found)
        self._end_again(found, now_ns)
        # A night that is still to be booked asks what was filled since: nothing is forgotten yet.
        if found.mode is TradingState.ACTIVE and not self._why_not():
            desk.retire(now_ns - int(self.settings.retire_after_s * _NS_PER_S))
        self._tighten(found, now_ns)
        self.look_at_fills()

    def _take_rates(self, account: BrokerAccount) -> None:
        """Value currencies at the account's own rates, and let lapse what it tells no more."""
        desk = self.desk
        traded = {instrument.currency for instrument in desk.instruments.values()}
        desk.note(
            *rate_events(
                desk.book,
                account.rates,
                traded,
                time_ns=account.time_ns,
                age_ns_max=self.rules.rate_age_ns_max,
            )
        )

    def look_at_fills(self) -> None:
        """Halt once for an order that filled more than it was for, however that was heard.

        An earlier process may have died between the fill and its halt.
        """
        book, before = self.desk.book, self._fills
        self._fills = _fills_of(book)
        if self._fills == before:
            return  # to look at every order at every beat would keep the next one waiting
        over = book.overfilled()
        new, self._overfilled = over - self._overfilled, over
        if not new or self.desk.switch.is_pulled:
            return
        record = book.orders[min(new)]
        self._pull(
            f"{min(new)} must fill {record.most_lots} lots at most, did {record.filled_lots}"
        )

    def settle(self, command: OrderCommand) -> None:
        """Settle an order by a person's word, where the account holds nothing of it; tell which."""
        self.reconcile()
        try:
            settle(
                self.desk,
                self.broker,
                self.rules,
                command.order_id,
                actor=command.actor,
                reason=command.reason,
            )
        except (OSError, ValueError) as error:
            self._tell(f"{command.order_id} is not settled: {error}")

    def settle_account(self, claim: AccountClaim) -> str:
        """Book what a person says of the account, where it shows just that; return what came of it.

        While a night is to be booked what differs may be of an action: nothing is settled then.
        """
        if self._night_is_due():
            return "the account is not settled: the night must be booked first"
        try:
            line = settle_account(self.desk, self.broker, self.rules, claim)
        except (OSError, ValueError) as error:
            line = f"the account is not settled: {error}"
        self.reconcile()
        return line

    def _say(self, found: Reconciliation) -> None:
        self.differs = differences(found, self.desk.instruments)
        told = {str(f) for f in found.findings if f.kind not in _TOLD_BY_THE_LOG}
        for line in sorted(told - self._told):
            self._tell(f"reconciliation: {line}")
        self._told = frozenset(told)

    def _end_again(self, found: Reconciliation, now_ns: int) -> None:
        """Ask for the cancel of what has ended in the log and works at the broker."""
        for finding in found.findings:
            if finding.kind is FindingKind.ENDED_WORKS:
                try:
                    self.desk.take_in(self.desk.line.cancel(finding.subject, now_ns))
                except OSError:
                    continue  # the next reconciliation finds it again

    def _tighten(self, found: Reconciliation, now_ns: int) -> None:
        desk, state = self.desk, self.desk.book.trading_state
        if _TIGHTNESS.index(found.mode) <= _TIGHTNESS.index(state):
            return
        reason = f"reconciliation: {found.reason}"
        if found.mode is TradingState.HALTED:
            self._pull(reason)
            return
        change_trading_state(
            found.mode,
            book=desk.book,
            log=desk.log,
            reason=reason,
            actor="trader",
            by_person=False,
            time_ns=now_ns,
        )


def _fills_of(book: Book) -> tuple[int, str | None, int]:
    """Return what differs when an execution has come, was corrected or was retired."""
    ledger = book.ledger
    newest = next(reversed(ledger.executions), None)
    return len(ledger.executions), newest, sum(ledger.revisions.values())


def _is_of_cash(found: Reconciliation) -> bool:
    """Return whether nothing but cash keeps trading from going on freely."""
    grave = {f.kind for f in found.findings if f.kind.mode is not TradingState.ACTIVE}
    return grave == {FindingKind.CASH_DIFFERS}
