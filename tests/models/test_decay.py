"""Decay: a feature that tells of tomorrow alone is worth less, the further it is asked."""

import numpy as np
import polars as pl
import pytest

from models.decay import ic_by_horizon
from tests.models.builders import make_bars


def test_a_feature_of_the_next_session_decays_with_the_horizon() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.01, (200, 8))
    closes = 100 * np.exp(np.cumsum(returns, axis=0))
    bars = pl.concat(
        make_bars(closes[:, k].tolist(), opens=closes[:, k].tolist(), instrument_id=f"US.{k}")
        for k in range(8)
    )
    # Entered at the open of the next bar (which is its close here), held to the one after.
    told = np.roll(returns, -2, axis=0) + rng.normal(0, 0.01, (200, 8))
    features = bars.select("instrument_id", "event_time").with_columns(
        tomorrow=pl.Series(told.T.ravel()), noise=pl.Series(rng.normal(size=1_600))
    )
    table = ic_by_horizon(features, bars, ["tomorrow", "noise"], horizons=(2, 5, 20))
    ics = table.filter(pl.col("feature") == "tomorrow")["rank_ic"].to_list()
    assert ics[0] > 0.5
    assert ics[0] > ics[1] > ics[2] > 0
    assert ics[1] == pytest.approx(ics[0] / 2, abs=0.1)  # one session's news among four
    assert table.filter(pl.col("feature") == "noise")["rank_ic"].abs().max() < 0.1


def test_a_feature_that_is_never_known_has_no_ic() -> None:
    bars = make_bars([1, 2, 3, 4])
    features = bars.select("instrument_id", "event_time", x=pl.lit(None, pl.Float64))
    assert ic_by_horizon(features, bars, ["x"], horizons=(1,)).row(0) == ("x", 1, None, 0.0, 0)
