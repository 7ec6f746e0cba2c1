"""One live step: the pure function from state and observation to state and decision."""

import dataclasses
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony import founding
from swarm_core.colony.arithmetic import log
from swarm_core.colony.blueprint import Blueprint, blueprint, fill_columns
from swarm_core.colony.compiled import kernel
from swarm_core.colony.constraints import LimitProblem, LimitSolver
from swarm_core.colony.cycle import Bar, Hive, Output, Plan, after_limits, before_limits, run_cycle
from swarm_core.colony.decision import Decision
from swarm_core.colony.drones import CODES
from swarm_core.colony.observation import Observation, check_shape
from swarm_core.colony.parameters import Parameters, parameters
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ColonyState
from swarm_core.colony.verdict import decision_of

new_state = founding.new_state
Floats = NDArray[np.float64]
_NS = 1e-9
_UNLABELLED = ""


def step(
    settings: ColonySettings,
    state: ColonyState,
    observation: Observation,
    *,
    solver: LimitSolver | None = None,
    anomaly: Floats | None = None,
) -> tuple[ColonyState, Decision]:
    """Return the state after one bar and the decision taken on it; the state given is not changed.

    `solver` replaces the compiled limit solver. `anomaly` gives scores [N] in [0, 1] in the
    observation's order (swarm_core.colony.anomaly scores a bar). Raises ValueError where the
    settings are not the state's, the bar is not later than the last one or the scores are not N.
    """
    check_fits(settings, state, observation.time_ns)
    if anomaly is not None:
        check_shape("anomaly", anomaly, (len(observation.instrument_ids),))
    plan, numbers = blueprint(settings), parameters(settings)
    sectors = observation.sectors or (_UNLABELLED,) * len(observation.instrument_ids)
    before = state
    state = with_settings(settings, state)
    if not _knows(state, observation.instrument_ids, sectors):
        state = founding.admit(state, observation.instrument_ids, sectors, settings.instruments_max)
    order = order_of(state.instrument_ids, observation.instrument_ids)
    hive = copy_hive(state)
    bar = _bar_of(state, plan, observation, order, sectors, anomaly)
    out = empty_output(len(state.instrument_ids), len(state.scouts.status))
    if solver is None:
        run_cycle(hive, bar, kernel_plan(plan), numbers, limit_vector(numbers), out)
    else:
        before_limits(hive, bar, kernel_plan(plan), numbers, out)
        _solve(solver, hive, bar, numbers, out)
        after_limits(hive, bar, numbers, out)
    after = dataclasses.replace(
        state, steps=state.steps + 1, time_ns=observation.time_ns, **hive._asdict()
    )
    return after, decision_of(settings, before, after, observation, order, out)


def check_fits(settings: ColonySettings, state: ColonyState, time_ns: int) -> None:
    """Raise ValueError unless the settings made the state and the time moves on."""
    if _settings_digest(settings) != state.settings_digest:
        raise ValueError(
            f"settings must be those of the state ({state.settings_digest[:12]}), "
            f"were {_settings_digest(settings)[:12]}: give it those again, or carry it over with "
            "migration.migrate (`apiary colony apply` does)"
        )
    if state.steps > 0 and time_ns <= state.time_ns:
        raise ValueError(f"time_ns must be later than {state.time_ns}, was {time_ns}")


def with_settings(settings: ColonySettings, state: ColonyState) -> ColonyState:
    """Return the state with the text of its settings, which an older version did not keep."""
    return state if state.settings else dataclasses.replace(state, settings=settings.text())


_DIGESTS: dict[int, tuple[ColonySettings, str]] = {}
_DIGESTS_MAX = 64


def _settings_digest(settings: ColonySettings) -> str:
    # By identity: settings of 2 and of 2.0 are equal, and their canonical forms are not.
    found = _DIGESTS.get(id(settings))
    if found is None:
        if len(_DIGESTS) >= _DIGESTS_MAX:
            _DIGESTS.clear()
        found = _DIGESTS[id(settings)] = settings, settings.digest()
    return found[1]


def _knows(state: ColonyState, ids: tuple[str, ...], sectors: tuple[str, ...]) -> bool:
    return _contains(state.instrument_ids, ids) and _contains(state.class_names, sectors)


@lru_cache(maxsize=64)
def _contains(known: tuple[str, ...], asked: tuple[str, ...]) -> bool:
    return set(asked) <= set(known)


@lru_cache(maxsize=64)
def order_of(state_ids: tuple[str, ...], ids: tuple[str, ...]) -> NDArray[np.int64]:
    """Return [len(ids)]: where each observed instrument stands in the state."""
    place = {instrument_id: at for at, instrument_id in enumerate(state_ids)}
    order = np.array([place[instrument_id] for instrument_id in ids], np.int64)
    order.flags.writeable = False
    return order


