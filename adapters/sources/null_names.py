"""Tickers that read like an empty cell: NA is a share, and what R writes for nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from adapters.sources.draft import Draft
from adapters.sources.file_names import ticker_of
from adapters.sources.mapping import DEFAULT_NULLS
from adapters.sources.mapping_entries import MappingError

_WORDS = frozenset(word for word in DEFAULT_NULLS if word.isalpha())
# An instrument has about as many rows as the others; cells that were left empty have not.
_SHARES = (0.5, 1.05)


def reads_as_null(symbols: Sequence[tuple[str, str | None]]) -> bool:
    """Return whether a symbol is a word that elsewhere stands for an empty cell."""
    return any(symbol in _WORDS for symbol, _ in symbols)


def null_names(rows: pl.DataFrame, columns: Mapping[str, str], relative: str) -> tuple[str, ...]:
    """Return the words for empty cells that are tickers in a file's column of symbols.

    They have about as many rows as the other symbols at the most, or the file is named for them.
    """
    column = columns.get("symbol")
    if column is None or rows.schema[column] != pl.String:
        return ()
    counts = dict(rows[column].drop_nulls().str.strip_chars().value_counts().iter_rows())
    words = sorted(_WORDS & counts.keys())
    others = [count for symbol, count in counts.items() if symbol not in _WORDS and symbol]
    if not others:
        return tuple(word for word in words if _named_for(relative) == word.upper())
    low, high = (share * max(others) for share in _SHARES)
    return tuple(word for word in words if low <= counts[word] <= high)


def with_null_names(drafts: Sequence[Draft]) -> list[Draft]:
    """Return the drafts with the words that are tickers in any of them: a ticker is one in all."""
    words = tuple(sorted({word for draft in drafts for word in draft.not_null}))
    return [replace(draft, not_null=words) if words else draft for draft in drafts]


def _named_for(relative: str) -> str | None:
    try:
        return ticker_of(relative)
    except MappingError:
        return None
