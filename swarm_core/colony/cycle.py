"""One cycle of the colony in two kernels, before and after the limits are solved.

Live and backtest call exactly these two, by `run_cycle`; nothing else changes a state.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony import (
    band,
    constraints,
    drones,
    lifecycle,
    memory,
    purse,
    queen,
    recruitment,
    scouts,
    trails,
    workers,
)
from swarm_core.colony import trust as belief
from swarm_core.colony.compiled import kernel
from swarm_core.colony.parameters import DroneParameters, Parameters
from swarm_core.colony.state import DORMANT, Book, Field, Memory, Queen, Scouts, Trust

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Hive(NamedTuple):
    """The groups of a ColonyState, as kernels take them."""

    memory: Memory
    scouts: Scouts
    trust: Trust
    queen: Queen
    field: Field
    book: Book


class Bar(NamedTuple):
    """One observation in the state's order."""

    step: int
    seed: int
    elapsed_s: float
    nav: float
    log_price: Floats  # [N] NaN where there is no usable price
    sigma: Floats  # [N]
    columns: Floats  # [C, N]
    market: Floats  # [M]
    weights: Floats  # [N]
    age_s: Floats  # [N]
    anomaly: Floats  # [N] score in [0, 1]
    traded: float  # since the last bar, as a fraction of NAV; NaN where not known
    paid: float  # what that cost against the prices decided on, fees included; so too
    sector: Integers  # [N]
    currency: Integers  # [N]


class Plan(NamedTuple):
    """What the blueprint fixes, as kernels take it."""

    origin: Integers  # [C]
    gain_range: Floats  # [S, 2]
    forecast_sense: int


class Output(NamedTuple):
    """What one cycle found, for the decision and for the record of a backtest."""

    conviction: Floats  # [N]
    desired: Floats  # [N] before the limits and the no-trade band
    solved: Floats  # [N] after the limits, before the no-trade band
    target: Floats  # [N] after limits, band and vetoes
    threshold: Floats  # [N]
    probability: Floats  # [N]
    side: Floats  # [N] -1, 0 or 1
    senses: Floats  # [N] effective number of senses behind the decided side
    band: Floats  # [N]
    tradable: NDArray[np.bool_]  # [N]
    held: Integers  # [N] code of the veto that holds the instrument, -1 for none
    reason: Integers  # [N] place in verdict.REASONS: why it is traded or not
    standing: Floats  # [N] weight of what is held, 0 elsewhere
    danger: Floats  # [N]
    measured: Floats  # [CODES]
    bound: Floats  # [CODES]
    scouts: NDArray[np.float32]  # [K, N] each scout's conviction
    share: Floats  # [1] of the risk budget that the evidence allows


@kernel
def _learn(hive: Hive, bar: Bar, p: Parameters, out: Output) -> None:
    """Close the last bar: outcomes, payoffs, trust, the queen's credit and the engagement."""
    purse.earn(hive.book, hive.memory, bar.log_price)
    purse.hear_fills(hive.book, bar.traded, bar.paid, p.worker)
    memory.remember(
        hive.memory, bar.step, bar.log_price, bar.sigma, p.trust.outcome_clip,
        p.worker.sigma_min, p.worker.sigma_max, p.queen.market_keep,
    )  # fmt: skip
    outcome = hive.memory.outcome
    payoff = hive.trust.payoff
    out.measured[drones.DRIFT] = 0.0
    known = scouts.reward(hive.scouts, outcome, p.trust.horizon_weight, payoff)
    if known:
        workers.weigh_engagement(hive.book, outcome, p.worker, p.trust.variance_keep)
        belief.learn(
            hive.trust, hive.scouts.status, hive.scouts.cost, hive.queen.posterior, p.trust
        )
        queen.learn_allocation(
            hive.queen, outcome, hive.book.conviction, bar.sector, p.queen.bandit_keep
        )


