"""Weights that no book could hold are refused, in the same words by both ways of walking bars."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from swarm_core.sizing import WEIGHT_MAX, find_fault
from tests.swarm_core.backtest.markets import make_bars, make_instruments, make_settings
from tests.swarm_core.backtest.stories import assert_same, compiled_story, stepwise_story


def _market() -> tuple[Any, Any, np.ndarray]:
    rng = np.random.default_rng(3)
    bars = make_bars(rng, make_instruments(rng, 3), 12)
    return bars, make_settings(rng), np.full(bars.market.close.shape, np.nan)


@pytest.mark.parametrize("value", [1e300, -1e300, np.inf, -np.inf, np.nextafter(WEIGHT_MAX, 2e3)])
def test_a_weight_out_of_bounds_is_refused_alike(value: float) -> None:
    bars, settings, weights = _market()
    weights[5, 1], weights[7, 0] = value, value
    stories: list[Callable[..., Any]] = [compiled_story, stepwise_story]
    told: list[str] = []
    for story in stories:
        with pytest.raises(ValueError, match="must be NaN or in") as error:
            story(bars, settings, lambda test, b: test.trade_weights(b, weights))
        told.append(str(error.value))
    assert told[0] == told[1]
    assert "\n" not in told[0]
    when = np.datetime64(int(bars.market.time_ns[5]), "ns").astype("datetime64[s]")
    for part in (bars.instruments[1].instrument_id, str(when).replace("T", " "), f"{value:g}"):
        assert part in told[0]


def test_the_largest_weight_and_bars_without_any_are_taken() -> None:
    bars, settings, weights = _market()
    weights[6, 0], weights[6, 2] = WEIGHT_MAX, -WEIGHT_MAX
    compiled = compiled_story(bars, settings, lambda test, b: test.trade_weights(b, weights))
    assert_same(
        compiled, stepwise_story(bars, settings, lambda test, b: test.trade_weights(b, weights))
    )


@pytest.mark.parametrize("value", [1e300, -1e300, np.inf, np.nan])
def test_a_live_decision_is_held_to_the_same_bound(value: float) -> None:
    decision: Any = SimpleNamespace(
        decision_id="d", time_ns=0, instrument_ids=("A", "B"), target_weights=(0.1, value)
    )
    fault = find_fault(decision)
    assert fault is not None
    assert "target weight of B must be" in fault
    decision.target_weights = (0.1, WEIGHT_MAX)
    assert find_fault(decision) is None
