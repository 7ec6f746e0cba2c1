"""Experiments from files whose every figure was worked out by hand, from CSV to NAV."""

from pathlib import Path

import pytest

from tests.models.experiments.known import FREE, flat, order
from tests.pipelines.experiment_files import (
    ACTION_COLUMNS,
    ACTIONS,
    bars_table,
    run_files,
    write_prices,
)

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once
SHARES = bars_table("prices.csv", currency="USD")
A, B = "US.A", "US.B"


def _actions(folder: Path, *rows: str) -> None:
    (folder / "actions.csv").write_text(ACTION_COLUMNS + "".join(f"{row}\n" for row in rows))


def test_a_dividend_with_a_pay_date_across_a_split(tmp_path: Path) -> None:
    """500 held at Wednesday's close are owed 500 x 0.40 = 200.00 on Thursday, the ninth.

    On Friday they become 1,000 at half the price, and 200.00 stay owed. They are cash at the
    opening of Tuesday, the fourteenth, and earn interest from the night after: cash earns
    0.036 / 360 = 0.0001 of itself a night, a weekend three times that.
    """
    write_prices(
        tmp_path / "prices.csv",
        {"A": [*flat(20, 3), (19.6, 19.6, 19.6, 19.6, 1e6), *flat(9.8, 5)]},
    )
    _actions(
        tmp_path,
        "A,2020-01-09,dividend,,0.40,USD,,2020-01-14",
        "A,2020-01-10,split,2,,,,",
    )
    ran = run_files(
        tmp_path,
        [SHARES, ACTIONS],
        {"orders": [order(0, "buy", 500, A)]},
        sessions=9,
        costs={**FREE, "interest": {"USD": {"credit": 0.036}}},
    )
    # Monday the sixth to Thursday the sixteenth; the nights before each session.
    cash, owed, navs = 100_000.0, 0.0, []
    for day, nights in enumerate((0, 1, 1, 1, 1, 3, 1, 1, 1)):
        cash += round(cash * 0.0001 * nights, 8)
        if day == 1:
            cash -= 500 * 20
        owed = {3: 200.0, 6: 0.0}.get(day, owed)
        cash += 200.0 if day == 6 else 0.0
        navs.append(cash + owed + (0, 10_000, 10_000, *[9_800] * 6)[day])
    assert ran.nav == pytest.approx(navs, abs=1e-6)
    assert ran.held(A)[4] == pytest.approx(1_000 * 9.80 / navs[4], abs=1e-12)
    stored = ran.tables.read("clean_corporate_actions").sort("event_time")
    assert stored["end_time"].is_null().to_list() == [False, True]


def test_a_merger_for_cash_and_shares(tmp_path: Path) -> None:
    """101 A at 20 become 50.5 B and 505.00: 50 B, and the half at (2,020 - 505) / 50.5 = 30.00.

    B gains 3.00 on Friday, 150.00 in all, and is sold on Monday at the same price.
    """
    write_prices(tmp_path / "prices.csv", {"A": flat(20, 3), "B": [*flat(30, 4), *flat(33, 2)]})
    _actions(tmp_path, "A,2020-01-09,merger,0.5,5,USD,US.B,")
    ran = run_files(
        tmp_path,
        [SHARES, ACTIONS],
        {"orders": [order(0, "buy", 101, A), order(4, "sell", 50, B)]},
        sessions=6,
    )
    assert ran.nav == [100_000.0] * 4 + [100_150.0] * 2
    assert ran.held(A)[3:] == [0.0] * 3
    assert ran.held(B)[2:] == pytest.approx([0.0, 0.015, 1_650 / 100_150, 0.0], abs=1e-15)


