"""What a macro series was at a decision is what a reader of its publications would have written."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalog.macro_states import FRESH_FOR, macro_columns
from features.catalog.news_windows import read_news
from features.kernels.vintages import replay
from features.schemas import UTC_TIME
from tests.features.catalog.builders import FIRST_DAY, make_news

PUBLICATIONS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 15), st.integers(-50, 50)), min_size=1, max_size=40
)


def make_series(name: str, rows: list[tuple[int, int, float]]) -> pl.DataFrame:
    """Return versions (event day, knowledge day, value) of one series."""
    data = [
        (name, FIRST_DAY + timedelta(days=e), FIRST_DAY + timedelta(days=k), float(v))
        for e, k, v in rows
    ]
    schema = {
        "series_id": pl.String(),
        "event_time": UTC_TIME,
        "knowledge_time": UTC_TIME,
        "value": pl.Float64(),
    }
    return pl.DataFrame(data, schema=schema, orient="row")


def columns_at(macro: pl.DataFrame, *days: float) -> pl.DataFrame:
    as_of = pl.Series([FIRST_DAY + timedelta(days=d) for d in days], dtype=UTC_TIME)
    return macro_columns(macro.lazy(), as_of)


@settings(max_examples=200, deadline=None)
@given(rows=PUBLICATIONS)
def test_the_replay_equals_rebuilding_the_series_at_every_publication(rows):
    rows = sorted(rows, key=lambda r: (r[1], r[0]))
    event, known, value = (np.array(c) for c in zip(*rows, strict=True))
    lags = np.array([0, 2])
    moments, newest, levels, _ = replay(event, known, value.astype(float), lags, 24, 8)
    assert moments.tolist() == sorted(set(known.tolist()))
    for k, moment in enumerate(moments):
        view = {e: v for e, t, v in rows if t <= moment}
        ordered = [view[e] for e in sorted(view)]
        assert newest[k] == max(view)
        assert levels[k, 0] == ordered[-1]
        expected = ordered[-3] if len(ordered) > 2 else None
        assert (None if np.isnan(levels[k, 1]) else levels[k, 1]) == expected


def test_a_revised_value_appears_only_after_its_vintage():
    macro = make_series("VIXCLS", [(0, 1, 15.0), (0, 5, 16.0)])
    assert columns_at(macro, 0.5, 1, 4.9, 5)["vix_0"].to_list() == [None, 15.0, 15.0, 16.0]


def test_a_series_that_ended_is_forgotten_and_a_fresh_one_takes_its_place():
    macro = pl.concat([make_series("VIXCLS", [(0, 0, 15.0)]), make_series("VIX", [(18, 18, 30.0)])])
    days = FRESH_FOR / timedelta(days=1)
    assert columns_at(macro, days, days + 1, 60)["vix_0"].to_list() == [15.0, 30.0, None]


def test_the_surprise_is_the_newest_change_in_deviations_of_those_before():
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=20))
    rows = [(30 * k, 30 * k + 10, float(v)) for k, v in enumerate(values)]
    changes = np.diff(values)
    expected = (changes[-1] - changes[:-1].mean()) / changes[:-1].std(ddof=1)
    day = 30 * 19 + 11
    assert columns_at(make_series("PAYEMS", rows), day)["surprise"][0] == pytest.approx(
        expected, abs=1e-6
    )
    jobless = columns_at(make_series("UNRATE", rows), day)["surprise"][0]
    assert jobless == pytest.approx(-expected, abs=1e-6)


def test_a_revision_of_an_old_month_is_no_surprise():
    rows = [(30 * k, 30 * k + 10, float(k % 3)) for k in range(20)]
    old = columns_at(make_series("PAYEMS", [*rows, (30, 700, 50.0)]), 701)
    assert old["surprise"].to_list() == [None]


def test_market_prices_are_not_surprises_of_the_economy():
    rows = [(k, k, float(k % 7)) for k in range(60)]
    assert columns_at(make_series("DCOILWTICO", rows), 60)["surprise"].to_list() == [None]


def test_a_rewritten_headline_counts_once_as_it_first_came():
    news = make_news(50)
    items = read_news(news.lazy(), until=FIRST_DAY + timedelta(days=3650))
    assert items is not None
    assert items.items["news_id"].is_unique().all()
    first = news.group_by("news_id").agg(pl.col("knowledge_time").min())
    both = items.items.join(first, on="news_id", suffix="_first")
    assert (both["knowledge_time"] == both["knowledge_time_first"]).all()
