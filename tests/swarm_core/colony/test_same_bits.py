"""The same inputs give the same bits, on every interpreter and on every day after this one."""

import numpy as np

from swarm_core.colony import codec
from swarm_core.colony.engine import new_state
from swarm_core.colony.replay import Panel, run
from tests.swarm_core.colony.builders import make_panel, make_settings

# It changes only when what the colony computes is changed on purpose; then take the new value from
# Python 3.11, 3.12 and 3.13, which agree.
PINNED = "08750566a1d1ba64c65ecc875a8a11d08777a5976d8b4aea30e853e998ece78b"
# Under the settings of before memories were spared the cost, and drones replayed simple returns:
# who decided by them goes on as then.
BEFORE = {"cost_bps": 2.5, "memory_cost_part": 1.0}
QUEEN_BEFORE = {"budget_exact_enabled": False}
DRONE_BEFORE = {"simple_returns_enabled": False, "drift_weights_enabled": False}
PINNED_BEFORE = "ae50b0468c81f68dd2a7b4c4ad3ee3550ee0a4a0b63a9194f2b37559f5fa2d35"


def _exact_panel() -> Panel:
    """Return a panel made of exactly rounded operations and integers drawn by PCG64 alone."""
    rng = np.random.default_rng(11)
    shape = (80, 9)
    moves = rng.integers(-300, 301, shape) / 16_384.0
    prices = 100.0 * np.cumprod(1.0 + moves, axis=0)
    prices[rng.integers(0, 50, shape) == 0] = np.nan
    names = ("forecast", "donchian_20d", "mom_252d_21d_rank", "rev_5d_rank", "beta_63d")
    features = {name: rng.integers(-512, 513, shape) / 256.0 for name in names}
    vix = 20.0 + rng.integers(-64, 65, 80) / 16.0
    return make_panel(80, 9, prices=prices, features=features, market={"vix": vix})


def test_a_run_of_eighty_bars_leaves_the_pinned_state() -> None:
    settings, panel = make_settings(), _exact_panel()
    end, _ = run(settings, new_state(settings, panel.instrument_ids, 5), panel)
    assert end.scouts.births[0] > 0
    assert codec.digest(end) == PINNED


def test_a_colony_of_older_settings_leaves_the_state_that_it_left_then() -> None:
    then = {"horizons": [1, 5], "horizon_weights": [0.7, 0.3], **BEFORE}
    settings, panel = (
        make_settings(trust=then, queen=QUEEN_BEFORE, drone=DRONE_BEFORE),
        _exact_panel(),
    )
    end, _ = run(settings, new_state(settings, panel.instrument_ids, 5), panel)
    assert codec.digest(end) == PINNED_BEFORE
