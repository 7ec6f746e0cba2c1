"""The features of a span of sessions, each row from what was known at its own as_of alone."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from features.catalog.feature import Feature, FeatureInputs
from features.catalog.macro_states import ROLES, macro_columns
from features.catalog.news_windows import NewsItems, news_columns, read_news
from features.catalog.panel import build_panel, with_all_columns
from features.catalog.registry import CATALOG, LOOKBACK_SESSIONS_MAX, select
from features.kernels.ranges import range_maximum
from features.schemas import UTC_TIME

_KEY = ["instrument_id", "event_time"]
_PROGRESS_EVERY = 10  # stretches between two revisions
_TIMES = (*_KEY, "knowledge_time", "as_of")


def _moment(value: datetime | date, what: str) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    if value.tzinfo is None:
        raise ValueError(f"{what} must carry a time zone, was {value!r}")
    return value.astimezone(UTC)


def _versions(bars: pl.LazyFrame, end: datetime, as_of_offset: timedelta) -> pl.DataFrame:
    """Return the versions of every bar before end, and whether each was there at its own as_of."""
    intervals = bars.select(pl.col("interval").unique()).collect() if _has(bars) else None
    if intervals is not None and intervals.height > 1:
        found = sorted(str(v) for v in intervals["interval"])
        raise ValueError(f"bars must be of one interval, were of {found}")
    prompt = pl.col("knowledge_time") <= pl.col("as_of")
    same_next = pl.col("event_time").eq(pl.col("event_time").shift(-1)) & pl.col(
        "instrument_id"
    ).eq(pl.col("instrument_id").shift(-1))
    # No row reads a bar before that bar's own as_of: of the versions by then the last counts.
    replaced = same_next & prompt.shift(-1, fill_value=False)
    return (
        with_all_columns(bars)
        .filter(pl.col("event_time") < end)
        .with_columns(pl.col("event_time", "knowledge_time").cast(UTC_TIME))
        .sort(*_KEY, "knowledge_time", maintain_order=True)
        .with_columns(as_of=pl.col("event_time") + as_of_offset)
        .with_columns(prompt=prompt)
        .filter(~replaced.fill_null(value=False))
        .filter(~_repeats())
        .collect()
    )


def _repeats() -> pl.Expr:
    """Return where a late version says what the version before it said: nothing was revised."""
    columns = (*_KEY, "open", "high", "low", "close", "volume")
    same = pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift(1)) for c in columns)
    return same & ~pl.col("prompt")


def _has(bars: pl.LazyFrame) -> bool:
    return "interval" in bars.collect_schema().names()


def _decisions(versions: pl.DataFrame, start: datetime) -> pl.Series:
    """Return the as_of of every row to come: those whose bar was there in time."""
    return versions.filter(pl.col("prompt"), pl.col("event_time") >= start)["as_of"].unique().sort()


def _epochs(
    versions: pl.DataFrame, start: datetime
) -> Iterator[tuple[pl.DataFrame, datetime, datetime]]:
    """Yield (view, first as_of, last as_of) for each stretch in which no old bar changed.

    A late or revised bar opens a new stretch at its knowledge time; in between, every view grows
    only by bars that were there at their own as_of, so one pass serves all rows of the stretch.
    """
    moments = _decisions(versions, start)
    if moments.is_empty():
        return
    late = versions.filter(~pl.col("prompt"))["knowledge_time"].unique().sort()
    # The stretch of an as_of is the number of late versions known by it.
    stretch = late.search_sorted(moments, side="right")
    spans = (
        pl.DataFrame({"as_of": moments, "stretch": stretch})
        .group_by("stretch")
        .agg(pl.col("as_of").min().alias("first"), pl.col("as_of").max().alias("last"))
        .sort("first")
    )
    for _, first, last in spans.iter_rows():
        known = versions.filter(
            pl.col("as_of") <= last, pl.col("prompt") | (pl.col("knowledge_time") <= first)
        )
        yield known.unique(_KEY, keep="last", maintain_order=True), first, last


def _needed(view: pl.DataFrame, first: datetime, lookback: int) -> pl.DataFrame:
    """Return the view without the rows that no window ending at or after `first` can reach.

    The means of the market need every instrument at every moment that any window reaches, and
    one row more before it for the return.
    """
    wanted = pl.col("as_of") >= first
    reach = (
        view.lazy()
        .with_columns(place=pl.int_range(pl.len()).over("instrument_id"))
        .with_columns(begin=pl.col("place").filter(wanted).min().over("instrument_id"))
        .filter(pl.col("place") >= pl.col("begin") - lookback)
        .select(pl.col("event_time").min())
        .collect()
        .item()
    )
    if reach is None:
        return view.clear()
    inside = pl.col("event_time") >= reach
    before = inside.shift(-1, fill_value=False).over("instrument_id")
    return view.filter(inside | before)


def _newest_known(macro_roles: Sequence[str]) -> pl.Expr:
    """Return when the newest datum behind a row was known: its bars', macro's and news'."""
    states = [pl.col(f"{role}_known") for role in (*macro_roles, "surprise")]
    return pl.max_horizontal("bars_known", *states, "news_known")


