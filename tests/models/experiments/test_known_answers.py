"""Experiments whose every figure was worked out by hand: the arithmetic stands beside each."""

from decimal import Decimal

import pytest

from swarm_core.instruments import Instrument
from tests.models.experiments.known import FREE, flat, order, run, share

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once
MARKET = {"kind": "market"}


def test_a_broker_s_commission_and_ticks_of_slippage() -> None:
    """Bought: 200 x (50.00 + 0.02) and 200 x 0.005 of commission. Sold alike at 55.00 - 0.02."""
    told = run(
        [share("A")],
        {"A": [*flat(50, 3), *flat(55, 3)]},
        {"orders": [order(0, "buy", 200), order(2, "sell", 200)]},
        costs={
            "commission": {"model": "ib_fixed"},
            "slippage": {"model": "ticks", "ticks": 2},
            "participation_fraction_max": 1,
        },
    )
    cash = 100_000 - 200 * 50.02 - 1.00 + 200 * 54.98 - 1.00
    assert cash == 100_990.0
    bought = 100_000 - 200 * 0.02 - 1.00  # marked at 50.00
    assert told.nav == [100_000.0, bought, bought, cash, cash, cash]
    costs = told.parts("cost")
    assert costs["commission"] == pytest.approx(-2 / 100_000, abs=1e-12)
    assert costs["slippage"] == pytest.approx(-8 / 100_000, abs=1e-12)


def test_a_split_of_three_for_two_pays_the_fraction_in_cash() -> None:
    """101 at 30 become 151.5 at 20: 151 are held, and 0.5 x 20 is paid."""
    told = run(
        [share("A")],
        {"A": [*flat(30, 3), *flat(20, 3)]},
        {"orders": [order(0, "buy", 101), order(4, "sell", 151)]},
        actions=[{"day": 3, "kind": "split", "ratio": 1.5}],
    )
    # 100,000 - 101 x 30 + 0.5 x 20 + 151 x 20 = 100,000
    assert told.nav == [100_000.0] * 6
    assert told.walked.held[3, 0] == 151 * 20 / 100_000


def test_a_dividend_is_owed_to_who_held_at_the_close_before() -> None:
    """500 x 0.40 on the ex-date, when the price falls by as much; who buys then gets none."""
    told = run(
        [share("A")],
        {"A": [*flat(20, 3), *flat(19.60, 3)]},
        {"orders": [order(0, "buy", 500), order(2, "buy", 100)]},
        actions=[{"day": 3, "kind": "dividend", "amount": 0.40, "currency": "USD"}],
    )
    # The second order meets the open of the ex-date: 600 held, 200.00 received.
    assert told.nav == [100_000.0] * 6
    assert told.walked.held[5, 0] == pytest.approx(600 * 19.60 / 100_000, abs=1e-15)


def test_a_dividend_is_owed_at_its_ex_date_and_cash_at_its_pay_date_after_a_split() -> None:
    """500 held at Wednesday's close are owed 500 x 0.40 = 200.00, on Thursday (day 3).

    On Friday they become 1,000 at half the price: what is owed stays 200.00 and not 400.00. It is
    paid on Tuesday (day 6): from then on cash is 90,200 and no longer 90,000. Interest tells the
    two apart: cash earns 0.036 / 360 = 0.0001 a night, on what it was before the night.
    """
    told = run(
        [share("A")],
        {"A": [*flat(20, 3), (19.60, 19.60, 19.60, 19.60, 1e6), *flat(9.80, 5)]},
        {"orders": [order(0, "buy", 500)]},
        costs={**FREE, "interest": {"USD": {"credit": "0.036"}}},
        actions=[
            {"day": 3, "kind": "dividend", "amount": 0.40, "currency": "USD", "until": 6},
            {"day": 4, "kind": "split", "ratio": 2.0},
        ],
    )
    cash, owed, navs = 100_000.0, 0.0, []
    for day, nights in enumerate((0, 1, 1, 1, 1, 3, 1, 1, 1)):
        cash += round(cash * 0.0001 * nights, 8)
        if day == 1:
            cash -= 500 * 20
        owed = {3: 200.0, 6: 0.0}.get(day, owed)
        cash += 200.0 if day == 6 else 0.0
        navs.append(cash + owed + (0, *[10_000] * 2, *[9_800] * 6)[day])
    assert told.nav == pytest.approx(navs, abs=1e-6)
    assert told.walked.held[4, 0] == pytest.approx(1_000 * 9.80 / navs[4], abs=1e-12)


