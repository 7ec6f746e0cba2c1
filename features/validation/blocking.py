"""What stops everything: single findings that block, and too many that only quarantine."""

from datetime import datetime

import polars as pl

from features.schemas import TABLES
from features.validation.context import CheckContext

# Tables of which the newest rows are traded on: their newest session has its own limit.
_TRADED = ("bars", "quotes", "features", "forecasts")
_ALONE_MIN = 4  # instruments; of fewer one is too much of the whole
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
    replaced = _replaced(table, rows, findings.filter(_ROW_STOPPED))
    all_stopped = findings.filter(_ROW_STOPPED & ~pl.col("row_index").is_in(replaced.implode()))
    current = rows.with_row_index("_row").filter(~pl.col("_row").is_in(replaced.implode()))
    stopped = all_stopped.get_column("row_index").n_unique()
    if _share_of_others(rows, current, all_stopped) > settings.quarantine_fraction_max:
        reasons.append(
            f"{table}: at most {settings.quarantine_fraction_max:.1%} of the rows may be "
            f"quarantined, {stopped / current.height:.1%} were ({stopped} of {current.height}"
            f"{_commonest(all_stopped)})"
        )
    if table in _TRADED:
        reasons.extend(_newest_reasons(table, (rows, current), all_stopped, context))
    return tuple(reasons)


def _replaced(table: str, rows: pl.DataFrame, stopped: pl.DataFrame) -> pl.Series:
    """Return which stopped rows have a later version that passes: nobody reads them any more."""
    index = stopped.get_column("row_index").unique()
    schema = TABLES.get(table)
    if index.is_empty() or schema is None or not {*schema.key} <= {*rows.columns}:
        return index.clear()
    numbered = rows.select(*schema.key, "knowledge_time").with_row_index("row_index")
    is_bad = pl.col("row_index").is_in(index.implode())
    bad = numbered.filter(is_bad)
    passing = (
        numbered.filter(~is_bad)
        .join(bad, on=list(schema.key), how="semi", nulls_equal=True)
        .group_by(schema.key)
        .agg(later=pl.col("knowledge_time").max())
    )
    joined = bad.join(passing, on=list(schema.key), how="inner", nulls_equal=True)
    return joined.filter(pl.col("later") > pl.col("knowledge_time"))["row_index"].cast(index.dtype)


def _newest_reasons(
    table: str,
    tables: tuple[pl.DataFrame, pl.DataFrame],
    all_stopped: pl.DataFrame,
    context: CheckContext,
) -> list[str]:
    """Return why the newest day's rows may not be traded on, if too many of them are bad.

    `tables`: all rows, and those that no later version has replaced.
    """
    rows, current = tables
    limit = context.settings.newest_quarantine_fraction_max
    # A bar of a day on which the exchange never opens is no newer day than its last session.
    stray = all_stopped.filter(pl.col("kind") == "off_session").get_column("row_index").unique()
    times = rows.filter(~pl.int_range(pl.len()).is_in(stray.implode())).get_column("event_time")
    known = times.filter(times <= context.as_of)
    newest = known.max()
    if newest is None:
        return []
    day = pl.col("event_time").dt.date() == newest.date()  # type: ignore[union-attr]  # a time
    today = current.filter(day)
    total = today.height
    stopped = all_stopped.filter(day)
    bad = stopped.get_column("row_index").n_unique()
    if _share_of_others(rows, today, stopped) <= limit:
        return []
    return [
        f"{table}: at most {limit:.1%} of the newest rows ({newest:%Y-%m-%d}) may be "
        f"quarantined, {bad / total:.1%} were ({bad} of {total}{_commonest(stopped)})"
    ]


def _share_of_others(rows: pl.DataFrame, among: pl.DataFrame, stopped: pl.DataFrame) -> float:
    """Return the share of stopped rows among these, the worst of several instruments left out.

    One instrument may be bad on its own: its rows are put aside and it is withheld. What stops
    everything is trouble that is shared. Of few instruments none is left out.
    """
    index = stopped.get_column("row_index").unique()
    if "instrument_id" not in rows.columns or among["instrument_id"].n_unique() < _ALONE_MIN:
        return index.len() / among.height
    bad = rows[index].group_by("instrument_id").len("bad")
    counts = among.group_by("instrument_id").len("all").join(bad, on="instrument_id", how="left")
    counts = counts.with_columns(pl.col("bad").fill_null(0))
    worst = counts.sort("bad", "instrument_id", descending=[True, False]).slice(1)
    return float(worst["bad"].sum()) / float(worst["all"].sum())


def _commonest(stopped: pl.DataFrame) -> str:
    """Return the kinds that most rows were stopped for, and one reason to look at first."""
    if stopped.is_empty():
        return ""
    kinds = stopped.group_by("kind").agg(pl.len()).sort("len", "kind", descending=[True, False])
    named = ", ".join(f"{kind} {count}" for kind, count in kinds.head(3).iter_rows())
    first = stopped.filter(pl.col("kind") == kinds["kind"][0])["reason"][0]
    return f": {named}; e.g. {first}"


def withheld(table: str, rows: pl.DataFrame, findings: pl.DataFrame) -> dict[str, datetime]:
    """Return the instruments whose newest record is quarantined, in order of their names.

    Each with the event_time from which on it has no record that is not.
    """
    bad = findings.filter(_ROW_STOPPED)
    if "instrument_id" not in rows.columns or table not in _TRADED:
        return {}
    if bad.is_empty():
        return {}
    replaced = _replaced(table, rows, bad)
    index = bad.filter(~pl.col("row_index").is_in(replaced.implode()))["row_index"].unique()
    suspects = rows[index].select("instrument_id", "event_time")
    stopped = pl.int_range(pl.len()).is_in(index.implode())
    by_name = (
        rows.lazy()
        .select("instrument_id", "event_time", stopped.alias("stopped"))
        .filter(pl.col("instrument_id").is_in(suspects.get_column("instrument_id").implode()))
        .group_by("instrument_id")
        .agg(
            newest=pl.col("event_time").max(),
            good=pl.col("event_time").filter(~pl.col("stopped")).max(),
        )
        .collect()
    )
    of_newest = suspects.join(
        by_name, left_on=["instrument_id", "event_time"], right_on=["instrument_id", "newest"],
        how="semi",
    )  # fmt: skip
    since = (
        suspects.join(of_newest, on="instrument_id", how="semi")
        .join(by_name, on="instrument_id")
        .filter(
            pl.col("good").is_null()
            | (pl.col("event_time") > pl.col("good"))
            | (pl.col("event_time") == pl.col("newest"))
        )
        .group_by("instrument_id")
        .agg(pl.col("event_time").min())
        .sort("instrument_id")
    )
    return dict(since.iter_rows())
