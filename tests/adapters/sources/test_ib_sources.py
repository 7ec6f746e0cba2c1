"""History of Interactive Brokers over TCP: bars and news in order, in pace, with honest errors."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.brokers.ib_session import IbSession, IbSettings
from adapters.sources.ib.bars import IbBarSettings, IbBarSource
from adapters.sources.ib.line import IbLine
from adapters.sources.ib.names import parse_contract
from adapters.sources.ib.news import IbNewsSettings, IbNewsSource
from adapters.sources.ib.pace import Pace, PaceLimits
from adapters.sources.web.http import SourceRefusedError, SourceUnavailableError
from features.schemas import BARS, NEWS
from gateway_simulator.clock import Clock
from gateway_simulator.faults import Fault, FaultKind
from gateway_simulator.gateway import Gateway
from gateway_simulator.hosting import HostedGateway
from gateway_simulator.market import ReplayBar
from gateway_simulator.settings import GatewaySettings

NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)


class Watch:
    """A clock that moves only when somebody sleeps; the gateway looks at the same one."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def now_s(self) -> float:
        return self.slept_s

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def now_ns(self) -> int:
        return int((NOW.timestamp() + self.slept_s) * 1e9)


@contextmanager
def line_to(host: HostedGateway, watch: Watch, answer_s_max: float = 10.0) -> Iterator[IbLine]:
    reach = IbSettings(port=host.port, client_id=13, answer_s_max=answer_s_max)
    line = IbLine(IbSession(reach, trades=False), Pace(watch.now_s, watch.sleep))
    try:
        yield line
    finally:
        line.close()


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="module")
def host(watch: Watch) -> Iterator[HostedGateway]:
    """A gateway that keeps the broker's pace, with a live account: reading needs no permission."""
    asked = GatewaySettings(accounts=("U1",), market_every_s=0.0, messages_per_s_max=0)
    with HostedGateway(lambda: Gateway(asked, clock=Clock(watch.now_ns))) as started:
        yield started


@contextmanager
def errors_heard(host: HostedGateway) -> Iterator[list[str]]:
    """Write down what the gateway refuses for its pace within the block."""
    refused: list[str] = []
    usual = host.gateway.history_pace.find_violation

    def watched(request: tuple[str, ...], contract: str, now_s: float) -> str:
        violation = usual(request, contract, now_s)
        refused.extend([violation] if violation else [])
        return violation

    host.gateway.history_pace.find_violation = watched  # type: ignore[method-assign]
    yield refused
    host.gateway.history_pace.find_violation = usual  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def line(host: HostedGateway, watch: Watch) -> Iterator[IbLine]:
    with line_to(host, watch) as opened:
        yield opened


def bars_of(line: IbLine, *contracts: str, **fields: Any) -> IbBarSource:
    return IbBarSource(IbBarSettings(contracts=contracts, **fields), line, lambda: NOW)


def day(number: int, month: int = 6) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


def test_daily_bars_close_with_their_exchange(line: IbLine) -> None:
    """A share at four in New York, known from then on; no bar is of the future."""
    source = bars_of(line, "AAPL", "ETF:SPY")
    rows = source.fetch("bars", day(1), day(30))

    assert rows.schema == pl.Schema(BARS.columns)
    assert rows["instrument_id"].unique().sort().to_list() == ["US.AAPL", "US.SPY"]
    assert set(rows["event_time"].dt.strftime("%H:%M")) == {"20:00"}
    assert rows["event_time"].max() == datetime(2026, 6, 9, 20, tzinfo=UTC)
    assert len(rows) == 2 * 7
    assert (rows["knowledge_time"] >= rows["event_time"]).all()
    assert rows["adjustment"].unique().to_list() == ["split"]
    described = source.instruments().sort("instrument_id")
    assert described["asset_class"].to_list() == ["equity", "etf"]
    assert described["price_increment"].to_list() == ["0.01", "0.01"]


