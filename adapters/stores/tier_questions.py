"""A question as it is put to the tiers: which rows and columns each of them is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from adapters.stores.plan_parts import all_of
from adapters.stores.segments import ColdRows, asked_condition

Between = tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows with between[0] <= event_time < between[1] of these instruments (None: of all).

    `schema` is that of all tiers together, `names` those of its columns that are needed, and
    `condition` what may be decided before the newest version of a record is chosen.
    """

    table: str
    between: Between
    ids: Sequence[str] | None
    schema: pl.Schema
    names: Sequence[str]
    condition: pl.Expr | None

    def narrowed(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the columns of the rows that the condition leaves; what a tier lacks is null."""
        if rows.collect_schema() != self.schema:
            empty = pl.LazyFrame(schema=self.schema)
            rows = pl.concat([empty, rows], how="diagonal_relaxed")
        rows = rows if self.condition is None else rows.filter(self.condition)
        return rows.select(self.names)

    def of_cold(self, view: ColdRows | None) -> pl.LazyFrame:
        """Return what is asked for of the cold tier; no rows where it has none."""
        if view is None:
            return pl.LazyFrame(schema=self.schema).select(self.names)
        span = asked_condition(*self.between, self.ids)
        if view.schema == self.schema:
            return view.rows(self.names, all_of([span, self.condition]))
        roots = [] if self.condition is None else self.condition.meta.root_names()
        return self.narrowed(
            view.rows([c for c in view.schema if c in {*self.names, *roots}], span)
        )


def joined(schemas: Sequence[pl.Schema]) -> pl.Schema | None:
    """Return the columns that any of these has, each of a type that holds them all."""
    first, *others = schemas or [None]
    if first is None or all(other == first for other in others):
        return first
    frames = [pl.LazyFrame(schema=schema) for schema in schemas]
    return pl.concat(frames, how="diagonal_relaxed").collect_schema()