@kernel
def _watch_forecast(hive: Hive, place: int, p: DroneParameters, out: Output) -> None:
    earned, count = 0.0, 0
    outcome = hive.memory.outcome
    if place >= 0:
        for i in range(outcome.shape[0]):
            if outcome[i] == outcome[i]:
                earned += hive.queen.sense_conviction[place, i] * outcome[i]
                count += 1
    earned = earned / count if count > 0 else 0.0
    out.measured[drones.DRIFT] = drones.watch_forecast(hive.book, earned, count > 0, p)


@kernel
def _sense(hive: Hive, bar: Bar, plan: Plan, p: Parameters, out: Output) -> None:
    """Let the scouts look, and weigh what they say."""
    n = bar.log_price.shape[0]
    columns = np.empty((bar.columns.shape[0], n), np.float32)
    row = np.empty(n)
    for c in range(columns.shape[0]):
        source = plan.origin[c]
        if source == 0:
            row[:] = bar.columns[c]
        elif source == -1:
            row[:] = hive.book.conviction
        elif source == -2:
            row[:] = hive.field.camps[0] - hive.field.camps[1]
        else:
            memory.memory_returns(hive.memory, bar.step, source, row)
        for i in range(n):
            columns[c, i] = row[i]
    inverse = np.empty(n)
    for i in range(n):
        out.tradable[i] = bar.log_price[i] == bar.log_price[i]
        inverse[i] = 1.0 / hive.memory.sigma[i] if out.tradable[i] else 0.0
    cost = p.trust.cost * purse.dearness(hive.book, p.worker)
    scouts.look(
        hive.scouts, columns, hive.memory.market, inverse, cost,
        p.trust.horizon_keep, p.trust.horizon_weight, out.scouts,
    )  # fmt: skip
    weight = hive.trust.weight
    for k in range(hive.scouts.status.shape[0]):
        asleep = hive.scouts.status[k] == DORMANT
        drifted = (
            p.drone.enabled
            and hive.scouts.sense[k] == plan.forecast_sense
            and out.measured[drones.DRIFT] > p.drone.drift_max
        )
        if asleep or drifted:
            weight[weight.shape[0] - 1] += weight[k]
            weight[k] = 0.0
    scouts.combine(hive.scouts, out.scouts, weight, hive.queen.sense_conviction, out.conviction)


@kernel
def _recruit(hive: Hive, bar: Bar, p: Parameters, out: Output) -> None:
    """Mark the trails, let the camps recruit, and read off each instrument's side.

    A sense marks with as many foragers as the queen gives it; conviction itself is left alone.
    """
    n = out.conviction.shape[0]
    recruited = np.zeros(n)
    for s in range(hive.queen.sense_conviction.shape[0]):
        share = hive.queen.sense_allocation[s]
        for i in range(n):
            recruited[i] += share * hive.queen.sense_conviction[s, i]
    if p.field.enabled:
        trails.evaporate(hive.field.trails, bar.elapsed_s, p.field.half_life_s)
    else:
        trails.forget(hive.field.trails)
    trails.deposit(
        hive.field.trails, recruited, hive.book.conviction, hive.memory.outcome, out.danger,
        p.field.deposit, p.field.tau_min, p.field.tau_max,
    )  # fmt: skip
    if not p.field.recruitment_enabled:
        for i in range(n):
            out.side[i] = (out.conviction[i] > 0.0) - (out.conviction[i] < 0.0)
            out.senses[i] = 1.0
        return
    quality = np.empty((2, n))
    for i in range(n):
        calm = 1.0 - 0.5 * min(hive.field.trails[trails.DANGER, i], 1.0)
        for a in range(2):
            quality[a, i] = (
                p.field.quality_floor + p.field.quality_gain * calm * hive.field.trails[a, i]
            )
    recruitment.recruit(
        hive.field.camps,
        quality[0],
        quality[1],
        p.field.inhibition,
        p.field.horizon,
        p.field.steps_min,
    )
    count = np.empty((2, n))
    recruitment.count_senses(hive.queen.sense_conviction, 1.0, count[0])
    recruitment.count_senses(hive.queen.sense_conviction, -1.0, count[1])
    for i in range(n):
        a, b = hive.field.camps[0, i], hive.field.camps[1, i]
        side = 0 if a > b else 1
        share = max(a, b)
        out.senses[i] = count[side, i]
        decided = a != b and share >= p.field.quorum and count[side, i] >= p.field.senses_min
        out.side[i] = (1.0 if side == 0 else -1.0) if decided else 0.0


