"""Files that come packed, archives that cannot be opened, and days of spreadsheets."""

import bz2
import gzip
import io
import lzma
import zipfile
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred

TEXT = "Date,Close\n" + "".join(f"{day},{n}.5\n" for n, day in enumerate(SESSIONS, 1))
CLOSES = [n + 0.5 for n, _ in enumerate(SESSIONS, 1)]


def arrow_packed(content: bytes, kind: str) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, kind) as stream:
        stream.write(content)
    return out.getvalue().to_pybytes()


PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: arrow_packed(content, "zstd"),
    "lz4": lambda content: arrow_packed(content, "lz4"),
}


def zipped(held: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def closes(folder: Path) -> dict[str, list[float]]:
    rows = FileSource(folder, infer_mapping(folder)).fetch("bars", *EVER).sort("event_time")
    return {str(name): part["close"].to_list() for (name,), part in rows.group_by("instrument_id")}


@pytest.mark.parametrize("ending", PACKERS)
def test_packed_files_are_read_alone_and_in_archives(tmp_path: Path, ending: str) -> None:
    packed = PACKERS[ending](TEXT.encode())
    (tmp_path / f"KO.csv.{ending}").write_bytes(packed)
    (tmp_path / "all.zip").write_bytes(zipped({f"in/PEP.csv.{ending.upper()}": packed}))
    assert closes(tmp_path) == {"US.KO": CLOSES, "US.PEP": CLOSES}


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("in_archive", [False, True])
def test_a_packed_file_that_is_cut_short_is_asked_about(
    tmp_path: Path, ending: str, in_archive: bool
) -> None:
    packed = PACKERS[ending](TEXT.encode())[:-6]
    name = f"PEP.csv.{ending}"
    (tmp_path / "KO.csv").write_text(TEXT)
    if in_archive:
        name, packed = "all.zip", zipped({name: packed})
    (tmp_path / name).write_bytes(packed)
    with pytest.raises(MappingError, match=f"{name} must be a whole archive, was not"):
        infer_mapping(tmp_path)


def test_data_in_an_archive_that_cannot_be_read_are_asked_about(tmp_path: Path) -> None:
    inner = zipped({"x/t.dbn": b"DBN", "PEP.csv": TEXT.encode()})
    held = {"KO.csv": TEXT.encode(), "q/a.xlsx": b"PK", "~$a.xlsx": b"", "more.zip": inner}
    (tmp_path / "all.zip").write_bytes(zipped(held))
    with pytest.raises(MappingError) as asked:
        infer_mapping(tmp_path)
    assert "all.zip/q/a.xlsx: it cannot be read: save each of its sheets as CSV" in str(asked.value)
    assert "all.zip/more.zip/x/t.dbn: it cannot be read: save it as CSV" in str(asked.value)
    assert "~$" not in str(asked.value)

    mapping = infer_mapping(tmp_path, Hints(ignore=("all.zip/q/*.xlsx", "*.dbn")))
    source = FileSource(tmp_path, mapping)
    assert sorted(source.fetch("bars", *EVER)["close"]) == sorted(CLOSES * 2)
    assert source.unmapped_files() == ("all.zip/more.zip/x/t.dbn", "all.zip/q/a.xlsx")


def test_an_archive_with_a_password_is_asked_about(tmp_path: Path) -> None:
    whole = bytearray(zipped({"KO.csv": TEXT.encode()}))
    for signature, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.index(signature) + flag] |= 1  # its member is encrypted
    (tmp_path / "all.zip").write_bytes(bytes(whole))
    with pytest.raises(MappingError, match=r"all\.zip must be a whole archive.*password"):
        infer_mapping(tmp_path)


def serial(day: str, time: str = "00:00") -> float:
    moment = datetime.fromisoformat(f"{day} {time}")
    return (moment - datetime(1899, 12, 30)).total_seconds() / 86_400  # noqa: DTZ001 - naive


@pytest.mark.parametrize(("mark", "separator"), [(".", ","), (",", ";")])
def test_days_that_a_spreadsheet_counts_are_read(tmp_path: Path, mark: str, separator: str) -> None:
    rows = [f"{serial(day):.0f}{separator}{n}{mark}5\n" for n, day in enumerate(SESSIONS, 1)]
    (tmp_path / "KO.csv").write_text(f"Date{separator}Close\n" + "".join(rows))
    bars = FileSource(tmp_path, infer_mapping(tmp_path)).fetch("bars", *EVER).sort("event_time")
    assert [str(t.date()) for t in bars["event_time"]] == SESSIONS
    assert bars["close"].to_list() == CLOSES


@pytest.mark.parametrize("head", ["Date", "Date,Time"])
@pytest.mark.parametrize("decimals", [5, 10])
def test_the_time_of_day_is_the_part_of_a_day(tmp_path: Path, decimals: int, head: str) -> None:
    times = [f"{9 + m // 60:02}:{m % 60:02}" for m in range(31, 160)]
    stamps = [f"{serial('2020-01-02', t):.{decimals}f}" for t in times]
    if head == "Date,Time":
        stamps = [stamp.replace(".", ",0.") for stamp in stamps]
    lines = "".join(f"{stamp},1.5,1.5,1.5,1.5,9\n" for stamp in stamps)
    text = f"{head},Open,High,Low,Close,Volume\n{lines}"
    mapping = infer_mapping(folder_of(tmp_path, text), Hints(zone="UTC"))
    bars = FileSource(tmp_path, mapping).fetch("bars", *EVER)
    assert [f"{t:%H:%M:%S.%f}" for t in bars["event_time"].sort()] == [
        f"{m // 60 + 9:02}:{m % 60:02}:00.000000" for m in range(32, 161)
    ]


def folder_of(folder: Path, text: str) -> Path:
    (folder / "KO.csv").write_text(text)
    return folder


def test_seconds_of_a_day_are_no_days(tmp_path: Path) -> None:
    lines = "".join(f"{34_200 + n},1.5,100\n" for n in range(50))
    with pytest.raises(MappingError, match="in which format is 'Time'"):
        inferred(tmp_path, {"KO.csv": f"Time,Close,Volume\n{lines}"})
