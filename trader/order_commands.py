"""What a person may ask about one order while the trader runs: to cancel, replace or settle it."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from threading import Lock

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import Instrument
from swarm_core.order_changes import STEADY
from swarm_core.order_states import OrderRecord, OrderState
from swarm_core.orders import Order
from trader.desk import TradingDesk

_FIELDS = frozenset({"order", "by", "reason", "quantity", "limit", "stop"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCommand:
    """A cancel, or, with `replaces`, a replacement; what is None of it stays as it is.

    With `settles` it says that the order, whose cancel nobody answers, is over (`trader.settling`).
    """

    order_id: str
    actor: str
    reason: str
    replaces: bool = False
    settles: bool = False
    quantity: Decimal | None = None
    limit: Decimal | None = None
    stop: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("order_id", "actor", "reason"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} of a command must be given, was empty")
        values = (self.quantity, self.limit, self.stop)
        if self.replaces != any(v is not None for v in values):
            raise ValueError("quantity, limit or stop must be given to replace, and only then")
        for value in values:
            if value is not None and not (value.is_finite() and value > 0):
                raise ValueError(f"quantity, limit and stop must be positive, was {value}")

    @classmethod
    def of(
        cls, asked: Mapping[str, object], *, replaces: bool, settles: bool = False
    ) -> "OrderCommand":
        """Return the command of a JSON body; ValueError with one line where it is none."""
        odd = sorted(asked.keys() - _FIELDS)
        if odd:
            raise ValueError(f"a command must have {sorted(_FIELDS)}, had {odd}")
        return cls(
            order_id=str(asked.get("order", "")),
            actor=str(asked.get("by", "")),
            reason=str(asked.get("reason", "")),
            replaces=replaces,
            settles=settles,
            quantity=_decimal(asked.get("quantity")),
            limit=_decimal(asked.get("limit")),
            stop=_decimal(asked.get("stop")),
        )


def _decimal(given: object) -> Decimal | None:
    if given is None:
        return None
    try:
        return Decimal(str(given))
    except InvalidOperation as error:
        raise ValueError(f"quantity, limit and stop must be numbers, was {given!r}") from error


class OrderCommands:
    """Commands that wait for the trader's next beat, and replacements that wait for a cancel."""

    def __init__(
        self, desk: TradingDesk, settle: Callable[[OrderCommand], None] = lambda _: None
    ) -> None:
        self._desk, self._settle = desk, settle
        self._asked: deque[OrderCommand] = deque()
        self._pending: dict[str, Order] = {}  # by the id of the order to be replaced
        self._lock = Lock()

    def ask(self, command: OrderCommand) -> str:
        """Take a command; ValueError where the order does not work or may not be changed."""
        record = find_working(self._desk.book, command.order_id)
        command = replace(command, order_id=record.order.client_order_id)
        new = self._checked(command)
        with self._lock:
            self._asked.append(command)
        if command.settles:
            return (
                f"{command.order_id} is looked for in the account: the trader tells what it shows"
            )
        what = "cancelled" if new is None else f"replaced by {new.client_order_id}"
        if new is not None and self._desk.modifies(record, new):
            what = f"changed to {new.quantity_lots} lots, under its own id"
        return f"{command.order_id} is to be {what}"

    def _checked(self, command: OrderCommand) -> Order | None:
        record = find_working(self._desk.book, command.order_id)
        if command.settles:
            must_be_cancelled(record)
        if not command.replaces:
            return None
        instrument = self._desk.instruments.get(record.order.instrument_id)
        if instrument is None:
            raise ValueError(f"{record.order.instrument_id} must be known to this desk, is not")
        return changed(self._desk.book, record, command, instrument)

    def act(self, *, is_free: bool = True) -> None:
        """Do what was asked; to be called where nothing else acts on the book.

        Where nothing may be released (`is_free`), orders are settled and the rest waits.
        """
        with self._lock:
            due = [c for c in self._asked if is_free or c.settles]
            self._asked = deque(c for c in self._asked if c not in due)
        for command in due:
            if command.settles:
                self._settle(command)
            else:
                self._do(command)
        if self._desk.switch.is_pulled:
            self._pending.clear()  # what a halt has cancelled is not sent in other terms after it
        for old_id, new in list(self._pending.items()) if is_free else ():
            record = self._desk.book.orders.get(old_id)
            if record is None:  # it ended so long ago that it has left memory
                del self._pending[old_id]
                continue
            # A change of the order itself is asked for once: what becomes of it is in the log.
            is_asked = self._desk.modifies(record, new) and record.state in STEADY
            self._desk.replace(old_id, new)
            if is_asked or record.state.is_final:
                del self._pending[old_id]

    def _do(self, command: OrderCommand) -> None:
        try:
            new = self._checked(command)
        except ValueError:
            return  # it ended while the command waited: the log says how
        self._desk.note(_instructed(command, new, self._desk))
        if new is None:
            reason = f"by {command.actor}: {command.reason}"
            self._desk.cancel(command.order_id, reason)
        else:
            self._pending[command.order_id] = new


