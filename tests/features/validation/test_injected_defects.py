"""Each defect kind in real clean series: how many are found and named, and how much else is hit.

The first half of the series was there to tune on; the floors below are held on the second.
"""

import numpy as np
import polars as pl
import pytest

from tests.features.validation.defects import INJECTORS, Spoiled
from tests.features.validation.make import check_bars, clean_halves, stopped_rows
from tests.shared_data import needs_shared_data

# The share of defects of which every row is stopped under the right kind, on the second half.
FLOORS = dict.fromkeys(INJECTORS, 1.0) | {"bad_print": 0.95, "split_history": 0.9}
FALSE_ALARM_MAX = 0.0005  # of the rows that were not spoiled


@pytest.fixture(scope="module")
def halves() -> tuple[pl.DataFrame, pl.DataFrame]:
    return clean_halves()


def measure(spoiled: Spoiled) -> tuple[float, float]:
    """Return the share of defects found whole and named, and of sound rows stopped."""
    report = check_bars(spoiled.rows)
    named = set().union(*[stopped_rows(report, kind) for kind in spoiled.kinds])
    wanted = {i for rows in spoiled.at for i in rows}
    found = sum(set(rows) <= named for rows in spoiled.at) / len(spoiled.at)
    return found, len(stopped_rows(report) - wanted) / (spoiled.rows.height - len(wanted))


@needs_shared_data
@pytest.mark.parametrize("name", INJECTORS)
def test_a_defect_is_found_and_named_in_series_that_nothing_was_tuned_on(
    name: str, halves: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    spoiled = INJECTORS[name](halves[1], np.random.default_rng(20))
    found, false_alarms = measure(spoiled)
    assert found >= FLOORS[name]
    assert false_alarms <= FALSE_ALARM_MAX


@needs_shared_data
def test_clean_series_have_no_stopped_row(halves: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    for half in halves:
        assert stopped_rows(check_bars(half)) == set()
