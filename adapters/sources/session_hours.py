"""Which intraday bars lie in the hours of their exchange, where the mapping says that they must."""

from datetime import timedelta

import polars as pl

from adapters.sources.mapping import Hours
from features import calendars
from features.text_format import format_text

OFF_HOURS = "off_hours"  # the rule that puts bars aside
# A vendor's last bar may begin with the close: the closing auction is in it. Around a session the
# longest night session of stocks begins 13.5 h before the open, and late trading ends 8 h after.
_BEFORE_OPEN, _AFTER_CLOSE = timedelta(hours=14), timedelta(hours=8)
_AROUND = timedelta(days=15)  # holds a session on either side, over the longest holidays
_INTRADAY = r"^\d+[smh]$"


def off_hours(rows: pl.DataFrame, calendar: str, hours: Hours) -> pl.DataFrame:
    """Return `row` (u32) and `reason` of the bars that lie outside the hours of their exchange.

    `rows` has event_time (UTC, the end of the bar) and interval. A bar lies in a session if any
    part of it does, or begins with its close. Days are no matter of hours. Raises ValueError for a
    calendar that is none.
    """
    bars = rows.select("event_time", "interval").with_row_index("row")
    bars = bars.filter(
        pl.col("interval").str.contains(_INTRADAY), pl.col("event_time").is_not_null()
    )
    if bars.is_empty():
        return bars.select("row", reason=pl.lit(None, pl.String))
    begun = pl.col("event_time").dt.offset_by(pl.concat_str(pl.lit("-"), "interval"))
    first, last = bars["event_time"].min(), bars["event_time"].max()
    low, high = calendars.utc(first) - _AROUND, calendars.utc(last) + _AROUND  # type: ignore[arg-type]  # times
    begin, end = max(low.date(), calendars.FIRST_DAY), min(high.date(), calendars.LAST_DAY)
    spans = (
        calendars.sessions(calendar, begin, max(begin, end))
        .select(opened="open", closed="close")
        .sort("opened")
    )
    placed = (
        bars.with_columns(begun=begun)
        .sort("event_time")
        .join_asof(
            spans, left_on="event_time", right_on="opened", allow_exact_matches=False,
            check_sortedness=False,
        )
        .join_asof(
            spans.select(next_opened="opened"), left_on="event_time", right_on="next_opened",
            strategy="forward", check_sortedness=False,
        )
    )  # fmt: skip
    inside = pl.col("begun") <= pl.col("closed")
    if hours == "extended":
        late = pl.col("begun") - pl.col("closed") <= _AFTER_CLOSE
        early = pl.col("next_opened") - pl.col("event_time") <= _BEFORE_OPEN
        inside = inside | late | early
    zone, _ = calendars.usual_close(calendar)
    local = pl.col("begun").dt.convert_time_zone(zone).dt.strftime("%A %Y-%m-%d %H:%M")
    reason = format_text(
        f"a bar must lie in the {hours} hours of {calendar}, began on {{}} in {zone}", local
    )
    return placed.filter(~inside.fill_null(value=False)).select("row", reason=reason).sort("row")