def must_be_cancelled(record: OrderRecord) -> None:
    """Raise ValueError where the cancel of an order that is to be settled was never asked for."""
    if record.state is not OrderState.CANCEL_PENDING:
        raise ValueError(
            f"an order must be cancelled before it is settled, {record.order.client_order_id} is "
            f"{record.state.value}"
        )


def find_working(book: Book, order_id: str) -> OrderRecord:
    """Return the record of a working order by its id or the beginning of it; else ValueError."""
    found = [r for r in book.working_orders() if r.order.client_order_id.startswith(order_id)]
    if len(found) != 1:
        ids = ", ".join(sorted(r.order.client_order_id for r in book.working_orders())) or "none"
        raise ValueError(f"the order must be one of those that work ({ids}), was {order_id!r}")
    return found[0]


def changed(
    book: Book, record: OrderRecord, command: OrderCommand, instrument: Instrument
) -> Order:
    """Return the order that is to take the place of one; its id follows from what is asked.

    Raises ValueError where the order belongs to a bracket, or its kind has no such price.
    """
    old = record.order
    children = any(
        r.order.is_exit and r.order.parent_client_order_id == old.client_order_id
        for r in book.working_orders()
    )
    if old.is_exit or children:
        raise ValueError(f"an order of a bracket must be cancelled, {command.order_id} is of one")
    lots, limit, stop = _terms(command, instrument)
    for name, given, has in (
        ("limit", limit, old.kind.has_limit),
        ("stop", stop, old.kind.has_stop),
    ):
        if given is not None and not has:
            raise ValueError(f"a {old.kind.value} order must be given no {name}, was {given} ticks")
    terms = f"{old.client_order_id}/{lots}/{limit}/{stop}"
    return replace(
        old,
        decision_id=f"{old.decision_id}/replaced-{sha256(terms.encode()).hexdigest()[:8]}",
        quantity_lots=old.quantity_lots if lots is None else lots,
        limit_price_ticks=old.limit_price_ticks if limit is None else limit,
        stop_price_ticks=old.stop_price_ticks if stop is None else stop,
    )


def _terms(
    command: OrderCommand, instrument: Instrument
) -> tuple[int | None, int | None, int | None]:
    """Return lots and prices in the instrument's units; ValueError off its grid."""
    lots = None if command.quantity is None else instrument.quantity_to_lots(command.quantity)
    if lots is not None and instrument.lots_to_quantity(lots) != command.quantity:
        raise ValueError(
            f"quantity must be whole lots of {instrument.size_increment}, was {command.quantity}"
        )
    prices = (command.limit, command.stop)
    limit, stop = (None if p is None else instrument.price_to_ticks(p) for p in prices)
    return lots, limit, stop


def _instructed(command: OrderCommand, new: Order | None, desk: TradingDesk) -> ev.PersonInstructed:
    return ev.PersonInstructed(
        event_id=ev.make_event_id(
            "PersonInstructed", command.order_id, command.actor, desk.book.sequence
        ),
        time_ns=desk.now_ns(),
        client_order_id=command.order_id,
        instruction="cancel" if new is None else "replace",
        actor=command.actor,
        reason=command.reason,
        quantity_lots=None if new is None else new.quantity_lots,
        limit_price_ticks=None if new is None else new.limit_price_ticks,
        stop_price_ticks=None if new is None else new.stop_price_ticks,
    )
