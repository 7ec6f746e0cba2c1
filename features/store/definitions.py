"""Feast objects of the house: entities, sources, one view per family, on-demand views, services.

Feast imports every module below this folder by its bare name, so nothing here imports a neighbour
relatively and nothing runs but the building of objects.
"""

import inspect
from datetime import timedelta
from types import FunctionType
from typing import Any, cast

from feast import (
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    OnDemandFeatureView,
    Project,
    PushSource,
)
from feast.data_format import DeltaFormat
from feast.types import Float64
from feast.value_type import ValueType

from features.store.families import (
    DECISION_SERVICE,
    INSTRUMENT_KEY,
    MARKET_KEY,
    MARKET_SERVICE,
    MARKET_VIEW,
    TRAINING_SERVICE,
    families,
    market_features,
)
from features.store.on_demand import ON_DEMAND, OnDemand

# The longest closures of an exchange (Shanghai at New Year) span ten days; older is not current.
MAX_AGE = timedelta(days=14)

project = Project(name="apiary", description="Features of the colony's instruments and markets")

instrument = Entity(
    name="instrument",
    join_keys=[INSTRUMENT_KEY],
    value_type=ValueType.STRING,
    description="A tradable instrument, by the identity that never changes",
)
market = Entity(
    name="market",
    join_keys=[MARKET_KEY],
    value_type=ValueType.STRING,
    description="The market as a whole",
)


def _source(name: str, folder: str, description: str) -> FileSource:
    return FileSource(
        name=name,
        path=folder,
        file_format=DeltaFormat(),
        timestamp_field="event_time",
        created_timestamp_column="knowledge_time",
        description=description,
    )


instrument_features = _source(
    "instrument_features", "offline/instrument_features", "Catalogue features, one row a session"
)
market_source = _source(
    "market_features", "offline/market_features", "Market-wide features, one row a session"
)
instrument_push = PushSource(name="instrument_push", batch_source=instrument_features)


def _family_view(name: str, features: tuple[str, ...]) -> FeatureView:
    return FeatureView(
        name=name,
        entities=[instrument],
        ttl=MAX_AGE,
        schema=[Field(name=f, dtype=Float64) for f in features],
        source=instrument_push,
        description=f"The {name.replace('_', ' ')} family of the catalogue",
        tags={"family": name},
    )


family_views: tuple[FeatureView, ...] = tuple(_family_view(n, f) for n, f in families().items())

market_views: tuple[FeatureView, ...] = (
    (
        FeatureView(
            name=MARKET_VIEW,
            entities=[market],
            ttl=MAX_AGE,
            schema=[Field(name=f, dtype=Float64) for f in market_features()],
            source=market_source,
            description="What is true of the whole market",
        ),
    )
    if market_features()
    else ()
)


def _on_demand_view(feature: OnDemand) -> OnDemandFeatureView:
    inputs = {
        view.name: [f.name for f in view.features if f.name in feature.inputs]
        for view in family_views
    }
    udf = cast(FunctionType, feature.transform)
    # Feast leaves the type of a view's selection open; it is a projection of the view.
    sources: list[Any] = [view[inputs[view.name]] for view in family_views if inputs[view.name]]
    return OnDemandFeatureView(
        name=udf.__name__,
        sources=sources,
        schema=[Field(name=feature.name, dtype=Float64)],
        udf=udf,
        udf_string=inspect.getsource(udf),
        mode="pandas",
        description=feature.description,
    )


on_demand_views: tuple[OnDemandFeatureView, ...] = tuple(_on_demand_view(f) for f in ON_DEMAND)

training_v1 = FeatureService(
    name=TRAINING_SERVICE,
    features=[*family_views, *on_demand_views],
    description="Everything that a model may be trained on",
)
decision_v1 = FeatureService(
    name=DECISION_SERVICE,
    features=[*family_views, *on_demand_views],
    description="Everything that a decision reads: the same columns as the training set",
)
services: list[FeatureService] = [training_v1, decision_v1]
if market_views:
    market_v1 = FeatureService(name=MARKET_SERVICE, features=list(market_views))
    services.append(market_v1)


def feast_objects() -> list[object]:
    """Return everything to register, in the order in which Feast wants it."""
    return [
        project,
        instrument,
        market,
        instrument_features,
        market_source,
        instrument_push,
        *family_views,
        *market_views,
        *on_demand_views,
        *services,
    ]


# `feast apply` collects what it finds at the top of the module, one name an object, and deletes
# from the registry what it does not find.
globals().update({f"view_{v.name}": v for v in (*family_views, *market_views, *on_demand_views)})
globals().update({f"service_{s.name}": s for s in services})
