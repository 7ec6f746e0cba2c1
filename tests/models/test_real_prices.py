"""On real prices: labels agree with a plain loop, and shuffled outcomes teach a model nothing."""

import numpy as np
import polars as pl
import pytest

from models.evaluation import evaluate
from models.labels import forward_returns
from models.settings import TrainingSettings
from models.training import train
from tests.shared_data import SHARED, needs_shared_data

PRICES = SHARED / "equities_sp500_5yr" / "vintage_2018-02-09.parquet"


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    """Forty names over five years; the close of a day is taken as 21:00 UTC."""
    raw = pl.read_parquet(PRICES)
    kept = raw["symbol"].unique().sort().head(40)
    close = pl.col("date").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=21)
    return (
        raw.filter(pl.col("symbol").is_in(kept.implode()))
        .select(
            pl.col("symbol").alias("instrument_id"),
            close.alias("event_time"),
            (close + pl.duration(minutes=15)).alias("knowledge_time"),
            pl.col("open", "close").cast(pl.Float64),
        )
        .sort("instrument_id", "event_time")
    )


@needs_shared_data
def test_labels_of_real_bars_are_what_a_plain_loop_finds(bars: pl.DataFrame) -> None:
    labels = forward_returns(bars, 5, 4.0, gap_days_max=400)
    for instrument in ("AAL", "AAPL", "ABBV"):
        own = bars.filter(pl.col("instrument_id") == instrument).rows(named=True)
        found = labels.filter(pl.col("instrument_id") == instrument)["net_return"].to_list()
        for k in range(0, len(own) - 6, 17):
            if own[k + 1]["open"] is None:
                continue
            gross = own[k + 5]["close"] / own[k + 1]["open"] - 1
            net = np.sign(gross) * max(0.0, abs(gross) - 0.0008)
            assert found[k] == pytest.approx(net, abs=1e-12)


@needs_shared_data
def test_outcomes_shuffled_among_names_teach_nothing(bars: pl.DataFrame) -> None:
    close = pl.col("close")
    features = bars.with_columns(
        (close / close.shift(n) - 1).over("instrument_id").alias(f"mom_{n}d") for n in (5, 21, 63)
    )
    labels = forward_returns(bars, 5, 4.0, risk_scaled=True)
    frame = features.select(
        "instrument_id", "event_time", "knowledge_time", "mom_5d", "mom_21d", "mom_63d"
    ).join(labels, on=["instrument_id", "event_time"])
    frame = frame.filter(pl.col("label").is_not_null()).with_columns(
        pl.col("label", "forward_return").shuffle(seed=1).over("event_time")
    )
    trained = train(frame, TrainingSettings(trials=1, folds=2, rounds_max=10, workers=1))
    judged = evaluate(trained.holdout).metrics
    assert abs(judged["rank_ic"]) < 0.03
    assert abs(judged["rank_ic_t"]) < 3
    assert trained.baselines["rank_ic"].abs().max() < 0.03
