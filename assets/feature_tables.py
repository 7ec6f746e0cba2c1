"""The feature table: one row per instrument and session, from what was known at its decision."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg
import polars as pl

from assets import table_pictures
from assets.desk import Desk
from assets.ingest import REMARK, preview
from assets.partitions import MONTHS, SINGLE_RUN, window
from assets.pictures import drawn
from assets.ports import FeatureStore, StoredTable, TableStore, clean_table
from features import catalog, point_in_time, series
from features.currency_rates import currency_rates
from features.schemas import INSTRUMENTS
from features.session_actions import chosen_actions
from features.session_bars import Market, session_bars

# Twice the longest lookback in sessions, in calendar days, so that a slow start never shows.
LOOKBACK = timedelta(days=760)
NO_LOOK_AHEAD = "no_look_ahead"


@dataclass(frozen=True, slots=True)
class ClosedInputs:
    """The clean rows that features of a window are computed from, read and ready.

    `bars` are adjusted for splits; `traded` are the same series as they were quoted on the day,
    with `growth` (features.series.split_growth), and `actions` what happened to them. `rates` are
    those of the desk's foreign currencies (features.currency_rates). `sources` are the sources of
    each series (features.series.ranked_sources).
    """

    bars: pl.DataFrame
    traded: pl.DataFrame
    actions: pl.DataFrame
    macro: pl.DataFrame
    news: pl.DataFrame
    instruments: pl.DataFrame
    rates: pl.DataFrame
    sources: pl.DataFrame

    def for_catalog(self) -> catalog.FeatureInputs:
        """Return them as the catalogue takes them."""
        return catalog.FeatureInputs(
            bars=self.bars, macro=self.macro, news=self.news, instruments=self.instruments
        )


def read_inputs(
    desk: Desk,
    tables: TableStore,
    window_start: datetime,
    window_end: datetime,
    market: Market | None = None,
) -> ClosedInputs:
    """Return the clean rows that features of this window are computed from.

    They are of the desk's market where no other is given. Macro and news are read as far as the
    last decision, a lag after the window's last close: what a session is decided on does not
    depend on how long the window is that it is computed in.
    """
    market = market or desk.market
    decided = window_end + market.decision_lag
    start = window_start - LOOKBACK
    instruments = StoredTable(tables, "instruments", INSTRUMENTS.columns).read()
    bars = clean_table(tables, "bars").read(start=start, end=window_end)
    actions = clean_table(tables, "corporate_actions").read()
    of_sessions = session_bars(bars, instruments, market)
    sources = series.ranked_sources(of_sessions, desk.source_priority)
    chosen = series.of_first_source(of_sessions, sources)
    booked = chosen_actions(actions, chosen)
    return ClosedInputs(
        bars=series.back_adjusted(chosen, actions),
        traded=series.split_growth(chosen, booked),
        actions=booked,
        macro=clean_table(tables, "macro").read(end=decided),
        news=clean_table(tables, "news").read(start=start, end=decided),
        instruments=instruments,
        rates=currency_rates(
            bars, instruments, market.currency, market.foreign, desk.source_priority
        ),
        sources=sources,
    )


def source_remark(unchosen: pl.DataFrame) -> str | None:
    """Return what is to be said of instruments of several sources where nobody chose one."""
    if unchosen.is_empty():
        return None
    first = unchosen.row(0, named=True)
    used, other = (
        f"{first[f'{part}name']} ({first[f'{part}bar_count']} bars to "
        f"{first[f'{part}newest']:%Y-%m-%d})"
        for part in ("", "other_")
    )
    return (
        f"bars: {unchosen.height} instrument{' stands' if unchosen.height == 1 else 's stand'} "
        "in several sources, e.g. "
        f"{first['instrument_id']}: {used} is used, not {other}; source_priority: [beginning of a "
        "source's name] in the configuration chooses"
    )


@dg.asset(
    name="features",
    group_name="features",
    partitions_def=MONTHS,
    backfill_policy=SINGLE_RUN,
    deps=["clean_bars", "clean_corporate_actions", "clean_macro", "clean_news", "instruments"],
    kinds={"polars", "deltalake", "feast"},
    check_specs=[
        dg.AssetCheckSpec(
            NO_LOOK_AHEAD,
            asset="features",
            blocking=True,
            description="Every value was known when its decision was taken.",
        )
    ],
)
def feature_table(
    context: dg.AssetExecutionContext,
    desk: dg.ResourceParam[Desk],
    tables: dg.ResourceParam[TableStore],
    feature_store: dg.ResourceParam[FeatureStore],
) -> dg.MaterializeResult:
    """Every catalogued feature, point in time: a revision counts only after it was published."""
    start, end = window(context)
    inputs = read_inputs(desk, tables, start, end)
    rows = catalog.compute(
        inputs.for_catalog(),
        start=start,
        end=end,
        as_of_offset=desk.decision_lag,
        progress=context.log.info,
    )
    rows = desk.decided_on(rows)
    receipt = tables.replace("features", rows, start=start, end=end)
    feature_store.write_offline(rows, start=start, end=end)
    leaks = point_in_time.leaking_rows(rows)
    unchosen = series.unchosen_sources(inputs.sources)
    remark = source_remark(unchosen)
    if remark is not None:
        context.log.warning(remark)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.height,
            "instrument_count": rows["instrument_id"].n_unique(),
            "feature_count": len(catalog.CATALOG),
            "universe": "all" if desk.universe is None else list(desk.universe.newest),
            "table_version": receipt.version,
            "content_hash": receipt.content_hash,
            **({} if remark is None else {REMARK: remark, "sources": preview(unchosen, 50)}),
            **drawn(
                "coverage", table_pictures.feature_coverage, rows, [f.name for f in catalog.CATALOG]
            ),
            "preview": preview(rows),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=NO_LOOK_AHEAD,
                passed=leaks.is_empty(),
                metadata={
                    "leaking_row_count": leaks.height,
                    "leaking_instruments": leaks["instrument_id"].unique().sort().to_list(),
                },
            )
        ],
    )


@dg.asset(group_name="features", deps=["features"], kinds={"feast"})
def feature_registry(feature_store: dg.ResourceParam[FeatureStore]) -> dg.MaterializeResult:
    """Feast's registry: entities, views, services and the push source, built from the catalogue."""
    names = feature_store.apply()
    table = pl.DataFrame(
        [(f.name, f.family, f.formula, f.lookback_sessions, f.reference) for f in catalog.CATALOG],
        schema=["feature", "family", "formula", "lookback_sessions", "reference"],
        orient="row",
    )
    return dg.MaterializeResult(
        metadata={"objects": list(names), "catalogue": preview(table, count=len(catalog.CATALOG))}
    )
