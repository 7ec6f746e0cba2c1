"""The rolling kernels against their definitions, window by window."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.kernels import expressions as kernels

VALUES = st.lists(
    st.one_of(st.none(), st.floats(-100, 100).map(lambda x: round(x, 3))), min_size=1, max_size=60
)


def run(expr: pl.Expr, *segments: list[float | None], **columns: list[float | None]) -> list:
    """Evaluate the expression over x, the instruments' values laid one after another."""
    codes = [k for k, s in enumerate(segments) for _ in s]
    data = {"x": [v for s in segments for v in s], **columns}
    frame = pl.DataFrame(
        {"segment": codes, **data}, schema_overrides=dict.fromkeys(data, pl.Float64)
    )
    return frame.select(expr.alias("out"))["out"].to_list()


def by_definition(segment: list[float | None], window: int, least: int, rule) -> list:
    """Apply the rule to the known values of each whole window."""
    out: list[float | None] = []
    for i in range(len(segment)):
        values = [v for v in segment[max(0, i - window + 1) : i + 1] if v is not None]
        whole = i >= window - 1
        out.append(rule(np.array(values)) if whole and len(values) >= least else None)
    return out


def assert_close(ours: list, theirs: list) -> None:
    """Compare two columns with nulls."""
    assert [v is None for v in ours] == [v is None for v in theirs]
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None]
    for a, b in pairs:
        assert a == pytest.approx(b, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(first=VALUES, second=VALUES, window=st.integers(2, 12), least=st.integers(2, 4))
def test_moments_and_extremes_are_those_of_the_window_alone(first, second, window, least):
    least = min(least, window)
    rules = {
        "mean": np.mean,
        "std": lambda a: np.std(a, ddof=1),
        "downside": lambda a: np.sqrt(np.mean(np.minimum(a, 0) ** 2)),
        "max": np.max,
        "min": np.min,
    }
    for kind, rule in rules.items():
        make = kernels.extreme if kind in ("max", "min") else kernels.moment
        ours = run(make(pl.col("x"), kind, window, least), first, second)
        expected = [v for s in (first, second) for v in by_definition(s, window, least, rule)]
        assert_close(ours, expected)


def test_skewness_is_the_third_moment_over_the_spread_cubed():
    values = list(np.random.default_rng(3).exponential(size=50))
    ours = run(kernels.moment(pl.col("x"), "skew", 20), values)
    theirs = pl.Series(values).rolling_skew(20, bias=True).to_list()
    assert_close(ours, theirs)


def test_a_flat_window_has_no_skewness():
    assert run(kernels.moment(pl.col("x"), "skew", 3), [2.0] * 5) == [None] * 5


def test_the_exponential_mean_weighs_by_age_and_its_weights_sum_to_one():
    values = list(np.random.default_rng(4).normal(size=30))
    ours = run(kernels.exponential(pl.col("x"), 0.9, 10), values)
    weights = 0.9 ** np.arange(9, -1, -1)
    expected = by_definition(values, 10, 10, lambda a: a @ weights / weights.sum())
    assert_close(ours, expected)


def test_regression_gives_slope_residual_and_t_statistic_of_least_squares():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=40), rng.normal(size=40)
    y += 1.5 * x
    for kind, pick in (("beta", 0), ("residual_std", 1), ("t_statistic", 2)):
        expr = kernels.regression(pl.col("y"), pl.col("x"), kind, 15)
        ours = run(expr, list(x), y=list(y))
        for i in range(14, 40):
            a, b = x[i - 14 : i + 1], y[i - 14 : i + 1]
            slope, intercept = np.polyfit(a, b, 1)
            residual = np.sqrt(np.sum((b - slope * a - intercept) ** 2) / 13)
            t = slope / (residual / np.sqrt(np.sum((a - a.mean()) ** 2)))
            assert ours[i] == pytest.approx((slope, residual, t)[pick], rel=1e-9)


def test_a_trend_is_the_regression_on_time_wherever_the_rows_begin():
    rng = np.random.default_rng(6)
    values: list[float | None] = list(rng.normal(size=40))
    values[12] = values[23] = None
    on_time = kernels.regression(pl.col("x"), pl.col("place"), "t_statistic", 21)
    ours = run(kernels.trend_t_statistic(pl.col("x"), 21), values)
    assert_close(ours, run(on_time, values, place=[*map(float, range(1000, 1040))]))
    assert run(kernels.trend_t_statistic(pl.col("x"), 21), values[7:])[20:] == ours[27:]


def test_a_regression_on_a_constant_has_no_slope():
    ours = run(
        kernels.regression(pl.col("y"), pl.col("x"), "beta", 5),
        [1.0] * 8,
        y=[*map(float, range(8))],
    )
    assert ours == [None] * 8


def test_a_window_of_one_row_is_refused():
    with pytest.raises(ValueError, match="window must be at least 2 rows, was 1"):
        kernels.moment(pl.col("x"), "mean", 1)
    with pytest.raises(ValueError, match="decay must lie strictly between 0 and 1, was 1"):
        kernels.exponential(pl.col("x"), 1.0, 5)
