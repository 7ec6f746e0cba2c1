"""From all the bars that sources publish to the one series per instrument that is researched.

The same company may stand in several sources, adjusted in different ways. Splicing them would put
jumps where there are none, so a series is chosen whole, and a raw one is adjusted by the actions
that are known.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

_KEY = ["instrument_id", "interval", "event_time"]
# A source's name ends in the hash of its content (`name@hash`): another hash is another version of
# the same series, not another series.
_NAME = pl.col("source").str.split("@").list.first()


def ranked_sources(bars: pl.DataFrame, priority: Sequence[str] = ()) -> pl.DataFrame:
    """Return the sources of each (instrument, interval), that which is used first.

    `priority` holds prefixes of source names, best first. Sources it does not name come after,
    those with opening prices before closes alone, then those with more bars, then by name. The
    columns are instrument_id, interval, name, is_named (by `priority`), bar_count (versions are
    counted once) and newest.
    """
    rank = pl.lit(len(priority))
    for position, prefix in reversed(list(enumerate(priority))):
        rank = (
            pl.when(pl.col("source").str.starts_with(prefix)).then(pl.lit(position)).otherwise(rank)
        )
    return (
        bars.lazy()
        .with_columns(name=_NAME, _rank=rank)
        .group_by("instrument_id", "interval", "name")
        .agg(
            pl.col("_rank").min(),
            has_open=pl.col("open").is_not_null().mean() > 0.5,
            bar_count=pl.col("event_time").n_unique(),
            newest=pl.col("event_time").max(),
        )
        .sort(
            ["instrument_id", "interval", "_rank", "has_open", "bar_count", "name"],
            descending=[False, False, False, True, True, False],
        )
        .select(
            *("instrument_id", "interval", "name"),
            *(pl.col("_rank").lt(len(priority)).alias("is_named"), "bar_count", "newest"),
        )
        .collect()
    )


def select_series(bars: pl.DataFrame, priority: Sequence[str] = ()) -> pl.DataFrame:
    """Return one source's bars per (instrument, interval): the first of `ranked_sources`.

    Every version (knowledge_time) of the chosen series is kept.
    """
    return of_first_source(bars, ranked_sources(bars, priority))


def of_first_source(bars: pl.DataFrame, ranked: pl.DataFrame) -> pl.DataFrame:
    """Return the bars of the first source of each (instrument, interval), sorted."""
    first = ranked.unique(["instrument_id", "interval"], keep="first", maintain_order=True)
    return (
        bars.lazy()
        .with_columns(name=_NAME)
        .join(first.lazy(), on=["instrument_id", "interval", "name"], how="semi")
        .drop("name")
        .sort([*_KEY, "knowledge_time"])
        .collect()
    )


def unchosen_sources(ranked: pl.DataFrame) -> pl.DataFrame:
    """Return what is used of instruments that stand in several sources where no priority says so.

    One row an instrument and interval: `name`, `bar_count` and `newest` of the source that is used,
    and the same of the best of the others with the prefix `other_`.
    """
    key = ["instrument_id", "interval"]
    grouped = ranked.group_by(key, maintain_order=True)
    facts = ("name", "bar_count", "newest")
    several = grouped.agg(
        pl.len().alias("count"),
        pl.col("is_named").first(),
        pl.col(*facts).first(),
        pl.col(*facts).get(1, null_on_oob=True).name.prefix("other_"),
    )
    return several.filter((pl.col("count") > 1) & ~pl.col("is_named")).drop("count", "is_named")


def back_adjusted(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Return the bars with raw series divided by the splits that come after them.

    Prices before a split are divided by its ratio and volumes multiplied: a return, and every
    feature built from returns, is the same whether or not a later split is known, so this looks
    ahead at nothing. Series that are adjusted already pass through. Dividends are left in the
    price.
    """
    splits = _splits(actions)
    if splits.is_empty() or bars.is_empty():
        return bars
    factors = (
        splits.sort("instrument_id", "event_time")
        .with_columns(
            factor=pl.col("ratio").cum_prod(reverse=True).over("instrument_id"),
        )
        .select("instrument_id", pl.col("event_time").alias("ex_time"), "factor")
        .sort("ex_time")
    )
    # A bar closes on its day and the action is dated to the start of its ex-day, so the next
    # action strictly after the bar is the first that the bar has not seen.
    joined = bars.sort("event_time").join_asof(
        factors,
        left_on="event_time",
        right_on="ex_time",
        by="instrument_id",
        strategy="forward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    factor = (
        pl.when(pl.col("adjustment") == "raw").then(pl.col("factor").fill_null(1.0)).otherwise(1.0)
    )
    return (
        joined.with_columns(
            *(pl.col(c) / factor for c in ("open", "high", "low", "close")),
            volume=pl.col("volume") * factor,
            adjustment=pl.when(pl.col("adjustment") == "raw")
            .then(pl.lit("split"))
            .otherwise(pl.col("adjustment")),
        )
        .select(bars.columns)
        .sort([*_KEY, "knowledge_time"])
    )


def split_growth(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Return the bars with `growth`: how many of today's units one unit of the first bar became.

    It is the product of a raw series' splits up to each bar, 1 for the others. The close times
    its growth moves as the holder's value does, and a later split changes nothing before it: what
    remembers prices from session to session sees no jump.
    """
    splits = _splits(actions)
    if splits.is_empty() or bars.is_empty():
        return bars.with_columns(growth=pl.lit(1.0))
    grown = (
        splits.sort("instrument_id", "event_time")
        .select(
            "instrument_id",
            pl.col("event_time").alias("ex_time"),
            growth=pl.col("ratio").cum_prod().over("instrument_id"),
        )
        .sort("ex_time")
    )
    joined = bars.sort("event_time").join_asof(
        grown,
        left_on="event_time",
        right_on="ex_time",
        by="instrument_id",
        strategy="backward",
        check_sortedness=False,
    )
    raw = pl.col("adjustment") == "raw"
    growth = pl.when(raw).then(pl.col("growth").fill_null(1.0)).otherwise(1.0)
    return (
        joined.with_columns(growth=growth)
        .select(*bars.columns, "growth")
        .sort([*_KEY, "knowledge_time"])
    )


def _splits(actions: pl.DataFrame) -> pl.DataFrame:
    """Return the splits, one an instrument and ex-date."""
    return actions.filter(
        (pl.col("kind") == "split") & pl.col("ratio").is_not_null() & (pl.col("ratio") > 0)
    ).unique(["instrument_id", "event_time"], keep="last", maintain_order=True)


def newest_known(bars: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Return one row per bar: its newest version that was known at `as_of`."""
    return (
        bars.filter(pl.col("knowledge_time") <= as_of)
        .sort([*_KEY, "knowledge_time"])
        .unique(_KEY, keep="last", maintain_order=True)
    )
