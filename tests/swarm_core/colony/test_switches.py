"""Every mechanism can be switched off, does something while it is on, and takes nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from swarm_core.colony.engine import new_state
from swarm_core.colony.parameters import parameters
from swarm_core.colony.replay import Panel, Records, run
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.workers import engagement_share
from tests.swarm_core.colony.builders import make_panel, make_settings

# A colony that trades from its first bar on, and whose markets repeat what pays.
EAGER: dict[str, object] = {
    "recruitment": {"quorum": 0.2},
    "worker": {
        "engagement_prior": 0.9,
        "engagement_stake": 0.5,
        "band_gain": 1.0,
        "cost_bps": 2.0,  # the panel charges more, which the fills tell
        "cost_prior_turnover": 1.0,
    },
    "drone": {"drawdown_max": 0.01, "inhibit_at": 0.1, "shortfall_max": 0.02, "drift_max": 0.8},
}
SWITCHES = [
    ("trust", "enabled"),
    ("trust", "contrary_enabled"),
    ("trust", "memory_enabled"),
    ("trust", "regime_enabled"),
    ("trust", "tempo_enabled"),
    ("queen", "regime_enabled"),
    ("queen", "allocation_enabled"),
    ("queen", "budget_exact_enabled"),
    ("lifecycle", "enabled"),
    ("trails", "enabled"),
    ("recruitment", "enabled"),
    ("worker", "threshold_enabled"),
    ("worker", "engagement_enabled"),
    ("worker", "volatility_target_enabled"),
    ("worker", "band_enabled"),
    ("worker", "cost_feedback_enabled"),
    ("drone", "enabled"),
    ("drone", "simple_returns_enabled"),
    ("drone", "drift_weights_enabled"),
]


def _panel() -> Panel:
    """Return a market in which the forecast is right, of every third instrument."""
    panel = make_panel(150, 6, seed=4)
    change = np.diff(np.log(panel.prices), axis=0, append=np.nan)
    told = np.nan_to_num(change / 0.01) + 0.3 * panel.features["forecast"]
    forecast = np.where(np.arange(6) % 3 == 0, told, panel.features["forecast"])
    return replace(panel, features={**panel.features, "forecast": forecast})


def _records(caste: str | None = None, name: str = "") -> Records:
    mapping = make_settings(**EAGER).to_mapping()
    if caste is not None:
        values = mapping[caste]
        assert isinstance(values, dict)
        values[name] = False
    settings, panel = ColonySettings.from_mapping(mapping), _panel()
    return run(settings, new_state(settings, panel.instrument_ids, 1), panel)[1]


@pytest.fixture(scope="module")
def whole() -> Records:
    return _records()


@pytest.mark.parametrize(("caste", "name"), SWITCHES)
def test_a_mechanism_that_is_switched_off_is_missed(whole: Records, caste: str, name: str) -> None:
    other = _records(caste, name)
    same_trust = np.array_equal(whole.trust, other.trust)
    assert not (same_trust and np.array_equal(whole.target_weights, other.target_weights))
    assert np.isfinite(other.target_weights).all()
    np.testing.assert_allclose(other.trust.sum(axis=1), 1.0, atol=1e-9)


def test_the_settings_have_no_switch_that_is_not_tried() -> None:
    found = {
        (caste, name)
        for caste, values in ColonySettings().to_mapping().items()
        if isinstance(values, dict)
        for name in values
        if name == "enabled" or name.endswith("_enabled")
    }
    assert found == set(SWITCHES)


@pytest.mark.parametrize(
    ("log_odds", "share"), [(-6.0, 0.0), (-0.01, 0.0), (0.0, 0.0), (np.log(3.0), 0.5), (6.0, 0.995)]
)
def test_nothing_is_risked_while_acting_is_less_likely_than_not_to_pay(
    log_odds: float, share: float
) -> None:
    settings = make_settings()
    book = new_state(settings, ("A",), 1).book
    book.engagement[0] = log_odds
    assert engagement_share(book, parameters(settings).worker) == pytest.approx(share, abs=1e-3)
