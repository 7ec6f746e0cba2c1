"""Layouts that people's folders have: titles, headers in other scripts, days in names, archives."""

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER, SESSIONS
from tests.adapters.sources.test_kept_reads import DAYS

ROWS = [(day, 10 + n, 11 + n, 9 + n, 10.5 + n, 900 + n) for n, day in enumerate(SESSIONS)]
LINES = "".join(f"{','.join(map(str, row))}\n" for row in ROWS)
HEADER = "Date,Open,High,Low,Close,Volume\n"


def closes(folder: Path, hints: Hints | None = None) -> dict[str, list[float]]:
    """What a folder without a mapping is read as."""
    rows = FileSource(folder, infer_mapping(folder, hints)).fetch("bars", *EVER)
    grouped: dict[str, list[float]] = {}
    for name, close in rows.sort("event_time").select("instrument_id", "close").iter_rows():
        grouped.setdefault(name, []).append(close)
    return grouped


def packed(files: Mapping[str, str | bytes]) -> bytes:
    """An archive of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


CLOSES = [row[4] for row in ROWS]


@pytest.mark.parametrize(
    "title",
    [
        "Price history of KO\nGenerated on 2020-01-20 by Desk\n\n",
        "Symbol:,KO\nCurrency:,USD\n",
        "Export,,,,,\n,,,,,\n",
    ],
)
def test_titles_before_the_header_are_passed_over(tmp_path: Path, title: str) -> None:
    """And the line of totals at the end is put aside: it has no day."""
    lines = "".join(f"{day},1,3,1,{n},7\n" for n, day in enumerate(DAYS))
    (tmp_path / "KO.csv").write_text(title + HEADER + lines + "Total,,,,,6321\n")
    source = FileSource(tmp_path, infer_mapping(tmp_path))
    assert closes(tmp_path) == {"US.KO": [float(n) for n in range(len(DAYS))]}
    rejected = source.rejected("bars")
    assert rejected.height == 1
    assert "Total" in rejected["row"][0]
    row = source.fetch("bars", *EVER).row(3, named=True)
    path, number = source.locate(row["source"], row["source_row"])
    lines = path.read_text().splitlines()
    assert lines[title.count("\n") + 1 + number].startswith(DAYS[3])


@pytest.mark.parametrize(
    "header",
    ["日付,始値,高値,安値,終値,出来高", "日期,开盘,最高,最低,收盘,成交量",
     "날짜,시가,고가,저가,종가,거래량", "Datum,Öppen,Högst,Lägst,Stängning,Volym",
     "Data,Otwarcie,Najwyższy,Najniższy,Zamkniecie,Wolumen"],
)  # fmt: skip
def test_headers_of_other_languages_are_known(tmp_path: Path, header: str) -> None:
    (tmp_path / "KO.csv").write_text(f"{header}\n{LINES}", encoding="utf-8-sig")
    rows = FileSource(tmp_path, infer_mapping(tmp_path)).fetch("bars", *EVER)
    found = rows.sort("event_time").select("open", "high", "low", "close", "volume")
    assert found.rows() == [tuple(map(float, row[1:])) for row in ROWS]


@pytest.mark.parametrize("name", ["{}.csv", "2020/eod_{}.csv", "{}_prices.csv"])
@pytest.mark.parametrize("dashes", [True, False])
def test_files_of_all_symbols_are_dated_by_their_names(
    tmp_path: Path, name: str, dashes: bool
) -> None:
    for number, day in enumerate(SESSIONS):
        written = name.format(day if dashes else day.replace("-", ""))
        path = tmp_path / written
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"Symbol,Open,Close,Volume\nKO,1,{CLOSES[number]},5\nPEP,1,{number},5\n")
    assert closes(tmp_path) == {
        "US.KO": CLOSES,
        "US.PEP": [float(number) for number in range(len(SESSIONS))],
    }


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f"])
@pytest.mark.parametrize("decimal", [",", "."])
def test_thousands_may_be_set_apart_by_spaces(tmp_path: Path, space: str, decimal: str) -> None:
    lines = [
        f"{day};{1234 + n}.5;{1235 + n}.5;1000.25;{1234 + n}.75;1234567"
        for n, day in enumerate(DAYS)
    ]
    between = re.compile(r"(?<=\d)(?=(?:\d{3})+(?:[.;]|$))(?<![-\d]{5})")
    text = "\n".join(between.sub(space, line) for line in lines)
    assert f"1{space}234.5;" in text
    assert f"1{space}234{space}567" in text
    header = "Datum;Öppen;Högst;Lägst;Stängning;Volym\n"
    (tmp_path / "KO.csv").write_text(header + text.replace(".", decimal) + "\n")
    assert closes(tmp_path) == {"US.KO": [1234.75 + n for n in range(len(DAYS))]}
    rows = FileSource(tmp_path, infer_mapping(tmp_path)).fetch("bars", *EVER)
    assert rows["volume"].unique().to_list() == [1234567.0]


def test_a_name_with_two_days_dates_nothing(tmp_path: Path) -> None:
    (tmp_path / "2020-01-02_2020-01-10.csv").write_text("Symbol,Open,Close\nKO,1,2\nPEP,1,2\n")
    with pytest.raises(MappingError, match="is the time"):
        infer_mapping(tmp_path)


def test_archives_within_archives_are_opened_and_what_is_no_data_is_passed_over(
    tmp_path: Path,
) -> None:
    inner = packed({"second/PEP.csv": HEADER + LINES})
    content = packed(
        {
            "__MACOSX/stocks/._KO.csv": b"\x00\x05\x16\x07\xff",
            "stocks/.DS_Store": b"\x00\x01",
            "stocks/readme.txt": "what this is",
            "stocks/notes.pdf": b"%PDF\xff",
            "stocks/KO.csv": HEADER + LINES,
            "more.zip": inner,
        }
    )
    (tmp_path / "all.zip").write_bytes(content)
    assert closes(tmp_path) == {"US.KO": CLOSES, "US.PEP": CLOSES}
    (tmp_path / "deep.zip").write_bytes(
        packed({"a.zip": packed({"b.zip": packed({"c.zip": inner})})})
    )
    with pytest.raises(MappingError, match="3 deep at most"):
        infer_mapping(tmp_path)


def test_an_archive_without_data_says_so(tmp_path: Path) -> None:
    (tmp_path / "KO.csv").write_text(HEADER + LINES)
    (tmp_path / "empty.zip").write_bytes(packed({".DS_Store": b"\x00"}))
    found = infer_mapping(tmp_path)
    assert found.ignore == {"empty.zip": "an archive without data files"}


@pytest.mark.parametrize(("end", "kept"), [("", False), ("\n", True)])
def test_a_last_line_whose_writer_died_is_put_aside(tmp_path: Path, end: str, kept: bool) -> None:
    """16,17,15,1 was to become 16.5 and a volume: a line that is cut short is no record."""
    *whole, last = LINES.splitlines(keepends=True)
    (tmp_path / "KO.csv").write_text(HEADER + "".join(whole) + last[: last.index(".")] + end)
    (tmp_path / "PEP.csv").write_text(HEADER + LINES.rstrip())  # whole, without an end
    source = FileSource(tmp_path, infer_mapping(tmp_path))
    found = closes(tmp_path)
    assert found["US.PEP"] == CLOSES
    assert found["US.KO"] == ([*CLOSES[:-1], 16.0] if kept else CLOSES[:-1])
    assert source.rejected("bars").height == (0 if kept else 1)


def _adjusted(folder: Path, factor: dict[int, float], start: float) -> None:
    """A file of closes with two decimals, and closes adjusted by the factor up to each place."""
    lines = ["Date,Close,Adj Close"]
    for n, day in enumerate(DAYS):
        whole = start * (1 + 0.01 * (n % 3))
        rest = 1.0
        for place, ratio in factor.items():
            rest *= ratio if n < place else 1.0
        lines.append(f"{day},{whole / rest:.2f},{whole:.2f}")
    folder.mkdir(exist_ok=True)
    (folder / "KO.csv").write_text("\n".join(lines) + "\n")


def test_prices_of_two_decimals_tell_their_splits_and_no_payments(tmp_path: Path) -> None:
    """A factor of 1/4 up to the tenth day is a split; the roundings beside it are nothing."""
    _adjusted(tmp_path / "in", {10: 0.25, 15: 0.99}, 50.0)
    mapping = infer_mapping(tmp_path / "in")
    actions = FileSource(tmp_path / "in", mapping).fetch("corporate_actions", *EVER)
    assert actions.select("kind", "ratio").rows() == [("split", 4.0)]
    assert str(actions["event_time"][0].date()) == DAYS[10]
    bars = next(table for table in mapping.tables if table.table == "bars")
    assert bars.columns["adjustment"].constant == "raw"


@pytest.mark.parametrize(
    ("close", "adjusted"),
    [
        (["0.04"] * 19, ["0.03"] * 10 + ["0.04"] * 9),  # a payment, rounded
        (["0.04"] * 10 + ["0.03"] * 9, ["0.03"] * 19),  # a fall, which the factor seems to tell
        (["4"] * 10 + ["3"] * 9, ["3"] * 19),  # without decimals
    ],
)
def test_roundings_of_small_prices_are_no_splits(
    tmp_path: Path, close: list[str], adjusted: list[str]
) -> None:
    rows = zip(DAYS, close, adjusted, strict=True)
    lines = "".join(f"{','.join(row)}\n" for row in rows)
    (tmp_path / "KO.csv").write_text(f"Date,Close,Adj Close\n{lines}")
    mapping = infer_mapping(tmp_path)
    source = FileSource(tmp_path, mapping)
    assert "corporate_actions" not in source.tables
    assert source.fetch("bars", *EVER)["adjustment"].unique().to_list() == ["raw"]
