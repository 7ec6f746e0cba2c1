"""How a colony begins, and how it takes in instruments and classes that it meets later."""

import dataclasses
from collections.abc import Sequence
from typing import cast

import numpy as np

from swarm_core.colony.blueprint import Blueprint, blueprint
from swarm_core.colony.bounds import check_unique
from swarm_core.colony.parameters import parameters
from swarm_core.colony.randomness import PURPOSE_TILT, normal
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.settings_castes import CHANNELS
from swarm_core.colony.state import (
    ACTIVE,
    EMPTY,
    REGIMES,
    Book,
    ColonyState,
    Field,
    Memory,
    Queen,
    Scouts,
    Trust,
)
from swarm_core.colony.tempo import found_tempo
from swarm_core.colony.trust import anchor_weights

_NURSERY = 8  # empty places beside the founders, as far as scouts_max allows
_TILT = 0.01  # what tells the memories apart before they have learned anything


def new_state(settings: ColonySettings, instrument_ids: Sequence[str], seed: int) -> ColonyState:
    """Return the state of a colony that has seen nothing yet.

    The instruments may be given in any order; more may come with later observations. Raises
    ValueError where the seed is not in 0 .. 2^63 - 1 or an instrument stands twice.
    """
    seed = _checked_seed(seed)
    check_unique("instrument_ids", instrument_ids)
    plan = blueprint(settings)
    n = len(instrument_ids)
    if n > settings.instruments_max:
        raise ValueError(f"instruments must be at most {settings.instruments_max}, were {n}")
    scouts = _found_scouts(settings, plan, n)
    regimes, senses = len(REGIMES), len(plan.senses)
    return ColonyState(
        settings_digest=settings.digest(),
        settings=settings.text(),
        seed=seed,
        steps=0,
        time_ns=0,
        instrument_ids=tuple(sorted(instrument_ids)),
        class_names=(),
        columns=plan.columns,
        market_keys=plan.market_keys,
        sense_names=tuple(sense.name for sense in plan.senses),
        memory=_found_memory(settings.memory_bars, n, len(plan.market_keys)),
        scouts=scouts,
        trust=_found_trust(settings, scouts, seed),
        queen=Queen(
            posterior=np.full(regimes, 1.0 / regimes),
            held=np.zeros(1, np.int64),
            sense_payoff=np.zeros((regimes, senses)),
            sense_weight=np.zeros((regimes, senses)),
            sense_square=np.zeros((regimes, senses)),
            sense_allocation=np.ones(senses),
            sense_conviction=np.zeros((senses, n)),
            class_payoff=np.zeros((regimes, 0)),
            class_weight=np.zeros((regimes, 0)),
            class_square=np.zeros((regimes, 0)),
            class_budget=np.ones(0),
        ),
        field=Field(trails=np.zeros((len(CHANNELS), n)), camps=np.zeros((2, n))),
        book=_found_book(settings, n),
    )


def _checked_seed(seed: object) -> int:
    if not (isinstance(seed, int | np.integer) and 0 <= seed < 2**63):
        raise ValueError(f"seed must be a whole number between 0 and 2^63 - 1, was {seed!r}")
    return int(cast(int, seed))


def _found_memory(bars: int, n: int, keys: int) -> Memory:
    return Memory(
        log_price=np.full((bars, n), np.nan),
        last_log_price=np.full(n, np.nan),
        sigma=np.full(n, 0.02),
        variance=np.full(n, np.nan),
        outcome=np.full(n, np.nan),
        market_moment=np.zeros(6),
        standard_mean=np.zeros(keys),
        standard_variance=np.zeros(keys),
        standard_weight=np.zeros(keys),
        market=np.full(keys, np.nan),
    )


def _found_book(settings: ColonySettings, n: int) -> Book:
    engagement = np.zeros(4)
    engagement[0] = parameters(settings).worker.engagement_prior_log_odds
    return Book(
        conviction=np.zeros(n),
        target=np.zeros(n),
        nav=np.zeros(3),
        engagement=engagement,
        drift=np.zeros(4),
        tail=np.zeros(2),
        edge=np.zeros(3),
        stake=np.ones(1),
        friction=np.zeros(2),
    )


def _found_scouts(settings: ColonySettings, plan: Blueprint, n: int) -> Scouts:
    founders = len(plan.genomes)
    nursery = _NURSERY if settings.lifecycle.enabled else 0
    places = min(settings.scouts_max, founders + nursery)
    column = {name: place for place, name in enumerate(plan.columns)}
    gate = {name: place for place, name in enumerate(plan.market_keys)}
    integers = {
        name: np.zeros(places, np.int64)
        for name in ("sense", "column", "shape", "born_step", "floor_bars")
    }
    scouts = Scouts(
        status=np.full(places, EMPTY, np.int64),
        identity=np.full(places, -1, np.int64),
        gain=np.ones(places),
        center=np.zeros(places),
        scale=np.full(places, -1, np.int64),
        gate=np.full(places, -1, np.int64),
        gate_gain=np.ones(places),
        gate_center=np.zeros(places),
        carried=np.zeros((len(settings.trust.horizons), places, n), np.float32),
        cost=np.zeros(places),
        births=np.array([founders], np.int64),
        **integers,
    )
    for k, (sense, genome) in enumerate(plan.genomes):
        scouts.status[k], scouts.identity[k], scouts.sense[k] = ACTIVE, k, sense
        scouts.column[k], scouts.shape[k] = column[genome.column], int(genome.shape)
        scouts.gain[k], scouts.center[k] = genome.gain, genome.center
        scouts.gate_gain[k], scouts.gate_center[k] = genome.gate_gain, genome.gate_center
        scouts.scale[k] = column[genome.scale] if genome.scale else -1
        scouts.gate[k] = gate[genome.gate] if genome.gate else -1
    return scouts