@lru_cache(maxsize=64)
def labels_of(labels: tuple[str, ...], names: tuple[str, ...] | None) -> NDArray[np.int64]:
    """Return each label's place in `names`, or among the sorted labels where names is None."""
    known = names if names is not None else tuple(sorted(set(labels)))
    place = {name: at for at, name in enumerate(known)}
    return np.array([place[label] for label in labels], np.int64)


def copy_hive(state: ColonyState) -> Hive:
    """Return copies of the state's arrays for the kernels to change."""
    groups = (getattr(state, name) for name in Hive._fields)
    return Hive(*(type(group)(*(array.copy() for array in group)) for group in groups))


@lru_cache(maxsize=32)
def kernel_plan(plan: Blueprint) -> Plan:
    """Return what the kernels need of the blueprint."""
    return Plan(plan.origin, plan.gain_range, plan.forecast_sense)


def empty_output(n: int, places: int) -> Output:
    """Return room for one cycle's results."""
    return Output(
        conviction=np.zeros(n),
        desired=np.zeros(n),
        solved=np.zeros(n),
        target=np.zeros(n),
        threshold=np.zeros(n),
        probability=np.zeros(n),
        side=np.zeros(n),
        senses=np.zeros(n),
        band=np.zeros(n),
        tradable=np.zeros(n, np.bool_),
        held=np.full(n, -1, np.int64),
        reason=np.zeros(n, np.int64),
        standing=np.zeros(n),
        danger=np.zeros(n),
        measured=np.zeros(CODES),
        bound=np.zeros(CODES),
        scouts=np.zeros((places, n), np.float32),
        share=np.zeros(1),
    )


def _bar_of(
    state: ColonyState,
    plan: Blueprint,
    observation: Observation,
    order: NDArray[np.int64],
    sectors: tuple[str, ...],
    anomaly: Floats | None,
) -> Bar:
    n, asked = len(state.instrument_ids), len(order)

    same = state.instrument_ids == observation.instrument_ids

    def placed(values: Floats, fill: float) -> Floats:
        if same:
            # A copy: a kernel is compiled anew for an array that may not be written to.
            return np.array(values, np.float64)
        out = np.full(n, fill)
        out[order] = values
        return out

    group = np.zeros(n, np.int64)
    group[order] = labels_of(sectors, state.class_names)
    currency = np.zeros(n, np.int64)
    if observation.currencies:
        currency[order] = labels_of(observation.currencies, None)
    columns = fill_columns(plan, observation.features, (asked,))
    if not same:
        spread = np.full((len(plan.columns), n), np.nan)
        spread[:, order] = columns
        columns = spread
    market = np.array([observation.market.get(key) for key in plan.market_keys], np.float64)
    age = np.zeros(asked) if observation.data_age_s is None else observation.data_age_s
    return Bar(
        step=state.steps,
        seed=state.seed,
        elapsed_s=(observation.time_ns - state.time_ns) * _NS if state.steps else 0.0,
        nav=float(observation.nav),
        log_price=placed(log_prices(np.array(observation.prices, np.float64)), np.nan),
        sigma=placed(observation.sigma, np.nan),
        columns=columns,
        market=market,
        weights=placed(observation.weights, 0.0),
        # An age that nobody knows is no fresh one.
        age_s=placed(np.where(np.isnan(age), np.inf, age), 0.0),
        anomaly=placed(np.zeros(asked) if anomaly is None else np.nan_to_num(anomaly), 0.0),
        # A kernel is compiled anew for a whole number.
        traded=float(observation.traded),
        paid=float(observation.paid),
        sector=group,
        currency=currency,
    )


@kernel
def log_prices(prices: Floats) -> Floats:
    """Return log prices of any shape, NaN where a price is not a positive finite number."""
    out = np.full(prices.shape, np.nan)
    flat, given = out.ravel(), prices.ravel()
    for i in range(flat.shape[0]):
        if 0.0 < given[i] < np.inf:
            flat[i] = log(given[i])
    return flat.reshape(prices.shape)


def _solve(solver: LimitSolver, hive: Hive, bar: Bar, numbers: Parameters, out: Output) -> None:
    w = numbers.worker
    out.target[:] = solver.solve(
        LimitProblem(
            desired=out.desired.copy(),
            importance=hive.memory.sigma**2,
            sector=bar.sector,
            currency=bar.currency,
            gross_max=w.gross_max,
            net_max=w.net_max,
            name_max=w.name_max,
            sector_max=w.sector_max,
            currency_max=w.currency_max,
            standing=out.standing.copy(),
        )
    )


@lru_cache(maxsize=32)
def _limits(values: tuple[float, ...]) -> Floats:
    return np.array(values)


def limit_vector(numbers: Parameters) -> Floats:
    """Return (gross, net, name, sector, currency) as the compiled solver takes them."""
    w = numbers.worker
    return _limits((w.gross_max, w.net_max, w.name_max, w.sector_max, w.currency_max))
