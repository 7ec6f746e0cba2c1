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


def queen_of_version_2(old: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Return the queen's arrays with a bandit that begins anew: it counts rewards in other units.

    Version 2 credited a class with money and kept no squares, which shrinkage needs.
    """
    names = ("payoff", "weight", "square")
    senses = {f"sense_{name}": np.zeros_like(old["sense_payoff"]) for name in names}
    classes = {f"class_{name}": np.zeros_like(old["class_payoff"]) for name in names}
    even = {name: np.ones_like(old[name]) for name in ("sense_allocation", "class_budget")}
    return {**old, **senses, **classes, **even}


def book_of_version_2(old: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Return the book's arrays with a purse that has earned nothing and heard of no fill."""
    return {**old, "stake": np.ones(1), "friction": np.zeros(2)}
