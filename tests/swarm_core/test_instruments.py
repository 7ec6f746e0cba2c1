"""Prices, sizes and money on their exact grids."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.instruments import TICKS_MAX, Instrument, from_minor, to_minor
from tests.swarm_core.builders import make_instrument

increments = st.sampled_from(["0.01", "0.0001", "0.25", "0.00005", "1", "0.05"]).map(Decimal)


@given(ticks=st.integers(-TICKS_MAX, TICKS_MAX), increment=increments)
def test_ticks_survive_the_way_to_a_price_and_back(ticks: int, increment: Decimal) -> None:
    instrument = make_instrument(price_increment=increment)

    assert instrument.price_to_ticks(instrument.ticks_to_price(ticks)) == ticks


@given(lots=st.integers(-(10**12), 10**12), increment=increments)
def test_lots_survive_the_way_to_a_quantity_and_back(lots: int, increment: Decimal) -> None:
    instrument = make_instrument(size_increment=increment)

    assert instrument.quantity_to_lots(instrument.lots_to_quantity(lots)) == lots


@given(price=st.floats(-1e9, 1e9))
def test_a_price_goes_to_the_nearest_tick(price: float) -> None:
    instrument = make_instrument()
    ticks = instrument.price_to_ticks(price)

    assert abs(instrument.ticks_to_price(ticks) - Decimal(str(price))) <= Decimal("0.005")


@given(lots=st.integers(-(10**9), 10**9), ticks=st.integers(-(10**9), 10**9))
def test_value_is_price_times_quantity_times_multiplier_exactly(lots: int, ticks: int) -> None:
    future = make_instrument("FUT.ES", price_increment=Decimal("0.25"), multiplier=Decimal(50))
    exact = future.ticks_to_price(ticks) * future.lots_to_quantity(lots) * 50

    assert from_minor(future.value_minor(lots, ticks)) == exact


@given(st.decimals(min_value=-(10**10), max_value=10**10, places=8))
def test_money_survives_the_way_to_minor_units_and_back(amount: Decimal) -> None:
    assert from_minor(to_minor(amount)) == amount


@pytest.mark.parametrize("price", [float("nan"), float("inf"), "abc", 1e30])
def test_what_is_no_price_is_refused(price: float) -> None:
    with pytest.raises(ValueError, match=r"price of US\.A must be"):
        make_instrument().price_to_ticks(price)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"price_increment": Decimal(0)}, "price_increment of US.A must be finite and positive"),
        ({"size_increment": Decimal("NaN")}, "size_increment of US.A must be finite and positive"),
        ({"multiplier": Decimal(-1)}, "multiplier of US.A must be finite and positive"),
        ({"currency": ""}, "currency of an instrument must not be empty"),
        ({"size_increment": Decimal("1e-8")}, "must be a multiple of 1e-8"),
    ],
)
def test_an_instrument_off_its_bounds_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_instrument(**fields)


def test_an_instrument_is_read_from_a_table_row() -> None:
    row = {
        "instrument_id": "FX.EURUSD",
        "asset_class": "FX",
        "currency": "usd",
        "calendar": "24/5",
        "price_increment": "0.00005",
        "size_increment": None,
        "sector": None,
        "valid_from": None,
    }

    instrument = Instrument.from_mapping(row)

    assert instrument.price_increment == Decimal("0.00005")
    assert (instrument.asset_class, instrument.currency, instrument.sector) == (
        "fx",
        "USD",
        "unknown",
    )


def test_a_row_that_cannot_be_read_names_its_field() -> None:
    with pytest.raises(ValueError, match="price_increment must be a number, was 'a cent'"):
        Instrument.from_mapping(
            {
                "instrument_id": "US.A",
                "asset_class": "equity",
                "currency": "USD",
                "price_increment": "a cent",
            }
        )
