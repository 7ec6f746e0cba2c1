"""A row of 1900 or 1970 before a series of today, and what it may not keep from being told."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from features.schemas import MACRO
from features.validation import CheckContext, check
from tests.features.validation.make import (
    check_bars,
    conform_bars,
    make_bars,
    set_cells,
    stopped_rows,
)

MOMENT = pl.Datetime("us", "UTC")
ZEROS = [datetime(1900, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC),
         datetime(1970, 1, 1, 21, tzinfo=UTC), datetime(1999, 12, 31, 21, tzinfo=UTC)]  # fmt: skip


def dated(bars: pl.DataFrame, at: list[int], moment: datetime) -> pl.DataFrame:
    day = pl.lit(moment).cast(MOMENT)
    step = pl.duration(days=pl.int_range(pl.len()) % 3)
    return set_cells(bars, at, event_time=day + step, knowledge_time=day + step)


@pytest.mark.parametrize("zero", ZEROS)
@pytest.mark.parametrize("at", [[0], [120, 121, 122]])
def test_a_lone_row_years_before_its_series_is_put_aside(zero: datetime, at: list[int]) -> None:
    report = check_bars(dated(make_bars(), at, zero))
    assert stopped_rows(report) == stopped_rows(report, "wrong_date") == set(at)


@pytest.mark.parametrize("zero", ZEROS)
def test_a_row_of_1900_does_not_keep_a_bar_of_a_saturday_from_being_found(zero: datetime) -> None:
    """The calendars begin in 1985: one row from before it ended all comparison with them."""
    bars = dated(make_bars(), [0], zero)
    saturday = datetime(2021, 10, 2, 20, tzinfo=UTC)
    assert stopped_rows(check_bars(dated(bars, [150], saturday)), "off_session") == {150}


def test_a_series_that_has_bars_for_years_before_the_calendars_is_compared_from_then_on() -> None:
    bars = make_bars(instruments=1, days=400)
    early = bars.head(200).with_columns(
        event_time=pl.col("event_time") - pl.duration(days=365 * 40), volume=pl.col("volume") * 2
    )
    whole = conform_bars(pl.concat([early, bars]).sort("event_time"))
    assert stopped_rows(check_bars(whole)) == set()
    gap = whole.with_row_index().filter(pl.col("index") != 350).drop("index")
    told = check_bars(gap).findings.filter(kind="gap")
    assert told["row_index"].to_list() == [350]


def test_a_series_that_was_halted_for_years_is_true() -> None:
    """Four bars and a gap are a history, and so is one bar and a gap of a year."""
    bars = make_bars(instruments=1)
    moved = pl.when(pl.int_range(pl.len()) < 4).then(pl.duration(days=1500))
    old = bars.with_columns(
        pl.col("event_time", "knowledge_time") - moved.otherwise(pl.duration(days=0))
    )
    assert check_bars(old).findings.filter(kind="wrong_date").is_empty()
    recent = dated(bars, [0], bars["event_time"][0] - timedelta(days=370))
    assert check_bars(recent).findings.filter(kind="wrong_date").is_empty()


@pytest.mark.parametrize(("step", "alone"), [(30, True), (3650, False)])
def test_a_zero_among_months_is_found_and_the_figures_of_a_census_are_true(
    step: int, alone: bool
) -> None:
    rest = [datetime(1990, 1, 1, tzinfo=UTC) + timedelta(days=step * n) for n in range(25)]
    rows = MACRO.conform(
        pl.DataFrame({"event_time": [datetime(1970, 1, 1, tzinfo=UTC), *rest]}).with_columns(
            series_id=pl.lit("POP"), source=pl.lit("test"), value=pl.int_range(pl.len()) + 100.0,
            knowledge_time="event_time",
        )
    )  # fmt: skip
    context = CheckContext(as_of=datetime(2300, 1, 1, tzinfo=UTC))
    found = check("macro", rows, context=context).findings.filter(kind="wrong_date")
    assert found["row_index"].to_list() == ([0] if alone else [])
