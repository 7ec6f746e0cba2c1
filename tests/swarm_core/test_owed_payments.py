"""Which of what is owed a difference in cash has paid: told from the sum alone."""

from collections.abc import Mapping
from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.action_events import EntitlementAccrued
from swarm_core.owed_payments import find_paid


def _owed(amounts: Mapping[str, int]) -> list[EntitlementAccrued]:
    """Return what is owed; a name that ends in ~ is an estimate."""
    return [
        EntitlementAccrued(
            event_id=name,
            time_ns=1,
            action_id=name,
            instrument_id="US.A",
            currency="USD",
            amount_minor=minor,
            pay_ns=2**62,
            is_estimate=name.endswith("~"),
        )
        for name, minor in amounts.items()
    ]


@pytest.mark.parametrize(
    ("amounts", "difference", "tolerance", "paid"),
    [
        ({"a": 100}, 100, 0, {"a": 100}),
        ({"a": 100}, 99, 0, {}),
        ({"a": 100}, 99, 5, {"a": 100}),
        ({"a": 3}, 3, 5, {"a": 3}),  # less than the tolerance, and yet to the unit what is owed
        ({"a": 3}, 4, 5, {}),
        ({"a": 100, "b": 50, "c": 50}, 150, 0, {"a": 100, "b": 50}),  # the oldest first
        ({"a": 100, "b": -40}, 60, 0, {"a": 100, "b": -40}),
        ({"f~": 100}, 91, 0, {"f~": 91}),
        ({"f~": 100}, 89, 0, {}),
        ({"f~": -100}, -109, 0, {"f~": -109}),
        ({"f~": 100, "a": 95}, 95, 0, {"a": 95}),  # what fits to the unit comes before estimates
        ({"f~": 100, "a": 50}, 143, 0, {"f~": 93, "a": 50}),
        ({"f~": 100, "g~": 100}, 192, 0, {"f~": 100, "g~": 92}),
        ({"f~": 100, "g~": 60}, 57, 0, {"g~": 57}),  # the nearest
        ({"f~": 4}, 4, 10, {"f~": 4}),
        ({"f~": 100}, 113, 5, {"f~": 113}),  # the tolerance comes on top
        ({"f~": 100}, 0, 5, {}),
        ({}, 7, 0, {}),
    ],
)
def test_what_was_paid_is_told_from_its_sum(
    amounts: dict[str, int], difference: int, tolerance: int, paid: dict[str, int]
) -> None:
    found = find_paid(
        _owed(amounts), difference, tolerance_minor=tolerance, estimate_fraction_max=0.1
    )

    assert found.amounts == paid
    assert found.estimates == {name for name in paid if name.endswith("~")}


_D = 10**8  # a dollar


@pytest.mark.parametrize(
    ("amounts", "taxable", "difference", "paid", "taxes"),
    [
        ({"a": 100 * _D}, {}, 85 * _D, {"a": 100 * _D}, {"a": -15 * _D}),
        ({"a": 100 * _D}, {}, 100 * _D, {"a": 100 * _D}, {}),
        ({"a": 100 * _D}, {}, 84 * _D, {}, {}),
        ({"a": 100 * _D, "b": 40 * _D}, {}, 125 * _D,
         {"a": 100 * _D, "b": 40 * _D}, {"a": -15 * _D}),
        ({"a": 100 * _D, "b": 40 * _D}, {}, 34 * _D, {"b": 40 * _D}, {"b": -6 * _D}),
        ({"b": 40 * _D}, {"a": 100 * _D}, 19 * _D, {"b": 40 * _D}, {"a": -15 * _D, "b": -6 * _D}),
        ({}, {"a": 100 * _D}, -15 * _D, {}, {"a": -15 * _D}),
        ({}, {"a": 100 * _D}, 15 * _D, {}, {}),
        ({"a": -100 * _D}, {}, -85 * _D, {}, {}),
        ({"m:cash": 100 * _D}, {}, 85 * _D, {}, {}),
        ({"a": 85 * _D, "b": 100 * _D}, {}, 85 * _D, {"a": 85 * _D}, {}),  # whole comes first
    ],
)  # fmt: skip
def test_a_tax_is_told_from_the_sum_as_well(
    amounts: dict[str, int],
    taxable: dict[str, int],
    difference: int,
    paid: dict[str, int],
    taxes: dict[str, int],
) -> None:
    found = find_paid(
        _owed(amounts),
        difference,
        tolerance_minor=0,
        estimate_fraction_max=0.1,
        withheld_fraction=0.15,
        taxable=_owed(taxable),
    )
    assert (found.amounts, found.taxes) == (paid, taxes)


@given(
    st.lists(st.tuples(st.integers(-500, 500), st.booleans()), max_size=5),
    st.integers(-1_500, 1_500),
    st.integers(0, 20),
)
def test_nothing_is_taken_for_paid_that_is_further_away_than_allowed(
    drawn: list[tuple[int, bool]], difference: int, tolerance: int
) -> None:
    amounts = {f"{n}{'~' if loose else ''}": minor for n, (minor, loose) in enumerate(drawn)}
    owed = _owed(amounts)

    found = find_paid(owed, difference, tolerance_minor=tolerance, estimate_fraction_max=0.1)

    assert all(found.amounts[n] == amounts[n] for n in set(found.amounts) - found.estimates)
    assert abs(difference - found.total_minor) <= (
        0 if found.estimates else tolerance if found.amounts else abs(difference)
    )
    loose = sum(abs(amounts[name]) for name in found.estimates)
    of_owed = sum(amounts[name] for name in found.amounts)
    if found.amounts:
        assert abs(found.total_minor - of_owed) <= loose // 10 + tolerance
    positive = [minor for minor in amounts.values() if minor]
    every = chain.from_iterable(combinations(positive, n) for n in range(1, len(positive) + 1))
    if difference and any(sum(chosen) == difference for chosen in every):
        assert of_owed == difference
