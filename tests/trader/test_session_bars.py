"""A paper desk's bars have the auctions of their sessions, as the backtest's have."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.settings import EngineSettings
from swarm_core.commissions import BpsCommission
from swarm_core.fills import FillSettings
from swarm_core.instruments import Instrument
from swarm_core.market import Bar
from swarm_core.orders import Order, OrderKind, OrderSide, TimeInForce
from swarm_core.risk.limits import LOOSEST
from tests.swarm_core.backtest.stories import told_both_ways
from trader.hours import ExchangeHours
from trader.session_bars import SessionBars, one_a_session

STEP = timedelta(minutes=30)
SHARES = [Instrument(instrument_id=n, asset_class="equity", currency="USD") for n in "AB"]
# New York before and after Thanksgiving; the Friday closes at 18:00 UTC.
HOURS = [
    (datetime(2019, 11, 27, 14, 30, tzinfo=UTC), datetime(2019, 11, 27, 21, tzinfo=UTC)),
    (datetime(2019, 11, 29, 14, 30, tzinfo=UTC), datetime(2019, 11, 29, 18, tzinfo=UTC)),
    (datetime(2019, 12, 2, 14, 30, tzinfo=UTC), datetime(2019, 12, 2, 21, tzinfo=UTC)),
]


def ns(moment: datetime) -> int:
    return round(moment.timestamp()) * 10**9


def market(seed: int) -> tuple[Bars, np.random.Generator]:
    """Return half hours of three sessions, now and then one missing, a closing one as well."""
    rng = np.random.default_rng(seed)
    times: list[int] = []
    ends: list[bool] = []
    days: list[int] = []
    for number, (opens, closes) in enumerate(HOURS):
        at = opens
        while at < closes:
            at += STEP
            times.append(ns(at))
            ends.append(at == closes)
            days.append(18_000 + number)
    shape = (len(times), 2)
    close = 1_000 + np.cumsum(rng.integers(-9, 10, shape), axis=0)
    open_ = close + rng.integers(-5, 6, shape)
    told = np.where(rng.random(shape) < 0.12, c.NONE, close)
    bars = Bars.of(
        SHARES, np.array(times), told, open_=open_,
        high=np.maximum(open_, close) + 4, low=np.minimum(open_, close) - 4,
        volume=rng.integers(500, 5_000, shape), open_ns=np.array(times) - ns_of_step(),
        session=np.array(days), ends=np.repeat(np.array(ends, np.int64)[:, None], 2, axis=1),
    )  # fmt: skip
    return bars, rng


def ns_of_step() -> int:
    return int(STEP.total_seconds()) * 10**9


def orders_of(rng: np.random.Generator, bars: Bars) -> list[list[Order]]:
    kinds = [kind for kind in OrderKind if not kind.has_stop]
    sent: list[list[Order]] = []
    for t in range(len(bars.market.time_ns)):
        made: list[Order] = []
        for number in range(int(rng.integers(0, 3))):
            kind = kinds[int(rng.integers(len(kinds)))]
            made.append(
                Order(
                    decision_id=f"bar-{t}",
                    instrument_id="AB"[int(rng.integers(2))],
                    side=OrderSide.BUY if rng.random() < 0.5 else OrderSide.SELL,
                    quantity_lots=int(rng.integers(1, 900)),
                    kind=kind,
                    time_in_force=list(TimeInForce)[int(rng.integers(len(TimeInForce)))],
                    limit_price_ticks=int(rng.integers(960, 1_040)) if kind.has_limit else None,
                    slice_index=number,
                )
            )
        sent.append(made)
    return sent


Told = tuple[list[tuple[str, int, int, int]], list[tuple[str, int]]]


def on_paper(bars: Bars, sent: list[list[Order]], settings: EngineSettings) -> Told:
    """Return fills and ends of orders that a paper venue meets through a feed's plain bars."""
    instruments = {i.instrument_id: i for i in SHARES}
    venue = SimulatedBroker(instruments, fills=settings.fills, commission=settings.commission)
    sessions = SessionBars(ExchangeHours("XNYS"))
    m, told = bars.market, list[ev.Event]()

    def end(time_ns: int) -> None:
        told.extend(venue.end_session(set(instruments), time_ns))

    for t, time_ns in enumerate(m.time_ns.tolist()):
        for at, name in enumerate("AB"):
            if m.close[t, at] != c.NONE:
                plain = Bar(
                    instrument_id=name, time_ns=time_ns, close_ticks=int(m.close[t, at]),
                    open_ticks=int(m.open[t, at]), high_ticks=int(m.high[t, at]),
                    low_ticks=int(m.low[t, at]), volume_lots=int(m.volume[t, at]),
                    open_time_ns=int(m.open_ns[t]),
                )  # fmt: skip
                sessions.end(time_ns, end)
                told.extend(venue.on_bars([sessions.told(plain)], time_ns))
        sessions.end(time_ns + 1, end)
        for order in sent[t]:
            told.extend(venue.submit(order, time_ns))
    fills = [
        (e.client_order_id, e.time_ns, e.lots, e.price_ticks)
        for e in told
        if isinstance(e, ev.OrderFilled)
    ]
    ends = [(e.client_order_id, e.time_ns) for e in told if isinstance(e, ev.OrderExpired)]
    return sorted(fills), sorted(ends)


