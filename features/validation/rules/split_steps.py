"""Splits against raw prices: one that no price shows, or that the prices show as another."""

import math
from collections.abc import Iterable
from datetime import timedelta

import polars as pl

from features.text_format import format_text
from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.rules.words import number
from features.validation.view import TableView

# Of a smaller split (or stock dividend) a price tells too little beside its own moves.
_STEP_MIN = math.log(1.25)
# How far the step may be from the ratio's, in parts of it: halfway to no step at all.
_MISFIT_MAX = 0.5
_NEAR = timedelta(days=10)  # from the ex-date to the bars on either side


def _find(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield the splits that all raw series of their instrument (`reference`) contradict.

    A step is looked at over the first bar and over the second: one of them may be a bad print.
    """
    bars = context.reference
    splits = view.rows.with_row_index("row_index").filter(
        (pl.col("kind") == "split") & (pl.col("ratio").log().abs() >= _STEP_MIN)
    )
    if bars is None or bars.is_empty() or splits.is_empty():
        return
    told = splits.select("row_index", "instrument_id", "event_time", "ratio").sort("event_time")
    closes = (
        bars.filter(
            (pl.col("adjustment") == "raw")
            & (pl.col("close") > 0)
            & pl.col("instrument_id").is_in(told["instrument_id"].implode())
        )
        .sort("event_time", "knowledge_time")
        .unique(["instrument_id", "interval", "source", "event_time"], keep="last")
        .sort("event_time")
    )
    sides = told.join(closes.select("instrument_id", "interval", "source").unique(),
                      on="instrument_id")  # fmt: skip
    series = ["instrument_id", "interval", "source"]
    steps = closes.select(
        *series, at="event_time", before_at="event_time", before="close",
        first=pl.col("close").shift(-1).over(series), second=pl.col("close").shift(-2).over(series),
        next_at=pl.col("event_time").shift(-1).over(series),
    )  # fmt: skip
    placed = sides.sort("event_time").join_asof(
        steps, left_on="event_time", right_on="at", by=series, strategy="backward",
        allow_exact_matches=False, check_sortedness=False,
    )  # fmt: skip
    near = (pl.col("event_time") - pl.col("before_at") <= _NEAR) & (
        pl.col("next_at") - pl.col("event_time") <= _NEAR
    )
    expected = -pl.col("ratio").log()
    misfits = [
        (((pl.col(c) / pl.col("before")).log() - expected).abs() > _MISFIT_MAX * expected.abs())
        for c in ("first", "second")
    ]
    contradicted = misfits[0] & misfits[1].fill_null(value=True)
    judged = placed.filter(near).with_columns(is_contradicted=contradicted)
    broken = (
        judged.group_by("row_index", maintain_order=True)
        .agg(pl.all().first(), everywhere=pl.col("is_contradicted").all())
        .filter("everywhere")
    )
    if broken.is_empty():
        return
    reason = format_text(
        "{} must step by its split of {} on {}, its raw price went from {} to {}",
        "instrument_id", number("ratio"), pl.col("event_time").dt.date().cast(pl.String),
        number("before"), number("first"),
    )  # fmt: skip
    reasons = broken.select(reason).to_series()
    yield make_hits("split_steps", "phantom_split", "quarantine", 0.9, broken["row_index"], reasons)


SPLIT_RULES = (
    TableRule(
        name="split_steps",
        kinds=("phantom_split",),
        severity="quarantine",
        tables=("corporate_actions",),
        find=_find,
        text="a split shows in the raw prices of its ex-date, where there are any",
    ),
)
