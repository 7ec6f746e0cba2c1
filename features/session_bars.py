"""One bar a session: daily bars on the desk's calendar, and intraday bars drawn together.

A desk decides once a session, so what it trades is a series of session bars. A daily bar that
closes with a session is one already. Of a series that has none, the bars of the session are drawn
together: the first open, the highest high, the lowest low, the last close, the sum of the volumes.

- An intraday bar belongs to the session in whose hours it lies, in part at least; what lies outside
  of them (before the open, after the close) belongs to none.
- A daily bar that closes at another hour than the session (a currency's day that ends in New
  York) belongs to the session in which it ends.
- A session whose last bar ends before its last quarter has no close, and gives no bar.
- A session bar is known when its last part is: a bar that comes late, or is revised, makes a new
  version with its own knowledge time. What was there at the decision is the version decided on,
  complete or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from features import calendars
from features.schemas import BARS

DAILY = "1d"
_SERIES = ("instrument_id", "source")
# A series stands on the calendar where most of its daily bars close with a session.
_ON_CALENDAR_SHARE = 0.5
_LAST_PART = 4  # the close must come from the last quarter of the session


@dataclass(frozen=True, slots=True)
class Market:
    """What a desk trades: instruments of these classes, quoted in its currencies, by this calendar.

    `currency` is the book's own, `foreign` are others that are traded beside it. `decision_lag` is
    the time from a session's close to its decision.
    """

    calendar: str
    currency: str
    asset_classes: tuple[str, ...]
    decision_lag: timedelta
    foreign: tuple[str, ...] = ()


def session_bars(bars: pl.DataFrame, instruments: pl.DataFrame, market: Market) -> pl.DataFrame:
    """Return the market's bars of interval 1d, one an instrument, session and version."""
    ids = traded_instruments(instruments, market)
    chosen = bars.filter(pl.col("instrument_id").is_in(ids.implode()))
    if chosen.is_empty():
        return chosen
    times = chosen["event_time"]
    day = timedelta(days=1)
    hours = calendars.sessions(market.calendar, times.min() - 7 * day, times.max() + 7 * day)  # type: ignore[operator]  # a column of times
    closing = chosen.with_columns(
        _closes=pl.col("event_time").is_in(hours["close"].implode()) & (pl.col("interval") == DAILY)
    )
    on_calendar = (
        closing.filter(pl.col("interval") == DAILY)
        .group_by(_SERIES)
        .agg(share=pl.col("_closes").mean())
        .filter(pl.col("share") >= _ON_CALENDAR_SHARE)
    )
    daily = closing.join(on_calendar, on=_SERIES, how="semi").filter("_closes").drop("_closes")
    named = on_calendar["instrument_id"].unique()
    others = chosen.filter(~pl.col("instrument_id").is_in(named.implode()))
    if others.is_empty():
        return daily
    return pl.concat([daily, drawn_together(others, hours, market.decision_lag)])


def traded_instruments(instruments: pl.DataFrame, market: Market) -> pl.Series:
    """Return the ids of the instruments that the market holds."""
    fitting = instruments.filter(
        pl.col("asset_class").is_in(list(market.asset_classes))
        & (pl.col("currency").is_in([market.currency, *market.foreign]))
    )
    names: Sequence[str] = fitting["calendar"].unique().sort().to_list()
    same = [name for name in names if calendars.same_hours(name, market.calendar)]
    return fitting.filter(pl.col("calendar").is_in(same))["instrument_id"].unique()


def intervals_drawn(bars: pl.DataFrame, instruments: pl.DataFrame, market: Market) -> list[str]:
    """Return the intervals of the traded instruments that have no daily bars of their own."""
    ids = traded_instruments(instruments, market)
    chosen = bars.filter(pl.col("instrument_id").is_in(ids.implode()))
    pairs = chosen.select("instrument_id", "interval").unique()
    daily = pairs.filter(pl.col("interval") == DAILY)
    return pairs.join(daily, on="instrument_id", how="anti")["interval"].unique().sort().to_list()


