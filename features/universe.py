"""The part of a market that a desk decides on: a list, or its most liquid instruments of the time.

Liquidity is the median of close times volume over the newest sessions before a moment. Only
versions of bars that were known at the moment count, so that a universe of the past is the one
that a desk would have chosen then.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

RANKED_SESSIONS = 63  # a quarter of a year
_SESSIONS_MIN = 20  # fewer of them say nothing of how an instrument is traded
_LOOKED_BACK = timedelta(days=130)  # holds the ranked sessions of every calendar


@dataclass(frozen=True, slots=True)
class Universe:
    """Who belongs to the universe from each moment (UTC, ascending) on, until the next one.

    `rule` says in words why, `values` has what each of the `newest` was chosen by, in their order;
    none where the universe is a list.
    """

    spans: tuple[tuple[datetime, tuple[str, ...]], ...]
    rule: str = "listed"
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        begins = [begin for begin, _ in self.spans]
        if not begins or begins != sorted(set(begins)):
            raise ValueError(f"a universe's spans must ascend, one at least, were {begins[:3]}")

    @property
    def newest(self) -> tuple[str, ...]:
        """Who belongs to it from the last moment on."""
        return self.spans[-1][1]

    def kept(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose instrument_id belongs to the universe at their event_time."""
        begins = pl.Series([begin for begin, _ in self.spans], dtype=pl.Datetime("us", "UTC"))
        members = pl.DataFrame(
            [(place, name) for place, (_, names) in enumerate(self.spans) for name in names],
            schema={"_span": pl.Int64, "instrument_id": pl.String},
            orient="row",
        )
        spans = begins.search_sorted(rows["event_time"], side="right").cast(pl.Int64) - 1
        return (
            rows.with_columns(spans.alias("_span"))
            .join(members, on=["_span", "instrument_id"], how="semi", maintain_order="left")
            .drop("_span")
        )


def most_liquid(bars: pl.DataFrame, count: int, decided_from: datetime) -> Universe:
    """Return the `count` most liquid instruments of each month, and those of the first decision.

    `bars` are session bars of one currency, every version. Before `decided_from` the universe is
    chosen at the beginning of each month, from then on it stays: what is held must be decided on.
    Raises ValueError where no instrument has enough sessions with a volume before that.
    """
    ranked = bars.select(
        "instrument_id", "event_time", "knowledge_time", value=pl.col("close") * pl.col("volume")
    ).sort("event_time")
    first = ranked["event_time"].min()
    months = () if not isinstance(first, datetime) else _months(first, decided_from)
    chosen = [(begin, _ranked(ranked, count, begin)) for begin in (*months, decided_from)]
    spans = tuple((begin, tuple(found["instrument_id"])) for begin, found in chosen if len(found))
    if not spans or spans[-1][0] != decided_from:
        raise ValueError(
            f"most_liquid must have instruments with volumes on {_SESSIONS_MIN} sessions before "
            f"{decided_from:%Y-%m-%d}, the first that is decided, had none"
        )
    return Universe(spans, liquidity_rule(count), tuple(chosen[-1][1]["value"]))


def liquidity_rule(count: int) -> str:
    """Return in words by which rule the most liquid are chosen."""
    return (
        f"the {count} most liquid: median of close times volume over the {RANKED_SESSIONS} "
        f"sessions before ({_SESSIONS_MIN} at least), as it was known then"
    )


def _ranked(bars: pl.DataFrame, count: int, moment: datetime) -> pl.DataFrame:
    """Return the most liquid instruments as they were known at a moment, by name, with `value`."""
    return (
        bars.filter(
            pl.col("event_time").is_between(moment - _LOOKED_BACK, moment, closed="left"),
            pl.col("knowledge_time") <= moment,
        )
        .sort("knowledge_time", maintain_order=True)
        .unique(["instrument_id", "event_time"], keep="last", maintain_order=True)
        .drop_nulls("value")
        .sort("event_time")
        .group_by("instrument_id")
        .agg(pl.col("value").tail(RANKED_SESSIONS).median(), sessions=pl.len())
        .filter(pl.col("sessions") >= _SESSIONS_MIN, pl.col("value") > 0)
        .sort("value", "instrument_id", descending=[True, False])
        .head(count)
        .sort("instrument_id")
    )


def _months(first: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the beginnings of the months after `first` and before `end`."""
    year, month = first.year, first.month
    while True:
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        begin = datetime(year, month, 1, tzinfo=UTC)
        if begin >= end:
            return
        yield begin
