"""Futures and options near their last day: warned of, let only shrink, closed or rolled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from swarm_core.contract_ends import EndSettings, closed_to_more
from swarm_core.lineage import END_PREFIX, Lineage
from swarm_core.order_states import OrderRecord
from swarm_core.risk.context import InstrumentRisk
from swarm_core.risk.gate import Denied, check_order
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing import size
from swarm_core.trading_state import TradingState
from trader.desk import TradingDesk
from trader.ports import Hours

_AGAIN_NS = 60 * 10**9  # between two tries: a denial lasts longer than a beat
_AT_THE_END = {
    True: "in the money they are exercised at the end, which takes or delivers the underlying",
    False: "they may be assigned, at the end or before, which takes or delivers the underlying",
}


@runtime_checkable
class DatedBroker(Protocol):
    """A broker that knows when contracts end."""

    def find_last_day(self, instrument_id: str) -> str | None:
        """Return the last trading day (ISO date), None where the contract has none.

        OSError where the broker does not answer, ValueError where it knows no such contract.
        """
        ...


@dataclass(frozen=True, slots=True)
class EndTargets:
    """The decision to be out of a contract, and in the next one where it is rolled."""

    decision_id: str
    time_ns: int
    instrument_ids: tuple[str, ...]
    target_weights: tuple[float, ...]


class ContractEnds:
    """Looks after the contracts of one desk; `last_days` are ISO dates that the settings tell.

    What they do not tell is asked of the broker. `sessions_left` counts the sessions after one up
    to a day. Everything it does is a decision over the order path: the gate judges its orders, and
    a process that died goes on with what the log says. `tell` gets a line, once for each session.
    """

    def __init__(
        self,
        desk: TradingDesk,
        hours: Hours,
        sessions_left: Callable[[str, str], int],
        settings: EndSettings,
        last_days: Mapping[str, str],
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.desk, self.hours, self.settings, self._tell = desk, hours, settings, tell
        self._sessions_left = sessions_left
        self._days: dict[str, str | None] = dict(last_days)
        self._told: dict[tuple[str, str], str] = {}  # (instrument, about) -> what was told last
        self._lines: dict[str, str] = {}  # instrument -> the last line about it in this session
        self._denied_ns: dict[str, int] = {}
        self._asked_ns: dict[str, int] = {}
        self._ended: set[str] = set()  # decisions of which nothing is left to do
        self._counted: tuple[str, dict[str, int]] = ("", {})  # session -> what is left after it
        self._limited: tuple[RiskLimits | None, frozenset[str], RiskLimits | None] = (
            None,
            frozenset(),
            None,
        )

    def limited(self, limits: RiskLimits) -> RiskLimits:
        """Return limits under which nothing near its end may become larger."""
        names = frozenset(
            name
            for name, left in self._left().items()
            if left is not None and left <= self.settings.reduce_sessions
        )
        if not names:
            return limits
        before, known, made = self._limited
        if made is None or before is not limits or known != names:
            made = closed_to_more(limits, names)
            self._limited = (limits, names, made)
        return made

    def act(self) -> None:
        """Warn of what ends soon, and close or roll what is due; to be called at each beat."""
        for name, left in self._left().items():
            if left > self.settings.warn_sessions:
                continue
            self._warn(name, left)
            if 0 <= left <= self.settings.act_sessions and self.settings.then != "nothing":
                self._end(name, left)

    def standing(self) -> list[str]:
        """Return a line for each contract of which something was told in this session."""
        return [f"{name}: {line}" for name, line in sorted(self._lines.items())]

    def _left(self) -> Mapping[str, int]:
        """Return by contract how many sessions are left after this one; below 0 where it has ended.

        Without those whose last trading day nobody knows.
        """
        now_ns = self.desk.now_ns()
        if not now_ns:
            return {}  # a replayed clock that has not started
        session = self.hours.session_at(now_ns)
        if session != self._counted[0]:
            self._counted = (session, {})
            self._lines.clear()
        left = self._counted[1]
        for name, instrument in self.desk.instruments.items():
            if instrument.asset_class in self.settings.asset_classes and name not in left:
                day = self._last_day(name, now_ns)
                if day is not None:
                    left[name] = -1 if day < session else self._sessions_left(session, day)
        return left

    def _last_day(self, name: str, now_ns: int) -> str | None:
        if name in self._days:
            return self._days[name]
        if now_ns - self._asked_ns.get(name, -_AGAIN_NS) < _AGAIN_NS:
            return None
        self._asked_ns[name] = now_ns
        broker, why = self.desk.broker, "give it as last_trade_date (YYYYMMDD) in trade.contracts"
        if isinstance(broker, DatedBroker):
            try:
                self._days[name] = broker.find_last_day(name)
                return self._days[name]
            except OSError:
                return None  # asked again later
            except ValueError as error:
                why = str(error)
        self._days[name] = None
        self._tell(f"{name}: its last trading day is not known: {why}")
        return None

    def _warn(self, name: str, left: int) -> None:
        held, day, session = self.desk.book.lots(name), self._days[name], self._counted[0]
        if left < 0:
            if held:
                line = f"ended on {day} and {held} lots are held still: a person must settle them"
                self._say(name, "end", session, line)
            return
        parts = [f"last trading day {day}, {left} sessions after this one", f"{held} lots held"]
        settings = self.settings
        if left <= settings.reduce_sessions:
            parts.append("it may only be reduced")
        if held and self.desk.instruments[name].asset_class == "option":
            parts.append(_AT_THE_END[held > 0])
        if held and settings.then != "nothing":
            due = "now" if left <= settings.act_sessions else f"with {settings.act_sessions} left"
            parts.append(f"to be {self._what(name, left)} {due}")
        self._say(name, "end", session, ", ".join(parts))

    def _what(self, name: str, left: int) -> str:
        """Return what becomes of it; what could not be rolled is closed on its last day."""
        following = self.settings.into.get(name, "")
        if self.settings.then == "roll" and following and left > 0:
            return f"rolled into {following}"
        return "closed"

    def _say(self, name: str, about: str, mark: str, line: str) -> None:
        if self._told.get((name, about)) != mark:
            self._told[name, about] = mark
            self._lines[name] = line
            self._tell(f"{name}: {line}")

    def _records(self, decision_id: str) -> list[OrderRecord]:
        book = self.desk.book
        return [book.orders[i] for i in book.intended.get(decision_id, ())]

    def _end(self, name: str, left: int) -> None:
        """Close or roll a position: one decision a try, the next only where that one has ended."""
        desk, now_ns, number = self.desk, self.desk.now_ns(), 1
        while self._has_ended(self._decision_id(name, number)):
            number += 1
        decision_id = self._decision_id(name, number)
        if decision_id in desk.book.planned:
            if any(record.is_unsent for record in self._records(decision_id)):
                desk.release(self._recorded(decision_id))  # what waited, or was cut off
            return
        if desk.book.trading_state is TradingState.HALTED or not desk.book.lots(name):
            return
        if now_ns - self._denied_ns.get(name, -_AGAIN_NS) >= _AGAIN_NS:
            self._begin(name, left, decision_id)

    def _decision_id(self, name: str, number: int) -> str:
        return f"{END_PREFIX}{name}-{self._days[name]}-{number}"

    def _has_ended(self, decision_id: str) -> bool:
        """Return whether a try is over, also one that has left memory."""
        if decision_id in self._ended:
            return True
        if decision_id in self.desk.book.planned:
            over = all(record.state.is_final for record in self._records(decision_id))
        else:
            over = self.desk.has_retired(decision_id)
        if over:
            self._ended.add(decision_id)
        return over

    def _recorded(self, decision_id: str) -> EndTargets:
        taken = self.desk.book.decisions[decision_id]
        return EndTargets(decision_id, taken.time_ns, taken.instrument_ids, taken.target_weights)

    def _begin(self, name: str, left: int, decision_id: str) -> None:
        what, desk, session = self._what(name, left), self.desk, self._counted[0]
        wait = self._why_wait(name, what)
        if not wait:
            desk.mark(desk.now_ns())
            decision = self._decision(name, what, decision_id)
            wait = self._denial(decision)
            if wait:
                self._denied_ns[name] = desk.now_ns()
            else:
                why = (
                    f"{name} is {what}: its last trading day is {self._days[name]}, "
                    f"{left} sessions after {session} (trade.contract_end: {self.settings.then} "
                    f"from {self.settings.act_sessions} on)"
                )
                self._say(name, "act", decision_id, what)
                lineage = Lineage(decision_id=decision_id, session=session, run_id=why)
                desk.release(decision, lineage=lineage)
                return
        self._say(name, "wait", f"{session} {wait}", f"is not {what} yet: {wait}")

    def _why_wait(self, name: str, what: str) -> str:
        """Return what is missing before orders can be sized and judged, or nothing."""
        quotes = self.desk.settled_quotes()
        names = (name,) if what == "closed" else (name, self.settings.into[name])
        for each in names:
            quote = quotes.get(each)
            if each not in self.desk.instruments:
                return f"{each} must be an instrument of this desk"
            if quote is None:
                return f"{each} must have a quote"
            if not (self.desk.sizing.kind.waits_for_auction or quote.session_open):
                return f"the market of {each} must be open"
        return ""

    def _decision(self, name: str, what: str, decision_id: str) -> EndTargets:
        """Return the targets: nothing of the one, as many lots more of the other.

        A weight is of half a lot more than is wanted, so that its lots come out exactly.
        """
        desk = self.desk
        now_ns = desk.now_ns()
        if what == "closed":
            return EndTargets(decision_id, now_ns, (name,), (0.0,))
        following = self.settings.into[name]
        context = desk.references().measure(desk.book)
        risk, nav = context.instruments[following], context.nav or 0
        lots = _with_working(context.instruments[name]) + _with_working(risk)
        weight = 0.0
        if lots and nav > 0:
            weight = (lots + (0.5 if lots > 0 else -0.5)) * risk.lot_value / nav
        return EndTargets(decision_id, now_ns, (name, following), (0.0, weight))

    def _denial(self, decision: EndTargets) -> str:
        """Return what the gate would deny, or nothing: a roll of which one leg passes is none."""
        desk = self.desk
        references = desk.references()
        context = references.measure(desk.book)
        orders, targets = size(decision, desk.book, context, references.sizing)
        for target in targets:
            return f"{target.instrument_id}: {target.detail}"
        for order in orders:
            verdict = check_order(order, context)
            if isinstance(verdict, Denied):
                return f"{order.instrument_id}: {verdict.detail}"
            context.send(order)
        return ""


def _with_working(risk: InstrumentRisk) -> int:
    """Return what is held once all has filled that works, as sizing counts it."""
    return risk.position_lots + risk.open_buy_lots - risk.open_sell_lots
