"""The compiled loop does what the objects do: every order, verdict, fill and minor unit."""

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from swarm_core.backtest.orders import OrderPlan
from swarm_core.frictions.auction_cutoffs import NO_CUTOFFS
from swarm_core.risk import kernel as k
from tests.swarm_core.backtest.markets import (
    NONE,
    make_bars,
    make_instruments,
    make_orders,
    make_settings,
)
from tests.swarm_core.backtest.stories import (
    Story,
    assert_same,
    compiled_story,
    stepwise_story,
    told_both_ways,
)

SEEDS = st.integers(0, 2**32 - 1)
slow = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def run_orders(seed: int) -> Story:
    rng = np.random.default_rng(seed)
    instruments = make_instruments(rng, int(rng.integers(1, 5)))
    bars, chosen = make_bars(rng, instruments, 60), make_settings(rng)
    orders = make_orders(rng, bars)
    return told_both_ways(bars, chosen, orders)


@slow
@given(SEEDS)
def test_orders_of_every_kind_give_the_same_events(seed: int) -> None:
    run_orders(seed)


@slow
@given(SEEDS)
@example(7446952)  # a roll and a target of the same bar send orders alike: two decisions, no repeat
def test_targets_in_lots_give_the_same_events(seed: int) -> None:
    rng = np.random.default_rng(seed)
    instruments = make_instruments(rng, int(rng.integers(1, 5)))
    bars, chosen = make_bars(rng, instruments, 60), make_settings(rng)
    lots = np.repeat(rng.integers(-40, 80, (12, len(instruments))), 5, axis=0)
    lots = np.where(rng.random(lots.shape) < 0.2, NONE, lots)
    compiled = compiled_story(bars, chosen, lambda test, b: test.trade_targets(b, lots))
    assert_same(compiled, stepwise_story(bars, chosen, lambda t, b: t.trade_targets(b, lots)))


@slow
@given(SEEDS)
def test_targets_in_weights_give_the_same_events(seed: int) -> None:
    rng = np.random.default_rng(seed)
    instruments = make_instruments(rng, int(rng.integers(1, 5)))
    bars, chosen = make_bars(rng, instruments, 40), make_settings(rng)
    weights = rng.normal(0.1, 0.15, (40, len(instruments)))
    weights = np.where(rng.random(weights.shape) < 0.2, 0.0, weights)
    weights = np.where(rng.random(weights.shape) < 0.2, np.nan, weights)
    weights[rng.random(40) < 0.3] = np.nan
    compiled = compiled_story(bars, chosen, lambda test, b: test.trade_weights(b, weights))
    assert_same(compiled, stepwise_story(bars, chosen, lambda t, b: t.trade_weights(b, weights)))


def test_limits_by_level_are_met_in_the_markets_drawn() -> None:
    """Without their levels a good part of the markets that have some go another way."""
    met = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        instruments = make_instruments(rng, int(rng.integers(1, 5)))
        bars, chosen = make_bars(rng, instruments, 60), make_settings(rng)
        plan = OrderPlan.of(make_orders(rng, bars), [i.instrument_id for i in instruments])
        flat = replace(chosen, limits=replace(chosen.limits, levels=()))
        with_levels, without = (
            compiled_story(bars, given, lambda test, b, p=plan: test.place_orders(b, p)).rows
            for given in (chosen, flat)
        )
        met += with_levels["orders"] != without["orders"]
    assert met >= 8


def test_the_markets_drawn_reach_most_of_what_can_happen() -> None:
    codes: Counter[int] = Counter()
    changes: Counter[int] = Counter()
    fills = makers = exchanged = charged = 0
    for seed in range(60):
        story = run_orders(seed)
        codes.update(row[9] for row in story.rows["orders"])
        changes.update(row[2] for row in story.rows["changes"])
        fills += len(story.rows["fills"])
        makers += sum(row[7] for row in story.rows["fills"])
        exchanged += sum(row[10] != 0 for row in story.rows["fills"])
        charged += sum(row[11] != 0 for row in story.rows["fills"])
    assert codes[k.APPROVED] > 300
    assert len(codes) >= 14, codes
    assert min(changes[what] for what in range(4)) > 20, changes
    assert fills > 300
    assert makers > 10
    assert exchanged > 40
    assert charged > 20


def test_cut_offs_are_met_in_the_markets_drawn() -> None:
    """Without them some of the orders for auctions are filled that were late, or at another one."""
    met = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        instruments = make_instruments(rng, int(rng.integers(1, 5)))
        bars, chosen = make_bars(rng, instruments, 60), make_settings(rng)
        plan = OrderPlan.of(make_orders(rng, bars), [i.instrument_id for i in instruments])
        never = replace(chosen, fills=replace(chosen.fills, cutoffs=NO_CUTOFFS))
        with_them, without = (
            compiled_story(bars, given, lambda test, b, p=plan: test.place_orders(b, p)).rows
            for given in (chosen, never)
        )
        met += with_them["fills"] != without["fills"]
    assert met >= 6
