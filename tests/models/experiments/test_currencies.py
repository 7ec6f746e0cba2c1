"""An experiment in three currencies: the arithmetic by hand, step by step, and without a rate."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest

from adapters.brokers.simulated import SimulatedBroker
from features.currency_rates import currency_rates, rates_at
from features.schemas import BARS, INSTRUMENTS
from models.experiments.account import desk_of
from models.experiments.fields import ExperimentError
from models.experiments.strategy import OrderList
from swarm_core.backtest.opening import Openings
from swarm_core.backtest.stepwise import StepwiseBacktest
from swarm_core.instruments import to_minor
from tests.models.experiments.known import FREE, LAG, Told, flat, order, run, share, trading_days

pytestmark = pytest.mark.xdist_group("experiments")
FIXED_AT = time(14, 0)  # hours before the close
SHARES = [share("A"), share("B", currency="EUR"), share("C", currency="GBP")]
PRICES = {
    "A": flat(20, 4),
    "B": [*flat(50, 2), *flat(52, 2)],
    "C": [*flat(10, 2), *flat(11, 1), *flat(12, 1)],
}
BOUGHT = [order(0, "buy", 100, "B"), order(0, "buy", 40, "C"), order(1, "buy", 10, "A")]
EURUSD = [1.10, 1.10, 1.20, 1.25]
EURGBP = [0.88, 0.88, 0.80, 0.80]


def fixings(
    told: dict[str, list[float]], days: list[date], late: dict[str, timedelta] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return bars and instruments of pairs that are fixed once a day, as the ECB publishes them."""
    rows = [
        {
            "instrument_id": f"FX.{pair}",
            "interval": "1d",
            "event_time": (at := datetime.combine(day, FIXED_AT, UTC)),
            "knowledge_time": at + (late or {}).get(pair, timedelta(hours=1)),
            "close": value,
            "source": "ecb",
        }
        for pair, values in told.items()
        for day, value in zip(days, values, strict=True)
    ]
    pairs = [
        {
            "instrument_id": f"FX.{pair}",
            "ticker": pair,
            "asset_class": "fx",
            "currency": pair[3:],
            "calendar": "TARGET",
        }
        for pair in told
    ]
    return BARS.conform(pl.DataFrame(rows)), INSTRUMENTS.conform(pl.DataFrame(pairs))


def rates_of(told: dict[str, list[float]], days: list[date]) -> pl.DataFrame:
    return currency_rates(*fixings(told, days), "USD", ["EUR", "GBP"])


def experiment(rates: pl.DataFrame | None) -> Told:
    costs = {**FREE, "commission_bps": 10}
    return run(SHARES, PRICES, {"orders": BOUGHT}, costs=costs, rates=rates)


def test_nav_in_the_base_is_each_currency_at_the_day_s_rate() -> None:
    """USD a euro as quoted; USD a pound are USD a euro over GBP a euro: 1.25, 1.25, 1.5, 1.5625.

    B: 100 at 50 EUR for 5 EUR of commission, 200 EUR of gain from day 2. C: 40 at 10 GBP for 0.40,
    40 and then 80 GBP of gain. A: 10 at 20 USD for 0.20 on day 2.
    """
    told = experiment(rates_of({"EURUSD": EURUSD, "EURGBP": EURGBP}, trading_days(4)))
    assert told.nav == [
        100_000,
        pytest.approx(100_000 - 5 * 1.10 - 0.4 * 1.25, abs=1e-8),
        pytest.approx(100_000 + 195 * 1.20 + 39.6 * 1.5 - 0.2, abs=1e-8),
        pytest.approx(100_000 + 195 * 1.25 + 79.6 * 1.5625 - 0.2, abs=1e-8),
    ]
    held = [10 * 20, 100 * 52 * 1.25, 40 * 12 * 1.5625]
    assert told.walked.held[3] * told.nav[3] == pytest.approx(held, abs=1e-6)
    assert set(told.parts("currency")) == {"EUR", "GBP"}


