"""The faults that wait for their moment, and those that last."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from gateway_simulator.error_codes import Code
from gateway_simulator.faults import Fault, FaultKind
from gateway_simulator.orders import Commission, Execution, LiveOrder
from gateway_simulator.session import ServingGateway, Session
from gateway_simulator.venue import Fact

_K = FaultKind
Delayed = tuple[float, Fact]


class FaultyGateway(ServingGateway, Protocol):
    """What faults do to a gateway."""

    sessions: list[Session]
    leaving: set[Session]

    def deliver(self, fact: Fact) -> None: ...

    def fill_working(self) -> None: ...

    def place_by_hand(
        self, symbol: str, action: str, quantity: Decimal, limit: Decimal | None = None
    ) -> LiveOrder | None: ...

    def refuse_for(self, seconds: float) -> None: ...

    def restart(self, *, away_s: float = 0.0) -> None: ...

    def say_to_all(self, code: Code, **parts: object) -> None: ...

    def set_upstream(self, code: Code) -> None: ...

    def set_delay(self, delay_s: float) -> None: ...

    def tear(self) -> None: ...

    def end_faults(self) -> None: ...


class FaultBook:
    """Holds the script; it is asked at every message and at every fact that goes out."""

    def __init__(self, gateway: FaultyGateway, script: Iterable[Fault] = ()) -> None:
        self._gateway = gateway
        self._waiting: list[Fault] = []
        self._counts: Counter[str] = Counter()
        self._lasting: dict[FaultKind, Fault] = {}
        self._held: list[Execution] = []
        self.paces_next = False
        self.done: list[Fault] = []
        self._script = list(script)

    def start(self) -> None:
        """Begin to count; faults after a time run from here."""
        for fault in self._script:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Let a fault happen: now, after its time, or at its event."""
        if fault.at:
            self._counts.setdefault(fault.at, 0)
            self._waiting.append(_counted_from(fault, self._counts[fault.at]))
        else:
            self._do_in_time(fault, None)

    def lets_in(self, session: Session, name: str) -> bool:
        """Count a message; False where a fault keeps it from being handled."""
        lets = True
        for fault in self._due(name):
            if fault.kind is _K.LOSE_ORDER and not fault.after_s:
                lets = False
            self._do_in_time(fault, session)
        return (lets and not session.outbox.silent) or self._is_last_word(session)

    def _is_last_word(self, session: Session) -> bool:
        return session in self._gateway.leaving

    def count(self, event: str) -> None:
        """Count what is no message: a connection, a fill."""
        for fault in self._due(event):
            self._do_in_time(fault, None)

    def _do_in_time(self, fault: Fault, session: Session | None) -> None:
        if fault.after_s:
            asyncio.get_running_loop().call_later(fault.after_s, self._do, fault, session)
        else:
            self._do(fault, session)

    def _due(self, event: str) -> list[Fault]:
        self._counts[event] += 1
        due = [f for f in self._waiting if f.at == event and f.nth <= self._counts[event]]
        self._waiting = [f for f in self._waiting if f not in due]
        return due

    def _do(self, fault: Fault, session: Session | None) -> None:
        self.done.append(fault)
        self._gateway.report(f"fault: {fault.kind.value}")
        act = _ACTS.get(fault.kind)
        if act is not None:
            act(self._gateway, fault, session)
        elif fault.kind is _K.END:
            self.end()
        elif fault.kind is _K.PACING:
            self.paces_next = True
        else:
            self._lasting[fault.kind] = fault

    def end(self) -> None:
        """End what lasts: delays, tearing, doubles, skew."""
        self._lasting.clear()
        self._gateway.end_faults()
        for held in self._held:
            self._gateway.deliver(held)
        self._held.clear()

    def shape(self, fact: Fact) -> list[Delayed]:
        """Return when and how often a fact is told: seconds from now, in order."""
        if isinstance(fact, Execution):
            return self._shape_execution(fact)
        if isinstance(fact, Commission):
            late = self._lasting.get(_K.COMMISSION_LATE)
            if _K.COMMISSION_FIRST in self._lasting:
                return []  # it was told with its execution
            fills_s = self._fill_delay_s()
            return [(fills_s + (late.delay_s if late else 0.0), fact)]
        return [(0.0, fact)]

    def _fill_delay_s(self) -> float:
        late = self._lasting.get(_K.LATE_FILLS)
        return late.delay_s if late else 0.0

    def _shape_execution(self, fact: Execution) -> list[Delayed]:
        told: list[Fact] = [fact]
        if _K.REORDER_FILLS in self._lasting:
            self._held.append(fact)
            if len(self._held) < 2:
                return []
            told = list(reversed(self._held))
            self._held.clear()
        if _K.COMMISSION_FIRST in self._lasting:
            paid = [self._gateway.venue.commissions[fact.exec_id]]
            told = [*paid, *told]
        if _K.DUPLICATE_FILLS in self._lasting:
            told = told + told
        return [(self._fill_delay_s(), item) for item in told]


