"""Trading: decisions, verdicts, fills and the ledger, session by session."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from assets import table_pictures
from assets.desk import Desk
from assets.ingest import preview
from assets.online_session import OnlineSession
from assets.partitions import SESSIONS, SINGLE_RUN
from assets.pictures import drawn
from assets.ports import (
    BrokerFactory,
    Clock,
    EventLog,
    FeatureStore,
    HotStore,
    LiveBook,
    RowTiers,
    TableStore,
)
from assets.session_tables import instruments_of, read_steadily
from assets.trading_floor import TradingFloor, Walk
from features.decision_tables import decision_tables
from features.projections import OrderProjection, nav_frame, position_frame
from features.schemas_derived import (
    DECISION_CONTRIBUTIONS,
    DECISIONS,
    FILLS,
    NAV,
    ORDERS,
    POSITIONS,
    REGIMES,
    TRAILS,
)
from swarm_core.book import book_from_events

RELEASED_ON_PASSED_CHECKS = "released_on_passed_checks"
BOOKS_BALANCE = "books_balance"
DRAWN = timedelta(days=183)
# What a run writes of the sessions that it has traded.
_TOLD = (
    *(table.name for table in (DECISIONS, DECISION_CONTRIBUTIONS, TRAILS, REGIMES)),
    *(table.name for table in (ORDERS, FILLS, NAV, POSITIONS)),
)

_SPECS = [
    dg.AssetSpec(
        "decisions",
        deps=["features", "forecasts", "online_features"],
        group_name="colony",
        description="What the colony wants to hold, with each sense's contribution, the trails and "
        "the regime. A decided session is never decided again.",
        kinds={"numba"},
        partitions_def=SESSIONS,
    ),
    dg.AssetSpec(
        "orders",
        deps=["decisions", "clean_bars"],
        group_name="trading",
        description="Orders and the gate's verdicts: on disk before anything is sent.",
        partitions_def=SESSIONS,
    ),
    dg.AssetSpec(
        "fills",
        deps=["orders"],
        group_name="trading",
        description="What the broker filled, each execution once.",
        partitions_def=SESSIONS,
    ),
    dg.AssetSpec(
        "ledger",
        deps=["fills"],
        group_name="trading",
        description="Cash, positions and NAV in exact integers, at every close.",
        partitions_def=SESSIONS,
    ),
]


def _span(keys: list[str]) -> tuple[datetime, datetime]:
    """Return [start, end) around the closes of these sessions, the last one at midnight included.

    A close at midnight is that of the day which ends.
    """
    low = datetime.combine(date.fromisoformat(min(keys)), datetime.min.time(), tzinfo=UTC)
    high = datetime.combine(date.fromisoformat(max(keys)), datetime.min.time(), tzinfo=UTC)
    instant = timedelta(microseconds=1)
    return low + instant, high + timedelta(days=1) + instant


@dg.multi_asset(
    specs=_SPECS,
    name="trading_sessions",
    backfill_policy=SINGLE_RUN,
    check_specs=[
        dg.AssetCheckSpec(
            RELEASED_ON_PASSED_CHECKS,
            asset="orders",
            blocking=True,
            description="No session's orders were held back by a failed blocking check.",
        ),
        dg.AssetCheckSpec(
            BOOKS_BALANCE,
            asset="ledger",
            blocking=True,
            description="Cash, positions, fees and profit add up exactly, in every currency.",
        ),
    ],
)
def trading_sessions(
    context: dg.AssetExecutionContext,
    desk: dg.ResourceParam[Desk],
    tables: dg.ResourceParam[TableStore],
    feature_store: dg.ResourceParam[FeatureStore],
    log: dg.ResourceParam[EventLog],
    hot: dg.ResourceParam[HotStore],
    rows: dg.ResourceParam[RowTiers],
    live: dg.ResourceParam[LiveBook],
    clock: dg.ResourceParam[Clock],
    open_broker: dg.ResourceParam[BrokerFactory],
    book_lock: dg.ResourceParam[None],  # held for as long as the run trades
) -> Iterator[dg.MaterializeResult]:
    """Trade sessions in order: fills come in, the colony decides, the gate judges, orders leave."""
    sessions = list(context.partition_keys)
    start, end = _span(sessions)
    _require_readable(rows, start, end)
    read = read_steadily(desk, tables, start, end)
    broker = open_broker(instruments_of(read.instruments), log.read(), venue=desk.venue)
    newest: Any = tables.read(
        "features", columns=["event_time"], version=read.versions["features"]
    )["event_time"].max()
    online = OnlineSession(feature_store, newest)
    floor = TradingFloor(desk, read, tables, online, log, hot, broker, context.run.run_id)
    walk = floor.walk(sessions, lambda done: context.log.info(done))
    floor.show(live, round(clock.now().timestamp() * 1e6) * 1_000)
    yield _write_decisions(rows, walk, end)
    yield from _write_ledger(desk, rows, log, floor, walk, (start, end))


def _require_readable(rows: RowTiers, start: datetime, end: datetime) -> None:
    """Raise what a damaged or absent tier raises before anything is traded, not when it is told."""
    for table in _TOLD:
        with suppress(KeyError):  # nothing of the kind has happened yet
            rows.query(table, start=start, end=end)


def _shown(
    rows: RowTiers, table: str, title: str, draw: Callable[[pl.DataFrame], bytes], end: datetime
) -> dict[str, dg.MarkdownMetadataValue]:
    """Return a picture of the half year that ends here: one session alone shows nothing."""
    try:
        recent = rows.query(table, start=end - DRAWN, end=end)
    except KeyError:  # nothing of the kind has happened yet
        return {}
    return drawn(title, draw, recent.sort("event_time"))


def _write_decisions(rows: RowTiers, walk: Walk, end: datetime) -> dg.MaterializeResult:
    """Write the decided sessions' rows; a session decided before stands as it is recorded."""
    decided = decision_tables(walk.decided)
    hashes = {name: rows.write(name, frame) for name, frame in decided.named().items()}
    return dg.MaterializeResult(
        asset_key="decisions",
        metadata={
            "dagster/row_count": decided.decisions.height,
            "sessions_decided": len(walk.decided) - len(walk.repeated),
            "sessions_repeated": len(walk.repeated),
            "sessions_whose_inputs_changed": ", ".join(walk.differing) or "none",
            "content_hashes": hashes,
            "preview": preview(decided.decisions.tail(30), count=30),
            **_shown(rows, "decisions", "target weights", table_pictures.target_weights, end),
        },
    )