def _with_features(panel: pl.LazyFrame, features: Sequence[Feature]) -> pl.LazyFrame:
    """Return the panel with the features, null where they are not finite.

    In two steps: one expression that names a compiled kernel twice would run it twice.
    """
    values = panel.with_columns(f.expr.cast(pl.Float64).alias(f.name) for f in features)
    return values.with_columns(
        pl.when(pl.col(f.name).is_finite()).then(pl.col(f.name)).alias(f.name) for f in features
    )


def _bars_known(panel: pl.DataFrame) -> pl.DataFrame:
    """Return the panel with when the newest version in reach of each row's windows was known."""
    by_moment = panel.group_by("event_time").agg(pl.col("knowledge_time").max()).sort("event_time")
    moments = by_moment["event_time"]
    oldest = panel.select(
        pl.coalesce(
            pl.col("event_time").shift(LOOKBACK_SESSIONS_MAX).over("instrument_id"),
            pl.col("event_time").min().over("instrument_id"),
        )
    ).to_series()
    newest = range_maximum(
        by_moment["knowledge_time"].to_physical().to_numpy(),
        moments.search_sorted(oldest).to_numpy(),
        moments.search_sorted(panel["event_time"]).to_numpy(),
    )
    return panel.with_columns(pl.Series("bars_known", newest).cast(UTC_TIME))


def _evaluate(
    view: pl.DataFrame, macro: pl.DataFrame, news: NewsItems | None, features: Sequence[Feature]
) -> pl.LazyFrame:
    panel = _bars_known(build_panel(view).collect())
    wide = pl.concat([panel, news_columns(news, panel)], how="horizontal").join(
        macro, on="as_of", how="left", maintain_order="left"
    )
    first = [f for f in features if not f.needs]
    second = [f for f in features if f.needs]
    both = _with_features(_with_features(wide.lazy(), first), second)
    return both.with_columns(knowledge_time=_newest_known(tuple(ROLES)))


def _lazy(table: pl.LazyFrame | pl.DataFrame | None) -> pl.LazyFrame | None:
    return None if table is None else table.lazy()


def compute(
    inputs: FeatureInputs,
    *,
    start: datetime | date,
    end: datetime | date,
    as_of_offset: timedelta,
    names: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> pl.DataFrame:
    """Return the feature table of the sessions with start <= event_time < end.

    One row per instrument and session whose bar was known at as_of = event_time + as_of_offset;
    columns instrument_id, event_time, knowledge_time, as_of and the features (all of CATALOG, or
    `names`), null where not known. A row reads only versions with knowledge_time <= as_of; its
    knowledge_time is that of the newest datum within its windows. Rows before `start` are read as
    far as the longest lookback: a span computed in pieces equals the span at once to 1e-12.
    Where many bars were revised, `progress` is told how far it has come.
    Raises ValueError on unknown names, on bars of mixed intervals and on a negative offset.
    """
    if as_of_offset < timedelta(0):
        raise ValueError(f"as_of_offset must be 0 or more, was {as_of_offset}")
    low, high = _moment(start, "start"), _moment(end, "end")
    chosen, evaluated = select(names)
    versions = _versions(inputs.bars.lazy(), high, as_of_offset)
    decisions = _decisions(versions, low)
    macro = macro_columns(_lazy(inputs.macro), decisions)
    news = read_news(_lazy(inputs.news), until=high + as_of_offset)
    parts: list[pl.DataFrame] = []
    for view, first, last in _epochs(versions, low):
        needed = _needed(view, first, LOOKBACK_SESSIONS_MAX + 1)
        parts.append(
            _evaluate(needed, macro, news, evaluated)
            .filter(pl.col("as_of").is_between(first, last), pl.col("event_time") >= low)
            .select(*_TIMES, *(f.name for f in chosen))
            .collect()
        )
        if len(parts) % _PROGRESS_EVERY == 0:
            known = decisions.search_sorted(last, side="right")
            progress(f"features of {known} of {len(decisions)} sessions; old bars were revised")
    if not parts:
        return pl.DataFrame(schema=feature_schema(chosen))
    return pl.concat(parts).sort("event_time", "instrument_id")


def feature_schema(features: Sequence[Feature] = CATALOG) -> dict[str, pl.DataType]:
    """Return the columns of the feature table, in order."""
    keys: dict[str, pl.DataType] = {"instrument_id": pl.String()}
    times = dict.fromkeys(("event_time", "knowledge_time", "as_of"), UTC_TIME)
    return {**keys, **times, **{f.name: pl.Float64() for f in features}}
