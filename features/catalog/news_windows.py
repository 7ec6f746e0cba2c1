"""News by the time it was known: sums of sentiment over the sessions before each decision."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.catalog.macro_states import window_sums
from features.kernels.expressions import SEGMENT
from features.sentiment import headline_scores

# Sessions, and the most days that they may reach back over a gap in the instrument's bars.
WINDOWS: dict[int, timedelta] = {1: timedelta(days=4), 5: timedelta(days=10)}
_SCALE = 10_000  # scores are rounded to four decimals: their sums are exact in integers

_MARKET = ""  # the pool of headlines that name no instrument


@dataclass(frozen=True, slots=True)
class NewsItems:
    """Every item as first published, scored, and the same by pool: an instrument, or none named."""

    items: pl.DataFrame
    pools: dict[str, pl.DataFrame]


def read_news(news: pl.LazyFrame | None, *, until: datetime) -> NewsItems | None:
    """Return the items known by then in their first version; a rewritten one is not news twice."""
    if news is None:
        return None
    names = news.collect_schema().names()
    instrument = pl.col("instrument_id") if "instrument_id" in names else pl.lit(None, pl.String)
    items = (
        news.filter(pl.col("knowledge_time") <= until)
        .select(
            "news_id", "knowledge_time", "headline", instrument.fill_null(_MARKET).alias("pool")
        )
        .sort("knowledge_time", "news_id", "headline", maintain_order=True)
        .unique(["news_id", "pool"], keep="first", maintain_order=True)
        .collect()
    )
    score = (headline_scores(items["headline"]) * _SCALE).round().fill_null(0).cast(pl.Int64)
    scored = items.with_columns(score.alias("score"))
    pools = {str(k): v for (k,), v in scored.partition_by("pool", as_dict=True).items()}
    return NewsItems(scored, pools)


def _pool_windows(
    pool: pl.DataFrame, low: NDArray[np.int64], high: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    times = pool["knowledge_time"].to_physical().to_numpy()
    sums, count = window_sums(times, pool["score"].to_numpy(), low, high)
    newest = np.searchsorted(times, high, side="right") - 1
    latest = times[np.maximum(newest, 0)] if len(times) else np.zeros(len(high), np.int64)
    return sums, count, np.where(count > 0, latest, np.iinfo(np.int64).min)


def _bounds(panel: pl.DataFrame, sessions: int, days_max: timedelta) -> NDArray[np.int64]:
    """Return where each row's window opens: the as_of so many sessions ago, at most days_max."""
    same = pl.col(SEGMENT) == pl.col(SEGMENT).shift(sessions)
    before = pl.when(same).then(pl.col("as_of").shift(sessions))
    opened = panel.select(pl.max_horizontal(before, pl.col("as_of") - days_max))
    return opened.to_series().to_physical().to_numpy()


def _window(
    panel: pl.DataFrame, pools: dict[str, pl.DataFrame], sessions: int, days_max: timedelta
) -> dict[str, NDArray[np.int64]]:
    """Return sum, count, all headlines and newest time; own headlines speak before the market's."""
    low = _bounds(panel, sessions, days_max)
    high = panel["as_of"].to_physical().to_numpy()
    everyone = pools.get(_MARKET)
    zeros = np.zeros(len(high), np.int64)
    if everyone is None:
        sums, count, newest = zeros.copy(), zeros.copy(), zeros + np.iinfo(np.int64).min
    else:
        sums, count, newest = _pool_windows(everyone, low, high)
    heard = count.copy()
    runs = panel.group_by(SEGMENT, maintain_order=True).agg(
        pl.col("instrument_id").first(),
        pl.col("position").min().alias("first"),
        pl.len().alias("rows"),
    )
    runs = runs.drop(SEGMENT).filter(pl.col("instrument_id").is_in(list(pools)))
    for name, first, rows in runs.iter_rows():
        at = slice(first, first + rows)
        own_sums, own_count, own_newest = _pool_windows(pools[name], low[at], high[at])
        spoke = own_count > 0
        sums[at][spoke], count[at][spoke] = own_sums[spoke], own_count[spoke]
        heard[at] += own_count
        newest[at] = np.maximum(newest[at], own_newest)
    return {"sum": sums, "count": count, "heard": heard, "newest": newest}


def _silent(panel: pl.DataFrame, items: pl.DataFrame) -> NDArray[np.bool_]:
    """Return where no headline at all was heard for the longest reach: a feed that is not there."""
    times = items["knowledge_time"].to_physical().to_numpy()
    high = panel["as_of"].to_physical().to_numpy()
    reach = int(max(WINDOWS.values()) / timedelta(microseconds=1))
    return window_sums(times, np.zeros(len(times), np.int64), high - reach, high)[1] == 0


def _nothing(panel: pl.DataFrame) -> pl.DataFrame:
    counted = [f"news_{what}_{w}" for w in WINDOWS for what in ("sum", "count")]
    schema = dict.fromkeys([*counted, "news_heard_5"], pl.Int64()) | {
        "news_known": panel.schema["as_of"]
    }
    return pl.DataFrame({c: pl.Series([None] * panel.height, dtype=t) for c, t in schema.items()})


def news_columns(news: NewsItems | None, panel: pl.DataFrame) -> pl.DataFrame:
    """Return, row by row of the panel, sum and count of scores per window and the newest item.

    The panel has instrument_id, as_of, segment and position. Without a news table, and where the
    feed is silent, all is null: no feed is not the same as no news.
    """
    if news is None or panel.is_empty():
        return _nothing(panel)
    parts: dict[str, pl.Series] = {}
    window: dict[str, NDArray[np.int64]] = {}
    for sessions, days_max in WINDOWS.items():
        window = _window(panel, news.pools, sessions, days_max)
        parts[f"news_sum_{sessions}"] = pl.Series(window["sum"])
        parts[f"news_count_{sessions}"] = pl.Series(window["count"])
    parts["news_heard_5"] = pl.Series(window["heard"])
    parts["news_known"] = pl.Series(window["newest"])
    heard = pl.lit(pl.Series("heard", ~_silent(panel, news.items)))
    columns = pl.DataFrame(parts).select(pl.when(heard).then(pl.all()))
    # A window without a headline has no newest one: its mark is the least integer.
    known = pl.when(pl.col("news_known") > np.iinfo(np.int64).min).then(pl.col("news_known"))
    return columns.with_columns(known.cast(panel.schema["as_of"]))
