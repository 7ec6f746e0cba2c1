"""How the catalogue's features divide into feature views; no Feast needed to know it."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import polars as pl

from features.catalog import CATALOG

if TYPE_CHECKING:
    from features.store.on_demand import OnDemand

INSTRUMENT_KEY = "instrument_id"
MARKET_KEY = "market_id"
MARKET_ID = "GLOBAL"
TIME_COLUMNS = ("event_time", "knowledge_time", "as_of")
TRAINING_SERVICE = "training_v1"
DECISION_SERVICE = "decision_v1"
MARKET_SERVICE = "market_v1"

# Families whose values are one for the whole market, kept a second time under the market's key.
_MARKET_FAMILIES = ("macro",)
MARKET_VIEW = "market_state"


@cache
def families() -> Mapping[str, tuple[str, ...]]:
    """Return the feature names of each family, in the catalogue's order, by view name."""
    found: dict[str, list[str]] = {}
    for feature in CATALOG:
        found.setdefault(view_name(feature.family), []).append(feature.name)
    return {name: tuple(features) for name, features in found.items()}


def view_name(family: str) -> str:
    """Return the family as the name of a feature view: lower case, words joined by underscores."""
    return "_".join("".join(c if c.isalnum() else " " for c in family.lower()).split())


@cache
def feature_names() -> tuple[str, ...]:
    """Return every stored feature, in the order of the views."""
    return tuple(name for names in families().values() for name in names)


@cache
def market_features() -> tuple[str, ...]:
    """Return the features that describe the market and not one instrument."""
    return tuple(n for family in _MARKET_FAMILIES for n in families().get(family, ()))


def service_views(service: str) -> tuple[Mapping[str, tuple[str, ...]], tuple["OnDemand", ...]]:
    """Return a service's stored features by view, and its on-demand features.

    Raises KeyError for a service that is not defined.
    """
    # Imported here: it needs pandas, which whoever only writes rows does without.
    from features.store.on_demand import ON_DEMAND

    if service in (TRAINING_SERVICE, DECISION_SERVICE):
        return families(), ON_DEMAND
    if service == MARKET_SERVICE and market_features():
        return {MARKET_VIEW: market_features()}, ()
    known = (TRAINING_SERVICE, DECISION_SERVICE, MARKET_SERVICE)
    raise KeyError(f"service must be one of {known}, was {service}")


def market_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the market's own rows out of the instruments': one for each event and knowledge time.

    Where instruments disagree (they close at different hours) the first by name speaks.
    """
    return (
        rows.sort(INSTRUMENT_KEY)
        .unique(["event_time", "knowledge_time"], keep="first", maintain_order=True)
        .select(pl.lit(MARKET_ID).alias(MARKET_KEY), *TIME_COLUMNS, *market_features())
        .sort("event_time", "knowledge_time")
    )
