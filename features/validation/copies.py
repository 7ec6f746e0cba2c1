"""Exact copies of a record in one delivery: the first stands, the later ones are shown aside."""

import polars as pl

from features.schemas import QUARANTINE_COLUMNS, TableSchema
from features.text_format import format_text

_ADDRESS = ("source", "source_row")


def later_copies(schema: TableSchema, rows: pl.DataFrame) -> pl.DataFrame:
    """Return each row that says what one before it says, in QUARANTINE_COLUMNS form.

    Copies agree in the key, the knowledge time and every value; where they stand may differ. The
    reason names the row that stays. The store keeps one of them, so that nothing else would tell
    that a file holds its rows twice.
    """
    facts = [c for c in rows.columns if c not in _ADDRESS or c in schema.key]
    hashes = rows.select(pl.struct(facts).hash()).to_series()
    if hashes.n_unique() == rows.height:
        return pl.DataFrame(schema=QUARANTINE_COLUMNS)
    alike = rows.filter(hashes.is_duplicated())
    counted = alike.with_columns(
        __copies=pl.len().over(facts),
        __nth=pl.int_range(pl.len()).over(facts),
        __first=pl.col("source_row").first().over(facts),
        __where=pl.col("source").first().over(facts),
        __written=pl.struct(rows.columns).struct.json_encode(),
    ).filter(pl.col("__nth") > 0)
    return counted.select(
        table=pl.lit(schema.name),
        rule=pl.lit("duplicates"),
        kind=pl.lit("duplicate"),
        confidence=pl.lit(1.0),
        severity=pl.lit("quarantine"),
        reason=format_text(
            "a record must stand once, stood {} times: {}; source_row {} of {} stays",
            pl.col("__copies"),
            pl.struct(schema.key).struct.json_encode(),
            pl.col("__first").cast(pl.String).fill_null("unnumbered"),
            pl.col("__where"),
        ),
        event_time="event_time",
        knowledge_time="knowledge_time",
        source="source",
        source_row="source_row",
        row="__written",
    ).cast(QUARANTINE_COLUMNS)  # type: ignore[arg-type]  # a plain dict is a schema
