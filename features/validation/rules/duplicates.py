"""One record, one row: exact copies are dropped, contradictions are kept aside."""

from collections.abc import Iterable

import polars as pl

from features.text_format import format_text
from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.view import TableView

_ADDRESS = ("source_row",)


def _find(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield a finding for each later copy of a record, and for each side of a contradiction.

    A record is its key and, where the table has them, its knowledge time (a later one is a
    revision) and adjustment (raw and adjusted prices stand side by side).
    """
    keys = [*view.schema.key]
    for extra in ("knowledge_time", "adjustment", "as_of"):
        if extra in view.rows.columns and extra not in keys:
            keys.append(extra)
    hashed = view.rows.select(pl.struct(keys).hash().alias("key")).to_series()
    if hashed.n_unique() == hashed.len():
        return
    doubled = hashed.is_duplicated().arg_true()
    rows = view.rows[doubled].with_columns(doubled.alias("row_index"))
    values = [c for c in view.rows.columns if c not in keys and c not in _ADDRESS]
    groups = rows.with_columns(
        pl.struct(values or keys).hash().alias("value"),
        pl.len().over(keys).alias("copies"),
    ).filter(pl.col("copies") > 1)
    groups = groups.with_columns(
        pl.col("value").n_unique().over(keys).alias("distinct"),
        pl.col("row_index").rank("ordinal").over(keys).alias("nth"),
    )
    named = format_text("{}", pl.struct(view.schema.key).struct.json_encode())
    copies = groups.filter(pl.col("distinct") == 1, pl.col("nth") > 1)
    if not copies.is_empty():
        reasons = copies.select(
            format_text("a record must stand once, stood {} times: {}", pl.col("copies"), named)
        ).to_series()
        index = copies.get_column("row_index")
        yield make_hits("duplicates", "duplicate", "quarantine", 1.0, index, reasons)
    clashes = groups.filter(pl.col("distinct") > 1)
    if not clashes.is_empty():
        reasons = clashes.select(
            format_text(
                "a record must have one value, had {} different ones: {}",
                pl.col("distinct"),
                named,
            )
        ).to_series()
        index = clashes.get_column("row_index")
        yield make_hits("duplicates", "conflicting_duplicate", "quarantine", 0.95, index, reasons)


DUPLICATE_RULES = (
    TableRule(
        name="duplicates",
        kinds=("duplicate", "conflicting_duplicate"),
        severity="quarantine",
        tables=(
            "bars",
            "quotes",
            "trades",
            "corporate_actions",
            "news",
            "macro",
            "options",
            "fundamentals",
            "membership",
            "instruments",
            "features",
            "forecasts",
        ),
        find=_find,
        text="one row for each record and knowledge time: later copies and all contradictions go",
    ),
)
