"""Which sense earned what: a holding's earnings, shared as the conviction behind it was."""

import numpy as np

from swarm_core.backtest.bars import Floats

UNTOLD = "no sense"  # of a holding that no conviction stood behind
# Below this part of what the senses say against each other, their sum says nothing of a share.
_CLEAR_MIN = 0.1


def shares_of(sense_conviction: Floats, targets: Floats) -> Floats:
    """Return which part of each session's holding is each sense's, [T, S + 1, N].

    `sense_conviction` [T, S, N] adds up over the senses to the conviction at each decision, and
    `targets` [T, N] are the weights that were decided. A sense's share is its part of the
    conviction: one that spoke against the position has a share below zero, and earns where the
    position loses, as if each sense held a book of its own. Where nothing is wanted, or the
    senses all but cancel out, the shares of before stay, so that what is closed is told by what
    had opened it. Shares add up to one; the last row is of no sense. A decision is held from the
    session after it.
    """
    count, senses, n = sense_conviction.shape
    shares = np.zeros((count, senses + 1, n))
    now = np.zeros((senses + 1, n))
    now[-1] = 1.0
    for t in range(count):
        shares[t] = now
        said = np.nan_to_num(sense_conviction[t])
        total, loud = said.sum(axis=0), np.abs(said).sum(axis=0)
        wanted = np.isfinite(targets[t]) & (targets[t] != 0.0)
        clear = wanted & (np.abs(total) > _CLEAR_MIN * loud)
        now = now.copy()
        now[:-1, clear] = said[:, clear] / total[clear]
        now[-1, clear] = 0.0
    return shares


def earned_by_senses(sense_conviction: Floats, targets: Floats, contribution: Floats) -> Floats:
    """Return what each sense earned before costs, [T, S + 1], of what instruments did [T, N]."""
    shares = shares_of(sense_conviction, targets)
    return np.einsum("tsn,tn->ts", shares, np.nan_to_num(contribution))
