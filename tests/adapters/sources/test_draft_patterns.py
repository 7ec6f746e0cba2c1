"""Files that are read alike are one table of an inferred mapping, and read as they were alone."""

from pathlib import Path

import pytest

from adapters.sources import inference
from adapters.sources.draft_patterns import with_patterns
from adapters.sources.files import FileSource
from adapters.sources.inference import infer_mapping, to_yaml
from adapters.sources.mapping import Mapping, TableMapping, load_mapping
from tests.adapters.sources.test_inference import EVER, SESSIONS

ROWS = "Date,Close\n" + "".join(f"{day},1.5\n" for day in SESSIONS)


def written(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ROWS)
    return folder


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (("AAPL.csv", "brk.b.csv"), ("*.csv",)),
        (("A=[x]/AAPL.csv", "A=[x]/KO.csv"), ("A=[[]x[]]/*.csv",)),
        (("nyse/KO.us.txt", "nasdaq/1/AAPL.us.txt"), ("**/*.us.txt",)),
        (("daily_AAPL_adj.csv", "daily_KO_adj.csv", "notes.csv"), ("daily_*_adj.csv",)),
    ],
)
def test_files_that_differ_in_their_symbol_alone_are_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], files: tuple[str, ...]
) -> None:
    folder = written(tmp_path / "data", *(name for name in names if name != "notes.csv"))
    if "notes.csv" in names:
        (folder / "notes.csv").write_text("Date\n")
    merged = infer_mapping(folder)
    assert [table.files for table in merged.tables] == [files]
    path = tmp_path / "data.yaml"
    path.write_text(to_yaml(merged))
    with monkeypatch.context() as alone:
        alone.setattr(inference, "with_patterns", lambda _, tables: tuple(tables))
        each = FileSource(folder, infer_mapping(folder))
    read = FileSource(folder, load_mapping(path))
    assert read.fetch("bars", *EVER).equals(each.fetch("bars", *EVER))
    assert read.instruments().equals(each.instruments())
    source, row = each.fetch("bars", *EVER).select("source", "source_row").row(-1)
    assert read.locate(source, row) == each.locate(source, row)


def test_where_a_pattern_would_take_other_files_as_well_they_are_listed(tmp_path: Path) -> None:
    folder = written(tmp_path / "data", "AAPL.csv", "KO.csv")
    (folder / "MSFT.csv").write_text(ROWS.replace("1.5", "1.2345"))  # another tick
    tables = infer_mapping(folder).tables
    assert sorted(table.files for table in tables) == [("AAPL.csv", "KO.csv"), ("MSFT.csv",)]
    bars = FileSource(folder, Mapping(name="data", tables=tables)).fetch("bars", *EVER)
    assert bars["instrument_id"].unique().sort().to_list() == ["US.AAPL", "US.KO", "US.MSFT"]


def test_symbols_that_no_rule_finds_in_the_names_stay_a_table_each(tmp_path: Path) -> None:
    folder = written(tmp_path / "data", "AAPL.csv", "KO.csv")
    [table] = infer_mapping(folder).tables
    alone = [
        TableMapping(
            table="bars", files=(name,), time=table.time, columns=table.columns,
            symbol=inference.Field(constant=symbol), instrument=table.instrument,
        )
        for name, symbol in (("AAPL.csv", "X"), ("KO.csv", "Y"))
    ]  # fmt: skip
    assert with_patterns(folder, alone) == tuple(alone)
