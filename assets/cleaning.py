"""Clean tables: raw rows that passed validation; the others are quarantined with their reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import dagster as dg
import polars as pl

from assets import table_pictures
from assets.desk import Desk
from assets.ingest import INGESTED, REMARK, preview
from assets.partitions import MONTHS, SINGLE_RUN, months_between, window
from assets.pictures import drawn
from assets.ports import Clock, StoredTable, TableStore
from features import point_in_time, validation
from features.data_status import DATA_STATUS
from features.schemas import CORPORATE_ACTIONS, INSTRUMENTS, TABLES, TableSchema
from features.schemas_derived import QUARANTINE
from features.validation.summary import to_markdown

# A jump, a repeat or a level is judged against the rows before it; those are read, not rewritten.
CONTEXT = timedelta(days=120)
PASSES_RULES = "passes_blocking_rules"
NO_LOOK_AHEAD = "no_look_ahead"
_NAMED_MAX = 5  # instruments in one line


def _judge(
    schema: TableSchema,
    rows: pl.DataFrame,
    desk: Desk,
    tables: TableStore,
    as_of: datetime,
    end: datetime,
) -> validation.ValidationReport:
    """Return the findings; only a window that is still open must hold the newest session."""
    actions = StoredTable(tables, "raw_corporate_actions", CORPORATE_ACTIONS.columns).read()
    # Payments are judged by the prices they left a mark in.
    bars = tables.read("raw_bars") if schema is CORPORATE_ACTIONS else None
    context = validation.CheckContext(
        as_of=as_of,
        instruments=StoredTable(tables, "instruments", INSTRUMENTS.columns).read(),
        settings=replace(
            desk.validation, require_fresh=desk.validation.require_fresh and end > as_of
        ),
        corporate_actions=actions,
        reference=bars,
    )
    return validation.check(schema.name, rows, context=context)


def _status_rows(
    schema: TableSchema,
    rows: pl.DataFrame,
    quarantined: pl.DataFrame,
    reasons: Sequence[str],
    withheld: Mapping[str, datetime],
    span: tuple[datetime, datetime],
    as_of: datetime,
    raw_version: int,
) -> pl.DataFrame:
    """Return one outcome per month of the span; what blocks the run blocks all of its months."""
    outcomes = []
    for key, start, end in months_between(span[0], min(span[1], as_of + timedelta(days=1))):
        inside = (pl.col("event_time") >= start) & (pl.col("event_time") < end)
        outcomes.append(
            {
                "table": schema.name,
                "partition": key,
                "event_time": max(start, span[0]),
                "knowledge_time": min(end, as_of),
                "passed": not reasons,
                "reasons": "; ".join(reasons[:5]),
                "withheld": ",".join(withheld),
                "withheld_since": ",".join(since.isoformat() for since in withheld.values()),
                "row_count": rows.filter(inside).height,
                "quarantined_count": quarantined.filter(inside).height,
                "raw_version": raw_version,
            }
        )
    return pl.DataFrame(outcomes, schema=DATA_STATUS.columns)


def _look_ahead(rows: pl.DataFrame, as_of: datetime) -> dg.AssetCheckResult:
    """Return the check that rows were known neither before they were true nor after `as_of`."""
    leaks = point_in_time.leaking_rows(rows.with_columns(as_of=pl.lit(as_of)))
    return dg.AssetCheckResult(
        check_name=NO_LOOK_AHEAD,
        passed=leaks.is_empty(),
        metadata={"leaking_row_count": leaks.height, "examples": preview(leaks)},
    )


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of one span of one table."""

    table: str
    good: pl.DataFrame
    bad: pl.DataFrame
    report: validation.ValidationReport
    blocking_reasons: tuple[str, ...]
    version: int
    content_hash: str
    as_of: datetime

    @property
    def sentence(self) -> str:
        """What happened, for the log."""
        stopped = f"; BLOCKED: {'; '.join(self.blocking_reasons)}" if self.blocking_reasons else ""
        return f"{self.table}: {self.good.height} rows clean, {self.bad.height} put aside{stopped}"

    @property
    def of_withheld(self) -> str | None:
        """What is to be said of instruments that are not traded, where there are any."""
        withheld = self.report.withheld
        if not withheld:
            return None
        of_them = pl.col("row").str.json_path_match("$.instrument_id").is_in(withheld)
        reasons = self.bad.filter(of_them).sort("event_time")["reason"]
        reason = f", e.g. {reasons[-1]}" if len(reasons) else ""
        more = f" and {len(withheld) - _NAMED_MAX} more" if len(withheld) > _NAMED_MAX else ""
        return (
            f"{self.table}: {', '.join(withheld[:_NAMED_MAX])}{more}: not traded while the newest "
            f"record is in quarantine{reason}; apiary sql 'select reason, row from "
            f"quarantine_{self.table}' shows the rows"
        )

    @property
    def of_ended(self) -> str | None:
        """What is to be said of series that lack the newest session, where there are any."""
        ended = self.report.findings.filter(rule="staleness", severity="warn")["reason"]
        if ended.is_empty():
            return None
        more = f" and {len(ended) - 1} more" if len(ended) > 1 else ""
        return f"{self.table}: {ended[0]}{more}; what has no bar of a session is not traded in it"

    def result(self) -> dg.MaterializeResult:
        """Return the materialization and its two blocking checks."""
        findings = dg.MetadataValue.md(to_markdown(self.report))
        told = (self.of_withheld, self.of_ended)
        remark = "; ".join(text for text in told if text is not None) or None
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": self.good.height,
                "quarantined_row_count": self.bad.height,
                "blocking": bool(self.blocking_reasons),
                **({} if remark is None else {REMARK: remark}),
                "table_version": self.version,
                "content_hash": self.content_hash,
                "findings": findings,
                "quarantine": preview(self.bad, count=10),
                **drawn(
                    "rows and findings",
                    table_pictures.rows_and_findings,
                    self.good,
                    self.report.findings,
                ),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=PASSES_RULES,
                    passed=not self.blocking_reasons,
                    metadata={
                        "reasons": "; ".join(self.blocking_reasons) or "none",
                        "findings": findings,
                        "quarantined_row_count": self.bad.height,
                    },
                ),
                _look_ahead(self.good, self.as_of),
            ],
        )


