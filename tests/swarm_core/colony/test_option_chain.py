"""The columns of an option chain on a chain made by hand."""

import dataclasses
import math

import numpy as np
import pytest

from swarm_core.colony.option_chain import COLUMNS, OptionChain, chain_columns


def make_chain() -> OptionChain:
    """Return two months of puts and calls whose skew is 5 points and whose term is 3."""
    return OptionChain(
        spot=100.0,
        strike=np.array([95.0, 100.0, 100.0, 100.0]),
        days=np.array([30.0, 30.0, 30.0, 90.0]),
        is_put=np.array([True, False, True, False]),
        implied=np.array([0.25, 0.20, 0.20, 0.23]),
        volume=np.array([200.0, 99.0, 99.0, 0.0]),
    )


def test_the_columns_are_flow_skew_and_term() -> None:
    columns = chain_columns(make_chain())
    assert columns["put_call_log"] == pytest.approx(math.log(300.0 / 100.0))
    assert columns["implied_skew"] == pytest.approx(0.05)
    assert columns["implied_term"] == pytest.approx(0.03)


@pytest.mark.parametrize("spot", [0.0, -1.0, float("nan")])
def test_without_a_spot_nothing_is_known(spot: float) -> None:
    columns = chain_columns(dataclasses.replace(make_chain(), spot=spot))
    assert all(math.isnan(columns[name]) for name in COLUMNS)


def test_without_volatilities_only_the_flow_is_known() -> None:
    columns = chain_columns(dataclasses.replace(make_chain(), implied=np.full(4, np.nan)))
    assert math.isfinite(columns["put_call_log"])
    assert math.isnan(columns["implied_skew"])
    assert math.isnan(columns["implied_term"])
