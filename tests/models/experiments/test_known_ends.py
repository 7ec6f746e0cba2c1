"""Experiments over mergers and halts whose every figure was worked out by hand."""

from typing import Any

import pytest

from tests.models.experiments.known import flat, order, run, share

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once
MERGER: dict[str, Any] = {"day": 3, "kind": "merger", "currency": "USD"}


def test_a_merger_for_shares_and_cash() -> None:
    """101 A at 20 become 50.5 B and 101 x 5.00 = 505.00.

    B is worth (2,020 - 505) / 50.5 = 30.00 then, so the half that cannot be held is paid 15.00:
    cash is 100,000 - 2,020 + 505 + 15 = 98,500, and 50 B are held. A that is bid for at 19 is
    bid for no longer.
    """
    told = run(
        [share("A"), share("B")],
        {"A": flat(20, 3), "B": [*flat(30, 4), *flat(33, 2)]},
        {
            "orders": [
                order(0, "buy", 101),
                order(1, "buy", 100, kind="limit", limit=19),
                order(4, "sell", 50, "B"),
            ]
        },
        actions=[{**MERGER, "ratio": 0.5, "amount": 5.0, "detail": "B"}],
    )
    gain = 50 * (33 - 30)
    assert told.nav == [100_000.0] * 4 + [100_000.0 + gain] * 2
    assert told.walked.held[3].tolist() == [0.0, 50 * 30 / 100_000]
    assert told.walked.held[5].tolist() == [0.0, 0.0]


def test_who_holds_the_other_already_gets_more_of_it_at_its_own_price() -> None:
    """10 B at 31 are held. 101 A become 50.5 B: 50, and 0.5 x 31 = 15.50; 505.00 in cash.

    NAV before: 100,000. After: 100,000 - 2,020 - 310 + 505 + 15.50 + 60 x 31 = 100,050.50.
    """
    told = run(
        [share("A"), share("B")],
        {"A": flat(20, 3), "B": flat(31, 6)},
        {"orders": [order(0, "buy", 101), order(0, "buy", 10, "B")]},
        actions=[{**MERGER, "ratio": 0.5, "amount": 5.0, "detail": "B"}],
    )
    assert told.nav == [100_000.0] * 3 + [100_050.50] * 3
    assert told.walked.held[5, 1] == pytest.approx(60 * 31 / 100_050.50, abs=1e-15)


@pytest.mark.parametrize(
    ("terms", "paid"),
    [
        ({"amount": 26.755}, 26.755),  # 100 x 26.755, though the price has two decimals
        ({"ratio": 0.5, "detail": "ELSEWHERE"}, 20.0),  # what is not traded here: the last mark
    ],
)
def test_a_merger_for_cash_pays_every_share(terms: dict[str, Any], paid: float) -> None:
    told = run(
        [share("A"), share("B")],
        {"A": flat(20, 3), "B": flat(1, 5)},
        {"orders": [order(0, "buy", 100)]},
        actions=[{**MERGER, **terms}],
    )
    assert told.nav[2:4] == [100_000.0, 100_000.0 - 2_000 + 100 * paid]


def test_a_halt_over_sessions_with_a_working_order() -> None:
    """Halted on days 3 to 5, in which the vendor repeats the last price.

    A limit of 21 that left at the close of day 2 works on, and meets the open of day 6 at 19. A
    market order of one day that left before is gone. What is decided in the halt is denied: it
    has no quote. 100 at 19, which close at 18 the day after.
    """
    told = run(
        [share("A")],
        {"A": [*flat(20, 6), (19, 19.5, 18.5, 19, 1e6), *flat(18, 2)]},
        {
            "orders": [
                order(2, "buy", 100, kind="limit", limit=21),
                order(2, "buy", 1_000, kind="market", time_in_force="day"),
                order(4, "buy", 700, kind="market"),
            ]
        },
        actions=[{"day": 3, "kind": "halt", "until": 6}],
    )
    assert told.nav == [100_000.0] * 7 + [99_900.0] * 2
    assert told.walked.held[:, 0].tolist() == pytest.approx(
        [0.0] * 6 + [1_900 / 100_000] + [1_800 / 99_900] * 2, abs=1e-15
    )


def test_a_stop_is_not_touched_while_its_share_is_halted() -> None:
    """Bars of a halt that show 15 trigger nothing; the first trade after it, at 17, does."""
    told = run(
        [share("A")],
        {"A": [*flat(20, 3), *flat(15, 2), *flat(17, 2)]},
        {"orders": [order(0, "buy", 100), order(1, "sell", 100, kind="stop", stop=18)]},
        actions=[{"day": 3, "kind": "halt", "until": 5}],
    )
    assert told.walked.held[:, 0].tolist()[4:] == pytest.approx([1_500 / 99_500, 0.0, 0.0])
    assert told.nav[5:] == [100_000.0 - 300] * 2
