"""Findings for people: a frame for a picture over time, and a table for a run's metadata."""

import polars as pl

from features.validation.report import ValidationReport


def findings_over_time(report: ValidationReport, *, every: str = "1mo") -> pl.DataFrame:
    """Return finding_count by period (its first day), kind and severity; findings have times.

    `every` is a polars duration ("1d", "1mo"). Findings about the whole table have no time and
    are left out.
    """
    return (
        report.findings.filter(pl.col("event_time").is_not_null())
        .group_by(
            pl.col("event_time").dt.truncate(every).dt.date().alias("period"), "kind", "severity"
        )
        .agg(pl.len().cast(pl.Int64).alias("finding_count"))
        .sort("period", "kind", "severity")
    )


def to_markdown(report: ValidationReport, *, row_count_max: int = 30) -> str:
    """Return the verdict and the summary as markdown: what was found, how often, one example."""
    verdict = "**blocks**" if report.blocking else "passes"
    stopped = report.quarantined_rows.len()
    lines = [
        f"`{report.table}` {verdict}: {report.row_count:,} rows, {stopped:,} quarantined, "
        f"{report.findings.height:,} findings",
        "",
        *[f"- {reason}" for reason in report.blocking_reasons],
    ]
    summary = report.summary
    if summary.is_empty():
        return "\n".join(lines)
    lines += ["", "| kind | severity | findings | rows | confidence | example |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in summary.head(row_count_max).iter_rows(named=True):
        example = str(row["example"]).replace("|", "\\|")
        lines.append(
            f"| {row['kind']} | {row['severity']} | {row['finding_count']:,} "
            f"| {row['row_count']:,} | {row['confidence_max']:.2f} | {example} |"
        )
    if summary.height > row_count_max:
        lines.append(f"\n{summary.height - row_count_max} more rows are in the findings.")
    return "\n".join(lines)
