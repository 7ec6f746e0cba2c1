"""What symbols, exchanges, days and hours say of a market, and what they leave to be asked."""

import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.mapping import MappingError
from adapters.sources.market_clues import calendar_of_days, clue_of
from features import calendars
from features.traded_market import choose_market
from tests.pipelines.foreign_markets import sessions_of

EVER = (datetime(1801, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("symbol", "exchange", "calendar", "currency", "asset_class"),
    [
        ("VOD.L", None, "XLON", None, "equity"),
        ("7203.T", None, "XTKS", "JPY", "equity"),
        ("SAP", "XETRA", "XETR", "EUR", "equity"),
        ("BRK.B", None, None, None, "equity"),
        ("BAC.PR.L", None, None, None, "equity"),
        ("IBM.NYSE", None, "XNYS", "USD", "equity"),
        ("2222.SR", None, "XSAU", "SAR", "equity"),
        ("BTC/USDT", None, "24/7", "USDT", "crypto"),
        ("ETHUSD", None, "24/7", "USD", "crypto"),
        ("BTC-EUR", None, "24/7", "EUR", "crypto"),
        ("EURUSD", None, "24/5", "USD", "fx"),
        ("USD/JPY", None, "24/5", "JPY", "fx"),
        ("XAUUSD", None, "24/5", "USD", "fx"),
        ("ESZ4", None, "CMES", "USD", "future"),
        ("CL=F", None, "CMES", "USD", "future"),
        ("CL1!", None, "CMES", "USD", "future"),
        ("CL-2020H", None, "CMES", "USD", "future"),
        ("CLH0 Comdty", None, "CMES", "USD", "future"),
        ("@ES#C", None, "CMES", "USD", "future"),
        ("&ES_CCB", None, "CMES", "USD", "future"),
        ("/ES", None, "CMES", "USD", "future"),
        ("ES.c.0", None, "CMES", "USD", "future"),
        ("CLc1", None, "CMES", "USD", "future"),
        ("FDAX1!", None, None, None, "future"),
        ("ESH0 Index", None, "CMES", "USD", "future"),
        ("SPX Index", None, None, None, "index"),
        ("^GSPC", None, None, None, "index"),
        ("EURUSD Curncy", None, "24/5", "USD", "fx"),
        ("CLX", None, None, None, "equity"),
        ("AAPL", None, None, None, "equity"),
    ],
)
def test_a_symbol_says_where_it_is_traded(
    symbol: str, exchange: str | None, calendar: str | None, currency: str | None, asset_class: str
) -> None:
    found = clue_of(symbol, exchange)
    assert (found.calendar, found.currency, found.asset_class) == (calendar, currency, asset_class)


@pytest.mark.parametrize("name", ["XNYS", "XLON", "XTKS", "XHKG", "XASX", "XTSE", "24/7", "24/5"])
def test_days_say_which_exchange_they_are_of(name: str) -> None:
    assert calendar_of_days(sessions_of(name, 300)["session"].to_list()).name == name


def test_a_few_missing_days_do_not_hide_an_exchange() -> None:
    days = sessions_of("XTKS", 400)["session"].to_list()
    assert calendar_of_days(days[:50] + days[52:]).name == "XTKS"


def test_days_of_no_exchange_are_asked() -> None:
    days = sessions_of("XTKS", 400)["session"].to_list()
    assert calendar_of_days([d for n, d in enumerate(days) if n % 7]).name is None


def test_exchanges_that_keep_the_same_days_are_named_in_the_question(tmp_path: Path) -> None:
    _write(tmp_path, "SAP.csv", _daily("XETR", 250))
    with pytest.raises(MappingError, match=r"days of, which fit XETR and .*write --calendar"):
        infer_mapping(tmp_path)


def _write(folder: Path, name: str, rows: pl.DataFrame) -> None:
    folder.mkdir(exist_ok=True)
    rows.write_csv(folder / name)


def _daily(calendar: str, count: int = 200, **columns: object) -> pl.DataFrame:
    days = sessions_of(calendar, count)["session"]
    extra = [pl.lit(v).alias(k) for k, v in columns.items()]
    return pl.DataFrame({"date": days, "close": [100.0] * len(days)}).with_columns(extra)


def test_pence_become_pounds_and_a_pound_stays_one(tmp_path: Path) -> None:
    _write(tmp_path, "VOD.L.csv", _daily("XLON", currency="GBX"))
    _write(tmp_path, "BARC.L.csv", _daily("XLON", currency="GBP"))
    source = FileSource(tmp_path, infer_mapping(tmp_path))
    rows = source.fetch("bars", *EVER).group_by("instrument_id").agg(pl.col("close").first())
    assert dict(rows.iter_rows()) == {"XLON.VOD": 1.0, "XLON.BARC": 100.0}
    assert source.instruments()["currency"].unique().to_list() == ["GBP"]


def test_the_unit_of_london_is_asked_and_an_answer_decides(tmp_path: Path) -> None:
    _write(tmp_path, "VOD.L.csv", _daily("XLON"))
    with pytest.raises(MappingError, match="write --currency GBP, or --currency GBX where they"):
        infer_mapping(tmp_path)
    source = FileSource(tmp_path, infer_mapping(tmp_path, Hints(currency="GBX")))
    assert source.fetch("bars", *EVER)["close"].unique().to_list() == [1.0]


def test_one_question_about_many_files_is_asked_once(tmp_path: Path) -> None:
    for name in ("A.L", "B.L", "C.L"):
        _write(tmp_path, f"{name}.csv", _daily("XLON"))
    with pytest.raises(MappingError, match=r"A\.L\.csv and 2 more: in which unit") as asked:
        infer_mapping(tmp_path)
    assert str(asked.value).count("--currency GBX") == 1


def test_markets_in_one_file_are_told_apart_by_their_symbols(tmp_path: Path) -> None:
    parts = [
        _daily("XTKS", symbol="7203.T"),
        _daily("24/7", symbol="BTCUSDT"),
        _daily("XNYS", symbol="AAPL.US"),
    ]
    _write(tmp_path, "all.csv", pl.concat(parts))
    found = FileSource(tmp_path, infer_mapping(tmp_path)).instruments()
    assert dict(found.select("instrument_id", "calendar").iter_rows()) == {
        "XTKS.7203": "XTKS",
        "CRYPTO.BTCUSDT": "24/7",
        "US.AAPL": "XNYS",
    }


@pytest.mark.parametrize(
    "name", ["aapl.us.txt", "AAPL.csv", "AAPL.US.csv", "AAPL.NAS_Daily.csv", "prices.csv"]
)
def test_two_vendors_name_one_instrument_alike(tmp_path: Path, name: str) -> None:
    """A suffix that says no more than the market does is no part of the name."""
    rows = _daily("XNYS")
    if name == "prices.csv":
        rows = rows.with_columns(ticker=pl.lit("AAPL.US"))
    _write(tmp_path, name, rows)
    found = FileSource(tmp_path, infer_mapping(tmp_path)).instruments()
    assert found.select("instrument_id", "ticker").rows() == [("US.AAPL", "AAPL")]


def test_the_ending_is_dropped_of_members_of_an_archive_and_of_wide_columns(tmp_path: Path) -> None:
    days = _daily("XTKS")["date"]
    wide = pl.DataFrame({"date": days} | {f"{n}.T": [1.0] * len(days) for n in (7203, 6758)})
    inner = tmp_path / "inner"
    for name in ("SAP.DE.csv", "BMW.DE.csv"):
        _write(inner, name, _daily("XETR"))
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data/xetra.zip", "w") as archive:
        for path in sorted(inner.iterdir()):
            archive.write(path, path.name)
    _write(tmp_path / "data", "tokyo.csv", wide.rename({"7203.T": "TYT.T", "6758.T": "SNY.T"}))
    found = FileSource(tmp_path / "data", infer_mapping(tmp_path / "data")).instruments()
    assert found["instrument_id"].to_list() == ["XETR.BMW", "XETR.SAP", "XTKS.SNY", "XTKS.TYT"]


def test_suffixes_that_tell_listings_of_one_calendar_apart_stay(tmp_path: Path) -> None:
    """000001.SS is an index of Shanghai, 000001.SZ a bank of Shenzhen."""
    parts = [_daily("XSHG", symbol=symbol) for symbol in ("000001.SS", "000001.SZ")]
    _write(tmp_path, "china.csv", pl.concat(parts))
    ids = FileSource(tmp_path, infer_mapping(tmp_path)).instruments()["instrument_id"].to_list()
    assert ids == ["XSHG.000001.SS", "XSHG.000001.SZ"]


def _hourly(zone: str) -> pl.DataFrame:
    hours = sessions_of("XETR", 150)
    stamps = (
        hours.select(at=pl.concat_list(pl.col("open") + pl.duration(hours=n) for n in range(8)))
        .explode("at")["at"]
        .dt.convert_time_zone(zone)
        .dt.replace_time_zone(None)
        .dt.strftime("%Y-%m-%d %H:%M:%S")
    )
    return pl.DataFrame({"datetime": stamps, "close": [100.0] * len(stamps)})


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"])
def test_hours_say_which_zone_they_are_of(tmp_path: Path, zone: str) -> None:
    _write(tmp_path, "SAP.DE.csv", _hourly(zone))
    rows = FileSource(tmp_path, infer_mapping(tmp_path)).fetch("bars", *EVER)
    first = calendars.sessions("XETR", date(2021, 1, 4), date(2021, 1, 5)).row(0)
    assert rows["event_time"][0] == first[1] + (rows["event_time"][1] - rows["event_time"][0])


def test_hours_of_a_market_that_never_rests_are_asked(tmp_path: Path) -> None:
    rows = _hourly("UTC").rename({"datetime": "time"})
    _write(tmp_path, "BTCUSDT.csv", rows)
    with pytest.raises(MappingError, match=r"in which zone are the times of 'time'.*--zone UTC"):
        infer_mapping(tmp_path)


def test_midnights_with_an_offset_are_days_of_their_own_zone(tmp_path: Path) -> None:
    rows = _daily("XTKS", 150).with_columns(date=pl.col("date").cast(pl.String) + " 00:00:00+09:00")
    _write(tmp_path, "7203.T.csv", rows)
    times = FileSource(tmp_path, infer_mapping(tmp_path)).fetch("bars", *EVER)["event_time"]
    assert times[0] == calendars.session_close("XTKS", date(2021, 1, 4))


def test_a_date_and_a_time_in_two_columns_are_one_moment(tmp_path: Path) -> None:
    text = "<DATE>\t<TIME>\t<OPEN>\t<CLOSE>\n2021.01.04\t10:00\t1.2\t1.3\n2021.01.04\t11:00\t1\t1\n"
    (tmp_path / "EURUSD.csv").write_text(text)
    rows = FileSource(tmp_path, infer_mapping(tmp_path, Hints(zone="UTC"))).fetch("bars", *EVER)
    assert rows["event_time"].to_list() == [
        datetime(2021, 1, 4, 11, tzinfo=UTC),
        datetime(2021, 1, 4, 12, tzinfo=UTC),
    ]


def test_files_of_one_series_by_year_are_one_data_set(tmp_path: Path) -> None:
    whole = _daily("XNYS", 300, symbol="AAA")
    _write(tmp_path, "2021.csv", whole.head(252))
    _write(tmp_path, "2022.csv", whole.slice(252))
    rows = FileSource(tmp_path, infer_mapping(tmp_path)).fetch("bars", *EVER)
    assert rows["source"].n_unique() == 1
    assert rows["event_time"].n_unique() == 300


def test_two_files_of_the_same_days_are_two_data_sets_where_the_user_says_so(
    tmp_path: Path,
) -> None:
    _write(tmp_path, "one.csv", _daily("XNYS", 150, symbol="AAA"))
    _write(tmp_path, "other.csv", _daily("XNYS", 150, symbol="AAA"))
    mapping = infer_mapping(tmp_path, Hints(deliveries="apart"))
    assert FileSource(tmp_path, mapping).fetch("bars", *EVER)["source"].n_unique() == 2


def test_texts_about_the_data_are_no_data_and_others_are_asked_or_left_out(tmp_path: Path) -> None:
    _write(tmp_path, "AAA.csv", _daily("XNYS", 150))
    (tmp_path / "README.txt").write_text("About these data\n")
    (tmp_path / "names.csv").write_text("symbol,name\nAAA,Any Company\n")
    with pytest.raises(MappingError, match=r"leave it out with --ignore 'names\.csv'"):
        infer_mapping(tmp_path)
    mapping = infer_mapping(tmp_path, Hints(ignore=("names.csv",)))
    assert set(mapping.ignore) == {"README.txt", "names.csv"}


def test_news_about_symbols_are_read_beside_their_prices(tmp_path: Path) -> None:
    _write(tmp_path, "AAA.csv", _daily("XNYS", 150))
    (tmp_path / "news.csv").write_text("published,symbol,headline\n2021-01-05,AAA,Profits rise\n")
    source = FileSource(tmp_path, infer_mapping(tmp_path))
    assert source.fetch("news", *EVER)["instrument_id"].to_list() == ["US.AAA"]


def test_a_file_without_a_header_is_asked_for_one(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT.csv").write_text("1609459200000,1,1,1,1,5\n1609462800000,1,1,1,1,5\n")
    with pytest.raises(MappingError, match=r"the first line must be a header, is data: write csv"):
        infer_mapping(tmp_path)


def test_days_before_any_known_session_are_refused_with_their_bounds() -> None:
    with pytest.raises(ValueError, match=r"days must lie in 1985-01-01 .* were 1962-01-02"):
        calendar_of_days([date(1962, 1, 2), date(1962, 1, 3)])


def test_an_index_beside_shares_is_looked_at_and_not_traded(tmp_path: Path) -> None:
    """Nobody can buy ^GSPC; it was US.^GSPC, a share."""
    days = sessions_of("XNYS", 200)["session"]
    rows = "".join(f"{day},{100 + k % 7}\n" for k, day in enumerate(days))
    for name in ("^GSPC", "AAPL"):
        (tmp_path / f"{name}.csv").write_text(f"Date,Close\n{rows}")
    source = FileSource(tmp_path, infer_mapping(tmp_path))
    found = source.instruments().select("instrument_id", "asset_class", "calendar").rows()
    assert sorted(found) == [("IDX.^GSPC", "index", "XNYS"), ("US.AAPL", "equity", "XNYS")]
    market = choose_market(source.fetch("bars", *EVER), source.instruments())
    assert market.asset_classes == ("equity",)
