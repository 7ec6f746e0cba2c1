"""One book on two exchanges with other holidays and half days, worked out by hand.

London keeps 27 and 28 December 2021 and 3 January 2022, New York 24 December; London closes at
12:30 on the 24th and the 31st. On its k-th session London opens at 20.00 + k dimes and closes five
cents higher, New York at 50.00 + k dimes.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.calendars import sessions
from swarm_core.actions.dividends import CashDividend
from swarm_core.actions.splits import Split
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.exchanges import join_exchanges
from swarm_core.backtest.opening import Openings
from swarm_core.backtest.settings import EngineSettings
from swarm_core.commissions import BpsCommission
from swarm_core.fills import FillSettings
from swarm_core.instruments import Instrument
from swarm_core.orders import Order, OrderKind, OrderSide
from swarm_core.risk import kernel as k
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.limits import LOOSEST
from tests.swarm_core.backtest.markets import (
    DAY_NS,
    NONE,
    make_instruments,
    make_orders,
    make_rates,
    make_settings,
)
from tests.swarm_core.backtest.stories import (
    Story,
    told_both_ways,
)
from tests.swarm_core.backtest.test_openings import make_openings

FIRST, END = date(2021, 12, 20), date(2022, 1, 6)
DESK = EngineSettings(
    starting_cash=Decimal(100_000),
    # A day and two hours: over London's four days without a session every quote is older.
    limits=replace(LOOSEST, duplicate_window_s=0.0, quote_age_s_max=93_600.0),
    commission=BpsCommission(Decimal(0)),
    fills=FillSettings(participation_fraction_max=1.0, slippage_bps=0.0, impact_bps=0.0),
)


def ns(moment: datetime) -> int:
    return round(moment.timestamp()) * 10**9


def exchange(name: str, calendar: str, first_ticks: int, missing: Sequence[date] = ()) -> Bars:
    table = sessions(calendar, FIRST, END)
    closes = np.array([ns(m) for m in table["close"]], np.int64)
    open_ = (first_ticks + 10 * np.arange(len(closes)))[:, None]
    close = open_ + 5
    for day in missing:
        close[table["session"].to_list().index(day)] = NONE
    return Bars.of(
        [Instrument(instrument_id=name, asset_class="equity", currency="USD")],
        closes,
        close,
        open_=open_,
        open_ns=np.array([ns(m) for m in table["open"]], np.int64),
        session=(closes - 1) // DAY_NS,
    )


def both(missing: Sequence[date] = ()) -> Bars:
    return join_exchanges([exchange("L", "XLON", 2_000, missing), exchange("N", "XNYS", 5_000)])


LONDON, NEW_YORK = "16:30", "21:00"


def at(bars: Bars, day: str, close: str) -> int:
    """Return the bar that closes on a day at a time, in UTC."""
    moment = datetime.fromisoformat(f"{day}T{close}").replace(tzinfo=UTC)
    return bars.market.time_ns.tolist().index(ns(moment))


def number(day: str) -> int:
    return (date.fromisoformat(day) - date(1970, 1, 1)).days


def tell(
    bars: Bars, sends: Sequence[tuple[str, str, str, int, OrderKind]], openings: Openings
) -> Story:
    """Return what becomes of (day, close, instrument, lots, kind), told by both ways."""
    sent: list[list[Order]] = [[] for _ in bars.market.time_ns]
    for day, close, name, lots, kind in sends:
        t = at(bars, day, close)
        sent[t].append(
            Order(
                decision_id=f"bar-{t}", instrument_id=name, side=OrderSide.BUY,
                quantity_lots=lots, kind=kind, slice_index=lots,
            )
        )  # fmt: skip
    return told_both_ways(bars, DESK, sent, openings)


MARKET, ON_CLOSE = OrderKind.MARKET, OrderKind.MARKET_ON_CLOSE
BOUGHT = [
    ("2021-12-20", NEW_YORK, "L", 40, MARKET),  # London opens on the 21st at 20.10
    ("2021-12-20", NEW_YORK, "N", 20, MARKET),  # New York at 50.10
    ("2021-12-23", NEW_YORK, "L", 100, MARKET),  # the half day, New York is closed: 20.40
    ("2021-12-23", NEW_YORK, "L", 50, ON_CLOSE),  # its close at 12:30: 20.45
    ("2021-12-24", "12:30", "N", 10, MARKET),  # New York is closed until the 27th: 50.40
    ("2021-12-27", NEW_YORK, "L", 10, MARKET),  # London is closed until the 29th: 20.50
]


def dividend(name: str, amount: str) -> CashDividend:
    return CashDividend(
        action_id=name, instrument_id=name, amount=Decimal(amount), currency="USD", pay_ns=0
    )


OWED = Openings(
    actions={
        number("2021-12-24"): [dividend("L", "0.50")],  # New York has no session
        number("2021-12-26"): [dividend("N", "1.00")],  # a Sunday: nobody has
    }
)


def test_orders_wait_for_their_own_exchange_and_never_meet_another_ones_bar() -> None:
    bars = both()
    told = tell(bars, BOUGHT, OWED)
    assert [(row[1], row[2], row[4], row[5]) for row in told.rows["fills"]] == [
        (at(bars, "2021-12-21", LONDON), 0, 40, 2_010),
        (at(bars, "2021-12-21", NEW_YORK), 1, 20, 5_010),
        (at(bars, "2021-12-24", "12:30"), 0, 100, 2_040),
        (at(bars, "2021-12-24", "12:30"), 0, 50, 2_045),
        (at(bars, "2021-12-27", NEW_YORK), 1, 10, 5_040),
        (at(bars, "2021-12-29", LONDON), 0, 10, 2_050),
    ]
    assert told.rows["changes"] == []
    assert {row[9] for row in told.rows["orders"]} == {k.APPROVED}


def test_marks_stand_over_holidays_and_dividends_of_closed_days_come_once() -> None:
    """40 L held on 23 December: 20.00 of dividend; 20 N on the 24th: 20.00 at the 27th's opening.

    At New York's close of the 28th 190 L stand at the half day's 20.45, 30 N at 50.55.
    """
    bars = both()
    told = tell(bars, BOUGHT, OWED)
    accrued = [(row[0], row[1], row[6]) for row in told.rows["actions"] if row[6] and row[2] == 1]
    assert accrued == [
        (at(bars, "2021-12-24", "12:30"), 0, 20 * 10**8),
        (at(bars, "2021-12-27", NEW_YORK), 1, 20 * 10**8),
    ]
    spent = 40 * 20.10 + 20 * 50.10 + 100 * 20.40 + 50 * 20.45 + 10 * 50.40
    cash = 100_000 + 20 + 20 - spent
    nav = told.nav_minor[at(bars, "2021-12-28", NEW_YORK)] / 10**8
    assert nav == pytest.approx(cash + 190 * 20.45 + 30 * 50.55, abs=1e-8)


def test_a_split_of_a_day_without_a_session_is_met_at_the_next_opening() -> None:
    split = Split(action_id="s", instrument_id="L", numerator=2, denominator=1)
    sunday = Openings(actions={number("2021-12-26"): [split]})
    told = tell(both(), BOUGHT[:1], sunday)
    assert [(row[0], row[4]) for row in told.rows["actions"]] == [
        (at(both(), "2021-12-27", NEW_YORK), 40)
    ]
    assert told.positions[0][0] == 80


def test_a_closed_exchanges_close_is_fresh_and_a_missing_bar_is_not() -> None:
    """London has no session on 3 January, and on the 4th and 5th one without a bar.

    What is sent on the 3rd is judged by the close of 31 December and ends with the 4th, whose
    session brought no bar; what is sent on the 5th is judged by a price that is two days old.
    """
    bars = both(missing=[date(2022, 1, 4), date(2022, 1, 5)])
    sends = [
        ("2022-01-03", NEW_YORK, "L", 10, MARKET),
        ("2022-01-05", NEW_YORK, "L", 20, MARKET),
    ]
    told = tell(bars, sends, Openings())
    stale = k.CODES.index(DenialCode.STALE_QUOTE)
    assert [row[9] for row in told.rows["orders"]] == [k.APPROVED, stale]
    assert [(row[1], row[3]) for row in told.rows["changes"]] == [
        (at(bars, "2022-01-04", LONDON), 10)
    ]
    assert told.rows["fills"] == []


def test_exchanges_that_do_not_fit_are_refused_in_one_line() -> None:
    london, again = exchange("L", "XLON", 2_000), exchange("L", "XNYS", 5_000)
    with pytest.raises(ValueError, match="instruments must be at least one, and each named once"):
        join_exchanges([london, again])
    with pytest.raises(ValueError, match="exchanges must be at least one, were none"):
        join_exchanges([])
    other = exchange("N", "XNYS", 5_000)
    moved = other.market._replace(session=other.market.session - 1)
    with pytest.raises(ValueError, match="sessions of exchanges must follow each other in time"):
        join_exchanges([london, Bars(instruments=other.instruments, market=moved)])


def test_a_part_alone_comes_out_as_it_was() -> None:
    """Every array of one exchange joined with nobody is its own."""
    alone = exchange("L", "XLON", 2_000)
    joined = join_exchanges([alone]).market
    for name, values in alone.market._asdict().items():
        if name != "ends":
            np.testing.assert_array_equal(getattr(joined, name), values, err_msg=name)


HOUR_NS = 3_600 * 10**9


def hours(opened: int, closed: int) -> list[int]:
    """Return the closes of a session's hours, the last one shorter."""
    return [*range(opened + HOUR_NS, closed, HOUR_NS), closed]