def test_one_window_is_the_sum_of_its_parts(line: IbLine) -> None:
    """Asked for at once or in two windows: the same rows, none twice, none lost at the seam."""
    source = bars_of(line, "IBM", interval="1h")
    whole = source.fetch("bars", day(1), day(6))
    parts = [source.fetch("bars", day(1), day(3)), source.fetch("bars", day(3), day(6))]
    assert whole.equals(pl.concat(parts).sort(*BARS.key))
    assert whole.select(BARS.key).is_duplicated().sum() == 0
    assert len(whole) == 5 * 7


def test_a_currency_is_shown_by_its_middle_price(line: IbLine) -> None:
    """It has no volume, and its day ends at midnight of its calendar."""
    rows = bars_of(line, "CASH:EUR:IDEALPRO:USD", interval="1h").fetch("bars", day(2), day(3))
    assert len(rows) == 24
    assert rows["volume"].null_count() == 24
    assert rows["instrument_id"][0] == "FX.EURUSD"


def test_many_pieces_are_asked_for_in_pace(line: IbLine, host: HostedGateway, watch: Watch) -> None:
    """Seventy: the gateway, which counts as the broker does, is never asked too often."""
    begin = int(day(2).timestamp()) + 14 * 3_600
    bars = [ReplayBar(begin + 60 * i, *[Decimal(480)] * 4, Decimal(100)) for i in range(30)]
    host.call(lambda g: g.market.replay(320227571, bars))
    before_s, source = watch.slept_s, bars_of(line, "ETF:QQQ", interval="1m")
    with errors_heard(host) as refused:
        found = [
            len(source.fetch("bars", at, at + timedelta(days=1)))
            for at in (day(5) - timedelta(days=back) for back in range(70))
        ]
    assert sum(found) == 30
    assert refused == []
    assert watch.slept_s - before_s > 600


def test_refused_for_its_pace_it_asks_again(
    line: IbLine, host: HostedGateway, watch: Watch
) -> None:
    """Error 162 with a pacing violation is no answer: the same rows come later."""
    source = bars_of(line, "JPM", interval="1h")
    host.call(lambda g: g.faults.add(Fault(kind=FaultKind.PACING)))
    before_s = watch.slept_s
    assert len(source.fetch("bars", day(1), day(2))) == 7
    assert watch.slept_s - before_s > 15.0


def test_what_is_not_there_is_refused_by_name(line: IbLine) -> None:
    with pytest.raises(SourceRefusedError, match=r"contract STK NOBODY must be answered.*200"):
        bars_of(line, "NOBODY").fetch("bars", day(1), day(3))
    with pytest.raises(SourceRefusedError, match="must name one contract, did 4"):
        bars_of(line, "FUT:ES:CME:USD:2").fetch("bars", day(1), day(3))
    with pytest.raises(ValueError, match="table must be 'bars'"):
        bars_of(line, "AAPL").fetch("news", day(1), day(3))


def test_no_gateway_is_told_as_unavailable() -> None:
    session = IbSession(IbSettings(port=1, client_id=13, answer_s_max=0.5), trades=False)
    dead = IbLine(session, Pace(lambda: 0.0, lambda _: None))
    with pytest.raises(SourceUnavailableError, match="the gateway must be reached"):
        bars_of(dead, "AAPL").fetch("bars", day(1), day(3))


def test_a_connection_that_breaks_is_waited_for(host: HostedGateway) -> None:
    """Cut off at the request: the same rows come over the next connection."""
    reach = IbSettings(port=host.port, client_id=15, backoff_s_min=0.01, backoff_s_max=0.05)
    pace = Pace(time.monotonic, time.sleep, PaceLimits(identical_window_s=0.0))
    cut = IbLine(IbSession(reach, trades=False), pace)
    host.call(lambda g: g.faults.add(Fault(kind=FaultKind.LOSE_ORDER, at="req_historical_data")))
    try:
        assert len(bars_of(cut, "ETF:TLT", interval="1h").fetch("bars", day(1), day(2))) == 7
    finally:
        cut.close()


