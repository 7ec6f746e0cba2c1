"""From the tables of one session to the arrays that the colony observes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

import numpy as np
import polars as pl

from swarm_core.colony.observation import Floats, Observation

SESSIONS_PER_YEAR = 252
# Market-wide columns of the feature table, and the name under which the colony knows each.
MARKET_FEATURES = {
    "vix": "vix",
    "term_slope": "term_slope",
    "macro_surprise": "macro_surprise",
    "news_sentiment_5d": "news_sentiment",
}
_NOT_FEATURES = frozenset({"instrument_id", "event_time", "knowledge_time", "as_of"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTables:
    """The rows of one session: its features, forecasts and newest bars, all known by `as_of`.

    `bars` holds the newest bar of each instrument, which may be older than the session.
    """

    as_of: datetime
    features: pl.DataFrame
    forecasts: pl.DataFrame
    bars: pl.DataFrame
    instruments: pl.DataFrame


def time_ns(moment: datetime) -> int:
    """Return the moment as nanoseconds since 1970 in UTC, exactly."""
    return round(moment.timestamp() * 1_000_000) * 1_000


def _columns(rows: pl.DataFrame, names: Sequence[str]) -> dict[str, Floats]:
    """Return the named columns as arrays; NaN where nothing is known. One by one took longer."""
    known = pl.col(names).cast(pl.Float64).fill_null(float("nan"))
    values = rows.select(known).to_numpy(order="fortran")
    return {name: np.ascontiguousarray(values[:, i]) for i, name in enumerate(names)}


def _column(rows: pl.DataFrame, name: str) -> Floats:
    return _columns(rows, [name])[name]


def _aligned(ids: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    return ids.join(rows, on="instrument_id", how="left", maintain_order="left")


def _market(features: pl.DataFrame) -> dict[str, float]:
    """Return the market-wide values: those that every instrument's newest row agrees on."""
    market: dict[str, float] = {}
    if "event_time" in features.columns:  # of several exchanges the one that closed last
        features = features.filter(pl.col("event_time") == pl.col("event_time").max())
    for column, name in MARKET_FEATURES.items():
        if column not in features.columns:
            continue
        values = features[column].drop_nulls().drop_nans()
        if not values.is_empty():
            median = values.median()
            market[name] = float(median) if isinstance(median, float | int) else float("nan")
    return market


def _labels(rows: pl.DataFrame, column: str) -> tuple[str, ...]:
    return tuple(rows[column].fill_null("unknown").to_list())


def observe(
    tables: SessionTables,
    instrument_ids: Sequence[str],
    *,
    weights: Sequence[float],
    nav: float,
    realised: tuple[float, float] = (float("nan"), float("nan")),
) -> Observation:
    """Return what the colony sees of these instruments at `as_of`.

    `weights` are the positions as fractions of NAV, in the order of `instrument_ids`; `nav` is in
    units of the base currency. `realised` is what was traded since the last decision and what that
    cost, as fractions of NAV. What a table does not know is NaN.
    """
    ids = pl.DataFrame({"instrument_id": list(instrument_ids)}, schema={"instrument_id": pl.String})
    rows = _aligned(ids, tables.features.drop("as_of", strict=False))
    forecasts = _aligned(ids, tables.forecasts.select("instrument_id", "forecast"))
    bars = _aligned(ids, tables.bars.select("instrument_id", "close", "event_time"))
    static = tables.instruments.unique("instrument_id", keep="last", maintain_order=True)
    known = _aligned(ids, static.select("instrument_id", "sector", "currency"))
    features = _columns(rows, [name for name in rows.columns if name not in _NOT_FEATURES])
    features["forecast"] = _column(forecasts, "forecast")
    age = (pl.lit(tables.as_of) - pl.col("event_time")).dt.total_microseconds() / 1e6
    return Observation(
        time_ns=time_ns(tables.as_of),
        instrument_ids=tuple(instrument_ids),
        prices=_column(bars, "close"),
        sigma=features["ewma_vol"] / sqrt(SESSIONS_PER_YEAR),
        features=features,
        market=_market(tables.features),
        weights=np.asarray(weights, dtype=np.float64),
        nav=nav,
        traded=realised[0],
        paid=realised[1],
        sectors=_labels(known, "sector"),
        currencies=_labels(known, "currency"),
        data_age_s=_column(bars.with_columns(age=age.cast(pl.Float64)), "age"),
    )
