"""What the columns of files that nobody has described are found to be, or asked about."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.kept_frames import KeptFrames
from adapters.sources.mapping import MappingError
from adapters.sources.market_clues import calendar_of_days
from features import calendars
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred

XNYS_DAYS: list[date] = calendars.sessions("XNYS", date(2021, 3, 1), date(2022, 3, 1))[
    "session"
].to_list()


def versions(column: str, stamps: list[str]) -> str:
    """Return a file in which one bar is published as often as there are stamps."""
    rows = [f"{day},AAPL,10,{day}T22:00:00" for day in SESSIONS]
    rows += [f"{SESSIONS[0]},AAPL,{5 + k},{stamp}" for k, stamp in enumerate(stamps)]
    return "\n".join([f"date,symbol,close,{column}", *rows])


@pytest.mark.parametrize("column", ["published_at", "Known At", "revisedAt", "knowledge_time"])
def test_a_column_of_publication_gives_each_version_its_own_knowledge_time(
    tmp_path: Path, column: str
) -> None:
    files = {"prices.csv": versions(column, ["2020-05-01T12:00:00", "2020-06-01T12:00:00"])}
    with pytest.raises(MappingError, match="in which zone are the times of"):
        inferred(tmp_path, files)
    (tmp_path / "told").mkdir()
    source = inferred(tmp_path / "told", files, Hints(zone="UTC"))
    rows = source.fetch("bars", *EVER).sort("event_time", "knowledge_time").head(3)
    assert rows["close"].to_list() == [10.0, 5.0, 6.0]
    assert rows["knowledge_time"].to_list()[1:] == [
        datetime(2020, 5, 1, 12, tzinfo=UTC),
        datetime(2020, 6, 1, 12, tzinfo=UTC),
    ]
    assert not any("not read" in line for line in source.left_out("bars"))


def test_what_was_kept_of_a_folder_remembers_its_column_of_publication(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    text = versions("published_at", ["2020-05-01T12:00:00Z"]).replace("22:00:00", "22:00:00Z")
    (tmp_path / "data" / "prices.csv").write_text(text)
    found = [
        infer_mapping(tmp_path / "data", Hints(), kept=KeptFrames(tmp_path / "kept"))
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert found[1].tables[0].knowledge.time is not None


def test_a_day_of_publication_says_nothing_of_the_hour_and_is_told_as_not_read(
    tmp_path: Path,
) -> None:
    rows = "".join(f"{day},AAPL,10,{day}\n" for day in SESSIONS)
    source = inferred(tmp_path, {"p.csv": f"date,symbol,close,published_at\n{rows}"})
    assert any("not read is published_at" in line for line in source.left_out("bars"))


@pytest.mark.parametrize(
    ("header", "prices"),
    [
        ("TradingDay,Instrument,PxOpen,PxHigh,PxLow,PxLast", 4),
        ("Business Date,TIDM,Open Px,High Px,Low Px,Close Px,Shares Traded", 4),
        ("settlement_date,contract,open,high,low,settle,volume", 4),
    ],
)
def test_words_beside_the_meaning_of_a_column_do_not_hide_it(
    tmp_path: Path, header: str, prices: int
) -> None:
    numbers = ",".join(map(str, [10, 12, 9, 11, 500][: header.count(",") - 1]))
    rows = "".join(f"{day},ABC,{numbers}\n" for day in SESSIONS)
    bars = inferred(tmp_path, {"eod.csv": f"{header}\n{rows}"}).fetch("bars", *EVER)
    assert bars.height == len(SESSIONS)
    assert bars.select("open", "high", "low", "close").row(0) == (10.0, 12.0, 9.0, 11.0)[:prices]
    assert bars["instrument_id"].unique().to_list() == ["US.ABC"]


def test_one_letter_columns_are_those_of_bars_and_capitals_alone_are_tickers(
    tmp_path: Path,
) -> None:
    letters = "".join(f"{day},{s},1,3,1,2,7\n" for day in SESSIONS for s in ("AA", "BB"))
    source = inferred(tmp_path, {"x.csv": f"t,s,o,h,l,c,v\n{letters}"})
    assert source.fetch("bars", *EVER)["instrument_id"].unique().sort().to_list() == [
        "US.AA",
        "US.BB",
    ]
    wide = "".join(f"{day},10,20,30\n" for day in SESSIONS)
    (tmp_path / "wide").mkdir()
    source = inferred(tmp_path / "wide", {"banks.csv": f"Date,C,V,JPM\n{wide}"})
    last = source.fetch("bars", *EVER).filter(pl.col("event_time") == pl.col("event_time").max())
    assert dict(last.select("instrument_id", "close").iter_rows()) == {
        "US.C": 10.0,
        "US.V": 20.0,
        "US.JPM": 30.0,
    }


def test_series_in_one_file_are_told_apart_by_the_one_text_column_that_does_or_asked_about(
    tmp_path: Path,
) -> None:
    rows = [f"{day},{s},{n},10" for day in SESSIONS for s, n in (("AA", "x"), ("BB", "x"))]
    source = inferred(tmp_path, {"MINE.csv": "\n".join(["date,which,note,close", *rows])})
    assert source.instruments()["instrument_id"].to_list() == ["US.AA", "US.BB"]
    (tmp_path / "asked").mkdir()
    bare = [f"{day},{p}" for day in SESSIONS for p in (10, 20)]
    with pytest.raises(MappingError, match=r"names the instrument.* several times over"):
        inferred(tmp_path / "asked", {"MINE.csv": "\n".join(["date,close", *bare])})


def test_a_stray_stamp_years_off_does_not_hide_the_exchange_of_the_days() -> None:
    strays = [date(1970, 1, 1), XNYS_DAYS[-1] + timedelta(days=800)]
    assert calendar_of_days(sorted([*XNYS_DAYS, *strays])).name == "XNYS"


@pytest.mark.parametrize(
    "header",
    [
        "Datum;Eröffnungskurs;Höchstkurs;Tiefstkurs;Schlusskurs;Umsatz",
        "Data;Abertura;Máxima;Mínima;Fechamento;Volume",
        "Datum;Openen;Hoog;Laag;Slot;Volume",
        "Datum;Öppning;Högst;Lägst;Stängning;Volym",
        "Дата;Открытие;Максимум;Минимум;Закрытие;Объем",
        "交易日期;開盤價;最高價;最低價;收盤價;成交股數",
    ],
)
def test_bars_are_known_by_the_words_of_another_language(tmp_path: Path, header: str) -> None:
    """Without its high and low a bar passed every rule about them, and a Dutch one was macro."""
    rows = "".join(f"{day};10.5;11.5;9.5;10.75;1000\n" for day in XNYS_DAYS)
    bars = inferred(tmp_path, {"AAPL.csv": f"{header}\n{rows}"}).fetch("bars", *EVER)
    columns = ("open", "high", "low", "close", "volume")
    assert bars.select(columns).row(0) == (10.5, 11.5, 9.5, 10.75, 1000.0)
