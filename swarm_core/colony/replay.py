"""The compiled backtest: the live cycle in a loop, on a panel of bars, with its own book."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony import founding
from swarm_core.colony.blueprint import blueprint, fill_columns
from swarm_core.colony.bounds import check_unique
from swarm_core.colony.compiled import kernel
from swarm_core.colony.cycle import Bar, Hive, Output, Plan, run_cycle
from swarm_core.colony.engine import (
    check_fits,
    copy_hive,
    empty_output,
    kernel_plan,
    labels_of,
    limit_vector,
    log_prices,
    order_of,
    with_settings,
)
from swarm_core.colony.observation import (
    check_labels,
    check_nav,
    check_number,
    check_shape,
    check_time_ns,
)
from swarm_core.colony.parameters import Parameters, parameters
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ColonyState

Floats = NDArray[np.float64]
_NS = 1e-9
_NAV_LEFT_MIN = 1e-6  # of NAV, on one bar: what loses more was stopped by its broker before
_CHANGE_MAX = 1e3  # a price a thousand times the last one is a bad print, and earns nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """T bars of N instruments; what is not known is NaN. The book starts with `nav` and `weights`.

    A target is filled at the close it was decided on, at `cost_bps` of what changes hands; a
    position whose price is missing stands still.
    """

    time_ns: NDArray[np.int64]  # [T], rising
    instrument_ids: tuple[str, ...]
    prices: Floats  # [T, N]
    sigma: Floats  # [T, N]
    features: Mapping[str, Floats] = field(default_factory=dict[str, Floats])  # each [T, N]
    market: Mapping[str, Floats] = field(default_factory=dict[str, Floats])  # each [T]
    sectors: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    data_age_s: Floats | None = None  # [T, N]
    anomaly: Floats | None = None  # [T, N]
    nav: float = 1.0
    cost_bps: float = 0.0
    weights: Floats | None = None  # [N] held when the first bar is seen; None: flat
    traded: float = float("nan")  # before the first bar, as Observation.traded and paid
    paid: float = float("nan")

    def __post_init__(self) -> None:
        shape = (len(self.time_ns), len(self.instrument_ids))
        check_unique("instrument_ids", self.instrument_ids)
        check_labels(self.instrument_ids, self.sectors, self.currencies)
        arrays = {"prices": self.prices, "sigma": self.sigma, **self.features}
        for name, values in {"data_age_s": self.data_age_s, "anomaly": self.anomaly}.items():
            arrays |= {} if values is None else {name: values}
        for name, values in arrays.items():
            check_shape(name, values, shape)
        if self.weights is not None:
            check_shape("weights", self.weights, shape[1:])
            if not np.isfinite(self.weights).all():
                raise ValueError("weights must be finite, were not")
        for name, values in self.market.items():
            check_shape(name, values, shape[:1])
        for time_ns in (*self.time_ns[:1], *self.time_ns[-1:]):
            check_time_ns(time_ns)
        # Compared, not subtracted: a difference of unsigned numbers is never negative.
        if shape[0] and not (self.time_ns[1:] > self.time_ns[:-1]).all():
            raise ValueError("time_ns must rise from bar to bar, did not")
        if not 0.0 <= self.cost_bps <= 10_000.0:
            raise ValueError(f"cost_bps must be between 0 and 10000, was {self.cost_bps}")
        check_nav(self.nav)
        check_number("traded", self.traded)
        check_number("paid", self.paid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What a run leaves behind, bar by bar, in the panel's instrument order."""

    conviction: Floats  # [T, N]
    target_weights: Floats  # [T, N]
    weights: Floats  # [T, N] held when the bar was seen
    nav: Floats  # [T] when the bar was seen, after costs
    turnover: Floats  # [T] sum of |change| of weights on the bar
    trust: Floats  # [T, K + 1] by place; the idle scout's last
    payoff: Floats  # [T, K + 1] that the scouts earned on the bar
    regime_posterior: Floats  # [T, Z]
    share: Floats  # [T] of the risk budget that was used
    vetoed: Floats  # [T] number of book vetoes
    sense_conviction: Floats  # [T, S, N] by sense; over the senses they add up to the conviction


