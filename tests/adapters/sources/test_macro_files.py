"""Macro files: vintages in columns and in rows, names, shares in percent, days of publication."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.mapping import MappingError, mapping_from
from tests.adapters.sources.test_inference import EVER, inferred

WIDE = (
    "observation_date,GDPC1_20240125,GDPC1_20240228,UNRATE_20240202\n"
    "2023-07-01,22490.7,22490.7,3.5\n2023-10-01,22672.9,22669.0,3.8\n2024-01-01,,,.\n"
)


def over_everywhere(year: int, month: int, day: int) -> datetime:
    """When a day is over in the last zone of the earth."""
    return datetime(year, month, day, 12, tzinfo=UTC) + timedelta(days=1)


def versions(source: FileSource) -> list[tuple[str, str, float, datetime]]:
    values = source.fetch("macro", *EVER).sort("series_id", "event_time", "knowledge_time")
    day = pl.col("event_time").dt.date().cast(pl.String)
    return list(values.select("series_id", day, "value", "knowledge_time").iter_rows())


def test_a_column_a_vintage_is_known_when_its_day_is_over(tmp_path: Path) -> None:
    source = inferred(tmp_path, {"vintages.csv": WIDE})
    first, second = over_everywhere(2024, 1, 25), over_everywhere(2024, 2, 28)
    assert versions(source) == [
        ("GDPC1", "2023-07-01", 22490.7, first),
        ("GDPC1", "2023-07-01", 22490.7, second),
        ("GDPC1", "2023-10-01", 22672.9, first),
        ("GDPC1", "2023-10-01", 22669.0, second),
        ("UNRATE", "2023-07-01", 3.5, over_everywhere(2024, 2, 2)),
        ("UNRATE", "2023-10-01", 3.8, over_everywhere(2024, 2, 2)),
    ]
    assert source.rejected().is_empty()


def test_the_store_keeps_a_vintage_where_it_says_something_new(tmp_path: Path) -> None:
    from adapters.stores.tables_delta import DeltaTableStore
    from features.schemas import MACRO

    rows = inferred(tmp_path, {"vintages.csv": WIDE}).fetch("macro", *EVER)
    receipt = DeltaTableStore(tmp_path / "store").append("macro", rows, key=MACRO.key)
    assert receipt.inserted_row_count == 5  # the third quarter was not revised


def test_a_column_that_a_pattern_does_not_match_is_told_as_not_read(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text(WIDE.replace("UNRATE_20240202", "Remark"))
    table = {
        "table": "macro", "files": "v.csv", "columns": {"series_id": "name", "value": "value"},
        "time": {"column": "observation_date", "stands_for": "day"},
        "unpivot": {"index": "observation_date", "pattern": "(?P<name>.+)_(?P<day>[0-9]{8})"},
        "knowledge": {"time": {"column": "day", "format": "%Y%m%d", "stands_for": "day"}},
    }  # fmt: skip
    source = FileSource(tmp_path, mapping_from({"tables": [table]}, name="x"))
    assert {name for name, *_ in versions(source)} == {"GDPC1"}
    assert source.left_out() == ("v.csv: not read is Remark",)
    with pytest.raises(MappingError, match="pattern must be a regular expression"):
        mapping_from({"tables": [{**table, "unpivot": {"index": "d", "pattern": "("}}]}, name="x")


@pytest.mark.parametrize(
    "header",
    ["date,realtime_start,realtime_end,value",
     "period_start_date,realtime_start_date,realtime_end_date,PAYEMS",
     "observation_date,vintage,note,value"],
)  # fmt: skip
def test_a_row_a_vintage_is_known_when_its_day_is_over(tmp_path: Path, header: str) -> None:
    rows = "2024-01-01,2024-02-02,2024-03-07,157700\n2024-01-01,2024-03-08,9999-12-31,157533\n"
    source = inferred(tmp_path, {"PAYEMS.csv": f"{header}\n{rows}"})
    assert versions(source) == [
        ("PAYEMS", "2024-01-01", 157700.0, over_everywhere(2024, 2, 2)),
        ("PAYEMS", "2024-01-01", 157533.0, over_everywhere(2024, 3, 8)),
    ]


DAILY = "2024-01-02,3.95\n2024-01-03,3.91\n"


def test_a_file_that_is_named_by_no_series_is_named_by_its_values_or_asked_about(
    tmp_path: Path,
) -> None:
    source = inferred(tmp_path, {"fredgraph.csv": f"observation_date,DGS10\n{DAILY}"})
    assert {name for name, *_ in versions(source)} == {"DGS10"}
    (tmp_path / "x").mkdir()
    with pytest.raises(MappingError, match=r"data\.csv: which series is it\?"):
        inferred(tmp_path / "x", {"data.csv": f"date,value\n{DAILY}"})


def test_shares_are_told_in_percent_and_a_change_beside_a_value_is_no_series(
    tmp_path: Path,
) -> None:
    yields = 'Date,"1 Mo","10 Yr"\n2024-01-02,5.55%,3.95\n2024-01-03,5.5 %,3.91\n'
    change = "Date,Price,Change %\n2024-01-02,4.25,-1.5%\n2024-01-03,4.5,+2%\n"
    source = inferred(tmp_path, {"yields.csv": yields, "TNX.csv": change})
    found = [(name, value) for name, _, value, _ in versions(source)]
    assert found == [
        ("TNX", 4.25), ("TNX", 4.5), ("yields.1 Mo", 5.55), ("yields.1 Mo", 5.5),
        ("yields.10 Yr", 3.95), ("yields.10 Yr", 3.91),
    ]  # fmt: skip
    assert source.rejected().is_empty()


@pytest.mark.parametrize("step", [7, 30, 91, 365])
def test_values_of_periods_are_not_known_on_their_day(tmp_path: Path, step: int) -> None:
    """January's prices are told in February: nothing but the user says when."""
    days = [datetime(2020, 1, 1) + timedelta(days=step * n) for n in range(6)]  # noqa: DTZ001
    text = "date,value\n" + "".join(f"{day:%Y-%m-%d},1.5\n" for day in days)
    with pytest.raises(MappingError, match=r"CPI\.csv: how long after its day .* --published 45d"):
        inferred(tmp_path, {"CPI.csv": text})
    (tmp_path / "told").mkdir()
    (tmp_path / "told" / "CPI.csv").write_text(text)
    source = FileSource(tmp_path / "told", infer_mapping(tmp_path / "told", Hints(published="45d")))
    known = source.fetch("macro", *EVER).select(pl.col("knowledge_time") - pl.col("event_time"))
    assert known.to_series().unique().to_list() == [timedelta(days=46)]
    with pytest.raises(MappingError, match="lag must be a duration"):
        infer_mapping(tmp_path / "told", Hints(published="soon"))
