"""The web sources against a server that behaves like their interfaces, errors included."""

import io
import zipfile
from datetime import UTC, date, datetime, timedelta

import ccxt
import pytest

from adapters.sources.web.crypto import CryptoSettings, CryptoSource
from adapters.sources.web.daily_bars import TiingoSettings, TiingoSource
from adapters.sources.web.ecb import EcbSettings, EcbSource
from adapters.sources.web.feeds import FeedSettings, FeedSource
from adapters.sources.web.fred import FredSettings, FredSource
from adapters.sources.web.http import (
    HttpClient,
    HttpSettings,
    SourceRefusedError,
    SourceUnavailableError,
)
from tests.adapters.sources.local_server import HTML_PAGE, Reply, Request, as_json, script, serve

START, END = datetime(2015, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def make_client() -> HttpClient:
    return HttpClient(HttpSettings(timeout_s=2.0, attempts=2, wait_first_s=0.0))


class FakeFred:
    """Three vintages of two quarters: GDP's first release, a revision, and a value withdrawn."""

    vintages = ("2020-04-29", "2020-05-28", "2020-07-30")
    observations = (
        ("2020-04-29", "2020-05-27", "2020-01-01", "21537.9"),
        ("2020-05-28", "9999-12-31", "2020-01-01", "21534.9"),
        ("2020-07-30", "9999-12-31", "2020-04-01", "19408.8"),
        ("2020-07-30", "9999-12-31", "2020-07-01", "."),
    )

    def __call__(self, request: Request) -> Reply:
        if request.query.get("api_key") != "key":
            return as_json({"error_code": 400, "error_message": "Bad api_key"}, status=400)
        limit, offset = int(request.query.get("limit", 1000)), int(request.query.get("offset", 0))
        if request.path.endswith("/series"):
            return as_json({"seriess": [{"id": "GDP", "units": "Billions of Dollars"}]})
        if request.path.endswith("vintagedates"):
            page = list(self.vintages[offset : offset + limit])
            return as_json({"count": 3, "vintage_dates": page})
        first, last = request.query["realtime_start"], request.query["realtime_end"]
        # As ALFRED does: values published within the period, their start cut to its bounds.
        rows = [
            {"realtime_start": max(begin, first), "realtime_end": end, "date": day, "value": value}
            for begin, end, day, value in self.observations
            if begin <= last and end >= first
        ]
        page = rows[offset : offset + limit]
        return as_json({"count": len(rows), "observations": page})


def fred(url: str, **settings: object) -> FredSource:
    made = FredSettings(**{"api_key": "key", "series": ("GDP",), "base_url": url, **settings})  # type: ignore[arg-type]
    return FredSource(made, make_client())


@pytest.mark.parametrize("page_size", [1, 2, 100])
@pytest.mark.parametrize("vintages_per_request", [1, 2, 100])
def test_fred_gives_every_vintage_once_however_it_is_paged(page_size, vintages_per_request):
    with serve(FakeFred()) as server:
        source = fred(server.url, page_size=page_size, vintages_per_request=vintages_per_request)
        rows = source.fetch("macro", START, END)
    assert rows.select("event_time", "value").rows() == [
        (datetime(2020, 1, 1, tzinfo=UTC), 21537.9),
        (datetime(2020, 1, 1, tzinfo=UTC), 21534.9),
        (datetime(2020, 4, 1, tzinfo=UTC), 19408.8),
    ]
    # Knowable when the vintage's day is over in St. Louis (UTC-5 in April, May and July).
    assert rows["knowledge_time"].to_list() == [
        datetime(2020, 4, 30, 5, tzinfo=UTC),
        datetime(2020, 5, 29, 5, tzinfo=UTC),
        datetime(2020, 7, 31, 5, tzinfo=UTC),
    ]
    assert rows["unit"].unique().to_list() == ["Billions of Dollars"]


def test_fred_says_when_the_key_is_refused():
    with serve(FakeFred()) as server, pytest.raises(SourceRefusedError, match="Bad api_key"):
        fred(server.url, api_key="wrong").fetch("macro", START, END)


def test_fred_refuses_an_answer_that_stops_short_of_its_count():
    def short(request: Request) -> Reply:
        if request.path.endswith("vintagedates"):
            return as_json({"count": 5, "vintage_dates": []})
        return as_json({"count": 0, "observations": []})

    with serve(short) as server, pytest.raises(SourceRefusedError, match="all 5 vintage_dates"):
        fred(server.url).fetch("macro", START, END)


ECB_CSV = (
    "KEY,FREQ,CURRENCY,CURRENCY_DENOM,EXR_TYPE,EXR_SUFFIX,TIME_PERIOD,OBS_VALUE,OBS_STATUS,TITLE\n"
    'EXR.D.USD.EUR.SP00.A,D,USD,EUR,SP00,A,2024-07-01,1.0745,A,"US dollar/Euro, reference"\n'
    'EXR.D.USD.EUR.SP00.A,D,USD,EUR,SP00,A,2024-12-02,1.0510,A,"US dollar/Euro, reference"\n'
    'EXR.D.JPY.EUR.SP00.A,D,JPY,EUR,SP00,A,2024-07-01,172.97,A,"Japanese yen/Euro, reference"\n'
)
ECB_HISTORY = "Date,USD,JPY,CYP,\n2024-12-02,1.0510,157.7,N/A,\n2024-07-01,1.0745,172.97,N/A,\n"
ECB_XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
 xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube>
<Cube time="2024-12-02"><Cube currency="USD" rate="1.0510"/>
<Cube currency="JPY" rate="157.7"/></Cube>
<Cube time="2024-07-01"><Cube currency="USD" rate="1.0745"/></Cube></Cube></gesmes:Envelope>"""


def ecb_server(request: Request) -> Reply:
    if request.path.endswith(".zip"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("eurofxref-hist.csv", ECB_HISTORY)
        return Reply(buffer.getvalue())
    if request.path.endswith(".xml"):
        return Reply(ECB_XML, headers={"Content-Type": "text/xml"})
    assert request.path == "/data/EXR/D.USD.EUR.SP00.A"
    assert request.query["format"] == "csvdata"
    return Reply(ECB_CSV.encode(), headers={"Content-Type": "text/csv"})


@pytest.mark.parametrize("interface", ["data_api", "history", "latest"])
def test_all_interfaces_of_the_ecb_give_the_same_fixings(interface):
    with serve(ecb_server) as server:
        settings = EcbSettings(
            currencies=("USD",), interface=interface, api_url=server.url, files_url=server.url
        )
        source = EcbSource(settings, make_client())
        rows = source.fetch("bars", START, END)
    # 16:00 in Frankfurt is 14:00 UTC in July and 15:00 in December.
    assert rows.select("instrument_id", "event_time", "close").rows() == [
        ("FX.EURUSD", datetime(2024, 7, 1, 14, tzinfo=UTC), 1.0745),
        ("FX.EURUSD", datetime(2024, 12, 2, 15, tzinfo=UTC), 1.0510),
    ]
    assert source.instruments()["instrument_id"].to_list() == ["FX.EURUSD"]


def test_the_ecb_answers_404_where_a_period_has_no_rates():
    with serve(script(Reply(b"No results found.", status=404))) as server:
        settings = EcbSettings(currencies=("USD",), api_url=server.url)
        assert EcbSource(settings, make_client()).fetch("bars", START, END).is_empty()


def test_a_rate_that_is_no_number_is_refused():
    broken = ECB_CSV.replace("1.0745", "oops")
    with serve(script(Reply(broken.encode()))) as server:
        settings = EcbSettings(currencies=("USD",), api_url=server.url)
        with pytest.raises(SourceRefusedError, match="must be a number, was 'oops'"):
            EcbSource(settings, make_client()).fetch("bars", START, END)


def tiingo_row(
    day: str, close: float, dividend: float = 0.0, split: float = 1.0
) -> dict[str, object]:
    return {
        "date": f"{day}T00:00:00.000Z", "close": close, "high": close + 1, "low": close - 1,
        "open": close, "volume": 1000, "adjClose": close, "divCash": dividend, "splitFactor": split,
    }  # fmt: skip


def tiingo_server(request: Request) -> Reply:
    if request.headers.get("authorization") != "Token key":
        return as_json({"detail": "Invalid token."}, status=401)
    if request.path == "/tiingo/daily/AAPL":
        return as_json(
            {"ticker": "AAPL", "name": "Apple Inc", "exchangeCode": "NASDAQ",
             "startDate": "1980-12-12", "endDate": "2024-01-02"}
        )  # fmt: skip
    if request.path == "/tiingo/daily/AAPL/prices":
        rows = [tiingo_row("2020-08-28", 499.23), tiingo_row("2020-08-31", 129.04, split=4.0),
                tiingo_row("2020-11-06", 118.69, dividend=0.205)]  # fmt: skip
        return as_json(rows)
    return as_json({"detail": "Not found."}, status=404)


def test_tiingo_gives_bars_and_the_actions_between_them():
    with serve(tiingo_server) as server:
        settings = TiingoSettings(api_key="key", tickers=("AAPL",), base_url=server.url)
        source = TiingoSource(settings, make_client())
        bars = source.fetch("bars", START, END)
        actions = source.fetch("corporate_actions", START, END)
        listed = source.instruments()
    assert bars["close"].to_list() == [499.23, 129.04, 118.69]
    assert bars["event_time"][0] == datetime(2020, 8, 28, 20, tzinfo=UTC)
    assert bars["knowledge_time"][0] - bars["event_time"][0] == timedelta(hours=4)
    assert actions.select("kind", "ratio", "amount").rows() == [
        ("split", 4.0, None),
        ("dividend", None, 0.205),
    ]
    assert listed.select("instrument_id", "valid_from", "venue").row(0) == (
        "US.AAPL", date(1980, 12, 12), "XNAS",
    )  # fmt: skip


@pytest.mark.parametrize(("key", "ticker", "status"), [("bad", "AAPL", 401), ("key", "NOPE", 404)])
def test_tiingo_refuses_a_bad_key_and_an_unknown_ticker(key, ticker, status):
    with serve(tiingo_server) as server:
        settings = TiingoSettings(api_key=key, tickers=(ticker,), base_url=server.url)
        with pytest.raises(SourceRefusedError, match=f"status {status}"):
            TiingoSource(settings, make_client()).fetch("bars", START, END)


def test_tiingo_without_a_field_is_another_interface():
    with serve(script(as_json([{"date": "2020-01-02", "close": 1.0}]))) as server:
        settings = TiingoSettings(api_key="key", tickers=("AAPL",), base_url=server.url)
        with pytest.raises(SourceRefusedError, match="must have the fields"):
            TiingoSource(settings, make_client()).fetch("bars", START, END)


class FakeBinance:
    """Ten days of bars, at most three a page, after a hiccup."""

    first_ms = 1_700_006_400_000  # 2023-11-15 00:00 UTC
    day_ms = 86_400_000

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures

    def __call__(self, request: Request) -> Reply:
        if self.failures:
            self.failures -= 1
            return Reply(status=503)
        since, limit = int(request.query["startTime"]), min(3, int(request.query["limit"]))
        days = [self.first_ms + i * self.day_ms for i in range(10)]
        page = [t for t in days if t >= since][:limit]
        return as_json([[t, "1.5", "2.0", "1.0", str(i), "7", t, "0", 1, "0", "0", "0"]
                        for i, t in enumerate(page)])  # fmt: skip


def make_exchange(url: str) -> ccxt.Exchange:
    exchange = ccxt.binance({"timeout": 2000, "rateLimit": 1})
    exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], url)
    exchange.set_markets(
        [
            {
                "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT",
                "spot": True, "type": "spot", "active": True, "contract": False, "swap": False,
                "future": False, "option": False, "linear": None, "inverse": None,
                "precision": {"price": 0.01, "amount": 1e-05}, "limits": {},
            }
        ]
    )  # fmt: skip
    return exchange


def crypto(url: str, now: datetime) -> CryptoSource:
    settings = CryptoSettings(symbols=("BTC/USDT",), timeframe="1d", page_size=3)
    return CryptoSource(make_exchange(url), settings, lambda: now, wait_first_s=0.0)


def test_crypto_bars_come_page_by_page_each_once_and_only_when_over():
    now = datetime(2023, 11, 20, 12, tzinfo=UTC)
    with serve(FakeBinance(failures=1)) as server:
        source = crypto(server.url, now)
        rows = source.fetch("bars", datetime(2023, 11, 1, tzinfo=UTC), END)
        listed = source.instruments()
    # Bars are stamped with their end; the one of the 20th is not over at noon.
    assert rows["event_time"].to_list() == [
        datetime(2023, 11, d, tzinfo=UTC) for d in range(16, 21)
    ]
    assert rows["instrument_id"].unique().to_list() == ["CRYPTO.BINANCE.BTCUSDT"]
    assert (rows["knowledge_time"] >= rows["event_time"]).all()
    assert listed.select("price_increment", "size_increment", "calendar").row(0) == (
        "0.01", "0.00001", "24/7",
    )  # fmt: skip


def test_crypto_gives_up_on_an_exchange_that_stays_down():
    with (
        serve(script(Reply(status=503))) as server,
        pytest.raises(SourceUnavailableError, match="within 4 attempts"),
    ):
        crypto(server.url, END).fetch("bars", START, END)


def feed(*titles: str) -> bytes:
    items = "".join(
        f"<item><title>{t}</title><guid>g{t[:5]}</guid>"
        f"<pubDate>Mon, 01 Jul 2024 10:00:00 +0200</pubDate><description>d</description></item>"
        for t in titles
    )
    channel = f"<channel><title>x</title>{items}</channel>"
    return f'<?xml version="1.0"?><rss version="2.0">{channel}</rss>'.encode()


ATOM = b"""<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>x</title>
<entry><id>urn:1</id><title>Rates rise</title><updated>2024-07-01T08:00:00Z</updated></entry>
</feed>"""


class FakeFeed:
    """Answers 304 to whoever has the present edition."""

    body = feed("First", "First", "Second")

    def __call__(self, request: Request) -> Reply:
        etag = f'"{len(self.body)}"'
        if request.headers.get("if-none-match") == etag:
            return Reply(status=304, headers={"ETag": etag})
        return Reply(self.body, headers={"ETag": etag, "Content-Type": "application/rss+xml"})


def test_an_item_is_known_from_when_we_saw_it_and_comes_once():
    times = iter([datetime(2024, 7, 1, 9, tzinfo=UTC), datetime(2024, 7, 2, 9, tzinfo=UTC)])
    handler = FakeFeed()
    with serve(handler) as server:
        source = FeedSource(
            FeedSettings(urls={"x": server.url}), make_client(), lambda: next(times)
        )
        first = source.fetch("news", START, END)
        again = source.fetch("news", START, END)
        handler.body = feed("Second", "Third")
        later = source.fetch("news", START, END)
    assert first["headline"].to_list() != []
    assert sorted(first["headline"]) == ["First", "Second"]
    assert first["event_time"].unique().to_list() == [datetime(2024, 7, 1, 8, tzinfo=UTC)]
    assert first["knowledge_time"].unique().to_list() == [datetime(2024, 7, 1, 9, tzinfo=UTC)]
    assert again.equals(first)
    assert server.requests[1].headers["if-none-match"]
    assert sorted(later["headline"]) == ["First", "Second", "Third"]
    third = later.filter(headline="Third")
    assert third["knowledge_time"][0] == datetime(2024, 7, 2, 9, tzinfo=UTC)


def test_atom_is_read_too():
    now = datetime(2024, 7, 1, 7, tzinfo=UTC)  # our clock is behind the publisher's
    with serve(script(Reply(ATOM))) as server:
        source = FeedSource(FeedSettings(urls={"x": server.url}), make_client(), lambda: now)
        rows = source.fetch("news", START, END)
    assert rows.select("headline", "event_time").row(0) == (
        "Rates rise", datetime(2024, 7, 1, 8, tzinfo=UTC),
    )  # fmt: skip
    assert (rows["knowledge_time"] >= rows["event_time"]).all()


@pytest.mark.parametrize("reply", [HTML_PAGE, Reply(b"plain words")])
def test_what_is_no_feed_is_refused(reply):
    with serve(script(reply)) as server:
        source = FeedSource(FeedSettings(urls={"x": server.url}), make_client(), lambda: END)
        with pytest.raises(SourceRefusedError):
            source.fetch("news", START, END)


def test_sources_refuse_tables_they_do_not_serve():
    client = make_client()
    sources = [
        FredSource(FredSettings(api_key="k", series=("GDP",)), client),
        EcbSource(EcbSettings(), client),
        TiingoSource(TiingoSettings(api_key="k", tickers=("AAPL",)), client),
        FeedSource(FeedSettings(urls={"x": "http://127.0.0.1:9"}), client, lambda: END),
    ]
    for source in sources:
        with pytest.raises(ValueError, match="table must be"):
            source.fetch("options", START, END)
