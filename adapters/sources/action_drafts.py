"""Files of splits and dividends: which columns say what, and the tables that they become."""

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from adapters.sources.column_names import plain_name
from adapters.sources.mapping import Condition, Field, MappingError, TimeField

# What a column says -> the kind of action and where its number stands.
MEASURE_OF = {"split_ratio": ("split", "ratio"), "dividend": ("dividend", "amount")}
# Names that say it only in a file that is called by its subject, or lies in a folder that is.
_BY_FILE = {
    "split_ratio": ("ratio", "factor", "split", "splits", "value"),
    "dividend": ("unadjustedvalue", "unadjusted_value", "amount", "distribution", "value", "cash"),
}
_SUBJECTS = {
    "split_ratio": re.compile(r"split", re.IGNORECASE),
    "dividend": re.compile(r"dividend|distribution|(?<![a-z])divs?(?![a-z])", re.IGNORECASE),
}
_NO_PAYMENT = re.compile(r"yield|growth|payout|index", re.IGNORECASE)  # series of a whole market
_OF_ACTIONS = re.compile(r"(?<![a-z])actions?(?![a-z])", re.IGNORECASE)
# A column of words, each the kind of its row, beside one of numbers, as in Sharadar's ACTIONS.
_KIND_COLUMNS = ("action", "event", "event_type", "action_type", "type", "kind")
_KIND_WORDS = {
    "split": (
        "split",
        "stock split",
        "stock_split",
        "stocksplit",
        "reverse split",
        "adrratiosplit",
    ),
    "dividend": ("dividend", "cash dividend", "cash_dividend", "cashdividend", "div"),
}
_NUMBER_COLUMNS = ("value", "amount", "ratio", "factor")
# A split in two columns: shares after it, and shares before it, as vendors name them.
_NEW_AND_OLD = (
    ("split_to", "split_from"), ("to_factor", "from_factor"), ("new_shares", "old_shares"),
    ("shares_after", "shares_before"), ("numerator", "denominator"),
)  # fmt: skip
# How "no payment", "no split" and "no quote" are written, one row for each bar.
NO_AMOUNT = ("", *(f"{0:.{places}f}" for places in range(9)), "NaN", "nan", "null")
_ONE = tuple(f"{1:.{places}f}" for places in range(9))
_NOTHING = {"split_ratio": (*NO_AMOUNT, *_ONE), "dividend": NO_AMOUNT}
_PAY_DATES = ("pay_date", "paydate", "paymentdate", "payment_date", "payable_date", "date_paid")
_MORNING = "05:00"  # before any exchange opens, and on no day of a year skipped by a clock


def with_actions(columns: dict[str, str], rows: pl.DataFrame, relative: str) -> dict[str, str]:
    """Add what a column means in a file of splits or dividends; return the same dict.

    Such a file may be named for its instrument (splits/AAPL.csv). Raises MappingError where it
    is of actions by its name, and no column says what they are.
    """
    if "close" in columns or "headline" in columns:
        return columns
    plain = {plain_name(name): name for name in rows.columns}
    if "symbol" in columns:
        columns |= _by_kind(plain, rows)
    if "symbol" in columns or not _NO_PAYMENT.search(relative):
        columns |= _by_path(plain, relative, columns)
    paid = next((plain[name] for name in _PAY_DATES if name in plain), None)
    if paid is not None:
        if columns.get("time") == paid and "dividend" in columns:
            raise MappingError(
                f"from which day on is a share without its dividend? {paid!r} says when it is "
                "paid, and no column is an ex_date;"
            )
        columns["end_time"] = paid
    return columns


def are_actions(columns: Mapping[str, str], relative: str) -> bool:
    """Return whether a file without prices tells of splits or payments.

    Either a column names whose they are, or the file is named for it below what it is called by.
    Raises MappingError where only its name speaks of them: as series they would be lost.
    """
    is_called = any(s.search(relative) for s in (_OF_ACTIONS, *_SUBJECTS.values()))
    if not columns.keys().isdisjoint(MEASURE_OF):
        return "symbol" in columns or is_called
    if is_called and "symbol" in columns and "series_id" not in columns:
        raise MappingError(
            "which of its columns tell the kind of an action (split, dividend) and its number?"
        )
    return False


def _by_path(plain: Mapping[str, str], relative: str, columns: Mapping[str, str]) -> dict[str, str]:
    """Return what columns mean that say it only below a path of splits or dividends."""
    found: dict[str, str] = {}
    for meaning, subject in _SUBJECTS.items():
        column = next((plain[name] for name in _BY_FILE[meaning] if name in plain), None)
        if subject.search(relative) and column is not None and meaning not in columns:
            found[meaning] = column
    if _SUBJECTS["split_ratio"].search(relative) and "split_ratio" not in {*columns, *found}:
        for new, old in _NEW_AND_OLD:
            if {new, old} <= plain.keys():
                return found | {"split_ratio": plain[new], "split_old": plain[old]}
    return found


def _by_kind(plain: Mapping[str, str], rows: pl.DataFrame) -> dict[str, str]:
    """Return the columns of a kind and of its number; empty where none tells kinds."""
    number = next((plain[name] for name in _NUMBER_COLUMNS if name in plain), None)
    known = [word for words in _KIND_WORDS.values() for word in words]
    for name in (plain[name] for name in _KIND_COLUMNS if name in plain):
        if number is None or rows.schema[name] != pl.String:
            continue
        if rows[name].str.strip_chars().str.to_lowercase().is_in(known).any():
            return {"kind": name, "split_ratio": number, "dividend": number}
    return {}


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
        where = (*entries.get("where", ()), Condition(column=column, not_in=nothing))
        if "kind" in columns:
            words = _KIND_WORDS[kind]
            written = (
                w for word in words for w in (word, word.upper(), word.title(), word.capitalize())
            )
            where += (Condition(column=columns["kind"], is_in=tuple(dict.fromkeys(written))),)
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
