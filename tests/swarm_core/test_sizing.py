"""Sizing in whole numbers gives what exact fractions give."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from swarm_core.sizing import _lots_of


@given(
    weight=st.floats(-10, 10, allow_nan=False),
    nav=st.integers(1, 10**18),
    lot_value=st.integers(1, 10**15),
)
def test_lots_of_a_weight_are_exact_and_rounded_towards_zero(
    weight: float, nav: int, lot_value: int
) -> None:
    assert _lots_of(weight, nav, lot_value) == int(Fraction(weight) * nav / lot_value)
