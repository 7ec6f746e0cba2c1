"""The life of an order: which states there are, and which event leads where.

Our own acts (approve, deny, submit, cancel) must be legal, or the log is wrong and the fold
refuses it. What the broker says is a fact, however late or out of order: it is always taken in,
and a message that comes after the end changes nothing but fills.
"""

from dataclasses import dataclass, field, replace
from enum import Enum

from swarm_core import events as ev
from swarm_core.orders import Order, OrderKind, TimeInForce
from swarm_core.working_terms import WorkingTerms


class OrderState(Enum):
    INTENDED = "intended"
    APPROVED = "approved"
    DENIED = "denied"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    MODIFY_PENDING = "modify_pending"  # other terms were asked for, and not answered yet
    CANCEL_PENDING = "cancel_pending"
    CANCELLED = "cancelled"
    REPLACED = "replaced"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    __hash__ = object.__hash__  # a state is itself alone; Enum hashes its name, in Python

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATES

    @property
    def is_working(self) -> bool:
        """Whether the order may still be, or become, filled at the broker."""
        return self in WORKING_STATES


_S = OrderState
FINAL_STATES = frozenset({_S.DENIED, _S.FILLED, _S.CANCELLED, _S.REPLACED, _S.REJECTED, _S.EXPIRED})
WORKING_STATES = frozenset(
    {
        _S.SUBMITTED,
        _S.ACCEPTED,
        _S.PARTIALLY_FILLED,
        _S.MODIFY_PENDING,
        _S.CANCEL_PENDING,
        _S.UNKNOWN,
    }
)

_SETTLED = FINAL_STATES | {
    _S.CANCEL_PENDING,
    _S.MODIFY_PENDING,
}  # or changing: no fill says otherwise

# Python 3.11 looks a member up by a property of its class: as names they cost a tenth of that.
_INTENDED = _S.INTENDED
_APPROVED = _S.APPROVED
_SUBMITTED = _S.SUBMITTED
_ACCEPTED = _S.ACCEPTED
_PARTIALLY_FILLED = _S.PARTIALLY_FILLED
_FILLED = _S.FILLED
_MODIFY_PENDING = _S.MODIFY_PENDING
_CANCEL_PENDING = _S.CANCEL_PENDING
_CANCELLED = _S.CANCELLED
_UNKNOWN = _S.UNKNOWN

# What we do ourselves: (state, act) -> state. Anything else is refused.
ACTS: dict[tuple[OrderState, type[ev.OrderEvent]], OrderState] = {
    (_S.INTENDED, ev.OrderApproved): _S.APPROVED,
    (_S.INTENDED, ev.OrderDenied): _S.DENIED,
    (_S.APPROVED, ev.OrderApproved): _S.APPROVED,  # checked again after a lost submission
    (_S.APPROVED, ev.OrderDenied): _S.DENIED,
    (_S.APPROVED, ev.OrderSubmitted): _S.SUBMITTED,
    (_S.SUBMITTED, ev.OrderSubmissionLost): _S.APPROVED,
    (_S.UNKNOWN, ev.OrderSubmissionLost): _S.APPROVED,
    (_S.SUBMITTED, ev.OrderFound): _S.ACCEPTED,
    (_S.UNKNOWN, ev.OrderFound): _S.ACCEPTED,
    (_S.SUBMITTED, ev.OrderStateUnknown): _S.UNKNOWN,
    (_S.ACCEPTED, ev.OrderStateUnknown): _S.UNKNOWN,
    (_S.PARTIALLY_FILLED, ev.OrderStateUnknown): _S.UNKNOWN,
    # What shall be cancelled and never arrived is as good as cancelled: it is not sent again.
    (_S.CANCEL_PENDING, ev.OrderSubmissionLost): _S.CANCELLED,
    (_S.UNKNOWN, ev.OrderStateUnknown): _S.UNKNOWN,
    (_S.SUBMITTED, ev.OrderCancelRequested): _S.CANCEL_PENDING,
    (_S.ACCEPTED, ev.OrderCancelRequested): _S.CANCEL_PENDING,
    (_S.PARTIALLY_FILLED, ev.OrderCancelRequested): _S.CANCEL_PENDING,
    (_S.CANCEL_PENDING, ev.OrderCancelRequested): _S.CANCEL_PENDING,
    (_S.UNKNOWN, ev.OrderCancelRequested): _S.CANCEL_PENDING,
    (_S.ACCEPTED, ev.OrderModifyRequested): _S.MODIFY_PENDING,
    (_S.PARTIALLY_FILLED, ev.OrderModifyRequested): _S.MODIFY_PENDING,
    (_S.MODIFY_PENDING, ev.OrderCancelRequested): _S.CANCEL_PENDING,
}

