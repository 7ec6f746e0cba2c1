"""Opens and closes that stand in one another's place.

From a close to the next open is a night; from an open to the next close are two days and a night.
The median of the first is 0.3 of the second's in 526 real series (0.7 at most), and 1.4 at most in
any 60 bars of one. Where opens and closes are swapped, it is the other way round.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import Hit, frame_hits
from features.validation.rule import TableRule
from features.validation.view import TableView

_BARS = 60  # of a block
_RATIO_MIN = 2.0


def _find(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield the blocks of bars in which a night moves prices more than two days around it."""
    arrays = view.series
    daily = (arrays.names.get_column("interval") == "1d").fill_null(value=False).to_numpy()
    places = np.arange(arrays.close.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        close, opened = np.log(arrays.close), np.log(arrays.column("open"))
    night, around = np.full(close.size, np.nan), np.full(close.size, np.nan)
    night[1:] = np.abs(opened[1:] - close[:-1])
    around[1:] = np.abs(close[1:] - opened[:-1])
    is_told = np.isfinite(night) & np.isfinite(around) & ~arrays.first & daily[arrays.series]
    # Blocks end with the series, so that the newest bars are judged in a whole one.
    sizes = np.diff(arrays.start)
    blocks = np.cumsum(sizes // _BARS + 1)
    block = blocks[arrays.series] - 1 - (arrays.start[1:][arrays.series] - 1 - places) // _BARS
    sums = [np.bincount(block, np.where(is_told, moves, 0.0)) for moves in (night, around)]
    doubtful = is_told & (sums[0] > sums[1])[block]  # of few blocks medians are taken
    frame = pl.DataFrame(
        {"s": arrays.series, "b": block, "at": places, "n": night, "a": around}
    ).filter(pl.Series(doubtful))
    found = (
        frame.group_by("s", "b")
        .agg(pl.len(), pl.col("n", "a").median(), first=pl.col("at").min(), last=pl.col("at").max())
        .filter((pl.col("len") >= _BARS - 1) & (pl.col("n") > _RATIO_MIN * pl.col("a")))
        .sort("first")
    )
    hits = [
        Hit(
            "swapped", "quarantine", 0.85, arrays.row[row["first"] : row["last"] + 1],
            f"{arrays.label(row['s'])} must move less from a close to the next open than from an "
            f"open to the next close, moved {row['n'] / row['a']:.1f} times as much: opens and "
            f"closes are swapped, from {arrays.address(row['first'])} on",
        )
        for row in found.iter_rows(named=True)
    ]  # fmt: skip
    if hits:
        yield frame_hits("swapped_columns", hits)


SWAPPED_RULES = (
    TableRule(
        name="swapped_columns",
        kinds=("swapped",),
        severity="quarantine",
        tables=("bars",),
        find=_find,
        text=(
            "over 60 daily bars prices move less in a night, from close to open, than in the two "
            "days around it"
        ),
    ),
)
