"""Single values: what may not be null, what must be a finite number, what may not be negative."""

import polars as pl

from features.schemas import TABLES
from features.schemas_derived import DERIVED_TABLES
from features.text_format import format_text
from features.validation.rule import RowRule
from features.validation.rules.words import number

_VALUES: dict[str, tuple[str, ...]] = {
    "bars": ("open", "high", "low", "close", "volume"),
    "quotes": ("bid", "ask", "bid_size", "ask_size"),
    "trades": ("price", "size"),
    "corporate_actions": ("ratio", "amount"),
    "macro": ("value",),
    "fundamentals": ("value",),
    "options": ("strike", "bid", "ask", "close", "volume", "open_interest", "implied_volatility"),
    "forecasts": ("forecast", "expected_return"),
}


def _null_rule(table: str) -> RowRule:
    schema = {**TABLES, **DERIVED_TABLES}[table]
    return RowRule(
        name=f"nulls_{table}",
        kind="null",
        severity="quarantine",
        confidence=1.0,
        tables=(table,),
        broken=lambda _: pl.any_horizontal(pl.col(c).is_null() for c in schema.required),
        reason=lambda _: format_text(
            "required columns must not be null, were null: {}",
            pl.concat_list(pl.when(pl.col(c).is_null()).then(pl.lit(c)) for c in schema.required)
            .list.drop_nulls()
            .list.join(", "),
        ),
        text=f"{', '.join(schema.required)} must not be null",
    )


def _finite_rule(table: str, columns: tuple[str, ...]) -> RowRule:
    return RowRule(
        name=f"finite_{table}",
        kind="not_finite",
        severity="quarantine",
        confidence=1.0,
        tables=(table,),
        broken=lambda _: pl.any_horizontal(~pl.col(c).is_finite() for c in columns),
        reason=lambda _: format_text(
            "numbers must be finite, were not: {}",
            pl.concat_list(pl.when(~pl.col(c).is_finite()).then(pl.lit(c)) for c in columns)
            .list.drop_nulls()
            .list.join(", "),
        ),
        text=f"{', '.join(columns)} must be finite numbers",
    )


VALUE_RULES = (
    *[_null_rule(table) for table in (*TABLES, "features", "forecasts")],
    *[_finite_rule(table, columns) for table, columns in _VALUES.items()],
    RowRule(
        name="negative_volume",
        kind="impossible_value",
        severity="quarantine",
        confidence=1.0,
        tables=("bars",),
        broken=lambda _: pl.col("volume") < 0,
        reason=lambda _: format_text("volume must not be negative, was {}", number("volume")),
        text="volume must not be negative",
    ),
)
