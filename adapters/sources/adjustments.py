"""Corporate actions that an adjusted close implies: the splits and dividends behind its factor."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import polars as pl

from features.text_format import format_text

# Below this relative step the factor moves by the rounding of published prices alone.
FACTOR_NOISE = {"on_close": 1e-8, "on_previous_close": 2e-5, "splits_only": 0.1}
# No company has paid out a fifth of its price and called it a dividend in the sets we hold; a
# larger step of the factor is a split.
_SPLIT_STEP = 1.2
_SIMPLE_RATIOS = sorted(
    {Fraction(p, q) for p in range(1, 11) for q in (1, 2, 3, 4, 5)}
    | {Fraction(1, p) for p in range(2, 51)}
    | {Fraction(p) for p in range(11, 51)}
)

DividendBase = Literal["on_close", "on_previous_close", "splits_only"]


def implied_actions(
    bars: pl.DataFrame, *, dividend_base: DividendBase, within: Sequence[str] = ()
) -> pl.DataFrame:
    """Return the actions implied by steps of adj_close / close, one row an action.

    The columns `within` keep series of one instrument apart, and stand first in the result.

    `bars` has instrument_id, date, close, adj_close and source_row, one row an instrument and
    date. With f = adj_close / close and step r = f_t / f_(t-1): a split of ratio R gives r = R; a
    dividend d gives r = 1 + d / close_t ("on_close", the WIKI convention) or
    r = 1 / (1 - d / close_(t-1)) ("on_previous_close", CRSP and Yahoo). "splits_only" is for
    prices so coarsely written (2 decimals or fewer) that rounding moves f as payments do.
    Result: instrument_id, date, kind, ratio (new shares for an old one), amount (cash a share),
    detail, source_row.
    """
    factor = pl.col("adj_close") / pl.col("close")
    series = [*within, "instrument_id"]
    steps = (
        bars.sort(*series, "date")
        .with_columns(
            step=(factor / factor.shift(1)).over(series),
            previous_close=pl.col("close").shift(1).over(series),
            is_told=_is_told().over(series),
        )
        .filter((pl.col("step") - 1).abs() > FACTOR_NOISE[dividend_base])
        .with_columns(ratio=pl.col("step").map_elements(_split_ratio, return_dtype=pl.Float64))
        .with_columns(rest=pl.col("step") / pl.col("ratio").fill_null(1.0))
    )
    columns = (*series, "date", "kind", "ratio", "amount", "detail", "source_row")
    splits = steps.filter(pl.col("ratio").is_not_null()).with_columns(
        kind=pl.lit("split"),
        amount=pl.lit(None, pl.Float64),
        detail=format_text("the adjustment factor steps by {}", pl.col("step").round(6)),
    )
    if dividend_base == "splits_only":
        return splits.filter("is_told").select(columns).sort(*series, "date")
    dividends = (
        steps.filter((pl.col("rest") - 1).abs() > FACTOR_NOISE[dividend_base])
        .with_columns(
            kind=pl.lit("dividend"),
            amount=_dividend(dividend_base),
            detail=format_text("the adjustment factor steps by {}", pl.col("rest").round(6)),
        )
        .with_columns(ratio=pl.lit(None, pl.Float64))
    )
    both = pl.concat([splits.select(columns), dividends.select(columns)])
    return both.sort(*series, "date", "kind")


def _is_told() -> pl.Expr:
    """Whether rounding moves neither price of a day, nor of the day before, by a hundredth."""
    prices = [pl.col("close"), pl.col("adj_close")]

    def are_written_with(places: int) -> pl.Expr:
        moved = [price * 10**places for price in prices]
        return pl.all_horizontal(((m - m.round()).abs() < 1e-6).all() for m in moved)

    unit = pl.when(are_written_with(0)).then(1.0).when(are_written_with(1)).then(0.1)
    least = pl.min_horizontal(*prices, *(price.shift(1) for price in prices))
    return least >= 50 * unit.otherwise(0.01)


def _dividend(base: DividendBase) -> pl.Expr:
    if base == "on_close":
        return pl.col("close") * (pl.col("rest") - 1)
    before = pl.col("previous_close") / pl.col("ratio").fill_null(1.0)
    return before * (1 - 1 / pl.col("rest"))


def _split_ratio(step: float) -> float | None:
    """Return the simple ratio that the step is, or None where it is a dividend's size."""
    if 1 / _SPLIT_STEP < step < _SPLIT_STEP:
        return None
    return float(min(_SIMPLE_RATIOS, key=lambda ratio: abs(float(ratio) / step - 1)))