def drawn(rng: np.random.Generator, calendar: str, own: tuple[Instrument, ...]) -> Bars:
    """Return days or hours of one exchange at random prices, some bars missing or halted."""
    table = sessions(calendar, FIRST, END)
    days = [(ns(o), ns(c)) for o, c in table.select("open", "close").iter_rows()]
    by_hours = rng.random() < 0.5
    cuts = [hours(*day) if by_hours else [day[1]] for day in days]
    closes = np.array([close for cut in cuts for close in cut], np.int64)
    opens = [o for (o, _), cut in zip(days, cuts, strict=True) for o in (o, *cut[:-1])]
    shape = (len(closes), len(own))
    close = np.maximum(2, 1_000 + np.cumsum(rng.integers(-30, 31, shape), axis=0))
    open_ = np.maximum(1, close + rng.integers(-25, 26, shape))
    return Bars.of(
        own,
        closes,
        np.where(rng.random(shape) < 0.1, NONE, close),
        open_=open_,
        high=np.maximum(open_, close) + rng.integers(0, 20, shape),
        low=np.maximum(1, np.minimum(open_, close) - rng.integers(0, 20, shape)),
        volume=rng.integers(0, 400, shape),
        open_ns=np.array(opens, np.int64),
        session=np.repeat([(c - 1) // DAY_NS for _, c in days], [len(cut) for cut in cuts]),
        day_volume=rng.integers(-1, 5_000, shape) if rng.random() < 0.5 else None,
        halted=(rng.random(shape) < 0.1).astype(np.int64) if rng.random() < 0.5 else None,
        rates=make_rates(rng, own, len(closes)) if rng.random() < 0.5 else None,
    )


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))  # type: ignore[arg-type]  # its members
@given(st.integers(0, 2**32 - 1))
def test_random_books_on_three_exchanges_come_out_the_same_both_ways(seed: int) -> None:
    rng = np.random.default_rng(seed)
    own = make_instruments(rng, 4)
    bars = join_exchanges(
        [drawn(rng, "XTKS", own[:1]), drawn(rng, "XLON", own[1:2]), drawn(rng, "XNYS", own[2:])]
    )
    desk, orders, openings = make_settings(rng), make_orders(rng, bars), make_openings(rng, bars)
    told_both_ways(bars, desk, orders, openings)
