"""Builders of bars and labelled panels that are valid by default."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

START = datetime(2020, 1, 1, 21, tzinfo=UTC)
DAY = timedelta(days=1)


def make_bars(
    closes: Sequence[float | None],
    *,
    instrument_id: str = "US.A",
    opens: Sequence[float | None] | None = None,
    days: Sequence[int] | None = None,
    source: str = "test",
    adjustment: str = "total_return",
) -> pl.DataFrame:
    """One instrument's daily bars, known a quarter of an hour after each close."""
    times = [START + DAY * d for d in (days or range(len(closes)))]
    return pl.DataFrame(
        {
            "instrument_id": [instrument_id] * len(closes),
            "interval": ["1d"] * len(closes),
            "event_time": times,
            "knowledge_time": [t + timedelta(minutes=15) for t in times],
            "open": list(opens) if opens is not None else [None] * len(closes),
            "close": list(closes),
            "adjustment": [adjustment] * len(closes),
            "source": [source] * len(closes),
        },
        schema_overrides={
            "open": pl.Float64,
            "close": pl.Float64,
            "event_time": pl.Datetime("us", "UTC"),
            "knowledge_time": pl.Datetime("us", "UTC"),
        },
    )


def make_panel_frame(
    sessions: int = 260,
    names: int = 12,
    *,
    signal: float = 0.0,
    features: int = 4,
    horizon: int = 3,
    seed: int = 0,
) -> pl.DataFrame:
    """A labelled feature table in which feature f0 carries `signal` deviations of the label."""
    rng = np.random.default_rng(seed)
    rows = sessions * names
    x = rng.normal(size=(rows, features))
    returns = 0.02 * (signal * x[:, 0] + rng.normal(size=rows))
    session = np.repeat(np.arange(sessions), names)
    times = [START + DAY * int(s) for s in session]
    return pl.DataFrame(
        {
            "instrument_id": [f"US.{k:03d}" for k in np.tile(np.arange(names), sessions)],
            "event_time": times,
            "knowledge_time": [t + timedelta(minutes=15) for t in times],
            "as_of": [t + timedelta(hours=2) for t in times],
            **{f"f{k}": x[:, k] for k in range(features)},
            "label_end_time": [t + DAY * horizon for t in times],
            "label_knowledge_time": [t + DAY * horizon + timedelta(minutes=15) for t in times],
            "forward_return": returns,
            "label": returns,
        },
        schema_overrides={
            c: pl.Datetime("us", "UTC")
            for c in (
                *("event_time", "knowledge_time", "as_of"),
                *("label_end_time", "label_knowledge_time"),
            )
        },
    )
