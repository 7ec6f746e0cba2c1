"""The test kit of a sense: what every scout must keep, checked in one call.

    check_sense(SENSE)

raises AssertionError with one line that says what was broken and where. A tenant's test of a new
sense is that call.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.blueprint import Blueprint, blueprint, fill_columns
from swarm_core.colony.engine import new_state
from swarm_core.colony.replay import Panel, run
from swarm_core.colony.sense import CONSENSUS, CROWDING, Sense
from swarm_core.colony.senses.registry import register
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import EMPTY

Floats = NDArray[np.float64]
_DAY_NS = 86_400 * 10**9
_BARS, _INSTRUMENTS, _CUT = 40, 9, 25


def check_sense(sense: Sense, seed: int = 0) -> None:
    """Check bounds, abstention on NaN, truncation, and vectorised against scalar.

    Raises AssertionError where the sense breaks one of them, ValueError where its name is taken
    by another sense or it looks back further than the memory.
    """
    register(sense)
    # A sense of the colony itself needs another one to listen to.
    own = {CONSENSUS, CROWDING} >= set(sense.columns())
    names = [sense.name, "short_term_reversal"] if own else [sense.name]
    settings = ColonySettings.from_mapping(
        {"senses": names, "scouts_max": 4096, "lifecycle": {"enabled": False}}
    )
    plan = blueprint(settings)
    panel = random_panel(plan, seed)
    check_vectorised_equals_scalar(plan, panel)
    check_bounds(settings, panel)
    check_abstention(settings, panel)
    check_truncation(settings, panel)


def random_panel(plan: Blueprint, seed: int) -> Panel:
    """Return a panel with every input of the plan, heavy tails and holes included."""
    rng = np.random.default_rng(seed)
    shape = (_BARS, _INSTRUMENTS)
    inputs = {name for derived in plan.derived.values() for name in derived.inputs}
    names = sorted((set(plan.columns) | inputs) - set(plan.derived))
    features = {name: rng.standard_t(2.0, shape) for name in names}
    for values in features.values():
        values[rng.random(shape) < 0.1] = np.nan
        values[rng.random(shape) < 0.02] = np.inf
        values[rng.random(shape) < 0.02] = 0.0
    return Panel(
        time_ns=np.arange(1, _BARS + 1, dtype=np.int64) * _DAY_NS,
        instrument_ids=tuple(f"X{i}" for i in range(_INSTRUMENTS)),
        prices=np.exp(0.02 * np.cumsum(rng.standard_normal(shape), axis=0)),
        sigma=np.full(shape, 0.02),
        features=features,
        market={key: rng.standard_normal(_BARS) for key in plan.market_keys},
    )


def check_vectorised_equals_scalar(plan: Blueprint, panel: Panel) -> None:
    """The columns of a whole panel must have the bits of each bar's and each instrument's own."""
    whole = fill_columns(plan, panel.features, panel.prices.shape)
    for t in range(0, _BARS, 7):
        row = {name: values[t] for name, values in panel.features.items()}
        by_bar = fill_columns(plan, row, (_INSTRUMENTS,))
        _same(whole[:, t], by_bar, plan, f"bar {t}")
        for i in range(_INSTRUMENTS):
            alone = {name: values[i : i + 1] for name, values in row.items()}
            _same(whole[:, t, i : i + 1], fill_columns(plan, alone, (1,)), plan, f"bar {t}, {i}")


def _same(first: Floats, second: Floats, plan: Blueprint, where: str) -> None:
    for c, name in enumerate(plan.columns):
        same = np.array_equal(first[c], second[c], equal_nan=True)
        assert same, f"column {name} must not depend on the shape it is computed in, did at {where}"


def _convictions(settings: ColonySettings, panel: Panel) -> tuple[Floats, Floats]:
    """Return the scouts' convictions [K, N] after the last bar, and the colony's [T, N]."""
    state, records = run(settings, new_state(settings, panel.instrument_ids, 1), panel)
    living = state.scouts.status != EMPTY
    # With one horizon of one bar the carried position is the conviction itself.
    return np.asarray(state.scouts.carried[0][living], np.float64), records.conviction


def check_bounds(settings: ColonySettings, panel: Panel) -> None:
    """Every conviction must be a number in [-1, 1], and some scout must have one."""
    scouts, colony = _convictions(settings, panel)
    assert np.isfinite(scouts).all(), "convictions must be finite, were not"
    worst = max(np.abs(scouts).max(), np.abs(colony).max())
    assert worst <= 1.0, f"convictions must be within [-1, 1], reached {worst}"
    assert (scouts != 0.0).any(), "some scout must have a conviction on random inputs, none had"


def check_abstention(settings: ColonySettings, panel: Panel) -> None:
    """Without any feature or market value a scout may speak only from what the colony remembers.

    An instrument without a price must get no conviction at all.
    """
    blind = {name: np.full_like(values, np.nan) for name, values in panel.features.items()}
    prices = panel.prices.copy()
    prices[-1, 0] = np.nan
    market = {key: np.full(_BARS, np.nan) for key in panel.market}
    scouts, _ = _convictions(settings, replace(panel, features=blind, prices=prices, market=market))
    assert (scouts[:, 0] == 0.0).all(), "a scout must abstain where there is no price, did not"
    plan = blueprint(settings)
    for k, (_, genome) in enumerate(plan.genomes):
        given = plan.origin[plan.columns.index(genome.column)] == 0
        silent = not given or (scouts[k] == 0.0).all()
        assert silent, f"the scout of {genome.column} must abstain on NaN, did not"


def check_truncation(settings: ColonySettings, panel: Panel) -> None:
    """What is decided on a bar must not change when the bars after it are cut off."""
    short = replace(
        panel,
        time_ns=panel.time_ns[:_CUT],
        prices=panel.prices[:_CUT],
        sigma=panel.sigma[:_CUT],
        features={name: values[:_CUT] for name, values in panel.features.items()},
        market={name: values[:_CUT] for name, values in panel.market.items()},
    )
    whole, cut = _convictions(settings, panel)[1], _convictions(settings, short)[1]
    assert np.array_equal(whole[:_CUT], cut), "convictions must not look ahead, did"