def test_a_dividend_in_a_currency_that_nothing_is_quoted_in_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be paid in a currency of the bars.*was in EUR"):
        run(
            [share("A")],
            {"A": flat(20, 4)},
            {"orders": [order(0, "buy", 500)]},
            actions=[{"day": 3, "kind": "dividend", "amount": 0.40, "currency": "EUR"}],
        )


def test_an_order_larger_than_the_market_is_filled_part_by_part() -> None:
    """A tenth of 1,000, of 1,500 and of 2,000 lots: 100, 150, then the 50 that are left of 300."""
    prices = [(10, 10, 10, 10, 1_000), (10, 11, 10, 11, 1_000), (12, 12, 12, 12, 1_500),
              (13, 13, 13, 13, 2_000), (14, 14, 14, 14, 2_000)]  # fmt: skip
    told = run(
        [share("A")],
        {"A": prices},
        {"orders": [order(0, "buy", 300, **MARKET)]},
        costs={**FREE, "participation_fraction_max": 0.1},
    )
    # day 1: 100 at 10, marked 11: +100. day 2: 150 at 12, 100 gain 1: +100.
    # day 3: 50 at 13, 250 gain 1: +250. day 4: 300 gain 1: +300.
    assert told.nav == [100_000, 100_100, 100_200, 100_450, 100_750]
    assert told.walked.turnover[:, 0].tolist() == pytest.approx(
        [0, 1_000 / 100_000, 1_800 / 100_100, 650 / 100_200, 0], abs=1e-15
    )


def test_an_order_of_a_day_leaves_what_its_bar_did_not_carry() -> None:
    """100 of 300 are filled, and nothing after that day."""
    told = run(
        [share("A")],
        {"A": flat(10, 5, volume=1_000)},
        {"orders": [order(0, "buy", 300, **MARKET, time_in_force="day")]},
        costs={**FREE, "participation_fraction_max": 0.1},
    )
    assert told.walked.held[:, 0].tolist() == [0.0, 0.01, 0.01, 0.01, 0.01]


def test_stops_limits_and_auctions_fill_where_the_bar_reaches_them() -> None:
    """The worst way through each bar, worked out by hand."""
    bars = [
        (100, 101, 99, 100, 10_000),
        (100, 104, 98, 102, 10_000),  # the limit at 99 is reached; the stop at 97 is not
        (95, 96, 94, 95, 10_000),  # opens beyond the stop at 97: sold at 95
        (96, 99, 95, 98, 10_000),
    ]
    told = run(
        [share("A")],
        {"A": bars},
        {
            "orders": [
                order(0, "buy", 100, kind="limit", limit=99),
                order(1, "sell", 100, kind="stop", stop=97),
                order(2, "buy", 10, kind="market_on_close"),
            ]
        },
    )
    # Bought at 99 and marked at 102: +300. Sold at 95: -400 in all. Bought at the close of 98.
    assert told.nav == [100_000, 100_300, 99_600, 99_600]


def test_a_delisting_pays_its_price_and_no_price_pays_the_last() -> None:
    """400 at 25 are cashed out at 18: 400 x 7 are lost; of B, without a price, nothing is."""
    told = run(
        [share("A"), share("B"), share("C")],
        {"A": [*flat(25, 3), None, None, None], "B": [*flat(10, 4), None, None], "C": flat(1, 6)},
        {"orders": [order(0, "buy", 400), order(0, "buy", 100, "B")]},
        actions=[
            {"day": 3, "kind": "delisting", "amount": 18.0},
            {"day": 4, "kind": "delisting", "instrument_id": "B"},
        ],
    )
    assert told.nav == [100_000, 100_000, 100_000, 97_200, 97_200, 97_200]
    assert told.walked.held[3:].tolist() == [[0, 1_000 / 97_200, 0], [0, 0, 0], [0, 0, 0]]


