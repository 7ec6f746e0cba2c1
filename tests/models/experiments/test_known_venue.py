"""Experiments over gaps, auctions, limits, costs and nights, worked out by hand."""

from decimal import Decimal
from typing import Any

import pytest

from tests.models.experiments.known import FREE, flat, order, run, share

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once
START = 100_000.0
TENTH = {**FREE, "participation_fraction_max": 0.1}


def _held(told: Any, at: int = 0) -> list[float]:
    """Return what is held of an instrument at each close, in money."""
    return (told.walked.held[:, at] * told.walked.nav).tolist()


def _alone(given: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return free costs but for what is given, which names a model."""
    left = {"commission": "commission_bps", "slippage": "slippage_bps"}
    kept = {k: v for k, v in FREE.items() if k not in [left.get(name) for name in given]}
    return {**kept, **given, **more}


def test_a_stop_limit_that_a_gap_jumps_over_waits_at_its_limit() -> None:
    """Sell 100, stop 95, limit 94. Day 2 opens at 90 and reaches 93: nothing. Day 3: 94.5."""
    told = run(
        [share("A")],
        {
            "A": [
                *flat(100, 2),
                (90, 93, 89, 92, 1e6),
                (94.5, 96, 94, 95, 1e6),
                *flat(97, 1),
            ]
        },
        {
            "orders": [
                order(0, "buy", 100),
                order(1, "sell", 100, kind="stop_limit", stop=95, limit=94),
            ]
        },
    )
    assert told.nav == [START, START, START - 800, START - 550, START - 550]


def test_a_stop_limit_to_buy_beyond_its_limit_is_filled_when_the_bar_comes_back() -> None:
    """Stop 105, limit 106: the open of 108 triggers it, and the low of 105.50 fills it at 106."""
    told = run(
        [share("A")],
        {"A": [*flat(100, 1), (108, 110, 105.5, 109, 1e6), *flat(109, 1)]},
        {"orders": [order(0, "buy", 10, kind="stop_limit", stop=105, limit=106)]},
    )
    assert told.nav == [START, START + 30, START + 30]


def test_a_stop_sells_part_by_part_through_a_falling_market() -> None:
    """300 with a stop of 48; a tenth of 1,000 a day: at 48, then at the opens of 45 and 46.

    100 x -2, 100 x -5, 100 x -4.
    """
    told = run(
        [share("A")],
        {
            "A": [
                *flat(50, 2),
                (50, 50, 47, 47, 1_000),
                (45, 49, 44, 49, 1_000),
                (46, 46, 40, 40, 1_000),
                *flat(30, 1),
            ]
        },
        {"orders": [order(0, "buy", 300), order(1, "sell", 300, kind="stop", stop=48)]},
        costs=TENTH,
    )
    assert told.nav[-2:] == [START - 1_100] * 2
    assert _held(told) == pytest.approx([0, 15_000, 9_400, 4_900, 0, 0])


def test_a_limit_order_takes_its_parts_at_the_limit_and_at_a_better_open() -> None:
    """250 at 20: 100 at the limit, 100 at the open of 19.50, and 50 at 20 when it comes back."""
    told = run(
        [share("A")],
        {
            "A": [
                *flat(21, 1),
                (21, 21, 19.9, 20.5, 1_000),
                (19.5, 20, 19, 20, 1_000),
                (20.5, 21, 20.2, 21, 1_000),
                (20.5, 21, 20, 21, 1_000),
            ]
        },
        {"orders": [order(0, "buy", 250, kind="limit", limit=20)]},
        costs=TENTH,
    )
    # 100 x 1 + 100 x 1.5 + 50 x 1 at a close of 21.
    assert told.nav[-1] == START + 300
    assert _held(told) == pytest.approx([0, 2_050, 4_000, 4_200, 5_250])


def test_what_an_auction_leaves_open_ends_on_open_and_waits_on_close_where_it_is_gtc() -> None:
    """A tenth of 1,000: 100 of A at the open and no more; 100 of B at each close, 250 in all."""
    bars = [(10, 12, 9, 11, 1_000)] * 6
    told = run(
        [share("A"), share("B"), share("C")],
        {"A": bars, "B": bars, "C": bars},
        {
            "orders": [
                order(0, "buy", 250, kind="market_on_open"),
                order(0, "buy", 250, "B", kind="limit_on_close", limit=11),
                order(0, "buy", 250, "C", kind="market_on_close", time_in_force="day"),
            ]
        },
        costs=TENTH,
    )
    assert _held(told) == pytest.approx([0] + [1_100] * 5)
    assert _held(told, 1) == pytest.approx([0, 1_100, 2_200, 2_750, 2_750, 2_750])
    assert _held(told, 2) == pytest.approx([0] + [1_100] * 5)
    assert told.nav[-1] == START + 100  # A alone was bought at 10


def test_a_limit_on_open_and_on_close_beyond_their_limits_do_not_trade() -> None:
    """Open 10, close 11: on open at 9.99 no, at 10 yes; on close at 10.99 no, at 11 yes."""
    bars = [(10, 12, 9, 11, 1e6)] * 3
    kinds = [("limit_on_open", 9.99), ("limit_on_open", 10), ("limit_on_close", 10.99),
             ("limit_on_close", 11)]  # fmt: skip
    names = "ABCD"
    told = run(
        [share(name) for name in names],
        dict.fromkeys(names, bars),
        {
            "orders": [
                order(0, "buy", 10, name, kind=kind, limit=limit, time_in_force="day")
                for name, (kind, limit) in zip(names, kinds, strict=True)
            ]
        },
    )
    assert told.walked.nav[-1] == START + 10
    assert [round(x) for x in told.walked.held[-1] * told.walked.nav[-1]] == [0, 110, 0, 110]


def test_what_is_immediate_takes_what_a_bar_has_and_no_more() -> None:
    told = run(
        [share("A")],
        {"A": flat(10, 4, 1_000)},
        {"orders": [order(0, "buy", 250, kind="market", time_in_force="ioc")]},
        costs=TENTH,
    )
    assert _held(told) == pytest.approx([0, 1_000, 1_000, 1_000])


@pytest.mark.parametrize(("bars", "day"), [(0, 1), (1, 2), (3, 4)])
def test_an_order_on_its_way_misses_so_many_bars(bars: int, day: int) -> None:
    """Bought at the open of 10 of the bar after those that it misses; every close is 11."""
    told = run(
        [share("A")],
        {"A": [(10, 12, 9, 11, 1e6)] * 6},
        {"orders": [order(0, "buy", 100, kind="market")]},
        costs={**FREE, "latency": {"bars": bars, "milliseconds": 3_600_000}},
    )
    assert told.nav == [START if t < day else START + 100 for t in range(6)]


def test_at_the_lower_limit_nobody_buys_and_slippage_stops_at_the_band() -> None:
    """Band of 10 %: 90 to 110 on day 1. At 90 a sale is locked; at 81.50 (band 81) it is sold.

    2 % of 81.50 is 1.63: 79.87, but no lower than the band of 81.00.
    """
    told = run(
        [share("A")],
        {"A": [*flat(100, 2), (90, 90, 90, 90, 1e6), (81.5, 82, 81, 82, 1e6), *flat(82, 1)]},
        {"orders": [order(0, "buy", 10), order(1, "sell", 10, kind="market")]},
        costs={**FREE, "slippage_bps": 200, "price_limit_fraction": 0.10},
    )
    # Bought at 102.00, sold at 81.00.
    assert _held(told) == pytest.approx([0, 1_000, 900, 0, 0])
    assert told.nav[-1] == pytest.approx(START - 10 * 21)


def test_shares_that_can_be_borrowed_are_counted_by_what_is_short_already() -> None:
    """500 at most: -300, -300 more is rejected, +100, then -300 makes -500.

    The rate of A is 36 %; 102 % of 19.60 is 19.992, so 20: 20 x 0.36 / 360 = 0.02 a share a night.
    """
    told = run(
        [share("A")],
        {"A": flat(19.60, 7)},
        {
            "orders": [
                order(0, "sell", 300), order(1, "sell", 300), order(2, "buy", 100),
                order(3, "sell", 300),
            ]
        },
        costs={**FREE, "borrow": {"annual_rate": 0.1, "rates": {"A": 0.36}, "lots": {"A": 500}}},
    )  # fmt: skip
    assert [round(v / 19.60) for v in _held(told)] == [0, -300, -300, -200, -500, -500, -500]
    paid = [0, 0, 6, 12, 16, 46, 56]  # of Wednesday: 300; Friday: 200; Monday: 3 x 500
    assert told.nav == pytest.approx([START - p for p in paid], abs=1e-7)


def test_cash_in_two_currencies_earns_and_owes_by_its_own_year() -> None:
    """USD 3.6 % over 360 days is 0.01 % a night; 5,000 GBP owed at 7.3 % over 365 cost 1.00.

    Bought on day 1 at 1.25; a night on day 2, another on 3 and 4, and three on day 5.
    """
    told = run(
        [share("A", currency="GBP")],
        {"A": flat(50, 6)},
        {"orders": [order(0, "buy", 100)]},
        costs={
            **FREE,
            "interest": {"USD": {"credit": 0.036}, "GBP": {"credit": 0.01, "debit": 0.073}},
        },
        rates={"GBP": ["1.25"] * 6},
    )
    usd, gbp, navs = Decimal(100_000), Decimal(0), []
    for day, nights in enumerate((0, 1, 1, 1, 1, 3)):
        usd += round(usd * Decimal("0.0001") * nights, 8)
        gbp += round(gbp * Decimal("0.0002") * nights, 8)
        gbp -= 5_000 if day == 1 else 0
        navs.append(float(usd + (gbp + (5_000 if day else 0)) * Decimal("1.25")))
    assert told.nav == pytest.approx(navs, abs=1e-7)
    assert told.nav[2] == pytest.approx(100_000 + 10 + 10.001 - 1.25, abs=1e-7)


def test_each_part_of_a_fill_is_converted_with_its_own_smallest_fee() -> None:
    """200 at 50 EUR in two parts: 5,000 EUR each, at 1.2 and at 1.3, 2.00 of fee each."""
    told = run(
        [share("A", currency="EUR")],
        {"A": flat(50, 4, 1_000)},
        {"orders": [order(0, "buy", 200, kind="market")]},
        costs={
            **TENTH,
            "conversion": {"model": "at_fill", "spread_bps": 10, "fee_bps": 0, "fee_minimum": 2},
        },
        rates={"EUR": ["1.1", "1.2", "1.3", "1.4"]},
    )
    cash = 100_000 - 6_000 - 6 - 2 - 6_500 - 6.5 - 2
    assert told.nav[1] == pytest.approx(START - 8, abs=1e-8)
    assert told.nav[3] == pytest.approx(cash + 10_000 * 1.4, abs=1e-8)


@pytest.mark.parametrize(
    ("price", "quantity", "model", "fee"),
    [
        (20, 100, "ib_fixed", 1.00),  # 0.50: the minimum
        (20, 400, "ib_fixed", 2.00),
        (0.25, 1_000, "ib_fixed", 2.50),  # 5.00 by the share: 1 % of 250
        (0.50, 100, "ib_fixed", 0.50),  # the cap lies below the minimum
        (20, 100, "ib_tiered", 0.35),
        (20, 200, "ib_tiered", 0.70),
        (0.10, 10_000, "ib_tiered", 10.00),  # 35.00 by the share: 1 % of 1,000
        (0.20, 100, "ib_tiered", 0.20),
    ],
)
def test_a_broker_s_smallest_and_largest_commission(
    price: float, quantity: int, model: str, fee: float
) -> None:
    told = run(
        [share("A")],
        {"A": flat(price, 3)},
        {"orders": [order(0, "buy", quantity)]},
        costs=_alone({"commission": {"model": model}}),
    )
    assert told.nav[1:] == pytest.approx([START - fee] * 2, abs=1e-9)


def test_the_smallest_commission_is_of_an_order_and_not_of_its_parts() -> None:
    """250 at 0.005 in parts of 100: 1.00 with the first, nothing more to 200, 0.25 to 250."""
    told = run(
        [share("A")],
        {"A": flat(20, 5, 1_000)},
        {"orders": [order(0, "buy", 250, kind="market")]},
        costs=_alone({"commission": {"model": "ib_fixed"}}, participation_fraction_max=0.1),
    )
    assert told.nav == pytest.approx([START, START - 1, START - 1, START - 1.25, START - 1.25])


def test_the_tier_of_a_month_begins_anew_with_the_next() -> None:
    """350,000 shares: 300,000 x 0.0035 + 50,000 x 0.0020 = 1,150, sold in January for 700.

    In February another 100,000 cost 350 again.
    """
    told = run(
        [share("A")],
        {"A": flat(1, 24, 1e8)},
        {
            "orders": [
                order(0, "buy", 350_000), order(2, "sell", 350_000), order(20, "buy", 100_000),
            ]
        },
        costs=_alone({"commission": {"model": "ib_tiered"}}),
        nav=1_000_000.0,
    )  # fmt: skip
    paid = [1_000_000 - nav for nav in told.nav]
    assert paid[1] == pytest.approx(1_150)
    assert paid[3] == pytest.approx(1_850)
    assert paid[-1] == pytest.approx(2_200)


@pytest.mark.parametrize(
    ("slippage", "price"),
    [
        ({"model": "volume_share", "price_impact": 0.1}, 50.05),  # 0.1 x (1/10)^2 of 5,000 ticks
        ({"model": "square_root", "bps": 1, "impact_bps": 100}, 50.17),  # 1 + 31.6 bps, up
        ({"model": "bps", "bps": 3}, 50.02),  # 1.5 ticks, up
    ],
)
def test_slippage_by_the_share_of_the_volume(slippage: dict[str, Any], price: float) -> None:
    told = run(
        [share("A")],
        {"A": flat(50, 3, 10_000)},
        {"orders": [order(0, "buy", 1_000)]},
        costs=_alone({"slippage": slippage}),
    )
    assert told.nav[1] == pytest.approx(START - 1_000 * (price - 50), abs=1e-6)


def test_who_waits_at_a_limit_is_a_maker() -> None:
    """Bought at the limit of 99 for a rebate of 1 bp, sold at the open for 5 bps."""
    told = run(
        [share("A")],
        {"A": [*flat(100, 1), (100, 101, 98, 100, 1e6), *flat(100, 2)]},
        {"orders": [order(0, "buy", 100, kind="limit", limit=99), order(1, "sell", 100)]},
        costs=_alone({"commission": {"model": "maker_taker", "maker_bps": -1, "taker_bps": 5}}),
    )
    assert told.nav[1] == pytest.approx(START + 100 + 0.99)
    assert told.nav[2] == pytest.approx(START + 100 + 0.99 - 5)


def test_what_is_lost_beyond_everything_is_no_gain() -> None:
    """10,000 short at 20 with 100,000: at 35 NAV is -50,000, at 40 it is -100,000, at 30 zero.

    All is lost on day 2. What the debt does then is no return, nor anything a fraction of NAV.
    """
    told = run(
        [share("A")],
        {"A": [*flat(20, 2), *flat(35, 1), *flat(40, 2), *flat(30, 1), *flat(25, 1)]},
        {"orders": [order(0, "sell", 10_000), order(3, "buy", 1)]},
    )
    assert told.nav == [START, START, -50_000, -START, -START, 0, 50_000]
    rows = told.result.rows
    assert rows["net_return"].to_list() == [0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0]
    assert rows["gross"].to_list() == [0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert told.parts("instrument") == {"A": pytest.approx(-1.5)}
