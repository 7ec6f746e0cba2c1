"""Crypto exchanges that are asked backwards: over gaps as well, up to a bound that is told."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from adapters.sources.web.crypto import CryptoSettings, CryptoSource
from tests.adapters.sources.local_server import Reply, Request, as_json, serve
from tests.adapters.sources.test_web_sources import END, make_exchange


class NewestKlines:
    """An exchange that gives its newest bars where no end is asked for, else those of the span."""

    def __init__(self, days: Iterable[int]) -> None:
        first = datetime(2023, 11, 20, tzinfo=UTC)
        self.starts = sorted(_milliseconds(first - timedelta(days=day)) for day in days)
        self.asked: list[tuple[int, int]] = []

    def __call__(self, request: Request) -> Reply:
        since, limit = int(request.query["startTime"]), int(request.query["limit"])
        held = self.starts
        if "endTime" in request.query:
            until = int(request.query["endTime"])
            self.asked.append((since, until))
            held = [start for start in held if since <= start <= until]
        return as_json([[t, "1.5", "2.0", "1.0", "1.2", "7", t, "0", 1, "0", "0", "0"]
                        for t in held[-limit:]])  # fmt: skip


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _backwards(exchange: NewestKlines, **settings: int) -> tuple[list[int], tuple[str, ...]]:
    """How many days ago each bar began that is had of 2023, and what is told."""
    now = datetime(2023, 11, 21, 12, tzinfo=UTC)
    given = CryptoSettings(symbols=("BTC/USDT",), timeframe="1d", page_size=3, **settings)
    with serve(exchange) as server:
        source = CryptoSource(make_exchange(server.url), given, lambda: now, wait_first_s=0.0)
        rows = source.fetch("bars", datetime(2023, 1, 1, tzinfo=UTC), END)
    last = datetime(2023, 11, 21, tzinfo=UTC)
    return sorted((last - end).days for end in rows["event_time"]), source.left_out("bars")


def test_crypto_bars_behind_a_gap_are_asked_for_backwards_too():
    """Three pages of a halt stood for the beginning of the history."""
    days = [*range(6), *range(17, 24), *range(40, 42)]
    exchange = NewestKlines(days)
    found, told = _backwards(exchange)
    assert found == days
    # Behind the oldest bar nothing comes for as long as a gap may be; that is told.
    assert told == (
        "BTC/USDT of crypto/binance: bars before 2023-10-10 00:00 are not there for 33 days, "
        "older ones were not asked for (gap_days_max)",
    )
    spans = sorted(exchange.asked)
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(spans))


def test_crypto_goes_no_further_over_a_gap_than_is_allowed():
    days = [*range(6), *range(17, 24)]
    assert _backwards(NewestKlines(days), gap_days_max=20)[0] == days
    found, told = _backwards(NewestKlines(days), gap_days_max=5)
    assert found == days[:6]
    assert "before 2023-11-15 00:00 are not there for 6 days" in told[0]


def test_crypto_says_nothing_where_all_that_was_asked_for_was_looked_at():
    assert _backwards(NewestKlines(range(324)))[1] == ()
    with pytest.raises(ValueError, match="gap_days_max must lie within 0 to 10000, was -1"):
        CryptoSettings(symbols=("BTC/USDT",), gap_days_max=-1)
