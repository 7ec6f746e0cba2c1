"""The shape of a finding, and how rules write one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from features.schemas import QUARANTINE_COLUMNS

SEVERITIES = ("info", "warn", "quarantine", "block")

# One finding: the row it speaks of (null: the whole table), and why.
FINDINGS: dict[str, pl.DataType] = {
    "row_index": pl.UInt32(),
    **{name: dtype for name, dtype in QUARANTINE_COLUMNS.items() if name != "row"},
}

# What a rule writes; the engine adds the table and the row's address.
HITS: dict[str, pl.DataType] = {
    "row_index": pl.UInt32(),
    "rule": pl.String(),
    "kind": pl.String(),
    "confidence": pl.Float64(),
    "severity": pl.String(),
    "reason": pl.String(),
}

Indices = npt.NDArray[np.int64]


def make_hits(
    rule: str,
    kind: str,
    severity: str,
    confidence: float | npt.NDArray[np.float64],
    rows: Indices | Sequence[int] | pl.Series,
    reasons: str | Sequence[str] | pl.Series,
) -> pl.DataFrame:
    """Return one finding for each row index; a single reason or confidence holds for all."""
    index = pl.Series("row_index", rows, dtype=pl.UInt32)
    reason = pl.lit(reasons) if isinstance(reasons, str) else pl.Series("reason", reasons)
    certain = (
        pl.lit(float(confidence))
        if isinstance(confidence, float | int)
        else pl.Series("confidence", confidence)
    )
    return pl.DataFrame({"row_index": index}).select(
        "row_index",
        pl.lit(rule).alias("rule"),
        pl.lit(kind).alias("kind"),
        certain.alias("confidence").cast(pl.Float64).clip(0.0, 1.0),
        pl.lit(severity).alias("severity"),
        reason.alias("reason").cast(pl.String),
    )


@dataclass(frozen=True, slots=True)
class Hit:
    """One verdict over some rows, before it becomes rows of a frame."""

    kind: str
    severity: str
    confidence: float
    rows: Indices
    reason: str


def frame_hits(rule: str, hits: Sequence[Hit]) -> pl.DataFrame:
    """Return the findings of many verdicts as one frame: building a frame for each is slow."""
    lengths = [hit.rows.size for hit in hits]
    index = np.concatenate([hit.rows for hit in hits]) if hits else np.empty(0, np.int64)
    each = pl.DataFrame(
        {
            "kind": [hit.kind for hit in hits],
            "confidence": [float(min(max(hit.confidence, 0.0), 1.0)) for hit in hits],
            "severity": [hit.severity for hit in hits],
            "reason": [hit.reason for hit in hits],
        },
        schema={name: HITS[name] for name in ("kind", "confidence", "severity", "reason")},
    )
    return (
        each[np.repeat(np.arange(len(hits)), lengths)]
        .select(
            pl.Series("row_index", index, dtype=pl.UInt32), pl.lit(rule).alias("rule"), pl.all()
        )
        .select(pl.col(name).cast(dtype) for name, dtype in HITS.items())
    )


def table_hit(rule: str, kind: str, severity: str, confidence: float, reason: str) -> pl.DataFrame:
    """Return one finding about the table as a whole."""
    return pl.DataFrame([(None, rule, kind, confidence, severity, reason)], HITS, orient="row")
