"""Folders of many small files: read together, told while it lasts, each row as if read alone."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from adapters.sources import files
from adapters.sources.batches import in_batches
from adapters.sources.files import FileSource
from adapters.sources.inference import infer_mapping
from adapters.sources.mapping import Mapping, MappingError, mapping_from
from tests.adapters.sources.test_inference import EVER, SESSIONS

NAMES = [f"{first}{second}X" for first in "ABCDEFGHIJKLMNOP" for second in "ABCDEFGH"]


def write_folder(folder: Path, names: list[str] = NAMES) -> Path:
    """One file of bars a name; the last column only in every fourth, and a bad line in one."""
    folder.mkdir()
    for number, name in enumerate(names):
        more = number % 4 == 0
        lines = ["Date,Close,Adj Close" + ",Volume" * more]
        for day, session in enumerate(SESSIONS):
            close = 10 + number + 0.01 * day
            lines.append(f"{session},{close},{close * (0.5 if day < 3 else 1)}" + ",7" * more)
        if number == 5:
            lines[3] = f"{SESSIONS[2]},soon,1"
            lines.append("2020-03-02,1,2,3,4,5")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def mapping() -> Mapping:
    common = {
        "files": "*.csv", "source_per_file": True, "file_name": r"(?P<symbol>\w+)\.csv",
        "symbol": "symbol", "instrument": {"id": "US.{symbol}"},
        "time": {"column": "Date", "stands_for": "session"},
    }  # fmt: skip
    columns = {"interval": {"constant": "1d"}, "close": "Close"}
    implied = {"close": "Close", "adj_close": "Adj Close"}
    return mapping_from(
        {
            "tables": [
                {"table": "bars", "columns": columns, **common},
                {
                    "table": "corporate_actions",
                    "columns": implied,
                    "implied_actions": "on_close",
                    **common,
                },
            ]
        },
        name="many",
    )


def test_files_of_one_layout_are_converted_together(tmp_path: Path, monkeypatch) -> None:
    seen: list[int] = []
    convert = files.to_table

    def counted(*args, **kwargs):
        seen.append(args[1].rows.height)
        return convert(*args, **kwargs)

    monkeypatch.setattr(files, "to_table", counted)
    source = FileSource(write_folder(tmp_path / "in"), mapping())
    source.fetch("bars", *EVER)
    assert len(seen) == 2  # one for each layout, not one for each of 128 files


def test_the_adjustment_of_many_files_is_probed_at_once(tmp_path: Path, monkeypatch) -> None:
    """An adjusted close beside the close is looked at in all files, a layout at a time."""
    seen: list[int] = []
    convert = files.to_table

    def counted(*args, **kwargs):
        seen.append(args[1].rows.height)
        return convert(*args, **kwargs)

    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        lines = [f"{day},{10 + number}.1234,{5 + number}.4321" for day in SESSIONS]
        (folder / f"{name}.csv").write_text("\n".join(["Date,Close,Adj Close", *lines]) + "\n")
    monkeypatch.setattr(files, "to_table", counted)
    mapping = infer_mapping(folder)
    assert [table.table for table in mapping.tables] == ["bars", "corporate_actions"]
    assert len(seen) == 2


def test_together_or_alone_the_rows_are_the_same(tmp_path: Path, monkeypatch) -> None:
    folder = write_folder(tmp_path / "in")
    together = FileSource(folder, mapping())
    alone = FileSource(folder, mapping())
    for table in ("bars", "corporate_actions"):
        whole = together.fetch(table, *EVER)
        rejected = together.rejected(table).sort("source", "source_row")
        with monkeypatch.context() as patch:
            patch.setattr(files, "in_batches", lambda found: ([file] for file in found))
            each = alone.fetch(table, *EVER)
            assert whole.equals(each)
            assert rejected.equals(alone.rejected(table).sort("source", "source_row"))
            assert together.instruments().equals(alone.instruments())
        assert whole["instrument_id"].n_unique() == len(NAMES)
        assert rejected.height == 2  # the bad cell and the long line, in the file that they are of
        assert rejected["source"].unique().to_list() == [f"files/many/{table}:AFX.csv"]


def test_batches_are_bounded(tmp_path: Path) -> None:
    source = FileSource(write_folder(tmp_path / "in"), mapping())
    spec = mapping().tables[0]
    found = source._file_rows(spec, {p.name: p for p in sorted((tmp_path / "in").iterdir())}, {})
    heights = [sum(f.raw.rows.height for f in batch) for batch in in_batches(found, rows_max=200)]
    assert sum(heights) == len(NAMES) * len(SESSIONS)
    assert max(heights) < 200 + len(SESSIONS)


def test_the_file_that_does_not_fit_is_named_among_many(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in")
    (folder / "ZZZ.csv").write_text("Date,Last\n2020-01-02,1\n")
    with pytest.raises(MappingError, match=r"^ZZZ\.csv: close must be read from .*'Last'"):
        FileSource(folder, mapping()).fetch("bars", *EVER)


def test_how_far_it_is_read_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    tell: Callable[[str], None] = told.append
    folder = write_folder(tmp_path / "in")
    FileSource(folder, mapping(), tell).fetch("bars", *EVER)
    infer_mapping(folder, progress=tell)
    assert told[0] == "read 100 of 128 files of bars"
    assert "looked at 100 of 128 files" in told


@pytest.mark.parametrize(("count", "is_known"), [(100, True), (3, False)])
def test_a_ticker_that_reads_like_a_word_is_one_among_many_tickers(
    tmp_path: Path, count: int, is_known: bool
) -> None:
    """Allstate is ALL and Dayforce DAY; beside three files such a name may speak of the data."""
    folder = write_folder(tmp_path / "in", [*NAMES[:count], "ALL", "DAY"])
    if not is_known:
        with pytest.raises(MappingError, match=r"ALL\.csv and 1 more: which instrument"):
            infer_mapping(folder)
        return
    ids = FileSource(folder, infer_mapping(folder)).instruments()["instrument_id"]
    assert {"US.ALL", "US.DAY"} < set(ids.to_list())


def test_an_export_of_everything_stays_a_question(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", [*NAMES, "daily"])
    with pytest.raises(MappingError, match=r"daily\.csv: which instrument"):
        infer_mapping(folder)


def test_an_instrument_is_found_however_many_files_there_are(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in")
    source = FileSource(folder, mapping())
    row = source.fetch("bars", *EVER).filter(pl.col("instrument_id") == "US.PHX").row(3, named=True)
    path, number = source.locate(row["source"], row["source_row"])
    assert path.name == "PHX.csv"
    assert path.read_text().splitlines()[number + 1].split(",")[1] == str(row["close"])


def test_of_many_files_only_the_changed_ones_are_read_again(tmp_path: Path, monkeypatch) -> None:
    """Changed, new and gone files are seen, and what is returned is what a fresh look returns."""
    folder = write_folder(tmp_path / "in")
    read: list[str] = []
    opened = files.contents
    monkeypatch.setattr(files, "in_batches", lambda found: in_batches(found, rows_max=70))
    monkeypatch.setattr(
        files, "contents", lambda path, whole: read.append(path.name) or opened(path, whole)
    )
    source = FileSource(folder, mapping())
    source.fetch("bars", *EVER)
    assert len(read) == len(NAMES)

    read.clear()
    changed = folder / f"{NAMES[40]}.csv"
    changed.write_text(changed.read_text() + "2020-01-13,77,77,1\n")
    (folder / f"{NAMES[41]}.csv").unlink()
    (folder / "NEWX.csv").write_text("Date,Close,Adj Close\n2020-01-13,5,5\n")
    again = source.fetch("bars", *EVER)
    assert sorted(read) == sorted(["NEWX.csv", changed.name])
    assert again.equals(FileSource(folder, mapping()).fetch("bars", *EVER))
    ids = source.instruments()["instrument_id"].to_list()
    assert "US.NEWX" in ids
    assert f"US.{NAMES[41]}" not in ids
    assert 77.0 in again["close"].to_list()
