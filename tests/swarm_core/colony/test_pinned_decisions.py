"""The colony's decisions to the bit, on record: the same on every Python and every machine."""

import hashlib

import numpy as np

from swarm_core.colony import codec
from swarm_core.colony.engine import new_state
from swarm_core.colony.replay import Panel, run
from tests.swarm_core.colony.builders import FEATURES, make_panel, make_settings

# What 60 bars of 12 instruments lead to. Another number means other decisions for everyone: change
# it only together with the rule that changed them, and say so in the commit.
WEIGHTS_SHA256 = "604f0581ad10bbc3f8349ffc9868d7badade9ef24aca54e3955f3491bb14bfe2"
STATE_DIGEST = "7dc6fb5ae8dd559a4694fc62be0ab618eda388be499495e1793c7711d4c4a39a"


def make_exact_panel(bars: int = 60, instruments: int = 12) -> Panel:
    """Return a panel made by exactly defined operations alone, of uniform random numbers."""
    rng = np.random.default_rng(20200102)
    shape = (bars, instruments)
    steps = 1.0 + 0.03 * (rng.random(shape) - 0.5)
    features = {name: 3.0 * (rng.random(shape) - 0.5) for name in FEATURES}
    return make_panel(
        bars,
        instruments,
        prices=100.0 * np.cumprod(steps, axis=0),
        features=features,
        market={"vix": 15.0 + 10.0 * rng.random(bars)},
    )


def test_decisions_have_the_bits_on_record() -> None:
    panel, settings = make_exact_panel(), make_settings()
    end, records = run(settings, new_state(settings, panel.instrument_ids, 3), panel)
    weights = hashlib.sha256(records.target_weights.tobytes()).hexdigest()
    assert np.abs(records.target_weights).sum() > 0.0
    assert (weights, codec.digest(end)) == (WEIGHTS_SHA256, STATE_DIGEST)
