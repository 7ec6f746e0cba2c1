"""Prices in another currency than their instrument's: a column that changes midway."""

from collections.abc import Iterable

import polars as pl

from features.text_format import format_text
from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.view import TableView


def _find(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield rows whose currency is told and is not that of their instrument."""
    if "currency" not in view.rows.columns or context.instruments is None:
        return
    quoted = context.instruments.select("instrument_id", quoted="currency").unique(
        "instrument_id", keep="last", maintain_order=True
    )
    pairs = view.rows.select("instrument_id", "currency").unique().join(quoted, on="instrument_id")
    odd = pairs.filter(pl.col("currency") != pl.col("quoted"))
    if odd.is_empty():
        return
    rows = view.rows.select("instrument_id", "currency").with_row_index("row_index")
    bad = rows.join(odd, on=["instrument_id", "currency"], maintain_order="left")
    reasons = bad.select(
        format_text("{} must be quoted in {}, was in {}", "instrument_id", "quoted", "currency")
    ).to_series()
    index = bad.get_column("row_index")
    yield make_hits("price_currency", "unit_error", "quarantine", 0.95, index, reasons)


CURRENCY_RULES = (
    TableRule(
        name="price_currency",
        kinds=("unit_error",),
        severity="quarantine",
        tables=("bars", "quotes", "trades"),
        find=_find,
        text="prices are in the currency of their instrument",
    ),
)
