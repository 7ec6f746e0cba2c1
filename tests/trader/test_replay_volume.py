"""What a replayed quote says that a day trades: of the days before, never of one bar."""

from collections.abc import Sequence

from swarm_core.market import Bar
from trader.replay import ReplayFeed

DAY_NS, MINUTE_NS = 86_400 * 10**9, 60 * 10**9


def bars(volumes: Sequence[Sequence[int | None]], step_ns: int = 5 * MINUTE_NS) -> list[Bar]:
    return [
        Bar(
            instrument_id="US.A",
            time_ns=(100 + day) * DAY_NS + number * step_ns,
            close_ticks=1_000,
            volume_lots=lots,
        )
        for day, own in enumerate(volumes)
        for number, lots in enumerate(own)
    ]


def told(series: Sequence[Bar], from_ns: int = 0) -> list[int | None]:
    feed = ReplayFeed(series, is_open=lambda *_: True, from_ns=from_ns)
    return [feed.quote(bar).daily_volume_lots for bar in series]


def test_intraday_bars_tell_the_days_before_or_the_running_day_where_it_is_more() -> None:
    series = bars([[10, 20, 30], [1, 2, 3], [5, 5, 200]])

    assert told(series) == [10, 30, 60, 60, 60, 60, 33, 33, 210]


def test_the_volume_is_the_same_where_a_replay_goes_on() -> None:
    series = bars([[10, 20, 30], [1, 2, 3]])

    assert told(series, from_ns=series[4].time_ns) == told(series)


def test_a_daily_bar_tells_its_own_day() -> None:
    assert told(bars([[60], [6], [210]])) == [60, 6, 210]


def test_bars_without_volume_tell_none() -> None:
    assert told(bars([[None, None], [None, 5]])) == [None, None, None, 5]


def test_only_the_last_twenty_days_are_typical() -> None:
    series = bars([[5_000, 5_000], *([[10, 10]] * 20), [1, 1]])

    assert told(series)[-1] == 20
