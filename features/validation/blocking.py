"""What stops everything: single findings that block, and too many that only quarantine."""

import polars as pl

from features.validation.context import CheckContext

# Tables of which the newest rows are traded on: their newest session has its own limit.
_TRADED = ("bars", "quotes", "features", "forecasts")
_ROW_STOPPED = pl.col("severity").is_in(["quarantine", "block"]) & pl.col("row_index").is_not_null()


def blocking_reasons(
    table: str, rows: pl.DataFrame, findings: pl.DataFrame, context: CheckContext
) -> tuple[str, ...]:
    """Return one sentence for each reason to stop everything downstream; empty: go on."""
    blocks = findings.filter(pl.col("severity") == "block")
    reasons = [
        f"{table}: {reason}" if count == 1 else f"{table}: {reason} ({count} findings of {kind})"
        for kind, reason, count in blocks.group_by("kind", maintain_order=True)
        .agg(pl.col("reason").first(), pl.len())
        .select("kind", "reason", "len")
        .iter_rows()
    ]
    if rows.is_empty() or blocks.get_column("rule").is_in(["schema"]).any():
        return tuple(reasons)
    settings = context.settings
    stopped = findings.filter(_ROW_STOPPED).get_column("row_index").n_unique()
    if stopped / rows.height > settings.quarantine_fraction_max:
        reasons.append(
            f"{table}: at most {settings.quarantine_fraction_max:.1%} of the rows may be "
            f"quarantined, {stopped / rows.height:.1%} were ({stopped} of {rows.height})"
        )
    if table in _TRADED:
        reasons.extend(_newest_reasons(table, rows, findings, context))
    return tuple(reasons)


def _newest_reasons(
    table: str, rows: pl.DataFrame, findings: pl.DataFrame, context: CheckContext
) -> list[str]:
    """Return why the newest day's rows may not be traded on, if too many of them are bad."""
    limit = context.settings.newest_quarantine_fraction_max
    times = rows.get_column("event_time")
    known = times.filter(times <= context.as_of)
    newest = known.max()
    if newest is None:
        return []
    day = pl.col("event_time").dt.date() == newest.date()  # type: ignore[union-attr]  # a time
    total = rows.filter(day).height
    bad = findings.filter(_ROW_STOPPED & day).get_column("row_index").n_unique()
    if bad / total <= limit:
        return []
    return [
        f"{table}: at most {limit:.1%} of the newest rows ({newest:%Y-%m-%d}) may be "
        f"quarantined, {bad / total:.1%} were ({bad} of {total})"
    ]


def withheld(table: str, rows: pl.DataFrame, findings: pl.DataFrame) -> tuple[str, ...]:
    """Return the instruments whose newest record is quarantined, in order of their names."""
    bad = findings.filter(_ROW_STOPPED)
    if "instrument_id" not in rows.columns or table not in _TRADED:
        return ()
    if bad.is_empty():
        return ()
    index = bad.get_column("row_index").unique()
    suspects = rows[index].select("instrument_id", "event_time")
    newest = (
        rows.lazy()
        .filter(pl.col("instrument_id").is_in(suspects.get_column("instrument_id").implode()))
        .group_by("instrument_id")
        .agg(pl.col("event_time").max())
        .collect()
    )
    held = suspects.join(newest, on=["instrument_id", "event_time"], how="semi")
    return tuple(sorted(held.get_column("instrument_id").drop_nulls().unique()))
