"""What stamps with a time of day say of the sessions that they are of."""

from datetime import date, time, timedelta

import polars as pl

from adapters.sources.stamps import Stamps
from features import calendars

NEVER_RESTING = ("24/7", "24/5", "CMES")
_LEFT = {0: "1s", 999_000: "1ms", 999_999: "1us"}
_MINUTES = ("1m", "5m", "15m", "30m")  # of which a bar ends at other minutes than the last
_INSIDE_SHARE = 0.95  # of the stamps must lie in the sessions' hours, in the zone they are of


def zone_of_hours(stamps: Stamps, calendar: str) -> str | None:
    """Return the one zone in which the stamps lie in the exchange's hours: its own, or UTC.

    None where both fit, as on a market that never rests, or neither does.
    """
    if calendar in NEVER_RESTING:
        return None
    moments = stamps.moments.drop_nulls()
    if moments.is_empty():
        return None
    fitting = [
        zone
        for zone in dict.fromkeys((calendars.usual_close(calendar)[0], "UTC"))
        if _inside(moments, calendar, zone) >= _INSIDE_SHARE
    ]
    return fitting[0] if len(fitting) == 1 else None


def _inside(moments: pl.Series, calendar: str, zone: str) -> float:
    times = (
        pl.DataFrame({"at": moments})
        .with_columns(
            pl.col("at").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        )
        .with_columns(pl.col("at").dt.convert_time_zone("UTC").dt.cast_time_unit("us"))
        .drop_nulls()
        .sort("at")
    )
    first, last = times["at"].min(), times["at"].max()
    hours = calendars.sessions(calendar, first, last)  # type: ignore[arg-type]  # a column of times
    joined = times.join_asof(hours.sort("open"), left_on="at", right_on="open", coalesce=False)
    return float(
        joined.select((pl.col("at") < pl.col("close")).fill_null(value=False).mean()).item()
    )


def find_day_zone(stamps: Stamps, calendar: str) -> str | None:
    """Return the zone in which the stamps' days are the exchange's sessions; None where in none.

    For daily bars that carry a time of day, as that of the open, of the close, or of midnight in
    another zone. A market that never rests has no days to compare: its bars are by their hours.
    """
    moments = stamps.moments.drop_nulls()
    if calendar in NEVER_RESTING or moments.is_empty():
        return None
    own = calendars.usual_close(calendar)[0]
    if stamps.needs_zone:  # the days as they are written
        return own if _on_sessions(moments.dt.date(), calendar) >= _INSIDE_SHARE else None
    local = moments.dt.replace_time_zone(stamps.zone or "UTC", ambiguous="earliest",
                                         non_existent="null").dt.convert_time_zone(own)  # fmt: skip
    return own if _on_sessions(local.dt.date().drop_nulls(), calendar) >= _INSIDE_SHARE else None


def left_of_bar(stamps: Stamps) -> str | None:
    """Return how long after its stamp a bar is over, where all stamps are of its last moment.

    As exchanges write the end of a candle: 23:59:59.999. None where they are of anything else.
    """
    moments = stamps.moments.drop_nulls()
    is_last = moments.dt.minute().unique().to_list() == [59] or stamps.interval in _MINUTES
    if not is_last or stamps.left:
        return stamps.left if is_last and stamps.left else None
    parts = moments.dt.microsecond().unique().to_list()
    if moments.dt.second().unique().to_list() != [59] or len(parts) != 1:
        return None
    return _LEFT.get(parts[0])


def usual_open(calendar: str) -> tuple[str, time]:
    """Return the exchange's zone and the local time at which most sessions of a year open."""
    zone = calendars.usual_close(calendar)[0]
    opens = calendars.sessions(calendar, date(2023, 1, 1), date(2024, 1, 1))["open"]
    return zone, opens.dt.convert_time_zone(zone).dt.time().mode().sort()[0]


def _on_sessions(days: pl.Series, calendar: str) -> float:
    first, last = days.min(), days.max()
    held = calendars.sessions(calendar, first, last + timedelta(days=1))["session"]  # type: ignore[arg-type, operator]  # a column of days
    return float(days.is_in(held.implode()).mean())  # type: ignore[arg-type]  # of a filled column
