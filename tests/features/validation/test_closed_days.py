"""Bars on days on which the exchange was closed: what is told of them."""

from datetime import datetime, timedelta

import polars as pl

from tests.features.validation.make import check_bars, make_bars, set_cells


def test_a_bar_on_a_weekend_names_its_day_its_source_and_its_row() -> None:
    rows = make_bars(instruments=1)
    moved = pl.col("event_time") - pl.duration(days=2)  # of a Monday
    times: list[datetime] = rows["event_time"].to_list()
    monday = next(n for n, at in enumerate(times) if n > 30 and at.weekday() == 0)
    report = check_bars(set_cells(rows, [monday], event_time=moved))

    found = report.findings.filter(kind="off_session")

    source, row = rows.select("source", "source_row").row(monday)
    (reason,) = found["reason"].to_list()
    day = times[monday] - timedelta(days=2)
    assert f"has a bar on Saturday {day:%Y-%m-%d}, when XNYS was closed" in reason
    assert reason.endswith(f": source_row {row} of {source}")
