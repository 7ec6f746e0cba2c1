"""Parts of a condition that may be applied before others."""

import operator
from collections.abc import Iterator, Sequence
from functools import reduce

import polars as pl


def pushable(predicate: pl.Expr | None, columns: Sequence[str]) -> pl.Expr | None:
    """Return those of the conditions joined by "and" that speak of these columns alone.

    None where there is none: rows that it refuses, the whole predicate refuses too.
    """
    if predicate is None:
        return None
    names = set(columns)
    kept = [
        part
        for part in conjuncts(predicate)
        if part.meta.root_names() and set(part.meta.root_names()) <= names
    ]
    return all_of(kept)


def all_of(conditions: Sequence[pl.Expr | None]) -> pl.Expr | None:
    """Return the conditions joined by "and"; None where there is none."""
    kept = [c for c in conditions if c is not None]
    return reduce(operator.and_, kept) if kept else None


def conjuncts(predicate: pl.Expr) -> Iterator[pl.Expr]:
    """Yield the conditions that are joined by "and"."""
    parts = predicate.meta.pop()
    if len(parts) == 2:
        for left, right in (parts, parts[::-1]):
            if (left & right).meta.eq(predicate):
                yield from conjuncts(left)
                yield from conjuncts(right)
                return
    yield predicate
