"""Raw tables: what the sources published, every version of it, never overwritten."""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from assets import table_pictures
from assets.partitions import ALL_TIME, MONTHS, SINGLE_RUN, window
from assets.pictures import drawn
from assets.ports import Clock, Source, TableStore
from features.schemas import MISSING_LATER, TABLES, TableSchema, dated_instruments
from features.validation import later_copies

# Instruments are few and are written whole; every other table grows by months.
INGESTED = tuple(name for name in TABLES if name != "instruments")
# Copies that are shown, of one span: full deliveries laid over each other hold little else.
COPIES_MAX = 10_000
REMARK = "remark"  # metadata of an asset that the terminal shows
EXPLAINED = {
    "bars": "Prices and volumes of a time span, as published.",
    "quotes": "Bid and ask at the close of a time span, as published.",
    "trades": "Single trades, as published.",
    "corporate_actions": "Splits, dividends, renames, spin-offs, mergers, delistings and halts.",
    "news": "Headlines and texts with the moment they could be read.",
    "macro": "Macro-economic and market-wide series, each vintage with the day it was known.",
    "options": "Option chains at the close, with implied volatility where it was computed.",
    "fundamentals": "Figures from financial reports, with the moment they were seen.",
    "membership": "Which instruments were in which index, and when.",
}


def preview(rows: pl.DataFrame, count: int = 5) -> dg.MarkdownMetadataValue:
    """Return the first rows as a Markdown table for the UI."""
    with pl.Config(
        tbl_formatting="ASCII_MARKDOWN",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_cols=-1,
        fmt_str_lengths=60,
        tbl_width_chars=400,
    ):
        return dg.MetadataValue.md(str(rows.head(count)))


def _coverage(bars: pl.DataFrame) -> dict[str, dg.MarkdownMetadataValue]:
    return drawn("coverage", table_pictures.bar_coverage, bars)


def _of_copies(table: str, copies: pl.DataFrame) -> str | None:
    """Return what is to be said of copies, where there are any."""
    if copies.is_empty():
        return None
    shown = f", {COPIES_MAX} of them" if copies.height > COPIES_MAX else ""
    return (
        f"{table}: {copies.height} rows are exact copies of another, of which one is kept, e.g. "
        f"{copies['reason'][0]}; apiary sql 'select reason, row from rejected_{table}' shows "
        f"them{shown}"
    )


def _of_hours(table: str, rejected: pl.DataFrame) -> str | None:
    """Return what is to be said of bars outside the hours that the mapping asks for, if any are."""
    outside = rejected.filter(kind="off_session")
    if outside.is_empty():
        return None
    return (
        f"{table}: {outside.height} bars are put aside, e.g. {outside['reason'][0]}; apiary sql "
        f"'select reason, row from rejected_{table}' shows them, hours: extended takes those "
        "before the open and after the close"
    )


def _of_missing(table: str, missing: pl.DataFrame) -> str | None:
    """Return what is to be said of records that a later delivery lacks, where there are any."""
    if missing.is_empty():
        return None
    return (
        f"{table}: {missing.height} rows stay as they were though a later delivery lacks them, "
        f"e.g. {missing['reason'][0]}; apiary sql 'select reason, row from rejected_{table}' "
        "shows them"
    )


def _raw_asset(schema: TableSchema) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"raw_{schema.name}",
        group_name="ingest",
        partitions_def=MONTHS,
        backfill_policy=SINGLE_RUN,
        description=f"{EXPLAINED[schema.name]} A revised record is a new row, never an overwrite.",
        kinds={"deltalake", "polars"},
        tags={"table": schema.name},
    )
    def raw_table(
        context: dg.AssetExecutionContext,
        source: dg.ResourceParam[Source],
        tables: dg.ResourceParam[TableStore],
        clock: dg.ResourceParam[Clock],
    ) -> dg.MaterializeResult:
        start, end = window(context)
        rows = source.fetch(schema.name, start, end)
        receipt = tables.append(f"raw_{schema.name}", rows, key=schema.key, ingested_at=clock.now())
        told_aside = source.rejected(schema.name).filter(
            pl.col("event_time").is_null()
            | ((pl.col("event_time") >= start) & (pl.col("event_time") < end))
        )
        missing = told_aside.filter(kind=MISSING_LATER)
        rejected = told_aside.filter(pl.col("kind") != MISSING_LATER)
        copies = later_copies(schema, rows)
        aside = pl.concat([rejected, missing, copies.head(COPIES_MAX)])
        tables.replace(f"rejected_{schema.name}", aside, start=start, end=end)
        context.log.info(
            f"{schema.name}: {rows.height} rows from {source.name}, "
            f"{receipt.inserted_row_count} of them new"
        )
        told = (
            _of_copies(schema.name, copies),
            _of_hours(schema.name, rejected),
            _of_missing(schema.name, missing),
        )
        remark = "; ".join(text for text in told if text is not None) or None
        if remark is not None:
            context.log.warning(remark)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows.height,
                "new_row_count": receipt.inserted_row_count,
                "unreadable_row_count": rejected.height,
                "copied_row_count": copies.height,
                "missing_later_count": missing.height,
                **({} if remark is None else {REMARK: remark}),
                "columns_left_out": "; ".join(source.left_out(schema.name)) or "none",
                "table_version": receipt.version,
                "content_hash": receipt.content_hash,
                "sources": sorted(rows["source"].unique().to_list()),
                "preview": preview(rows),
                **drawn("rows", table_pictures.rows_over_time, rows),
                **(_coverage(rows) if schema.name == "bars" else {}),
            }
        )

    return raw_table


RAW_TABLES: Sequence[dg.AssetsDefinition] = [_raw_asset(TABLES[name]) for name in INGESTED]


@dg.asset(group_name="ingest", kinds={"deltalake"})
def instruments(
    source: dg.ResourceParam[Source], tables: dg.ResourceParam[TableStore]
) -> dg.MaterializeResult:
    """Instruments and the tickers they went by: an identity stays, tickers come and go."""
    rows = source.instruments()
    receipt = tables.replace(
        "instruments", dated_instruments(rows), start=ALL_TIME[0], end=ALL_TIME[1]
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.height,
            "instrument_count": rows["instrument_id"].n_unique(),
            "table_version": receipt.version,
            "content_hash": receipt.content_hash,
            "preview": preview(rows),
        }
    )
