"""JSON files: lists of records, and the envelopes in which vendors and pandas send them."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from adapters.sources import reading
from adapters.sources.files import FileSource
from adapters.sources.inference import infer_mapping
from adapters.sources.json_records import NoRecordsError, records_of
from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER, SESSIONS

DAYS = [date.fromisoformat(str(day)) for day in SESSIONS]
RECORDS = [
    {"date": str(day), "open": 1.5, "close": 10.25 + n, "volume": 100 + n}
    for n, day in enumerate(SESSIONS)
]
FRAME = pd.DataFrame(RECORDS)


def loaded(text: str | None) -> Any:
    assert text is not None
    return json.loads(text)


def by_day(**names: str) -> dict[str, dict[str, str]]:
    return {
        record["date"]: {names[name]: str(record[name]) for name in names} for record in RECORDS
    }


ENVELOPES: dict[str, Any] = {
    "a list": RECORDS,
    "under a key": {"symbol": "KO", "historical": RECORDS},
    "deeper": {"status": "ok", "body": {"count": 7, "rows": RECORDS}},
    "meta": {"meta": {"symbol": "KO", "currency": "USD", "exchange": "NYSE"}, "values": RECORDS},
    "one-letter names": {
        "ticker": "KO",
        "results": [
            {"t": r["date"], "o": r["open"], "c": r["close"], "v": r["volume"]} for r in RECORDS
        ],
    },
    "by date": {
        "Meta Data": {"1. Information": "Daily Prices", "2. Symbol": "KO"},
        "Time Series (Daily)": by_day(open="1. open", close="4. close", volume="5. volume"),
    },
    "lists as columns": {name: FRAME[name].to_list() for name in FRAME},
    "split": loaded(FRAME.to_json(orient="split")),
    "split by index": loaded(FRAME.set_index("date").to_json(orient="split")),
    "columns": loaded(FRAME.to_json(orient="columns")),
    "index": loaded(FRAME.to_json(orient="index")),
    "columns by epoch": loaded(
        FRAME.assign(date=pd.to_datetime(FRAME["date"])).set_index("date").to_json()
    ),
    "index by day": loaded(FRAME.set_index("date").to_json(orient="index")),
    "table": loaded(FRAME[["date", "open", "close", "volume"]].to_json(orient="records")),
}


def read(folder: Path, content: str, name: str = "KO.json") -> FileSource:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    return FileSource(folder, infer_mapping(folder))


@pytest.mark.parametrize("kind", ENVELOPES)
def test_each_envelope_gives_the_same_bars(tmp_path: Path, kind: str) -> None:
    source = read(tmp_path / "in", json.dumps(ENVELOPES[kind]))
    bars = source.fetch("bars", *EVER)
    assert bars["instrument_id"].unique().to_list() == ["US.KO"]
    assert bars["event_time"].dt.date().to_list() == DAYS
    assert bars["close"].to_list() == [record["close"] for record in RECORDS]
    assert bars["volume"].to_list() == [record["volume"] for record in RECORDS]
    assert source.rejected().is_empty()
    # The exchange has said which calendar it is; no row carries it.
    assert source.left_out() in [(), ("KO.json: not read is exchange",)]


def test_numbers_are_read_as_they_are_written() -> None:
    (record,) = records_of('[{"a": 0.1000, "b": 1234567890123456789, "c": NaN, "d": true}]')
    assert record == {"a": "0.1000", "b": "1234567890123456789", "c": "NaN", "d": True}


def test_what_is_no_record_in_a_list_is_set_aside_with_its_place(tmp_path: Path) -> None:
    odd = [*RECORDS[:2], "oops", *RECORDS[2:], 7, {"date": RECORDS[0]["date"], "close": "?"}]
    source = read(tmp_path / "in", json.dumps(odd))
    assert source.fetch("bars", *EVER).height == len(RECORDS)
    rejected = source.rejected().sort("source_row")
    assert rejected["source_row"].to_list() == [2, 8, 9]
    assert json.loads(rejected["row"][0]) == {"line": "oops"}


def test_lines_of_json_under_the_name_of_json_are_read(tmp_path: Path) -> None:
    source = read(tmp_path / "in", "\n".join(json.dumps(record) for record in RECORDS))
    assert source.fetch("bars", *EVER).height == len(RECORDS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (json.dumps(RECORDS)[:-30], "must be readable as JSON, was not"),
        ("[" * 100_000, "must be readable as JSON, was not"),
        (
            '{"a": [{"date": "2020-01-02"}], "b": [{"close": 1}]}',
            "one list of records, held 2: a, b",
        ),
        ("<html><body>Too many requests</body></html>", "must be readable as JSON, was not"),
    ],
)
def test_a_document_that_cannot_be_read_is_named_in_one_line(
    tmp_path: Path, content: str, said: str
) -> None:
    with pytest.raises(MappingError, match=said) as caught:
        read(tmp_path / "in", content)
    assert "KO.json" in str(caught.value)
    assert "--ignore 'KO.json'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_document_about_the_data_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/metadata.json").write_text('{"vendor": "x", "columns": ["date", "close"]}')
    source = read(tmp_path / "in", json.dumps(RECORDS))
    assert source.fetch("bars", *EVER).height == len(RECORDS)
    assert infer_mapping(tmp_path / "in").ignore == {"metadata.json": "JSON without records"}
    with pytest.raises(NoRecordsError):
        records_of("{}")


def test_a_document_too_large_to_be_held_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_JSON_BYTES", 100)
    with pytest.raises(MappingError, match=r"at most 100 bytes as JSON \(write JSON lines"):
        read(tmp_path / "in", json.dumps(RECORDS))


def test_how_an_answer_went_is_no_symbol(tmp_path: Path) -> None:
    """Finnhub's candles say "s": "ok": all shares were US.OK."""
    stamps = [int(datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp()) for d in DAYS]
    prices = {letter: [r["close"] for r in RECORDS] for letter in "ohlc"}
    (tmp_path / "KO.json").write_text(json.dumps({"s": "ok", "t": stamps, **prices}))
    source = FileSource(tmp_path, infer_mapping(tmp_path))
    assert set(source.fetch("bars", *EVER)["instrument_id"]) == {"US.KO"}