def test_a_gateway_that_comes_late_is_reached(watch: Watch) -> None:
    """Refused at first: the same line asks again once somebody listens."""
    asked = GatewaySettings(paces_history=False, market_every_s=0.0)
    with HostedGateway(lambda: Gateway(asked, clock=Clock(watch.now_ns))) as late:
        late.call(lambda g: g.refuse_for(1.0))
        reach = IbSettings(port=late.port, client_id=15)
        line = IbLine(IbSession(reach, trades=False), Pace(time.monotonic, time.sleep))
        with pytest.raises(SourceUnavailableError):
            bars_of(line, "AAPL").fetch("bars", day(1), day(3))
        late.call(lambda g: g.refuse_for(0.0))
        rows = bars_of(line, "AAPL", interval="1h").fetch("bars", day(2), day(3))
        line.close()
        assert len(rows) == 7


def test_news_come_once_each_from_their_stamps(line: IbLine) -> None:
    """Of one contract in a window; the body where it is wanted."""
    source = IbNewsSource(IbNewsSettings(contracts=("AAPL",), bodies=True), line)
    rows = source.fetch("news", day(1), day(3))
    assert rows.schema == pl.Schema(NEWS.columns)
    assert len(rows) == rows["news_id"].n_unique() > 4
    assert rows["event_time"].min() >= day(1)
    assert rows["event_time"].max() < day(3)
    assert (rows["knowledge_time"] == rows["event_time"]).all()
    assert all(h in b for h, b in zip(rows["headline"], rows["body"], strict=True))


def test_many_news_are_read_page_by_page(line: IbLine) -> None:
    """More than the three hundred that the broker gives at once."""
    source = IbNewsSource(IbNewsSettings(contracts=("MSFT",)), line)
    rows = source.fetch("news", day(1, 1), day(1, 6))
    assert len(rows) > 500
    gaps = rows["event_time"].diff().drop_nulls()
    assert gaps.max() < timedelta(hours=12)


@pytest.mark.parametrize(
    ("text", "instrument_id", "calendar"),
    [
        ("AAPL", "US.AAPL", "XNYS"),
        ("ETF:SPY", "US.SPY", "XNYS"),
        ("STK:SHEL:SMART:GBP", "GB.SHEL", "XLON"),
        ("CASH:EUR:IDEALPRO:USD", "FX.EURUSD", "24/5"),
        ("CRYPTO:BTC", "CRYPTO.BTCUSD", "24/7"),
        ("FUT:ES:CME:USD:202612", "FUT.ES.202612", "CMES"),
        ("OPT:AAPL:SMART:USD:20261218:220:C", "OPT.AAPL.20261218.220.C", "XNYS"),
        ("IND:SPX:CBOE", "IDX.SPX", "XNYS"),
        ("CFD:IBM", "CFD.IBM", "XNYS"),
    ],
)
def test_a_contract_is_named_in_one_text(text: str, instrument_id: str, calendar: str) -> None:
    named = parse_contract(text)
    assert (named.instrument_id, named.calendar) == (instrument_id, calendar)


@pytest.mark.parametrize("text", ["", "BOND:X", "FUT:ES", "OPT:A:SMART:USD:20261218:x:C", ":"])
def test_a_name_that_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_contract(text)


REQUESTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("XY"), st.floats(0, 3)), max_size=60
)


@settings(max_examples=50, deadline=None)
@given(REQUESTS)
def test_the_pace_never_breaks_a_rule(requests: list[tuple[str, str, float]]) -> None:
    """However fast it is asked: at most so many in each window, and none twice too soon."""
    watch = Watch()
    limits = PaceLimits(requests_max=10, requests_window_s=60.0)
    pace = Pace(watch.now_s, watch.sleep, limits)
    made: list[tuple[float, str, str]] = []
    for request, contract, idle_s in requests:
        watch.sleep(idle_s)
        pace.wait(request, contract)
        made.append((watch.slept_s, request, contract))
    for at, request, contract in made:
        within = [m for m in made if at - 60.0 < m[0] <= at]
        assert len(within) <= 10
        assert sum(m[1] == request for m in within if at - m[0] < 15.0) == 1
        assert sum(m[2] == contract for m in within if at - m[0] < 2.0) <= 5