def test_step_by_step_it_comes_out_the_same_to_the_minor_unit() -> None:
    told = experiment(rates_of({"EURUSD": EURUSD, "EURGBP": EURGBP}, trading_days(4)))
    floor, trial = told.market.floor, told.trial
    assert floor is not None
    assert isinstance(trial.strategy, OrderList)
    settings = desk_of(trial, LAG.total_seconds())
    grid = {i.instrument_id: i for i in floor.bars.instruments}
    venue = SimulatedBroker(grid, fills=settings.fills, commission=settings.commission)
    test = StepwiseBacktest(
        floor.bars.instruments, settings, venue, openings=Openings(actions=floor.actions)
    )
    days = trading_days(4)
    sent = [[p for p in trial.strategy.orders if p.day == day] for day in days]
    test.place_orders(
        floor.bars,
        [[p.on_grid(grid[p.instrument_id], n) for n, p in enumerate(plan)] for plan in sent],
    )
    assert test.nav_minor == [to_minor(Decimal(f"{nav:.8f}")) for nav in told.nav]
    assert set(test.book.ledger.rates) == {"USD", "EUR", "GBP"}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"EURUSD": 1.25}, {"EUR": "1.25"}),
        ({"USDEUR": 0.8}, {"EUR": "1.25"}),
        ({"EURUSD": 1.25, "EURGBP": 0.8}, {"EUR": "1.25", "GBP": "1.5625"}),
        ({"USDCHF": 0.9, "GBPCHF": 1.2}, {"GBP": "1.33333333333"}),
        ({"GBPUSD": 1.5, "EURUSD": 1.25, "EURGBP": 0.8}, {"EUR": "1.25", "GBP": "1.5"}),
        ({"GBPJPY": 150.0}, {}),
    ],
)
def test_a_rate_comes_from_the_pair_its_inverse_or_two_pairs(
    pairs: dict[str, float], expected: dict[str, str]
) -> None:
    day = date(2020, 1, 6)
    rates = rates_of({pair: [value] for pair, value in pairs.items()}, [day])
    at = [datetime(2020, 1, 6, 21, tzinfo=UTC)]
    found = {name: rates_at(rates, name, at, LAG)[0] for name in ("EUR", "GBP")}
    known = {name: rate for name, rate in found.items() if isinstance(rate, Decimal)}
    assert known == {name: Decimal(rate) for name, rate in expected.items()}


def test_a_rate_counts_from_when_it_was_known_and_a_revision_of_an_old_day_changes_nothing() -> (
    None
):
    days = trading_days(3)
    bars, pairs = fixings({"EURUSD": [1.1, 1.2, 1.3]}, days)
    late = pl.col("close") == 1.2  # known when the third day's was known already
    revised = bars.with_columns(
        knowledge_time=pl.when(late)
        .then(pl.col("knowledge_time") + timedelta(days=2))
        .otherwise("knowledge_time")
    )
    rates = currency_rates(revised, pairs, "USD", ["EUR"])
    closes = [datetime.combine(day, time(21), UTC) for day in [*days, days[-1] + timedelta(1)]]
    told = rates_at(rates, "EUR", closes, LAG)
    assert told == [Decimal("1.1"), Decimal("1.1"), Decimal("1.3"), Decimal("1.3")]


def test_without_a_rate_nothing_runs_and_one_line_says_which() -> None:
    with pytest.raises(ExperimentError, match=r"rate of EUR .* on 2020-01-06, there was none"):
        experiment(None)
    half = rates_of({"EURUSD": EURUSD}, trading_days(4))
    with pytest.raises(ExperimentError, match="bars of a pair of GBP must be among the data"):
        experiment(half)


def test_an_old_rate_is_none() -> None:
    """Fixed on the first Monday at 14:00: at 21:00 a week after it is older than seven days."""
    rates = rates_of({"EURUSD": [1.1]}, trading_days(1))
    with pytest.raises(ExperimentError, match=r"on 2020-01-13, the newest was of 2020-01-06"):
        run([SHARES[1]], {"B": flat(50, 9)}, {"orders": [BOUGHT[0]]}, rates=rates)
