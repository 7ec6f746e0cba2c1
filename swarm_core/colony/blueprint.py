"""What settings and senses fix before the first bar: columns, market keys and first genomes."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.sense import CONSENSUS, CROWDING, MEMORY_RETURN, Derived, Genome, Sense
from swarm_core.colony.senses.registry import get_sense
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import MARKET_KEYS

Floats = NDArray[np.float64]
FROM_CONSENSUS, FROM_CROWDING, GIVEN = -1, -2, 0


@dataclass(frozen=True, eq=False)
class Blueprint:
    """The plan of a colony. Senses and scouts stand in one order, however they were listed."""

    senses: tuple[Sense, ...]
    genomes: tuple[tuple[int, Genome], ...]  # (place of the sense, genome)
    columns: tuple[str, ...]
    market_keys: tuple[str, ...]
    derived: Mapping[str, Derived]
    origin: NDArray[np.int64]  # [C] GIVEN, FROM_CONSENSUS, FROM_CROWDING, or bars looked back
    gain_range: Floats  # [S, 2]
    forecast_sense: int  # place of the model's sense, -1 where there is none


@lru_cache(maxsize=32)
def blueprint(settings: ColonySettings) -> Blueprint:
    """Return the plan for these settings.

    Raises ValueError where a sense is not known, two derive one column differently, a memory
    column looks back further than the memory, or there are more genomes than places.
    """
    senses = tuple(get_sense(name) for name in sorted(settings.senses))
    genomes = sorted(
        ((place, genome) for place, sense in enumerate(senses) for genome in sense.genomes),
        key=lambda pair: (pair[0], astuple(pair[1])),
    )
    if len(genomes) > settings.scouts_max:
        raise ValueError(
            f"scouts_max must hold the {len(genomes)} genomes of the senses, "
            f"was {settings.scouts_max}"
        )
    columns = tuple(sorted({name for sense in senses for name in sense.columns()}))
    gates = sorted({gate for sense in senses for gate in sense.gates()} - set(MARKET_KEYS))
    return Blueprint(
        senses=senses,
        genomes=tuple(genomes),
        columns=columns,
        market_keys=(*MARKET_KEYS, *gates),
        derived=_merge_derived(senses),
        origin=np.array([_origin(name, settings.memory_bars) for name in columns], np.int64),
        gain_range=np.array([sense.gain_range for sense in senses], np.float64),
        forecast_sense=next((s for s, x in enumerate(senses) if x.name == "model_forecast"), -1),
    )


def _merge_derived(senses: tuple[Sense, ...]) -> dict[str, Derived]:
    merged: dict[str, Derived] = {}
    for sense in senses:
        for name, derived in sense.derived.items():
            if merged.setdefault(name, derived) != derived:
                raise ValueError(f"column {name} must be derived once, was by {sense.name} again")
    return merged


def _origin(column: str, memory_bars: int) -> int:
    if column == CONSENSUS:
        return FROM_CONSENSUS
    if column == CROWDING:
        return FROM_CROWDING
    if not column.startswith(MEMORY_RETURN):
        return GIVEN
    bars = column.removeprefix(MEMORY_RETURN)
    if not bars.isdigit() or not 1 <= int(bars) < memory_bars:
        raise ValueError(f"{column} must look back 1 to {memory_bars - 1} bars, was {bars!r}")
    return int(bars)


def fill_columns(plan: Blueprint, features: Mapping[str, Floats], shape: tuple[int, ...]) -> Floats:
    """Return [C, *shape]: given and derived columns, NaN for all that is missing or not finite.

    The features must have the shape already; one bar and a panel of bars go through here alike.
    """
    out = np.full((len(plan.columns), *shape), np.nan)
    unknown = np.full(shape, np.nan)
    with np.errstate(all="ignore"):
        for place, name in enumerate(plan.columns):
            if plan.origin[place] != GIVEN:
                continue
            derived = plan.derived.get(name)
            if name in features:
                out[place] = features[name]
            elif derived is not None:
                inputs = [features.get(key, unknown) for key in derived.inputs]
                out[place] = derived.function(*inputs)
    # Sizes that a float32 cannot hold are no measurements either.
    # Both are false for NaN too: then look at each.
    if not (out.max(initial=0.0) < 1e30 and out.min(initial=0.0) > -1e30):
        out[~(np.abs(out) < 1e30)] = np.nan
    return out


def scout_name(sense: str, genome: tuple[str, int, float, float, str, str], identity: int) -> str:
    """Return a name that says what the scout does; `identity` keeps clones apart."""
    column, shape, gain, center, scale, gate = genome
    form = ("follow", "hump", "break")[shape]
    extras = "".join(
        part
        for part in (
            f" from {center:+.3g}" if center else "",
            f" x {scale}" if scale else "",
            f" if {gate}" if gate else "",
        )
    )
    return f"{sense}/{column} {form} {gain:+.3g}{extras} #{identity}"
