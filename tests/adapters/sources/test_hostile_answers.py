"""Answers that lie, stop short or repeat themselves: one line each, nothing lost in silence."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ccxt
import polars as pl
import pytest

from adapters.sources.web.crypto import CryptoSettings, CryptoSource
from adapters.sources.web.daily_bars import TiingoSettings, TiingoSource
from adapters.sources.web.ecb import EcbSettings, EcbSource, Interface
from adapters.sources.web.feeds import FeedSettings, FeedSource
from adapters.sources.web.fred import FredSettings, FredSource
from adapters.sources.web.http import (
    HttpClient,
    HttpSettings,
    SourceRefusedError,
    SourceUnavailableError,
)
from adapters.stores.tables_delta import DeltaTableStore
from features.schemas import NEWS
from tests.adapters.sources.local_server import Reply, Request, as_json, script, serve

START, END = datetime(2019, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000


def make_client() -> HttpClient:
    return HttpClient(HttpSettings(timeout_s=2.0, attempts=2, wait_first_s=0.0))


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (Reply(b"[" * 200_000), SourceRefusedError, "must answer with JSON"),
        (Reply(b'[{"a": 1}, {"b"'), SourceRefusedError, "must answer with JSON"),
        (
            Reply(b"no gzip", headers={"Content-Encoding": "gzip"}),
            SourceUnavailableError,
            "within 2 attempts",
        ),
        (Reply(status=302, headers={"Location": "/x"}), SourceRefusedError, "lead in circles"),
    ],
)
def test_an_answer_that_cannot_be_read_is_one_line(
    reply: Reply, error: type[Exception], said: str
) -> None:
    with serve(script(reply)) as server, pytest.raises(error, match=said) as caught:
        make_client().get_json(f"{server.url}/x")
    assert "\n" not in str(caught.value)


def test_a_key_that_the_answer_repeats_is_not_shown() -> None:
    reply = Reply(b"bad key 0123456789abcdef; token secret-token-1", 403)
    with serve(script(reply)) as server, pytest.raises(SourceRefusedError) as caught:
        make_client().get_json(
            server.url, {"api_key": "0123456789abcdef"}, {"Authorization": "Token secret-token-1"}
        )
    assert "bad key ***; token ***" in str(caught.value)


OBSERVATIONS = [
    {"realtime_start": "2019-02-01", "date": f"2019-01-{n:02}", "value": str(n)}
    for n in range(1, 8)
]
Page = Callable[[int, int], dict[str, object]]


def observed(page: Page) -> list[float]:
    def answer(request: Request) -> Reply:
        if request.path.endswith("vintagedates"):
            return as_json({"vintage_dates": ["2019-02-01"], "count": 1})
        if request.path.endswith("observations"):
            return as_json(page(int(request.query["offset"]), int(request.query["limit"])))
        return as_json({"seriess": [{"units": "Percent"}]})

    with serve(answer) as server:
        made = FredSettings(api_key="key", series=("X",), base_url=server.url, page_size=3)
        return FredSource(made, make_client()).fetch("macro", START, END)["value"].to_list()


def paged(rows: Sequence[object]) -> Page:
    return lambda offset, limit: {
        "observations": list(rows[offset : offset + limit]),
        "count": len(rows),
    }


def test_pages_that_agree_are_all_of_the_series() -> None:
    assert observed(paged(OBSERVATIONS)) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (lambda _, n: {"observations": OBSERVATIONS[:n], "count": 7}, "each of its observations"),
        (
            lambda at, n: {"observations": OBSERVATIONS[max(0, at - 1) :][:n], "count": 7},
            "each of its observations once",
        ),
        (
            lambda at, n: {"observations": OBSERVATIONS[at : at + n], "count": 7 + (at > 0)},
            "keep its 7 observations from page to page, had 8",
        ),
        (
            lambda at, n: {"observations": OBSERVATIONS[at:n], "count": 7},
            "must give all 7 observations, gave 3",
        ),
    ],
    ids=["repeated", "overlapping", "changed meanwhile", "empty"],
)
def test_pages_that_do_not_agree_are_refused(page: Page, said: str) -> None:
    """A page that comes twice used to stand for the one that never came."""
    with pytest.raises(SourceRefusedError, match=said):
        observed(page)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"date": "someday"}, "date of observations of X must be a day, was 'someday'"),
        ({"date": None}, "date of observations of X must be a day, was None"),
        ({"realtime_start": "x"}, "realtime_start of observations of X must be a day"),
        ({"value": None}, "must be a number or"),
    ],
)
def test_an_observation_without_its_day_or_value_is_refused(
    change: Mapping[str, object], said: str
) -> None:
    with pytest.raises(SourceRefusedError, match=said):
        observed(paged([{**OBSERVATIONS[0], **change}, OBSERVATIONS[1]]))


def ecb(body: bytes, interface: Interface) -> list[float]:
    with serve(script(Reply(body))) as server:
        made = EcbSettings(
            currencies=("USD",), interface=interface, api_url=server.url, files_url=server.url
        )
        return EcbSource(made, make_client()).fetch("bars", START, END)["close"].to_list()


def csv_of(*lines: str) -> bytes:
    return "\n".join(["CURRENCY,TIME_PERIOD,OBS_VALUE", *lines]).encode()


def xml_of(rate: str) -> bytes:
    cubes = [
        f'<Cube time="2019-01-02"><Cube currency="USD"{rate}/></Cube>',
        '<Cube time="2019-01-03"><Cube currency="USD" rate="1.2"/></Cube>',
    ]
    return f"<E>{''.join(cubes)}</E>".encode()


@pytest.mark.parametrize("hole", ["N/A", "NaN", ""])
def test_a_day_without_a_rate_is_a_hole_on_each_interface(hole: str) -> None:
    body = csv_of(f"USD,2019-01-02,{hole}", "USD,2019-01-03,1.2")
    assert ecb(body, "data_api") == [1.2]
    assert ecb(xml_of(f' rate="{hole}"'), "latest") == [1.2]
    assert ecb(xml_of(""), "latest") == [1.2]


@pytest.mark.parametrize("day", ["2019-13-45", ""])
def test_a_rate_without_its_day_is_refused(day: str) -> None:
    with pytest.raises(SourceRefusedError, match="date of ECB rates must be a day"):
        ecb(csv_of(f"USD,{day},1.1", "USD,2019-01-03,1.2"), "data_api")


@pytest.mark.parametrize("day", [None, "yesterday"])
def test_a_price_without_its_day_is_refused(day: str | None) -> None:
    row = {"open": 1, "high": 1, "low": 1, "close": 1, "volume": 1, "divCash": 0, "splitFactor": 1}
    rows = [{"date": "2019-01-02T00:00:00.000Z", **row}, {"date": day, **row}]
    with serve(script(as_json(rows))) as server:
        made = TiingoSettings(api_key="key", tickers=("KO",), base_url=server.url)
        with pytest.raises(SourceRefusedError, match="date of prices of KO must be a day"):
            TiingoSource(made, make_client()).fetch("bars", START, END)


class WindowedExchange(ccxt.Exchange):
    """Answers for the span that begins at `since` alone, as many exchanges do."""

    def __init__(self, bars: Sequence[Sequence[Any]]) -> None:
        super().__init__()
        self.id = "windowed"
        self.bars = bars

    def fetch_ohlcv(  # pyright: ignore[reportIncompatibleMethodOverride]  # ccxt declares one that never returns
        self, symbol: str, timeframe: str = "1d", since: int = 0, limit: int = 1
    ) -> list[list[Any]]:
        assert since >= 0  # nothing was traded before 1970, and exchanges refuse it
        return [list(b) for b in self.bars if since <= b[0] < since + limit * DAY_MS]


def crypto(bars: Sequence[Sequence[Any]], start: datetime = START, **settings: Any) -> pl.DataFrame:
    made = CryptoSettings(symbols=("BTC/USDT",), page_size=10, **settings)
    now = datetime(2019, 6, 1, 12, tzinfo=UTC)
    source = CryptoSource(WindowedExchange(bars), made, lambda: now, wait_first_s=0.0)
    return source.fetch("bars", start, END)


def bars_of(numbers: Sequence[int]) -> list[list[Any]]:
    first = int(datetime(2019, 3, 1, tzinfo=UTC).timestamp() * 1000)
    return [[first + n * DAY_MS, 1, 2, 0.5, 1.5, 10] for n in numbers]


@pytest.mark.parametrize(
    ("numbers", "start"),
    [
        ([*range(20), *range(60, 92)], START),
        (range(92), datetime(1801, 1, 1, tzinfo=UTC)),
    ],
    ids=["a gap longer than a page", "long before the listing"],
)
def test_bars_behind_a_gap_are_asked_for(numbers: Sequence[int], start: datetime) -> None:
    rows = crypto(bars_of(numbers), start)
    begin = datetime(2019, 3, 2, tzinfo=UTC)
    assert rows["event_time"].to_list() == [begin + timedelta(days=n) for n in numbers]


def test_the_bar_that_is_not_over_is_not_taken() -> None:
    rows = crypto(bars_of(range(93)))  # the last one begins at midnight of the present day
    assert rows["event_time"].max() == datetime(2019, 6, 1, tzinfo=UTC)


def test_more_pages_than_allowed_are_no_whole_answer() -> None:
    with pytest.raises(SourceRefusedError, match="must end within 3 pages"):
        crypto(bars_of(range(92)), pages_max=3)


class NewestExchange(ccxt.Exchange):
    """Answers with its newest bars: heeds no `since`, or one within them alone, and maybe `until`.

    Kraken heeds `since` within its newest 720 bars and knows no `until`.
    """

    def __init__(self, count: int, *, page: int = 10, since: bool, until: bool) -> None:
        super().__init__()
        self.id = "newest"
        self.bars, self.page = bars_of(range(92 - count, 92)), page
        self.heeds_since, self.heeds_until = since, until
        self.asked = 0

    def fetch_ohlcv(  # pyright: ignore[reportIncompatibleMethodOverride]  # ccxt declares one that never returns
        self,
        symbol: str,
        timeframe: str = "1d",
        since: int = 0,
        limit: int = 1,
        params: Mapping[str, int] | None = None,
    ) -> list[list[Any]]:
        self.asked += 1
        until = (params or {}).get("until")
        held = [b for b in self.bars if not self.heeds_until or until is None or b[0] <= until]
        newest = held[-self.page :]
        return [list(b) for b in newest if not self.heeds_since or since <= b[0]]


def newest(exchange: NewestExchange, begin: datetime) -> tuple[list[datetime], tuple[str, ...]]:
    made = CryptoSettings(symbols=("BTC/USDT",), page_size=10)
    now = datetime(2019, 6, 1, 12, tzinfo=UTC)
    source = CryptoSource(exchange, made, lambda: now, wait_first_s=0.0)
    return source.fetch("bars", begin, END)["event_time"].to_list(), source.left_out("bars")


@pytest.mark.parametrize("since", [False, True])
def test_history_is_asked_for_backwards_where_since_is_not_heeded(*, since: bool) -> None:
    exchange = NewestExchange(92, since=since, until=True)
    times, told = newest(exchange, START)
    assert times == [datetime(2019, 3, 2, tzinfo=UTC) + timedelta(days=n) for n in range(92)]
    assert len(told) == 1
    assert "before 2019-03-01 00:00 are not there for 40 days" in told[0]  # it was listed then


@pytest.mark.parametrize(("since", "page"), [(False, 10), (True, 10), (False, 7)])
def test_history_that_cannot_be_had_is_told_in_a_line(*, since: bool, page: int) -> None:
    """The newest page came alone and without a word, as if the coin had just been listed."""
    times, told = newest(NewestExchange(92, page=page, since=since, until=False), START)
    assert len(times) == page
    (line,) = told
    first = datetime(2019, 6, 1, tzinfo=UTC) - timedelta(days=page)
    assert line == (
        f"BTC/USDT of crypto/newest: bars before {first:%Y-%m-%d %H:%M} cannot be had, the "
        "exchange gives its newest ones whatever is asked for"
    )


def test_a_young_listing_is_no_missing_history() -> None:
    exchange = NewestExchange(6, page=100, since=True, until=False)
    times, told = newest(exchange, START)
    assert len(times) == 6
    assert told == ()


@pytest.mark.parametrize("bar", [[1, 2], ["x", 2, 0.5, 1.5, 10], [1, 2, 0.5, True, 10]])
def test_a_bar_that_is_none_is_shown(bar: list[Any]) -> None:
    (good,) = bars_of([0])
    with pytest.raises(SourceRefusedError, match="must be its start and five numbers, was"):
        crypto([[good[0], *bar]])


def test_a_month_is_no_length() -> None:
    with pytest.raises(ValueError, match="timeframe must be of one length"):
        CryptoSettings(symbols=("BTC/USDT",), timeframe="1M")


def rss(items: str) -> Reply:
    body = f'<?xml version="1.0"?><rss version="2.0"><channel>{items}</channel></rss>'
    return Reply(body.encode(), headers={"ETag": '"1"', "Content-Type": "application/rss+xml"})


def news(*replies: Reply, looks: int = 1) -> tuple[pl.DataFrame, list[Request]]:
    now = datetime(2019, 6, 1, tzinfo=UTC)
    with serve(script(*replies)) as server:
        source = FeedSource(FeedSettings(urls={"f": server.url}), make_client(), lambda: now)
        rows = [source.fetch("news", START, END) for _ in range(looks)][-1]
    return rows, server.requests


@pytest.mark.parametrize(
    "date", ["someday soon", "0000-00-00T00:00:00Z", "Mon, 01 Jan 99999 00:00:00 GMT", ""]
)
def test_a_date_that_is_none_costs_no_item(date: str) -> None:
    item = f"<item><title>A</title><guid>1</guid><pubDate>{date}</pubDate></item>"
    rows, _ = news(rss(f"{item}<item><title>B</title></item>"))
    assert sorted(rows["headline"]) == ["A", "B"]


def test_an_item_without_a_title_is_its_text_and_entities_are_letters() -> None:
    items = (
        "<item><guid>1</guid><description>Only a text</description></item>"
        "<item><guid>2</guid><title>AT&amp;amp;T &amp; M&#246;b</title></item>"
        "<item><guid>3</guid><title><![CDATA[Oil < 0]]></title></item>"
    )
    rows, _ = news(rss(items))
    assert sorted(rows["headline"]) == ["AT&T & Möb", "Oil < 0", "Only a text"]


def test_a_feed_that_breaks_off_is_asked_for_whole_the_next_time() -> None:
    whole = rss("<item><title>A</title></item><item><title>B</title></item>")
    cut = Reply(whole.body[:-50], headers=whole.headers)
    rows, requests = news(cut, whole, looks=3)
    assert sorted(rows["headline"]) == ["A", "B"]
    assert ["if-none-match" in request.headers for request in requests] == [False, False, True]


def test_news_without_a_date_is_stored_once_however_often_it_is_seen(tmp_path: Path) -> None:
    """Each process dates it anew: it must not become fresh news every night."""
    tables = DeltaTableStore(tmp_path)
    for night in (1, 2, 3):
        now = datetime(2019, 6, night, tzinfo=UTC)
        reply = rss(f"<item><title>A</title><guid>1</guid>{'<x/>' * night}</item>")
        with serve(script(reply)) as server:
            source = FeedSource(
                FeedSettings(urls={"f": server.url}), make_client(), lambda now=now: now
            )
            rows = source.fetch("news", START, END)
        tables.append("raw_news", rows, key=NEWS.key, ingested_at=now)
    stored = tables.read("raw_news")
    assert stored.select("headline", "event_time").rows() == [
        ("A", datetime(2019, 6, 1, tzinfo=UTC))
    ]