def test_a_short_sale_pays_its_borrow_by_the_night_and_what_cannot_be_borrowed_is_rejected() -> (
    None
):
    """300 short at 20: the collateral is 20.40, rounded up to 21; 300 x 21 x 10 % / 360 a night."""
    told = run(
        [share("A")],
        {"A": flat(20, 6)},
        {"orders": [order(0, "sell", 300), order(1, "sell", 300)]},
        costs={**FREE, "borrow": {"annual_rate": 0.10, "lots": {"A": 500}}},
    )
    night = Decimal("1.75")  # 300 x 21 x 0.10 / 360
    # Sold on Tuesday; Wednesday, Thursday, Friday pay a night each and Monday three.
    nights = [0, 0, 1, 2, 3, 6]
    assert told.nav == [float(100_000 - n * night) for n in nights]
    assert told.walked.held[5, 0] == -6_000 / (100_000 - 10.5)
    assert told.parts("cost") == {"borrow": pytest.approx(-10.5 / 100_000, abs=1e-12)}


def test_cash_earns_by_the_night_and_a_debt_costs() -> None:
    """100,000 at 3.6 % over 360 days is 10.00 a night; 50,000 borrowed at 7.2 % as well."""
    told = run(
        [share("A")],
        {"A": flat(100, 4)},
        {"orders": [order(1, "buy", 1_500)]},
        costs={**FREE, "interest": {"USD": {"credit": 0.036, "debit": 0.072}}},
    )
    # Night 1 and 2 on 100,000: +10, +10.001 (a cent of interest earns 0.001 cents: 100,010 x ...).
    second = round(100_010 * Decimal("0.036") / 360, 8)
    debt = round((150_000 - 100_010 - second) * Decimal("0.072") / 360, 8)
    assert told.nav == [
        100_000.0,
        100_010.0,
        float(100_010 + second),
        float(100_010 + second - debt),
    ]


def test_a_call_that_was_sold_is_assigned_and_brings_its_shares() -> None:
    """One call of 100 at 50, sold for 3.00: assigned at 56, 100 shares are delivered at 50."""
    option = share("OPT.A", asset_class="option", multiplier=Decimal(100))
    told = run(
        [share("A"), option],
        {
            "A": [*flat(50, 2), *flat(56, 4)],
            "OPT.A": [*flat(3, 2), *flat(6, 2), None, None],
        },
        {"orders": [order(0, "sell", 1, "OPT.A")]},
        contracts={
            "OPT.A": {
                "underlying": "A", "right": "call", "strike": 50, "expires": "2020-01-09",
            }
        },
    )  # fmt: skip
    # Sold at 3.00: +300 of cash. At 6.00 it is worth -600: NAV -300. Assigned after Thursday:
    # -100 shares at 56 against 5,000 of cash, which is the same -600.
    assert told.nav == [100_000, 100_000, 99_700, 99_700, 99_700, 99_700]
    assert told.walked.held[3].tolist() == [0, -600 / 99_700]
    assert told.walked.held[4].tolist() == [-5_600 / 99_700, 0]
    assert sum(told.parts("instrument").values()) == pytest.approx(-300 / 100_000, abs=1e-12)


def test_a_put_that_ends_out_of_the_money_is_lost() -> None:
    """One put of 100 bought for 2.00 and never exercised: 200 are gone."""
    option = share("OPT.A", asset_class="option", multiplier=Decimal(100))
    told = run(
        [share("A"), option],
        {"A": flat(50, 6), "OPT.A": [*flat(2, 3), *flat(0.5, 1), None, None]},
        {"orders": [order(0, "buy", 1, "OPT.A")]},
        contracts={
            "OPT.A": {
                "underlying": "A", "right": "put", "strike": 45, "expires": "2020-01-09",
            }
        },
    )  # fmt: skip
    assert told.nav == [100_000, 100_000, 100_000, 99_850, 99_800, 99_800]


def _future(name: str) -> Instrument:
    tick = Decimal("0.25")
    return share(name, asset_class="future", multiplier=Decimal(50), price_increment=tick)


