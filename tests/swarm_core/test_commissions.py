"""Commissions by the published price lists, however an order is split."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.commissions import (
    BpsCommission,
    CommissionModel,
    IbFixedCommission,
    IbTieredCommission,
    MakerTakerCommission,
    OrderFacts,
    PerContractCommission,
)
from swarm_core.instruments import from_minor
from tests.swarm_core.builders import make_instrument

STOCK = make_instrument()


def cost(model: CommissionModel, lots: int, price: str) -> Decimal:
    value = STOCK.value_minor(lots, STOCK.price_to_ticks(price))
    return from_minor(model.order_commission_minor(STOCK, lots, value))


@pytest.mark.parametrize(
    ("lots", "price", "expected"),
    [(100, "25", "1.00"), (1_000, "25", "5.00"), (1_000, "0.25", "2.50"), (1, "20", "0.20")],
)
def test_the_fixed_list_gives_its_published_examples(lots: int, price: str, expected: str) -> None:
    assert cost(IbFixedCommission(), lots, price) == Decimal(expected)


def test_the_tiered_list_charges_each_share_by_its_tier() -> None:
    assert cost(IbTieredCommission(), 1_000, "25") == Decimal("3.50")
    assert cost(IbTieredCommission(), 50, "25") == Decimal("0.35")
    straddling = IbTieredCommission(month_quantity=Decimal(299_000))
    assert cost(straddling, 3_000, "25") == Decimal("3.50") + Decimal("4.00")


def test_basis_points_of_the_value_with_a_minimum() -> None:
    assert cost(BpsCommission(Decimal(2)), 1_000, "25") == Decimal("5.00")
    assert cost(BpsCommission(Decimal(2), Decimal(6)), 1_000, "25") == Decimal("6.00")


@given(lots=st.lists(st.integers(1, 10**6), min_size=1, max_size=5), price=st.integers(1, 10**6))
def test_a_commission_grows_with_the_order_and_never_over_its_cap(
    lots: list[int], price: int
) -> None:
    for model in (IbFixedCommission(), IbTieredCommission(), BpsCommission()):
        totals = [
            model.order_commission_minor(STOCK, n, STOCK.value_minor(n, price))
            for n in sorted(lots)
        ]
        assert totals == sorted(totals)
        if not isinstance(model, BpsCommission):
            assert totals[-1] <= STOCK.value_minor(max(lots), price) // 100 + 1


@pytest.mark.parametrize("value", [Decimal(-1), Decimal("NaN"), Decimal(10**9)])
def test_a_rate_off_its_bounds_is_refused(value: Decimal) -> None:
    with pytest.raises(ValueError, match=r"bps must be in \[0, 10000\], was"):
        BpsCommission(value)


def test_contracts_pay_the_broker_and_the_exchange_with_a_minimum() -> None:
    future = make_instrument(asset_class="future", multiplier=Decimal(50))
    listed = PerContractCommission(Decimal("0.85"), Decimal("1.38"))

    assert listed.order_commission_minor(future, 4, 10**12) == 892_000_000  # 4 x 2.23
    options = PerContractCommission(Decimal("0.65"), minimum=Decimal(1))
    assert options.order_commission_minor(future, 1, 10**12) == 10**8
    assert options.order_commission_minor(future, 10, 10**12) == 650_000_000


def test_makers_may_be_paid_and_takers_pay() -> None:
    model = MakerTakerCommission(Decimal("-0.5"), Decimal(5))
    facts = OrderFacts(maker_value_minor=10_000 * 10**8)

    assert model.order_commission_minor(STOCK, 1, 30_000 * 10**8, facts) == 950_000_000
    with pytest.raises(ValueError, match=r"maker_bps must be in \[-100, 1000\], was -101"):
        MakerTakerCommission(Decimal(-101))
