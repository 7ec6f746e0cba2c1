"""Experiments over futures and options whose every figure was worked out by hand."""

from decimal import Decimal
from typing import Any

import pytest

from swarm_core.instruments import Instrument
from tests.models.experiments.known import FREE, flat, order, run, share

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once
START = 100_000.0


def _held(told: Any, at: int = 0) -> list[float]:
    """Return what is held of an instrument at each close, in money."""
    return (told.walked.held[:, at] * told.walked.nav).tolist()


def _crude(name: str) -> Instrument:
    return share(name, asset_class="future", multiplier=Decimal(1_000))


def _option(name: str = "OPT.A") -> Instrument:
    return share(name, asset_class="option", multiplier=Decimal(100))


def _terms(right: str, strike: float, **more: Any) -> dict[str, Any]:
    terms = {"underlying": "A", "right": right, "strike": strike, "expires": "2020-01-09"}
    return {"contracts": {"OPT.A": terms | more}}


def test_a_future_is_rolled_at_negative_prices() -> None:
    """Two of 1,000 barrels bought at 10, rolled from -37.63 into 21, which falls to 20.

    2 ticks of slippage and 1.50 a contract, three times. Bought at 10.02, sold at -37.65, bought
    at 21.02.
    """
    told = run(
        [_crude("CL.K"), _crude("CL.M")],
        {
            "CL.K": [*flat(10, 2), *flat(-5, 1), *flat(-37.63, 2), None, None],
            "CL.M": [*flat(25, 3), *flat(21, 2), *flat(20, 2)],
        },
        {"orders": [order(0, "buy", 2, "CL.K")]},
        costs={
            "commission": {"model": "per_contract", "per_contract": 1, "exchange_fee": 0.5},
            "slippage": {"model": "ticks", "ticks": 2},
            "participation_fraction_max": 1,
        },
        contracts={
            "CL.K": {"root": "CL", "expires": "2020-01-10"},
            "CL.M": {"root": "CL", "expires": "2020-03-20"},
        },
        rolls={"style": "calendar", "sessions_before": 2},
    )
    bought = START - 3 - 2 * 1_000 * 0.02
    rolled = START - 9 + 2_000 * (-37.65 - 10.02) + 2_000 * (21 - 21.02)
    assert told.nav == pytest.approx(
        [START, bought, bought - 30_000, rolled, rolled, rolled - 2_000, rolled - 2_000], abs=1e-6
    )


def test_a_short_future_ends_at_a_negative_price_with_slippage_in_bps() -> None:
    """Sold at -10 less 1 % (10 ticks): -10.10. It ends at -37.63: 27.53 x 1,000 are earned."""
    told = run(
        [_crude("CL.K"), share("A")],
        {"CL.K": [*flat(-10, 2), *flat(-20, 1), *flat(-37.63, 1), None], "A": flat(1, 6)},
        {"orders": [order(0, "sell", 1, "CL.K")]},
        costs={**FREE, "slippage_bps": 100},
        contracts={"CL.K": {"root": "CL", "expires": "2020-01-09"}},
    )
    assert told.nav == pytest.approx(
        [START, START - 100, START + 9_900, START + 27_530, START + 27_530, START + 27_530]
    )


def test_a_future_is_bought_at_a_negative_limit() -> None:
    """A limit of -30 while -20 is quoted: the bar reaches -37.63."""
    told = run(
        [_crude("CL.K"), share("A")],
        {"CL.K": [*flat(-20, 1), (-22, -19, -37.63, -20, 1e6), *flat(-20, 1)], "A": flat(1, 3)},
        {"orders": [order(0, "buy", 1, "CL.K", kind="limit", limit=-30)]},
    )
    assert told.nav == [START, START + 10_000, START + 10_000]