def _unreadable(
    schema: TableSchema, tables: TableStore, span: tuple[datetime, datetime], read: int, desk: Desk
) -> tuple[str, ...]:
    """Return the reason to stop where too many of the source's rows could not even be read."""
    name = f"rejected_{schema.name}"
    if not tables.exists(name):
        return ()
    rejected = tables.read(name).filter(
        pl.col("rule") == "readable",  # copies of a row were read
        pl.col("event_time").is_null()
        | ((pl.col("event_time") >= span[0]) & (pl.col("event_time") < span[1])),
    )
    share = rejected.height / max(1, rejected.height + read)
    limit = desk.validation.quarantine_fraction_max
    if share <= limit:
        return ()
    return (
        f"{schema.name}: at most {limit:.1%} of the source's rows may be unreadable, "
        f"{share:.1%} were, e.g. {rejected['reason'][0]}",
    )


def _clean_span(
    schema: TableSchema,
    span: tuple[datetime, datetime],
    desk: Desk,
    tables: TableStore,
    as_of: datetime,
) -> Cleaned:
    """Judge the raw rows of a span, and write clean rows, quarantine and the outcome by month."""
    start, end = span
    raw_name = f"raw_{schema.name}"
    read = tables.read(raw_name, start=start - CONTEXT, end=end)
    report = _judge(schema, read, desk, tables, as_of, end)
    good, bad = validation.split(read, report)
    inside = (pl.col("event_time") >= start) & (pl.col("event_time") < end)
    good, bad, judged = good.filter(inside), bad.filter(inside), read.filter(inside)
    reasons = (*report.blocking_reasons, *_unreadable(schema, tables, span, judged.height, desk))
    receipt = tables.replace(f"clean_{schema.name}", good, start=start, end=end)
    tables.replace(f"quarantine_{schema.name}", QUARANTINE.conform(bad), start=start, end=end)
    held = dict(zip(report.withheld, report.withheld_since, strict=True))
    status = _status_rows(schema, judged, bad, reasons, held, span, as_of, tables.version(raw_name))
    tables.replace(f"data_status_{schema.name}", status, start=start, end=end)
    return Cleaned(
        table=schema.name,
        good=good,
        bad=bad,
        report=report,
        blocking_reasons=reasons,
        version=receipt.version,
        content_hash=receipt.content_hash,
        as_of=as_of,
    )


def _clean_asset(schema: TableSchema) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"clean_{schema.name}",
        group_name="validate",
        partitions_def=MONTHS,
        backfill_policy=SINGLE_RUN,
        deps=[
            f"raw_{schema.name}",
            "instruments",
            *(["raw_corporate_actions"] if schema.name == "bars" else []),
            *(["raw_bars"] if schema.name == "corporate_actions" else []),
        ],
        description=(
            f"The rows of raw_{schema.name} that passed validation, every version of them. "
            "Bad rows go to quarantine with a kind, a confidence and a reason."
        ),
        kinds={"deltalake", "polars"},
        tags={"table": schema.name},
        check_specs=[
            dg.AssetCheckSpec(
                PASSES_RULES,
                asset=f"clean_{schema.name}",
                blocking=True,
                description="No rule found a reason to stop; quarantined rows alone do not stop.",
            ),
            dg.AssetCheckSpec(
                NO_LOOK_AHEAD,
                asset=f"clean_{schema.name}",
                blocking=True,
                description="No clean row was known before it was true, or after it was judged.",
            ),
        ],
    )
    def clean_table(
        context: dg.AssetExecutionContext,
        desk: dg.ResourceParam[Desk],
        clock: dg.ResourceParam[Clock],
        tables: dg.ResourceParam[TableStore],
    ) -> dg.MaterializeResult:
        span = window(context)
        outcome = _clean_span(schema, span, desk, tables, clock.now())
        context.log.info(outcome.sentence)
        return outcome.result()

    return clean_table


CLEAN_TABLES: Sequence[dg.AssetsDefinition] = [_clean_asset(TABLES[name]) for name in INGESTED]
