"""Which session may be decided next, and if none, why: the question the decision sensor asks."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from assets.desk import Desk
from assets.partitions import month_key
from assets.ports import EventLog, StoredTable, TableStore
from features.calendars import session_of_close
from features.data_status import DATA_STATUS, Release, may_release
from features.schemas_derived import FEATURES_BASE, FORECASTS
from swarm_core.events import DecisionTaken
from swarm_core.lineage import ends_contract

# What a decision reads; every one of them must have passed its blocking checks.
REQUIRED_TABLES = ("bars", "macro", "news", "corporate_actions")


@dataclass(frozen=True, slots=True)
class NextSession:
    """The session to decide (ISO date), or None and the reason."""

    session: str | None
    reason: str


def read_status(tables: TableStore) -> pl.DataFrame:
    """Return the outcomes of the blocking checks of all required tables."""
    return pl.concat(
        DATA_STATUS.conform(StoredTable(tables, f"data_status_{name}", DATA_STATUS.columns).read())
        for name in REQUIRED_TABLES
    )


def release_of(tables: TableStore, moment: datetime) -> Release:
    """Return whether the data of this moment's month have passed every blocking check."""
    return may_release(read_status(tables), required_tables(tables), month_key(moment), moment)


def required_tables(tables: TableStore) -> list[str]:
    """Return the tables that must have been checked: bars, and what this desk ever ingested."""
    return [name for name in REQUIRED_TABLES if name == "bars" or tables.exists(f"raw_{name}")]


def decided_sessions(log: EventLog) -> set[str]:
    """Return the sessions that the log holds a decision for."""
    return {
        recorded.event.lineage.session
        for recorded in log.read()
        if isinstance(recorded.event, DecisionTaken)
        and not ends_contract(recorded.event.lineage.decision_id)
    }


def next_session(desk: Desk, tables: TableStore, log: EventLog) -> NextSession:
    """Return the newest session whose features and forecasts are in and whose checks passed."""
    features = StoredTable(tables, "features", FEATURES_BASE.columns).read()
    if features.is_empty():
        return NextSession(None, "no features yet")
    newest: datetime = features["event_time"].max()  # type: ignore[assignment]  # column of times
    session = session_of_close(desk.calendar, newest).isoformat()
    decided = decided_sessions(log)
    if session in decided:
        return NextSession(None, f"session {session} is decided")
    if decided and session < max(decided):
        return NextSession(None, f"session {session} is before the decided {max(decided)}")
    forecasts = StoredTable(tables, "forecasts", FORECASTS.columns).read(start=newest)
    if forecasts.filter(pl.col("event_time") == newest).is_empty():
        return NextSession(None, f"no forecasts for session {session} yet")
    release = release_of(tables, newest)
    if not release.passed:
        return NextSession(None, f"session {session} is held back: {release.reason}")
    return NextSession(session, f"session {session} is complete and its checks passed")
