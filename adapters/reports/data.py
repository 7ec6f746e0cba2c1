"""What a report is made of: the tables of a run, and a few facts about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from features.schemas import TableSchema
from features.schemas_derived import (
    DECISION_CONTRIBUTIONS,
    DECISIONS,
    FILLS,
    NAV,
    ORDERS,
    POSITIONS,
    QUARANTINE,
    REGIMES,
    TRAILS,
)

_TABLES: dict[str, TableSchema] = {
    "nav": NAV,
    "positions": POSITIONS,
    "decisions": DECISIONS,
    "contributions": DECISION_CONTRIBUTIONS,
    "trails": TRAILS,
    "regimes": REGIMES,
    "orders": ORDERS,
    "fills": FILLS,
    "quarantine": QUARANTINE,
}
_MODEL_IC: dict[str, pl.DataType] = {"session": pl.Date(), "ic": pl.Float64()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """The tables of features.schemas_derived, conformed to their schemas, each empty by default.

    `model_ic` has (session, ic): the rank correlation of forecasts and what came of them.
    `model` and `facts` are shown as they are, name and value. `places` is where tables lie
    (table, tier, rows, bytes), `lineage` a tree of adapters.stores.lineage as a dict.
    """

    generated_at: datetime
    title: str = "Apiary"
    base_currency: str = "USD"
    benchmark_name: str = "Benchmark"
    nav: pl.DataFrame = field(default_factory=NAV.empty)
    positions: pl.DataFrame = field(default_factory=POSITIONS.empty)
    decisions: pl.DataFrame = field(default_factory=DECISIONS.empty)
    contributions: pl.DataFrame = field(default_factory=DECISION_CONTRIBUTIONS.empty)
    trails: pl.DataFrame = field(default_factory=TRAILS.empty)
    regimes: pl.DataFrame = field(default_factory=REGIMES.empty)
    orders: pl.DataFrame = field(default_factory=ORDERS.empty)
    fills: pl.DataFrame = field(default_factory=FILLS.empty)
    quarantine: pl.DataFrame = field(default_factory=QUARANTINE.empty)
    model_ic: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_MODEL_IC))
    places: pl.DataFrame = field(default_factory=pl.DataFrame)
    model: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    lineage: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        if self.generated_at.tzinfo is None:
            raise ValueError(f"generated_at must carry a time zone, was {self.generated_at!r}")
        for name, schema in _TABLES.items():
            object.__setattr__(self, name, schema.conform(getattr(self, name)))
        missing = set(_MODEL_IC) - set(self.model_ic.columns)
        if missing:
            raise ValueError(f"model_ic must have the columns {sorted(missing)}")