def drawn_together(bars: pl.DataFrame, hours: pl.DataFrame, lag: timedelta) -> pl.DataFrame:
    """Return session bars (interval 1d) of bars of any interval, for the sessions of `hours`.

    Of several intervals of one series the one that covers most sessions counts, the longest of
    equals. `lag` is the time from a close to its decision.
    """
    placed = _one_interval(_placed(bars, hours))
    prompt = placed.filter(pl.col("knowledge_time") <= pl.col("close_time") + lag)
    versions = [
        prompt.with_columns(_known=pl.lit(None, dtype=pl.Datetime("us", "UTC"))),
        *_later_versions(placed, lag),
    ]
    whole = pl.concat(versions, how="diagonal")
    return BARS.conform(_sums(whole)).sort("instrument_id", "event_time", "knowledge_time")


def _placed(bars: pl.DataFrame, hours: pl.DataFrame) -> pl.DataFrame:
    """Add the hours of each bar's session; bars outside of any session's hours are left out."""
    parts: list[pl.DataFrame] = []
    closes = hours.select(
        open_time=pl.col("open"), close_time=pl.col("close"), at=pl.col("close")
    ).sort("at")
    for (interval,), part in bars.partition_by("interval", as_dict=True).items():
        begins = pl.col("event_time").dt.offset_by(f"-{interval}")
        # A bar of a day is placed by its end, a shorter one by its beginning: the last one of a
        # session may be stamped as if it went on after the close.
        at = pl.col("event_time") if interval == DAILY else begins.dt.offset_by("1us")
        found = (
            part.with_columns(at=at)
            .sort("at")
            .join_asof(closes, on="at", strategy="forward", check_sortedness=False)
            .filter(pl.col("close_time").is_not_null())
        )
        if interval != DAILY:
            found = found.filter(pl.col("event_time") > pl.col("open_time"))
        parts.append(found.drop("at"))
    return pl.concat(parts)


def _one_interval(placed: pl.DataFrame) -> pl.DataFrame:
    covered = (
        placed.group_by("instrument_id", "source", "interval")
        .agg(
            sessions=pl.col("close_time").n_unique(),
            length=(pl.col("event_time") - pl.col("open_time")).min(),
        )
        .sort("sessions", "length", descending=True)
        .unique(_SERIES, keep="first", maintain_order=True)
    )
    return placed.join(covered, on=[*_SERIES, "interval"], how="semi")


def _later_versions(placed: pl.DataFrame, lag: timedelta) -> list[pl.DataFrame]:
    """Return the bars of sessions that changed after their decision, once for each moment."""
    key = [*_SERIES, "close_time"]
    first = placed.group_by(*key, "event_time").agg(known=pl.col("knowledge_time").min())
    complete = first.group_by(key).agg(_complete=pl.col("known").max())
    moments = (
        placed.filter(pl.col("knowledge_time") > pl.col("close_time") + lag)
        .join(complete, on=key)
        # Until the last part is there nothing is revised: one version, not one a part.
        .filter(pl.col("knowledge_time") >= pl.col("_complete"))
        .select(*key, _known=pl.col("knowledge_time"))
        .unique()
    )
    if moments.is_empty():
        return []
    return [placed.join(moments, on=key).filter(pl.col("knowledge_time") <= pl.col("_known"))]


def _sums(rows: pl.DataFrame) -> pl.DataFrame:
    key = [*_SERIES, "close_time", "_known"]
    newest = rows.sort("event_time", "knowledge_time").unique(
        [*key, "event_time"], keep="last", maintain_order=True
    )
    last_part = (
        pl.col("close_time").first()
        - (pl.col("close_time").first() - pl.col("open_time").first()) / _LAST_PART
    )
    return (
        newest.group_by(key, maintain_order=True)
        .agg(
            pl.col("open").drop_nulls().first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
            pl.col("adjustment", "currency", "source_row").last(),
            knowledge_time=pl.max_horizontal(
                pl.col("knowledge_time").max(), pl.col("close_time").first()
            ),
            _has_close=pl.col("event_time").last() > last_part,
            _has_volume=pl.col("volume").is_not_null().any(),
        )
        .filter("_has_close")
        .with_columns(
            volume=pl.when("_has_volume").then(pl.col("volume")),
            interval=pl.lit(DAILY),
            event_time=pl.col("close_time"),
        )
    )
