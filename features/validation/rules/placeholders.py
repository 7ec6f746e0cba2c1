"""Numbers that stand for none: 9999 among yields of 2, as agencies write a value they lack.

Those below zero (-9999) are found by the rule `below_zero`.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import Hit, frame_hits
from features.validation.rule import TableRule
from features.validation.view import Bools, Floats, TableView

# 999, 9999.99 and the like: three nines and more before the point, none but nines behind it.
_NINES = np.array(
    sorted({float(f"{'9' * w}.{'9' * d}") for w in range(3, 13) for d in range(5)}),
)
_TIMES_MIN = 10  # the values beside it
_KNOWN_MIN = 5  # other values of its series


def _find(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    arrays = view.series
    values = arrays.close
    nines = np.isin(values, _NINES)
    hits: list[Hit] = []
    for series in np.unique(arrays.series[nines]).tolist():
        low, high = int(arrays.start[series]), int(arrays.start[series + 1])
        label, part = arrays.label(series), slice(low, high)
        for at, level in _far(values[part], nines[part]):
            reason = (
                f"{label} must not be at {values[low + at]:g}, beside it stands {level:g}: "
                "a number that stands for none"
            )
            hits.append(Hit("bad_print", "quarantine", 0.9, arrays.row[[low + at]], reason))
    if hits:
        yield frame_hits("placeholders", hits)


def _far(values: Floats, nines: Bools) -> Iterable[tuple[int, float]]:
    """Yield the places of the nines that stand far above the values beside them, and those."""
    others = np.flatnonzero(~nines & np.isfinite(values))
    if others.size < _KNOWN_MIN:
        return
    for at in np.flatnonzero(nines).tolist():
        after = int(np.searchsorted(others, at))
        beside = values[others[max(0, after - 1) : after + 1]]
        level = float(np.abs(beside).max())
        if values[at] > _TIMES_MIN * level:
            yield at, level


PLACEHOLDER_RULES = (
    TableRule(
        name="placeholders",
        kinds=("bad_print",),
        severity="quarantine",
        tables=("macro",),
        find=_find,
        text=(
            "a value of nines alone (999, 9999.99) lies within ten times the values beside it: "
            "else it stands for a value that is not there"
        ),
    ),
)
