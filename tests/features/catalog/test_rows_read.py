"""The rows that lineage names are the rows whose values the features change with."""

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest

from features import catalog
from features.catalog.rows_read import FEATURES, macro_rows_read, news_rows_read
from features.schemas import BARS, MACRO, NEWS

DAY = timedelta(days=1)
LAST = datetime(2023, 6, 30, 20, tzinfo=UTC)
LAG = timedelta(hours=2)
AS_OF = LAST + LAG
BAR_DAYS = [LAST - DAY * i for i in range(30, -1, -1) if (LAST - DAY * i).weekday() < 5]
OWN = "US.A"


def make_bars() -> pl.DataFrame:
    columns = {"instrument_id": OWN, "interval": "1d", "event_time": BAR_DAYS, "source": "v@1"}
    values = {"knowledge_time": BAR_DAYS, "close": [100.0 + i % 7 for i in range(len(BAR_DAYS))]}
    return BARS.conform(pl.DataFrame(columns | values))


def series(name: str, every: timedelta, count: int, delay: timedelta, seed: int) -> pl.DataFrame:
    """A series to the last day, one value in four of which is revised twelve days later."""
    rng = np.random.default_rng(seed)
    times = [LAST - every * i for i in range(count - 1, -1, -1)]
    rows = pl.DataFrame(
        {
            "series_id": name,
            "event_time": times,
            "knowledge_time": [t + delay for t in times],
            "value": 50.0 + rng.standard_normal(count),
            "source": "fred@1",
        }
    )
    revised = rows.filter(pl.Series(rng.random(count) < 0.25)).with_columns(
        pl.col("knowledge_time") + 12 * DAY, pl.col("value") + 0.5
    )
    return MACRO.conform(pl.concat([rows, revised]))


def make_macro() -> pl.DataFrame:
    ended = series("VIXCLS", DAY, 30, DAY, 3).with_columns(
        pl.col("event_time", "knowledge_time") - 90 * DAY
    )
    parts = [
        series("DGS10", DAY, 80, DAY, 1),  # daily, and a surprise: it reaches far back
        series("UNRATE", 30 * DAY, 40, 20 * DAY, 2),
        ended,  # no longer fresh, so that the next name of its role is read
        series("VIX", DAY, 30, DAY, 4),
        series("GDP", 91 * DAY, 8, 25 * DAY, 5),  # too short to be surprised by
        series("DGS10", 7 * DAY, 9, 2 * DAY, 6).with_columns(source=pl.lit("other@1")),
    ]
    return pl.concat(parts)


def make_news() -> pl.DataFrame:
    words = ("great success", "horrible fraud", "wonderful profit", "terrible crash", "calm day")
    rng, rows = np.random.default_rng(7), list[dict[str, object]]()
    for at in range(60):
        event = LAST - timedelta(hours=int(rng.integers(0, 24 * 20)))
        known = event + timedelta(hours=int(rng.choice([0, 1, 30, 200])))
        pool = (None, OWN, "US.B")[int(rng.integers(3))]
        for version in range(int(rng.integers(1, 4))):  # rewritten now and then
            later = known + version * timedelta(hours=20)
            head = f"{words[int(rng.integers(5))]} number {at}.{version}"
            rows.append(
                {"news_id": f"n{at}", "event_time": event, "knowledge_time": later,
                 "instrument_id": pool, "headline": head, "source": "wire@1"}
            )  # fmt: skip
    return NEWS.conform(pl.DataFrame(rows, infer_schema_length=None))


NAMES = [f.name for f in catalog.CATALOG if f.source_tables != ("bars",)]


def computed(macro: pl.DataFrame, news: pl.DataFrame) -> dict[str, object]:
    inputs = catalog.FeatureInputs(bars=make_bars().tail(12), macro=macro, news=news)
    rows = catalog.compute(
        inputs, start=LAST - DAY / 2, end=LAST + DAY, as_of_offset=LAG, names=NAMES
    )
    return rows.row(-1, named=True)


@cache
def usual() -> dict[str, object]:
    return computed(make_macro(), make_news())


def changed_by(rows: pl.DataFrame, at: int, other: pl.Expr, table: str) -> set[str]:
    """Return the features that another value in one row changes."""
    numbered = rows.with_row_index("number")
    column = other.meta.output_name()
    told = pl.when(pl.col("number") == at).then(other).otherwise(pl.col(column)).alias(column)
    changed = numbered.with_columns(told).drop("number")
    after = computed(**({"macro": make_macro(), "news": make_news()} | {table: changed}))
    return {name for name in NAMES if usual()[name] != after[name]}


def told_of(read: pl.DataFrame, row: dict[str, object]) -> set[str]:
    found = read.filter(pl.all_horizontal(pl.col(c).eq_missing(pl.lit(v)) for c, v in row.items()))
    return {name for names in found[FEATURES].to_list() for name in names.split(", ")}


@pytest.mark.parametrize("name", ["DGS10", "UNRATE", "VIXCLS", "VIX", "GDP"])
def test_a_macro_row_is_told_of_every_feature_that_its_value_changes(name: str) -> None:
    rows = make_macro()
    read = macro_rows_read(rows, AS_OF)
    told = {i: told_of(read, row) for i, row in enumerate(rows.iter_rows(named=True))}
    places = [i for i, row in enumerate(rows["series_id"]) if row == name]

    for at in places:
        changed = changed_by(rows, at, pl.col("value") * 1.01 + 0.1, "macro")
        assert changed <= told[at], rows.row(at, named=True)
        assert ("macro_surprise" in changed) == ("macro_surprise" in told[at])
    reached = set().union(*(told[at] for at in places))
    assert reached == {
        "DGS10": {"rate_change_21d", "term_slope", "macro_surprise"},
        "UNRATE": {"macro_surprise"},
        "VIX": {"vix", "vix_change_5d"},
    }.get(name, set())


def test_a_headline_is_told_of_every_feature_that_it_changes_in_the_version_that_was_read() -> None:
    rows = make_news()
    before = [day + LAG for day in BAR_DAYS[:-1]]
    read = news_rows_read(rows, OWN, AS_OF, before)

    for at, row in enumerate(rows.iter_rows(named=True)):
        changed = changed_by(rows, at, pl.lit("awful disaster").alias("headline"), "news")
        told = told_of(read, row)
        assert changed <= told, row
        if "news_volume_5d" in told and rows.filter(news_id=row["news_id"]).height == 1:
            # It is counted whether its own pool spoke or the other.
            gone = computed(make_macro(), rows.filter(pl.col("news_id") != row["news_id"]))
            assert gone["news_volume_5d"] != usual()["news_volume_5d"], row
    assert {n for names in read[FEATURES] for n in names.split(", ")} == {
        "news_sentiment_1d", "news_sentiment_5d", "news_volume_5d"
    }  # fmt: skip
