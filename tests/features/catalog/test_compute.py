"""Features are the same however they are computed, and never read what was not yet known."""

from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from features.catalog import CATALOG, LOOKBACK_SESSIONS_MAX, FeatureInputs, compute, feature_schema
from features.kernels import rolling
from features.point_in_time import known_at, leaking_rows
from tests.features.catalog.builders import (
    OFFSET,
    make_bars,
    make_macro,
    make_news,
    make_sessions,
)

EVER = (date(2000, 1, 1), date(2100, 1, 1))
SESSIONS = make_sessions(320)


def make_inputs(**changes: pl.DataFrame) -> FeatureInputs:
    """Return a whole small market, with the tables that a test names replaced."""
    tables = {"bars": make_bars(), "macro": make_macro(), "news": make_news()} | changes
    return FeatureInputs(**tables)


def features_of(inputs: FeatureInputs, start=EVER[0], end=EVER[1]) -> pl.DataFrame:
    return compute(inputs, start=start, end=end, as_of_offset=OFFSET)


INPUTS = make_inputs()
WHOLE = features_of(INPUTS)


def revised(bars: pl.DataFrame, row: int, factor: float, known: datetime) -> pl.DataFrame:
    """Return the bars with a later version of one of them."""
    prices = pl.col("open", "high", "low", "close") * factor
    version = bars[row].with_columns(prices, knowledge_time=pl.lit(known))
    return pl.concat([bars, version.select(bars.columns)])


def assert_same_rows(part: pl.DataFrame, whole: pl.DataFrame) -> None:
    """Compare all to the bit."""
    assert part.height > 0
    assert_frame_equal(part, whole, check_exact=True)


def test_the_table_has_the_columns_of_its_schema_and_no_infinity():
    assert dict(WHOLE.schema) == feature_schema()
    numbers = WHOLE.select(pl.col(pl.Float64))
    assert (
        numbers.select(pl.all().is_nan().any() | pl.all().is_infinite().any()).sum_horizontal()[0]
        == 0
    )


def test_every_feature_speaks_on_a_market_with_all_tables():
    last = WHOLE.tail(200)
    silent = [f.name for f in CATALOG if last[f.name].null_count() == last.height]
    assert silent == []


def test_knowledge_lies_between_the_bar_and_the_decision():
    assert leaking_rows(WHOLE).is_empty()
    assert (WHOLE["knowledge_time"] >= WHOLE["event_time"] + timedelta(minutes=15)).all()


@settings(deadline=None, max_examples=6)
@given(cuts=st.lists(st.integers(1, 318), min_size=1, max_size=3, unique=True))
def test_a_span_in_pieces_equals_the_span_at_once(cuts):
    edges = [EVER[0], *(SESSIONS[c] for c in sorted(cuts)), EVER[1]]
    pieces = [features_of(INPUTS, a, b) for a, b in pairwise(edges)]
    assert_same_rows(pl.concat(pieces), WHOLE)


@settings(deadline=None, max_examples=6)
@given(row=st.integers(0, 319))
def test_what_came_after_the_decision_changes_nothing(row):
    as_of = SESSIONS[row] + OFFSET
    cut = {
        name: table.filter(pl.col("knowledge_time") <= as_of)
        for name, table in (("bars", INPUTS.bars), ("macro", INPUTS.macro), ("news", INPUTS.news))
    }
    known = WHOLE.filter(pl.col("as_of") <= as_of)
    assert_same_rows(features_of(FeatureInputs(**cut)), known)


def row_by_row(inputs: FeatureInputs, moments: list[datetime]) -> pl.DataFrame:
    """Return the features by brute force: for each decision, the tables as known at it."""
    parts = []
    for as_of in moments:
        # Nothing in these bars is late or revised any more: what was known is all there is.
        bars = known_at(inputs.bars, as_of).with_columns(knowledge_time=pl.col("event_time"))
        cut = FeatureInputs(
            bars=bars,
            macro=known_at(inputs.macro, as_of, key=("series_id", "event_time")).with_columns(
                pl.col("knowledge_time")
            ),
            news=inputs.news.filter(pl.col("knowledge_time") <= as_of),
        )
        rows = features_of(cut, start=as_of - OFFSET, end=as_of - OFFSET + timedelta(seconds=1))
        parts.append(rows)
    return pl.concat(parts)


