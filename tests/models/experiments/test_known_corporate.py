"""Experiments over splits, dividends, spin-offs and delistings, worked out by hand."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.models.experiments.known import FREE, flat, order, run, share

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once
START = 100_000.0


def _held(told: Any, at: int = 0) -> list[float]:
    """Return what is held of an instrument at each close, in money."""
    return (told.walked.held[:, at] * told.walked.nav).tolist()


def test_a_reverse_split_cuts_a_long_position_and_cancels_its_orders() -> None:
    """1 for 7: 100 at 3 are 14 at 21, and the 2 old ones that are left pay 2 x 3.00 = 6.00.

    The order to sell at 4 is cancelled: at 25 nothing is sold. 14 x 4 are gained.
    """
    told = run(
        [share("A")],
        {"A": [*flat(3, 3), *flat(21, 1), *flat(25, 2)]},
        {"orders": [order(0, "buy", 100), order(1, "sell", 100, kind="limit", limit=4)]},
        actions=[{"day": 3, "kind": "split", "ratio": 1 / 7}],
    )
    assert told.nav == [START] * 4 + [START + 14 * 4] * 2
    assert _held(told) == pytest.approx([0, 300, 300, 294, 350, 350])


def test_a_reverse_split_of_a_short_position_pays_for_the_fraction() -> None:
    """-100 at 3 are -14 at 21, and 6.00 are paid; at 22 another 14 are lost."""
    told = run(
        [share("A")],
        {"A": [*flat(3, 3), *flat(21, 1), *flat(22, 2)]},
        {"orders": [order(0, "sell", 100)]},
        actions=[{"day": 3, "kind": "split", "ratio": 0.142857}],
    )
    assert told.nav == [START] * 4 + [START - 14] * 2
    assert _held(told) == pytest.approx([0, -300, -300, -294, -308, -308])


def test_a_stock_dividend_of_five_per_cent() -> None:
    """150 at 42 are 157.5 at 40: 157, and 0.5 x 40 in cash."""
    told = run(
        [share("A")],
        {"A": [*flat(42, 3), *flat(40, 3)]},
        {"orders": [order(0, "buy", 150)]},
        actions=[{"day": 3, "kind": "split", "ratio": 1.05}],
    )
    assert told.nav == [START] * 6
    assert _held(told)[-1] == pytest.approx(157 * 40)


def test_a_special_dividend_that_goes_ex_on_a_saturday_is_owed_by_who_is_short() -> None:
    """200 short at 50 owe 200 x 10.00 from Monday, when the price is 40; paid on Wednesday.

    Interest tells that the cash leaves on Wednesday (day 7): 110,000 earn 11.00 a night before
    and 107,9.. after.
    """
    saturday = datetime(2020, 1, 11, tzinfo=UTC)
    told = run(
        [share("A")],
        {"A": [*flat(50, 5), *flat(40, 5)]},
        {"orders": [order(0, "sell", 200)]},
        costs={**FREE, "interest": {"USD": {"credit": 0.036}}},
        actions=[
            {"day": 4, "event_time": saturday, "kind": "dividend", "amount": 10.0,
             "currency": "USD", "until": 7},
        ],
    )  # fmt: skip
    cash, navs = Decimal(100_000), []
    for day, nights in enumerate((0, 1, 1, 1, 1, 3, 1, 1, 1, 1)):
        cash += round(cash * Decimal("0.0001") * nights, 8)
        cash += {1: 10_000, 7: -2_000}.get(day, 0)
        owed = -2_000 if day in (5, 6) else 0
        navs.append(float(cash + owed - (0 if day == 0 else 200 * (50 if day < 5 else 40))))
    assert told.nav == pytest.approx(navs, abs=1e-7)
    assert told.nav[5] == pytest.approx(100_000 + 10 + 11 * 6 + 0.03, abs=0.05)


def test_a_dividend_and_a_split_of_one_day_are_of_the_old_shares() -> None:
    """100 at 60: 3.00 each is 300, then 3 for 1: 300 at 19."""
    told = run(
        [share("A")],
        {"A": [*flat(60, 3), *flat(19, 3)]},
        {"orders": [order(0, "buy", 100)]},
        actions=[
            {"day": 3, "kind": "dividend", "amount": 3.0, "currency": "USD"},
            {"day": 3, "kind": "split", "ratio": 3.0},
        ],
    )
    assert told.nav == [START] * 6


def test_a_dividend_lowers_a_bid_and_a_stop_and_leaves_an_offer() -> None:
    """A bid of 49 and a stop of 46 fall by 1.00, the offer of 52 stands.

    Day 3 reaches 48.50: not the bid of 48. Day 4 reaches 47.90: 100 at 48. Day 5 touches 45.50:
    not the stop of 45. Day 6 reaches 52: 100 are sold there. +400.
    """
    told = run(
        [share("A")],
        {
            "A": [
                *flat(50, 3),
                (49, 49.5, 48.5, 49, 1e6),
                (48.9, 49, 47.9, 48.5, 1e6),
                (46, 46, 45.5, 46, 1e6),
                (51, 52, 50, 51, 1e6),
            ]
        },
        {
            "orders": [
                order(0, "buy", 100, kind="limit", limit=49),
                order(1, "sell", 100, kind="limit", limit=52),
                order(1, "sell", 100, kind="stop", stop=46),
            ]
        },
        actions=[{"day": 3, "kind": "dividend", "amount": 1.0, "currency": "USD"}],
    )
    assert _held(told) == pytest.approx([0, 0, 0, 0, 4_850, 4_600, 0])
    assert told.nav[-1] == START + 400


def test_a_spin_off_gives_the_new_shares_and_cash_for_a_fraction() -> None:
    """101 A at 50, a quarter B at 32 each: 25.25 B, so 25 and 0.25 x 32 = 8.00. A opens at 42."""
    told = run(
        [share("A"), share("B")],
        {"A": [*flat(50, 3), *flat(42, 3)], "B": [None, None, None, *flat(32, 2), *flat(33, 1)]},
        {"orders": [order(0, "buy", 101)]},
        actions=[
            {"day": 3, "kind": "spin_off", "ratio": 0.25, "amount": 8.0, "currency": "USD",
             "detail": "B"},
        ],
    )  # fmt: skip
    assert told.nav == [START] * 5 + [START + 25]
    assert _held(told, 1) == pytest.approx([0, 0, 0, 800, 800, 825])


def test_a_bankrupt_share_that_was_halted_pays_nothing() -> None:
    """100 long at 10 lose 1,000; 300 short of B at 5 gain 1,500. Halted, nothing can be sold."""
    told = run(
        [share("A"), share("B"), share("C")],
        {"A": [*flat(10, 5), None, None], "B": [*flat(5, 5), None, None], "C": flat(1, 7)},
        {"orders": [order(0, "buy", 100), order(0, "sell", 300, "B"), order(3, "sell", 100)]},
        actions=[
            {"day": 3, "kind": "halt", "until": 5},
            {"day": 5, "kind": "delisting", "amount": 0.0},
            {"day": 5, "kind": "delisting", "amount": 0.0, "instrument_id": "B"},
        ],
    )
    assert told.nav == [START] * 5 + [START - 1_000 + 1_500] * 2


def test_a_merger_for_shares_of_a_short_position() -> None:
    """-101 A at 20 become -50.5 B at 40: -50, and 0.5 x 40 is paid."""
    told = run(
        [share("A"), share("B")],
        {"A": flat(20, 3), "B": [*flat(40, 4), *flat(44, 2)]},
        {"orders": [order(0, "sell", 101)]},
        actions=[{"day": 3, "kind": "merger", "currency": "USD", "ratio": 0.5, "detail": "B"}],
    )
    assert told.nav == [START] * 4 + [START - 50 * 4] * 2


def test_a_dividend_in_euros_moves_with_the_euro_until_it_is_paid() -> None:
    """100 at 50 EUR, debt 5,000 EUR. 2.00 each owed on day 3 (price 48), paid on day 5.

    NAV is 100,000 + 100 x (48 - 50 + 2) EUR = 100,000 at any rate; at 51, 100 x 3 EUR x 1.3.
    """
    told = run(
        [share("A", currency="EUR")],
        {"A": [*flat(50, 3), *flat(48, 3), *flat(51, 1)]},
        {"orders": [order(0, "buy", 100)]},
        actions=[{"day": 3, "kind": "dividend", "amount": 2.0, "currency": "EUR", "until": 5}],
        rates={"EUR": ["1.1", "1.1", "1.2", "1.25", "1.0", "1.2", "1.3"]},
    )
    assert told.nav == pytest.approx([START] * 6 + [START + 300 * 1.3], abs=1e-8)


def test_a_split_between_two_parts_of_an_order() -> None:
    """100 of 250 are bought at 30; 2 for 1 makes 300 of the 150 left, with a limit of 15.50.

    A tenth of 2,000 a day is 200, at 15, then the last 100 at the open of 14: 500 in all.
    100,000 - 3,000 - 3,000 - 1,400 + 500 x 14 = 99,600.
    """
    told = run(
        [share("A")],
        {"A": [*flat(30, 2, 1_000), *flat(15, 1, 2_000), *flat(14, 2, 2_000)]},
        {"orders": [order(0, "buy", 250, kind="limit", limit=31)]},
        costs={**FREE, "participation_fraction_max": 0.1},
        actions=[{"day": 2, "kind": "split", "ratio": 2.0}],
    )
    assert _held(told) == pytest.approx([0, 3_000, 400 * 15, 500 * 14, 500 * 14])
    assert told.nav[-1] == 99_600
