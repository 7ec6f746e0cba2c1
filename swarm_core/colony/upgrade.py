"""States of an older version of the binary form, brought up to what this one keeps."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.tempo import found_tempo


def trust_of_version_1(old: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Return the trust arrays with a contrary candidate and a semi-Markov filter that know nothing.

    Version 1 had candidate [Q, E] over learners, the queen's mixture and the memories. What it
    believed keeps its proportions; the newcomers get even shares, as in a colony just founded.
    """
    slots, size = old["memory"].shape
    rows, states = old["candidate"].shape
    first = states - slots
    belief = np.empty((rows + 1, states + 1))
    even = 1.0 / ((rows + 1) * (states + 1))
    kept = (1.0 - 1.0 / (rows + 1)) * (1.0 - 1.0 / (states + 1))
    belief[:-1, :first] = kept * np.asarray(old["candidate"][:, :first], np.float64)
    belief[:-1, first] = even
    belief[:-1, first + 1 :] = kept * np.asarray(old["candidate"][:, first:], np.float64)
    belief[-1] = 0.0
    belief[-1, -slots:] = 1.0 / ((rows + 1) * slots)
    return {
        **old,
        "candidate": belief,
        "opposite": np.zeros(size),
        "succession": np.zeros((slots, slots)),
        "excursion": np.zeros((2, slots)),
        "tempo": found_tempo(),
    }
