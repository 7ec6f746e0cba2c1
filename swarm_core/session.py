"""One session of a book: fills and marks come in, the colony decides, and orders leave.

The same function trades a session live, in a backfill and in a replay; what differs is the broker
and the log that it is given.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

from swarm_core import events as ev
from swarm_core.actions.action import CorporateAction
from swarm_core.book import Book
from swarm_core.colony.decision import Decision
from swarm_core.colony.engine import step
from swarm_core.colony.observation import Observation
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ColonyState
from swarm_core.contract_ends import EndSettings
from swarm_core.currencies import FillConversion
from swarm_core.derivatives.futures import variation_settlements
from swarm_core.end_orders import ContractEnd
from swarm_core.instruments import Instrument
from swarm_core.lineage import Lineage
from swarm_core.market import Bar, Quote
from swarm_core.overnight import NO_CARRY, Carry, action_events, nights_between
from swarm_core.references import References
from swarm_core.risk.limits import RiskLimits
from swarm_core.session_ends import end_contracts, not_ended
from swarm_core.sizing import SizingSettings
from swarm_core.trading import (
    Broker,
    EventLog,
    ReleaseReport,
    look_up_unanswered,
    release,
)

# (weights, nav, traded and paid since the last decision as fractions of NAV) -> what is seen
Observe = Callable[[Sequence[float], float, tuple[float, float]], Observation]


class BarBroker(Broker, Protocol):
    """A broker whose market is the bars that it is given."""

    def on_bars(self, bars: Iterable[Bar], time_ns: int) -> Sequence[ev.Event]: ...
    def on_action(self, action: CorporateAction, time_ns: int) -> Sequence[ev.Event]: ...
    def take_in(self, change: ev.HoldingChanged) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMarket:
    """The market of one session: its hours, its bars, and the quotes at decision time."""

    session: str  # ISO date
    open_ns: int
    close_ns: int
    decision_ns: int
    bars: tuple[Bar, ...]
    quotes: Mapping[str, Quote]
    actions: tuple[CorporateAction, ...] = ()  # of this ex-date, in the order they take effect
    # Base currency units for one unit of each foreign currency whose rate is known.
    rates: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])

    def __post_init__(self) -> None:
        if not self.open_ns < self.close_ns <= self.decision_ns:
            raise ValueError(
                f"{self.session} must open, close and then be decided, "
                f"was {self.open_ns}, {self.close_ns}, {self.decision_ns}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """What a book is traded by."""

    colony: ColonySettings
    limits: RiskLimits
    instruments: Mapping[str, Instrument]
    sizing: SizingSettings
    carry: Carry = NO_CARRY
    conversion: FillConversion | None = None  # of each fill; None leaves its cash as it comes
    ends: EndSettings = field(default_factory=EndSettings)
    due: tuple[ContractEnd, ...] = ()  # the contracts to be closed or rolled by this session

    @property
    def colony_limits(self) -> RiskLimits:
        """Return the limits of the colony's own orders: what is due is out of its hands.

        An order of its own beside the one that closes could be taken for the same one twice.
        """
        names = frozenset(end.name for end in self.due)
        return replace(self.limits, restricted=self.limits.restricted | names)


@dataclass(frozen=True, slots=True)
class Checks:
    """Whether every blocking check of the session's data has passed, and if not, why."""

    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class SessionOutcome:
    """What became of a session; `decision` is None where nothing was decided, with the reason."""

    session: str
    state: ColonyState
    decision: Decision | None
    report: ReleaseReport | None
    blocked_reason: str
    waiting: tuple[str, ...] = ()  # a line for each contract that is due and stays as it is


def close_session(
    market: SessionMarket, rules: SessionRules, *, book: Book, log: EventLog, broker: BarBroker
) -> None:
    """Book what the nights before did, the session's fills, and the value of what is held.

    A session that is closed already is left as it is; one that was interrupted is finished.
    """
    book.apply_all(log.read(book.sequence))
    if market.session in book.closed_sessions:
        return
    if book.session != market.session:
        _append(log, book, _opening(market, rules, book, broker))
    told = broker.on_bars(market.bars, market.close_ns)
    if rules.conversion is not None:
        # In one batch with the fill: a session that was interrupted has both, or neither.
        known = {**book.ledger.rates, **market.rates}
        told = rules.conversion.with_trades(told, book.ledger, known)
    _append(log, book, told)
    _append(log, book, [*_marks(market, book), *_rates(market, book)])
    closes = {bar.instrument_id: bar.close_ticks for bar in market.bars}
    _append(log, book, variation_settlements(book.ledger, closes, market.close_ns))
    closed = ev.SessionClosed(
        event_id=ev.make_event_id("SessionClosed", market.session),
        time_ns=market.close_ns,
        session=market.session,
        nav_minor=_nav(book, f"of {market.session}"),
    )
    _append(log, book, [closed])


def _opening(
    market: SessionMarket, rules: SessionRules, book: Book, broker: BarBroker
) -> list[ev.Event]:
    """Return the opening with the carry of the nights before and the actions of its ex-date.

    They stand in the log as one: who resumes an opened session must not meet an action again
    with what was bought at its opening.
    """
    days = nights_between(book.session, market.session)
    opened = ev.SessionOpened(
        event_id=ev.make_event_id("SessionOpened", market.session),
        time_ns=market.open_ns,
        session=market.session,
        base_currency=book.base_currency,
        nav_minor=_nav(book, f"before {market.session}"),
    )
    carried = rules.carry.charges(book.ledger, rules.instruments, days, market.open_ns)
    acted = action_events(market.actions, book.ledger, rules.instruments, broker, market.open_ns)
    return [opened, *carried, *acted]


