"""Evaluation: known forecasts give known figures, and costs and overlap are counted."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from models.evaluation import EvaluationSettings, evaluate
from models.reliability import reliability
from models.statistics import mean_t
from tests.models.builders import START, make_panel_frame


def make_predictions(
    sessions: int = 120, names: int = 10, *, skill: float = 0.3, horizon: int = 1, seed: int = 0
) -> pl.DataFrame:
    """Forecasts that share `skill` of their variance's root with what comes."""
    frame = make_panel_frame(sessions, names, signal=skill, horizon=horizon, seed=seed)
    return frame.select(
        "instrument_id",
        "event_time",
        "label_end_time",
        "forward_return",
        forecast=pl.col("f0"),
        expected_return=pl.col("f0") * 0.02 * skill,
    )


def test_rank_ic_is_spearman_of_each_decision() -> None:
    rows = make_predictions()
    judged = evaluate(rows)
    expected = [
        stats.spearmanr(part["forecast"], part["forward_return"])[0]
        for part in rows.partition_by("event_time", maintain_order=True)
    ]
    assert judged.by_decision["rank_ic"].to_numpy() == pytest.approx(expected)
    assert judged.metrics["rank_ic"] == pytest.approx(np.mean(expected))
    assert judged.metrics["icir"] == pytest.approx(np.mean(expected) / np.std(expected, ddof=1))
    assert judged.metrics["rank_ic_t"] == pytest.approx(mean_t(expected, lags=1))
    assert judged.metrics["rank_ic_low"] < np.mean(expected) < judged.metrics["rank_ic_high"]


def test_the_spread_is_top_less_bottom_quantile() -> None:
    rows = make_predictions(names=10)
    judged = evaluate(rows, EvaluationSettings(quantiles=5))
    spreads = []
    for part in rows.partition_by("event_time", maintain_order=True):
        ordered = part.sort("forecast")["forward_return"].to_numpy()
        spreads.append(ordered[-2:].mean() - ordered[:2].mean())
    assert judged.by_decision["spread"].to_numpy() == pytest.approx(spreads)
    assert judged.metrics["monotonicity"] > 0.8


def test_a_perfect_forecast_is_perfect_and_its_mirror_is_as_bad() -> None:
    rows = make_predictions().with_columns(forecast=pl.col("forward_return"))
    good = evaluate(rows).metrics
    bad = evaluate(rows.with_columns(forecast=-pl.col("forward_return"))).metrics
    assert good["rank_ic"] == pytest.approx(1)
    assert bad["rank_ic"] == pytest.approx(-1)
    assert (good["hit_rate"], bad["hit_rate"]) == (1.0, 0.0)
    assert good["spread"] == pytest.approx(-bad["spread"])


def test_a_book_that_never_changes_pays_only_for_its_opening() -> None:
    frame = make_predictions(sessions=60).with_columns(
        forecast=pl.col("instrument_id").str.slice(3).cast(pl.Float64)
    )
    judged = evaluate(frame, EvaluationSettings(overlap=0, cost_bps=10))
    turnover = judged.by_decision["turnover"].to_list()
    assert turnover == [1.0] + [0.0] * 59
    cost = (judged.by_decision["spread"] - judged.by_decision["spread_net"]).to_list()
    # One unit long and one short are bought: two units traded at 10 bps.
    assert cost == pytest.approx([0.002] + [0.0] * 59)


def test_a_book_that_turns_over_each_time_pays_for_both_legs_each_time() -> None:
    frame = make_predictions(sessions=40).with_columns(
        forecast=pl.col("instrument_id").str.slice(3).cast(pl.Float64)
        * pl.when(((pl.col("event_time") - START).dt.total_days() % 2) == 0).then(1).otherwise(-1)
    )
    turnover = evaluate(frame, EvaluationSettings(overlap=0)).by_decision["turnover"].to_list()
    assert turnover == [1.0] + [2.0] * 39
    # Two cohorts, each of which sees every second decision only, never change.
    two = evaluate(frame, EvaluationSettings(overlap=1))
    assert two.by_decision["turnover"].to_list() == [1.0, 1.0] + [0.0] * 38


