"""Orders and the id that makes sending one twice impossible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.orders import OrderKind, client_order_id
from tests.swarm_core.builders import make_order

ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
triples = st.tuples(ids, ids, st.integers(0, 10**6))


@given(first=triples, second=triples)
def test_two_ids_are_equal_exactly_where_their_intents_are(
    first: tuple[str, str, int], second: tuple[str, str, int]
) -> None:
    assert (client_order_id(*first) == client_order_id(*second)) == (first == second)


def test_the_id_never_changes_between_releases() -> None:
    assert client_order_id("d1", "US.A", 0) == "Ab97b16fee6136095a441ce0f"


@pytest.mark.parametrize(
    "parts", [("", "US.A", 0), ("d", "", 0), ("d\x1f", "US.A", 0), ("d", "US.A", -1)]
)
def test_an_id_of_unusable_parts_is_refused(parts: tuple[str, str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        client_order_id(*parts)


@pytest.mark.parametrize("lots", [0, -1, 10**12 + 1])
def test_an_order_must_be_for_a_possible_quantity(lots: int) -> None:
    with pytest.raises(ValueError, match=r"quantity_lots must be in 1\.\.1000000000000, was"):
        make_order(lots=lots)


def test_a_limit_order_needs_a_limit_and_a_market_order_has_none() -> None:
    with pytest.raises(ValueError, match="limit_price_ticks must be given exactly"):
        make_order(kind=OrderKind.LIMIT)
    with pytest.raises(ValueError, match="limit_price_ticks must be given exactly"):
        make_order(limit=5, kind=OrderKind.MARKET)