# The surprise of a release is that of its first publication, which a cut table has forgotten.
BAR_FEATURES = [f.name for f in CATALOG if f.family != "macro"] + ["vix", "term_slope"]


@settings(deadline=None, max_examples=5)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 1000), st.floats(0.9, 1.1), st.integers(1, 400)),
        min_size=1,
        max_size=6,
    ),
    sampled=st.lists(st.integers(200, 319), min_size=2, max_size=4, unique=True),
)
def test_revised_bars_count_from_their_own_knowledge_time(changes, sampled):
    bars = make_bars()
    for row, factor, hours in changes:
        known = bars[row, "event_time"] + timedelta(hours=hours)
        bars = revised(bars, row, round(factor, 4), known)
    inputs = make_inputs(bars=bars)
    moments = [SESSIONS[k] + OFFSET for k in sorted(sampled)]
    expected = row_by_row(inputs, moments)
    ours = features_of(inputs).filter(pl.col("as_of").is_in(moments))
    keys = ["instrument_id", "event_time", "as_of"]
    assert_same_rows(ours.select(*keys, *BAR_FEATURES), expected.select(*keys, *BAR_FEATURES))


def test_a_revision_moves_later_rows_and_no_earlier_one():
    bars = make_bars(instruments=2)
    changed = features_of(make_inputs(bars=revised(bars, 300, 1.05, SESSIONS[305] + OFFSET)))
    plain = features_of(make_inputs(bars=bars))
    early = pl.col("as_of") < SESSIONS[305] + OFFSET
    assert_same_rows(changed.filter(early), plain.filter(early))
    mine = pl.col("instrument_id") == "US.T0"
    late = [t.filter(~early & mine) for t in (changed, plain)]
    assert (late[0]["vol_21d"] != late[1]["vol_21d"]).any()
    assert (late[0]["knowledge_time"] >= SESSIONS[305] + OFFSET).all()


