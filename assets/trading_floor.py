"""What a range of sessions is traded with, and the walk through them in order."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import polars as pl

from assets.desk import Desk
from assets.online_session import OnlineSession, ServedFeatures
from assets.partitions import month_key
from assets.ports import EventLog, HotStore, LiveBook, TableStore
from assets.readiness import read_status, required_tables
from assets.session_market import SessionMarkets
from assets.session_tables import Tables, instruments_of
from assets.universe_record import find_news
from features.calendars import is_session
from features.data_status import Release, may_release
from features.observing import SessionTables, observe
from features.projections import nav_row, position_rows
from swarm_core import events as ev
from swarm_core.book import book_from_events
from swarm_core.colony import codec
from swarm_core.colony.decision import Decision
from swarm_core.colony.engine import new_state
from swarm_core.colony.migration import take_up
from swarm_core.colony.observation import Observation
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ColonyState
from swarm_core.limit_record import keep_limits
from swarm_core.lineage import Lineage
from swarm_core.live_view import field_of, view_of
from swarm_core.order_states import OrderState
from swarm_core.session import (
    BarBroker,
    Checks,
    Observe,
    SessionMarket,
    SessionRules,
    decide,
    end_due,
    trade_session,
)
from swarm_core.sizing import SizingSettings
from swarm_core.trading import release

STATES = "colony_states"  # space of the hot store: session -> the state after it, compressed
PROGRESS_EVERY = 20
# States in which an order may still have to be sent.
UNSENT = frozenset(
    {OrderState.INTENDED, OrderState.APPROVED, OrderState.SUBMITTED, OrderState.UNKNOWN}
)


class SessionOrderError(ValueError):
    """A session was asked for that lies before one that is decided already."""


@dataclass(slots=True)
class Walk:
    """What a walk through sessions leaves: decisions and the rows of the ledger."""

    decided: list[tuple[str, datetime, datetime, Decision]] = field(default_factory=list)
    nav: list[dict[str, object]] = field(default_factory=list)
    positions: list[dict[str, object]] = field(default_factory=list)
    blocked: dict[str, str] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)  # decided before; the same came out again
    differing: list[str] = field(default_factory=list)  # decided before, on other inputs


class TradingFloor:
    """Walks through sessions in order: repeats what is decided, decides what is not."""

    def __init__(
        self,
        desk: Desk,
        tables: Tables,
        store: TableStore,
        online: OnlineSession,
        log: EventLog,
        hot: HotStore,
        broker: BarBroker,
        run_id: str,
    ) -> None:
        self.desk, self.tables, self.store, self.online = desk, tables, store, online
        self.log, self.hot, self.broker, self.run_id = log, hot, broker, run_id
        self.rules = SessionRules(
            colony=desk.colony,
            limits=desk.limits,
            instruments=instruments_of(tables.instruments),
            sizing=SizingSettings(),
            carry=desk.venue.carry,
            conversion=desk.venue.conversion,
        )
        self.markets = SessionMarkets(desk, tables, self.rules.instruments)
        self.events: list[ev.RecordedEvent] = []
        self.last_state: ColonyState | None = None  # after the last step of this walk
        self.closed: dict[str, int] = {}  # session -> log sequence of its close
        self.taken: dict[str, ev.DecisionTaken] = {}
        self.changes: list[ev.ColonySettingsChanged] = []  # of the colony's settings, in order
        self.universe: ev.UniverseChosen | None = None  # the last that stands in the log
        self._checked: tuple[pl.DataFrame, list[str]] | None = None
        self._served: dict[str, ServedFeatures] = {}
        self._features_at = _by_close(tables.features)
        self._forecasts_at = _by_close(tables.forecasts)
        self._take_up()
        self.book = book_from_events([], desk.base_currency, desk.starting_cash)

    def walk(self, sessions: Sequence[str], progress: Callable[[str], None]) -> Walk:
        """Trade or repeat each session; raises SessionOrderError on one that comes too late.

        Sessions without features are passed over: their day brought no data.
        """
        walk = Walk()
        calendar = self.desk.calendar
        open_days = [s for s in sorted(sessions) if is_session(calendar, date.fromisoformat(s))]
        present = [s for s in open_days if not self._features(s).is_empty()]
        for number, session in enumerate(present, 1):
            if number % PROGRESS_EVERY == 0 or number == len(present):
                progress(f"session {session}, {number} of {len(present)}")
            if session in self.taken:
                self._repeat(session, walk)
            elif self.taken and session < max(self.taken):
                raise SessionOrderError(
                    f"sessions must be decided in order, {session} is before {max(self.taken)}, "
                    "which is decided"
                )
            else:
                left = self._left(session)
                told = [
                    *self.desk.ends.warnings(left),
                    *self._trade(session, walk),
                    *self.desk.ends.ended(left, self.book.lots),
                ]
                for line in told:
                    progress(f"session {session}: {line}")
        return walk

    def show(self, live: LiveBook, time_ns: int) -> None:
        """Show the book as the walk has left it."""
        self.book.apply_all(self.log.read(self.book.sequence))
        live.show(view_of(self.book, "decision job", time_ns))
        if self.last_state is not None:
            live.show_field(field_of(self.last_state))
        live.settle()

    def _repeat(self, session: str, walk: Walk) -> None:
        """Decide again from the same state and book; the recorded decision stands in any case."""
        self.book.apply_all(r for r in self.events if r.sequence <= self.closed[session])
        market, ids = self._market(session, frozenset())
        self._note(market, walk)
        recorded = self.taken[session].lineage
        settings, before = self.taken_up(session, recorded.settings_digest)
        rules = replace(self.rules, colony=settings)
        _, decision = decide(rules, before, self.book, ids, self._observer(session, ids))
        same = (decision.decision_id, decision.state_digest_after) == (
            recorded.decision_id,
            recorded.colony_state_digest,
        )
        (walk.repeated if same else walk.differing).append(session)
        if same:
            walk.decided.append((session, self._close(session), self._as_of(session), decision))
            self._resume(session, market, decision)

    def _resume(self, session: str, market: SessionMarket, decision: Decision) -> None:
        """Send what an interrupted run left unsent, unless a later session has closed since."""
        if session != max(self.closed):
            return
        book = book_from_events(self.log.read(), self.desk.base_currency, self.desk.starting_cash)
        states = {
            record.state
            for record in book.orders.values()
            if record.order.decision_id == decision.decision_id
        }
        planned, checks = decision.decision_id in book.planned, self._release(session)
        quotes = {k: v for k, v in market.quotes.items() if k not in checks.withheld}
        rules = self.rules_of(session, self.rules.colony)
        if not planned or states & UNSENT:
            release(
                decision,
                book=book,
                quotes=quotes,
                instruments=rules.instruments,
                limits=rules.colony_limits,
                log=self.log,
                broker=self.broker,
                checks_passed=checks.passed,
                check_reason=checks.reason,
                time_ns=market.decision_ns,
                lineage=self.taken[session].lineage,
                sizing=rules.sizing,
            )
        if checks.passed:
            seen = replace(market, quotes=quotes)
            end_due(seen, rules, book=book, log=self.log, broker=self.broker)
        self._take_up()

    def _trade(self, session: str, walk: Walk) -> tuple[str, ...]:
        """Trade a session; return a line for each contract that is due to end and does not."""
        release, fault = self._release(session), self._serve(session).fault
        market, ids = self._market(session, release.withheld)
        keep_limits(self.rules.limits, book=self.book, log=self.log, time_ns=market.open_ns)
        self._tell_universe(market)
        settings, before = self.taken_up(session)
        outcome = trade_session(
            market,
            self.rules_of(session, settings),
            before,
            book=self.book,
            log=self.log,
            broker=self.broker,
            instrument_ids=ids,
            observe=self._observer(session, ids),
            checks=Checks(
                release.passed and not fault, release.reason if not release.passed else fault
            ),
            lineage=self._lineage(session),
            at_close=lambda: self._note(market, walk),
            keep_state=lambda state: self._keep_state(session, state),
        )
        if outcome.decision is None or outcome.blocked_reason:
            walk.blocked[session] = outcome.blocked_reason
            return outcome.waiting
        self._take_up()
        walk.decided.append((session, self._close(session), self._as_of(session), outcome.decision))
        return outcome.waiting

    def _left(self, session: str) -> dict[str, int]:
        return self.desk.ends.left(self.rules.instruments, self.desk.calendar, session)

    def rules_of(self, session: str, colony: ColonySettings) -> SessionRules:
        """Return the rules that a session trades by: what ends soon may only get smaller."""
        ends, left = self.desk.ends, self._left(session)
        limits, due = ends.limited(self.rules.limits, left), ends.due(left)
        return replace(self.rules, colony=colony, limits=limits, ends=ends.settings, due=due)

    def _tell_universe(self, market: SessionMarket) -> None:
        """Put on record which part of its market the desk decides on, where that is news."""
        news = find_news(self.desk.universe, self.universe, market.session, market.open_ns)
        if news is not None:
            self.log.append([news])
            self.universe = news

    def _release(self, session: str) -> Release:
        """Return whether the session may be traded; the outcomes are read once per walk."""
        if self._checked is None:
            self._checked = read_status(self.store), required_tables(self.store)
        close = self._close(session)
        return may_release(*self._checked, month_key(close), close)

    def _take_up(self) -> None:
        """Learn what the last session has put on record."""
        last = self.events[-1].sequence if self.events else 0
        for recorded in self.log.read(last):
            self.events.append(recorded)
            if isinstance(recorded.event, ev.SessionClosed):
                self.closed[recorded.event.session] = recorded.sequence
            elif isinstance(recorded.event, ev.DecisionTaken):
                lineage = recorded.event.lineage
                if lineage.colony_state_digest:  # not a flattening, a target file's row, a roll
                    self.taken[lineage.session] = recorded.event
            elif isinstance(recorded.event, ev.ColonySettingsChanged):
                self.changes.append(recorded.event)
            elif isinstance(recorded.event, ev.UniverseChosen):
                self.universe = recorded.event

    def _note(self, market: SessionMarket, walk: Walk) -> None:
        benchmark = self.tables.benchmark.get(market.session)
        walk.nav.append(nav_row(self.book, market.session, market.close_ns, benchmark))
        walk.positions.extend(
            position_rows(self.book, market.session, market.close_ns, self.rules.instruments)
        )

    def _close(self, session: str) -> datetime:
        return self.markets.close(session)

    def _as_of(self, session: str) -> datetime:
        return self.markets.as_of(session)

    def _market(
        self, session: str, withheld: frozenset[str]
    ) -> tuple[SessionMarket, tuple[str, ...]]:
        last_closed = max((s for s in self.closed if s < session), default="")
        market = self.markets.market(session, withheld, last_closed)
        return market, tuple(sorted(self._features(session)["instrument_id"].unique()))

    def _features(self, session: str) -> pl.DataFrame:
        return self._serve(session).rows

    def _serve(self, session: str) -> ServedFeatures:
        """Return what the session is decided on, asked once: the newest session's comes online."""
        if session not in self._served:
            close = self._close(session)
            rows = self._features_at.get(close, self.tables.features.clear())
            known = rows.filter(pl.col("knowledge_time") <= self._as_of(session))
            self._served[session] = self.online.serve(close, known)
        return self._served[session]

    def _forecasts(self, session: str) -> pl.DataFrame:
        return self._forecasts_at.get(self._close(session), self.tables.forecasts.clear())

    def observed(self, session: str) -> Observation:
        """Return what the colony sees of a session that was walked, with the book as it stands.

        Raises ValueError where the book's NAV is not known.
        """
        ids = tuple(sorted(self._features(session)["instrument_id"].unique()))
        nav = self.book.find_nav()
        if nav is None:
            raise ValueError("NAV must be known to observe, was not: a mark is missing")
        realised = self.book.realised.fractions_decided(nav)
        return self._observer(session, ids)(self.book.weights(ids), nav, realised)

    def _observer(self, session: str, ids: tuple[str, ...]) -> Observe:
        """Return what shows the colony a session, once the book's weights and NAV are known."""
        as_of = self._as_of(session)
        seen = SessionTables(
            as_of=as_of,
            features=self._features(session),
            forecasts=self._forecasts(session),
            bars=self.markets.researched_bars(as_of),
            instruments=self.tables.instruments,
        )

        def show(
            weights: Sequence[float], nav: float, realised: tuple[float, float]
        ) -> Observation:
            return observe(seen, ids, weights=weights, nav=nav, realised=realised)

        return show

    def taken_up(self, session: str, decided: str = "") -> tuple[ColonySettings, ColonyState]:
        """Return the settings that a session is decided by and the state before, carried over.

        `decided` is the digest of the settings that it was decided by, empty where it was not.
        """
        return take_up(self.state_before(session), self.desk.colony, self.changes, decided)

    def state_before(self, session: str) -> ColonyState:
        """Return the colony's state that a session is decided in; ValueError where it is lost."""
        earlier = [s for s in self.taken if s < session]
        if not earlier:
            ids = tuple(sorted(self._features(session)["instrument_id"].unique()))
            return new_state(self._founding_settings(session), ids, self.desk.colony_seed)
        return self._state_after(max(earlier))

    def _founding_settings(self, session: str) -> ColonySettings:
        """Return what the first session is decided by: the file's settings, or its own again."""
        taken = self.taken.get(session)
        if taken is None or taken.lineage.settings_digest == self.desk.colony.digest():
            return self.desk.colony
        told = self._state_after(session).settings
        return ColonySettings.from_text(told) if told else self.desk.colony

    def _state_after(self, newest: str) -> ColonyState:
        stored = self.hot.find(STATES, newest)
        if stored is None:
            raise ValueError(f"the colony's state after {newest} must be stored, was not")
        try:
            data = zlib.decompress(stored)
            state = codec.decode(data)
        except (zlib.error, ValueError) as error:
            raise ValueError(
                f"the colony's state after {newest} must be as it was stored, is not: {error}"
            ) from error
        recorded = self.taken[newest].lineage.colony_state_digest
        if codec.stored_digest(data) != recorded:
            raise ValueError(
                f"the colony's state after {newest} must have the digest {recorded}, "
                f"had {codec.stored_digest(data)}"
            )
        return state

    def _keep_state(self, session: str, state: ColonyState) -> None:
        self.last_state = state
        self.hot.put(STATES, {session: zlib.compress(codec.encode(state), 1)})

    def _lineage(self, session: str) -> Lineage:
        rows = self._forecasts(session)
        model = rows.select("model_name", "model_version").unique()
        name, version = model.row(0) if model.height == 1 else ("", "")
        versions = self.tables.versions
        return Lineage(
            decision_id="pending",
            session=session,
            model_name=name,
            model_version=version,
            feature_table_version=str(versions["features"]),
            clean_versions=tuple(f"{n}@{v}" for n, v in versions.items() if n.startswith("clean_")),
            raw_versions=tuple(f"{n}@{v}" for n, v in versions.items() if n.startswith("raw_")),
            settings_digest=self.desk.colony.digest(),
            run_id=self.run_id,
        )


def _by_close(rows: pl.DataFrame) -> dict[datetime, pl.DataFrame]:
    """Return the rows of each event_time."""
    parts = rows.partition_by("event_time", as_dict=True, maintain_order=True)
    return {moment: part for (moment,), part in parts.items()}