def test_a_share_has_no_limit_below_zero() -> None:
    with pytest.raises(ValueError, match=r"limit of A must be positive .* was -30"):
        run(
            [share("A")],
            {"A": flat(1, 3)},
            {"orders": [order(0, "buy", 1, kind="limit", limit=-30)]},
        )


@pytest.mark.parametrize("volume", [(1_000, 400), (400, 1_000)])
def test_a_roll_opens_what_it_closes_however_thin_the_contracts_are(
    volume: tuple[float, float],
) -> None:
    """100 lots of 1,000 barrels; a tenth of 400 lots a day is 40, of 1,000 it is 100.

    Where the old contract is thin, 100 of the new are opened at once and 40, 40, 20 of the old
    closed; where the new one is, the other way round. Both trade at 20 all the time, so nothing is
    earned, and 100 are held at the end and no more.
    """
    old, new = volume
    names = {"CL.K": old, "CL.M": new}
    told = run(
        [_crude("CL.K"), _crude("CL.M")],
        {name: [*flat(20, 2), *flat(20, 8, size)] for name, size in names.items()},
        {"orders": [order(0, "buy", 100, "CL.K")]},
        costs={**FREE, "participation_fraction_max": 0.1},
        contracts={
            "CL.K": {"root": "CL", "expires": "2020-01-16"},
            "CL.M": {"root": "CL", "expires": "2020-03-20"},
        },
        rolls={"style": "calendar", "sessions_before": 5},
        nav=10_000_000.0,
    )
    lots = [[round(v / 20_000) for v in _held(told, at)] for at in (0, 1)]
    at_once, in_parts = [0] * 4 + [100] * 6, [0] * 4 + [40, 80] + [100] * 4
    assert lots[1] == (at_once if new == 1_000 else in_parts)
    gone = at_once if old == 1_000 else in_parts
    assert lots[0] == [0, *(100 - n for n in gone[1:])]
    assert told.nav == [10_000_000.0] * 10


def test_a_put_that_is_exercised_leaves_a_short_position() -> None:
    """One put of 100 at 50 for 2.00; at 44 100 are sold at 50. At 43 they gain another 100."""
    told = run(
        [share("A"), _option()],
        {"A": [*flat(50, 2), *flat(44, 3), *flat(43, 1)], "OPT.A": [*flat(2, 2), *flat(6, 2)]},
        {"orders": [order(0, "buy", 1, "OPT.A")]},
        **_terms("put", 50),
    )
    assert told.nav == [START, START, START + 400, START + 400, START + 400, START + 500]
    assert _held(told) == pytest.approx([0, 0, 0, 0, -4_400, -4_300])


def test_a_put_that_was_sold_is_assigned() -> None:
    """Sold for 2.00; at 44 100 are bought at 50: 200 - 600."""
    told = run(
        [share("A"), _option()],
        {"A": [*flat(50, 2), *flat(44, 3), *flat(45, 1)], "OPT.A": [*flat(2, 2), *flat(6, 2)]},
        {"orders": [order(0, "sell", 1, "OPT.A")]},
        **_terms("put", 50),
    )
    assert told.nav == [START, START, START - 400, START - 400, START - 400, START - 300]
    assert _held(told) == pytest.approx([0, 0, 0, 0, 4_400, 4_500])


@pytest.mark.parametrize(("last", "paid"), [(50.01, 1.0), (50.0, 0.0), (56.5, 650.0)])
def test_a_call_on_an_index_pays_what_it_is_worth(last: float, paid: float) -> None:
    """In the money by a cent it is exercised, at the strike it is not."""
    told = run(
        [share("A"), _option()],
        {"A": [*flat(50, 3), *flat(last, 3)], "OPT.A": flat(2, 4)},
        {"orders": [order(0, "buy", 1, "OPT.A")]},
        **_terms("call", 50, settlement="cash"),
    )
    assert told.nav[-1] == START - 200 + paid
    assert _held(told)[-1] == 0


