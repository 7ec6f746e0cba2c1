"""Revisions of a figure: a later version must be of the same unit as the first."""

import math
from collections.abc import Iterable

import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.view import TableView

_VALUES = {"macro": "value", "fundamentals": "value", "bars": "close"}
_FACTORS = tuple(math.log(f) for f in (100.0, 1_000.0, 1_000_000.0))
_NEAR = 0.05


def _find(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield later versions that differ from the one before by 100, 1,000 or a million."""
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
        .select(value, "knowledge_time", row_index=revised, key=hashed[revised])
        .sort("key", "knowledge_time", maintain_order=True)
        .with_columns(before=pl.col(value).shift(1).over("key"), move=move)
        .filter(near)
    )
    if rows.is_empty():
        return
    reasons = rows.select(
        pl.format("a revision must keep its unit, went from {} to {}", "before", value)
    ).to_series()
    index = rows.get_column("row_index")
    yield make_hits("revision_units", "unit_error", "quarantine", 0.9, index, reasons)


REVISION_RULES = (
    TableRule(
        name="revision_units",
        kinds=("unit_error",),
        severity="quarantine",
        tables=("bars", "macro", "fundamentals"),
        find=_find,
        text="a later version of a record differs from the one before by no factor of a unit",
    ),
)
