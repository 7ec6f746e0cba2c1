"""What vendors mark in their own way: headers, days of publication, prices in billionths."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred


@pytest.mark.parametrize("before", ["", "# made by hand, on demand, of the vendor\n#\n"])
def test_a_header_that_begins_with_a_hash_is_no_remark(tmp_path: Path, before: str) -> None:
    rows = "".join(f"AAPL.OQ,Market Price,{day}T00:00:00Z,1,3,0.5,2.25,7\n" for day in SESSIONS)
    head = "#RIC,Domain,Date-Time,Open,High,Low,Last,Volume\n"
    source = inferred(tmp_path, {"eod.csv": f"{before}{head}{rows}"})
    bars = source.fetch("bars", *EVER)
    assert bars.height == len(SESSIONS)
    assert bars.select("instrument_id", "open", "close", "volume").row(0) == (
        "US.AAPL", 1.0, 2.25, 7.0,
    )  # fmt: skip


def test_a_remark_above_data_stays_a_remark(tmp_path: Path) -> None:
    rows = "".join(f"{day},1.5\n" for day in SESSIONS)
    files = {"AAPL.csv": f"#closes, from a feed\n# Date,Close\nDate,Close\n{rows}"}
    assert inferred(tmp_path, files).fetch("bars", *EVER).height == len(SESSIONS)


VINTAGES = (
    "series_id,observation_date,value,release_date\n"
    "CPI,2024-01-01,300.5,2024-02-13\nCPI,2024-01-01,300.25,2024-03-12\n"
    "CPI,2024-02-01,301.5,2024-03-12\n"
)


@pytest.mark.parametrize(("zone", "hours"), [(None, 36), ("America/New_York", 29)])
def test_a_day_of_publication_is_known_when_it_is_over(
    tmp_path: Path, zone: str | None, hours: int
) -> None:
    """Everywhere on earth where nothing says where; both versions of a value are kept."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cpi.csv").write_text(VINTAGES)
    mapping = infer_mapping(tmp_path / "data", Hints(zone=zone))
    macro = FileSource(tmp_path / "data", mapping).fetch("macro", *EVER).sort("knowledge_time")

    first = [datetime(2024, 2, 13, tzinfo=UTC), datetime(2024, 3, 12, tzinfo=UTC)]
    known = macro["knowledge_time"].to_list()
    assert known[0] == first[0] + timedelta(hours=hours)
    later = hours - 1 if zone else hours  # in summer New York's day ends an hour sooner
    assert known[1:] == [first[1] + timedelta(hours=later)] * 2
    assert macro["value"].to_list()[0] == 300.5
    assert sorted(macro["value"].to_list()[1:]) == [300.25, 301.5]


def test_a_day_of_publication_of_a_bar_is_not_read(tmp_path: Path) -> None:
    """Bars are used at the decision of their own day: its end would be too late for all."""
    rows = "".join(f"{day},1.5,{day}\n" for day in SESSIONS)
    source = inferred(tmp_path, {"AAPL.csv": f"date,close,published_date\n{rows}"})
    bars = source.fetch("bars", *EVER)
    assert (bars["knowledge_time"] - bars["event_time"]).unique().to_list() == [
        timedelta(minutes=15)
    ]


@pytest.mark.parametrize("scale", [1, 10**9])
def test_prices_in_billionths_are_asked_about(tmp_path: Path, scale: int) -> None:
    def stamp(day: str) -> int:
        moment = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
        return int(moment.timestamp()) * 10**9

    rows = "".join(
        f"{stamp(day)},35,2,38,{3 * scale},{4 * scale},{2 * scale},{3 * scale},7,AAPL\n"
        for day in SESSIONS
    )
    head = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
    if scale > 1:
        with pytest.raises(MappingError, match=r"'close' is in billionths of them.*scale: 1.0e-9"):
            inferred(tmp_path, {"xnas.csv": head + rows})
        return
    bars = inferred(tmp_path, {"xnas.csv": head + rows}).fetch("bars", *EVER)
    assert bars.select("instrument_id", "close").row(0) == ("US.AAPL", 3.0)
    assert bars.height == len(SESSIONS)


