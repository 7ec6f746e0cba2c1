"""The Feast repository: what it registers, and that it says what the catalogue says."""

import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from adapters.stores.feast_loading import load_feast
from features.catalog import CATALOG
from features.store.families import families, feature_names, market_features, service_views
from features.store.on_demand import ON_DEMAND

_REPO = Path(__file__).parents[3] / "features" / "store"


def test_every_catalogued_feature_stands_in_the_view_of_its_family() -> None:
    assert sorted(feature_names()) == sorted(f.name for f in CATALOG)
    assert len(set(feature_names())) == len(feature_names())
    for feature in CATALOG:
        assert feature.name in families()[feature.family]


def test_training_and_decision_read_the_same_features() -> None:
    assert service_views("training_v1") == service_views("decision_v1")
    assert set(market_features()) <= set(feature_names())


def test_an_unknown_service_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match="was yesterday_v1"):
        service_views("yesterday_v1")


def test_on_demand_features_read_only_what_is_stored() -> None:
    assert len(ON_DEMAND) >= 2
    for feature in ON_DEMAND:
        assert set(feature.inputs) <= set(feature_names())
        assert feature.name not in feature_names()


@pytest.mark.parametrize("feature", ON_DEMAND, ids=lambda f: f.name)
def test_an_on_demand_formula_runs_from_its_source_text_alone(feature: object) -> None:
    """Feast runs the text from its registry, in a process that never imported our module."""
    load_feast()
    from feast.transformation.udf_rehydrate import rehydrate_udf_from_source

    inputs = pd.DataFrame({n: [2.0, np.nan, -1.0] for n in feature.inputs})
    rebuilt = rehydrate_udf_from_source(inspect.getsource(feature.transform))

    assert rebuilt is not None
    assert rebuilt is not feature.transform
    pd.testing.assert_frame_equal(rebuilt(inputs), feature.transform(inputs))


def test_momentum_without_volatility_is_not_known() -> None:
    (momentum,) = [f for f in ON_DEMAND if f.name == "mom_126d_per_vol_63d"]
    inputs = pd.DataFrame({"mom_126d": [0.2, 0.2, np.nan, 0.2], "vol_63d": [0.1, 0.0, 0.1, np.nan]})

    result = momentum.transform(inputs)[momentum.name]

    assert result[0] == pytest.approx(2.0)
    assert result[1:].isna().all()


def test_sentiment_is_scaled_by_turbulence() -> None:
    (sentiment,) = [f for f in ON_DEMAND if f.name == "news_sentiment_5d_x_vol_ratio"]
    inputs = pd.DataFrame({"news_sentiment_5d": [0.5, -0.5], "vol_ratio_21d_126d": [2.0, np.nan]})

    result = sentiment.transform(inputs)[sentiment.name]

    assert result[0] == 1.0
    assert np.isnan(result[1])


def test_the_repository_file_opens_with_feasts_own_loader() -> None:
    load_feast()
    from feast.repo_config import load_repo_config

    config = load_repo_config(_REPO, _REPO / "feature_store.yaml")

    assert config.project == "apiary"
    assert type(config.offline_store).__name__ == "PolarsOfflineStoreConfig"
    assert type(config.online_store).__name__ == "PackedOnlineStoreConfig"
    raw = yaml.safe_load((_REPO / "feature_store.yaml").read_text())
    registry = (_REPO / raw["registry"]).resolve()
    assert registry.parent == (_REPO / raw["offline_store"]["root"]).resolve()
    assert registry.parent == (_REPO / raw["online_store"]["path"]).resolve().parent


def test_feasts_own_apply_finds_every_object_that_ours_registers() -> None:
    """`feast apply` deletes what it does not find, so it must find all."""
    load_feast()
    from feast.repo_operations import parse_repo

    from features.store.definitions import feast_objects

    found = parse_repo(_REPO)

    parsed = [
        *found.projects,
        *found.entities,
        *found.data_sources,
        *found.feature_views,
        *found.on_demand_feature_views,
        *found.feature_services,
    ]
    ours = {(type(o).__name__, o.name) for o in feast_objects()}
    dummy = {("Entity", "__dummy")}
    assert {(type(o).__name__, o.name) for o in parsed} - dummy == ours
