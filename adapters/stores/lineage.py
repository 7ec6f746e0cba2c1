"""Lineage in both directions: from an order to its raw rows, and from a raw row to its orders."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta

import polars as pl

from adapters.stores.lineage_raw import FindFile, RawRows, SeriesChoice
from adapters.stores.lineage_reads import (
    Events,
    ModelCards,
    OrderHistory,
    PinnedTables,
    moment,
    read_pinned,
)
from adapters.stores.lineage_touches import orders_touched_by
from adapters.stores.lineage_tree import LineageNode, LineageTree, render
from adapters.stores.lineage_universe import universe_node
from features.catalog import BY_NAME
from swarm_core.events import (
    DecisionTaken,
    Event,
    OrderAccepted,
    OrderApproved,
    OrderDenied,
    OrderFilled,
    OrderIntended,
    OrderModified,
    OrderModifyDenied,
    OrderModifyRejected,
    OrderModifyRequested,
    OrderRejected,
)
from swarm_core.lineage import Lineage, ends_contract
from swarm_core.orders import Order

__all__ = ["LineageNode", "LineageQueries", "LineageTree", "render"]

_INSTANT = timedelta(microseconds=1)


class LineageQueries:
    """Answers over the event log and tables read at the versions that each decision pinned.

    `choose_series` picks the bars that features were computed from, where several sources speak
    of one instrument (features.series.select_series with the desk's priorities). `find_file` tells
    the file, and the row in it, that the address of a raw row stands for.
    """

    def __init__(
        self,
        log: Events,
        tables: PinnedTables,
        models: ModelCards | None = None,
        *,
        choose_series: SeriesChoice | None = None,
        find_file: FindFile = lambda source, source_row: None,
    ) -> None:
        self._history = OrderHistory(log)
        self._tables = tables
        self._models = models
        self._choose = choose_series or (lambda bars: bars)
        self._find_file = find_file

    def order_ids(self) -> tuple[str, ...]:
        """Return the ids of all orders, oldest first."""
        return tuple(self._history.intents)

    def explain_order(self, order_id: str) -> LineageTree:
        """Return order -> verdict, fills and decision -> state, model, features -> raw rows.

        `order_id` may be cut short as long as it is unique. Raises KeyError where the log has
        no such order.
        """
        order_id = self._history.get_order_id(order_id)
        intended = self._history.intents[order_id]
        events = self._history.of_order(order_id)
        order = intended.order
        facts = {
            "instrument": order.instrument_id,
            "side": order.side.value,
            "lots": order.quantity_lots,
            "kind": order.kind.value,
            "strategy": order.strategy,
            "intended_at": moment(intended.time_ns),
        }
        return LineageNode(
            kind="order",
            title=f"order {order_id}",
            facts=facts,
            children=(
                *self._schedule(intended.order),
                *_order_steps(events),
                self._decision(intended),
            ),
        )

    def _schedule(self, order: Order) -> Iterator[LineageNode]:
        """Tell by which schedule the order's parent is worked, why, and what that should cost."""
        plan = self._history.plans.get(order.decision_id.rpartition("/")[0])
        if plan is None or not plan.is_slice(order.decision_id):
            return
        told: dict[str, object] = {"slices": len(plan.moments_ns)}
        forecast = plan.find_forecast(order.instrument_id)
        if forecast is not None:
            told |= {
                "lots": forecast.lots,
                "arrival_ticks": forecast.arrival_ticks,
                "expected_touch": forecast.touch,
                "expected_impact": forecast.impact * plan.impact_coefficient,
                "deviation": forecast.deviation,
                "impact_coefficient": plan.impact_coefficient,
            }
        way = "its market is not known" if forecast is None else forecast.schedule
        yield LineageNode(kind="schedule", title=f"slice of {plan.decision_id}: {way}", facts=told)

    def orders_touched_by(
        self,
        table: str,
        *,
        event_time: datetime,
        instrument_id: str | None = None,
        series_id: str | None = None,
        source: str | None = None,
        whole_day: bool = False,
    ) -> pl.DataFrame:
        """Return the orders that a raw row touched; see `lineage_touches.orders_touched_by`."""
        return orders_touched_by(
            self._history,
            self._tables,
            self._models,
            table,
            event_time=event_time,
            instrument_id=instrument_id,
            series_id=series_id,
            source=source,
            whole_day=whole_day,
        )

    def _decision(self, intended: OrderIntended) -> LineageNode:
        decision_id = intended.order.decision_id
        taken = self._history.decisions.get(decision_id)
        if taken is None:
            return LineageNode(
                kind="missing", title=f"decision {decision_id} is not in the event log"
            )
        lineage, instrument_id = taken.lineage, intended.order.instrument_id
        facts: dict[str, object] = {"session": lineage.session, "taken_at": moment(taken.time_ns)}
        facts |= _target(taken, instrument_id)
        if ends_contract(decision_id):  # the rule is all that it stands on
            facts["why"] = lineage.run_id
            return LineageNode(kind="decision", title=f"decision {decision_id}", facts=facts)
        facts |= self._decided(lineage, instrument_id)
        return LineageNode(
            kind="decision",
            title=f"decision {decision_id}",
            facts=facts,
            children=(
                universe_node(self._history.universes.get(decision_id), instrument_id),
                self._contributions(lineage, instrument_id),
                _state(lineage),
                self._model(lineage, instrument_id),
                self._features(taken, instrument_id),
            ),
        )

    def _rows_of_decision(
        self, table: str, lineage: Lineage, instrument_id: str
    ) -> pl.DataFrame | None:
        """Return the decision's rows of a table for one instrument, from its session's days."""
        if not self._tables.exists(table):
            return None
        start, end = _session_days(lineage.session)
        rows = self._tables.read(table, start=start, end=end)
        return rows.filter(decision_id=lineage.decision_id, instrument_id=instrument_id)

    def _decided(self, lineage: Lineage, instrument_id: str) -> dict[str, object]:
        rows = self._rows_of_decision("decisions", lineage, instrument_id)
        if rows is None or rows.is_empty():
            return {}
        names = ("conviction", "target_weight", "reason", "regime")
        row = rows.row(-1, named=True)
        return {n: row[n] for n in names if row.get(n) is not None}

    def _contributions(self, lineage: Lineage, instrument_id: str) -> LineageNode:
        rows = self._rows_of_decision("decision_contributions", lineage, instrument_id)
        if rows is None or rows.is_empty():
            return LineageNode(kind="missing", title="no contributions of senses are stored")
        ordered = rows.sort(pl.col("contribution").abs(), "sense", descending=[True, False])
        parts = dict(ordered.select("sense", "contribution").iter_rows())
        return LineageNode(
            kind="contributions",
            title=f"{len(parts)} senses, conviction {sum(parts.values()):+.4f}",
            facts=parts,
        )

    def _model(self, lineage: Lineage, instrument_id: str) -> LineageNode:
        if not lineage.model_name:
            return LineageNode(kind="model", title="no model took part")
        facts: dict[str, object] = {}
        rows = self._session_row("forecasts", lineage, instrument_id)
        if rows is not None:
            facts |= {n: rows[n] for n in ("forecast", "expected_return") if n in rows}
        title = f"model {lineage.model_name} @ {lineage.model_version}"
        if self._models is None:
            return LineageNode(kind="model", title=title, facts=facts)
        try:
            card = self._models.card(lineage.model_name, lineage.model_version)
        except (KeyError, OSError) as error:
            return LineageNode(kind="missing", title=f"{title} has no card: {error}", facts=facts)
        names = ("training_start", "training_end", "data_hash", "code_hash")
        return LineageNode(
            kind="model", title=title, facts=facts | {n: card[n] for n in names if n in card}
        )

    def _session_row(
        self, table: str, lineage: Lineage, instrument_id: str
    ) -> Mapping[str, object] | None:
        start, end = _session_days(lineage.session)
        rows = read_pinned(self._tables, lineage, table, start=start, end=end)
        if rows is None:
            return None
        rows = rows.filter(pl.col("instrument_id") == instrument_id)
        if table == "forecasts":
            rows = rows.filter(model_name=lineage.model_name, model_version=lineage.model_version)
        return rows.row(-1, named=True) if rows.height else None

    def _features(self, taken: DecisionTaken, instrument_id: str) -> LineageNode:
        lineage = taken.lineage
        row = self._session_row("features", lineage, instrument_id)
        if row is None:
            return LineageNode(
                kind="missing", title=f"no feature row of {instrument_id} on {lineage.session}"
            )
        as_of = row.get("as_of")
        as_of = as_of if isinstance(as_of, datetime) else moment(taken.time_ns)
        last = row["event_time"]
        last = last if isinstance(last, datetime) else as_of
        values = {n: v for n, v in row.items() if n in BY_NAME and v is not None}
        families: dict[str, dict[str, object]] = {}
        for name, value in values.items():
            families.setdefault(BY_NAME[name].family, {})[name] = value
        version = lineage.feature_table_version or "not pinned"
        return LineageNode(
            kind="features",
            title=f"{len(values)} feature values, table version {version}",
            facts={"event_time": row.get("event_time"), "as_of": as_of},
            children=(
                *(LineageNode(kind="family", title=f, facts=v) for f, v in families.items()),
                *RawRows(
                    self._tables, self._choose, lineage, instrument_id, last, as_of, self._find_file
                ).nodes(),
            ),
        )


def _session_days(session: str) -> tuple[datetime, datetime]:
    """Return [start, end) in UTC around a session's close; at midnight it ends its day."""
    day = date.fromisoformat(session)
    midnight = datetime.fromisoformat(f"{day.isoformat()}T00:00:00+00:00")
    return midnight + _INSTANT, midnight + timedelta(days=1) + _INSTANT


def _order_steps(events: Iterable[Event]) -> Iterator[LineageNode]:
    for event in events:
        match event:
            case OrderApproved():
                facts = {"value": event.value_micros / 1e6, "attempt": event.attempt}
                yield _step("verdict", "approved by the risk gate", event, facts)
            case OrderDenied():
                facts = {
                    "code": event.code.value,
                    "measured": event.measured,
                    "limit": event.limit,
                    "detail": event.detail,
                }
                yield _step("denial", "denied by the risk gate", event, facts)
            case OrderAccepted():
                facts = {"broker_order_id": event.broker_order_id}
                yield _step("acceptance", "accepted by the venue", event, facts)
            case OrderRejected():
                yield _step("denial", "rejected by the venue", event, {"reason": event.reason})
            case OrderFilled():
                facts = {"lots": event.lots, "price_ticks": event.price_ticks}
                yield _step("fill", f"fill {event.execution_id}", event, facts)
            case _:
                yield from _change_steps(event)


def _change_steps(event: Event) -> Iterator[LineageNode]:
    """Tell of an order's change under its own id: approved or denied, taken or refused."""
    match event:
        case OrderModifyRequested():
            yield _step("change", "other terms approved by the risk gate", event, _terms(event))
        case OrderModifyDenied():
            facts = {**_terms(event), "code": event.code.value, "detail": event.detail}
            yield _step("denial", "other terms denied by the risk gate", event, facts)
        case OrderModified():
            yield _step("change", "works in other terms", event, _terms(event))
        case OrderModifyRejected():
            facts = {"number": event.number, "reason": event.reason}
            yield _step("denial", "other terms not taken by the venue", event, facts)
        case _:
            pass


def _terms(change: OrderModifyRequested | OrderModifyDenied | OrderModified) -> dict[str, object]:
    """Return what an order is to become, but for what it has none of."""
    told: dict[str, object] = {
        "number": change.number,
        "lots": change.quantity_lots,
        "limit_ticks": change.limit_price_ticks,
        "stop_ticks": change.stop_price_ticks,
    }
    if isinstance(change, OrderModified):
        by_hand = {"kind": change.kind, "time_in_force": change.time_in_force}
        told |= {name: word.value for name, word in by_hand.items() if word is not None}
    return {name: value for name, value in told.items() if value is not None}


def _step(kind: str, title: str, event: Event, facts: Mapping[str, object]) -> LineageNode:
    return LineageNode(kind=kind, title=title, facts={"at": moment(event.time_ns), **facts})


def _target(taken: DecisionTaken, instrument_id: str) -> dict[str, object]:
    weights = dict(zip(taken.instrument_ids, taken.target_weights, strict=True))
    return {"target_weight": weights[instrument_id]} if instrument_id in weights else {}


def _state(lineage: Lineage) -> LineageNode:
    return LineageNode(
        kind="state",
        title=f"colony state {lineage.colony_state_digest[:16] or 'not recorded'}",
        facts={
            "digest": lineage.colony_state_digest,
            "settings": lineage.settings_digest[:16],
            "run": lineage.run_id,
        },
    )