def test_columns_that_bloomberg_names_are_shares(tmp_path: Path) -> None:
    rows = "".join(f"{day},1.5,2.5,30\n" for day in SESSIONS)
    head = "Date,AAPL US Equity,BRK/B UN Equity,T us equity\n"
    source = inferred(tmp_path, {"px_last.csv": head + rows})
    assert source.instruments()["instrument_id"].to_list() == ["US.AAPL", "US.BRK/B", "US.T"]
    bars = source.fetch("bars", *EVER)
    assert bars.height == 3 * len(SESSIONS)
    assert bars.filter(instrument_id="US.T")["close"].unique().to_list() == [30.0]


def test_shares_of_two_markets_in_one_wide_file_are_asked_about(tmp_path: Path) -> None:
    rows = "".join(f"{day},1.5,2.5\n" for day in SESSIONS)
    with pytest.raises(MappingError, match="several markets must have a mapping"):
        inferred(tmp_path, {"px_last.csv": f"Date,AAPL US Equity,SAP GY Equity\n{rows}"})


def test_a_column_that_holds_bloombergs_names_tells_markets(tmp_path: Path) -> None:
    rows = "".join(f"{n},{d},1.5\n" for d in SESSIONS for n in ("SAP GY Equity", "MC FP Equity"))
    found = inferred(tmp_path, {"closes.csv": f"security,date,px_last\n{rows}"}).instruments()
    assert found.select("instrument_id", "currency").sort("instrument_id").rows() == [
        ("XETR.SAP", "EUR"),
        ("XPAR.MC", "EUR"),
    ]


@pytest.mark.parametrize("head", ["Date,US CPI Index,DE CPI Index", "Date,GDP XX Equity,CPI"])
def test_other_names_of_a_wide_file_stay_series(tmp_path: Path, head: str) -> None:
    rows = "".join(f"{day},1.5,2.5\n" for day in SESSIONS)
    source = inferred(tmp_path, {"series.csv": f"{head}\n{rows}"})
    assert source.fetch("macro", *EVER).height == 2 * len(SESSIONS)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("prices.xlsx", "save each of its sheets as CSV UTF-8"),
        ("2020/DAY.FEATHER", "save it as CSV or Parquet"),
        ("all.tar.bz2", "unpack it, or pack its files as .gz or .zip"),
        ("x.dbn.zst", "save it as CSV or Parquet"),
    ],
)
def test_data_that_cannot_be_read_are_never_passed_over(
    tmp_path: Path, name: str, advice: str
) -> None:
    folder = tmp_path / "data"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(b"PK\x03\x04")
    rows = "".join(f"{day},1.5\n" for day in SESSIONS)
    (folder / "AAPL.csv").write_text(f"Date,Close\n{rows}")
    (folder / "README.md").write_text("about the data")

    with pytest.raises(MappingError, match=f"{name}: it cannot be read: {advice}"):
        infer_mapping(folder)

    left_out = infer_mapping(folder, Hints(ignore=(name,)))
    assert FileSource(folder, left_out).fetch("bars", *EVER).height == len(SESSIONS)


CANDLES = [
    ("2020-01-02", "1.5,2,1,1.75,100"),
    ("2020-01-03", "1.75,2.5,1.5,2,200"),
    ("2020-01-06", "2,2,2,2,0"),
    ("2020-01-07", "2,2.25,1.75,2.25,300"),
    ("2020-01-08", "2.25,3,2.25,2.5,400"),
]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_bars_without_a_header_are_known_by_what_they_hold(tmp_path: Path, separator: str) -> None:
    text = "".join(f"{day},{cells}\n" for day, cells in CANDLES).replace(",", separator)
    bars = inferred(tmp_path, {"IBM.txt": text}).fetch("bars", *EVER)
    assert bars.select("instrument_id", "open", "high", "low", "close", "volume").rows() == [
        ("US.IBM", *map(float, cells.split(","))) for _, cells in CANDLES
    ]


