"""The order of open, high, low and close, and how far a feed may break it by habit."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from features.text_format import format_text
from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.rules.words import number
from features.validation.view import Floats, SeriesArrays, TableView

# Prices are stored as binary floats: an order broken by less is no break.
_RELATIVE_EPSILON = 1e-6
# Feeds take open and close from an auction or another venue and the range from trading. The open
# strays more than the close; a thin name whose bars break the order by habit strays further.
_OPEN_BREAK, _CLOSE_BREAK, _HABITUAL_BREAK = 0.1, 0.01, 0.12
_HABIT_SHARE = 0.01
# A column belongs to the bar before or after where so many of its prices lie outside of their own
# bars, and hardly any do once they are moved. Of a thin name as many may, moved or not.
_OUTSIDE_MIN, _MOVED_PART, _BARS_MIN = 0.1, 0.1, 60


def _find(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield bars whose prices lie outside their own range, or whose range is upside down."""
    inverted = _part_of_close(pl.col("low") - pl.col("high"))
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
    return _part_of_close(pl.max_horizontal(above, below))


def _part_of_close(excess: pl.Expr) -> pl.Expr:
    """Return the excess as a fraction of the close; none is none, though the close be zero."""
    return pl.when(excess == 0).then(0.0).otherwise(excess / pl.col("close").abs())


def _find_shifted(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield the bars of series of which the open or the close is of the bar before or after."""
    arrays = view.series
    high, low = arrays.column("high"), arrays.column("low")
    ranged = high > low
    counts = np.bincount(arrays.series, weights=ranged, minlength=arrays.names.height)
    seen = np.zeros(arrays.names.height, dtype=np.bool_)
    for name in ("close", "open"):
        values = arrays.column(name)
        own = _outside(arrays, values, high, low) / np.maximum(counts, 1)
        doubtful = (own > _OUTSIDE_MIN) & (counts >= _BARS_MIN) & ~seen
        for step, whose in ((1, "before"), (-1, "after")):
            if not doubtful.any():
                break
            moved = _outside(arrays, _moved(arrays, values, step), high, low)
            moved = moved / np.maximum(counts, 1)
            for series in np.flatnonzero(doubtful & (moved < _MOVED_PART * own) & ~seen).tolist():
                seen[series] = True
                rows = arrays.row[arrays.start[series] : arrays.start[series + 1]]
                reason = (
                    f"{arrays.label(series)}: {own[series]:.0%} of its {name}s lie outside of high "
                    f"and low, {moved[series]:.1%} where each is of the bar {whose}: a column that "
                    "is out of step"
                )
                yield make_hits("shifted_column", "shifted", "quarantine", 0.95, rows, reason)


def _outside(arrays: SeriesArrays, values: Floats, high: Floats, low: Floats) -> Floats:
    """Return of each series how many bars with a range have the value outside of it."""
    beyond = np.maximum(values - high, low - values)
    out = (high > low) & (beyond > _RELATIVE_EPSILON * np.abs(arrays.close))
    count = np.bincount(arrays.series[out], minlength=arrays.names.height)
    return count.astype(np.float64)


def _moved(arrays: SeriesArrays, values: Floats, step: int) -> Floats:
    """Return at each bar the value that stands `step` bars later in its series."""
    moved = np.roll(values, -step)
    moved[arrays.start[1:] - 1 if step > 0 else arrays.start[:-1]] = np.nan
    return moved


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
    TableRule(
        name="shifted_column",
        kinds=("shifted",),
        severity="quarantine",
        tables=("bars",),
        find=_find_shifted,
        text="opens and closes lie in the range of their own bar, not in that of the bar before or "
        "after",
    ),
)
