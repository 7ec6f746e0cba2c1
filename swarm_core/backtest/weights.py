"""Which weights a backtest takes: both ways of walking bars refuse the same ones."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from swarm_core.backtest.bars import Bars
from swarm_core.sizing import WEIGHT_MAX


def check_weights(bars: Bars, weights: NDArray[np.float64]) -> None:
    """Raise ValueError where weights [T, N] do not fit the bars, or one of them does not hold."""
    if weights.shape != bars.market.close.shape:
        raise ValueError(
            f"weights must have the shape {bars.market.close.shape}, was {weights.shape}"
        )
    ids = [instrument.instrument_id for instrument in bars.instruments]
    fault = find_bad_weight(ids, bars.market.time_ns.tolist(), weights)
    if fault is not None:
        raise ValueError(fault)


def find_bad_weight(
    instrument_ids: Sequence[str], time_ns: Sequence[int], weights: NDArray[np.float64]
) -> str | None:
    """Return why weights [T, N] of NAV cannot be traded, None where they can.

    NaN leaves a holding alone; the first of the others that is infinite or beyond `WEIGHT_MAX` is
    named with its instrument and its time.
    """
    bad = np.argwhere(np.abs(weights) > WEIGHT_MAX)
    if not len(bad):
        return None
    t, i = (int(place) for place in bad[0])
    when = datetime.fromtimestamp(time_ns[t] // 10**9, UTC)
    return (
        f"weight of {instrument_ids[i]} at {when:%Y-%m-%d %H:%M:%S} UTC must be NaN or in "
        f"-{WEIGHT_MAX:g}..{WEIGHT_MAX:g} of NAV, was {float(weights[t, i]):g}"
    )