def test_no_kernel_runs_twice_for_one_feature(monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    kernel = rolling.rolling_moment

    def counted(starts, x, window, least, kind):
        calls.append(window)
        return kernel(starts, x, window, least, kind)

    monkeypatch.setattr(rolling, "rolling_moment", counted)
    compute(INPUTS, start=EVER[0], end=EVER[1], as_of_offset=OFFSET, names=["vol_21d"])
    assert calls == [21]


def test_a_bar_that_came_too_late_has_no_row_but_serves_the_next_ones():
    bars = make_bars(instruments=1)
    late = pl.col("event_time") == SESSIONS[300]
    moved = pl.col("knowledge_time") + timedelta(days=2)
    inputs = make_inputs(
        bars=bars.with_columns(pl.when(late).then(moved).otherwise(pl.col("knowledge_time")))
        .rename({"literal": "knowledge_time"}, strict=False)
        .select(bars.columns)
    )
    rows = features_of(inputs)
    assert rows.filter(late).is_empty()
    whole = features_of(make_inputs(bars=bars))
    two_days_on = rows.filter(pl.col("as_of") >= SESSIONS[303] + OFFSET)
    same = whole.filter(pl.col("as_of") >= SESSIONS[303] + OFFSET)
    assert_same_rows(two_days_on.drop("knowledge_time"), same.drop("knowledge_time"))
    next_day = [t.filter(pl.col("event_time") == SESSIONS[301])["ret_1d"][0] for t in (rows, whole)]
    assert next_day[0] != next_day[1]


def test_versions_before_the_decision_and_repeated_ones_cost_nothing_and_change_nothing():
    bars = make_bars(instruments=2)
    draft = bars.with_columns(
        pl.col("close") * 1.5, knowledge_time=pl.col("event_time") + timedelta(minutes=1)
    )
    again = bars.with_columns(knowledge_time=pl.col("event_time") + timedelta(days=1))
    rows = features_of(make_inputs(bars=pl.concat([again, draft, bars])))
    assert_same_rows(rows, features_of(make_inputs(bars=bars)))


def test_a_wider_offset_lets_a_late_bar_in():
    bars = make_bars(instruments=1).with_columns(
        knowledge_time=pl.col("event_time") + timedelta(hours=5)
    )
    inputs = make_inputs(bars=bars)
    assert features_of(inputs).is_empty()
    wide = compute(inputs, start=EVER[0], end=EVER[1], as_of_offset=timedelta(hours=6))
    assert wide.height == bars.height


def test_impossible_prices_give_null_and_never_infinity():
    bars = make_bars(instruments=2)
    for row, bad in ((100, 0.0), (150, -37.0), (200, float("nan")), (250, float("inf"))):
        for column in ("open", "high", "low", "close"):
            bars[row, column] = bad
    bars[120, "volume"] = 0.0
    rows = features_of(make_inputs(bars=bars))
    assert rows.height == bars.height
    assert all(rows[f.name].is_finite().all() for f in CATALOG)
    mine = rows.filter(pl.col("instrument_id") == "US.T0")
    assert mine["ret_1d"][100] is None
    assert mine["ret_1d"][101] is None
    assert mine["vol_63d"][251] is not None


def test_a_series_of_closes_alone_has_the_features_of_closes():
    bars = make_bars().drop("open", "high", "low", "volume")
    rows = features_of(make_inputs(bars=bars))
    assert rows["parkinson_21d"].null_count() == rows.height
    assert rows["amihud_21d"].null_count() == rows.height
    same = ["ret_5d", "vol_63d", "donchian_55d", "mom_252d_21d_rank", "beta_63d"]
    assert rows.select(same).equals(WHOLE.select(same))


def test_without_macro_and_news_their_features_are_null_and_the_rest_stand():
    rows = features_of(FeatureInputs(bars=INPUTS.bars))
    others = [f.name for f in CATALOG if f.family not in ("macro", "sentiment")]
    assert rows.select(others).equals(WHOLE.select(others))
    absent = [f.name for f in CATALOG if f.family in ("macro", "sentiment")]
    assert rows.select(absent).null_count().sum_horizontal()[0] == rows.height * len(absent)


def test_lazy_inputs_give_the_same_rows():
    lazy = FeatureInputs(
        bars=INPUTS.bars.lazy(), macro=INPUTS.macro.lazy(), news=INPUTS.news.lazy()
    )
    assert features_of(lazy).equals(WHOLE)


def test_named_features_come_alone_and_equal_those_of_the_whole():
    names = ["mom_252d_21d_rank", "vix"]
    rows = compute(INPUTS, start=EVER[0], end=EVER[1], as_of_offset=OFFSET, names=names)
    assert sorted(rows.columns[4:]) == sorted(names)
    assert rows.select(names).equals(WHOLE.select(names))


def test_bad_calls_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"names must be of the catalogue, were \['nope'\]"):
        compute(INPUTS, start=EVER[0], end=EVER[1], as_of_offset=OFFSET, names=["nope"])
    with pytest.raises(ValueError, match="as_of_offset must be 0 or more"):
        compute(INPUTS, start=EVER[0], end=EVER[1], as_of_offset=-OFFSET)
    with pytest.raises(ValueError, match="start must carry a time zone"):
        compute(INPUTS, start=datetime(2018, 1, 1), end=EVER[1], as_of_offset=OFFSET)  # noqa: DTZ001 - the naive time is the point
    mixed = make_bars().with_columns(interval=pl.lit("1h"))
    with pytest.raises(ValueError, match="bars must be of one interval"):
        features_of(make_inputs(bars=pl.concat([make_bars(), mixed])))


def test_a_span_without_sessions_gives_the_empty_table():
    rows = features_of(INPUTS, date(1990, 1, 1), date(1990, 2, 1))
    assert rows.is_empty()
    assert dict(rows.schema) == feature_schema()


def test_no_feature_reads_further_back_than_it_says():
    """One row more than the lookback is enough to know the last row of each bar feature."""
    bars = make_bars(instruments=3, seed=9, missing=0.0)
    wide = features_of(make_inputs(bars=bars))
    last = pl.col("event_time") == pl.col("event_time").max()
    for feature in CATALOG:
        reach = feature.lookback_sessions + 1
        kept = bars.sort("event_time").group_by("instrument_id").tail(reach + 1)
        if feature.source_tables != ("bars",) or reach >= LOOKBACK_SESSIONS_MAX:
            continue
        rows = compute(
            make_inputs(bars=kept), start=EVER[0], end=EVER[1], as_of_offset=OFFSET,
            names=[feature.name],
        )  # fmt: skip
        ours, theirs = (t.filter(last)[feature.name].to_numpy() for t in (rows, wide))
        np.testing.assert_array_equal(ours, theirs, err_msg=feature.name)