def test_a_future_is_settled_each_day_and_rolled_before_it_ends() -> None:
    """Two contracts of 50, bought at 3,000, are rolled at 3,010 into the next at 3,020."""
    told = run(
        [_future("F.H"), _future("F.M")],
        {
            "F.H": [*flat(3_000, 2), *flat(3_010, 3), None, None],
            "F.M": [*flat(3_015, 3), *flat(3_020, 2), *flat(3_030, 2)],
        },
        {"orders": [order(0, "buy", 2, "F.H")]},
        costs={
            **{k: v for k, v in FREE.items() if k != "commission_bps"},
            "commission": {"model": "per_contract", "per_contract": 1, "exchange_fee": 0.5},
            "interest": {"USD": {"credit": 0.0}},
        },
        contracts={
            "F.H": {"root": "F", "expires": "2020-01-10"},
            "F.M": {"root": "F", "expires": "2020-03-20"},
        },
        rolls={"style": "calendar", "sessions_before": 2},
    )
    # Tuesday: bought at 3,000, 2 x 1.50. Wednesday: +10 x 2 x 50 = 1,000, paid in cash.
    # Two sessions are left after Wednesday: sold at Thursday's open of 3,010, bought at 3,020.
    # Monday: +10 x 2 x 50 again.
    bought, rolled = 100_000 - 3, 100_000 - 9 + 1_000
    last = rolled + 1_000
    assert told.nav == [100_000, bought, bought + 1_000, rolled, rolled, last, last]
    assert told.walked.held[3].tolist() == [0, 2 * 50 * 3_020 / rolled]


def test_a_future_that_is_not_rolled_ends_at_its_last_price() -> None:
    """Long 1 at 100 settles at 104 and is closed: +200, and nothing afterwards."""
    told = run(
        [_future("F.H"), share("A")],
        {"F.H": [*flat(100, 2), *flat(102, 1), *flat(104, 1), None, None], "A": flat(10, 6)},
        {"orders": [order(0, "buy", 1, "F.H")]},
        contracts={"F.H": {"root": "F", "expires": "2020-01-09"}},
    )
    assert told.nav == [100_000, 100_000, 100_100, 100_200, 100_200, 100_200]
    assert told.walked.held[4].tolist() == [0, 0]


def test_a_foreign_share_moves_with_its_price_and_its_currency() -> None:
    """100 at 50 EUR bought at 1.10 with a debt in EUR: price and rate are told apart."""
    told = run(
        [share("A", currency="EUR")],
        {"A": [*flat(50, 2), *flat(52, 2)]},
        {"orders": [order(0, "buy", 100)]},
        rates={"EUR": ["1.10", "1.10", "1.20", "1.25"]},
    )
    # The debt of 5,000 EUR stands against the shares: only the gain of 200 EUR meets a rate.
    assert told.nav == [100_000, 100_000, 100_000 + 200 * 1.20, 100_000 + 200 * 1.25]
    assert told.parts("currency")["EUR"] == pytest.approx(200 * 0.05 / 100_000, abs=1e-12)
    assert told.parts("instrument")["A"] == pytest.approx(200 * 1.20 / 100_000, abs=1e-12)


def test_at_the_upper_limit_nobody_sells() -> None:
    """A band of 10 % on 100: an open at 110 is locked, and the order waits for the day after."""
    told = run(
        [share("A")],
        {"A": [*flat(100, 1), *flat(110, 1), (112, 112, 112, 112, 1_000), *flat(112, 1)]},
        {"orders": [order(0, "buy", 10, **MARKET)]},
        costs={**FREE, "price_limit_fraction": 0.10},
    )
    assert told.walked.held[:, 0].tolist() == [0, 0, 1_120 / 100_000, 1_120 / 100_000]


def test_the_gate_of_the_experiment_denies() -> None:
    """An order of a fifth of NAV passes a limit of a quarter, and not one of a tenth."""
    held = [
        run(
            [share("A")],
            {"A": flat(100, 4)},
            {"orders": [order(0, "buy", 200)]},
            risk_limits={"position_fraction_max": most},
        ).walked.held[-1, 0]
        for most in (0.25, 0.10)
    ]
    assert held == [0.2, 0.0]


def test_what_left_the_universe_is_sold() -> None:
    """A function wants B for ever; B belongs to the universe until Wednesday."""
    source = "def weights(market):\n    return [[0.0, 0.5]] * len(market.days)\n"
    told = run(
        [share("A"), share("B")],
        {"A": flat(10, 6), "B": flat(10, 6)},
        {"source": source},
        universe=["A", {"instrument": "B", "to": "2020-01-08"}],
    )
    # Thursday's close is the first without it, and Friday's open sells.
    assert told.walked.held[:, 1].tolist() == [0, 0.5, 0.5, 0.5, 0, 0]
