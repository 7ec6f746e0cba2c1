"""The verdict over one table: what was found, what it adds up to, and whether it blocks."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl


@dataclass(frozen=True)
class ValidationReport:
    """Findings of one check; `blocking_reasons` says in sentences why nothing may go on.

    `findings` has the columns FINDINGS, ordered by severity and row. `withheld` names the
    instruments whose newest record is quarantined: nothing may be traded on them. The event_time
    from which on each has no other record stands in `withheld_since`.
    """

    table: str
    row_count: int
    findings: pl.DataFrame
    blocking_reasons: tuple[str, ...]
    withheld: tuple[str, ...] = ()
    withheld_since: tuple[datetime, ...] = ()

    @property
    def blocking(self) -> bool:
        """Whether everything downstream must stop, the release of orders first."""
        return bool(self.blocking_reasons)

    @cached_property
    def quarantined_rows(self) -> pl.Series:
        """The row indices that must not pass, each once, ascending."""
        bad = self.findings.filter(
            pl.col("severity").is_in(["quarantine", "block"]), pl.col("row_index").is_not_null()
        )
        return bad.get_column("row_index").unique().sort()

    @cached_property
    def summary(self) -> pl.DataFrame:
        """Counts by rule, kind and severity: findings, rows, highest confidence, one example."""
        return (
            self.findings.group_by("rule", "kind", "severity", maintain_order=True)
            .agg(
                pl.len().cast(pl.Int64).alias("finding_count"),
                pl.col("row_index").n_unique().cast(pl.Int64).alias("row_count"),
                pl.col("confidence").max().alias("confidence_max"),
                pl.col("reason").first().alias("example"),
            )
            .sort("finding_count", descending=True, maintain_order=True)
        )
