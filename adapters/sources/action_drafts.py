"""Files of splits and dividends: which columns say what, and the tables that they become."""

from collections.abc import Iterable, Mapping
from typing import Any

from adapters.sources.column_names import plain_name
from adapters.sources.mapping import Condition, Field, MappingError, TimeField

# What a column says -> the kind of action and where its number stands.
MEASURE_OF = {"split_ratio": ("split", "ratio"), "dividend": ("dividend", "amount")}
# Names that say it only in a file that is called by its subject.
_BY_FILE = {"split": ("split_ratio", ("ratio", "factor", "split")),
            "dividend": ("dividend", ("amount", "value", "cash"))}  # fmt: skip
# A split in two columns: shares after it, and shares before it, as vendors name them.
_NEW_AND_OLD = (
    ("split_to", "split_from"), ("to_factor", "from_factor"), ("new_shares", "old_shares"),
    ("shares_after", "shares_before"), ("numerator", "denominator"),
)  # fmt: skip
# How "no payment", "no split" and "no quote" are written, one row for each bar.
NO_AMOUNT = ("", *(f"{0:.{places}f}" for places in range(9)), "NaN", "nan", "null")
_ONE = tuple(f"{1:.{places}f}" for places in range(9))
_NOTHING = {"split_ratio": (*NO_AMOUNT, *_ONE), "dividend": NO_AMOUNT}
_PAY_DATES = ("pay_date", "paydate", "payment_date", "payable_date", "date_paid")
_MORNING = "05:00"  # before any exchange opens, and on no day of a year skipped by a clock


def with_actions(columns: dict[str, str], names: Iterable[str], relative: str) -> dict[str, str]:
    """Add what a column means in a file named splits or dividends; return the same dict."""
    if "close" in columns or "symbol" not in columns:
        return columns
    plain = {plain_name(name): name for name in names}
    for subject, (meaning, candidates) in _BY_FILE.items():
        column = next((plain[name] for name in candidates if name in plain), None)
        if subject in relative.lower() and column is not None:
            columns.setdefault(meaning, column)
    if "split" in relative.lower() and "split_ratio" not in columns:
        for new, old in _NEW_AND_OLD:
            if {new, old} <= plain.keys():
                columns |= {"split_ratio": plain[new], "split_old": plain[old]}
    paid = next((plain[name] for name in _PAY_DATES if name in plain), None)
    if paid is not None:
        if columns.get("time") == paid and "dividend" in columns:
            raise MappingError(
                f"from which day on is a share without its dividend? {paid!r} says when it is "
                "paid, and no column is an ex_date;"
            )
        columns["end_time"] = paid
    return columns


def action_entries(columns: Mapping[str, str], entries: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a table's entries for each kind of action that its columns tell of."""
    made: list[dict[str, Any]] = []
    for meaning, (kind, number) in MEASURE_OF.items():
        column = columns.get(meaning)
        if column is None:
            continue
        measure, nothing = Field(column=(column,)), _NOTHING[meaning]
        if kind == "split" and "split_old" in columns:
            measure = Field(template=f"{{{column}}}:{{{columns['split_old']}}}")
            nothing = NO_AMOUNT  # one new share for eight old ones is a split
        fields = {"kind": Field(constant=kind), number: measure}
        some = Condition(column=column, not_in=nothing)
        where = (*entries.get("where", ()), some)
        made.append(entries | {"columns": {**entries["columns"], **fields}, "where": where})
        if kind == "dividend" and "end_time" in columns:
            made[-1]["end_time"] = _day_of(columns["end_time"], entries["time"])
    return made


def _day_of(column: str, like: TimeField) -> TimeField:
    """Return the morning of another day of the same row, written as its time is."""
    return TimeField(
        column=(column,), format=like.format, take=like.take, zone=like.zone,
        stands_for="day", at=_MORNING,
    )  # fmt: skip
