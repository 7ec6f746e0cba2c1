"""Drift: how far the rows of today have moved from those a model was fitted on."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.panel import Floats, feature_columns

# The customary reading of the index (Siddiqi 2006): below 0.1 nothing, above 0.25 another world.
WATCH, DRIFTED = 0.1, 0.25


def drift(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    features: Sequence[str] | None = None,
    bins: int = 10,
) -> pl.DataFrame:
    """Compare each feature (or forecast) of two frames; the most drifted first.

    Columns: feature, psi, psi_noise, psi_excess, level, ks, ks_p, mean_shift (in reference
    deviations), null_share_reference, null_share_current, rows_reference, rows_current.

    `psi`: population stability index over quantile bins of the reference, nulls a bin of their
    own. Two samples of one distribution already differ by (bins - 1)(1/n + 1/m) on average
    (Yurdakul 2018): `psi_noise`; the level ("stable", "watch", "drifted") is read off the
    excess. `ks_p` takes rows as independent, which a panel's are not: read it as a lower bound.
    Raises ValueError where a frame is empty or lacks a feature.
    """
    names = list(features) if features is not None else list(feature_columns(reference))
    for frame, side in ((reference, "reference"), (current, "current")):
        missing = [n for n in names if n not in frame.columns]
        if missing or frame.is_empty():
            raise ValueError(f"the {side} frame must have rows and {missing or names}")
    rows = [_compare(n, _values(reference, n), _values(current, n), bins) for n in names]
    return pl.DataFrame(rows, schema=_SCHEMA).sort(
        ["psi_excess", "feature"], descending=[True, False]
    )


def weighted_psi(report: pl.DataFrame, importance: pl.DataFrame) -> float:
    """Return the mean psi_excess of a drift report, weighted by each feature's gain share.

    `importance`: feature, gain_share. A feature that the model does not use does not count; the
    result is NaN where it uses none.
    """
    used = report.join(importance, on="feature").filter(pl.col("gain_share") > 0)
    if used.is_empty():
        return float("nan")
    return float(np.average(used["psi_excess"].to_numpy(), weights=used["gain_share"].to_numpy()))


def _values(frame: pl.DataFrame, name: str) -> Floats:
    return frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _compare(name: str, before: Floats, now: Floats, bins: int) -> dict[str, object]:
    old, new = before[np.isfinite(before)], now[np.isfinite(now)]
    psi, used = _stability_index(before, now, old, new, bins)
    noise = (used - 1) * (1.0 / before.size + 1.0 / now.size)
    excess = max(0.0, psi - noise)
    ks = _distance(old, new)
    spread = float(old.std()) if old.size else 0.0
    shift = float(new.mean() - old.mean()) / spread if spread > 0 and new.size else None
    from scipy.special import kolmogorov  # slow to import, and the definitions import this file

    weight = np.sqrt(old.size * new.size / max(1, old.size + new.size))
    return {
        "feature": name,
        "psi": psi,
        "psi_noise": noise,
        "psi_excess": excess,
        "level": "drifted" if excess > DRIFTED else "watch" if excess > WATCH else "stable",
        "ks": ks,
        "ks_p": float(kolmogorov(weight * ks)),
        "mean_shift": shift,
        "null_share_reference": 1.0 - old.size / before.size,
        "null_share_current": 1.0 - new.size / now.size,
        "rows_reference": before.size,
        "rows_current": now.size,
    }


def _stability_index(
    before: Floats, now: Floats, old: Floats, new: Floats, bins: int
) -> tuple[float, int]:
    """Return the index and how many bins it has."""
    edges = _edges(old, bins)
    counts = []
    for whole, known in ((before, old), (now, new)):
        inside = np.bincount(np.searchsorted(edges, known, side="left"), minlength=edges.size + 1)
        counts.append(np.append(inside, whole.size - known.size))
    used = (counts[0] + counts[1]) > 0
    # Half a row in an empty bin keeps the logarithm finite without inventing a large move.
    p, q = ((np.maximum(c[used], 0.5)) / max(1.0, float(c.sum())) for c in counts)
    return float(((p - q) * np.log(p / q)).sum()), int(used.sum())


def _edges(old: Floats, bins: int) -> Floats:
    """Return the upper ends of the bins but the last: quantiles, each value in the bin it ends.

    A value that is several quantiles has a bin of its own: what then lies below it would not be
    told from it, and a constant that falls would be stable.
    """
    if not old.size:
        return old
    quantiles = np.quantile(old, np.linspace(0, 1, bins + 1)[1:-1])
    values, counts = np.unique(quantiles, return_counts=True)
    return np.union1d(values, np.nextafter(values[counts > 1], -np.inf))


def _distance(old: Floats, new: Floats) -> float:
    """Return the largest gap of the two empirical distributions (Kolmogorov-Smirnov)."""
    if not old.size or not new.size:
        return 0.0 if old.size == new.size else 1.0
    both = np.sort(np.concatenate([old, new]))
    below_old = np.searchsorted(np.sort(old), both, side="right") / old.size
    below_new = np.searchsorted(np.sort(new), both, side="right") / new.size
    return float(np.abs(below_old - below_new).max())


_SCHEMA: dict[str, type[pl.DataType]] = {
    "feature": pl.String,
    "psi": pl.Float64,
    "psi_noise": pl.Float64,
    "psi_excess": pl.Float64,
    "level": pl.String,
    "ks": pl.Float64,
    "ks_p": pl.Float64,
    "mean_shift": pl.Float64,
    "null_share_reference": pl.Float64,
    "null_share_current": pl.Float64,
    "rows_reference": pl.Int64,
    "rows_current": pl.Int64,
}