def test_minutes_without_a_header_are_read_in_their_zone(tmp_path: Path) -> None:
    text = "".join(f"01/02/2020,09:{n + 30},{c}\n" for n, (_, c) in enumerate(CANDLES))
    text += "01/15/2020,09:30,1,2,0.5,1.5,10\n"  # no month of that number
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "IBM.txt").write_text(text)
    with pytest.raises(MappingError, match="in which zone"):
        infer_mapping(tmp_path / "data", Hints(calendar="XNYS"))
    hints = Hints(calendar="XNYS", zone="America/New_York")
    bars = FileSource(tmp_path / "data", infer_mapping(tmp_path / "data", hints)).fetch(
        "bars", *EVER
    )
    assert bars.height == 6
    assert bars["event_time"][0] == datetime(2020, 1, 2, 14, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "order",
    [
        (0, 2, 1, 3, 4),  # the low before the high
        (1, 0, 2, 3, 4),
        (0, 1, 2, 4, 3),
    ],
)
def test_columns_in_another_order_stay_a_question(tmp_path: Path, order: tuple[int, ...]) -> None:
    lines = [f"{day},{','.join(cells.split(',')[n] for n in order)}" for day, cells in CANDLES]
    with pytest.raises(MappingError, match="the first line must be a header"):
        inferred(tmp_path, {"IBM.txt": "\n".join(lines) + "\n"})


def test_prices_with_bid_and_ask_beside_them_are_bars_and_quotes(tmp_path: Path) -> None:
    rows = "".join(f"{day},AAPL,1,3,0.5,2.25,7,2.2,2.3\n" for day in SESSIONS)
    head = "date,symbol,open,high,low,close,volume,bid,ask\n"
    source = inferred(tmp_path, {"eod.csv": head + rows})
    bars, quotes = source.fetch("bars", *EVER), source.fetch("quotes", *EVER)
    assert bars.select(
        "instrument_id", "open", "high", "low", "close", "volume"
    ).unique().rows() == [("US.AAPL", 1.0, 3.0, 0.5, 2.25, 7.0)]
    assert quotes.select("bid", "ask").unique().rows() == [(2.2, 2.3)]
    moments = ["instrument_id", "event_time", "knowledge_time"]
    assert bars.height == len(SESSIONS)
    assert quotes.select(moments).equals(bars.select(moments))


def test_quotes_of_a_bar_of_the_day_are_not_known_before_it(tmp_path: Path) -> None:
    """Stamps of bars are starts: the ask at the close of 15:00 is in the bar of 14:30."""
    rows = "".join(
        f"{day}T{clock}:00Z,1,3,0.5,2.25,7,2.2,2.3\n"
        for day in SESSIONS
        for clock in ("14:30", "15:00", "15:30")
    )
    head = "timestamp,open,high,low,close,volume,bid,ask\n"
    source = inferred(tmp_path, {"AAPL.csv": head + rows})
    quotes = source.fetch("quotes", *EVER)
    assert quotes["event_time"][0] == quotes["knowledge_time"][0]
    assert quotes["event_time"][0] == datetime(2020, 1, 2, 15, 0, tzinfo=UTC)
    assert quotes["event_time"].equals(source.fetch("bars", *EVER)["event_time"])