@kernel
def before_limits(hive: Hive, bar: Bar, plan: Plan, p: Parameters, out: Output) -> None:
    """Run the cycle up to the desired weights, which go to the limit solver."""
    _learn(hive, bar, p, out)
    _watch_forecast(hive, plan.forecast_sense, p.drone, out)
    values = np.empty(hive.memory.market.shape[0])
    memory.measure_market(hive.memory, bar.market, values)
    memory.standardise(hive.memory, values, p.queen.standard_keep)
    queen.filter_regime(hive.queen, hive.memory.market, p.queen)
    if bar.step % p.queen.allocation_bars == 0:
        queen.allocate(hive.queen, bar.seed, bar.step, p.queen)
    if p.lifecycle.enabled:
        lifecycle.count_floor(hive.scouts, hive.trust)
        if bar.step > 0 and bar.step % p.lifecycle.review_bars == 0:
            lifecycle.review(
                hive.scouts, hive.trust, plan.gain_range, bar.seed, bar.step, p.lifecycle
            )
    belief.blend(hive.trust, hive.scouts.status, hive.queen.posterior, p.trust)
    _sense(hive, bar, plan, p, out)
    correlation = values[5] if values[5] == values[5] else 0.3
    limit = drones.limits_of(p.drone)
    drones.hold(
        bar.weights, hive.book.target, out.tradable, bar.anomaly, bar.age_s, limit,
        p.drone.enabled, out.held, out.standing,
    )  # fmt: skip
    drones.watch_book(hive.book, bar.weights, bar.nav, correlation, out.measured)
    out.danger[:] = 0.0
    if p.drone.enabled:
        out.measured[drones.VALUE_AT_RISK] = hive.book.tail[0]
        out.measured[drones.SHORTFALL] = hive.book.tail[1]
        drones.inhibit(
            out.measured, limit, bar.weights, bar.anomaly, bar.age_s, p.drone.inhibit_at, out.danger
        )
    _recruit(hive, bar, p, out)
    workers.engage(
        out.conviction, out.side, hive.field.trails, p.worker, out.threshold, out.probability
    )
    budget = np.empty(out.conviction.shape[0])
    for i in range(budget.shape[0]):
        budget[i] = hive.queen.class_budget[bar.sector[i]] if out.held[i] < 0 else 0.0
    idle = hive.trust.weight[hive.trust.weight.shape[0] - 1]
    proven = workers.engagement_share(hive.book, p.worker) * (1.0 - idle)
    out.share[0] = min(proven, purse.share_allowed(hive.book, p.worker))
    workers.size(
        out.conviction, out.probability, out.side, hive.memory.sigma, budget, correlation,
        out.share[0], p.worker, out.desired,
    )  # fmt: skip
    out.target[:] = out.desired


