"""What a feature is, and what its values are computed from."""

from dataclasses import dataclass, field
from typing import Literal

import polars as pl

Family = Literal[
    "returns",
    "momentum",
    "reversal",
    "volatility",
    "range",
    "trend",
    "volume",
    "cross_section",
    "calendar",
    "macro",
    "sentiment",
]

# The panel's sessions are trading days: annual figures count 252 of them.
SESSIONS_PER_YEAR = 252


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column of the feature table: its name, its formula, and what it reads.

    `expr` is evaluated on the panel of `features.catalog.panel`, one row per instrument and
    session; `lookback_sessions` is how many rows before its own it reads. `needs` names the
    features that must be computed first: what needs others compares their values at one moment,
    and reads no other row. `reference` gives author and year of the formula.
    """

    name: str
    family: Family
    formula: str
    lookback_sessions: int
    lag_sessions: int = 0
    source_tables: tuple[str, ...] = ("bars",)
    reference: str
    needs: tuple[str, ...] = ()
    expr: pl.Expr = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise ValueError(f"a feature's name must be a lower-case word, was {self.name!r}")
        if self.lookback_sessions < 0 or self.lag_sessions < 0:
            raise ValueError(f"lookback and lag of {self.name} must be 0 or more")

    @property
    def reads_market(self) -> bool:
        """Whether it reads a mean over all instruments: no instrument can be computed alone."""
        return "market_return" in self.expr.meta.root_names()

    @property
    def lag(self) -> int:
        """Return the lag in sessions between the newest bar read and the feature's own row."""
        return self.lag_sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureInputs:
    """The tables that features are computed from, all versions of every record included.

    `bars` holds one daily series per instrument (source and adjustment already chosen) with
    instrument_id, event_time, knowledge_time and close; open, high, low and volume may be null or
    absent. `macro` and `news` may be absent, and so may `instruments`, which no formula reads yet.
    """

    bars: pl.LazyFrame | pl.DataFrame
    macro: pl.LazyFrame | pl.DataFrame | None = None
    news: pl.LazyFrame | pl.DataFrame | None = None
    instruments: pl.LazyFrame | pl.DataFrame | None = None
