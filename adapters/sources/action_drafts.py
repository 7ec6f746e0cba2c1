"""Files of splits and dividends: which columns say what, and the tables that they become."""

from collections.abc import Iterable, Mapping
from typing import Any

from adapters.sources.column_names import plain_name
from adapters.sources.mapping import Condition, Field, TimeField

# What a column says -> the kind of action and where its number stands.
MEASURE_OF = {"split_ratio": ("split", "ratio"), "dividend": ("dividend", "amount")}
# Names that say it only in a file that is called by its subject.
_BY_FILE = {"split": ("split_ratio", ("ratio", "factor", "split")),
            "dividend": ("dividend", ("amount", "value", "cash"))}  # fmt: skip
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
    paid = next((plain[name] for name in _PAY_DATES if name in plain), None)
    if paid is not None:
        columns["end_time"] = paid
    return columns


def action_entries(columns: Mapping[str, str], entries: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a table's entries for each kind of action that its columns tell of."""
    made: list[dict[str, Any]] = []
    for meaning, (kind, number) in MEASURE_OF.items():
        column = columns.get(meaning)
        if column is None:
            continue
        fields = {"kind": Field(constant=kind), number: Field(column=(column,))}
        some = Condition(column=column, not_in=_NOTHING[meaning])
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
