"""Small markets to compute features on: valid by default, bent by the test that needs it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

OFFSET = timedelta(hours=1)
DELAY = timedelta(minutes=15)
FIRST_DAY = datetime(2018, 1, 1, 21, tzinfo=UTC)


def make_sessions(count: int) -> list[datetime]:
    """Return closes on weekdays at 21:00 UTC."""
    days = (FIRST_DAY + timedelta(days=k) for k in range(count * 2))
    return [d for d in days if d.weekday() < 5][:count]


def make_bars(
    sessions: int = 320, instruments: int = 4, seed: int = 0, missing: float = 0.01
) -> pl.DataFrame:
    """Return random walks, each instrument with some sessions of its own missing."""
    rng = np.random.default_rng(seed)
    closes = make_sessions(sessions)
    parts: list[pl.DataFrame] = []
    for k in range(instruments):
        close = 40.0 * np.exp(np.cumsum(0.015 * rng.standard_normal(sessions)))
        part = pl.DataFrame(
            {
                "instrument_id": [f"US.T{k}"] * sessions,
                "interval": ["1d"] * sessions,
                "event_time": closes,
                "open": close * (1 + 0.004 * rng.standard_normal(sessions)),
                "close": close,
                "volume": rng.integers(100_000, 900_000, sessions).astype(float),
                "source": ["test/walk"] * sessions,
            }
        ).with_columns(
            high=pl.max_horizontal("open", "close") * 1.01,
            low=pl.min_horizontal("open", "close") * 0.99,
            knowledge_time=pl.col("event_time") + DELAY,
        )
        parts.append(part.filter(pl.Series(rng.random(sessions) > missing * k)))
    return pl.concat(parts)


def make_macro(days: int = 460, seed: int = 1) -> pl.DataFrame:
    """Return daily series known the next day, and monthly releases revised a month later."""
    rng = np.random.default_rng(seed)
    start = FIRST_DAY - timedelta(days=30)
    rows: list[tuple[str, datetime, datetime, float]] = []
    for series, level in (
        ("VIXCLS", 18.0),
        ("DGS10", 2.5),
        ("DGS3MO", 1.5),
        ("DCOILWTICO", 60.0),
        ("DEXUSEU", 1.1),
    ):
        values = level + np.cumsum(0.05 * rng.standard_normal(days))
        for k in range(days):
            event = start + timedelta(days=k)
            rows.append((series, event, event + timedelta(days=1), float(values[k])))
    for k in range(-20, 15):
        event = FIRST_DAY + timedelta(days=30 * k)
        value = 100.0 + k + float(rng.normal())
        rows.append(("PAYEMS", event, event + timedelta(days=33), value))
        rows.append(("PAYEMS", event, event + timedelta(days=63), value + 0.5))
    names = ("series_id", "event_time", "knowledge_time", "value")
    return pl.DataFrame(rows, schema=list(names), orient="row").with_columns(
        pl.lit("test/macro").alias("source")
    )


_TEXTS = (
    "Profits surge as company beats estimates",
    "Bank issues profit warning after heavy losses",
    "Shares were little changed",
    "Regulator opens fraud investigation",
    "Record growth and strong demand",
)


def make_news(items: int = 900, seed: int = 2) -> pl.DataFrame:
    """Return headlines at odd hours; every fifth names an instrument, some were rewritten."""
    rng = np.random.default_rng(seed)
    minutes = np.sort(rng.integers(0, 440 * 24 * 60, items))
    rows = []
    for k, minute in enumerate(minutes):
        at = FIRST_DAY + timedelta(minutes=int(minute))
        named = f"US.T{k % 3}" if k % 5 == 0 else None
        rows.append((f"n{k}", at, at, named, _TEXTS[int(rng.integers(len(_TEXTS)))]))
        if k % 7 == 0:
            later = at + timedelta(hours=20)
            rows.append((f"n{k}", at, later, named, "Crisis and bankruptcy fears"))
    names = ("news_id", "event_time", "knowledge_time", "instrument_id", "headline")
    return pl.DataFrame(rows, schema=list(names), orient="row").with_columns(
        pl.lit("test/news").alias("source")
    )
