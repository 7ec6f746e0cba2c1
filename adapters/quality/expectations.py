"""What people read about each table: its expectations, as plain data for Great Expectations."""

from dataclasses import dataclass, field

from features.schemas import ACTION_KINDS, TABLES, TableSchema
from features.schemas_derived import DERIVED_TABLES


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation: its type in Great Expectations, and its arguments."""

    kind: str
    arguments: dict[str, object] = field(default_factory=dict)


def _not_less(column: str, other: str) -> Expectation:
    return Expectation(
        "expect_column_pair_values_a_to_be_greater_than_b",
        {
            "column_A": column,
            "column_B": other,
            "or_equal": True,
            "ignore_row_if": "either_value_is_missing",
        },
    )


def _between(
    column: str, low: float | None, high: float | None, mostly: float = 1.0
) -> Expectation:
    return Expectation(
        "expect_column_values_to_be_between",
        {"column": column, "min_value": low, "max_value": high, "mostly": mostly},
    )


def _in_set(column: str, values: tuple[str, ...]) -> Expectation:
    return Expectation(
        "expect_column_values_to_be_in_set", {"column": column, "value_set": list(values)}
    )


# The share of rows that a rule may stop before the suite is not met, as the native check blocks.
_STOPPED_SHARE_MAX = 0.05
# A range that a feed breaks by a hair is judged by the native rules; here it may hold mostly.
_VALUES: dict[str, tuple[Expectation, ...]] = {
    "bars": (
        _not_less("high", "low"),
        _between("volume", 0, None),
        _in_set("adjustment", ("raw", "split", "total_return")),
        _not_less("knowledge_time", "event_time"),
    ),
    "quotes": (
        _not_less("ask", "bid"),
        _between("bid_size", 0, None),
        _not_less("knowledge_time", "event_time"),
    ),
    "trades": (_between("size", 0, None), _not_less("knowledge_time", "event_time")),
    "corporate_actions": (
        _in_set("kind", ACTION_KINDS),
        _between("ratio", 0, None),
        _between("amount", 0, None),
    ),
    "news": (
        Expectation(
            "expect_column_value_lengths_to_be_between", {"column": "headline", "min_value": 1}
        ),
        _not_less("knowledge_time", "event_time"),
    ),
    "macro": (_not_less("knowledge_time", "event_time"),),
    "options": (
        _in_set("right", ("C", "P")),
        _between("strike", 0, None),
        _between("implied_volatility", 0, 8, 0.99),
        _between("delta", -1, 1),
    ),
    "fundamentals": (_not_less("knowledge_time", "event_time"),),
    "membership": (_not_less("end_time", "event_time"),),
    "features": (
        _not_less("as_of", "knowledge_time"),
        Expectation(
            "expect_compound_columns_to_be_unique",
            {"column_list": ["instrument_id", "event_time", "as_of"]},
        ),
    ),
    "forecasts": (_not_less("as_of", "knowledge_time"), _between("forecast", -10, 10)),
}


def table_expectations(table: str) -> tuple[Expectation, ...]:
    """Return the expectations of a table's rows: schema, nulls, values. KeyError if unknown."""
    schema: TableSchema = {**TABLES, **DERIVED_TABLES}[table]
    # One expectation over the set: several of one kind on the table itself replace each other.
    present = Expectation(
        "expect_table_columns_to_match_set",
        {"column_set": list(schema.required), "exact_match": False},
    )
    filled = (
        Expectation("expect_column_values_to_not_be_null", {"column": column})
        for column in schema.required
    )
    return (present, *filled, *_VALUES.get(table, ()))


def rule_expectations(rules: tuple[str, ...]) -> tuple[Expectation, ...]:
    """Return, for each native rule, how large a share of the table it may stop; no block at all."""
    shares = tuple(_between(rule, 0, _STOPPED_SHARE_MAX) for rule in rules)
    return (*shares, _between("blocking_reasons", 0, 0))