def test_overlap_is_read_off_the_labels_and_widens_the_errors() -> None:
    one, five = make_predictions(horizon=1), make_predictions(horizon=5)
    apart, together = evaluate(one), evaluate(five)
    assert together.by_decision["strategy_return"][0] == pytest.approx(
        together.by_decision["spread_net"][0] / 5
    )
    assert apart.by_decision["strategy_return"][0] == apart.by_decision["spread_net"][0]
    ratio = together.quantiles["error"].to_numpy() / apart.quantiles["error"].to_numpy()
    assert ratio == pytest.approx(np.sqrt(5))


def test_honest_expectations_have_slope_one_and_doubled_ones_a_half() -> None:
    rows = make_predictions(sessions=400, names=20)
    honest = evaluate(rows).metrics
    doubled = evaluate(rows.with_columns(expected_return=2 * pl.col("expected_return"))).metrics
    assert honest["calibration_slope"] == pytest.approx(1, abs=0.1)
    assert doubled["calibration_slope"] == pytest.approx(0.5, abs=0.05)
    assert honest["r2_out_of_sample"] == pytest.approx(0.09 / 1.09, abs=0.03)
    assert honest["calibration_error"] < doubled["calibration_error"]


def test_equal_expectations_are_one_bin() -> None:
    table, figures = reliability(np.zeros(50), np.linspace(-1, 1, 50))
    assert table["count"].to_list() == [50]
    assert "calibration_slope" not in figures


def test_rows_without_forecast_or_return_do_not_count() -> None:
    rows = make_predictions()
    holed = pl.concat(
        [
            rows,
            rows.head(50).with_columns(
                event_time=pl.col("event_time") - timedelta(hours=1),
                forecast=pl.lit(None, pl.Float64),
            ),
        ]
    )
    assert evaluate(holed).metrics == evaluate(rows).metrics


def test_decisions_with_too_few_names_have_no_ic_and_no_spread() -> None:
    rows = make_predictions().with_row_index("row")
    thin = rows.filter((pl.col("row") >= 10) | (pl.col("row") < 3)).drop("row")
    first = evaluate(thin).by_decision.row(0, named=True)
    assert first["names"] == 3
    assert first["rank_ic"] is None
    assert first["spread"] is None


def test_every_metric_is_finite() -> None:
    constant = make_predictions().with_columns(forecast=pl.lit(0.0), expected_return=pl.lit(0.0))
    assert all(np.isfinite(v) for v in evaluate(constant).metrics.values())


def test_nothing_to_judge_and_settings_out_of_bounds_say_so() -> None:
    with pytest.raises(ValueError, match="had none"):
        evaluate(make_predictions().with_columns(forecast=pl.lit(None, pl.Float64)))
    with pytest.raises(ValueError, match="predictions must have"):
        evaluate(make_predictions().drop("forecast"))
    with pytest.raises(ValueError, match=r"quantiles must be in 2\.\.100, was 1"):
        EvaluationSettings(quantiles=1)
    with pytest.raises(ValueError, match="confidence must be in"):
        EvaluationSettings(confidence=1.0)


def test_the_sharpe_of_overlapping_spreads_is_that_of_one_cohort_not_of_their_sum() -> None:
    """Five decisions in a row that share one label must not look like five bets."""
    rows = make_predictions(sessions=600, horizon=5, skill=0.1)
    judged = evaluate(rows, EvaluationSettings(cost_bps=0))
    net = judged.by_decision["spread_net"].to_numpy()
    one = [net[k::5].mean() / net[k::5].std(ddof=1) * np.sqrt(252 / 5) for k in range(5)]
    assert judged.overlap == 4
    assert judged.metrics["spread_sharpe"] == pytest.approx(np.mean(one))
    assert judged.apart().tolist() == net[::5].tolist()