@pytest.mark.parametrize("symbols", [("AAPL",), ("AAPL", "IBM", "KO")])
def test_a_last_price_beside_the_quotes_of_a_day_is_its_close(
    tmp_path: Path, symbols: tuple[str, ...]
) -> None:
    rows = "".join(f"{day},2.2,2.3,100,200,2.25\n" for day in SESSIONS)
    head = "date,bid,ask,bid_size,ask_size,last\n"
    source = inferred(tmp_path, {f"{name}.csv": head + rows for name in symbols})
    bars, quotes = source.fetch("bars", *EVER), source.fetch("quotes", *EVER)
    assert bars["close"].to_list() == [2.25] * len(SESSIONS) * len(symbols)
    assert quotes["ask_size"].to_list() == [200.0] * len(SESSIONS) * len(symbols)
    assert set(bars["instrument_id"]) == {f"US.{name}" for name in symbols}


def test_a_last_price_beside_quotes_within_a_day_makes_no_bars(tmp_path: Path) -> None:
    """One file has days, the other moments: what a header alone says is not enough."""
    days = "".join(f"{day},2.2,2.3,2.25,900\n" for day in SESSIONS)
    moments = "".join(
        f"{day}T15:0{minute}:00Z,2.2,2.3,2.25,{minute}\n" for day in SESSIONS for minute in range(5)
    )
    head = "timestamp,bid,ask,last,volume\n"
    files = {"AAPL.csv": head + days, "IBM.csv": head + moments}
    source = inferred(tmp_path, files, Hints(quotes="alone"))
    assert source.fetch("bars", *EVER)["instrument_id"].unique().to_list() == ["US.AAPL"]
    told = source.fetch("quotes", *EVER).group_by("instrument_id").len().sort("instrument_id")
    assert told.rows() == [("US.AAPL", len(SESSIONS)), ("US.IBM", 5 * len(SESSIONS))]


@pytest.mark.parametrize("nothing", [",", "0,0", "0.00,2.3", "2.2,NaN"])
def test_a_bar_without_a_quote_is_a_bar_alone(tmp_path: Path, nothing: str) -> None:
    quotes = [nothing, *["2.2,2.3"] * (len(SESSIONS) - 1)]
    rows = "".join(f"{day},2.25,{quote}\n" for day, quote in zip(SESSIONS, quotes, strict=True))
    source = inferred(tmp_path, {"AAPL.csv": f"date,close,bid,ask\n{rows}"})
    assert source.fetch("bars", *EVER).height == len(SESSIONS)
    assert source.fetch("quotes", *EVER).height == len(SESSIONS) - 1
    assert source.rejected().is_empty()


@pytest.mark.parametrize("markets", [("AAPL", "VOD.L"), ("BMW.DE", "AAPL")])
def test_quotes_beside_bars_of_two_markets_stay_apart(
    tmp_path: Path, markets: tuple[str, ...]
) -> None:
    rows = "".join(f"{name},{day},2.25,2.2,2.3\n" for day in SESSIONS for name in markets)
    source = inferred(
        tmp_path, {"eod.csv": f"ticker,date,close,bid,ask\n{rows}"}, Hints(currency="USD")
    )
    bars, quotes = source.fetch("bars", *EVER), source.fetch("quotes", *EVER)
    assert quotes.height == bars.height == 2 * len(SESSIONS)
    assert quotes["event_time"].equals(bars["event_time"])


@pytest.mark.parametrize(
    ("written", "month"),
    [
        (("2019-Q4", "2020-Q1", "2020-Q2"), 4),
        (("2019Q4", "2020Q1", "2020Q2"), 4),
        (("2019 q4", "2020 q1", "2020 q2"), 4),
        (("Q4 2019", "Q1 2020", "Q2 2020"), 4),
        (("Q4/2019", "Q1/2020", "Q2/2020"), 4),
        (("2019M11", "2019M12", "2020M1"), 1),
        (("2019-M11", "2019-M12", "2020-M01"), 1),
        (("Nov 2019", "Dec 2019", "Jan 2020"), 1),
        (("November 2019", "December 2019", "January 2020"), 1),
    ],
)
def test_quarters_and_months_are_read_as_their_first_day(
    tmp_path: Path, written: tuple[str, ...], month: int
) -> None:
    rows = "".join(f"GDP,{period},10{n},2020-0{n + 4}-27\n" for n, period in enumerate(written))
    head = "series_id,period,value,publication_date\n"
    source = inferred(tmp_path, {"releases.csv": head + rows})
    values = source.fetch("macro", *EVER)
    assert values["event_time"].dt.date().to_list()[-1] == date(2020, month, 1)
    assert values["knowledge_time"].dt.date().to_list()[-1] == date(2020, 6, 28)
    assert values["value"].to_list() == [100.0, 101.0, 102.0]
    assert source.rejected().is_empty()


