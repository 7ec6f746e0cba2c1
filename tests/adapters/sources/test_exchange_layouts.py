"""What exchanges and terminals write: candles as bare lists, prices by side, no headers."""

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from adapters.sources.inference import Hints
from adapters.sources.mapping import MappingError, mapping_from
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred

FIRST = 1_672_704_000  # the third of January 2023
PRICES = [(100.5 + n % 3, 103.5 + n % 3, 99.5, 101.25 + n % 2) for n in range(9)]  # o, h, l, c


def candles(order: str, more: list[Any], per_s: int = 1) -> list[list[Any]]:
    """A day each: an epoch, four prices in an order such as "lhoc", and what follows them."""
    return [
        [(FIRST + 86_400 * n) * per_s, *(dict(zip("ohlc", prices, strict=True))[c] for c in order),
         *more]
        for n, prices in enumerate(PRICES)
    ]  # fmt: skip


KRAKEN = {
    "error": [],
    "result": {"XXBTZUSD": candles("ohlc", ["100.9", "12.5", 33]), "last": FIRST},
}
SENT: dict[str, Any] = {
    "coinbase": candles("lhoc", [12.5]),
    "ccxt": candles("ohlc", [12.5], 1_000),
    "bitfinex": candles("ochl", [12.5], 1_000),
    "binance": candles("ohlc", ["12.5", FIRST, "9", 3, "4", "5", "0"], 1_000),
    "kraken": KRAKEN,
    "okx": {"code": "0", "msg": "", "data": candles("ohlc", ["12.5", "9", "9", "1"], 1_000)[::-1]},
    "bybit": {"result": {"list": candles("ohlc", ["12.5", "9"], 1_000)[::-1]}},
}


@pytest.mark.parametrize("name", SENT)
def test_candles_without_names_are_read_by_what_they_hold(tmp_path: Path, name: str) -> None:
    source = inferred(tmp_path, {"BTC-USD.json": json.dumps(SENT[name])})
    bars = source.fetch("bars", *EVER)
    assert bars.select("open", "high", "low", "close").rows() == PRICES
    assert bars["volume"].unique().to_list() == [12.5]
    assert bars["event_time"][0] == datetime(2023, 1, 4, tzinfo=UTC)
    assert source.instruments()["instrument_id"].to_list() == ["CRYPTO.BTC-USD"]


def test_a_list_that_is_no_candle_is_rejected(tmp_path: Path) -> None:
    rows = [*candles("ohlc", [12.5]), [FIRST, 1], "end"]
    source = inferred(tmp_path, {"BTC-USD.json": json.dumps(rows)})
    assert source.fetch("bars", *EVER).height == len(PRICES)
    assert source.rejected().height == 2


def test_lists_of_which_no_price_is_the_highest_are_asked_about(tmp_path: Path) -> None:
    orders = permutations((1, 2, 3, 4))
    mixed = [[row[0], *next(orders), 5] for row in candles("ohlc", [])]
    with pytest.raises(MappingError, match=r"BTC-USD\.json: its lines must fit"):
        inferred(tmp_path, {"BTC-USD.json": json.dumps(mixed)})


STAMPS = [f"{day}T22:00:00.000000000Z" for day in SESSIONS]
SIDES = {"bid": (1.07, 1.08, 1.06, 1.075), "ask": (1.0702, 1.0802, 1.0602, 1.0752)}
NESTED = {
    "instrument": "EUR_USD",
    "candles": [
        {"complete": stamp != STAMPS[-1], "volume": 9, "time": stamp}
        | {side: dict(zip("ohlc", map(str, prices), strict=True)) for side, prices in SIDES.items()}
        for stamp in STAMPS
    ],
}


def columns(names: str) -> str:
    prices = ",".join(str(price) for side in SIDES.values() for price in side)
    return f"time,{names},volume\n" + "".join(f"{stamp},{prices},9\n" for stamp in STAMPS)


