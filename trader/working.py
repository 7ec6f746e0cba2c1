"""Works a decision in slices: each is released when its moment comes, from what the log says."""

from swarm_core import events as ev
from swarm_core.execution.working import (
    ParentOrder,
    WorkingPlan,
    WorkingSettings,
    plan_working,
)
from swarm_core.halting import cancel_all
from swarm_core.instruments import MINOR_PER_UNIT, Instrument, convert_minor
from swarm_core.lineage import Lineage
from swarm_core.market import Quote
from swarm_core.order_states import OrderRecord
from swarm_core.risk.context import is_fresh
from swarm_core.trading import ReleaseReport
from swarm_core.trading_state import TradingState
from trader.desk import TradingDesk
from trader.ports import Intent
from trader.settings import QUOTE_PATIENCE_NS, RESUME_NS


class Worker:
    """One decision at a time is worked; its plan stands in the log and outlives the process.

    A new decision, or a halt, ends what was worked before and cancels its orders.
    """

    def __init__(self, desk: TradingDesk, settings: WorkingSettings) -> None:
        self.desk, self.settings = desk, settings
        self._first_ns: int | None = None  # when this process first could have sent something
        self._resumed = ("", 0)  # the slice that was cut off, and when it was tried last

    def begin(self, intent: Intent, now_ns: int) -> None:
        """Put the plan of a decision on record, once; what was worked before is ended."""
        desk, book, decision = self.desk, self.desk.book, intent.targets
        decision_id, ids = decision.decision_id, tuple(decision.instrument_ids)
        if decision_id in book.worked or desk.has_retired(decision_id):
            return
        self.end(f"{decision_id} took its place", now_ns)
        desk.mark(now_ns)
        start = book.weights(ids)
        target = tuple(
            start[i] if name in intent.withheld else float(decision.target_weights[i])
            for i, name in enumerate(ids)
        )
        plan = plan_working(
            decision_id,
            ids,
            start,
            target,
            parents=self._parents(ids, start, target),
            settings=self.settings,
            start_ns=now_ns,
            impact_coefficient=book.impact.coefficient,
        )
        lineage = intent.lineage or Lineage(decision_id=decision_id, session=book.session)
        desk.note(
            ev.DecisionTaken(
                event_id=ev.make_event_id("DecisionTaken", decision_id),
                time_ns=decision.time_ns,
                correlation_id=decision_id,
                lineage=lineage,
                instrument_ids=ids,
                target_weights=tuple(float(decision.target_weights[i]) for i in range(len(ids))),
            ),
            ev.WorkingStarted(
                event_id=ev.make_event_id("WorkingStarted", decision_id),
                time_ns=now_ns,
                correlation_id=decision_id,
                decision_id=decision_id,
                plan=plan,
            ),
        )

    def work(self, now_ns: int) -> ReleaseReport | None:
        """Release the slice that is due; end the plan when all of it is done, or trading halted."""
        plan = self.desk.book.working_plan
        if self._first_ns is None:
            self._first_ns = now_ns
        if plan is None:
            return None
        if self.desk.book.trading_state is TradingState.HALTED:
            self.end("trading was halted", now_ns)
            return None
        due = plan.due(now_ns)
        if due is None:
            return None
        if due == len(plan.moments_ns) - 1 and self._is_done(plan, due):
            self.end(self._outcome(plan), now_ns, cancel=False)
            return None
        is_planned = plan.slice_id(due) in self.desk.book.planned
        if is_planned and not self._unsent(plan, due):
            return None
        if self._waits_for_quotes(plan, due, self._first_ns, now_ns):
            return None
        if is_planned:  # the broker is asked about it, or the gate judges it anew: not at each beat
            tried, tried_ns = self._resumed
            if tried == plan.slice_id(due) and now_ns - tried_ns < RESUME_NS:
                return None
            self._resumed = (plan.slice_id(due), now_ns)
        lineage = Lineage(decision_id=plan.slice_id(due), session=self.desk.book.session)
        return self.desk.release(
            plan.targets(due), lineage=lineage, parent_decision_id=plan.decision_id
        )

    def end(self, reason: str, now_ns: int, *, cancel: bool = True) -> None:
        """Put on record that nothing more is sent, and cancel the slices that still work."""
        desk = self.desk
        plan = desk.book.working_plan
        if plan is None:
            return
        desk.note(
            ev.WorkingEnded(
                event_id=ev.make_event_id("WorkingEnded", plan.decision_id),
                time_ns=now_ns,
                correlation_id=plan.decision_id,
                decision_id=plan.decision_id,
                reason=reason,
            )
        )
        if cancel:
            cancel_all(
                book=desk.book,
                log=desk.log,
                broker=desk.line,
                reason=reason,
                time_ns=now_ns,
                which=lambda order: plan.is_slice(order.decision_id),
            )

    def _parents(
        self, ids: tuple[str, ...], start: tuple[float, ...], target: tuple[float, ...]
    ) -> dict[str, ParentOrder]:
        """Return about how much of each instrument lies between start and target, and its market.

        What has no price or no rate has none.
        """
        book, desk = self.desk.book, self.desk
        nav = book.ledger.find_nav_minor() or 0
        parents: dict[str, ParentOrder] = {}
        for name, before, after in zip(ids, start, target, strict=True):
            instrument, quote = desk.instruments.get(name), desk.quotes.get(name)
            rate = None if instrument is None else book.ledger.rates.get(instrument.currency)
            if instrument is None or quote is None or rate is None or quote.reference_ticks <= 0:
                continue
            value = instrument.value_minor(1, quote.reference_ticks)
            parents[name] = ParentOrder(
                lots=int(abs(after - before) * nav / max(1, convert_minor(value, rate))),
                arrival_ticks=quote.reference_ticks,
                lot_value=value / MINOR_PER_UNIT,
                half_spread=_half_spread(instrument, quote),
                daily_volume_lots=quote.daily_volume_lots,
            )
        return parents

    def _records(self, plan: WorkingPlan, number: int) -> list[OrderRecord]:
        book = self.desk.book
        return [book.orders[i] for i in book.intended.get(plan.slice_id(number), [])]

    def _unsent(self, plan: WorkingPlan, number: int) -> list[OrderRecord]:
        """Return what a process left that died between the plan of a slice and its sending."""
        records = self._records(plan, number)
        return [r for r in records if not r.state.is_final and not r.broker_order_id]

    def _waits_for_quotes(self, plan: WorkingPlan, number: int, first_ns: int, now_ns: int) -> bool:
        """Return whether a slice lacks a fresh quote that may still come; without, it is denied.

        What an earlier slice leaves undone is part of the next: only the last waits from its own
        moment on, the others while the process is young.
        """
        is_last = number == len(plan.moments_ns) - 1
        since_ns = max(first_ns, plan.moments_ns[number] if is_last else 0)
        if now_ns >= since_ns + QUOTE_PATIENCE_NS:
            return False
        book, targets = self.desk.book, plan.targets(number)
        if targets.decision_id in book.planned:
            needed = {r.order.instrument_id for r in self._unsent(plan, number)}
        else:
            pairs = zip(targets.instrument_ids, targets.target_weights, strict=True)
            needed = {name for name, weight in pairs if weight or book.lots(name)}
        limits, quotes = self.desk.limits.resolve(0), self.desk.quotes  # of ages NAV changes none
        return not all(i in quotes and is_fresh(quotes[i], limits, now_ns) for i in needed)

    def _is_done(self, plan: WorkingPlan, last: int) -> bool:
        """Return whether nothing of it works, or may still leave: of earlier slices nothing may."""
        if plan.slice_id(last) not in self.desk.book.planned or self._unsent(plan, last):
            return False
        slices = range(len(plan.moments_ns))
        return not any(r.state.is_working for j in slices for r in self._records(plan, j))

    def _outcome(self, plan: WorkingPlan) -> str:
        """Return what became of the whole: done, or what is left of the last slice."""
        last = len(plan.moments_ns) - 1
        denied = self.desk.book.denied_targets.get(plan.slice_id(last), {})
        left = [f"{name} ({code.value})" for name, code in sorted(denied.items())]
        left += [
            f"{r.order.quantity_lots - r.filled_lots} of {r.order.instrument_id} ({r.state.value})"
            for r in self._records(plan, last)
            if r.filled_lots < r.order.quantity_lots
        ]
        return f"left: {', '.join(left)}" if left else "done"


def _half_spread(instrument: Instrument, quote: Quote) -> float | None:
    """Return what half the spread costs a lot, in its currency; None where none is shown."""
    bid, ask = quote.bid_ticks, quote.ask_ticks
    if bid is None or ask is None or not 0 < bid <= ask:
        return None
    return instrument.value_minor(1, ask - bid) / MINOR_PER_UNIT / 2
