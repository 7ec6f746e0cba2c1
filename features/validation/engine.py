"""Running every rule of a table over its rows, and folding the findings into a report."""

from collections.abc import Iterable

import polars as pl

from features.schemas import TABLES, TableSchema
from features.schemas_derived import DERIVED_TABLES
from features.validation.blocking import blocking_reasons, withheld
from features.validation.catalogue import RULES
from features.validation.context import CheckContext
from features.validation.findings import FINDINGS, HITS, SEVERITIES, table_hit
from features.validation.report import ValidationReport
from features.validation.rule import RowRule, TableRule
from features.validation.rules.schema import schema_findings
from features.validation.view import SERIES_COLUMNS, TableView

_SCHEMAS = {**TABLES, **DERIVED_TABLES}


def check(table: str, rows: pl.DataFrame, *, context: CheckContext) -> ValidationReport:
    """Return the findings of every rule of the table over the rows, and whether they block.

    Rows may miss optional columns. A broken schema is itself a finding, and ends the check, for
    nothing else can be judged then. Raises KeyError for a table that has no schema.
    """
    if table not in _SCHEMAS:
        raise KeyError(f"table must be one of {sorted(_SCHEMAS)}, was {table!r}")
    schema = _widened(_SCHEMAS[table], rows)
    broken = list(schema_findings(schema, rows))
    if broken:
        return _report(table, rows, broken, context)
    if rows.is_empty():
        return _report(table, rows, [_no_rows(table)], context)
    conformed = schema.conform(rows)
    rules = [rule for rule in RULES if table in rule.tables]
    own = TableView(table, schema, conformed)
    found = list(_row_findings(own, context, [r for r in rules if isinstance(r, RowRule)]))
    view = TableView(table, schema, _with_history(schema, conformed, context))
    judged = pl.col("row_index").is_null() | (pl.col("row_index") < conformed.height)
    for rule in rules:
        if isinstance(rule, TableRule):
            found.extend(rule.find(view, context))
    if view.rows.height > conformed.height:
        found = [hits.filter(judged) for hits in found]
    return _report(table, conformed, found, context)


def _with_history(schema: TableSchema, rows: pl.DataFrame, context: CheckContext) -> pl.DataFrame:
    """Return the rows and, after them, the history that they continue, where there is one."""
    history = context.reference
    if schema.name not in SERIES_COLUMNS or history is None or history.is_empty():
        return rows
    versions = [*schema.key, "knowledge_time"]
    versions += ["adjustment"] if "adjustment" in schema.columns else []
    earlier = schema.conform(history).join(rows, on=versions, how="anti", nulls_equal=True)
    return pl.concat([rows, earlier])


def _widened(schema: TableSchema, rows: pl.DataFrame) -> TableSchema:
    """Return the schema with the frame's own feature columns, for the wide feature table."""
    if schema.name != "features":
        return schema
    extra = {c: pl.Float64() for c in rows.columns if c not in schema.columns}
    return TableSchema(schema.name, {**schema.columns, **extra}, schema.key, schema.required)


def _no_rows(table: str) -> pl.DataFrame:
    severity = "block" if table in ("bars", "features", "forecasts") else "info"
    return table_hit("rows", "no_rows", severity, 1.0, f"{table} must have rows, had none")


def _row_findings(
    view: TableView, context: CheckContext, rules: list[RowRule]
) -> Iterable[pl.DataFrame]:
    """Yield the findings of all row rules: one pass finds the rows, few rows are put in words."""
    if not rules:
        return
    lazy = view.rows.lazy()
    broken = lazy.select(
        pl.arg_where(rule.broken(context)).implode().alias(rule.name) for rule in rules
    ).collect()
    for rule in rules:
        index = broken.get_column(rule.name)[0]
        if index.is_empty():
            continue
        yield view.rows[index].select(
            index.cast(pl.UInt32).alias("row_index"),
            pl.lit(rule.name).alias("rule"),
            pl.lit(rule.kind).alias("kind"),
            pl.lit(rule.confidence).alias("confidence"),
            pl.lit(rule.severity).alias("severity"),
            rule.reason(context).alias("reason"),
        )


def _report(
    table: str, rows: pl.DataFrame, found: list[pl.DataFrame], context: CheckContext
) -> ValidationReport:
    hits = pl.concat([pl.DataFrame(schema=HITS), *found]) if found else pl.DataFrame(schema=HITS)
    findings = _addressed(table, rows, hits)
    held = withheld(table, rows, findings)
    return ValidationReport(
        table=table,
        row_count=rows.height,
        findings=findings,
        blocking_reasons=blocking_reasons(table, rows, findings, context),
        withheld=tuple(held),
        withheld_since=tuple(held.values()),
    )


def _addressed(table: str, rows: pl.DataFrame, hits: pl.DataFrame) -> pl.DataFrame:
    """Add the table and each row's times and address; order by severity, then row."""
    names = ("event_time", "knowledge_time", "source", "source_row")
    missing = [pl.lit(None, dtype=FINDINGS[n]).alias(n) for n in names if not _usable(rows, n)]
    present = [pl.col(n).cast(FINDINGS[n]) for n in names if _usable(rows, n)]
    located = hits.filter(pl.col("row_index").is_not_null())
    addresses = rows.select(*present, *missing)[located.get_column("row_index")]
    whole = hits.filter(pl.col("row_index").is_null())
    rank = pl.col("severity").replace_strict(SEVERITIES, range(len(SEVERITIES)))
    return (
        pl.concat([located.hstack(addresses), whole], how="diagonal")
        .with_columns(pl.lit(table).alias("table"))
        .sort(rank, "row_index", descending=[True, False], nulls_last=False, maintain_order=True)
        .select(pl.col(name).cast(dtype) for name, dtype in FINDINGS.items())
    )


def _usable(rows: pl.DataFrame, name: str) -> bool:
    """Whether the column is there in the type of a finding's address."""
    return name in rows.columns and rows.schema[name] == FINDINGS[name]
