"""A decided session once more: from the raw-most rows that it named, on a log of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from assets.desk import Desk
from assets.feature_tables import read_inputs
from assets.online_session import OnlineSession
from assets.pinned_tables import PinnedTables, versions_of
from assets.ports import (
    BrokerFactory,
    EventLog,
    FeatureStore,
    HotStore,
    ModelRegistry,
    StoredTable,
    TableStore,
)
from assets.session_tables import instruments_of, read_tables
from assets.trading_floor import TradingFloor
from features import catalog
from features.calendars import session_close
from features.schemas_derived import FORECASTS
from models.prediction import predict
from swarm_core import events as ev
from swarm_core.colony.observation import Observation
from swarm_core.colony.replay import Panel, run
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ColonyState
from swarm_core.lineage import Lineage, ends_contract

ScratchLog = Callable[[Sequence[ev.Event]], EventLog]


@dataclass(frozen=True, slots=True)
class RerunPorts:
    """What a rerun reads; nothing of it is written to."""

    tables: TableStore
    feature_store: FeatureStore
    registry: ModelRegistry
    log: EventLog
    hot: HotStore
    open_broker: BrokerFactory
    scratch_log: ScratchLog


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two, the record or the rerun, has of a session."""

    features: pl.DataFrame
    forecasts: pl.DataFrame
    weights: Mapping[str, float]
    state_digest: str
    events: tuple[ev.Event, ...]


@dataclass(frozen=True, slots=True)
class Rerun:
    """A session as it is on record and as it came out again.

    `compiled` are the weights that the compiled loop of backtests gives for the same bar.
    """

    session: str
    recorded: Side
    again: Side
    compiled: Mapping[str, float]


class _ScratchHot:
    """The hot store's states to read; what the rerun puts stays here."""

    def __init__(self, hot: HotStore) -> None:
        self._hot, self._put = hot, dict[tuple[str, str], bytes]()

    def put(self, space: str, values: Mapping[str, bytes]) -> None:
        self._put.update({(space, key): value for key, value in values.items()})

    def find(self, space: str, key: str) -> bytes | None:
        return self._put.get((space, key)) or self._hot.find(space, key)

    def read(self, space: str) -> Mapping[str, bytes]:
        mine = {key: value for (s, key), value in self._put.items() if s == space}
        return {**self._hot.read(space), **mine}


def last_decided(events: Sequence[ev.RecordedEvent]) -> ev.DecisionTaken | None:
    """Return the newest decision that was taken for a session, None where there is none."""
    taken = (e.event for e in events if isinstance(e.event, ev.DecisionTaken))
    own = (t for t in taken if t.lineage.session and not ends_contract(t.lineage.decision_id))
    return max(own, key=lambda t: t.time_ns, default=None)


def rerun_session(desk: Desk, ports: RerunPorts, taken: ev.DecisionTaken) -> Rerun:
    """Compute features and forecasts anew, trade the session on a scratch log, return both sides.

    Everything is read at the versions that the decision's lineage names. Raises ValueError where
    the log does not hold the session's opening.
    """
    lineage, events = taken.lineage, list(ports.log.read())
    before, since = _split(events, lineage.session)
    pinned = PinnedTables(ports.tables, versions_of(lineage))
    close = session_close(desk.calendar, datetime.fromisoformat(lineage.session).date())
    start, end = close, close + timedelta(microseconds=1)
    inputs = read_inputs(desk, pinned, start, end)
    features = catalog.compute(
        inputs.for_catalog(), start=start, end=end, as_of_offset=desk.decision_lag
    )
    features = desk.decided_on(features)
    stored = pinned.read("features", start=start, end=end)
    asked = StoredTable(ports.tables, "forecasts", FORECASTS.columns).read(start=start, end=end)
    forecasts = _forecasts(ports.registry, lineage, features)
    read = read_tables(desk, pinned, inputs, start, end)
    scratch = ports.scratch_log([e.event for e in before])
    broker = ports.open_broker(instruments_of(read.instruments), before, venue=desk.venue)
    floor = TradingFloor(
        desk,
        replace(read, features=features, forecasts=forecasts),
        pinned,
        OnlineSession(ports.feature_store, None),
        scratch,
        _ScratchHot(ports.hot),
        broker,
        lineage.run_id,
    )
    # A change may have been signed off after the session was opened, and others since.
    floor.changes = [e.event for e in events if isinstance(e.event, ev.ColonySettingsChanged)]
    settings, state = floor.taken_up(lineage.session, lineage.settings_digest)
    floor.desk = replace(desk, colony=settings)
    floor.changes = [c for c in floor.changes if c.digest_after == settings.digest()]
    floor.walk([lineage.session], lambda _: None)
    again = [e.event for e in scratch.read(len(before))]
    return Rerun(
        session=lineage.session,
        recorded=_side(stored, asked, [e.event for e in since]),
        again=_side(features, forecasts, again),
        compiled=_compiled(settings, state, floor.observed(lineage.session)),
    )


def _split(
    events: Sequence[ev.RecordedEvent], session: str
) -> tuple[list[ev.RecordedEvent], list[ev.RecordedEvent]]:
    """Return the records before a session's opening, and those from it to the next one's."""
    opened = [
        (place, recorded.event.session)
        for place, recorded in enumerate(events)
        if isinstance(recorded.event, ev.SessionOpened)
    ]
    for number, (place, opened_session) in enumerate(opened):
        if opened_session == session:
            end = next((p for p, later in opened[number:] if later != session), len(events))
            return list(events[:place]), list(events[place:end])
    raise ValueError(f"the log must hold the opening of session {session}, did not")


def _forecasts(registry: ModelRegistry, lineage: Lineage, features: pl.DataFrame) -> pl.DataFrame:
    from features.store.on_demand import with_on_demand  # pandas, half a second of every start

    if not lineage.model_version:
        return pl.DataFrame(schema=dict(FORECASTS.columns))
    return predict(
        registry.load(lineage.model_name, lineage.model_version), with_on_demand(features)
    )


def _side(features: pl.DataFrame, forecasts: pl.DataFrame, events: Sequence[ev.Event]) -> Side:
    taken = [e for e in events if isinstance(e, ev.DecisionTaken)]
    weights = (
        dict(zip(taken[0].instrument_ids, taken[0].target_weights, strict=True)) if taken else {}
    )
    digest = taken[0].lineage.colony_state_digest if taken else ""
    return Side(features, forecasts, weights, digest, tuple(events))


def _compiled(settings: ColonySettings, state: ColonyState, seen: Observation) -> dict[str, float]:
    """Return the target weights that the compiled loop gives for this one bar."""
    panel = Panel(
        time_ns=np.array([seen.time_ns], np.int64),
        instrument_ids=seen.instrument_ids,
        prices=seen.prices[None, :],
        sigma=seen.sigma[None, :],
        features={name: values[None, :] for name, values in seen.features.items()},
        market={name: np.array([value]) for name, value in seen.market.items()},
        sectors=seen.sectors,
        currencies=seen.currencies,
        data_age_s=None if seen.data_age_s is None else seen.data_age_s[None, :],
        nav=seen.nav,
        traded=seen.traded,
        paid=seen.paid,
        weights=seen.weights,
    )
    _, records = run(settings, state, panel)
    return dict(zip(seen.instrument_ids, records.target_weights[0].tolist(), strict=True))