def test_a_halt_over_several_sessions_with_a_working_order(tmp_path: Path) -> None:
    """Thursday to Monday A is halted, and its file repeats 20; it opens on Tuesday at 19.

    The limit of 21 that left on Wednesday evening waits and is filled at 19: 100 x 19. What left
    in the halt is denied. At Wednesday's close of 18 a hundred have lost 100.00.
    """
    write_prices(
        tmp_path / "prices.csv",
        {"A": [*flat(20, 6), (19, 19.5, 18.5, 19, 1e6), *flat(18, 2)]},
    )
    _actions(tmp_path, "A,2020-01-09,halt,,,,,2020-01-14")
    ran = run_files(
        tmp_path,
        [SHARES, ACTIONS],
        {
            "orders": [
                order(2, "buy", 100, A, kind="limit", limit=21),
                order(4, "buy", 700, A, kind="market"),
            ]
        },
        sessions=9,
    )
    assert ran.nav == [100_000.0] * 7 + [99_900.0] * 2
    assert ran.held(A) == pytest.approx([0.0] * 6 + [0.019, 1_800 / 99_900, 1_800 / 99_900])


def test_an_order_is_filled_part_by_part(tmp_path: Path) -> None:
    """A tenth of the volume of each day: 100 at 10, 150 at 12, and the 50 that are left at 13.

    The file's volumes are 1,000, 1,001, 1,502 and 2,003 (a tenth of which is cut to whole lots).
    """
    prices = [
        (10, 10, 10, 10, 1_000), (10, 11, 10, 11, 1_000), (12, 12, 12, 12, 1_500),
        (13, 13, 13, 13, 2_000), (14, 14, 14, 14, 2_000),
    ]  # fmt: skip
    write_prices(tmp_path / "prices.csv", {"A": prices})
    _actions(tmp_path)
    ran = run_files(
        tmp_path,
        [SHARES, ACTIONS],
        {"orders": [order(0, "buy", 300, A, kind="market")]},
        sessions=5,
        costs={**FREE, "participation_fraction_max": 0.1},
    )
    # 100 gain 1, then 1 again; 250 gain 1; 300 gain 1.
    assert ran.nav == [100_000, 100_100, 100_200, 100_450, 100_750]


def test_a_future_is_rolled(tmp_path: Path) -> None:
    """2 at 3,000 x 50; +10 on Wednesday; Thursday's opens sell at 3,010 and buy at 3,020.

    Each fill costs 1.50 a contract: 3.00, and 6.00 for the roll. +10 again on Monday.
    """
    prices = {
        "H": [*flat(3_000, 2), *flat(3_010, 2), None, None],
        "M": [*flat(3_005, 2), *flat(3_015, 1), *flat(3_020, 2), *flat(3_030, 1)],
        "A": flat(10, 6),
    }
    write_prices(tmp_path / "futures.csv", {name: prices[name] for name in ("H", "M")})
    write_prices(tmp_path / "prices.csv", {"A": prices["A"]})
    _actions(tmp_path)
    future = bars_table(
        "futures.csv", id="F.{symbol}", asset_class="future", multiplier="50", currency="USD",
        price_increment="0.25", size_increment="1",
    )  # fmt: skip
    ran = run_files(
        tmp_path,
        [SHARES, future, ACTIONS],
        {"orders": [order(0, "buy", 2, "F.H")]},
        sessions=6,
        asset_classes=("equity", "future"),
        costs={
            "slippage_bps": 0,
            "participation_fraction_max": 1,
            "commission": {"model": "per_contract", "per_contract": 1, "exchange_fee": 0.5},
        },
        contracts={
            "F.H": {"root": "F", "expires": "2020-01-10"},
            "F.M": {"root": "F", "expires": "2020-03-20"},
        },
        rolls={"style": "calendar", "sessions_before": 2},
    )
    bought = 100_000 - 3
    rolled = bought + 1_000 - 6
    assert ran.nav == [100_000, bought, bought + 1_000, rolled, rolled, rolled + 1_000]
    assert ran.held("F.M")[3] == 2 * 50 * 3_020 / rolled


