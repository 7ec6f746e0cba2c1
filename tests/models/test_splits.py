"""Splits: nothing fitted on may share a moment with what is judged, embargo included."""

from itertools import combinations
from math import comb

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.splits import Split, combinatorial_purged, purged_k_fold, walk_forward
from tests.models.builders import DAY, START

panels = st.builds(
    dict,
    sessions=st.integers(60, 120),
    names=st.integers(1, 3),
    horizon=st.integers(0, 8),
    embargo=st.integers(0, 6),
    seed=st.integers(0, 5),
)


def make_times(
    sessions: int, names: int, horizon: int, seed: int
) -> tuple[pl.Series, pl.Series, np.ndarray, np.ndarray]:
    """Event and label end times in random order, labels of random length up to the horizon."""
    rng = np.random.default_rng(seed)
    start = np.repeat(np.arange(sessions), names)
    rng.shuffle(start)
    end = start + rng.integers(0, horizon + 1, start.size)
    return (
        pl.Series([START + DAY * int(s) for s in start]),
        pl.Series([START + DAY * int(e) for e in end]),
        start,
        end,
    )


def assert_apart(split: Split, start: np.ndarray, end: np.ndarray, embargo: int) -> None:
    """No train label may overlap a test block's labels, or begin in the embargo after them."""
    for first, last in split.test_spans:
        low, high = (first - START).days, (last - START).days
        inside = (start >= low) & (start <= high)
        labels_over = max(int(end[inside].max()), high)
        train_start, train_end = start[split.train], end[split.train]
        overlapping = (train_end >= low) & (train_start <= labels_over + embargo)
        # Sessions end before the embargo may: the last session there is then bounds it.
        assert not overlapping.any()


@settings(max_examples=40, deadline=None)
@given(panels)
def test_k_fold_purges_every_overlap_and_the_embargo(p: dict[str, int]) -> None:
    times, ends, start, end = make_times(p["sessions"], p["names"], p["horizon"], p["seed"])
    splits = purged_k_fold(times, ends, folds=4, embargo_sessions=p["embargo"])
    for split in splits:
        assert_apart(split, start, end, p["embargo"])
    tested = np.concatenate([s.test for s in splits])
    assert np.array_equal(np.sort(tested), np.arange(start.size))


@settings(max_examples=25, deadline=None)
@given(panels)
def test_combinations_purge_around_each_of_their_blocks(p: dict[str, int]) -> None:
    times, ends, start, end = make_times(p["sessions"], p["names"], p["horizon"], p["seed"])
    splits = combinatorial_purged(
        times, ends, groups=5, test_groups=2, embargo_sessions=p["embargo"]
    )
    assert len(splits) == comb(5, 2)
    for split in splits:
        assert_apart(split, start, end, p["embargo"])
        assert len(split.test_spans) == 2
    counts = np.bincount(np.concatenate([s.test for s in splits]), minlength=start.size)
    assert (counts == comb(4, 1)).all()


@settings(max_examples=40, deadline=None)
@given(panels, st.sampled_from(["expanding", "rolling"]))
def test_walk_forward_fits_only_on_what_ended_before_the_embargo(
    p: dict[str, int], scheme: str
) -> None:
    times, ends, start, end = make_times(p["sessions"], p["names"], p["horizon"], p["seed"])
    splits = walk_forward(
        times,
        ends,
        folds=3,
        embargo_sessions=p["embargo"],
        scheme=scheme,
        train_sessions_min=30,
    )
    for split in splits:
        first = start[split.test].min()
        assert end[split.train].max() < first - p["embargo"]
    spans = [(start[s.test].min(), start[s.test].max()) for s in splits]
    assert all(a[1] < b[0] for a, b in combinations(spans, 2))
    assert spans[0][0] == 30
    assert spans[-1][1] == p["sessions"] - 1


def test_an_unpurged_split_would_have_overlapped() -> None:
    """The purge does work here: with long labels plain splitting would leak."""
    times, ends, start, end = make_times(80, 2, 8, seed=1)
    split = purged_k_fold(times, ends, folds=4, embargo_sessions=0)[1]
    low = start[split.test].min()
    plain = np.setdiff1d(np.arange(start.size), split.test)
    assert ((end[plain] >= low) & (start[plain] < low)).any()
    assert split.train.size < plain.size


def test_an_expanding_window_grows_and_a_rolling_one_does_not() -> None:
    times, ends, start, _ = make_times(300, 1, 2, seed=0)
    grown = walk_forward(times, ends, folds=4, scheme="expanding", train_sessions_min=100)
    rolled = walk_forward(times, ends, folds=4, scheme="rolling", train_sessions_min=100)
    assert [s.train.size for s in grown] == sorted(s.train.size for s in grown)
    assert all(start[s.test].min() - start[s.train].min() == 100 for s in rolled)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 0}, "folds must be in 1..100, was 0"),
        ({"embargo_sessions": -1}, "embargo_sessions must be in"),
        ({"train_sessions_min": 39}, "2 sessions each to test on, had 1"),
        ({"scheme": "random"}, "scheme must be"),
    ],
)
def test_settings_that_cannot_be_split_say_why(change: dict[str, object], message: str) -> None:
    times, ends, *_ = make_times(40, 1, 1, seed=0)
    good: dict[str, object] = {"folds": 2, "embargo_sessions": 1, "train_sessions_min": 20}
    with pytest.raises(ValueError, match=message):
        walk_forward(times, ends, **{**good, **change})  # type: ignore[arg-type]  # wrong on purpose


def test_labels_that_end_before_they_begin_or_never_are_refused() -> None:
    times, ends, *_ = make_times(40, 1, 1, seed=0)
    with pytest.raises(ValueError, match="must not end before"):
        walk_forward(times, ends - DAY * 50, folds=2, train_sessions_min=20)
    with pytest.raises(ValueError, match="must not be null"):
        walk_forward(times, pl.Series([None] * 40, dtype=ends.dtype), folds=2)