def test_a_fifth_quarter_is_rejected(tmp_path: Path) -> None:
    rows = "".join(
        f"{year}-Q{quarter},1\n" for year in range(2000, 2010) for quarter in (1, 2, 3, 4)
    )
    files = {"GDP.csv": f"period,value\n{rows}2010-Q5,1\n2010-Q12,1\n"}
    source = inferred(tmp_path, files, Hints(published="120d"))
    assert source.fetch("macro", *EVER).height == 40
    assert source.rejected().height == 2


@pytest.mark.parametrize("head", ["geo,TIME_PERIOD,OBS_VALUE", "symbol,date,value", "ccy,day,rate"])
def test_series_of_one_file_that_a_column_tells_apart_stay_apart(tmp_path: Path, head: str) -> None:
    rows = "".join(f"{name},{day},{n}\n" for day in SESSIONS for n, name in enumerate(("DE", "FR")))
    values = inferred(tmp_path, {"growth.csv": f"{head}\n{rows}"}).fetch("macro", *EVER)
    assert values.group_by("series_id").agg("value").sort("series_id").rows() == [
        ("DE", [0.0] * len(SESSIONS)),
        ("FR", [1.0] * len(SESSIONS)),
    ]


CRSP = "PERMNO,date,TICKER,BIDLO,ASKHI,PRC,VOL,BID,ASK,OPENPRC\n" + "".join(
    f"14593,{day.replace('-', '')},AAPL,9,11,{'-' if n == 3 else ''}10.{n},700,10,10.5,9.5\n"
    for n, day in enumerate(SESSIONS)
)


@pytest.mark.parametrize("layout", ["of one", "of many", "of the new format"])
def test_negative_prices_of_crsp_are_no_trades(tmp_path: Path, layout: str) -> None:
    """The middle of bid and ask of a day without a trade: for a close where the user says so."""
    text = CRSP
    if layout == "of the new format":
        head = "PERMNO,DlyCalDt,Ticker,DlyLow,DlyHigh,DlyPrc,DlyVol,DlyBid,DlyAsk,DlyOpen"
        text = "\n".join([head, *CRSP.splitlines()[1:]]) + "\n"
    files = {"dsf.csv": text}
    if layout == "of many":
        files = {f"{n}.csv": text.replace("14593", str(14593 + n)) for n in range(3)}
    with pytest.raises(MappingError, match=r"are its negative prices the middle.*--quotes mid"):
        inferred(tmp_path, files)
    for answer, count in (("mid", len(SESSIONS)), ("alone", len(SESSIONS) - 1)):
        (tmp_path / answer).mkdir()
        source = inferred(tmp_path / answer, files, Hints(quotes=answer))
        bars = source.fetch("bars", *EVER).filter(instrument_id="US.14593")
        middle = [] if answer == "alone" else [10.3]
        assert bars["close"].to_list() == sorted([10.0, 10.1, 10.2, *middle, 10.4, 10.5, 10.6])
        assert bars.select("open", "high", "low", "volume").row(0) == (9.5, 11.0, 9.0, 700.0)
        assert source.fetch("quotes", *EVER).height == len(files) * len(SESSIONS)
        assert source.rejected("bars").height == len(files) * (len(SESSIONS) - count)
