"""The content hash: equal rows hash equal everywhere, unequal rows do not."""

import struct
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.stores.content_hash import canonical_order, content_hash

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)

# Written down once: a change of polars, of the machine or of the code must not move it.
GOLDEN = "940f4ea6e3fbb5f50ec3bfa6d63197c342af027ea5638eb270f4bf964464f216"


def make_rows() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "event_time": [NOON, None],
            "name": ["Zürich", None],
            "close": [1.5, float("nan")],
            "lots": [-3, None],
            "open_now": [True, None],
            "day": [NOON.date(), None],
            "money": [Decimal("1.25"), None],
            "blob": [b"\x00\x01", None],
        },
        schema_overrides={"event_time": pl.Datetime("us", "UTC")},
    )


def test_the_hash_is_the_same_on_every_machine_and_version() -> None:
    assert content_hash(make_rows()) == GOLDEN


def test_the_bytes_hashed_are_those_that_are_documented() -> None:
    rows = pl.DataFrame({"x": [1, None], "a": ["é", "bc"]})
    text = b"|a|text|" + b"\x00\x00" + struct.pack("<qq", 2, 2) + "ébc".encode()
    numbers = b"|x|int|" + b"\x00\x01" + struct.pack("<qq", 1, 0)

    assert content_hash(rows) == sha256(b"frame/1|2" + text + numbers).hexdigest()


def test_columns_may_stand_in_any_order_but_rows_may_not() -> None:
    rows = make_rows()

    assert content_hash(rows.select(reversed(rows.columns))) == content_hash(rows)
    assert content_hash(rows.reverse()) != content_hash(rows)
    assert content_hash(canonical_order(rows.reverse())) == content_hash(canonical_order(rows))


def test_memory_layout_does_not_count() -> None:
    rows = make_rows()
    chunked = pl.concat([rows.head(1), rows.tail(1)], rechunk=False)
    narrow = rows.with_columns(pl.col("lots").cast(pl.Int16), pl.col("name").cast(pl.Categorical))

    assert content_hash(chunked) == content_hash(rows)
    assert content_hash(narrow) == content_hash(rows)
    assert content_hash(pl.concat([rows, rows]).slice(1, 2).reverse()) == content_hash(rows)


def test_values_that_compare_equal_hash_equal() -> None:
    zeros = [content_hash(pl.DataFrame({"x": [z]})) for z in (0.0, -0.0)]
    nans = [content_hash(pl.DataFrame({"x": [n]})) for n in (float("nan"), -float("nan"))]

    assert zeros[0] == zeros[1]
    assert nans[0] == nans[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": [None]}, {"x": [0]}),
        ({"x": [1]}, {"x": [1.0]}),
        ({"x": [1]}, {"x": [True]}),
        ({"x": ["ab", "c"]}, {"x": ["a", "bc"]}),
        ({"x": [""]}, {"x": [None]}),
        ({"x": [1]}, {"y": [1]}),
        ({"x": [1, 1]}, {"x": [1]}),
        ({"x": [1], "y": [2]}, {"x": [2], "y": [1]}),
        ({"x": ["1"]}, {"x": [Decimal(1)]}),
        ({"x": [b"a"]}, {"x": ["a"]}),
        ({"x": [NOON]}, {"x": [NOON.replace(tzinfo=None)]}),
    ],
)
def test_different_rows_hash_differently(one: dict[str, object], other: dict[str, object]) -> None:
    frames = [pl.DataFrame(d, strict=False) for d in (one, other)]

    assert content_hash(frames[0]) != content_hash(frames[1])


def test_nested_columns_are_refused() -> None:
    with pytest.raises(TypeError, match="flat type"):
        content_hash(pl.DataFrame({"x": [[1]]}))


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 3)),
            st.one_of(st.none(), st.floats(allow_nan=True, width=16)),
            st.one_of(st.none(), st.sampled_from(["", "a", "é"])),
        ),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_the_canonical_order_forgets_the_order_given(rows: list[tuple[object, ...]], rng) -> None:  # type: ignore[no-untyped-def]  # a hypothesis Random
    shuffled = list(rows)
    rng.shuffle(shuffled)
    schema = {"event_time": pl.Int64(), "x": pl.Float64(), "name": pl.String()}
    one, other = (pl.DataFrame(r, schema=schema, orient="row") for r in (rows, shuffled))

    assert content_hash(canonical_order(one)) == content_hash(canonical_order(other))
