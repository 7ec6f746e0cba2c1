"""Parts of a condition that may be applied before others."""

from collections.abc import Iterator, Sequence

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
        for part in _conjuncts(predicate)
        if part.meta.root_names() and set(part.meta.root_names()) <= names
    ]
    return pl.all_horizontal(kept) if len(kept) > 1 else next(iter(kept), None)


def _conjuncts(predicate: pl.Expr) -> Iterator[pl.Expr]:
    parts = predicate.meta.pop()
    if len(parts) == 2:
        for left, right in (parts, parts[::-1]):
            if (left & right).meta.eq(predicate):
                yield from _conjuncts(left)
                yield from _conjuncts(right)
                return
    yield predicate
