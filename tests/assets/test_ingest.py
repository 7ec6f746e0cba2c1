"""Raw tables: what a delivery holds twice is told and shown, and a second delivery is no copy."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.mapping import mapping_from
from adapters.stores.tables_delta import DeltaTableStore
from assets import ingest
from assets.cleaning_checks import quarantine
from assets.partitions import month_key

NOW = datetime(2022, 6, 1, tzinfo=UTC)
HEAD = "Date,Name,Close\n"
ROWS = "2022-01-03,A,1\n2022-01-03,B,2\n2022-01-04,A,1\n2022-01-04,B,2\n"


def make_source(folder: Path, **files: str) -> FileSource:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(HEAD + content)
    spec = {
        "table": "bars", "files": "*.csv", "symbol": "Name", "instrument": {"id": "US.{symbol}"},
        "time": {"column": "Date", "stands_for": "session"},
        "columns": {"interval": {"constant": "1d"}, "close": "Close"},
    }  # fmt: skip
    return FileSource(folder, mapping_from({"tables": [spec]}, name="test"))


def ingested(source: FileSource, tables: DeltaTableStore, home: Path) -> dict[str, Any]:
    """Materialize raw_bars of January 2022 and return its metadata."""
    asset = next(a for a in ingest.RAW_TABLES if a.key == dg.AssetKey("raw_bars"))
    clock = SimpleNamespace(now=lambda: NOW)
    with dg.DagsterInstance.ephemeral(str(home)) as instance:
        result = dg.materialize(
            [asset], instance=instance, partition_key=month_key(datetime(2022, 1, 1, tzinfo=UTC)),
            resources={"source": source, "tables": tables, "clock": clock},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
    found = result.asset_materializations_for_node("raw_bars")[0].metadata
    return {name: value.value for name, value in found.items()}


def test_copies_in_a_file_and_over_files_are_shown_with_the_row_that_stays(tmp_path: Path) -> None:
    again = "2022-01-04,B,2\n2022-01-05,A,3\n"
    source = make_source(tmp_path / "in", one=ROWS + "2022-01-03,A,1\n", two=again)
    tables = DeltaTableStore(tmp_path / "tables")
    found = ingested(source, tables, tmp_path)
    assert (found["dagster/row_count"], found["new_row_count"], found["copied_row_count"]) == (
        7,
        5,
        2,
    )
    aside = tables.read("rejected_bars")
    assert aside["kind"].to_list() == ["duplicate", "duplicate"]
    for row in aside.iter_rows(named=True):
        assert row["reason"].startswith(
            'a record must stand once, stood 2 times: {"instrument_id":"US.'
        )
        path, number = source.locate(row["source"], row["source_row"])
        written = path.read_text().splitlines()[number + 1]
        assert written in {"2022-01-03,A,1", "2022-01-04,B,2"}
        assert f'"close":{written[-1]}.0' in row["row"]
    assert found["unreadable_row_count"] == 0
    assert found[ingest.REMARK].startswith("bars: 2 rows are exact copies of another")


def test_the_same_delivery_on_the_next_run_holds_no_copies(tmp_path: Path) -> None:
    tables = DeltaTableStore(tmp_path / "tables")
    ingested(make_source(tmp_path / "in", one=ROWS), tables, tmp_path)
    version = tables.version("raw_bars")
    found = ingested(make_source(tmp_path / "in", one=ROWS), tables, tmp_path)
    assert (found["new_row_count"], found["copied_row_count"]) == (0, 0)
    assert ingest.REMARK not in found
    assert tables.version("raw_bars") == version
    assert tables.read("rejected_bars").is_empty()


def test_very_many_copies_are_all_counted_and_some_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "COPIES_MAX", 3)
    source = make_source(tmp_path / "in", one=ROWS, two=ROWS, three=ROWS)
    tables = DeltaTableStore(tmp_path / "tables")
    found = ingested(source, tables, tmp_path)
    assert (found["new_row_count"], found["copied_row_count"]) == (4, 8)
    assert tables.read("rejected_bars").height == 3


def test_other_values_or_another_time_of_knowledge_are_no_copies(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in", one=ROWS + "2022-01-03,A,9\n")
    found = ingested(source, DeltaTableStore(tmp_path / "tables"), tmp_path)
    assert (found["new_row_count"], found["copied_row_count"]) == (5, 0)


def test_rows_that_a_later_delivery_lacks_are_told_and_stay(tmp_path: Path) -> None:
    make_source(tmp_path / "in", p_20220103=ROWS + "2022-01-05,A,3\n")
    make_source(
        tmp_path / "in", p_20220105=ROWS.replace("2022-01-04,A,1\n", "") + "2022-01-05,A,3\n"
    )
    spec = {
        "table": "bars", "files": "*.csv", "symbol": "Name", "instrument": {"id": "US.{symbol}"},
        "time": {"column": "Date", "stands_for": "session"}, "deliveries": {"by": "name"},
        "columns": {"interval": {"constant": "1d"}, "close": "Close"},
    }  # fmt: skip
    source = FileSource(tmp_path / "in", mapping_from({"tables": [spec]}, name="test"))
    tables = DeltaTableStore(tmp_path / "tables")
    found = ingested(source, tables, tmp_path)
    assert (found["dagster/row_count"], found["missing_later_count"]) == (5, 1)
    assert found["unreadable_row_count"] == 0
    assert found[ingest.REMARK].startswith(
        "bars: 1 rows stay as they were though a later delivery lacks them, e.g. a later delivery"
    )
    assert tables.read("rejected_bars")["kind"].to_list() == ["missing_later"]
    assert quarantine(tables).is_empty()


def test_prints_that_are_alike_are_trades_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/T.csv").write_text(
        "time,price,size\n" + "2022-01-03T15:00:00Z,10,5\n" * 3 + "2022-01-03T15:00:01Z,10,5\n"
    )
    spec = {
        "table": "trades", "files": "*.csv", "symbol": {"constant": "T"}, "time": "time",
        "instrument": {"id": "US.{symbol}"}, "columns": {"price": "price", "size": "size"},
    }  # fmt: skip
    source = FileSource(tmp_path / "in", mapping_from({"tables": [spec]}, name="test"))
    ever = (datetime(2022, 1, 1, tzinfo=UTC), datetime(2022, 2, 1, tzinfo=UTC))
    assert source.fetch("trades", *ever)["sequence"].to_list() == [0, 1, 2, 0]


def test_nothing_is_lost_between_rows_copies_and_the_store(tmp_path: Path) -> None:
    days = pl.date_range(date(2022, 1, 3), date(2022, 1, 28), "1d", eager=True)
    rows = "".join(f"{day},{name},{day.day}\n" for day in days for name in "ABC")
    source = make_source(tmp_path / "in", one=rows, two=rows[: len(rows) // 2])
    tables = DeltaTableStore(tmp_path / "tables")
    found = ingested(source, tables, tmp_path)
    kept, aside = tables.read("raw_bars").height, tables.read("rejected_bars").height
    assert kept + aside == found["dagster/row_count"] + 1  # the row that was cut in two
    assert kept == 3 * len(days)
