"""The report: what the book did, what the colony thought, and where everything is."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets.cleaning_checks import quarantine
from assets.desk import Desk
from assets.learning import realised_ic
from assets.pictures import picture
from assets.ports import ModelRegistry, Reporter, RowTiers, TableStore
from features.schemas_derived import DERIVED_TABLES

TIERED = (
    "nav",
    "positions",
    "decisions",
    "decision_contributions",
    "trails",
    "regimes",
    "orders",
    "fills",
)


@dg.asset(group_name="operations", deps=["tiers", "forecasts", "data_docs"], kinds={"plotly"})
def report(
    desk: dg.ResourceParam[Desk],
    tables: dg.ResourceParam[TableStore],
    rows: dg.ResourceParam[RowTiers],
    registry: dg.ResourceParam[ModelRegistry],
    reporter: dg.ResourceParam[Reporter],
) -> dg.MaterializeResult:
    """One self-contained HTML page: equity, exposures, senses, trails, orders, a lineage."""
    shown = {name: _rows_of(rows, name) for name in TIERED}
    shown["quarantine"] = quarantine(tables)
    shown["model_ic"] = realised_ic(desk, tables)
    version = registry.find_stage(desk.model_name, "champion")
    card: Mapping[str, Any] = registry.card(desk.model_name, version) if version is not None else {}
    facts = {
        "sessions": shown["nav"].height,
        "instruments": shown["decisions"]["instrument_id"].n_unique(),
        "champion": version,
    }
    path = reporter.write(
        shown,
        places=rows.places(),
        model=dict(card.get("metrics", {})),
        facts=facts,
    )
    pictures = {name: picture(png, name) for name, png in reporter.pictures(shown).items()}
    nav = shown["nav"].sort("session")
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.path(str(path)),
            "nav": float(nav["nav"][-1]) if nav.height else 0.0,
            "drawdown_fraction_max": float(nav["drawdown_fraction"].max() or 0.0),  # type: ignore[arg-type]  # a column of floats
            "orders": shown["orders"].height,
            "fills": shown["fills"].height,
            "quarantined": shown["quarantine"].height,
            **pictures,
        }
    )


def _rows_of(rows: RowTiers, table: str) -> pl.DataFrame:
    """Return the table; a book that was never in the market has no positions and no fills."""
    try:
        return rows.query(table)
    except KeyError:
        return DERIVED_TABLES[table].empty()
