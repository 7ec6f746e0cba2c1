"""Replay: the log's own orders and verdicts are worked out again and compared bit for bit.

Decisions are given (the log holds them), and so is all that the gate looked at; everything that
follows from them must come out as it stands in the log.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import to_minor
from swarm_core.references import References
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.context import RiskContext
from swarm_core.verdicts import bracket_verdict_id, judge_change, judge_one, plan
from swarm_core.working_terms import WorkingTerms


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found; `first_difference` is None where every bit came out the same."""

    event_count: int
    order_count: int
    verdict_count: int
    first_difference: str | None
    book_digest: str


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A decision as the log holds it, in the form that sizing takes."""

    decision_id: str
    time_ns: int
    instrument_ids: tuple[str, ...]
    target_weights: tuple[float, ...]


def replay(
    events: Iterable[ev.Event | ev.RecordedEvent], base_currency: str, starting_cash: Decimal | int
) -> ReplayReport:
    """Fold the log from its beginning, work out every order and verdict again, and compare.

    Stops at the first difference. Raises IllegalTransitionError where the log itself is wrong.
    """
    session = _Replay(Book(base_currency, to_minor(starting_cash)))
    for item in events:
        event = item.event if isinstance(item, ev.RecordedEvent) else item
        session.take(event)
        if session.difference is not None:
            break
    return ReplayReport(
        session.event_count,
        session.order_count,
        session.verdict_count,
        session.difference,
        book_digest(session.book),
    )


class _Replay:
    """The state of one replay: the book, the last references, and the plan that is being read."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.difference: str | None = None
        self.event_count = self.order_count = self.verdict_count = 0
        self._references: References | None = None
        self._context: RiskContext | None = None
        self._planned: list[ev.Event] = []

    def take(self, event: ev.Event) -> None:
        self.event_count += 1
        if isinstance(event, ev.ReferencesTaken):
            self._references, self._context = References.of(event), None
            self._planned = []
        elif isinstance(event, ev.OrderIntended | ev.TargetDenied):
            self._planned.append(event)
        elif isinstance(event, ev.ReleasePlanned):
            self._check_plan(event)
        elif isinstance(event, ev.OrderApproved | ev.OrderDenied):
            self._check_verdict(event)
        elif isinstance(event, ev.OrderModifyRequested | ev.OrderModifyDenied):
            self._check_change(event)
        self.book.apply(event)

    def _check_plan(self, end: ev.ReleasePlanned) -> None:
        taken, references = self.book.decisions.get(end.decision_id), self._references
        if taken is None or references is None:
            self.difference = f"event {self.event_count}: a plan must follow its decision"
            return
        decision = _Recorded(
            end.decision_id, taken.time_ns, taken.instrument_ids, taken.target_weights
        )
        # Orders that are only intended move no measure, so the book may hold them already.
        self._compare([*self._planned, end], plan(decision, self.book, references))
        self.order_count += end.order_count

    def _check_verdict(self, verdict: ev.OrderApproved | ev.OrderDenied) -> None:
        if isinstance(verdict, ev.OrderDenied) and verdict.code is DenialCode.MARGIN:
            return  # the broker's word: a fact, which no log can work out again
        record, references = self.book.orders.get(verdict.client_order_id), self._references
        if record is None or references is None:
            self.difference = f"event {self.event_count}: a verdict must follow its order"
            return
        if verdict.event_id == bracket_verdict_id(verdict.client_order_id, record.attempt):
            return  # it follows from what became of another order of its bracket
        if self._context is None:
            self._context = references.measure(self.book)
        self._compare([verdict], [judge_one(record, self._context)])
        self.verdict_count += 1

    def _check_change(self, verdict: ev.OrderModifyRequested | ev.OrderModifyDenied) -> None:
        if isinstance(verdict, ev.OrderModifyDenied) and verdict.code is DenialCode.MARGIN:
            return  # the broker's word
        record, references = self.book.orders.get(verdict.client_order_id), self._references
        if record is None or references is None:
            self.difference = f"event {self.event_count}: a change must follow its order"
            return
        terms = WorkingTerms(
            verdict.quantity_lots, verdict.limit_price_ticks, verdict.stop_price_ticks
        )
        self._compare([verdict], [judge_change(record, terms, references, self.book)])
        self.verdict_count += 1

    def _compare(self, recorded: list[ev.Event], worked_out: list[ev.Event]) -> None:
        if len(recorded) != len(worked_out):
            self.difference = (
                f"event {self.event_count}: there must be {len(worked_out)} events of the plan, "
                f"were {len(recorded)}"
            )
            return
        for old, new in zip(recorded, worked_out, strict=True):
            if ev.encode(old) != ev.encode(new):
                self.difference = f"event {self.event_count}: must be {new}, was {old}"
                return


def book_digest(book: Book) -> str:
    """Return the hash of everything in the books that money depends on."""
    ledger = book.ledger
    parts: list[object] = [
        sorted(ledger.cash.items()),
        sorted(ledger.fees.items()),
        sorted(ledger.deposited.items()),
        sorted((c, str(r)) for c, r in ledger.rates.items()),
        sorted(
            (i, p.currency, p.lots, p.cost_minor, p.realised_minor, p.mark_ticks)
            for i, p in ledger.positions.items()
        ),
        sorted((i, r.state.value, r.filled_lots) for i, r in book.orders.items()),
        sorted(ledger.executions),
        sorted(ledger.income.items()),
        sorted(ledger.converted.items()),
        sorted((i, e.amount_minor, i in ledger.paid) for i, e in ledger.entitlements.items()),
        sorted(ledger.action_lots.items()),
        sorted((i, str(r.order)) for i, r in book.orders.items() if r.adjustments),
        book.trading_state.value,
        sorted(book.throttled),
        (book.session, book.session_nav_minor, book.peak_nav_minor),
    ]
    return sha256(repr(parts).encode()).hexdigest()