BY_SIDE = {
    "EUR_USD.json": json.dumps(NESTED),
    "EUR_USD.csv": columns("bid.o,bid.h,bid.l,bid.c,ask.o,ask.h,ask.l,ask.c"),
    "EURUSD.csv": columns(
        "BidOpen,BidHigh,BidLow,BidClose,AskOpen,AskHigh,AskLow,AskClose"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_SIDE)
def test_bars_of_bid_and_ask_are_quotes_and_their_middle_is_asked_about(
    tmp_path: Path, name: str
) -> None:
    """A candle that is not complete is neither."""
    with pytest.raises(MappingError, match="write --quotes mid"):
        inferred(tmp_path, {name: BY_SIDE[name]})
    (tmp_path / "x").mkdir()
    source = inferred(tmp_path / "x", {name: BY_SIDE[name]}, Hints(quotes="mid"))
    bars, quotes = source.fetch("bars", *EVER), source.fetch("quotes", *EVER)
    assert bars.select("open", "high", "low", "close", "volume").row(0) == pytest.approx(
        (1.0701, 1.0801, 1.0601, 1.0751, 9.0)
    )
    assert quotes.select("bid", "ask").row(0) == (1.075, 1.0752)
    ends = [datetime.fromisoformat(stamp[:19] + "+00:00") + timedelta(days=1) for stamp in STAMPS]
    ends = ends[:-1] if name.endswith("json") else ends
    assert bars["event_time"].to_list() == quotes["event_time"].to_list() == ends
    assert bars["instrument_id"].unique().to_list() == [f"FX.{name.partition('.')[0]}"]


def test_candles_of_the_middle_are_bars(tmp_path: Path) -> None:
    rows = "".join(f"{stamp},True,9,1.07,1.08,1.06,1.075\n" for stamp in STAMPS)
    head = "time,complete,volume,mid.o,mid.h,mid.l,mid.c\n"
    bars = inferred(tmp_path, {"EUR_USD_D.csv": head + rows}).fetch("bars", *EVER)
    assert bars.select("instrument_id", "open", "high", "low", "close").unique().rows() == [
        ("FX.EUR_USD", 1.07, 1.08, 1.06, 1.075)
    ]


def test_a_mean_needs_all_of_its_columns(tmp_path: Path) -> None:
    text = "t,a,b\n2024-01-02,1,2\n2024-01-03,1,\n2024-01-04,1,x\n"
    (tmp_path / "p.csv").write_text(text)
    table = {
        "table": "bars", "files": "p.csv", "symbol": {"constant": "A"}, "instrument": {},
        "time": {"column": "t", "stands_for": "session"},
        "columns": {"interval": {"constant": "1d"}, "close": {"mean_of": ["a", "b"]}},
    }  # fmt: skip
    from adapters.sources.files import FileSource

    source = FileSource(tmp_path, mapping_from({"tables": [table]}, name="x"))
    assert source.fetch("bars", *EVER)["close"].to_list() == [1.5]
    assert source.rejected()["reason"].to_list() == [
        "close must be given, was empty", "close must be readable as its type, was 'x'",
    ]  # fmt: skip


IQFEED = {
    "days": [f"{day} 16:00:00,103.5,99.5,100.5,101.25,700,0\n" for day in SESSIONS],
    "minutes": [
        f"2020-01-02 09:{minute}:00,103.5,99.5,100.5,101.25,{90000 + minute},700,12\n"
        for minute in range(31, 40)
    ],
}


@pytest.mark.parametrize("kind", IQFEED)
def test_bars_that_begin_with_their_range_are_iqfeeds(tmp_path: Path, kind: str) -> None:
    """A shorter bar has the volume of the day so far before its own."""
    hints = Hints(zone="America/New_York")
    bars = inferred(tmp_path, {"AAPL.csv": "".join(IQFEED[kind])}, hints).fetch("bars", *EVER)
    assert bars.select("open", "high", "low", "close", "volume").unique().rows() == [
        (100.5, 103.5, 99.5, 101.25, 700.0)
    ]
    assert bars.height == len(IQFEED[kind])


def test_a_contract_of_ninjatrader_is_a_future_of_its_month(tmp_path: Path) -> None:
    """And a price of 4000 without a header is no clock."""
    rows = [f"{day.replace('-', '')} 150000;4000;4001;3999;4000.25;100\n" for day in SESSIONS]
    files = {"ES 09-23.Last.txt": "".join(rows)}
    source = inferred(tmp_path, files, Hints(zone="UTC"))
    assert source.instruments().select("instrument_id", "calendar", "multiplier").rows() == [
        ("FUT.ESU23", "CMES", "50")
    ]
    (tmp_path / "x").mkdir()
    days = "".join(f"{d.replace('-', '')};1200;1230;1159;1215\n" for d in SESSIONS)
    bars = inferred(tmp_path / "x", {"IBM.txt": days}).fetch("bars", *EVER)
    assert bars.select("open", "high", "low", "close").row(0) == (1200, 1230, 1159, 1215)


@pytest.mark.parametrize(("step", "minutes"), [(86_400, 1440), (3_600, 60)])
def test_krakens_files_without_a_header_are_bars(tmp_path: Path, step: int, minutes: int) -> None:
    lines = "".join(
        f"{FIRST + step * n},{','.join(map(str, prices))},12.5,{n}\n"
        for n, prices in enumerate(PRICES)
    )
    source = inferred(tmp_path, {f"XBTUSD_{minutes}.csv": lines})
    bars = source.fetch("bars", *EVER)
    assert bars.select("open", "high", "low", "close").rows() == PRICES
    assert bars["event_time"][0] == datetime.fromtimestamp(FIRST + step, UTC)
    assert set(bars["instrument_id"]) == {"CRYPTO.XBTUSD"}


@pytest.mark.parametrize("name", ["published_utc", "created"])
def test_news_are_known_when_they_are_published(tmp_path: Path, name: str) -> None:
    items = [{"id": day, "title": f"of {day}", name: f"{day}T12:30:00Z"} for day in SESSIONS]
    source = inferred(tmp_path, {"feed.jsonl": "\n".join(map(json.dumps, items))})
    news = source.fetch("news", *EVER).sort("event_time")
    told = [datetime.fromisoformat(f"{day}T12:30:00+00:00") for day in SESSIONS]
    assert news["event_time"].to_list() == told
    assert news["knowledge_time"].to_list() == told


@pytest.mark.parametrize("is_bare", [False, True])
def test_a_list_for_each_symbol_is_of_all_of_them(tmp_path: Path, is_bare: bool) -> None:
    """As Alpaca answers about several shares, and as candles of ccxt are kept."""
    rows: list[Any] = candles("ohlc", [12.5], 1_000)
    if not is_bare:
        names = ("t", "o", "h", "l", "c", "v")
        day = (datetime(2023, 1, 3, 5, tzinfo=UTC) + timedelta(days=n) for n in range(len(rows)))
        rows = [
            {**dict(zip(names, row, strict=True)), "t": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
            for row, at in zip(rows, day, strict=True)
        ]
    told = {"bars": {"ETH/USD": rows, "BTC/USD": rows}, "next_page_token": None}
    source = inferred(tmp_path, {"bars.json": json.dumps(told)})
    assert source.instruments()["instrument_id"].to_list() == ["CRYPTO.BTC/USD", "CRYPTO.ETH/USD"]
    bars = source.fetch("bars", *EVER).sort("instrument_id", "event_time")
    assert bars.select("open", "high", "low", "close").rows() == PRICES * 2


def test_lists_of_other_things_are_no_symbols(tmp_path: Path) -> None:
    book = {"bids": [{"price": 1.5, "size": 3}], "asks": [{"price": 1.6, "size": 3}]}
    with pytest.raises(MappingError, match="it must hold one list of records, held 2"):
        inferred(tmp_path, {"BTC-USD.json": json.dumps(book)})


@pytest.mark.parametrize(("ticks", "real", "read"), [(7, 0, 7), (7, 9, 9), (0, 0, 0)])
def test_metatraders_volume_is_that_of_ticks_where_it_has_no_other(
    tmp_path: Path, ticks: int, real: int, read: int
) -> None:
    header = "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
    rows = "".join(
        f"{day.replace('-', '.')}\t1.5\t2\t1\t1.75\t{ticks}\t{real}\t1\n" for day in SESSIONS
    )
    source = inferred(tmp_path, {"AAPL_Daily.csv": header + rows})
    assert source.fetch("bars", *EVER)["volume"].unique().to_list() == [read]