def run(settings: ColonySettings, state: ColonyState, panel: Panel) -> tuple[ColonyState, Records]:
    """Return the state after the panel's T bars and the record of them.

    Gives the bits that T calls of engine.step give with the weights and NAV recorded here. Raises
    ValueError as step does.
    """
    ready = prepare(settings, state, panel)
    seen = ready.seen
    held = np.zeros(len(ready.state.instrument_ids))
    if panel.weights is not None:
        held[ready.order] = panel.weights
    replay_bars(
        ready.hive, ready.plan, ready.numbers, ready.limits, ready.out, ready.steps, ready.seed,
        float(panel.nav), panel.cost_bps * 1e-4, float(panel.traded), float(panel.paid),
        seen.elapsed, ready.prices, seen.log_price, seen.sigma,
        seen.columns, seen.market, seen.age, seen.anomaly, seen.group, seen.currency, held,
        ready.log,
    )  # fmt: skip
    return ready.after(), ready.records()


class Seen(NamedTuple):
    """What the colony sees of T bars, in the order of its state, as kernels take it."""

    elapsed: Floats  # [T]
    log_price: Floats  # [T, N]
    sigma: Floats  # [T, N]
    columns: Floats  # [T, C, N]
    market: Floats  # [T, M]
    age: Floats  # [T, N]
    anomaly: Floats  # [T, N]
    group: NDArray[np.int64]  # [N]
    currency: NDArray[np.int64]  # [N]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A colony and a panel laid out for a loop over the bars; the loop changes `hive` and `log`."""

    state: ColonyState
    times: NDArray[np.int64]
    order: NDArray[np.int64]  # [n] where each of the panel's instruments stands in the state
    hive: Hive
    plan: Plan
    numbers: Parameters
    limits: Floats
    out: Output
    seen: Seen
    prices: Floats  # [T, N]
    log: "Log"

    @property
    def steps(self) -> int:
        return self.state.steps

    @property
    def seed(self) -> int:
        return self.state.seed

    def after(self) -> ColonyState:
        """Return the state after the loop went over all bars."""
        last = int(self.times[-1]) if len(self.times) else self.state.time_ns
        steps = self.state.steps + len(self.times)
        return replace(self.state, steps=steps, time_ns=last, **self.hive._asdict())

    def records(self) -> Records:
        """Return the record of the bars in the panel's order."""
        return _records(self.log, self.order)


def prepare(settings: ColonySettings, state: ColonyState, panel: Panel) -> Prepared:
    """Return what a loop over the panel's bars needs; raises ValueError as step does."""
    t, n = panel.prices.shape
    if t:
        check_fits(settings, state, int(panel.time_ns[0]))
    sectors = panel.sectors or ("",) * n
    state = with_settings(settings, state)
    state = founding.admit(state, panel.instrument_ids, sectors, settings.instruments_max)
    plan, numbers = blueprint(settings), parameters(settings)
    order = order_of(state.instrument_ids, panel.instrument_ids)
    total, hive = len(state.instrument_ids), copy_hive(state)

    def placed(values: Floats | None, fill: float) -> Floats:
        out = np.full((t, total), fill)
        if values is not None:
            out[:, order] = values
        return out

    group, currency = np.zeros(total, np.int64), np.zeros(total, np.int64)
    group[order] = labels_of(sectors, state.class_names)
    if panel.currencies:
        currency[order] = labels_of(panel.currencies, None)
    columns = np.full((t, len(plan.columns), total), np.nan)
    columns[:, :, order] = fill_columns(plan, panel.features, (t, n)).transpose(1, 0, 2)
    unknown = np.full(t, np.nan)
    age = placed(panel.data_age_s, 0.0)
    elapsed = np.diff(panel.time_ns, prepend=state.time_ns) * _NS
    if t and state.steps == 0:
        elapsed[0] = 0.0
    seen = Seen(
        elapsed=elapsed,
        log_price=placed(log_prices(np.array(panel.prices, np.float64)), np.nan),
        sigma=placed(panel.sigma, np.nan),
        columns=columns,
        market=np.stack(
            [panel.market.get(key, unknown) for key in plan.market_keys], axis=1, dtype=np.float64
        ),
        age=np.where(np.isnan(age), np.inf, age),
        anomaly=np.nan_to_num(placed(panel.anomaly, 0.0)),
        group=group,
        currency=currency,
    )
    return Prepared(
        state, panel.time_ns, order, hive, kernel_plan(plan), numbers, limit_vector(numbers),
        empty_output(total, len(state.scouts.status)), seen, placed(panel.prices, np.nan),
        _empty_log(t, total, hive),
    )  # fmt: skip


