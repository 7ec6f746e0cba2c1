"""Which senses there are: those of this folder, and those a tenant registers."""

from swarm_core.colony.sense import Sense
from swarm_core.colony.senses import (
    breakout,
    carry,
    cross_sectional_momentum,
    macro_regime,
    managed_volatility,
    mean_reversion,
    model_forecast,
    news_sentiment,
    options_flow,
    short_term_reversal,
    swarm,
    time_series_momentum,
)

_SENSES: dict[str, Sense] = {
    module.SENSE.name: module.SENSE
    for module in (
        breakout,
        carry,
        cross_sectional_momentum,
        macro_regime,
        managed_volatility,
        mean_reversion,
        model_forecast,
        news_sentiment,
        options_flow,
        short_term_reversal,
        swarm,
        time_series_momentum,
    )
}


def register(sense: Sense) -> Sense:
    """Make a sense known by its name; the same sense may be registered again, another may not.

    Raises ValueError where a different sense has the name.
    """
    present = _SENSES.setdefault(sense.name, sense)
    if present != sense:
        raise ValueError(f"sense {sense.name} must be registered once, was registered differently")
    return sense


def get_sense(name: str) -> Sense:
    """Return a sense. Raises ValueError where nobody registered it."""
    if name not in _SENSES:
        raise ValueError(f"sense must be one of {sorted(_SENSES)}, was {name!r}")
    return _SENSES[name]


def sense_names() -> tuple[str, ...]:
    """Return the names of all registered senses, sorted."""
    return tuple(sorted(_SENSES))
