"""A revision costs what it reaches, and gives the bits of a table computed anew."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from features.catalog import CATALOG, LOOKBACK_SESSIONS_MAX, FeatureInputs, compute
from features.catalog import histories as histories_module
from features.catalog.histories import Histories
from features.catalog.versions import read_versions
from tests.features.catalog.builders import (
    OFFSET,
    make_bars,
    make_macro,
    make_news,
    make_sessions,
)

COUNT = 330
SESSIONS = make_sessions(COUNT)
END = SESSIONS[-1] + timedelta(days=1)
LOOKBACK = LOOKBACK_SESSIONS_MAX + 1
FIRST_REVISED = 280


def restated(bars: pl.DataFrame, session: int, name: str, since: int, factor: float):
    """Return later versions of an instrument's bars from one session on, as a split makes them."""
    own = pl.col("instrument_id") == name
    old = pl.col("event_time").is_between(SESSIONS[since], SESSIONS[session], closed="left")
    prices = pl.col("open", "high", "low", "close") * factor
    known = SESSIONS[session] + OFFSET / 2
    return bars.filter(own & old).with_columns(
        prices, pl.col("volume") / factor, knowledge_time=pl.lit(known)
    )


def market_restated_nightly(instruments: int = 5) -> pl.DataFrame:
    """Return bars of which each night one name is restated, single bars come late or again."""
    bars = make_bars(sessions=COUNT, instruments=instruments, missing=0.02)
    rng = np.random.default_rng(11)
    tardy = pl.Series(rng.random(bars.height) < 0.01)
    tardy_time = pl.col("knowledge_time") + timedelta(days=9)
    first = bars.with_columns(
        knowledge_time=pl.when(tardy).then(tardy_time).otherwise(pl.col("knowledge_time"))
    )
    parts = [first]
    for night in range(FIRST_REVISED, COUNT, 2):
        since = int(rng.choice([0, night - 3, night - 40, night - 200]))
        name = f"US.T{night // 2 % instruments}"
        parts.append(restated(bars, night, name, since, float(rng.uniform(0.4, 1.1))))
    return pl.concat(part.select(bars.columns) for part in parts)


def features_of(bars: pl.DataFrame, start: object = SESSIONS[0], end: object = END) -> pl.DataFrame:
    inputs = FeatureInputs(bars=bars, macro=make_macro(), news=make_news())
    return compute(inputs, start=start, end=end, as_of_offset=OFFSET)  # type: ignore[arg-type]  # times


def computed_anew(bars: pl.DataFrame, session: int) -> pl.DataFrame:
    """Return the session's features by brute force: one version of each bar, no other is there."""
    as_of = SESSIONS[session] + OFFSET
    known = (
        bars.filter(pl.col("knowledge_time") <= as_of)
        .sort("knowledge_time", maintain_order=True)
        .unique(["instrument_id", "event_time"], keep="last", maintain_order=True)
    )
    own = known.with_columns(
        knowledge_time=pl.min_horizontal("knowledge_time", pl.col("event_time") + OFFSET)
    )
    at = SESSIONS[session]
    return features_of(own, at, at + timedelta(seconds=1))


def hashes(rows: pl.DataFrame) -> list[int]:
    return rows.hash_rows(seed=7).to_list()


RESTATED = market_restated_nightly()


@pytest.mark.parametrize("session", [281, 283, 284, 300, 317, 329])
def test_restated_bars_give_the_bits_of_a_table_computed_anew_at_the_decision(session: int):
    ours = features_of(RESTATED).filter(pl.col("event_time") == SESSIONS[session])
    expected = computed_anew(RESTATED, session)
    names = ["instrument_id", "event_time", "as_of", *(f.name for f in CATALOG)]
    assert ours.height >= 3
    assert hashes(ours.select(names)) == hashes(expected.select(names))


def test_a_row_was_known_when_the_newest_version_in_its_reach_was():
    bars = RESTATED
    rows = compute(FeatureInputs(bars=bars), start=SESSIONS[0], end=END, as_of_offset=OFFSET)
    for session in (150, 281, 300, 329):
        ours = rows.filter(pl.col("event_time") == SESSIONS[session])
        known = (
            bars.filter(pl.col("knowledge_time") <= SESSIONS[session] + OFFSET)
            .sort("knowledge_time", maintain_order=True)
            .unique(["instrument_id", "event_time"], keep="last", maintain_order=True)
        )
        for name, at, told in ours.select(
            "instrument_id", "event_time", "knowledge_time"
        ).iter_rows():
            times = known.filter(pl.col("instrument_id") == name)["event_time"].sort()
            oldest = times.filter(times <= at)[-(LOOKBACK_SESSIONS_MAX + 1) :].min()
            inside = known.filter(pl.col("event_time").is_between(oldest, at))
            assert told == inside["knowledge_time"].max()


