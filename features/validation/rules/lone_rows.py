"""Rows that stand years before the rest of their series: the zero of a clock, an empty cell."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import Hit, frame_hits
from features.validation.rule import TableRule
from features.validation.view import TableView

_DAY_US = 86_400_000_000
# Two years, and fifty of the series' own steps: the figures of a census are ten years apart.
_GAP_MIN_US, _STEPS_MIN = 730 * _DAY_US, 50
_ALONE_MAX = 3  # rows
_REST_MIN = 20  # rows that follow


def _find(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    arrays = view.series
    begin, end = arrays.start[:-1], arrays.start[1:]
    hits: list[Hit] = []
    for count in range(1, _ALONE_MAX + 1):
        series = np.flatnonzero(end - begin >= count + _REST_MIN)
        at = begin[series] + count
        gaps = arrays.time[at] - arrays.time[at - 1]
        for member, next_at in zip(
            series[gaps > _GAP_MIN_US].tolist(), at[gaps > _GAP_MIN_US].tolist(), strict=True
        ):
            rest = arrays.time[next_at : int(end[member])]
            step = float(np.median(np.diff(rest)))
            if rest[0] - arrays.time[next_at - 1] > _STEPS_MIN * step:
                first = next_at - count
                reason = (
                    f"{arrays.label(member)} begins on {_day(int(rest[0]))}, a row years before "
                    f"it is of {_day(int(arrays.time[first]))}: {arrays.address(first)}"
                )
                rows = arrays.row[first:next_at]
                hits.append(Hit("wrong_date", "quarantine", 0.9, rows, reason))
    if hits:
        yield frame_hits("lone_rows", hits)


def _day(time_us: int) -> str:
    return f"{datetime(1970, 1, 1) + timedelta(microseconds=time_us):%Y-%m-%d}"  # noqa: DTZ001 - UTC


LONE_RULES = (
    TableRule(
        name="lone_rows",
        kinds=("wrong_date",),
        severity="quarantine",
        tables=("bars", "trades", "macro"),
        find=_find,
        text=(
            "up to three rows do not stand alone two years, and fifty of the usual steps, before "
            "the rest of their series, as 1970-01-01 and 1900-01-01 do"
        ),
    ),
)
