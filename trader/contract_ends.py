"""Futures and options near their last day: warned of, let only shrink, closed or rolled."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from swarm_core.contract_ends import EndSettings, closed_to_more
from swarm_core.end_orders import (
    ContractEnd,
    EndTargets,
    end_targets,
    find_denial,
    find_missing,
)
from swarm_core.order_states import OrderRecord
from swarm_core.risk.limits import RiskLimits
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
            parts.append(f"to be {self._end_of(name, left).what} {due}")
        self._say(name, "end", session, ", ".join(parts))

    def _end_of(self, name: str, left: int) -> ContractEnd:
        """Return what becomes of it; what could not be rolled is closed on its last day."""
        following = self.settings.following(name) if left > 0 else ""
        day = self._days[name] or ""
        return ContractEnd(name=name, last_day=day, left=left, following=following)

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
        end = self._end_of(name, left)
        while self._has_ended(end.decision_id(number)):
            number += 1
        decision_id = end.decision_id(number)
        if decision_id in desk.book.planned:
            if any(record.is_unsent for record in self._records(decision_id)):
                desk.release(self._recorded(decision_id))  # what waited, or was cut off
            return
        if desk.book.trading_state is TradingState.HALTED or not desk.book.lots(name):
            return
        if now_ns - self._denied_ns.get(name, -_AGAIN_NS) >= _AGAIN_NS:
            self._begin(end, decision_id)

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

    def _begin(self, end: ContractEnd, decision_id: str) -> None:
        name, desk, session = end.name, self.desk, self._counted[0]
        must_be_open = not desk.sizing.kind.waits_for_auction
        wait = find_missing(end, desk.references(), must_be_open=must_be_open)
        if not wait:
            desk.mark(desk.now_ns())
            references = desk.references()
            decision = end_targets(end, decision_id, desk.book, references)
            wait = find_denial(decision, desk.book, references)
            if wait:
                self._denied_ns[name] = desk.now_ns()
            else:
                self._say(name, "act", decision_id, end.what)
                lineage = end.lineage(decision_id, session, self.settings)
                desk.release(decision, lineage=lineage)
                return
        self._say(name, "wait", f"{session} {wait}", f"is not {end.what} yet: {wait}")
