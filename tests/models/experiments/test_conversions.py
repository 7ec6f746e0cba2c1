"""What a sweep of foreign cash does to an experiment, worked out by hand in the base currency."""

from decimal import Decimal
from typing import Any

import pytest

from models.experiments.costs import venue_with
from models.experiments.fields import ExperimentError
from swarm_core.currencies import CurrencySweep, FillConversion
from swarm_core.frictions.venue import Venue
from tests.models.experiments.known import FREE, Told, flat, order, run, share

pytestmark = pytest.mark.xdist_group("experiments")
SHARE = share("B", currency="EUR")
PRICES = {"B": flat(50, 6)}
RATES = {"EUR": ["1.25", "1.25", "1.25", "1.5", "1.5", "1.5"]}
TRADES = [order(0, "buy", 100, "B"), order(2, "sell", 100, "B")]
SWEEP = {"model": "sweep", "spread_bps": 20, "fee_minimum": 3}


def experiment(conversion: dict[str, Any] | None, **costs: Any) -> Told:
    chosen = {**FREE, **costs}
    if conversion is not None:
        chosen["conversion"] = conversion
    return run([SHARE], PRICES, {"orders": TRADES}, costs=chosen, rates=RATES)


def test_a_debt_is_bought_back_and_a_balance_sold_at_the_closes_rate_for_spread_and_fee() -> None:
    """100 shares at 50 EUR are 5,000 EUR: owed after day 1, had after day 3.

    Day 1: the debt costs 5,000 x 1.25 / 0.998 = 6,262.52505010 USD and 3 of fee, at the next
    opening.
    Day 3: the shares, no debt beside them, gained 5,000 x 0.25. Sold that day at 1.5, the euros
    bring 5,000 x 1.5 x 0.998 = 7,485 less 3 at the next opening.
    """
    told = experiment(SWEEP)
    cash = 100_000 - 6_262.52505010 - 3
    assert told.nav == [
        100_000,
        100_000,
        pytest.approx(cash + 5_000 * 1.25, abs=1e-7),
        pytest.approx(cash + 5_000 * 1.5, abs=1e-7),
        pytest.approx(cash + 7_485 - 3, abs=1e-7),
        pytest.approx(cash + 7_485 - 3, abs=1e-7),
    ]
    before = [100_000, *told.nav[:-1]]
    lost = [cost * nav for cost, nav in zip(told.walked.costs["conversion"], before, strict=True)]
    expected = [0, 0, 12.52505010 + 3, 0, 15 + 3, 0]
    assert lost == pytest.approx(expected, abs=1e-7)
    moved = [v * nav for v, nav in zip(told.walked.currencies["EUR"], before, strict=True)]
    assert moved == pytest.approx([0, 0, 0, 1_250, 0, 0], abs=1e-7)


def test_left_alone_the_debt_stands_against_the_shares() -> None:
    for told in (experiment(None), experiment({"model": "none"})):
        assert told.nav == pytest.approx([100_000] * 6, abs=1e-9)
        assert not told.walked.costs["conversion"].any()


def test_what_is_worth_less_than_the_minimum_stays() -> None:
    """The debt of 5,000 EUR is worth 6,250 USD until the sale pays it back."""
    swept, left = (experiment({**SWEEP, "minimum": least}) for least in (6_250, 6_250.01))
    assert swept.walked.costs["conversion"][2] > 0
    assert left.nav == pytest.approx([100_000] * 6, abs=1e-9)


def test_interest_is_on_what_a_sweep_has_left() -> None:
    """Owed 5,000 EUR at 36 % for a night would cost 5 EUR; swept, USD earn 3.6 % instead."""
    rates = {"EUR": {"debit": 0.36}, "USD": {"credit": 0.036}}
    left, swept = (experiment(how, interest=rates) for how in (None, SWEEP))
    paid = left.walked.costs["interest"][2] * left.nav[1]
    assert paid == pytest.approx(5 * 1.25 - 100_010 * 0.0001, abs=1e-6)
    cash = 100_010 - 6_262.52505010 - 3
    assert swept.walked.costs["interest"][2] * swept.nav[1] == pytest.approx(-cash / 1e4, abs=1e-6)


AT_FILL = {"model": "at_fill", "spread_bps": 20, "fee_bps": 2, "fee_minimum": 1.1}


