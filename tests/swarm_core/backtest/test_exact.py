"""The 128-bit arithmetic of the kernels gives what Python's whole numbers give."""

from datetime import UTC, datetime
from fractions import Fraction
from math import ceil, isqrt

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_core.backtest import exact
from swarm_core.backtest.ledger_kernel import month_of

large = st.integers(0, 2**63 - 1) | st.integers(0, 10**6)
exactly = settings(deadline=None)  # the first call compiles
divisor = st.integers(1, 2**63 - 1) | st.integers(1, 10**6)


@exactly
@given(large, large, divisor)
def test_a_product_is_divided_exactly_or_saturates(a: int, b: int, c: int) -> None:
    quotient, rest = divmod(a * b, c)
    if quotient <= exact.I64_MAX:
        assert exact.divide_product(a, b, c) == (quotient, rest)
    else:
        assert exact.divide_product(a, b, c)[0] == exact.I64_MAX


@exactly
@given(st.integers(-(10**18), 10**18), st.integers(0, 10**18), st.integers(10**12, 10**18))
def test_shares_are_rounded_as_they_are_called(a: int, b: int, c: int) -> None:
    share = Fraction(a * b, c)
    if abs(share) < 2**62:
        assert exact.floor_share(a, b, c) == a * b // c
        assert exact.even_share(a, b, c) == round(share)
        assert exact.ceil_share(abs(a), b, c) == ceil(abs(share))


@exactly
@given(st.integers(-50, 50), st.integers(1, 9))
def test_a_half_goes_to_the_even_neighbour(a: int, b: int) -> None:
    assert exact.even_share(a, b, 2) == round(Fraction(a * b, 2))


@exactly
@given(st.floats(-200.0, 200.0), st.integers(0, 10**18), st.integers(1, 10**18))
def test_weights_become_whole_lots_towards_zero(weight: float, nav: int, lot: int) -> None:
    wanted = int(Fraction(weight) * nav / lot)
    assert exact.weighted_lots(weight, nav, lot) == max(-exact.SAFE, min(exact.SAFE, wanted))


@exactly
@given(st.floats(0.0, 1.0), st.integers(0, 10**18))
def test_dust_is_rounded_up(fraction: float, nav: int) -> None:
    above, below = Fraction(fraction).as_integer_ratio()
    if below.bit_length() > 1 and above < 2**63:
        told = exact.ceil_shifted(above, nav, below.bit_length() - 1)
        assert told == ceil(Fraction(fraction) * nav)


@exactly
@given(st.integers(0, 4 * 10**18))
def test_roots_are_whole(n: int) -> None:
    assert exact.whole_root(n) == isqrt(n)


@exactly
@given(st.integers(0, 4 * 10**18))
def test_months_are_those_of_the_calendar(time_ns: int) -> None:
    moment = datetime.fromtimestamp(time_ns // 10**9, UTC)
    assert month_of(time_ns) == (moment.year - 1970) * 12 + moment.month - 1
