"""The colony in the loop: its live cycle decides each bar on the book that the engine keeps."""

import numpy as np

from swarm_core.backtest import columns as c
from swarm_core.backtest.columns import Desk, Ints, Market, Tape
from swarm_core.backtest.exact import even_share, flag
from swarm_core.backtest.loop import stops_at
from swarm_core.backtest.order_kernel import trade_changes, wanted_weight
from swarm_core.colony.compiled import flat_kernel, kernel
from swarm_core.colony.cycle import Bar, Hive, Output, Plan, run_cycle
from swarm_core.colony.parameters import Parameters
from swarm_core.colony.replay import Floats, Log, Seen
from swarm_core.risk.kernel import POSITION


@flat_kernel
def _begin(
    desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, offset: int
) -> bool:  # fmt: skip
    return stops_at(desk, market, tape, rules, t, offset, desk.change.shape[0])


@flat_kernel
def weigh_book(desk: Desk, order: Ints, weights: Floats) -> None:
    """Write each position's value as a fraction of NAV, at its place in the colony's order."""
    nav = float(desk.state[c.NAV])
    for i in range(order.shape[0]):
        holding, lots = desk.holdings[i], desk.risks[i, POSITION]
        money = desk.money[holding[c.CASH_ROW]]
        value = lots * holding[c.MARK] * holding[c.LOT_TICK]
        if money[c.RATE_ABOVE] != money[c.RATE_BELOW]:
            value = even_share(value, money[c.RATE_ABOVE], money[c.RATE_BELOW])
        weights[order[i]] = float(value) / nav if nav > 0.0 else 0.0


@flat_kernel
def _note(log: Log, t: int, out: Output, hive: Hive, weights: Floats, nav: float) -> None:
    moved = 0.0
    for i in range(weights.shape[0]):
        log[0][t, i], log[1][t, i], log[2][t, i] = out.conviction[i], out.target[i], weights[i]
        moved += abs(out.target[i] - weights[i])
    log[3][t, 0], log[4][t, 0] = nav, moved
    for place in range(log[5].shape[1]):
        log[5][t, place] = hive.trust.weight[place]
        log[6][t, place] = hive.trust.payoff[place]
    for regime in range(log[7].shape[1]):
        log[7][t, regime] = hive.queen.posterior[regime]
    log[8][t, 0] = out.share[0]
    for bound in range(out.bound.shape[0]):
        log[9][t, 0] += out.bound[bound]
    count = weights.shape[0]
    for sense in range(hive.queen.sense_conviction.shape[0]):
        for i in range(count):
            log[10][t, sense * count + i] = hive.queen.sense_conviction[sense, i]


@flat_kernel
def _since_decided(desk: Desk, nav: float, before: Floats) -> tuple[float, float]:
    """Return what was traded since the last decision and what it cost, as fractions of NAV.

    Before the first decision of the run it is `before`[2]. What comes later counts anew.
    """
    state = desk.state
    traded, paid = before[0], before[1]
    if state[c.DECISIONS] > 0:
        traded, paid = float(state[c.TRADED]) / 1e8 / nav, float(state[c.SHORTFALL]) / 1e8 / nav
    state[c.TRADED], state[c.SHORTFALL] = 0, 0
    state[c.DECISIONS] += 1
    return traded, paid


@kernel
def trade_colony(
    desk: Desk, market: Market, tape: Tape, rules: Ints, start: int, offset: int, hive: Hive,
    plan: Plan, p: Parameters, limits: Floats, out: Output, seen: Seen, steps: int, seed: int,
    order: Ints, row: Ints, before: Floats, log: Log,
) -> int:  # fmt: skip
    """Let the colony decide at closes and trade its targets; return the bar it stopped before.

    `row`[t] is the bar of `seen` that is bar t of the market, -1 where nothing is decided; `order`
    says where each instrument of the market stands in the colony's state; `before`[2] is what was
    traded before the first decision of the run and what that cost, as fractions of NAV.
    """
    weights = np.zeros(seen.log_price.shape[1])
    for t in range(start, market.time_ns.shape[0]):
        if _begin(desk, market, tape, rules, t, offset):
            return t
        k = int(row[t])
        if k < 0:
            continue
        weights[:] = 0.0
        weigh_book(desk, order, weights)
        nav = float(desk.state[c.NAV]) / 1e8
        traded, paid = _since_decided(desk, nav, before)
        bar = Bar(
            steps + k, seed, seen.elapsed[k], nav, seen.log_price[k], seen.sigma[k],
            seen.columns[k], seen.market[k], weights.copy(), seen.age[k], seen.anomaly[k],
            traded, paid,
            seen.group, seen.currency,
        )  # fmt: skip
        run_cycle(hive, bar, plan, p, limits, out)
        _note(log, k, out, hive, weights, nav)
        for i in range(order.shape[0]):
            decided = float(out.target[order[i]])
            desk.weight[i] = wanted_weight(market, t, i, decided)
        trade_changes(desk, market, tape, rules, t, offset + t, flag(True))
    return market.time_ns.shape[0]