def test_each_fill_is_converted_at_the_rate_of_its_own_bar_for_spread_and_fee() -> None:
    """100 shares at 50 EUR bought on day 1 at 1.25 and sold on day 3 at 1.5; 7 EUR an order.

    Day 1: 5,007 EUR are worth 6,258.75 USD; the purchase costs 12.5175 of spread and 2 bps,
    1.25175, of fee. The shares are worth 6,250.
    Day 3: 4,993 EUR are worth 7,489.50 USD and bring 14.979 of spread less; the fee is 1.4979.
    No euro is left, so the rate of day 3 moves the shares alone, and nothing after their sale.
    """
    commission = {"model": "per_contract", "per_contract": 0.07, "exchange_fee": 0, "minimum": 0}
    costs = {**FREE, "conversion": AT_FILL, "commission": commission}
    del costs["commission_bps"]
    told = run([SHARE], PRICES, {"orders": TRADES}, costs=costs, rates=RATES)
    bought = 100_000 - 6_258.75 - 12.5175 - 1.25175
    sold = bought + 7_489.5 - 14.979 - 1.4979
    expected = [100_000, bought + 6_250, bought + 6_250, sold, sold, sold]
    assert told.nav == pytest.approx(expected, abs=1e-7)
    before = [100_000, *told.nav[:-1]]

    def amounts(fractions: Any) -> list[float]:
        return [part * nav for part, nav in zip(fractions, before, strict=True)]

    lost = amounts(told.walked.costs["conversion"])
    expected = [0, 12.5175 + 1.25175, 0, 14.979 + 1.4979, 0, 0]
    assert lost == pytest.approx(expected, abs=1e-7)
    moved = amounts(told.walked.currencies["EUR"])
    assert moved == pytest.approx([0, 0, 0, 5_000 * 0.25, 0, 0], abs=1e-7)


def test_the_smallest_fee_is_taken_of_each_fill_and_spread_is_rounded_against_it() -> None:
    """1 share at 50 EUR is 62.50 USD: 2 bps are 0.0125, so 1.10 is charged, and 0.125 of spread."""
    told = run(
        [SHARE], PRICES, {"orders": [order(0, "buy", 1, "B")]},
        costs={**FREE, "conversion": AT_FILL}, rates=RATES,
    )  # fmt: skip
    assert told.nav[1] == pytest.approx(100_000 - 0.125 - 1.1, abs=1e-8)
    exchange = FillConversion(spread_bps=Decimal(3))
    assert exchange.exchange(10**8, Decimal("1.3")) == (130_000_000 - 39_000, 0)
    assert exchange.exchange(-1, Decimal("1.3")) == (-2, 0), "a minor unit of spread at least"
    assert exchange.exchange(1, Decimal("0.4")) == (0, 0), "worth nothing: it stays"


def test_it_is_an_axis_of_a_sweep_and_a_setting_of_the_desk() -> None:
    venue = venue_with({"conversion": SWEEP}, Venue())
    assert isinstance(venue.carry.sweep, CurrencySweep)
    assert venue_with({"conversion": {"model": "none"}}, venue).carry.sweep is None
    at_fill = venue_with({"conversion": AT_FILL}, venue)
    assert at_fill.carry.sweep is None
    assert isinstance(at_fill.conversion, FillConversion)
    assert venue_with({"conversion": SWEEP}, at_fill).conversion is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"model": "each"},
            "costs.conversion.model must be one of none, sweep, at_fill, was 'each'",
        ),
        ({"model": "none", "minimum": 1}, "costs.conversion.minimum must be one of model"),
        ({"model": "sweep", "minimum": 0}, r"minimum must be in \[1, 1000000000\], was 0"),
        ({"model": "sweep", "spread_bps": -1}, r"spread_bps must be in \[0, 1000\], was -1"),
        ({"model": "at_fill", "minimum": 1}, "costs.conversion.minimum must be one of spread_bps"),
        ({"model": "at_fill", "fee_bps": "much"}, "costs.conversion.fee_bps must be a number"),
        ({"model": "at_fill", "spread_bps": 1_001}, r"spread_bps must be in \[0, 1000\], was 1001"),
        ("sweep", "costs.conversion must be a mapping of fields, was 'sweep'"),
    ],
)
def test_a_conversion_that_does_not_hold_gives_one_line(given: Any, told: str) -> None:
    with pytest.raises(ExperimentError, match=told):
        venue_with({"conversion": given}, Venue())