@kernel
def after_limits(hive: Hive, bar: Bar, p: Parameters, out: Output) -> None:
    """Keep what is not worth trading, let the drones bind out.target, and remember it.

    out.target comes in solved. The band may leave the book outside a limit that the solution
    kept, and a veto may take one side of a book that was balanced, so the limits are solved again;
    that shrinks what is too much and nothing else. What is held cannot be shrunk and uses up its
    part of every limit.
    """
    n = out.target.shape[0]
    for i in range(n):
        if not math.isfinite(out.target[i]):
            out.target[i] = 0.0
    out.solved[:] = out.target
    band.watch_edge(hive.book, out.conviction, hive.memory.outcome, p.trust.variance_keep)
    cost = purse.learned_cost(hive.book, p.worker)
    band.hold_inside_band(
        hive.book, out.conviction, bar.weights, hive.memory.sigma, out.tradable, cost,
        out.measured[drones.CORRELATION], p.worker, out.target, out.band,
    )  # fmt: skip
    limits = np.array(
        [p.worker.gross_max, p.worker.net_max, p.worker.name_max, p.worker.sector_max,
         p.worker.currency_max]
    )  # fmt: skip
    importance = np.empty(n)
    for i in range(n):
        importance[i] = hive.memory.sigma[i] * hive.memory.sigma[i]
    for i in range(n):
        out.target[i] = out.target[i] if out.held[i] < 0 else 0.0
    constraints.solve_limits(out.target, importance, bar.sector, bar.currency, limits, out.standing)
    square = 0.0
    for i in range(n):
        out.target[i] += out.standing[i]
        risk = out.target[i] * hive.memory.sigma[i]
        square += risk * risk
    measured, limit = out.measured, drones.limits_of(p.drone)
    tail = drones.tail_risk(hive.memory, bar.step, out.target, p.drone, math.sqrt(square))
    measured[drones.VALUE_AT_RISK], measured[drones.SHORTFALL] = tail
    hive.book.tail[0], hive.book.tail[1] = tail
    if drones.veto(
        hive.book, bar.weights, measured, limit, p.drone, out.held, out.target, out.bound
    ):
        for i in range(n):
            out.target[i] -= out.standing[i]
        constraints.solve_limits(
            out.target, importance, bar.sector, bar.currency, limits, out.standing
        )
        for i in range(n):
            out.target[i] += out.standing[i]
    workers.charge_engagement(
        hive.book, out.conviction, hive.memory.sigma, out.tradable, cost, p.worker,
        p.trust.variance_keep,
    )  # fmt: skip
    purse.charge(hive.book, bar.weights, out.target, cost)
    hive.book.conviction[:] = out.conviction
    hive.book.target[:] = out.target
    _give_reasons(bar.weights, p.field.senses_min, out)


@kernel
def run_cycle(
    hive: Hive, bar: Bar, plan: Plan, p: Parameters, limits: np.ndarray, out: Output
) -> None:
    """Run a whole cycle with the compiled solver; limits as `constraints.solve_limits` takes them.

    To hand these groups to a kernel costs Python 50 us, so a live step does it once.
    """
    before_limits(hive, bar, plan, p, out)
    constraints.solve_limits(
        out.target, hive.memory.sigma**2, bar.sector, bar.currency, limits, out.standing
    )
    after_limits(hive, bar, p, out)


@kernel
def _give_reasons(weights: np.ndarray, senses_min: float, out: Output) -> None:
    """Fill out.reason[N] with places in verdict.REASONS, which has the words.

    What is held by a veto is not traded, whatever its target says.
    """
    book_bound = False
    for c in range(drones.STALE):
        book_bound |= out.bound[c] > 0.0
    for i in range(weights.shape[0]):
        target, solved, side = out.target[i], out.solved[i], out.side[i]
        weight = target if out.held[i] >= 0 else weights[i]
        limited = abs(solved - out.desired[i]) > 1e-9
        if abs(target - weight) > 1e-12:
            if limited and abs(target) < abs(weight):
                reason = 7  # a limit reduces it
            elif side == 0.0:
                reason = 6  # no camp decided
            else:
                reason = 4 if side > 0.0 else 5  # long, short
        elif book_bound and abs(target - solved) > out.band[i] + 1e-9:
            reason = 8  # a veto binds the book
        elif limited and abs(solved - weight) <= 1e-12:
            reason = 9  # a limit binds
        elif side != 0.0:
            reason = 3 if out.share[0] > 0.0 else 10  # its cost, its odds
        elif out.conviction[i] == 0.0:
            reason = 0  # no conviction
        else:
            reason = 2 if out.senses[i] < senses_min else 1  # senses, quorum
        out.reason[i] = reason