def test_a_span_of_restated_bars_in_pieces_has_the_bits_of_the_span_at_once(
    monkeypatch: pytest.MonkeyPatch,
):
    whole = features_of(RESTATED)
    edges = [SESSIONS[0], SESSIONS[285], SESSIONS[306], END]
    pieces = [features_of(RESTATED, a, b) for a, b in pairwise(edges)]
    assert hashes(pl.concat(pieces)) == hashes(whole)
    monkeypatch.setattr(histories_module, "_PANEL_ROWS", 700)
    assert hashes(features_of(RESTATED)) == hashes(whole)


def read_histories(bars: pl.DataFrame) -> Histories:
    return Histories(read_versions(bars.lazy(), END, OFFSET), SESSIONS[0])


def own_rows(histories: Histories, lookback: int = LOOKBACK) -> pl.DataFrame:
    return pl.concat([panel for panel, _ in histories.own(lookback)])


def test_a_restated_name_costs_its_own_lookback_and_no_other_instrument():
    bars = make_bars(sessions=COUNT, instruments=6, missing=0.0)
    nights = range(300, 320)
    late = [restated(bars, n, "US.T1", 0, 0.99**n).select(bars.columns) for n in nights]
    rows = own_rows(read_histories(pl.concat([bars, *late])))
    assert rows.filter("wanted").height == bars.height
    lengths = dict(rows.group_by("instrument_id").len().iter_rows())
    assert {lengths[f"US.T{k}"] for k in (0, 2, 3, 4, 5)} == {COUNT}
    assert lengths["US.T1"] == COUNT + len(nights) * LOOKBACK


def test_a_revision_that_no_window_reaches_costs_nothing():
    bars = make_bars(sessions=COUNT, instruments=3, missing=0.0)
    late = restated(bars, COUNT - 2, "US.T1", 0, 0.5)
    old = late.filter(pl.col("event_time") < SESSIONS[COUNT - 2 - LOOKBACK - 1])
    histories = read_histories(pl.concat([bars, old.select(bars.columns)]))
    assert own_rows(histories)["segment"].n_unique() == 3
    assert own_rows(histories).height == bars.height
    (panel, _), = histories.market(64)  # fmt: skip
    assert panel.height == bars.height


def test_the_market_is_read_anew_as_far_back_as_its_features_look():
    bars = make_bars(sessions=COUNT, instruments=6, missing=0.0)
    late = restated(bars, COUNT - 2, "US.T1", 0, 0.5).select(bars.columns)
    panels = [p for p, _ in read_histories(pl.concat([bars, late])).market(64)]
    # The two decisions after the restatement, 64 sessions and the one before them.
    assert sum(p.height for p in panels) == 6 * (COUNT - 2) + 6 * (2 + 64 + 1)
    assert sum(p["wanted"].sum() for p in panels) == bars.height


def test_features_of_the_market_are_known_by_what_they_read():
    names = {f.name for f in CATALOG if f.reads_market}
    assert names == {"beta_63d", "idio_vol_63d", "market_ret_1d"}


def test_a_long_table_of_restated_bars_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(histories_module, "_PANEL_ROWS", 700)
    told: list[str] = []
    compute(
        FeatureInputs(bars=RESTATED),
        start=SESSIONS[0],
        end=END,
        as_of_offset=OFFSET,
        progress=told.append,
    )
    assert "20% of the features within 21 sessions; old bars were revised" in told
    assert any("of the features of the market" in line for line in told)


def test_bars_before_1970_are_revised_like_others():
    back = timedelta(days=365 * 60)
    moved = RESTATED.with_columns(pl.col("event_time", "knowledge_time") - back)
    rows = compute(
        FeatureInputs(bars=moved), start=SESSIONS[0] - back, end=END - back, as_of_offset=OFFSET
    )
    today = compute(FeatureInputs(bars=RESTATED), start=SESSIONS[0], end=END, as_of_offset=OFFSET)
    names = [f.name for f in CATALOG if f.family != "calendar"]
    assert hashes(rows.select(names)) == hashes(today.select(names))