_OURS = frozenset(act for _, act in ACTS)

# What the broker says ends the order, unless it has ended already.
ENDINGS: dict[type[ev.OrderEvent], OrderState] = {
    ev.OrderRejected: _S.REJECTED,
    ev.OrderCancelled: _S.CANCELLED,
    ev.OrderExpired: _S.EXPIRED,
    ev.OrderReplaced: _S.REPLACED,
}


class IllegalTransitionError(ValueError):
    """The log holds an act of ours that the order's state does not allow."""


@dataclass(slots=True)
class OrderRecord:
    """One order and what has become of it."""

    order: Order
    state: OrderState = OrderState.INTENDED
    filled_lots: int = 0
    attempt: int = 0
    intended_ns: int = 0
    submitted_ns: int | None = None
    broker_order_id: str = ""
    executions: set[str] = field(default_factory=set[str])
    is_triggered: bool = False  # the stop price of a stop order has traded
    held_ns: int = 0  # the last bar that the venue let pass
    adjustments: set[str] = field(default_factory=set[str])  # corporate actions, by id
    adjusted_ns: int = 0  # the newest of them
    cancel_ns: int = 0  # when its cancel was asked for last
    cancel_count: int = 0  # how often
    is_cancelled_by_person: bool = False  # a person has asked for its cancel
    exit_fills_seen: int = 0  # how often exits had filled in the instrument when it was intended
    told_end: tuple[OrderState, int] | None = None  # how it ended, and with how many lots filled
    ended_ns: int = 0  # when it was last heard of after its end
    pending: WorkingTerms | None = None  # asked for, and not answered yet
    change_number: int = 0  # how often other terms were asked for, or denied
    change_ns: int = 0  # when they were asked for last

    @classmethod
    def recalled(cls, event: ev.OrderRecalled) -> "OrderRecord":
        """Return the record of an order that comes back from the log."""
        return cls(
            event.order,
            state=OrderState(event.state),
            filled_lots=event.filled_lots,
            attempt=event.attempt,
            intended_ns=event.intended_ns,
            submitted_ns=event.submitted_ns,
            broker_order_id=event.broker_order_id,
            executions=set(event.execution_ids),
            adjustments=set(event.action_ids),
            ended_ns=event.time_ns,
        )

    @property
    def open_lots(self) -> int:
        """Lots that may still be filled, or are filled and not booked, while it is working."""
        most = self.most_lots if self.told_end is None else self.told_end[1]
        return max(0, most - self.filled_lots) if self.state.is_working else 0

    @property
    def most_lots(self) -> int:
        """The most that may fill in all: a change that is not answered may have been taken."""
        asked = 0 if self.pending is None else self.pending.quantity_lots
        return max(self.order.quantity_lots, asked)

    @property
    def awaits_fills(self) -> bool:
        """Whether it has ended at the broker, and fills that were told with its end are not booked.

        Nothing is left to cancel; it ends here once they are.
        """
        return self.told_end is not None and not self.state.is_final

    @property
    def is_unsent(self) -> bool:
        """Whether the order may still leave."""
        return self.state in (_INTENDED, _APPROVED)

    @property
    def is_unanswered(self) -> bool:
        """Whether nobody knows if the broker has the order."""
        return self.state in (OrderState.SUBMITTED, OrderState.UNKNOWN)

    @property
    def is_ending(self) -> bool:
        """Whether the order has ended, or its cancel is asked for."""
        return self.state.is_final or self.state is _CANCEL_PENDING

    @property
    def is_unheard(self) -> bool:
        """Whether the broker has never spoken of the order, or was last uncertain."""
        never = self.state is _CANCEL_PENDING and not self.broker_order_id
        never = never and self.told_end is None
        return never or self.state in (_SUBMITTED, _UNKNOWN)

    def apply(self, event: ev.OrderEvent) -> None:
        """Take in one event; raises IllegalTransitionError where an act of ours is not legal."""
        kind = event.__class__
        if kind in _OURS:
            self._act(event)
        elif isinstance(event, ev.OrderFilled):
            self._fill(event)
        elif isinstance(event, ev.OrderAccepted):
            self._accept(event)
        elif kind in ENDINGS:
            self._end(event)
        elif isinstance(event, ev.OrderTriggered | ev.OrderHeld | ev.OrderAdjusted):
            self._alter(event)
        elif isinstance(event, ev.OrderModified | ev.OrderModifyRejected):
            self._answer(event)
        elif isinstance(event, ev.OrderModifyDenied):
            self.change_number = event.number
        else:
            self._act(event)  # it is refused
        if self.state in FINAL_STATES and event.time_ns > self.ended_ns:
            self.ended_ns = event.time_ns

    def _end(self, event: ev.OrderEvent) -> None:
        """End, or wait for the fills that the broker counts and has not told."""
        ending = ENDINGS[type(event)]
        # A replaced order was cancelled first: that another took its place is told after.
        is_replaced = self.state is _CANCELLED and isinstance(event, ev.OrderReplaced)
        if self.state.is_final and not is_replaced:
            return
        told_lots = self._find_told_lots(event)
        if told_lots is None:
            told_lots = self.filled_lots if self.told_end is None else self.told_end[1]
        if self.told_end is not None and not is_replaced:
            ending = self.told_end[0]  # the first stands; how much was filled, the last one says
        self.told_end = (ending, told_lots)
        self.state = _CANCEL_PENDING if told_lots > self.filled_lots else ending

    def _alter(self, event: ev.OrderTriggered | ev.OrderHeld | ev.OrderAdjusted) -> None:
        if isinstance(event, ev.OrderTriggered):
            self.is_triggered = True
        elif isinstance(event, ev.OrderHeld):
            self.held_ns = max(self.held_ns, event.time_ns)
        else:
            self._adjust(event)

    def _find_told_lots(self, event: ev.OrderEvent) -> int | None:
        """Return the lots that an end counts as filled, or None where it does not say."""
        if isinstance(event, ev.OrderExpired):
            return self.order.quantity_lots - event.unfilled_lots
        return event.filled_lots if isinstance(event, ev.OrderCancelled) else None

    def _knows_end(self, event: ev.OrderEvent) -> bool:
        """Return whether an end tells nothing new: it only may count less than was told before."""
        if self.state.is_final or self.told_end is None:
            return self.state.is_final
        told_lots = self._find_told_lots(event)
        return told_lots is None or told_lots >= self.told_end[1]

    def _act(self, event: ev.OrderEvent) -> None:
        kind = event.__class__
        state = ACTS.get((self.state, kind))
        if state is None:
            raise IllegalTransitionError(
                f"{kind.__name__} must follow a state that allows it, "
                f"was {self.state.value} for {event.client_order_id}"
            )
        self.state = state
        if state is _ACCEPTED and self.filled_lots:
            self.state = _PARTIALLY_FILLED
        if isinstance(event, ev.OrderApproved):
            self.attempt = event.attempt
        elif isinstance(event, ev.OrderSubmitted):
            self.attempt, self.submitted_ns = event.attempt, event.time_ns
        elif isinstance(event, ev.OrderCancelRequested):
            self.cancel_ns, self.cancel_count = event.time_ns, self.cancel_count + 1
        elif isinstance(event, ev.OrderModifyRequested):
            self.pending, self.change_ns = WorkingTerms.of(event), event.time_ns
            self.change_number = event.number

    def _accept(self, event: ev.OrderAccepted) -> None:
        if self.is_other(event.broker_order_id):
            return  # somebody else's order under the same reference, e.g. a copy made by hand
        self.broker_order_id = event.broker_order_id
        if self.state in (_SUBMITTED, _UNKNOWN, _APPROVED):
            self.state = _PARTIALLY_FILLED if self.filled_lots else _ACCEPTED

    def _fill(self, event: ev.OrderFilled) -> None:
        if event.execution_id in self.executions:
            return
        self.executions.add(event.execution_id)
        self.filled_lots += event.lots
        if self.pending is not None and self.filled_lots > self.order.quantity_lots:
            self._take(self.pending)  # only in its new terms can it fill so much
        if self.filled_lots >= self.most_lots:
            self.state = _FILLED
        elif self.awaits_fills and not self.open_lots and self.told_end is not None:
            self.state = self.told_end[0]
        elif self.state not in _SETTLED:
            self.state = _PARTIALLY_FILLED

    def correct(self, lots: int) -> None:
        """Count so many lots more (or fewer) as filled; what has ended is not opened again."""
        self.filled_lots += lots
        if self.state.is_working and self.filled_lots >= self.most_lots:
            self.state = _FILLED

    def _answer(self, event: ev.OrderModified | ev.OrderModifyRejected) -> None:
        """Take in what became of a change; that of an earlier one says nothing any more."""
        if event.number != self.change_number:
            return
        if isinstance(event, ev.OrderModified):
            self._take(WorkingTerms.of(event), event.kind, event.time_in_force)
        else:
            self._take(WorkingTerms.of(self.order))

    def _take(
        self,
        terms: WorkingTerms,
        kind: OrderKind | None = None,
        time_in_force: TimeInForce | None = None,
    ) -> None:
        """Stand in these terms from now on; no change is pending any more."""
        self.pending = None
        self.order = terms.applied_to(self.order, kind=kind, time_in_force=time_in_force)
        if self.state.is_final:
            return
        if self.filled_lots >= terms.quantity_lots:
            self.state = _FILLED
        elif self.state is _MODIFY_PENDING:
            self.state = _PARTIALLY_FILLED if self.filled_lots else _ACCEPTED

    def _adjust(self, event: ev.OrderAdjusted) -> None:
        """Take over the terms that a corporate action left the open order with; told once.

        What happened before another one that is known changes nothing any more.
        """
        if event.action_id in self.adjustments:
            return
        self.adjustments.add(event.action_id)
        if event.time_ns < self.adjusted_ns:
            return
        self.adjusted_ns = event.time_ns
        self.order = adjusted_order(self.order, event)
        if self.filled_lots >= self.order.quantity_lots and not self.state.is_final:
            self.state = _FILLED  # its last fill was told before what made it the last

    def is_other(self, broker_order_id: str) -> bool:
        """Return whether the broker's id is of another order than the one that it accepted."""
        was_accepted = self.state not in (_SUBMITTED, _UNKNOWN, _APPROVED)
        told = broker_order_id not in ("", "0", self.broker_order_id)
        return was_accepted and bool(self.broker_order_id) and told

    def _stands_as(self, event: ev.OrderModified) -> bool:
        """Return whether the order stands in the terms of a change already."""
        own = self.order
        alike = event.kind in (None, own.kind) and event.time_in_force in (None, own.time_in_force)
        return alike and self.pending is None and WorkingTerms.of(event) == WorkingTerms.of(own)

    def knows(self, event: ev.OrderEvent) -> bool:
        """Return whether this was told before."""
        if isinstance(event, ev.OrderAccepted):
            return event.broker_order_id == self.broker_order_id or self.is_other(
                event.broker_order_id
            )
        if isinstance(event, ev.OrderTriggered):
            return self.is_triggered
        if isinstance(event, ev.OrderHeld):
            return event.time_ns <= self.held_ns
        if isinstance(event, ev.OrderAdjusted):
            return event.action_id in self.adjustments
        if isinstance(event, ev.OrderModifyRejected):
            return self.pending is None or event.number != self.change_number
        if isinstance(event, ev.OrderModified):
            return event.number != self.change_number or self._stands_as(event)
        return type(event) in ENDINGS and self._knows_end(event)


def adjusted_order(order: Order, event: ev.OrderAdjusted) -> Order:
    """Return the order with the quantity and the prices that a corporate action gave it."""
    return replace(
        order,
        quantity_lots=event.quantity_lots,
        limit_price_ticks=event.limit_price_ticks,
        stop_price_ticks=event.stop_price_ticks,
    )
