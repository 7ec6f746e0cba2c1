"""Single values: nulls, numbers that are none, order of high and low, signs, words."""

import polars as pl

from features.schemas import TABLES
from features.schemas_derived import DERIVED_TABLES
from features.validation.context import CheckContext
from features.validation.rule import RowRule
from features.validation.rules.words import number

_OHLC = ("open", "high", "low", "close")
_VALUES: dict[str, tuple[str, ...]] = {
    "bars": (*_OHLC, "volume"),
    "quotes": ("bid", "ask", "bid_size", "ask_size"),
    "trades": ("price", "size"),
    "corporate_actions": ("ratio", "amount"),
    "macro": ("value",),
    "fundamentals": ("value",),
    "options": ("strike", "bid", "ask", "close", "volume", "open_interest", "implied_volatility"),
    "forecasts": ("forecast", "expected_return"),
}
# Prices are stored as binary floats: an order of high and low broken by less is no break.
_RELATIVE_EPSILON = 1e-6
# Feeds take open and close from one venue and the range from another: they differ by this much.
_SLIGHT_BREAK = 0.005


def _null_rule(table: str) -> RowRule:
    schema = {**TABLES, **DERIVED_TABLES}[table]
    return RowRule(
        name=f"nulls_{table}",
        kind="null",
        severity="quarantine",
        confidence=1.0,
        tables=(table,),
        broken=lambda _: pl.any_horizontal(pl.col(c).is_null() for c in schema.required),
        reason=lambda _: pl.format(
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
        reason=lambda _: pl.format(
            "numbers must be finite, were not: {}",
            pl.concat_list(pl.when(~pl.col(c).is_finite()).then(pl.lit(c)) for c in columns)
            .list.drop_nulls()
            .list.join(", "),
        ),
        text=f"{', '.join(columns)} must be finite numbers",
    )


def _ohlc_break() -> pl.Expr:
    """Return by what fraction of the close the order is broken; at most 0 where it holds."""
    above = pl.max_horizontal("open", "low", "close") - pl.col("high")
    below = pl.col("low") - pl.min_horizontal("open", "high", "close")
    return pl.max_horizontal(above, below) / pl.col("close").abs()


def _ohlc_reason(_: CheckContext) -> pl.Expr:
    return pl.format(
        "low <= open, close <= high must hold, were open {}, high {}, low {}, close {}",
        *[number(c) for c in _OHLC],
    )


VALUE_RULES = (
    *[_null_rule(table) for table in (*TABLES, "features", "forecasts")],
    *[_finite_rule(table, columns) for table, columns in _VALUES.items()],
    RowRule(
        name="ohlc_order",
        kind="ohlc_order",
        severity="quarantine",
        confidence=0.95,
        tables=("bars",),
        broken=lambda _: _ohlc_break() > _SLIGHT_BREAK,
        reason=_ohlc_reason,
        text=f"low <= open, close <= high; broken by more than {_SLIGHT_BREAK:.1%} of the close",
    ),
    RowRule(
        name="ohlc_order_slight",
        kind="ohlc_order",
        severity="warn",
        confidence=0.9,
        tables=("bars",),
        broken=lambda _: _ohlc_break().is_between(_RELATIVE_EPSILON, _SLIGHT_BREAK),
        reason=_ohlc_reason,
        text="the same, broken by less: an opening print from another venue, mostly",
    ),
    RowRule(
        name="negative_volume",
        kind="impossible_value",
        severity="quarantine",
        confidence=1.0,
        tables=("bars",),
        broken=lambda _: pl.col("volume") < 0,
        reason=lambda _: pl.format("volume must not be negative, was {}", number("volume")),
        text="volume must not be negative",
    ),
)
