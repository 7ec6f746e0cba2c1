"""Bars are drawn of single trades, and of quotes where the user says so."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints
from adapters.sources.mapping import MappingError, mapping_from
from features.session_bars import Market, session_bars
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred

Ticks = list[tuple[datetime, float, float]]


def session_ticks(count: int = 400) -> Ticks:
    """Trades of a few sessions, several in a moment, in the order in which they are published."""
    chance = random.Random(7)
    found: Ticks = []
    for day in SESSIONS:
        opens = datetime.fromisoformat(f"{day}T14:30:00+00:00")
        moments = sorted(chance.randrange(0, 390 * 60) for _ in range(count))
        for second in moments:
            price = round(100 + chance.gauss(0, 1), 2)
            found.append((opens + timedelta(seconds=second), price, chance.randrange(1, 9) * 100))
    return found


def truth(ticks: Ticks) -> dict[datetime, tuple[float, float, float, float, float]]:
    """The bars of a minute, one tick after the other."""
    bars: dict[datetime, tuple[float, float, float, float, float]] = {}
    for at, price, size in ticks:
        end = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
        o, h, low, _, v = bars.get(end, (price, price, price, price, 0.0))
        bars[end] = (o, max(h, price), min(low, price), price, v + size)
    return bars


def text(ticks: Ticks, head: str = "timestamp,price,size") -> str:
    lines = [f"{at:%Y-%m-%dT%H:%M:%SZ},{price},{size}" for at, price, size in ticks]
    return "\n".join([head, *lines]) + "\n"


def drawn(source: FileSource) -> dict[datetime, tuple[float, ...]]:
    bars = source.fetch("bars", *EVER)
    assert bars["interval"].unique().to_list() == ["1m"]
    values = bars.select("event_time", "open", "high", "low", "close", "volume")
    return {at: rest for at, *rest_ in values.iter_rows() for rest in [tuple(rest_)]}


@pytest.mark.parametrize("head", ["timestamp,price,size", "time,trade_price,qty", "ts,px,volume"])
def test_single_trades_become_bars_of_a_minute_beside_them(tmp_path: Path, head: str) -> None:
    ticks = session_ticks()
    source = inferred(tmp_path, {"AAPL.csv": text(ticks, head)})
    assert drawn(source) == truth(ticks)
    assert source.fetch("trades", *EVER).height == len(ticks)
    bars = source.fetch("bars", *EVER)
    assert bars["event_time"].equals(bars["knowledge_time"])
    path, row = source.locate(bars["source"][0], bars["source_row"][0])
    assert path.name == "AAPL.csv"
    assert row + 1 == sum(at < bars["event_time"][0] for at, _, _ in ticks)


def test_a_price_and_a_volume_a_day_are_bars_of_closes(tmp_path: Path) -> None:
    rows = "".join(f"{day},{n}.5,{n}00\n" for n, day in enumerate(SESSIONS))
    bars = inferred(tmp_path, {"AAPL.csv": f"Date,Price,Volume\n{rows}"}).fetch("bars", *EVER)
    assert bars["close"].to_list() == [n + 0.5 for n in range(len(SESSIONS))]
    assert bars["volume"].to_list() == [n * 100.0 for n in range(len(SESSIONS))]


def test_a_minute_that_lies_in_two_files_is_one_bar(tmp_path: Path) -> None:
    ticks = session_ticks()
    cut = next(n for n in range(200, 900) if ticks[n][0].minute == ticks[n - 1][0].minute)
    while ticks[cut][0] == ticks[cut - 1][0]:
        cut += 1
    parts = {"AAPL_1.csv": text(ticks[:cut]), "AAPL_2.csv": text(ticks[cut:])}
    assert drawn(inferred(tmp_path, parts)) == truth(ticks)


def test_bars_of_trades_are_sessions_of_the_exchange(tmp_path: Path) -> None:
    ticks = session_ticks()
    early = (ticks[0][0] - timedelta(hours=2), 55.5, 100)  # before the open: of no session
    source = inferred(tmp_path, {"AAPL.csv": text([early, *ticks])})
    market = Market("XNYS", "USD", ("equity",), timedelta(minutes=30))
    daily = session_bars(source.fetch("bars", *EVER), source.instruments(), market)
    day = [price for at, price, _ in ticks if f"{at:%Y-%m-%d}" == SESSIONS[0]]
    first = daily.sort("event_time").select("open", "high", "low", "close").row(0)
    assert first == (day[0], max(day), min(day), day[-1])
    assert daily.height == len(SESSIONS)


def test_trades_beside_bars_of_their_symbol_are_trades_alone(tmp_path: Path) -> None:
    daily = "Date,Close\n" + "".join(f"{day},1.5\n" for day in SESSIONS)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").mkdir()
    (tmp_path / "data" / "x" / "AAPL.csv").write_text(daily)
    (tmp_path / "data" / "AAPL.csv").write_text(text(session_ticks(9)))
    from adapters.sources.inference import infer_mapping

    source = FileSource(tmp_path / "data", infer_mapping(tmp_path / "data"))
    assert source.fetch("bars", *EVER).height == len(SESSIONS)


def quotes() -> str:
    lines = [
        f"{day}T15:{minute:02}:{second:02}Z,{99 + minute + second / 100:.2f},{101 + minute}"
        for day in SESSIONS
        for minute in range(5)
        for second in (0, 20, 40)
    ]
    return "\n".join(["timestamp,bid,ask", *lines]) + "\n"


def test_quotes_alone_are_asked_about_and_their_middle_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"from the middle of bid and ask.*--quotes mid"):
        inferred(tmp_path, {"AAPL.csv": quotes()})
    (tmp_path / "mid").mkdir()
    source = inferred(tmp_path / "mid", {"AAPL.csv": quotes()}, Hints(quotes="mid"))
    bars = source.fetch("bars", *EVER).head(3)
    # What stands at a full minute is the last of the minute before.
    assert bars["event_time"].dt.minute().to_list() == [0, 1, 2]
    assert bars["open"].round(6).to_list() == [100.0, 100.1, 101.1]
    assert bars["close"].round(6).to_list() == [100.0, 101.0, 102.0]
    assert bars["volume"].to_list() == [None] * 3
    assert source.fetch("quotes", *EVER).height == 15 * len(SESSIONS)
    (tmp_path / "alone").mkdir()
    alone = inferred(tmp_path / "alone", {"AAPL.csv": quotes()}, Hints(quotes="alone"))
    assert alone.tables == ("quotes",)


def test_the_middle_of_a_days_quotes_is_its_close(tmp_path: Path) -> None:
    rows = [f"{day},{2.0 + n},{2.5 + n}" for n, day in enumerate(SESSIONS)]
    rows[1], rows[2] = f"{SESSIONS[1]},0,3", f"{SESSIONS[2]},9,3"  # no bid, and a crossed quote
    files = {"AAPL.csv": "\n".join(["date,bid,ask", *rows]) + "\n"}
    source = inferred(tmp_path, files, Hints(quotes="mid"))
    bars = source.fetch("bars", *EVER)
    assert bars["close"].to_list() == [2.25, *(2.25 + n for n in range(3, len(SESSIONS)))]
    assert bars["open"].null_count() == bars.height
    assert bars["event_time"][0] == datetime(2020, 1, 2, 21, tzinfo=UTC)
    assert bars["knowledge_time"][0] == datetime(2020, 1, 2, 21, 15, tzinfo=UTC)


def test_a_tick_that_cannot_be_read_is_told_of_the_bars_too(tmp_path: Path) -> None:
    bad = text(session_ticks(9)) + "2020-01-10T20:00:00Z,soon,100\n"
    source = inferred(tmp_path, {"AAPL.csv": bad})
    assert source.rejected("bars").height == source.rejected("trades").height == 1
    assert source.rejected("bars")["table"].to_list() == ["bars"]


def test_prices_of_ticks_tell_how_finely_they_are_quoted(tmp_path: Path) -> None:
    lines = [f"2020-01-02T15:00:{n:02}Z,0.0001234{n % 9 + 1},5" for n in range(60)]
    source = inferred(tmp_path, {"SHIBUSDT.csv": "\n".join(["timestamp,price,size", *lines])})
    assert source.instruments()["price_increment"].to_list() == ["0.00000001"]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"drawn": {"of": "news"}}, "of must be one of"),
        ({"drawn": {"of": "trades", "interval": "soon"}}, "interval must be such as 1m"),
        ({"drawn": {"of": "trades"}, "table": "trades"}, "drawn must be an entry of bars"),
        ({"drawn": {"of": "trades"}, "columns": {"close": "c"}}, "columns of trades must be"),
    ],
)
def test_a_mapping_that_cannot_be_gets_a_line(entries: dict[str, object], said: str) -> None:
    table = {"table": "bars", "files": "*.csv", "time": {"column": "t", "zone": "UTC"}, **entries}
    with pytest.raises(MappingError, match=said):
        mapping_from({"tables": [table]}, name="x")


def test_deliveries_of_trades_give_versions_of_their_bars(tmp_path: Path) -> None:
    """The price of one trade was put right a day later."""
    ticks = session_ticks(50)
    at, price, size = ticks[3]
    right = [*ticks[:3], (at, price + 50, size), *ticks[4:]]
    files = {"AAPL_2020-01-10.csv": text(ticks), "AAPL_2020-01-13.csv": text(right)}
    bars = inferred(tmp_path, files).fetch("bars", *EVER)
    again = bars.filter(pl.col("knowledge_time") > pl.col("event_time"))
    assert again["knowledge_time"].to_list() == [datetime(2020, 1, 14, 5, tzinfo=UTC)]
    assert again["high"][0] == price + 50
    assert bars.height == len(truth(ticks)) + 1