SETTINGS = EngineSettings(
    starting_cash=Decimal(10**9),
    limits=replace(LOOSEST, duplicate_window_s=0.0),
    commission=BpsCommission(Decimal(0)),
    fills=FillSettings(participation_fraction_max=0.1, slippage_bps=0.0, impact_bps=0.0),
)


@pytest.mark.parametrize("seed", range(8))
def test_a_paper_venue_fills_and_ends_as_the_backtest_does(seed: int) -> None:
    bars, rng = market(seed)
    sent = orders_of(rng, bars)
    flat = [order.client_order_id for orders in sent for order in orders]
    story = told_both_ways(bars, SETTINGS, sent)
    times = bars.market.time_ns.tolist()
    approved = {row[0] for row in story.rows["orders"] if row[9] == -1}
    fills = sorted((flat[r[0]], times[r[1]], r[4], r[5]) for r in story.rows["fills"])
    ends = sorted((flat[r[0]], times[r[1]]) for r in story.rows["changes"] if r[2] == c.EXPIRED)
    assert len(approved) == len(flat), "the gate is not what is compared"
    assert (fills, ends) == on_paper(bars, sent, SETTINGS)
    assert len(fills) > 10


def bar(moment: datetime, name: str = "A") -> Bar:
    at = ns(moment)
    return Bar(instrument_id=name, time_ns=at, close_ticks=100, open_time_ns=at - 60 * 10**9)


def auctions(sessions: SessionBars, *moments: datetime) -> list[tuple[bool, bool]]:
    told = [sessions.told(bar(moment)) for moment in moments]
    return [(b.opens_session, b.closes_session) for b in told]


def test_the_first_bar_opens_the_last_closes_and_what_lies_outside_does_neither() -> None:
    """14:00 is before the opening at 14:30, 14:31 the first minute, 18:00 a half day's last."""
    day = datetime(2019, 11, 29, tzinfo=UTC)
    moments = [day + timedelta(hours=h, minutes=m) for h, m in
               ((14, 0), (14, 31), (14, 32), (18, 0), (18, 1))]  # fmt: skip
    assert auctions(SessionBars(ExchangeHours("XNYS")), *moments) == [
        (False, False), (True, False), (False, False), (False, True), (False, False),
    ]  # fmt: skip


def test_a_desk_that_starts_in_a_session_has_missed_its_opening() -> None:
    day = datetime(2019, 12, 2, tzinfo=UTC)
    started = ns(day + timedelta(hours=16))
    sessions = SessionBars(ExchangeHours("XNYS"), since_ns=started)
    first, next_day = day + timedelta(hours=16, minutes=5), day + timedelta(hours=38, minutes=31)
    assert auctions(sessions, first, next_day) == [(False, False), (True, False)]


def test_a_session_ends_once_and_after_its_last_bars_could_come() -> None:
    close = ns(datetime(2019, 11, 29, 18, tzinfo=UTC))
    sessions, ended = SessionBars(ExchangeHours("XNYS"), grace_ns=100), list[int]()
    for time_ns in (close - 1, close, close + 100, close + 101, close + 500):
        sessions.end(time_ns, ended.append)
    assert ended == [close]


def test_a_series_of_one_bar_a_session_is_left_as_it_is() -> None:
    hours = ExchangeHours("XNYS")
    daily = [bar(closes, "D") for _, closes in HOURS]
    minutes = [bar(opens + timedelta(minutes=m), "M") for opens, _ in HOURS for m in (1, 2)]
    whole = one_a_session(sorted([*daily, *minutes], key=lambda b: b.time_ns), hours)
    assert whole == {"D"}
    assert SessionBars(hours, whole).told(daily[1]) == daily[1]
