"""A panel: the training frame as sorted arrays, with the targets and groups a fit needs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from polars import selectors as cs

from features.schemas import UTC_TIME

Floats = npt.NDArray[np.float64]

KEYS = ("instrument_id", "event_time", "knowledge_time", "as_of")
LABELS = (
    *("label_end_time", "label_knowledge_time", "entry_price", "exit_price"),
    *("forward_return", "net_return", "sigma", "label", "label_status"),
)


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows sorted by (decision time, instrument); arrays of one length.

    `groups` numbers the decision times from 0 upwards and never falls; `frame` holds keys and
    labels in the same order, with `decision_time`: its own, or as_of, or else event_time.
    """

    frame: pl.DataFrame
    feature_names: tuple[str, ...]
    features: Floats  # [rows, features], NaN = not known
    label: Floats  # [rows], finite
    groups: npt.NDArray[np.int64]  # [rows]
    data_hash: str


def feature_columns(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the float columns that are neither keys nor labels, in the frame's order."""
    reserved = {*KEYS, *LABELS}
    return tuple(c for c in frame.select(cs.float()).columns if c not in reserved)


def make_panel(
    frame: pl.DataFrame, feature_names: Sequence[str], label: str, rows_max: int
) -> Panel:
    """Return the rows that have a label, sorted, checked and hashed.

    Raises ValueError on missing columns, duplicate rows, features known only after their
    decision, more than `rows_max` rows, or no rows at all.
    """
    names = tuple(feature_names) or feature_columns(frame)
    needed = ["instrument_id", "event_time", "label_end_time", label, *names]
    missing = [c for c in needed if c not in frame.columns]
    if missing or not names:
        raise ValueError(
            f"the training frame must have {missing or 'features'}, had {frame.columns}"
        )
    check_known(frame)
    frame = with_decision_time(frame).filter(pl.col(label).is_finite())
    if not 0 < frame.height <= rows_max:
        raise ValueError(f"labelled rows must be in 1..{rows_max}, were {frame.height}")
    if frame.select("decision_time", "instrument_id").is_duplicated().any():
        raise ValueError("one instrument must have one row per decision, but some have more")
    frame = frame.sort("decision_time", "instrument_id")
    features = feature_matrix(frame, names)
    kept = [c for c in (*KEYS, *LABELS) if c in frame.columns]
    rows = frame.select("decision_time", *kept)
    return Panel(
        frame=rows,
        feature_names=names,
        features=features,
        label=np.ascontiguousarray(frame[label].cast(pl.Float64).to_numpy()),
        groups=group_numbers(frame["decision_time"]),
        data_hash=_data_hash(rows, names, features, label),
    )


def check_known(frame: pl.DataFrame) -> None:
    """Raise ValueError where a row was knowable only after the decision it serves."""
    moment = next((c for c in ("decision_time", "as_of") if c in frame.columns), None)
    if moment is None or "knowledge_time" not in frame.columns:
        return
    late = frame.filter(pl.col("knowledge_time") > pl.col(moment)).height
    if late:
        raise ValueError(f"knowledge_time must be at most {moment}, was later in {late} rows")


def with_decision_time(frame: pl.DataFrame) -> pl.DataFrame:
    """Add `decision_time` where it is not there: as_of, or event_time of a frame without one."""
    present = [c for c in ("decision_time", "as_of", "event_time") if c in frame.columns]
    if not present:
        raise ValueError(f"rows must have decision_time, as_of or event_time, had {frame.columns}")
    return frame.with_columns(pl.col(present[0]).cast(UTC_TIME).alias("decision_time"))


def feature_matrix(frame: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Return [rows, features] in C order; null and non-finite values become NaN."""
    columns = [pl.col(n).cast(pl.Float64).fill_null(float("nan")) for n in names]
    matrix = frame.select(columns).to_numpy(order="c")
    return np.where(np.isfinite(matrix), matrix, np.nan)


def group_numbers(decision_times: pl.Series) -> npt.NDArray[np.int64]:
    """Return for each row of a sorted column the ordinal of its value."""
    if decision_times.is_empty():
        return np.zeros(0, dtype=np.int64)
    return decision_times.rle_id().cast(pl.Int64).to_numpy()


def group_bounds(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the first row of each group of a non-falling column, and the row count at the end."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.append(starts, groups.size).astype(np.int64)


def _data_hash(rows: pl.DataFrame, names: Sequence[str], features: Floats, label: str) -> str:
    digest = hashlib.sha256()
    digest.update("\x1f".join([label, *names]).encode())
    digest.update("\x1f".join(rows["instrument_id"].to_list()).encode())
    for column in ("decision_time", "event_time", "label_end_time"):
        digest.update(rows[column].cast(UTC_TIME).to_physical().to_numpy().tobytes())
    digest.update(rows[label].cast(pl.Float64).to_numpy().tobytes())
    digest.update(features.tobytes())
    return digest.hexdigest()
