"""The feature catalogue: every feature's name, formula and lookback, and how they are computed."""

from features.catalog.compute import compute, feature_schema
from features.catalog.feature import Feature, FeatureInputs
from features.catalog.registry import BY_NAME, CATALOG, FAMILIES, LOOKBACK_SESSIONS_MAX

__all__ = [
    "BY_NAME",
    "CATALOG",
    "FAMILIES",
    "LOOKBACK_SESSIONS_MAX",
    "Feature",
    "FeatureInputs",
    "compute",
    "feature_schema",
]