Log = tuple[Floats, ...]  # one array for each field of Records, in the order of the state


def _empty_log(t: int, n: int, hive: Hive) -> tuple[Floats, ...]:
    widths = (n, n, n, 1, 1, hive.trust.weight.shape[0], hive.trust.weight.shape[0])
    senses = hive.queen.sense_conviction.size
    return tuple(np.zeros((t, w)) for w in (*widths, hive.queen.posterior.shape[0], 1, 1, senses))


def _records(log: tuple[Floats, ...], order: NDArray[np.int64]) -> Records:
    conviction, target, weights, nav, turnover, trust, payoff, regime, share, vetoed, told = log
    t, n = conviction.shape
    return Records(
        conviction=conviction[:, order],
        target_weights=target[:, order],
        weights=weights[:, order],
        nav=nav[:, 0],
        turnover=turnover[:, 0],
        trust=trust,
        payoff=payoff,
        regime_posterior=regime,
        share=share[:, 0],
        vetoed=vetoed[:, 0],
        sense_conviction=told.reshape(t, told.shape[1] // n if n else 0, n)[:, :, order],
    )


@kernel
def mark_to_market(weights: np.ndarray, price: np.ndarray, before: np.ndarray, nav: float) -> float:
    """Let weights[N] drift with the prices in place; return the new NAV.

    A price that is missing on either side, or a bad print, moves nothing. NAV keeps above a
    millionth of itself: what loses more has been stopped by its broker long before.
    """
    earned = 0.0
    for i in range(weights.shape[0]):
        if price[i] > 0.0 and before[i] > 0.0 and price[i] < np.inf and before[i] < np.inf:
            change = price[i] / before[i] - 1.0
            if change < _CHANGE_MAX:
                earned += weights[i] * change
                weights[i] *= 1.0 + change
    growth = max(1.0 + earned, _NAV_LEFT_MIN)
    for i in range(weights.shape[0]):
        weights[i] /= growth
    return nav * growth


@kernel
def replay_bars(
    hive: Hive,
    plan: Plan,
    p: Parameters,
    limits: np.ndarray,
    out: Output,
    steps: int,
    seed: int,
    nav: float,
    cost: float,
    traded: float,
    paid: float,
    elapsed: np.ndarray,
    prices: np.ndarray,
    log_price: np.ndarray,
    sigma: np.ndarray,
    columns: np.ndarray,
    market: np.ndarray,
    age: np.ndarray,
    anomaly: np.ndarray,
    group: np.ndarray,
    currency: np.ndarray,
    weights: np.ndarray,
    log: tuple[np.ndarray, ...],
) -> None:
    n = prices.shape[1]
    last = np.full(n, np.nan)
    for t in range(prices.shape[0]):
        nav = mark_to_market(weights, prices[t], last, nav)
        for i in range(n):
            if 0.0 < prices[t, i] < np.inf:
                last[i] = prices[t, i]
        bar = Bar(
            steps + t, seed, elapsed[t], nav, log_price[t], sigma[t], columns[t], market[t],
            weights.copy(), age[t], anomaly[t], traded, paid, group, currency,
        )  # fmt: skip
        run_cycle(hive, bar, plan, p, limits, out)
        log[0][t], log[1][t], log[2][t] = out.conviction, out.target, weights
        log[3][t, 0] = nav
        moved = 0.0
        for i in range(n):
            moved += abs(out.target[i] - weights[i])
            weights[i] = out.target[i]
        nav *= max(1.0 - cost * moved, _NAV_LEFT_MIN)
        traded, paid = moved, cost * moved
        log[4][t, 0] = moved
        log[5][t], log[6][t] = hive.trust.weight, hive.trust.payoff
        log[7][t] = hive.queen.posterior
        log[8][t, 0] = out.share[0]
        log[9][t, 0] = out.bound.sum()
        log[10][t] = hive.queen.sense_conviction.ravel()
