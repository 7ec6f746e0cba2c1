"""What a rule is: a name, the kinds it finds, where it applies, and one function."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl

from features.validation.context import CheckContext
from features.validation.view import TableView

Finder = Callable[[TableView, CheckContext], Iterable[pl.DataFrame]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """A rule that one row alone can break; all of a table's row rules run in one pass.

    `broken` is true (not null) where the row is bad; `reason` is the sentence, with its numbers.
    """

    name: str
    kind: str
    severity: str
    confidence: float
    tables: tuple[str, ...]
    broken: Callable[[CheckContext], pl.Expr]
    reason: Callable[[CheckContext], pl.Expr]
    text: str  # what it says, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRule:
    """A rule that needs other rows, or other tables, to judge."""

    name: str
    kinds: tuple[str, ...]
    severity: str  # the highest it gives
    tables: tuple[str, ...]
    find: Finder
    text: str


Rule = RowRule | TableRule
