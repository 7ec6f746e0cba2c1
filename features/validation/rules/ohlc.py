"""The order of open, high, low and close, and how far a feed may break it by habit."""

from collections.abc import Iterable

import polars as pl

from features.text_format import format_text
from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.rules.words import number
from features.validation.view import TableView

# Prices are stored as binary floats: an order broken by less is no break.
_RELATIVE_EPSILON = 1e-6
# Feeds take open and close from an auction or another venue and the range from trading. The open
# strays more than the close; a thin name whose bars break the order by habit strays further.
_OPEN_BREAK, _CLOSE_BREAK, _HABITUAL_BREAK = 0.1, 0.01, 0.12
_HABIT_SHARE = 0.01


def _find(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield bars whose prices lie outside their own range, or whose range is upside down."""
    close = pl.col("close").abs()
    inverted = (pl.col("low") - pl.col("high")) / close
    broken = pl.max_horizontal(_beyond("open"), _beyond("close"), inverted) > _RELATIVE_EPSILON
    at = view.rows.select(pl.arg_where(broken)).to_series()
    if at.is_empty():
        return
    counts = view.rows.get_column("instrument_id").value_counts(name="bars")
    rows = (
        view.rows[at]
        .with_columns(at.alias("row_index"))
        .join(counts, on="instrument_id", how="left", maintain_order="left")
        .with_columns(habit=pl.len().over("instrument_id") / pl.col("bars") > _HABIT_SHARE)
        .with_columns(habit=pl.col("habit") & (pl.col("bars") > 100))
    )
    limit = pl.when("habit").then(_HABITUAL_BREAK)
    impossible = (
        (inverted > _RELATIVE_EPSILON)
        | (_beyond("open") > limit.otherwise(_OPEN_BREAK))
        | (_beyond("close") > limit.otherwise(_CLOSE_BREAK))
    )
    reason = format_text(
        "low <= open, close <= high must hold, were open {}, high {}, low {}, close {}",
        *[number(c) for c in ("open", "high", "low", "close")],
    )
    for severity, confidence, chosen in (
        ("quarantine", 0.95, rows.filter(impossible)),
        ("warn", 0.6, rows.filter(~impossible.fill_null(False))),
    ):
        if not chosen.is_empty():
            reasons = chosen.select(reason).to_series()
            index = chosen.get_column("row_index")
            yield make_hits("ohlc_order", "ohlc_order", severity, confidence, index, reasons)


def _beyond(column: str) -> pl.Expr:
    """Return by what fraction of the close a price lies outside high and low; at most 0 inside."""
    above, below = pl.col(column) - pl.col("high"), pl.col("low") - pl.col(column)
    return pl.max_horizontal(above, below) / pl.col("close").abs()


OHLC_RULES = (
    TableRule(
        name="ohlc_order",
        kinds=("ohlc_order",),
        severity="quarantine",
        tables=("bars",),
        find=_find,
        text=(
            f"low <= high; the close outside them by at most {_CLOSE_BREAK:.0%} of itself and the "
            f"open by {_OPEN_BREAK:.0%} (thin names that do so by habit: {_HABITUAL_BREAK:.0%}); "
            "less only warns"
        ),
    ),
)