def test_shares_of_an_option_that_ended_the_day_before_have_the_dividend_of_the_day() -> None:
    """Exercised by Thursday's close of 56, the 100 shares are held when A goes ex on Friday.

    One call at 50 for 6.00: 100 shares at 50, 100 x 2.00 of dividend, and A opens at 54.
    """
    told = run(
        [share("A"), _option()],
        {"A": [*flat(56, 4), *flat(54, 2)], "OPT.A": flat(6, 4)},
        {"orders": [order(0, "buy", 1, "OPT.A")]},
        actions=[{"day": 4, "kind": "dividend", "amount": 2.0, "currency": "USD"}],
        **_terms("call", 50),
    )
    assert told.nav == [START] * 6


def test_shares_of_an_option_that_ended_the_day_before_are_split_with_the_others() -> None:
    """100 shares at 50 from Thursday's exercise are 200 at 28 on Friday."""
    told = run(
        [share("A"), _option()],
        {"A": [*flat(56, 4), *flat(28, 2)], "OPT.A": flat(6, 4)},
        {"orders": [order(0, "buy", 1, "OPT.A")]},
        actions=[{"day": 4, "kind": "split", "ratio": 2.0}],
        **_terms("call", 50),
    )
    assert told.nav == [START] * 6
    assert _held(told)[-1] == pytest.approx(5_600)


def test_a_split_of_the_underlying_changes_what_an_option_is_of() -> None:
    """A call of 100 at 50 for 6.00; A splits 2 for 1: 200 shares at 25, worth 28 in the end."""
    told = run(
        [share("A"), _option()],
        {"A": [*flat(56, 2), *flat(28, 4)], "OPT.A": flat(6, 4)},
        {"orders": [order(0, "buy", 1, "OPT.A")]},
        actions=[{"day": 2, "kind": "split", "ratio": 2.0}],
        **_terms("call", 50),
    )
    assert told.nav == [START] * 6
    assert _held(told)[-1] == pytest.approx(5_600)


def test_an_option_on_what_was_bought_for_cash_pays_the_difference() -> None:
    """A is bought at 60 on day 2; the call at 50, bought for 10.00, pays 10 x 100."""
    told = run(
        [share("A"), _option()],
        {"A": flat(60, 2), "OPT.A": flat(10, 6)},
        {"orders": [order(0, "buy", 1, "OPT.A")]},
        actions=[{"day": 2, "kind": "merger", "amount": 60.0, "currency": "USD"}],
        **_terms("call", 50),
    )
    assert told.nav == [START] * 6
    assert _held(told)[-1] == 0


def test_a_roll_passes_over_a_month_that_hardly_trades() -> None:
    """-2 of January go over into March, because by then March trades more than February does.

    Volumes of January, February and March are 1,000, 50 and 900, and on Thursday 40, 50 and 900:
    February trades more than January then, and March more than February. Short from 20 to 18, in
    March from 25 to 26: 2 x 1,000 x (2 - 1).
    """
    far = {"expires": "2020-03-20"}
    told = run(
        [_crude("CL.F"), _crude("CL.G"), _crude("CL.H")],
        {
            "CL.F": [*flat(20, 3, 1_000), *flat(18, 2, 40), None, None],
            "CL.G": flat(22, 7, 50),
            "CL.H": [*flat(25, 5, 900), *flat(26, 2, 900)],
        },
        {"orders": [order(0, "sell", 2, "CL.F")]},
        contracts={
            "CL.F": {"root": "CL", "expires": "2020-01-10"},
            "CL.G": {"root": "CL", "expires": "2020-02-20"},
            "CL.H": {"root": "CL", **far},
        },
        rolls={"style": "volume", "sessions_before": 1},
    )
    assert [round(v / 25_000) for v in _held(told, 2)[:5]] == [0, 0, 0, 0, -2]
    assert _held(told, 1) == [0.0] * 7
    assert told.nav == [START, START, START, START + 4_000, START + 4_000, *[START + 2_000] * 2]