def _counted_from(fault: Fault, count: int) -> Fault:
    return replace(fault, nth=fault.nth + count)


def _drop(gateway: FaultyGateway, _: Fault, session: Session | None) -> None:
    for item in [session] if session else list(gateway.sessions):
        item.close(abruptly=True)


def _drop_before_ack(gateway: FaultyGateway, fault: Fault, session: Session | None) -> None:
    if session is None:
        return _drop(gateway, fault, None)
    session.outbox.silent = True
    gateway.leaving.add(session)  # this one message is still handled
    asyncio.get_running_loop().call_soon(lambda: session.close(abruptly=True))
    return None


def _half_open(gateway: FaultyGateway, fault: Fault, session: Session | None) -> None:
    for item in [session] if session else list(gateway.sessions):
        item.outbox.silent = True
        if fault.seconds:
            asyncio.get_running_loop().call_later(fault.seconds, item.close)


def _refuse(gateway: FaultyGateway, fault: Fault, _: Session | None) -> None:
    gateway.refuse_for(fault.seconds)


def _restart(gateway: FaultyGateway, fault: Fault, _: Session | None) -> None:
    gateway.restart(away_s=fault.seconds)


def _upstream(code: Code) -> Callable[[FaultyGateway, Fault, Session | None], None]:
    def act(gateway: FaultyGateway, _: Fault, __: Session | None) -> None:
        gateway.set_upstream(code)

    return act


def _farm(code: Code) -> Callable[[FaultyGateway, Fault, Session | None], None]:
    def act(gateway: FaultyGateway, fault: Fault, _: Session | None) -> None:
        gateway.say_to_all(code, farm=fault.farm)

    return act


def _fill_away(gateway: FaultyGateway, fault: Fault, session: Session | None) -> None:
    def act() -> None:
        _drop(gateway, fault, None)
        gateway.fill_working()

    if session is None:
        act()
    else:
        asyncio.get_running_loop().call_soon(act)


def _manual(gateway: FaultyGateway, fault: Fault, _: Session | None) -> None:
    gateway.place_by_hand(fault.symbol, fault.action, fault.quantity, fault.limit)


def _partial(gateway: FaultyGateway, fault: Fault, _: Session | None) -> None:
    gateway.venue.fill_most = fault.quantity


def _reject(gateway: FaultyGateway, fault: Fault, _: Session | None) -> None:
    gateway.venue.next_rejection = fault.reason


def _slow(gateway: FaultyGateway, fault: Fault, _: Session | None) -> None:
    gateway.set_delay(fault.delay_s)


def _torn(gateway: FaultyGateway, _: Fault, __: Session | None) -> None:
    gateway.tear()


def _skew(gateway: FaultyGateway, fault: Fault, _: Session | None) -> None:
    gateway.clock.skew_ns = int(Decimal(str(fault.seconds)) * 10**9)


_ACTS: dict[FaultKind, Callable[[FaultyGateway, Fault, Session | None], None]] = {
    _K.LOSE_ORDER: _drop,
    _K.DROP: _drop,
    _K.DROP_BEFORE_ACK: _drop_before_ack,
    _K.HALF_OPEN: _half_open,
    _K.REFUSE_CONNECTIONS: _refuse,
    _K.RESTART: _restart,
    _K.UPSTREAM_LOST: _upstream(Code.UPSTREAM_LOST),
    _K.UPSTREAM_BACK: _upstream(Code.UPSTREAM_BACK),
    _K.UPSTREAM_BACK_DATA_LOST: _upstream(Code.UPSTREAM_BACK_DATA_LOST),
    _K.FARM_DOWN: _farm(Code.FARM_DOWN),
    _K.FARM_UP: _farm(Code.FARM_UP),
    _K.FILL_WHILE_AWAY: _fill_away,
    _K.MANUAL_ORDER: _manual,
    _K.PARTIAL_FILLS: _partial,
    _K.REJECT: _reject,
    _K.SLOW: _slow,
    _K.TORN: _torn,
    _K.CLOCK_SKEW: _skew,
}
