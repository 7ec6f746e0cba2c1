"""Managed volatility: more of it when it is calm, less after it has been rough."""

import numpy as np

from swarm_core.colony.sense import Derived, Floats, Genome, Sense


def _calm(ratio: Floats) -> Floats:
    """Return 1 / ratio^2 clipped to [0, 1] (NaN stays): the weight of Moreira & Muir."""
    return np.minimum(1.0 / np.maximum(ratio * ratio, 1e-6), 1.0)


SENSE = Sense(
    name="managed_volatility",
    source="Moreira & Muir (2017), JF 72 (managed volatility); Frazzini & Pedersen (2014), JFE 111",
    derived={"calm": Derived(inputs=("vol_ratio_21d_126d",), function=_calm)},
    genomes=(
        # Long where the recent volatility is below the usual one: vol_ratio is about 1.
        Genome(column="vol_ratio_21d_126d", gain=-3.0, center=1.0),
        Genome(column="calm", gain=1.5, scale="calm"),
        # Low-risk names earn more for their risk than they should.
        Genome(column="vol_63d_rank", gain=-1.0),
        Genome(column="idio_vol_63d", gain=-1.0, scale="calm"),
    ),
)