def _found_trust(settings: ColonySettings, scouts: Scouts, seed: int) -> Trust:
    places = scouts.status.shape[0]
    anchor = np.empty(places + 1)
    anchor_weights(scouts.status, settings.trust.idle_prior, anchor)
    learners = len(settings.trust.edges)
    slots = settings.trust.memory_slots
    candidates, rates = learners + 2 + slots, len(settings.trust.switch_rates)
    memory = np.tile(anchor, (slots, 1))
    for v in range(slots):
        for k in range(places):
            memory[v, k] *= max(1.0 + _TILT * normal(seed, 0, PURPOSE_TILT, v * 65_536 + k), 0.5)
        memory[v] /= memory[v].sum()
    return Trust(
        weight=anchor.copy(),
        payoff=np.zeros(places + 1),
        variance=np.zeros(places + 1),
        learner=np.tile(anchor, (learners, 1)),
        regime=np.tile(anchor, (len(REGIMES), 1)),
        memory=memory,
        memory_belief=np.full(slots, 1.0 / slots),
        candidate=first_belief(rates, candidates, slots),
        opposite=np.zeros(places + 1),
        succession=np.zeros((slots, slots)),
        excursion=np.zeros((2, slots)),
        tempo=found_tempo(),
        pooled=np.zeros(7),
    )


def first_belief(rates: int, candidates: int, slots: int) -> np.ndarray:
    """Return the belief [rates + 1, candidates] of a colony that has seen nothing.

    The last row is the semi-Markov filter's, which knows only the memories.
    """
    belief = np.full((rates + 1, candidates), 1.0 / ((rates + 1) * candidates))
    belief[-1] = 0.0
    belief[-1, -slots:] = 1.0 / ((rates + 1) * slots)
    return belief


def admit(
    state: ColonyState, instrument_ids: Sequence[str], class_names: Sequence[str], maximum: int
) -> ColonyState:
    """Return the state with the new instruments and asset classes taken in, in sorted order.

    Raises ValueError where there would be more than `maximum` instruments. The arrays are shared
    where nothing changes.
    """
    ids = tuple(sorted({*state.instrument_ids, *instrument_ids}))
    names = tuple(sorted({*state.class_names, *class_names}))
    if len(ids) > maximum:
        raise ValueError(f"instruments must be at most {maximum}, were {len(ids)}")
    if names != state.class_names:
        state = _with_classes(state, names)
    return _with_instruments(state, ids) if ids != state.instrument_ids else state


def _with_classes(state: ColonyState, names: tuple[str, ...]) -> ColonyState:
    at = [names.index(name) for name in state.class_names]
    q = state.queen

    def spread(values: np.ndarray, fill: float) -> np.ndarray:
        out = np.full((*values.shape[:-1], len(names)), fill)
        out[..., at] = values
        return out

    queen = q._replace(
        class_payoff=spread(q.class_payoff, 0.0),
        class_weight=spread(q.class_weight, 0.0),
        class_square=spread(q.class_square, 0.0),
        class_budget=spread(q.class_budget, 1.0),
    )
    return dataclasses.replace(state, class_names=names, queen=queen)


def _with_instruments(state: ColonyState, ids: tuple[str, ...]) -> ColonyState:
    place = {instrument_id: at for at, instrument_id in enumerate(ids)}
    at = [place[instrument_id] for instrument_id in state.instrument_ids]

    def spread(values: np.ndarray, fill: float = 0.0) -> np.ndarray:
        out = np.full((*values.shape[:-1], len(ids)), fill, values.dtype)
        out[..., at] = values
        return out

    m, s, b = state.memory, state.scouts, state.book
    return dataclasses.replace(
        state,
        instrument_ids=ids,
        memory=m._replace(
            log_price=spread(m.log_price, np.nan),
            last_log_price=spread(m.last_log_price, np.nan),
            sigma=spread(m.sigma, 0.02),
            variance=spread(m.variance, np.nan),
            outcome=spread(m.outcome, np.nan),
        ),
        scouts=s._replace(carried=spread(s.carried)),
        queen=state.queen._replace(sense_conviction=spread(state.queen.sense_conviction)),
        field=Field(trails=spread(state.field.trails), camps=spread(state.field.camps)),
        book=b._replace(conviction=spread(b.conviction), target=spread(b.target)),
    )
