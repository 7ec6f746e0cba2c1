"""Models by name: what a settings file may say, and the one line it gets where it may not."""

from decimal import Decimal

import pytest

from swarm_core.carry.borrow import BorrowAvailability
from swarm_core.carry.interest import CashRates
from swarm_core.commissions import (
    BpsCommission,
    IbFixedCommission,
    IbTieredCommission,
    MakerTakerCommission,
    PerContractCommission,
)
from swarm_core.currencies import FillConversion
from swarm_core.frictions.auction_cutoffs import AuctionCutoffs
from swarm_core.frictions.latency import Latency
from swarm_core.frictions.named import commission_of, slippage_of, venue_of
from swarm_core.frictions.price_limits import PriceLimits
from swarm_core.frictions.slippage import (
    BpsSlippage,
    SquareRootSlippage,
    TickSlippage,
    VolumeShareSlippage,
)
from swarm_core.frictions.venue import simple_venue

DEFAULT = simple_venue(1.0, 2.0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"model": "bps", "bps": 2.5, "minimum": 1}, BpsCommission(Decimal("2.5"), Decimal(1))),
        ({"model": "ib_fixed"}, IbFixedCommission()),
        ({"model": "ib_tiered", "month_quantity": 10_000}, IbTieredCommission(Decimal(10_000))),
        (
            {"model": "per_contract", "per_contract": 0.65, "exchange_fee": 0.1},
            PerContractCommission(Decimal("0.65"), Decimal("0.1")),
        ),
        (
            {"model": "maker_taker", "maker_bps": -0.5, "taker_bps": 4},
            MakerTakerCommission(Decimal("-0.5"), Decimal(4)),
        ),
    ],
)
def test_a_commission_is_named(given: object, expected: object) -> None:
    assert commission_of(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"model": "bps", "bps": 3}, BpsSlippage(Decimal(3))),
        ({"model": "ticks", "ticks": 2}, TickSlippage(2)),
        ({"model": "volume_share", "price_impact": 0.2}, VolumeShareSlippage(Decimal("0.2"))),
        ({"model": "square_root", "impact_bps": 20}, SquareRootSlippage(impact_bps=Decimal(20))),
    ],
)
def test_a_slippage_is_named(given: object, expected: object) -> None:
    assert slippage_of(given) == expected


def test_a_whole_venue_is_described() -> None:
    venue = venue_of(
        {
            "participation_fraction_max": 0.05,
            "latency": {"milliseconds": 250, "bars": 1},
            "price_limit_fraction": 0.1,
            "auction_cutoffs": {"by_exchange": True, "close_s": 90, "late_expires": True},
            "conversion": {"model": "at_fill", "spread_bps": 1.5},
            "interest": {"USD": {"credit": 0.03, "debit": 0.06}},
            "borrow": {"annual_rate": 0.01, "rates": {"US.A": 0.3}, "lots": {"US.A": 500}},
        },
        DEFAULT,
    )

    assert venue.fills.participation_fraction_max == 0.05
    assert venue.fills.latency == Latency(milliseconds=250, bars=1)
    assert venue.fills.slippage_bps == 2.0
    assert venue.fills.cutoffs == AuctionCutoffs(by_exchange=True, close_s=90, late_expires=True)
    assert venue.conversion == FillConversion(spread_bps=Decimal("1.5"))
    assert venue.price_limits == PriceLimits(Decimal("0.1"))
    assert venue.borrow == BorrowAvailability(lots={"US.A": 500})
    assert venue.carry.interest is not None
    assert venue.carry.interest.rates == {"USD": CashRates(Decimal("0.03"), Decimal("0.06"))}
    assert venue.carry.borrow is not None
    assert venue.carry.borrow.rates == {"US.A": Decimal("0.3")}


def test_what_is_left_open_is_the_defaults() -> None:
    assert venue_of({}, DEFAULT) == DEFAULT


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"fee": 1}, r"venue\.fee must be one of commission, slippage, latency"),
        ({"commission": {"model": "cheap"}}, r"commission\.model must be one of bps, .*'cheap'"),
        ({"commission": {}}, r"commission\.model must be one of bps, .*was None"),
        ({"commission": {"model": "bps", "rate": 1}}, r"commission\.rate must be one of bps, min"),
        (
            {"commission": {"model": "bps", "bps": "x"}},
            r"commission\.bps must be a number, was 'x'",
        ),
        ({"commission": {"model": "bps", "bps": True}}, r"commission\.bps must be a number, was T"),
        ({"commission": {"model": "bps", "bps": -1}}, r"bps must be in \[0, 10000\], was -1"),
        ({"slippage": {"model": "ticks", "ticks": 1.5}}, r"slippage\.ticks must be a whole number"),
        ({"slippage": "ticks"}, r"slippage must be a mapping of fields, was 'ticks'"),
        ({"latency": {"bars": -1}}, r"bars of a latency must be in 0\.\.1000, was -1"),
        ({"participation_fraction_max": 2}, r"participation_fraction_max must be in \[0, 1"),
        ({"price_limit_fraction": 0}, r"fraction of price limits must be in \(0, 1\], was 0"),
        ({"auction_cutoffs": {"close": 1}}, r"auction_cutoffs\.close must be one of by_exchange"),
        (
            {"auction_cutoffs": {"close_s": 86_401}},
            r"close_s of auction_cutoffs must be in 0\.\.86400",
        ),
        ({"auction_cutoffs": {"by_exchange": 1}}, r"auction_cutoffs\.by_exchange must be true or"),
        ({"interest": {"USD": {"credit": 3}}}, r"credit rate must be in \[-1, 1\], was 3"),
        ({"interest": {"usd": {"credit": 0.03}}}, "codes in capitals, was of 'usd'"),
        ({"borrow": {"cost": 1}}, r"borrow\.cost must be one of annual_rate, rates"),
        ({"borrow": {"lots": {"US.A": -1}}}, r"lots to borrow of US\.A must be >= 0, was -1"),
        ({"borrow": {"rounds_up": 1}}, r"borrow\.rounds_up must be true or false, was 1"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(given: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        venue_of(given, DEFAULT)
    assert "\n" not in str(refused.value)
