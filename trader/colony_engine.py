"""The colony as the trader's engine: once a session, on the tables of the scheduled decision."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import polars as pl

from features import series
from features.calendars import session_close
from features.data_status import Release, may_release
from features.observing import SessionTables, observe
from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.colony import codec
from swarm_core.colony.engine import new_state, step
from swarm_core.colony.migration import take_up
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ColonyState
from swarm_core.lineage import Lineage
from swarm_core.session import completed
from swarm_core.trading_state import TradingState
from trader.desk import TradingDesk
from trader.hours import ExchangeHours
from trader.market_tables import MarketTables
from trader.ports import Intent, Item, Moment

# The space of the hot store that the scheduled decision keeps its states in as well.
STATES = "colony_states"
BARS_AGE_MAX = timedelta(days=10)  # an older price is none
# What a decision reads; each that is there must have passed its blocking checks.
REQUIRED_TABLES = ("bars", "macro", "news", "corporate_actions")
# A session is asked for again so often until its features are in.
_ASK_EVERY_NS = 10 * 10**9


class StateStore(Protocol):
    """Where the colony's state after each session is kept."""

    def find(self, space: str, key: str) -> bytes | None: ...
    def put(self, space: str, values: dict[str, bytes]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ColonyPlan:
    """How the colony is asked: its settings, how long after a close, and its seed."""

    settings: ColonySettings
    decision_lag: timedelta
    seed: int = 20200102  # the desk's: the first state is then the same


class ColonyEngine:
    """Decides the newest session whose time has come and whose features are in; each one once.

    The state before, the rows seen and the step are those of the scheduled decision, so whichever
    of the two decides a session comes to the same decision id.
    """

    def __init__(
        self,
        plan: ColonyPlan,
        tables: MarketTables,
        states: StateStore,
        desk: TradingDesk,
        hours: ExchangeHours,
        tell: Callable[[str], None] = lambda _: None,
        on_step: Callable[[ColonyState], None] = lambda _: None,
    ) -> None:
        """Compose an engine; `on_step` is shown the colony's state after each decision."""
        self.plan, self.tables, self.states = plan, tables, states
        self.desk, self.hours, self._tell, self._on_step = desk, hours, tell, on_step
        self._asked_ns = 0
        self._done: set[str] = set()  # sessions that this process has decided or given up

    def on_market(self, item: Item, book: Book, time_ns: int) -> Intent | None:
        """Return the decision of the session that is due, or None.

        An Intent with a fault where a blocking check of its data has failed.
        """
        if not isinstance(item, Moment) or book.trading_state is TradingState.HALTED:
            return None
        session, decided = self._due(time_ns), _decisions(book)
        if session in self._done or session < max(decided, default=""):
            return None
        if session in decided:
            # On record already: what was left unsent is sent, and nothing is decided again.
            self._done.add(session)
            return _resumed(decided[session])
        if time_ns - self._asked_ns < _ASK_EVERY_NS and self._asked_ns:
            return None
        self._asked_ns = time_ns
        versions = self._versions()
        seen = self._look(session)
        if seen is None or self._versions() != versions:
            return None  # somebody is writing: the lineage must name what was read
        self._asked_ns = 0
        self._done.add(session)
        return self._decide(session, seen, book, time_ns, versions)

    def _due(self, time_ns: int) -> str:
        """Return the newest session that may be decided by now."""
        lag_ns = int(self.plan.decision_lag.total_seconds()) * 10**9
        session = self.hours.session_at(time_ns)
        while self.hours.bounds(session)[1] + lag_ns > time_ns:
            session = self.hours.session_at(self.hours.bounds(session)[0] - 1)
        return session

    def _look(self, session: str) -> SessionTables | None:
        """Return what the session is decided on, or None while it is not all there."""
        close = session_close(self.tables.market.calendar, date.fromisoformat(session))
        as_of, after = close + self.plan.decision_lag, close + timedelta(microseconds=1)
        features = self.tables.read("features", close, after)
        features = features.filter(pl.col("knowledge_time") <= as_of)
        forecasts = self.tables.read("forecasts", close, after)
        if features.is_empty() or forecasts.is_empty():
            return None
        bars = series.newest_known(self.tables.bar_rows(as_of - BARS_AGE_MAX, as_of), as_of)
        newest = bars.sort("event_time").unique("instrument_id", keep="last", maintain_order=True)
        newest = newest.with_columns(close=pl.col("close") * pl.col("growth"))
        return SessionTables(
            as_of=as_of,
            features=features,
            forecasts=forecasts,
            bars=newest,
            instruments=self.tables.instrument_rows(),
        )

    def _decide(
        self,
        session: str,
        seen: SessionTables,
        book: Book,
        time_ns: int,
        versions: Mapping[str, int],
    ) -> Intent:
        release = self._release(seen.as_of - self.plan.decision_lag)
        self.desk.mark(time_ns)
        nav = book.find_nav()
        if nav is None:
            raise ValueError("NAV must be known to decide, was not: a mark or a rate is missing")
        ids = tuple(sorted(seen.features["instrument_id"].unique()))
        realised = book.realised.fractions(nav)
        shown = observe(seen, ids, weights=book.weights(ids), nav=nav, realised=realised)
        settings, before = take_up(
            self._state_before(session, ids, book), self.plan.settings, book.colony_changes
        )
        after, decision = step(settings, before, shown)
        # A state that is kept and not used costs nothing; a decision without its state would.
        self.states.put(STATES, {session: zlib.compress(codec.encode(after), 1)})
        self._on_step(after)
        self.desk.note(
            ev.RegimeAssessed(
                event_id=ev.make_event_id("RegimeAssessed", decision.decision_id),
                time_ns=time_ns,
                correlation_id=decision.decision_id,
                regime_names=decision.regime_names,
                regime_posterior=tuple(float(p) for p in decision.regime_posterior),
            )
        )
        self._tell(f"session {session} is decided: {decision.decision_id}")
        return Intent(
            targets=decision,
            lineage=completed(self._lineage(session, seen, versions), decision),
            withheld=release.withheld,
            fault=release.reason,
        )

    def _release(self, close: datetime) -> Release:
        """Return whether the checks of the session's month have passed; missing is failed."""
        store = self.tables.store
        required = [n for n in REQUIRED_TABLES if n == "bars" or store.exists(f"raw_{n}")]
        found = [
            store.read(f"data_status_{name}")
            for name in required
            if store.exists(f"data_status_{name}")
        ]
        if not found:
            return Release(passed=False, reason="no data were checked")
        month = close.astimezone(UTC).date().replace(day=1).isoformat()
        return may_release(pl.concat(found, how="diagonal"), required, month, close)

    def _state_before(self, session: str, ids: tuple[str, ...], book: Book) -> ColonyState:
        taken = {
            decided: event.lineage.colony_state_digest
            for decided, event in _decisions(book).items()
            if decided < session
        }
        if not taken:
            return new_state(self.plan.settings, ids, self.plan.seed)
        newest = max(taken)
        stored = self.states.find(STATES, newest)
        if stored is None:
            raise ValueError(f"the colony's state after {newest} must be stored, was not")
        data = zlib.decompress(stored)
        state = codec.decode(data)
        if codec.stored_digest(data) != taken[newest]:
            raise ValueError(
                f"the colony's state after {newest} must have the digest {taken[newest]}, "
                f"had {codec.stored_digest(data)}"
            )
        return state

    def _versions(self) -> dict[str, int]:
        """Return the version of each table that a decision reads, as it is now."""
        store = self.tables.store
        named = (f"{prefix}_{name}" for prefix in ("clean", "raw") for name in REQUIRED_TABLES)
        names = ("features", "forecasts", *named)
        return {name: store.version(name) for name in names if store.exists(name)}

    def _lineage(self, session: str, seen: SessionTables, versions: Mapping[str, int]) -> Lineage:
        models = seen.forecasts.select("model_name", "model_version").unique()
        name, version = models.row(0) if models.height == 1 else ("", "")

        def pins(prefix: str) -> tuple[str, ...]:
            return tuple(f"{n}@{v}" for n, v in versions.items() if n.startswith(prefix))

        return Lineage(
            decision_id="pending",
            session=session,
            model_name=name,
            model_version=version,
            feature_table_version=str(versions["features"]),
            clean_versions=pins("clean_"),
            raw_versions=pins("raw_"),
            settings_digest=self.plan.settings.digest(),
            run_id="trader",
        )


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A decision as the log holds it."""

    decision_id: str
    time_ns: int
    instrument_ids: tuple[str, ...]
    target_weights: tuple[float, ...]


def _resumed(taken: ev.DecisionTaken) -> Intent:
    recorded = _Recorded(
        taken.lineage.decision_id, taken.time_ns, taken.instrument_ids, taken.target_weights
    )
    return Intent(targets=recorded, lineage=taken.lineage)


def _decisions(book: Book) -> dict[str, ev.DecisionTaken]:
    """Return the decisions of a colony in the log, by their session."""
    decided = (d for d in book.decisions.values() if d.lineage.colony_state_digest)
    return {event.lineage.session: event for event in decided}
