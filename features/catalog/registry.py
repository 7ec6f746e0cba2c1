"""Every feature of the house, in order of family, and how a selection of them is resolved."""

from collections.abc import Sequence

from features.catalog import (
    calendar,
    cross_section,
    macro,
    momentum,
    returns,
    reversal,
    sentiment,
    trend,
    volatility,
    volume,
)
from features.catalog import (
    range as range_family,
)
from features.catalog.feature import Feature

CATALOG: tuple[Feature, ...] = (
    *returns.FEATURES,
    *momentum.FEATURES,
    *reversal.FEATURES,
    *volatility.FEATURES,
    *range_family.FEATURES,
    *trend.FEATURES,
    *volume.FEATURES,
    *cross_section.FEATURES,
    *calendar.FEATURES,
    *macro.FEATURES,
    *sentiment.FEATURES,
)

BY_NAME: dict[str, Feature] = {f.name: f for f in CATALOG}
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(f.family for f in CATALOG))
LOOKBACK_SESSIONS_MAX = max(f.lookback_sessions for f in CATALOG)

if len(BY_NAME) != len(CATALOG):
    raise ValueError("features must have distinct names")


def select(names: Sequence[str] | None) -> tuple[tuple[Feature, ...], tuple[Feature, ...]]:
    """Return the features of that name, and those with all that they need, in catalogue order."""
    if names is None:
        return CATALOG, CATALOG
    unknown = sorted(set(names) - set(BY_NAME))
    if unknown:
        raise ValueError(f"names must be of the catalogue, were {unknown}")
    chosen = tuple(BY_NAME[n] for n in dict.fromkeys(names))
    wanted = set(names) | {need for f in chosen for need in f.needs}
    return chosen, tuple(f for f in CATALOG if f.name in wanted)
