"""Opens and closes that stand in one another's place.

From a close to the next open is a night; from an open to the next close are two days and a night.
The median of the first is 0.3 of the second's in 526 real series (0.7 at most), and 1.4 at most in
any 60 bars of one. Where opens and closes are swapped, it is the other way round.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import Hit, frame_hits, make_hits
from features.validation.rule import TableRule
from features.validation.view import Floats, SeriesArrays, TableView

_BARS = 60  # of a block
_RATIO_MIN = 2.0
# Of a market's days (opens and closes against the close before, each less the median of all), the
# ratio of the median night to the median day is 0.34; of 1,501 real ones 1.33 at most, the crash of
# August 2015, and of 20 shares beyond 2 on three in ten thousand.
_SHARES_MIN, _SHARES_MANY = 20, 100
_DAY_RATIO, _DAY_RATIO_MANY = 2.0, 1.5
# Where bars follow without a pause, an open is the close before: a night this small.
_NIGHT_SHARE_MAX, _NIGHTS_MIN = 0.02, 60
_SWAPPED_NIGHTS, _SWAPPED_CLOSE = 20.0, 3.0
_AWAY_SHARE_MAX = 0.005  # a share that often rests has such a night as well, but not so seldom


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


def _find_days(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield the bars of days on which opens and closes are swapped in a whole market."""
    arrays = view.series
    night, day = _nights_and_days(arrays)
    from_close, from_open = _next_opens(arrays)
    # What rests is no witness: on a day that a vendor filled, half of the closes do.
    is_told = np.isfinite(night) & (np.abs(day) > 0) & arrays.daily[arrays.series]
    sources = arrays.names.get_column("source").rank("dense").fill_null(0).to_numpy()
    frame = pl.DataFrame(
        {"at": np.flatnonzero(is_told), "source": sources[arrays.series[is_told]],
         "time": arrays.time[is_told], "n": night[is_told], "d": day[is_told],
         "c": from_close[is_told], "o": from_open[is_told]}
    ).with_columns(pl.col("c", "o").fill_nan(None))  # fmt: skip
    key = ["source", "time"]
    # Means come first: of few days medians are taken.
    days = frame.group_by(key).agg(pl.len(), pl.col("n", "d").abs().mean())
    far = days.filter(pl.col("len") >= _SHARES_MIN, pl.col("n") > 0.9 * pl.col("d"))
    moves = pl.col("n", "d", "c", "o")
    spread = (moves - moves.median()).abs().median()
    limit = pl.when(pl.col("len") >= _SHARES_MANY).then(_DAY_RATIO_MANY).otherwise(_DAY_RATIO)
    doubtful = frame.join(far.select(key), on=key)
    measured = doubtful.group_by(key).agg(pl.len(), spread)
    # The next day opens near the close; a crash that is made good by the close is none of it.
    goes_on = (pl.col("c") <= pl.col("o")).fill_null(value=False)
    found = measured.filter(pl.col("n") > limit * pl.col("d"), ~goes_on)
    hits: list[Hit] = []
    for _key, bars in doubtful.join(found.select(key), on=key).sort("at").group_by(key):
        places = bars["at"].to_numpy()
        reason = (
            f"{places.size} instruments must move less from a close to the next open than to the "
            "next close, moved more on this day: opens and closes are swapped in all of them"
        )
        hits.append(Hit("swapped", "quarantine", 0.8, arrays.row[places], reason))
    if hits:
        yield frame_hits("swapped_days", hits)


def _nights_and_days(arrays: SeriesArrays) -> tuple[Floats, Floats]:
    """Return the logs of open and of close over the close before; NaN where one is unknown."""
    with np.errstate(invalid="ignore", divide="ignore"):
        close, opened = np.log(arrays.close), np.log(arrays.column("open"))
    night = np.full(close.size, np.nan)
    night[1:] = opened[1:] - close[:-1]
    night[arrays.first] = np.nan
    return night, arrays.log_return


def _next_opens(arrays: SeriesArrays) -> tuple[Floats, Floats]:
    """Return the logs of the next bar's open over a bar's close, and over its open; else NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        close, opened = np.log(arrays.close), np.log(arrays.column("open"))
    following = np.full(close.size, np.nan)
    following[:-1] = opened[1:]
    following[:-1][arrays.first[1:]] = np.nan
    return following - close, following - opened


def _find_unpaused(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield bars that close where they should open, in series whose opens are the close before."""
    arrays = view.series
    night, day = _nights_and_days(arrays)
    frame = pl.DataFrame({"s": arrays.series, "n": np.abs(night), "d": np.abs(day)}).fill_nan(None)
    usual = frame.group_by("s").agg(pl.col("n").len().alias("count"), pl.all().median()).sort("s")
    nights, days = usual["n"].to_numpy(), usual["d"].to_numpy()
    with np.errstate(invalid="ignore"):
        unpaused = (nights <= _NIGHT_SHARE_MAX * days) & (usual["count"].to_numpy() > _NIGHTS_MIN)
    floor = np.maximum(nights, 0.002 * days)[arrays.series]
    with np.errstate(invalid="ignore"):
        away = np.abs(night) > _SWAPPED_NIGHTS * floor
        aways = np.bincount(arrays.series, weights=away, minlength=unpaused.size)
        unpaused &= aways <= np.maximum(2, _AWAY_SHARE_MAX * usual["count"].to_numpy())
        swapped = unpaused[arrays.series] & away & (np.abs(day) <= _SWAPPED_CLOSE * floor)
    at = np.flatnonzero(swapped)
    if at.size:
        reasons = [
            f"{arrays.label(int(arrays.series[i]))} must open at the close before, as it does, "
            f"opened {np.expm1(night[i]):+.2%} from it and closed at it: open and close are swapped"
            for i in at
        ]
        yield make_hits("swapped_bars", "swapped", "quarantine", 0.75, arrays.row[at], reasons)


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
    TableRule(
        name="swapped_days",
        kinds=("swapped",),
        severity="quarantine",
        tables=("bars",),
        find=_find_days,
        text=(
            "on no day the prices of 20 instruments of a source or more move further in the night, "
            "from close to open, than by the close, unless the next day opens where this one closed"
        ),
    ),
    TableRule(
        name="swapped_bars",
        kinds=("swapped",),
        severity="quarantine",
        tables=("bars",),
        find=_find_unpaused,
        text=(
            "where each bar opens at the close before, as markets that never rest do, none opens "
            "far from it and closes at it"
        ),
    ),
)
