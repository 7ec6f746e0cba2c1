"""Revisions of a figure: two versions must be of one unit; which is wrong, its neighbour says."""

import math
from collections.abc import Iterable

import polars as pl

from features.text_format import format_text
from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.view import TableView

_VALUES = {"macro": "value", "fundamentals": "value", "bars": "close"}
_FACTORS = tuple(math.log(f) for f in (100.0, 1_000.0, 1_000_000.0))
_NEAR = 0.05


def _find(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield versions that differ from the one before or after by 100, 1,000 or a million.

    The later one is wrong, unless the series before it says that it repairs the earlier one.
    """
    key = [*view.schema.key]
    if "adjustment" in view.rows.columns:
        key.append("adjustment")
    hashed = view.rows.select(pl.struct(key).hash().alias("key")).to_series()
    if hashed.n_unique() == hashed.len():
        return
    revised = hashed.is_duplicated().arg_true()
    value = _VALUES[view.table]
    move = (pl.col(value) / pl.col(value).shift(1).over("key")).abs().log().abs()
    near = pl.any_horizontal((pl.col("move") - factor).abs() < _NEAR for factor in _FACTORS)
    rows = (
        view.rows[revised]
        .select(value, "knowledge_time", *key, row_index=revised, key=hashed[revised])
        .sort("key", "knowledge_time", maintain_order=True)
        .with_columns(
            before=pl.col(value).shift(1).over("key"),
            row_before=pl.col("row_index").shift(1).over("key"),
            move=move,
        )
        .filter(near)
    )
    if rows.is_empty():
        return
    level = _levels(view.rows, key, value)
    away = {name: (pl.col(name) / pl.col("level")).abs().log().abs() for name in (value, "before")}
    judged = rows.join(level, on=key, how="left", nulls_equal=True).with_columns(
        repaired=(away[value] < away["before"]).fill_null(value=False)
    )
    reasons = judged.select(
        pl.when("repaired")
        .then(format_text("a later version repairs its unit, from {} to {}", "before", value))
        .otherwise(
            format_text("a revision must keep its unit, went from {} to {}", "before", value)
        )
    ).to_series()
    index = judged.select(pl.when("repaired").then("row_before").otherwise("row_index")).to_series()
    yield make_hits("revision_units", "unit_error", "quarantine", 0.9, index, reasons)


def _levels(rows: pl.DataFrame, key: list[str], value: str) -> pl.DataFrame:
    """Return each record's `level`: the last one before it in its series that was never revised.

    Null where all were: a series that changed its unit as a whole has no witness.
    """
    series = [name for name in key if name != "event_time"]
    once = pl.when(pl.len() == 1).then(pl.col(value).first()).alias("once")
    records = rows.group_by(key).agg(once).sort("event_time")
    level = pl.col("once").forward_fill().shift(1).over(series, order_by="event_time")
    return records.select(*key, level=level)


REVISION_RULES = (
    TableRule(
        name="revision_units",
        kinds=("unit_error",),
        severity="quarantine",
        tables=("bars", "macro", "fundamentals"),
        find=_find,
        text="two versions of a record differ by no factor of a unit; a repair convicts the first",
    ),
)
