"""Drift: moved features are named, and small samples are not called drift."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.drift import drift, weighted_psi


def frame(n: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"same": rng.normal(size=n), "moved": rng.normal(shift, scale, n)})


def test_a_moved_feature_is_first_and_a_still_one_is_stable() -> None:
    report = drift(frame(5_000, 0), frame(1_000, 1, shift=1.0))
    assert report["feature"].to_list() == ["moved", "same"]
    assert report["level"].to_list() == ["drifted", "stable"]
    assert report["mean_shift"][0] == pytest.approx(1.0, abs=0.15)


def test_psi_is_near_its_value_for_two_normals() -> None:
    """Two normals s apart have a symmetric divergence of s^2; ten bins show most of it."""
    psi = drift(frame(200_000, 0), frame(200_000, 1, shift=0.5)).row(0, named=True)["psi"]
    assert psi == pytest.approx(0.25, abs=0.03)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 50))
def test_the_distance_is_kolmogorovs_and_smirnovs(seed: int) -> None:
    one, two = frame(300, seed), frame(200, seed + 1, shift=0.2)
    report = drift(one, two).filter(pl.col("feature") == "moved").row(0, named=True)
    expected = stats.ks_2samp(one["moved"], two["moved"], method="asymp")
    assert report["ks"] == pytest.approx(expected.statistic)
    assert report["ks_p"] == pytest.approx(expected.pvalue, abs=0.04)


def test_a_small_sample_of_the_same_world_is_not_drift() -> None:
    levels = [
        drift(frame(3_000, 0), frame(30, seed)).filter(pl.col("feature") == "same")["level"][0]
        for seed in range(1, 41)
    ]
    assert levels.count("drifted") <= 6


def test_the_expected_noise_is_what_equal_samples_show() -> None:
    reports = [drift(frame(2_000, s), frame(500, s + 500)) for s in range(60)]
    shown = np.mean([r["psi"].mean() for r in reports])
    assert shown == pytest.approx(reports[0]["psi_noise"][0], rel=0.15)


def test_values_that_went_missing_are_drift() -> None:
    gone = frame(1_000, 1).with_columns(
        same=pl.when(pl.int_range(pl.len()) % 2 == 0).then(None).otherwise("same")
    )
    report = drift(frame(5_000, 0), gone).row(0, named=True)
    assert (report["feature"], report["level"]) == ("same", "drifted")
    assert report["null_share_current"] == 0.5


def test_a_feature_nobody_knows_any_more_is_drifted_all_the_way() -> None:
    gone = frame(100, 1).with_columns(moved=pl.lit(None, pl.Float64))
    report = drift(frame(1_000, 0), gone).row(0, named=True)
    assert (report["feature"], report["ks"], report["level"]) == ("moved", 1.0, "drifted")
    assert report["mean_shift"] is None


def test_a_constant_feature_that_stays_is_stable() -> None:
    same = pl.DataFrame({"flag": [1.0] * 50})
    assert drift(same, same)["level"].to_list() == ["stable"]


def test_drift_weighs_what_the_model_uses() -> None:
    report = drift(frame(5_000, 0), frame(1_000, 1, shift=1.0))
    moved = report["psi_excess"][0]
    shares = pl.DataFrame({"feature": ["same", "moved"], "gain_share": [0.75, 0.25]})
    assert weighted_psi(report, shares) == pytest.approx(
        0.25 * moved + 0.75 * report["psi_excess"][1]
    )
    unused = shares.with_columns(gain_share=pl.lit(0.0))
    assert np.isnan(weighted_psi(report, unused))


def test_frames_that_cannot_be_compared_say_why() -> None:
    with pytest.raises(ValueError, match="the current frame must have rows and \\['moved'\\]"):
        drift(frame(10, 0), frame(10, 1).drop("moved"))
    with pytest.raises(ValueError, match="the reference frame must have rows"):
        drift(frame(10, 0).clear(), frame(10, 1))


@pytest.mark.parametrize("other", [2.0, 8.0])
def test_a_constant_that_moves_either_way_is_drift(other: float) -> None:
    before, now = (pl.DataFrame({"held": [v] * 200}) for v in (5.0, other))
    assert drift(before, before)["psi"][0] == 0.0
    assert drift(before, now)["level"][0] == "drifted"


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0.02, 0.05, 0.3, 0.7, 0.95, 0.98]), st.integers(0, 20))
def test_the_index_of_two_values_is_that_of_their_shares(share: float, seed: int) -> None:
    """However rare one of them is, and whichever way it went."""
    rng = np.random.default_rng(seed)
    before, now = (pl.DataFrame({"on": 1.0 * (rng.random(4_000) < p)}) for p in (share, 0.5))
    p, q = (np.array([1.0 - m, m]) for m in (before["on"].mean(), now["on"].mean()))
    shown = drift(before, now)["psi"][0]
    assert shown == pytest.approx(float(((p - q) * np.log(p / q)).sum()), rel=1e-9)