def test_two_currencies(tmp_path: Path) -> None:
    """100 E at 50 EUR are bought on a debt of 5,000 EUR, so that gains alone meet the rate.

    52 on Wednesday at 1.20: +240.00; at 1.25 on Thursday the same 200 EUR are 250.00. A dividend
    of 0.50 EUR is owed on Friday, when the price falls by as much: 200 x 1.25 again. It is paid
    on Monday, which changes nothing but where it stands: 150 EUR in shares over the debt, 50 cash.
    """
    write_prices(tmp_path / "prices.csv", {"A": flat(20, 6)})
    euro = [*flat(50, 2), *flat(52, 2), *flat(51.5, 2)]
    write_prices(tmp_path / "europe.csv", {"E": euro}, "EUR")
    rates = (1.10, 1.10, 1.20, 1.25, 1.25, 1.30)
    write_prices(tmp_path / "pairs.csv", {"EURUSD": [(r, r, r, r, 0) for r in rates]})
    _actions(tmp_path, "E,2020-01-10,dividend,,0.50,EUR,,2020-01-13")
    pairs = bars_table(
        "pairs.csv", id="FX.{symbol}", asset_class="fx", currency="USD", price_increment="0.0001",
        size_increment="1",
    )  # fmt: skip
    ran = run_files(
        tmp_path,
        [SHARES, bars_table("europe.csv", currency="EUR"), pairs, ACTIONS],
        {"orders": [order(0, "buy", 100, "US.E")]},
        sessions=6,
        foreign=("EUR",),
    )
    gains = [0, 0, 200 * 1.20, 200 * 1.25, 200 * 1.25, 200 * 1.30]
    assert ran.nav == pytest.approx([100_000 + gain for gain in gains], abs=1e-6)
    assert ran.held("US.E")[5] == pytest.approx(5_150 * 1.30 / (100_000 + 260), abs=1e-12)


def test_two_exchanges(tmp_path: Path) -> None:
    """Tokyo rests on Monday the 13th of January, New York on Monday the 20th.

    What leaves for Tokyo on Friday is filled on Tuesday: 100 T at 2,100 yen on a debt of 210,000.
    They gain 10,000 yen on Wednesday, 100.00 at 0.01 and from Thursday on 104.00 at 0.0104, and
    20,000 on the 20th, when Tokyo alone is open: 208.00 at the rate of the 17th. Half are sold at
    2,400 the day after, 312.00; the other half lose 5,000 yen.
    What leaves for New York on the 17th is filled on the 21st: 10 A at 50, that close at 52, at 51.
    """
    york = [*flat(50, 10), None, (50, 52, 50, 52, 1e6), (51, 51, 51, 51, 1e6)]
    tokyo = [
        None, *flat(2_000, 4), None, *flat(2_100, 1), *flat(2_200, 3),
        *flat(2_300, 1), *flat(2_400, 1), *flat(2_300, 1),
    ]  # fmt: skip
    rates = [*[0.01] * 8, *[0.0104] * 5]
    write_prices(tmp_path / "prices.csv", {"A": york})
    write_prices(tmp_path / "tokyo.csv", {"T": tokyo}, "JPY")
    quoted = [None if n == 10 else (r, r, r, r, 0) for n, r in enumerate(rates)]
    write_prices(tmp_path / "pairs.csv", {"JPYUSD": quoted})
    _actions(tmp_path)
    pairs = bars_table(
        "pairs.csv", id="FX.{symbol}", asset_class="fx", currency="USD", price_increment="0.0001",
        size_increment="1",
    )  # fmt: skip
    there = bars_table("tokyo.csv", id="TK.{symbol}", calendar="XTKS", currency="JPY")
    sent = [order(4, "buy", 100, "TK.T"), order(9, "buy", 10, A), order(10, "sell", 50, "TK.T")]
    ran = run_files(
        tmp_path,
        [SHARES, there, pairs, ACTIONS],
        {"orders": sent},
        sessions=13,
        universe=[A, "TK.T"],
    )
    gained = [0] * 7 + [100, 104, 104, 208, 312 + 20, 260 + 10]
    assert ran.nav == pytest.approx([100_000 + gain for gain in gained], abs=1e-6)
    assert ran.held("TK.T")[5:7] == pytest.approx([0.0, 0.021], abs=1e-12)
    assert ran.held(A)[9:11] == [0.0, 0.0]
