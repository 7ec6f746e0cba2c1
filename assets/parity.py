"""Parity: the last session once more through the path of backtests, and every difference."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg
import polars as pl

from assets.desk import Desk
from assets.ingest import preview
from assets.ports import (
    BrokerFactory,
    EventLog,
    FeatureStore,
    HotStore,
    ModelRegistry,
    TableStore,
)
from assets.session_rerun import Rerun, RerunPorts, ScratchLog, Side, last_decided, rerun_session
from swarm_core import events as ev

SESSION_REPEATS = "session_repeats"
# What the market gave is compared as well, but another venue than the simulated one may differ.
FILLS = "fills"
_KEY = ("instrument_id", "event_time", "as_of")
_LISTED_MAX = 200
_COLUMNS = ("kind", "key", "field", "recorded", "rerun")  # all of them text
Values = Mapping[tuple[str, str], object]  # (key, field) -> value


@dataclass(frozen=True, slots=True)
class Parity:
    """How many values of each kind were compared, and those that differed."""

    compared: Mapping[str, int]
    differences: pl.DataFrame


@dg.asset(
    group_name="trading",
    deps=["ledger"],
    check_specs=[
        dg.AssetCheckSpec(
            SESSION_REPEATS,
            asset="session_parity",
            description="Features, forecasts, decision, orders and fills of the last session come "
            "out again as they are on record.",
        )
    ],
)
def session_parity(
    desk: dg.ResourceParam[Desk],
    tables: dg.ResourceParam[TableStore],
    feature_store: dg.ResourceParam[FeatureStore],
    registry: dg.ResourceParam[ModelRegistry],
    log: dg.ResourceParam[EventLog],
    hot: dg.ResourceParam[HotStore],
    open_broker: dg.ResourceParam[BrokerFactory],
    scratch_log: dg.ResourceParam[ScratchLog],
) -> dg.MaterializeResult:
    """The last decided session, run again from the rows that it named; nothing is written.

    Features and forecasts are computed anew, the session is traded on a log of its own, and the
    decision is taken by the compiled loop of backtests as well.
    """
    taken = last_decided(list(log.read()))
    if taken is None:
        raise dg.Failure("there must be a decided session to run again, the log has none")
    ports = RerunPorts(tables, feature_store, registry, log, hot, open_broker, scratch_log)
    found = compare(rerun_session(desk, ports, taken))
    kinds = found.differences["kind"].unique().sort().to_list()
    only_fills = kinds == [FILLS]
    return dg.MaterializeResult(
        metadata={
            "session": taken.lineage.session,
            "decision_id": taken.lineage.decision_id,
            **{f"compared_{kind}": count for kind, count in found.compared.items()},
            "differences": found.differences.height,
            "preview": preview(found.differences.head(_LISTED_MAX), count=_LISTED_MAX),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=SESSION_REPEATS,
                passed=found.differences.is_empty(),
                severity=dg.AssetCheckSeverity.WARN if only_fills else dg.AssetCheckSeverity.ERROR,
                metadata={"reasons": _reasons(found)},
            )
        ],
    )


def _reasons(found: Parity) -> str:
    if found.differences.is_empty():
        return "none"
    counts = found.differences.group_by("kind", maintain_order=True).len().rows()
    first = found.differences.row(0, named=True)
    told = ", ".join(f"{count} of {found.compared.get(kind, 0)} {kind}" for kind, count in counts)
    return (
        f"{told} differed; first {first['key']} {first['field']}: "
        f"must be {first['recorded']}, was {first['rerun']}"
    )


def compare(rerun: Rerun) -> Parity:
    """Compare both sides value by value: bits of floats, whole orders, whole fills."""
    sides = (rerun.recorded, rerun.again)
    compiled = {(i, "weight"): w for i, w in rerun.compiled.items()}
    pairs: dict[str, tuple[Values, Values]] = {
        "features": _both(sides, lambda side: _cells(side.features)),
        "forecasts": _both(sides, lambda side: _cells(side.forecasts)),
        "decisions": _both(sides, _decision),
        "compiled_decisions": (_weights(rerun.recorded), compiled),
        "orders": _both(sides, _orders),
        FILLS: _both(sides, _fills),
    }
    rows = [
        (kind, key, field, repr(old.get((key, field))), repr(new.get((key, field))))
        for kind, (old, new) in pairs.items()
        for key, field in sorted({*old, *new})
        if not _same(old.get((key, field)), new.get((key, field)))
    ]
    compared = {kind: len({*old, *new}) for kind, (old, new) in pairs.items()}
    return Parity(
        compared, pl.DataFrame(rows, schema=[(c, pl.String) for c in _COLUMNS], orient="row")
    )


def _both(sides: tuple[Side, Side], of: Callable[[Side], Values]) -> tuple[Values, Values]:
    return of(sides[0]), of(sides[1])


def _same(old: object, new: object) -> bool:
    """Return whether two values are equal; not-a-number and nothing are both not known."""
    unknown = [value is None or value != value for value in (old, new)]
    return all(unknown) or (not any(unknown) and old == new)


def _cells(rows: pl.DataFrame) -> dict[tuple[str, str], object]:
    names = [c for c in rows.columns if c not in _KEY]
    return {
        (row["instrument_id"], name): row[name]
        for row in rows.iter_rows(named=True)
        for name in names
    }


def _weights(side: Side) -> dict[tuple[str, str], object]:
    return {(i, "weight"): weight for i, weight in side.weights.items()}


def _decision(side: Side) -> dict[tuple[str, str], object]:
    return {**_weights(side), ("colony", "state_digest"): side.state_digest}


def _orders(side: Side) -> dict[tuple[str, str], object]:
    return dict(_told_of_orders(side))


def _told_of_orders(side: Side) -> Iterator[tuple[tuple[str, str], object]]:
    for event in side.events:
        match event:
            case ev.OrderIntended():
                yield (event.order.client_order_id, "order"), event.order
            case ev.OrderApproved():
                yield (event.client_order_id, f"verdict {event.attempt}"), "approved"
            case ev.OrderDenied():
                denial = (event.code.value, event.measured, event.limit)
                yield (event.client_order_id, "verdict"), denial
            case ev.TargetDenied():
                yield (event.instrument_id, "target"), event.code.value
            case _:
                pass


def _fills(side: Side) -> dict[tuple[str, str], object]:
    """Return each order's filled lots, value and commission: brokers cut fills as they like."""
    totals: dict[tuple[str, str], int] = {}
    for event in side.events:
        if isinstance(event, ev.OrderFilled):
            value = event.lots * event.price_ticks * event.lot_tick_minor
            told = {"lots": event.lots, "value": value, "fees": event.commission_minor or 0}
            for field, number in told.items():
                key = (event.client_order_id, field)
                totals[key] = totals.get(key, 0) + number
    return dict(totals)
