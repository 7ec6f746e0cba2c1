"""What happens to a book, in one short line each, as the log says it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from swarm_core import events as ev
from swarm_core.fill_events import ExecutionCorrected
from swarm_core.orders import Order, OrderSide
from trader.desk import TradingDesk

_REASONS_TOLD = 3


@dataclass(slots=True)
class _Tally:
    """What became of one decision in what was read at once."""

    time_ns: int
    intended: int = 0
    sent: int = 0
    denied: Counter[str] = field(default_factory=Counter[str])
    targets_denied: Counter[str] = field(default_factory=Counter[str])

    def text(self) -> str:
        parts = [f"{self.intended} orders"] if self.intended else []
        parts.append(f"{self.sent} sent")
        if self.denied:
            parts.append(f"{self.denied.total()} denied ({_leading(self.denied)})")
        if self.targets_denied:
            total = self.targets_denied.total()
            parts.append(f"{total} targets denied ({_leading(self.targets_denied)})")
        return ", ".join(parts)


class Narrator:
    """Tells decisions, fills, endings, halts and the broker's coming and going.

    It reads the log after the acts of a beat, when their orders are out, and begins where the book
    stands: what happened before is not told. Where it is `quiet`, only what stops or frees trading
    is told.
    """

    def __init__(self, desk: TradingDesk, tell: Callable[[str], None], *, quiet: bool) -> None:
        self.desk, self._tell, self._quiet = desk, tell, quiet
        self._read = desk.book.sequence
        self._tallies: dict[str, _Tally] = {}
        self._connected: bool | None = None
        self._held_back = ""
        self._by_hand: tuple[str, ...] = ()  # told to be cancelled by hand
        self._bare: tuple[str, ...] = ()  # told to be held without exits
        self._seen_bare: tuple[str, ...] = ()  # at the last beat

    def hear(self, health: Mapping[str, object]) -> None:
        """Tell what is new in the log and in the trader's health.

        What cannot be told is said so, and stops nothing: the log has it.
        """
        try:
            self._hear(health)
        except (OSError, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
            self._tallies.clear()
            self._tell(f"what happened could not be told: {type(error).__name__}: {error}")

    def _hear(self, health: Mapping[str, object]) -> None:
        self._tell_line(health)
        if self.desk.book.sequence <= self._read:
            return
        for sequence, event, _, _ in self.desk.log.read(self._read):
            self._read = sequence
            self._take(event)
        for decision_id, tally in self._tallies.items():
            self._say(tally.time_ns, f"decision {decision_id}: {tally.text()}")
        self._tallies.clear()

    def _tell_line(self, health: Mapping[str, object]) -> None:
        now_ns, connected = self.desk.now_ns(), bool(health["connected"])
        if self._connected is not None and connected != self._connected:
            back = "is reached again" if connected else "is away: nothing is released"
            self._say(now_ns, f"the broker {back}", grave=True)
        self._connected = connected
        held_back = str(health["held_back"])
        if connected and held_back != self._held_back:
            why = f"held back: {held_back}" if held_back else "no longer held back"
            self._say(now_ns, why, grave=True)
            self._held_back = held_back
        self._tell_bare(health, now_ns)
        self._tell_by_hand(health, now_ns)

    def _tell_bare(self, health: Mapping[str, object], now_ns: int) -> None:
        """Tell what is held without its exits, once it stands so for two beats; not in a halt."""
        named = health.get("unprotected", ())
        bare = tuple(map(str, named)) if isinstance(named, list | tuple) else ()
        if health.get("state") == "halted":
            bare = ()
        if bare == self._seen_bare != self._bare:
            if bare:
                line = f"held without exits, for a person to look at: {', '.join(bare)}"
                self._say(now_ns, line, grave=True)
            self._bare = bare
        self._seen_bare = bare

    def _tell_by_hand(self, health: Mapping[str, object], now_ns: int) -> None:
        """Tell which orders only a person can cancel, once; a halt has told of its own."""
        named = health.get("out_of_reach", ())
        lines = tuple(map(str, named)) if isinstance(named, list | tuple) else ()
        for line in lines if health.get("state") != "halted" else ():
            if line not in self._by_hand:
                self._say(now_ns, line, grave=True)
        self._by_hand = lines

    def _say(self, time_ns: int, line: str, *, grave: bool = False) -> None:
        if grave or not self._quiet:
            moment = datetime.fromtimestamp(time_ns // 10**9, UTC)
            self._tell(f"{moment:%Y-%m-%d %H:%M:%S} {line}")

    def _take(self, event: ev.Event) -> None:
        if isinstance(event, _TALLIED):
            self._count(event)
            return
        wording = _WORDINGS.get(type(event))
        if wording is not None:
            grave = isinstance(event, _GRAVE)
            self._say(event.time_ns, wording(self, event), grave=grave)

    def _count(self, event: ev.Event) -> None:
        name = event.correlation_id
        tally = self._tallies.setdefault(name, _Tally(event.time_ns))
        tally.time_ns = max(tally.time_ns, event.time_ns)
        if isinstance(event, ev.OrderIntended):
            tally.intended += 1
        elif isinstance(event, ev.OrderSubmitted):
            tally.sent += 1
        elif isinstance(event, ev.OrderDenied):
            tally.denied[event.code.value] += 1
        elif isinstance(event, ev.TargetDenied):
            tally.targets_denied[event.code.value] += 1

    def _order(self, event: ev.OrderEvent) -> str:
        record = self.desk.book.orders.get(event.client_order_id)
        name = event.client_order_id[:12] or "an order that is not ours"
        return name if record is None else f"{name} {self._terms(record.order)}"

    def _terms(self, order: Order) -> str:
        return self._quantity(order.instrument_id, order.side, order.quantity_lots)

    def _quantity(self, instrument_id: str, side: OrderSide, lots: int) -> str:
        instrument = self.desk.instruments.get(instrument_id)
        amount = f"{lots} lots" if instrument is None else f"{instrument.lots_to_quantity(lots):f}"
        return f"{side.value} {amount} {instrument_id}"

    def price(self, instrument_id: str, ticks: int) -> str:
        instrument = self.desk.instruments.get(instrument_id)
        return f"{ticks} ticks" if instrument is None else f"{instrument.ticks_to_price(ticks):f}"

    def filled(self, event: ev.OrderFilled) -> str:
        what = self._quantity(event.instrument_id, event.side, event.lots)
        record = self.desk.book.orders.get(event.client_order_id)
        left = 0 if record is None else record.open_lots
        rest = f", {left} lots open" if left else ""
        order = event.client_order_id[:12] or "an order that is not ours"
        price = self.price(event.instrument_id, event.price_ticks)
        return f"filled {what} at {price} ({order}{rest})"

    def corrected(self, event: ExecutionCorrected) -> str:
        fill = self.desk.book.ledger.executions.get(event.execution_id)
        instrument_id = "" if fill is None else fill.instrument_id
        price = self.price(instrument_id, event.price_ticks)
        what = f"execution {event.execution_id} of"
        if not event.lots:
            return f"{what} {instrument_id} is taken back by the broker"
        return f"{what} {event.lots} lots {instrument_id} is corrected to {price}"

    def ended(self, event: Any) -> str:
        reason = getattr(event, "reason", "")
        what = _ENDS[type(event)]
        return f"{what}: {self._order(event)}" + (f": {reason}" if reason else "")

    def session(self, event: Any) -> str:
        did = "opens" if isinstance(event, ev.SessionOpened) else "closes"
        nav = event.nav_minor / 1e8
        return f"session {event.session} {did}, NAV {nav:.2f} {self.desk.book.base_currency}"


def _leading(codes: Counter[str]) -> str:
    told = [f"{code} {count}" for code, count in codes.most_common(_REASONS_TOLD)]
    return ", ".join(told) + (", ..." if len(codes) > _REASONS_TOLD else "")


def _state(_: Narrator, event: ev.TradingStateChanged) -> str:
    return f"{event.state.value.upper()} by {event.actor}: {event.reason}"


def _blocked(_: Narrator, event: ev.ReleaseBlocked) -> str:
    return f"decision {event.decision_id} held back: {event.reason}"


def _cash(_: Narrator, event: ev.CashMoved) -> str:
    return f"cash {event.amount_minor / 1e8:+.2f} {event.currency}: {event.reason}"


def _transfer(narrator: Narrator, event: ev.TransferBooked) -> str:
    what = f"{event.amount_minor / 1e8:+.2f} {event.currency}"
    if event.lots:
        price = narrator.price(event.instrument_id, event.price_ticks)
        what = f"{event.lots:+d} lots of {event.instrument_id} at {price}"
    kind = "capital" if event.is_capital else "profit or loss"
    return f"{event.actor} settles {what} as {kind}: {event.reason}"


def _lapsed(_: Narrator, event: ev.CurrencyRateLapsed) -> str:
    told = datetime.fromtimestamp(event.told_ns // 10**9, UTC)
    return (
        f"the rate of {event.currency} is not known any more: the account told it last at "
        f"{told:%Y-%m-%d %H:%M:%S}, and what is in it is not traded"
    )


def _limits(_: Narrator, event: ev.LimitsChanged) -> str:
    return f"limits are now {event.digest_after[:12]}, by {event.actor}: {event.reason}"


def _throttle(_: Narrator, event: ev.ThrottleReset) -> str:
    return f"the throttle of {event.instrument_id} is reset by {event.actor}: {event.reason}"


def _instructed(_: Narrator, event: ev.PersonInstructed) -> str:
    order = event.client_order_id[:12]
    return f"{event.actor} asks to {event.instruction} {order}: {event.reason}"


_ENDS: dict[type[ev.Event], str] = {
    ev.OrderRejected: "rejected",
    ev.OrderCancelled: "cancelled",
    ev.OrderExpired: "expired",
    ev.OrderStateUnknown: "unknown",
    ev.OrderModifyRejected: "change refused",
}
_TALLIED = (
    ev.DecisionTaken,
    ev.OrderIntended,
    ev.OrderSubmitted,
    ev.OrderDenied,
    ev.TargetDenied,
)
_GRAVE = (ev.TradingStateChanged, ev.ReleaseBlocked, ev.CurrencyRateLapsed)
_WORDINGS: dict[type[ev.Event], Callable[[Narrator, Any], str]] = {
    ev.OrderFilled: Narrator.filled,
    ExecutionCorrected: Narrator.corrected,
    ev.SessionOpened: Narrator.session,
    ev.SessionClosed: Narrator.session,
    ev.TradingStateChanged: _state,
    ev.ReleaseBlocked: _blocked,
    ev.CashMoved: _cash,
    ev.TransferBooked: _transfer,
    ev.CurrencyRateLapsed: _lapsed,
    ev.LimitsChanged: _limits,
    ev.ThrottleReset: _throttle,
    ev.PersonInstructed: _instructed,
    **dict.fromkeys(_ENDS, Narrator.ended),
}
