"""What a file says and no table reads is told: once for files that are alike, never in silence."""

from pathlib import Path

import pytest

from adapters.sources.combined import CombinedSource
from adapters.sources.files import FileSource
from adapters.sources.mapping import MappingError, mapping_from
from adapters.sources.unread_columns import columns_read
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred

BARS = {
    "table": "bars", "files": "*.csv", "symbol": {"constant": "X"},
    "instrument": {"id": "US.{symbol}"}, "time": {"column": "Date", "stands_for": "session"},
    "columns": {"interval": {"constant": "1d"}, "close": "Close"},
}  # fmt: skip


def rows(head: str, cells: str) -> str:
    return f"{head}\n" + "".join(f"{day},{cells}\n" for day in SESSIONS)


def test_columns_that_nobody_recognises_are_told_once_for_all_files(tmp_path: Path) -> None:
    files = {f"{name}XY.csv": rows("Date,Close,VWAP,Trades", "1,2,3") for name in "ABCD"}
    source = inferred(tmp_path, files)
    assert source.left_out() == ("AXY.csv and 3 more: not read are VWAP, Trades",)
    assert source.left_out("bars") == source.left_out()
    assert source.left_out("news") == ()


def test_what_another_table_reads_is_read_and_empty_columns_say_nothing(tmp_path: Path) -> None:
    """A trailing separator is no column; the dividend beside the prices is an action's."""
    source = inferred(tmp_path, {"AXY.csv": rows("Date,Close,Dividends,Stock Splits,", "1,0,2,")})
    assert set(source.tables) == {"bars", "corporate_actions"}
    assert source.left_out() == ()


def test_each_layout_has_its_line(tmp_path: Path) -> None:
    source = inferred(
        tmp_path, {"AXY.csv": rows("Date,Close,Desk", "1,2"), "BXY.csv": rows("Date,Close", "1")}
    )
    assert source.left_out() == ("AXY.csv: not read is Desk",)
    assert CombinedSource([source]).left_out("bars") == source.left_out()


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    names = [f"Factor {n}" for n in range(40)]
    source = inferred(
        tmp_path, {"AXY.csv": rows("Date,Close," + ",".join(names), "1," + ",".join(["2"] * 40))}
    )
    (line,) = source.left_out()
    assert line.endswith("Factor 11 and 28 more")


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "Odd"},
        {"columns": {**BARS["columns"], "volume": "Odd"}},
        {"columns": {**BARS["columns"], "currency": {"template": "{Odd}"}}},
        {"where": {"column": "Odd", "is_in": ["1"]}},
        {"time": {"join": ["Date", "Odd"], "format": "%Y-%m-%d %H"}},
        {"knowledge": {"time": {"column": "Odd", "format": "epoch_s"}}},
        {"instrument": {"id": "US.{symbol}.{Odd}"}},
        {"calendar": {"column": "Odd"}},
        {"unpivot": {"index": "Date"}},
    ],
)
def test_whatever_place_of_the_mapping_names_a_column_it_is_read(change) -> None:
    spec = mapping_from({"tables": [{**BARS, **change}]}, name="test").tables[0]
    assert "Odd" in columns_read(spec, ["Date", "Close", "Odd"])
    assert "Even" not in columns_read(spec, ["Date", "Close", "Odd"])


def test_what_could_not_be_converted_is_not_taken_for_read(tmp_path: Path) -> None:
    (tmp_path / "A.csv").write_text("Date,Last\n2020-01-02,1\n")
    source = FileSource(tmp_path, mapping_from({"tables": [BARS]}, name="test"))
    for _ in range(2):
        with pytest.raises(MappingError, match="close must be read from"):
            source.fetch("bars", *EVER)