def _nav(book: Book, when: str) -> int:
    nav = book.ledger.find_nav_minor()
    if nav is None:
        raise ValueError(f"NAV {when} must be known, was not: a mark is missing")
    return nav


def _append(log: EventLog, book: Book, events: Sequence[ev.Event]) -> None:
    if events:
        log.append(events)
        book.apply_all(log.read(book.sequence))


def _marks(market: SessionMarket, book: Book) -> list[ev.Event]:
    """Value what is held at the closes of this session's bars; what has none keeps its mark."""
    marks: list[ev.Event] = []
    for bar in market.bars:
        position = book.ledger.positions.get(bar.instrument_id)
        if position is None or not position.lots:
            continue
        marks.append(
            ev.PositionMarked(
                event_id=ev.make_event_id(
                    "PositionMarked", bar.instrument_id, bar.time_ns, bar.close_ticks
                ),
                time_ns=bar.time_ns,
                instrument_id=bar.instrument_id,
                price_ticks=bar.close_ticks,
                lot_tick_minor=position.lot_tick_minor,
                currency=position.currency,
            )
        )
    return marks


def _rates(market: SessionMarket, book: Book) -> list[ev.Event]:
    """Value the currencies at this session's rates; one without a rate keeps the one it had."""
    return [
        ev.CurrencyMarked(
            event_id=ev.make_event_id("CurrencyMarked", currency, market.session, str(rate)),
            time_ns=market.close_ns,
            currency=currency,
            rate=rate,
        )
        for currency, rate in sorted(market.rates.items())
        if book.ledger.rates.get(currency) != rate
    ]


def decide(
    rules: SessionRules,
    state: ColonyState,
    book: Book,
    instrument_ids: Sequence[str],
    observe: Observe,
) -> tuple[ColonyState, Decision]:
    """Return the colony's next state and its decision, seen from the book as it stands."""
    nav = book.find_nav()
    if nav is None:
        raise ValueError("NAV must be known to decide, was not: a mark is missing")
    seen = observe(book.weights(instrument_ids), nav, book.realised.fractions(nav))
    return step(rules.colony, state, seen)


def trade_session(
    market: SessionMarket,
    rules: SessionRules,
    state: ColonyState,
    *,
    book: Book,
    log: EventLog,
    broker: BarBroker,
    instrument_ids: Sequence[str],
    observe: Observe,
    checks: Checks,
    lineage: Lineage,
    at_close: Callable[[], None],
    keep_state: Callable[[ColonyState], None],
) -> SessionOutcome:
    """Close the session, decide it, and release its orders; nothing is decided on failed checks.

    `lineage` names what the decision stands on; its decision_id and colony_state_digest are
    filled in here. `at_close` is called when the session is booked and not yet decided,
    `keep_state` with the next state before the decision is on record: a state that is kept and
    not used costs nothing, a decision without its state could not be gone on from.
    """
    close_session(market, rules, book=book, log=log, broker=broker)
    # The run of an earlier session may have died around the wire: its session is not run again.
    look_up_unanswered(book=book, log=log, broker=broker, time_ns=market.decision_ns)
    at_close()
    if not checks.passed:
        _append(log, book, [_check_failed(market, checks)])
        waiting = not_ended(rules.due, book, checks.reason)
        return SessionOutcome(market.session, state, None, None, checks.reason, waiting)
    after, decision = decide(rules, state, book, instrument_ids, observe)
    assessed = ev.RegimeAssessed(
        event_id=ev.make_event_id("RegimeAssessed", decision.decision_id),
        time_ns=market.decision_ns,
        correlation_id=decision.decision_id,
        regime_names=decision.regime_names,
        regime_posterior=tuple(float(p) for p in decision.regime_posterior),
    )
    keep_state(after)
    _append(log, book, [assessed])
    report = release(
        decision,
        book=book,
        quotes=market.quotes,
        instruments=rules.instruments,
        limits=rules.colony_limits,
        log=log,
        broker=broker,
        checks_passed=checks.passed,
        check_reason=checks.reason,
        time_ns=market.decision_ns,
        lineage=completed(lineage, decision),
        sizing=rules.sizing,
    )
    waiting = end_due(market, rules, book=book, log=log, broker=broker)
    return SessionOutcome(market.session, after, decision, report, report.blocked_reason, waiting)


def end_due(
    market: SessionMarket, rules: SessionRules, *, book: Book, log: EventLog, broker: Broker
) -> tuple[str, ...]:
    """Close or roll what is due by a session of passed checks (`session_ends.end_contracts`)."""
    references = References(
        time_ns=market.decision_ns,
        quotes=market.quotes,
        instruments=rules.instruments,
        limits=rules.limits,
        sizing=rules.sizing,
        located=frozenset(),
    )
    session, ends = market.session, rules.ends
    return end_contracts(rules.due, ends, session, references, book=book, log=log, broker=broker)


def _check_failed(market: SessionMarket, checks: Checks) -> ev.Event:
    return ev.DataCheckFailed(
        event_id=ev.make_event_id("DataCheckFailed", market.session, checks.reason),
        time_ns=market.decision_ns,
        session=market.session,
        check_name="data_status",
        reason=checks.reason,
        blocking=True,
    )


def completed(lineage: Lineage, decision: Decision) -> Lineage:
    """Return the lineage with the decision's own ids."""
    return Lineage(
        decision_id=decision.decision_id,
        session=lineage.session,
        colony_state_digest=decision.state_digest_after,
        model_name=lineage.model_name,
        model_version=lineage.model_version,
        feature_table_version=lineage.feature_table_version,
        clean_versions=lineage.clean_versions,
        raw_versions=lineage.raw_versions,
        settings_digest=lineage.settings_digest,
        run_id=lineage.run_id,
    )