def _write_ledger(
    desk: Desk,
    rows: RowTiers,
    log: EventLog,
    floor: TradingFloor,
    walk: Walk,
    span: tuple[datetime, datetime],
) -> Iterator[dg.MaterializeResult]:
    projection = OrderProjection(floor.rules.instruments).apply_all(log.read())
    inside = (pl.col("event_time") >= span[0]) & (pl.col("event_time") < span[1])
    orders, fills = projection.orders(), projection.fills().filter(inside)
    hashes = {
        # Orders of the session before may have been filled in this one: all that moved are told.
        "orders": rows.write("orders", orders.filter(pl.col("knowledge_time") >= span[0])),
        "fills": rows.write("fills", fills),
        "nav": rows.write("nav", nav_frame(walk.nav)),
        "positions": rows.write("positions", position_frame(walk.positions)),
    }
    quoted = {name: i.currency for name, i in floor.rules.instruments.items()}
    draw = partial(table_pictures.orders_by_session, currencies=quoted)
    ordered = _shown(rows, "orders", "orders", draw, span[1])
    yield _orders_result(orders.filter(inside), hashes["orders"], walk, ordered)
    yield dg.MaterializeResult(
        asset_key="fills",
        metadata={
            "dagster/row_count": fills.height,
            "content_hash": hashes["fills"],
            "preview": preview(fills.tail(20), count=20),
            **_shown(
                rows, "fills", "slippage and costs", table_pictures.slippage_and_costs, span[1]
            ),
        },
    )
    held = _shown(rows, "nav", "NAV and exposure", table_pictures.nav_and_exposure, span[1])
    yield _ledger_result(desk, log, walk, hashes, held)


def _orders_result(
    orders: pl.DataFrame,
    content_hash: str,
    walk: Walk,
    picture: Mapping[str, dg.MarkdownMetadataValue],
) -> dg.MaterializeResult:
    denials = orders.group_by("denial_code").len().drop_nulls()
    return dg.MaterializeResult(
        asset_key="orders",
        metadata={
            "dagster/row_count": orders.height,
            "denied": orders.filter(pl.col("verdict") == "denied").height,
            "content_hash": content_hash,
            "denials": preview(denials, count=20),
            "preview": preview(orders.tail(20), count=20),
            **picture,
        },
        check_results=[
            dg.AssetCheckResult(
                asset_key="orders",
                check_name=RELEASED_ON_PASSED_CHECKS,
                passed=not walk.blocked,
                metadata={"held_back": str(walk.blocked) if walk.blocked else "none"},
            )
        ],
    )


def _ledger_result(
    desk: Desk,
    log: EventLog,
    walk: Walk,
    hashes: dict[str, str],
    picture: Mapping[str, dg.MarkdownMetadataValue],
) -> dg.MaterializeResult:
    book = book_from_events(log.read(), desk.base_currency, desk.starting_cash)
    imbalance = book.ledger.find_imbalance()
    return dg.MaterializeResult(
        asset_key="ledger",
        metadata={
            "dagster/row_count": len(walk.nav),
            "nav": book.find_nav() or 0.0,
            "content_hashes": {"nav": hashes["nav"], "positions": hashes["positions"]},
            "preview": preview(nav_frame(walk.nav).tail(10), count=10),
            **picture,
        },
        check_results=[
            dg.AssetCheckResult(
                asset_key="ledger",
                check_name=BOOKS_BALANCE,
                passed=imbalance is None,
                metadata={"imbalance": imbalance or "none"},
            )
        ],
    )
