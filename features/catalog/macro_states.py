"""The macro series as they were known at each decision: levels, lags and surprises of releases."""

from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.kernels.vintages import replay

LAGS = (0, 5, 21)  # observations
SURPRISE_WINDOW = timedelta(days=30)
SURPRISE_HISTORY, SURPRISE_HISTORY_MIN = 24, 8  # changes: two years of a monthly series

# An ended series must not speak for ever: after this many days (weekly publication of daily
# series lags by two weeks at most) its last value is no longer known.
FRESH_FOR = timedelta(days=21)

# Series that stand for the same thing; at each decision the first that is fresh is read.
ROLES: dict[str, tuple[str, ...]] = {
    "vix": ("VIXCLS", "VIX", "vix"),
    "rate_10y": ("DGS10", "UST.10Y", "treasury_10y", "10Year"),
    "rate_short": ("DGS3MO", "UST.3M", "treasury_3m", "3Month", "DTB3"),
    "oil": ("DCOILWTICO", "WTI", "oil_wti"),
    "dollar": ("DTWEXBGS", "DTWEXB"),
    "euro": ("DEXUSEU",),
}
# Prices of markets: their moves are features of their own, not surprises of the economy.
_MARKETS = {s for role in ("vix", "oil", "dollar", "euro") for s in ROLES[role]} | {"SP500"}
# One tenor speaks for the curve, lest its eleven points outvote the economy.
_OTHER_TENORS = {f"DGS{t}" for t in ("1MO", "3MO", "6MO", "1", "2", "3", "5", "7", "20", "30")}
NO_SURPRISE = frozenset(_MARKETS | _OTHER_TENORS)
# A rise of these is bad news.
_FALLING_IS_GOOD = {"UNRATE", "ICSA", "CCSA", "IC4WSA"}

_MICRO = 1_000_000  # sums of scores are exact in integers of a millionth


def _columns(rows: pl.DataFrame) -> tuple[NDArray[np.int64], ...]:
    event = rows["event_time"].to_physical().to_numpy()
    known = rows["knowledge_time"].to_physical().to_numpy()
    return event, known


def _replay(rows: pl.DataFrame) -> pl.DataFrame:
    event, known = _columns(rows)
    moments, newest, levels, surprise = replay(
        event,
        known,
        rows["value"].to_numpy(),
        np.array(LAGS, dtype=np.int64),
        SURPRISE_HISTORY,
        SURPRISE_HISTORY_MIN,
    )
    time = rows.schema["knowledge_time"]
    return pl.DataFrame(
        {
            "moment": pl.Series(moments).cast(time),
            "newest_event": pl.Series(newest).cast(time),
            **{f"lag_{n}": levels[:, k] for k, n in enumerate(LAGS)},
            "surprise": surprise,
        },
        nan_to_null=True,
    )


def _read(states: pl.DataFrame, moments: pl.DataFrame, role: str) -> pl.DataFrame:
    """Return, per as_of, the role's level and lags (null where stale) and when they were known."""
    joined = moments.join_asof(
        states.drop("surprise"), left_on="as_of", right_on="moment", check_sortedness=False
    )
    fresh = pl.col("as_of") - pl.col("newest_event") <= FRESH_FOR
    values = [pl.when(fresh).then(pl.col(f"lag_{n}")).alias(f"{role}_{n}") for n in LAGS]
    known = pl.when(fresh).then(pl.col("moment")).alias(f"{role}_known")
    return joined.select(*values, known)


def _first_fresh(parts: list[pl.DataFrame], role: str) -> pl.DataFrame:
    """Return the first part's row where it is fresh, else the next one's, and so on."""
    chosen = parts[0]
    for other in parts[1:]:
        missing = chosen[f"{role}_0"].is_null()
        chosen = pl.DataFrame({c: other[c].zip_with(missing, chosen[c]) for c in chosen.columns})
    return chosen


def _no_role(role: str, rows: int) -> pl.DataFrame:
    columns = {f"{role}_{n}": pl.Float64() for n in LAGS}
    schema = {**columns, f"{role}_known": pl.Datetime("us", "UTC")}
    return pl.DataFrame({c: pl.Series([None] * rows, dtype=t) for c, t in schema.items()})


def window_sums(
    times: NDArray[np.int64],
    counted: NDArray[np.int64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sum and the number of the entries whose time lies in (low, high], exactly."""
    total = np.concatenate([[0], np.cumsum(counted)])
    first = np.searchsorted(times, low, side="right")
    last = np.maximum(np.searchsorted(times, high, side="right"), first)
    return total[last] - total[first], last - first


def _surprises(states: dict[str, pl.DataFrame], as_of: pl.Series) -> pl.DataFrame:
    """Return, per as_of, the mean over the series of their mean surprise in the window."""
    high = as_of.to_physical().to_numpy()
    low = high - int(SURPRISE_WINDOW / timedelta(microseconds=1))
    total, series = np.zeros(len(high)), np.zeros(len(high), dtype=np.int64)
    newest = np.full(len(high), np.iinfo(np.int64).min)
    for name in sorted(set(states) - NO_SURPRISE):
        releases = states[name].drop_nulls("surprise")
        times = releases["moment"].to_physical().to_numpy()
        scores = np.rint(releases["surprise"].to_numpy() * _MICRO).astype(np.int64)
        sums, count = window_sums(times, scores, low, high)
        sign = -1.0 if name in _FALLING_IS_GOOD else 1.0
        spoke = count > 0
        total[spoke] += sign * sums[spoke] / (_MICRO * count[spoke])
        series += spoke
        last = np.searchsorted(times, high, side="right")[spoke] - 1
        newest[spoke] = np.maximum(newest[spoke], times[last])
    known = series > 0
    mean = np.where(known, total / np.maximum(series, 1), np.nan)
    return pl.DataFrame(
        {
            "surprise": pl.Series(mean, nan_to_null=True),
            "surprise_known": pl.Series(
                [int(t) if k else None for t, k in zip(newest, known, strict=True)], dtype=pl.Int64
            ).cast(as_of.dtype),
        }
    )


def macro_columns(macro: pl.LazyFrame | None, as_of: pl.Series) -> pl.DataFrame:
    """Return one row per sorted, distinct as_of with the columns that macro features read.

    Every value is the newest version known at that as_of of the newest observation known at it.
    """
    moments = pl.DataFrame({"as_of": as_of})
    states: dict[str, pl.DataFrame] = {}
    if macro is not None and len(as_of) > 0:
        rows = (
            macro.select("series_id", "event_time", "knowledge_time", pl.col("value"))
            .filter(pl.col("knowledge_time") <= as_of[-1], pl.col("value").is_finite())
            .sort("series_id", "knowledge_time", "event_time", maintain_order=True)
            .collect()
        )
        states = {
            str(name): _replay(part)
            for (name,), part in rows.partition_by("series_id", as_dict=True).items()
        }
    parts = [moments]
    for role, names in ROLES.items():
        found = [_read(states[n], moments, role) for n in names if n in states]
        parts.append(_first_fresh(found, role) if found else _no_role(role, len(as_of)))
    return pl.concat([*parts, _surprises(states, as_of)], how="horizontal")
