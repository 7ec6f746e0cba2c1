"""What a strategy's function must give: weights that can be held, and some at least."""

import pytest

from models.experiments.fields import ExperimentError
from tests.models.experiments.known import Told, flat, run, share

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once
HEAD = """
import numpy as np

def weights(market):
    out = np.full(market.close.shape, np.nan)
    {line}
    return out
"""


def _run(line: str) -> Told:
    bars = {"A": flat(50, 8), "B": flat(20, 8)}
    source = HEAD.format(line=line)
    return run([share("A"), share("B")], bars, {"source": source, "function": "weights"})


@pytest.mark.parametrize("value", ["1e300", "-1e300", "np.inf", "-np.inf"])
def test_a_weight_that_cannot_be_held_is_named(value: str) -> None:
    with pytest.raises(ExperimentError) as error:
        _run(f"out[:, 0] = 0.5; out[3, 1] = {value}")
    shown = value.replace("np.", "").replace("e300", "e+300")
    assert str(error.value) == (
        "strategy.weights: weight of B at 2020-01-09 21:00:00 UTC must be NaN or in "
        f"-1000..1000 of NAV, was {shown}"
    )


def test_a_function_that_never_decides_is_refused() -> None:
    with pytest.raises(ExperimentError) as error:
        _run("out[:] = market.close / 0.0 * 0.0")
    assert str(error.value) == (
        "strategy.weights: weights must be finite at least once in window whole and its warm-up, "
        "were nan for A..B on all 8 sessions from 2020-01-06 to 2020-01-15"
    )


def test_a_function_may_wait_for_what_it_needs_to_know() -> None:
    told = _run("out[6] = 0.25")
    assert told.walked.turnover[:7].sum() == 0.0
    assert told.walked.held[7].tolist() == [0.25, 0.25]
