"""The events of planning and judging: pure functions that a replay calls again."""

from collections.abc import Sequence

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.order_states import OrderRecord
from swarm_core.orders import Order
from swarm_core.references import References
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.context import RiskContext
from swarm_core.risk.gate import Approved, check_order
from swarm_core.sizing import Targets, size
from swarm_core.working_terms import WorkingTerms


def plan(
    decision: Targets, book: Book, references: References, context: RiskContext | None = None
) -> list[ev.Event]:
    """Return the intended orders of a decision, its denied targets, and the end of the plan.

    `context` is what was measured of this book and these references, where that was done already.
    """
    context = context or references.measure(book)
    orders, denied = size(decision, book, context, references.sizing)
    decision_id, time_ns = decision.decision_id, references.time_ns
    cause = ev.make_event_id("DecisionTaken", decision_id)
    events: list[ev.Event] = [
        ev.TargetDenied(
            event_id=ev.make_event_id("TargetDenied", decision_id, target.instrument_id),
            time_ns=time_ns,
            causation_id=cause,
            correlation_id=decision_id,
            decision_id=decision_id,
            instrument_id=target.instrument_id,
            code=target.code,
            detail=target.detail,
        )
        for target in denied
    ]
    events.extend(
        ev.OrderIntended(
            event_id=ev.make_event_id("OrderIntended", order.client_order_id),
            time_ns=time_ns,
            causation_id=cause,
            correlation_id=decision_id,
            order=order,
        )
        for order in orders
    )
    events.append(
        ev.ReleasePlanned(
            event_id=ev.make_event_id("ReleasePlanned", decision_id),
            time_ns=time_ns,
            causation_id=cause,
            correlation_id=decision_id,
            decision_id=decision_id,
            order_count=len(orders),
            denied_count=len(denied),
        )
    )
    return events


def judge(records: Sequence[OrderRecord], context: RiskContext) -> list[ev.OrderEvent]:
    """Return the gate's verdict on each order; every approval counts against the next one.

    An order and its exits pass together: where one is denied, so are the others.
    """
    verdicts = [judge_one(record, context) for record in records]
    denied = [r.order for r, v in zip(records, verdicts, strict=True) if type(v) is ev.OrderDenied]
    broken = {bracket_of(order): order for order in denied}
    return [
        *verdicts,
        *(
            deny_with(record, record.attempt + 1, context.time_ns, broken[bracket_of(record.order)])
            for record, verdict in zip(records, verdicts, strict=True)
            if type(verdict) is ev.OrderApproved and bracket_of(record.order) in broken
        ),
    ]


def bracket_of(order: Order) -> str:
    """Return the id that an order and its exits share: the order's own."""
    return order.parent_client_order_id if order.is_exit else order.client_order_id


def units_of(records: Sequence[OrderRecord]) -> list[list[OrderRecord]]:
    """Return the orders by what is sent together: an order with its exits, or one alone."""
    units: dict[str, list[OrderRecord]] = {}
    for record in records:
        units.setdefault(bracket_of(record.order), []).append(record)
    return list(units.values())


def deny_with(record: OrderRecord, attempt: int, time_ns: int, cause: Order) -> ev.OrderDenied:
    """Return the denial of an approved order for what became of another of its bracket."""
    order, code = record.order, DenialCode.BRACKET
    return ev.OrderDenied(
        event_id=bracket_verdict_id(order.client_order_id, attempt),
        time_ns=time_ns,
        causation_id=ev.make_event_id("Verdict", order.client_order_id, attempt),
        correlation_id=order.decision_id,
        client_order_id=order.client_order_id,
        code=code,
        measured=0,
        limit=0,
        detail=f"{code.explanation} {cause.client_order_id} did not pass.",
    )


def bracket_verdict_id(order_id: str, attempt: int) -> str:
    """Return the id of a verdict that follows from another order's, not from the gate's rules."""
    return ev.make_event_id("Verdict", order_id, attempt, "bracket")


def judge_change(
    record: OrderRecord, terms: WorkingTerms, references: References, book: Book
) -> ev.OrderModifyRequested | ev.OrderModifyDenied:
    """Return the verdict on a working order in other terms: it is checked as a whole, anew.

    What has filled of it counts in it, and what is open of it in the old terms does not.
    """
    context = references.measure(book)
    context.take_back(record.order, record.filled_lots, record.open_lots)
    changed = terms.applied_to(record.order)
    verdict = check_order(changed, context)
    if not isinstance(verdict, Approved):
        told = (verdict.code, verdict.measured, verdict.limit, verdict.detail)
        return _denied_change(record, terms, told, context.time_ns)
    order_id, number = changed.client_order_id, record.change_number + 1
    return ev.OrderModifyRequested(
        event_id=ev.make_event_id("OrderModifyRequested", order_id, number),
        time_ns=context.time_ns,
        causation_id=ev.make_event_id("OrderIntended", order_id),
        correlation_id=changed.decision_id,
        client_order_id=order_id,
        number=number,
        quantity_lots=terms.quantity_lots,
        limit_price_ticks=terms.limit_price_ticks,
        stop_price_ticks=terms.stop_price_ticks,
        reference_ticks=verdict.reference_ticks,
        value_micros=verdict.value_micros,
    )


def margin_denied_change(
    record: OrderRecord, terms: WorkingTerms, told: tuple[int, int, str], time_ns: int
) -> ev.OrderModifyDenied:
    """Return the denial of other terms by the broker's sums: needed, equity, why."""
    needed, equity, detail = told
    code = DenialCode.MARGIN
    return _denied_change(
        record, terms, (code, needed, equity, f"{code.explanation} {detail}"), time_ns
    )


def _denied_change(
    record: OrderRecord,
    terms: WorkingTerms,
    told: tuple[DenialCode, int, int, str],
    time_ns: int,
) -> ev.OrderModifyDenied:
    order_id, number = record.order.client_order_id, record.change_number + 1
    code, measured, limit, detail = told
    return ev.OrderModifyDenied(
        event_id=ev.make_event_id("OrderModifyDenied", order_id, number),
        time_ns=time_ns,
        causation_id=ev.make_event_id("OrderIntended", order_id),
        correlation_id=record.order.decision_id,
        client_order_id=order_id,
        number=number,
        quantity_lots=terms.quantity_lots,
        limit_price_ticks=terms.limit_price_ticks,
        stop_price_ticks=terms.stop_price_ticks,
        code=code,
        measured=measured,
        limit=limit,
        detail=detail,
    )


def judge_one(record: OrderRecord, context: RiskContext) -> ev.OrderEvent:
    """Return the verdict on one order, and count it in the context where it is approved."""
    order, attempt = record.order, record.attempt + 1
    order_id = order.client_order_id
    event_id = ev.make_event_id("Verdict", order_id, attempt)
    cause = ev.make_event_id("OrderIntended", order_id)
    verdict = check_order(order, context)
    if isinstance(verdict, Approved):
        context.send(order)
        return ev.OrderApproved(
            event_id=event_id,
            time_ns=context.time_ns,
            causation_id=cause,
            correlation_id=order.decision_id,
            client_order_id=order_id,
            attempt=attempt,
            reference_ticks=verdict.reference_ticks,
            value_micros=verdict.value_micros,
        )
    return ev.OrderDenied(
        event_id=event_id,
        time_ns=context.time_ns,
        causation_id=cause,
        correlation_id=order.decision_id,
        client_order_id=order_id,
        code=verdict.code,
        measured=verdict.measured,
        limit=verdict.limit,
        detail=verdict.detail,
    )
