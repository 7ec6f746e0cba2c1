"""The fused pass against the same features written as polars expressions."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.kernels import FUSED_NAMES, FusedSettings, panel
from features.kernels.fused_clean import log_volume


def polars_expressions(n: int = 20, fast: int = 12, slow: int = 26) -> list[pl.Expr]:
    """Return the fourteen features the slow way; regressions through covariances with time."""
    c, h, low, v = (pl.col(k).cast(pl.Float64) for k in ("close", "high", "low", "volume"))
    t = pl.when(c.is_not_null()).then(pl.int_range(pl.len()).cast(pl.Float64))
    covariance = pl.rolling_cov(c, t, window_size=n)
    slope = covariance / ((n * n - 1) / 12 * n / (n - 1))
    top, bottom = h.rolling_max(n), low.rolling_min(n)
    gap = c.ewm_mean(span=fast, adjust=True) - c.ewm_mean(span=slow, adjust=True)
    features = {
        "ROC": c.shift(n) / c,
        "MA": c.rolling_mean(n) / c,
        "STD": c.rolling_std(n) / c,
        "BETA": slope / c,
        "RSQR": pl.rolling_corr(c, t, window_size=n) ** 2,
        "RESI": (c - c.rolling_mean(n) - slope * (n - 1) / 2) / c,
        "MAX": top / c,
        "MIN": bottom / c,
        "QTLU": c.rolling_quantile(0.8, interpolation="linear", window_size=n) / c,
        "RSV": (c - bottom) / (top - bottom + 1e-12),
        "CORR": pl.rolling_corr(c, (v + 1).log(), window_size=n),
        "CNTP": (c > c.shift(1)).cast(pl.Float64).rolling_mean(n),
        "VSTD": v.rolling_std(n) / (v + 1e-12),
        "MACD": gap / c,
    }
    return [e.over("symbol").alias(k) for k, e in features.items()]


def make_bars(seed: int = 0, lengths: tuple[int, ...] = (600, 5, 40), missing: float = 0.0):
    """Return random walks, one instrument after another, some values null."""
    rng = np.random.default_rng(seed)
    parts = []
    for k, n in enumerate(lengths):
        close = 30.0 * np.exp(np.cumsum(0.02 * rng.standard_normal(n)))
        wick = np.abs(rng.standard_normal((2, n))) * 0.01
        data = {
            "close": close,
            "high": close * (1 + wick[0]),
            "low": close * (1 - wick[1]),
            "volume": rng.integers(1_000_000, 9_000_000, n).astype(float),
        }
        columns = {
            name: pl.Series(values).set(pl.Series(rng.random(n) < missing), None)
            for name, values in data.items()
        }
        parts.append(pl.DataFrame({"symbol": [f"S{k}"] * n, **columns}))
    return pl.concat(parts)


def assert_agrees(bars: pl.DataFrame, window: int = 20) -> None:
    """Compare column by column: the same nulls, and values equal to 1e-6 of their own scale."""
    ours = panel(bars, by="symbol", settings=FusedSettings(window=window))
    theirs = bars.select("symbol", *polars_expressions(window))
    for name in FUSED_NAMES:
        a, b = ours[name].cast(pl.Float64), theirs[name]
        assert a.is_null().to_list() == b.is_null().to_list(), name
        x, y = a.drop_nulls().to_numpy(), b.drop_nulls().to_numpy()
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6, equal_nan=True, err_msg=name)


def test_values_agree_with_polars():
    assert_agrees(make_bars())


def test_single_precision_columns_agree_with_polars():
    prices = pl.col("close", "high", "low", "volume").cast(pl.Float32)
    assert_agrees(make_bars().with_columns(prices))


def test_nulls_stand_where_polars_has_them():
    assert_agrees(make_bars(missing=0.01, lengths=(300, 400, 10, 25)))


def test_one_null_leaves_the_other_instruments_on_the_fast_path_unchanged():
    bars = make_bars(lengths=(300, 300))
    first = pl.col("symbol") == "S0"
    row = pl.int_range(pl.len())
    holed = bars.with_columns(pl.when(~(first & (row == 150))).then(pl.col("close")))
    whole, partial = panel(bars, by="symbol"), panel(holed, by="symbol")
    assert whole[300:].equals(partial[300:])
    assert partial["MA"][150:170].null_count() == 20


@settings(max_examples=20, deadline=None)
@given(
    window=st.integers(3, 60),
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(1, 120), min_size=1, max_size=4),
)
def test_any_window_and_any_lengths_agree_with_polars(window, seed, lengths):
    assert_agrees(make_bars(seed, tuple(lengths)), window)


def test_ties_and_flat_prices_keep_the_quantile_and_the_extremes_exact():
    close = [5.0, 5.0, 7.0, 5.0, 7.0, 7.0, 5.0, 5.0, 5.0, 5.0] * 6
    flat = pl.Series(close)
    bars = pl.DataFrame(
        {"symbol": ["A"] * 60, "close": flat, "high": flat, "low": flat, "volume": flat * 100}
    )
    ours = panel(bars, ("QTLU", "MAX", "MIN"), by="symbol")
    theirs = bars.select("symbol", *polars_expressions()).select(ours.columns)
    assert ours.equals(theirs.cast(pl.Float32))


def test_a_long_history_at_a_high_price_costs_no_digits():
    rng = np.random.default_rng(1)
    close = 1e6 + np.cumsum(rng.standard_normal(20_000))
    bars = pl.DataFrame(
        {"symbol": ["A"] * 20_000, "close": close, "high": close, "low": close, "volume": close}
    )
    ours = panel(bars, ("STD",), by="symbol")["STD"].to_numpy()
    exact = np.array([close[i - 19 : i + 1].std(ddof=1) / close[i] for i in range(19, 20_000)])
    np.testing.assert_allclose(ours[19:], exact, rtol=1e-6)


def test_nan_and_infinity_give_nan_in_their_windows_and_nowhere_else():
    for bad in (math.nan, math.inf):
        bars = make_bars(lengths=(120,))
        bars[50, "close"] = bad
        ours = panel(bars, ("MA", "STD", "BETA", "QTLU", "CORR"), by="symbol")
        for name in ours.columns:
            assert ours[name][50:70].is_nan().all(), name
            assert ours[name][19:50].is_finite().all(), name
            assert ours[name][70:].is_finite().all(), name


def test_two_threads_give_the_same_bits_as_one():
    bars = make_bars(lengths=(300, 200, 100, 50))
    assert panel(bars, by="symbol").equals(panel(bars, by="symbol", threads=2))


def test_scattered_rows_and_unknown_names_are_refused():
    bars = make_bars(lengths=(30, 30))
    mixed = bars.gather([0, 30, 1, 31])
    with pytest.raises(ValueError, match="must stand together"):
        panel(mixed, by="symbol")
    with pytest.raises(ValueError, match="names must be of"):
        panel(bars, ("NOPE",), by="symbol")


def test_no_rows_give_no_rows():
    assert panel(make_bars(lengths=(3,)).clear(), by="symbol").columns == list(FUSED_NAMES)


@pytest.mark.parametrize("bad", [{"window": 2}, {"quantile": 1.5}, {"fast": 26, "slow": 12}])
def test_settings_out_of_bounds_are_refused(bad):
    with pytest.raises(ValueError, match="must"):
        FusedSettings(**bad)


def test_a_price_that_stands_still_is_no_fault() -> None:
    """It spreads nowhere and correlates with nothing; a division by it once ended the run."""
    still = {"close": [10.0] * 50, "high": [10.0] * 50, "low": [10.0] * 50, "volume": [7.0] * 50}
    last = panel(pl.DataFrame({"symbol": ["S"] * 50, **still}), by="symbol").tail(1).row(0)
    found = dict(zip(FUSED_NAMES, last, strict=True))
    assert (found["MA"], found["STD"], found["BETA"], found["VSTD"]) == (1.0, 0.0, 0.0, 0.0)
    assert math.isnan(found["RSQR"])
    assert math.isnan(found["CORR"])
    halted = panel(pl.DataFrame({"symbol": ["S"] * 50, **still, "close": [0.0] * 50}), by="symbol")
    assert halted["MA"].tail(1).is_nan().all()


def test_the_logarithm_of_the_volume_is_that_of_the_c_library_to_two_units() -> None:
    """Whole, broken and large volumes; nothing below minus one has one."""
    volume = np.concatenate([np.arange(5_000.0), 10.0 ** np.linspace(-9, 15, 5_000)])
    found = np.empty_like(volume)
    log_volume(volume, np.empty_like(volume), found)
    expected = np.log(volume + 1.0)
    assert (np.abs(found - expected) <= 2 * np.spacing(expected)).all()
    odd = np.array([-1.0, -2.0, math.nan])
    log_volume(odd.copy(), np.empty(3), odd)
    assert odd[0] == -math.inf
    assert np.isnan(odd[1:]).all()
