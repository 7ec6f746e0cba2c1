"""Settings as the kernels see them: flat named tuples of numbers, rates already per bar."""

import dataclasses
from functools import lru_cache
from statistics import NormalDist
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.arithmetic import exp, log
from swarm_core.colony.settings import ColonySettings

Floats = NDArray[np.float64]
Group = TypeVar("Group", bound=tuple[object, ...])
_LN2 = 0.6931471805599453


def decay(half_life: float) -> float:
    """Return 2^(-1 / half_life), the share kept after one unit."""
    return exp(-_LN2 / half_life)


class TrustParameters(NamedTuple):
    enabled: bool
    memory_enabled: bool
    regime_enabled: bool
    tempo_enabled: bool
    contrary_enabled: bool
    edge: Floats  # [J]
    share: Floats  # [J]
    horizon_keep: Floats  # [H] 1 - 1 / horizon: what a carried position keeps each bar
    horizon_weight: Floats  # [H] sums to one
    switch_rate: Floats  # [Q]
    memory_switch_rate: float
    idle_prior: float
    cost: float  # per unit of turnover, as a fraction
    memory_cost_part: float
    outcome_clip: float
    variance_keep: float


class QueenParameters(NamedTuple):
    regime_enabled: bool
    stay: float
    evidence: float
    hysteresis: float
    market_keep: float
    standard_keep: float
    allocation_enabled: bool
    allocation_bars: int
    bandit_keep: float
    budget_min: float
    budget_max: float
    budget_exact: bool


class FieldParameters(NamedTuple):
    enabled: bool
    half_life_s: Floats  # [5]
    tau_min: float
    tau_max: float
    deposit: float
    recruitment_enabled: bool
    inhibition: float
    quality_floor: float
    quality_gain: float
    quorum: float
    senses_min: float
    horizon: float
    steps_min: int


class WorkerParameters(NamedTuple):
    threshold_enabled: bool
    threshold: float
    threshold_gain: float
    engagement_enabled: bool
    engagement_prior_log_odds: float
    engagement_edge: float
    stake: float
    target_enabled: bool
    sigma_target: float  # of the book, one bar
    band_enabled: bool
    band_gain: float
    cost: float
    cost_learned: bool
    cost_prior_turnover: float
    friction_keep: float
    gross_max: float
    net_max: float
    name_max: float
    sector_max: float
    currency_max: float
    long_only: bool
    sigma_min: float
    sigma_max: float


class DroneParameters(NamedTuple):
    enabled: bool
    inhibit_at: float
    drawdown_max: float
    release_at: float
    var_max: float
    shortfall_max: float
    tail_level: float
    normal_var: float  # of the normal law at that level, in standard deviations
    normal_shortfall: float
    gross_max: float
    concentration_max: float
    correlation_max: float
    data_age_max_s: float
    anomaly_max: float
    drift_max: float
    simple_returns: bool
    drift_weights: bool


class LifecycleParameters(NamedTuple):
    enabled: bool
    review_bars: int
    dormant_after_bars: int
    dead_after_bars: int
    births_per_review: int
    mutation: float


class Parameters(NamedTuple):
    trust: TrustParameters
    queen: QueenParameters
    field: FieldParameters
    worker: WorkerParameters
    drone: DroneParameters
    lifecycle: LifecycleParameters


@lru_cache(maxsize=64)
def parameters(settings: ColonySettings) -> Parameters:
    """Return the numbers the kernels need; computed once for each settings object."""
    lifecycle = LifecycleParameters(**dataclasses.asdict(settings.lifecycle))
    return Parameters(
        trust=_as_declared(_trust(settings)),
        queen=_as_declared(_queen(settings)),
        field=_as_declared(_field(settings)),
        worker=_as_declared(_worker(settings)),
        drone=_as_declared(_drone(settings)),
        lifecycle=_as_declared(lifecycle),
    )


def _as_declared(group: Group) -> Group:
    """Return the group with a float wherever one is declared.

    A file may well say `gross_max: 2`, and every kernel would be compiled anew for a whole number.
    """
    kinds = type(group).__annotations__
    floats = {name: float(getattr(group, name)) for name, kind in kinds.items() if kind is float}
    return cast(Group, cast(Any, group)._replace(**floats))


def _trust(settings: ColonySettings) -> TrustParameters:
    t = settings.trust
    total = sum(t.horizon_weights) or 1.0
    return TrustParameters(
        enabled=t.enabled,
        memory_enabled=t.memory_enabled,
        regime_enabled=t.regime_enabled,
        tempo_enabled=t.tempo_enabled and t.memory_enabled,
        contrary_enabled=t.contrary_enabled,
        edge=np.array(t.edges, dtype=np.float64),
        share=np.array(t.shares, dtype=np.float64),
        horizon_keep=np.array([1.0 - 1.0 / h for h in t.horizons]),
        horizon_weight=np.array([w / total for w in t.horizon_weights]),
        switch_rate=np.array(t.switch_rates, dtype=np.float64),
        memory_switch_rate=t.memory_switch_rate,
        idle_prior=t.idle_prior,
        cost=t.cost_bps * 1e-4,
        memory_cost_part=t.memory_cost_part,
        outcome_clip=t.outcome_clip,
        variance_keep=decay(t.variance_half_life_bars),
    )


def _queen(settings: ColonySettings) -> QueenParameters:
    q = settings.queen
    return QueenParameters(
        regime_enabled=q.regime_enabled,
        stay=q.stay_probability,
        evidence=q.evidence,
        hysteresis=q.hysteresis,
        market_keep=decay(q.market_half_life_bars),
        standard_keep=decay(q.standard_half_life_bars),
        allocation_enabled=q.allocation_enabled,
        allocation_bars=q.allocation_bars,
        bandit_keep=decay(q.bandit_half_life_bars),
        budget_min=q.budget_min,
        budget_max=q.budget_max,
        budget_exact=q.budget_exact_enabled,
    )


def _field(settings: ColonySettings) -> FieldParameters:
    t, r = settings.trails, settings.recruitment
    return FieldParameters(
        enabled=t.enabled,
        half_life_s=np.array(t.half_life_s, dtype=np.float64),
        tau_min=t.tau_min,
        tau_max=t.tau_max,
        deposit=t.deposit,
        recruitment_enabled=r.enabled,
        inhibition=r.inhibition,
        quality_floor=r.quality_floor,
        quality_gain=r.quality_gain,
        quorum=r.quorum,
        senses_min=r.senses_min,
        horizon=r.horizon,
        steps_min=r.steps_min,
    )


def _worker(settings: ColonySettings) -> WorkerParameters:
    w = settings.worker
    odds = w.engagement_prior / (1.0 - w.engagement_prior)
    return WorkerParameters(
        threshold_enabled=w.threshold_enabled,
        threshold=w.threshold,
        threshold_gain=w.threshold_gain,
        engagement_enabled=w.engagement_enabled,
        engagement_prior_log_odds=log(odds),
        engagement_edge=w.engagement_edge,
        stake=w.engagement_stake,
        target_enabled=w.volatility_target_enabled,
        sigma_target=w.volatility_target / float(np.sqrt(w.bars_per_year)),
        band_enabled=w.band_enabled,
        band_gain=w.band_gain,
        cost=w.cost_bps * 1e-4,
        cost_learned=w.cost_feedback_enabled,
        cost_prior_turnover=w.cost_prior_turnover,
        friction_keep=decay(w.cost_half_life_bars),
        gross_max=w.gross_max,
        net_max=w.net_max,
        name_max=w.name_max,
        sector_max=w.sector_max,
        currency_max=w.currency_max,
        long_only=w.long_only,
        sigma_min=w.sigma_min,
        sigma_max=w.sigma_max,
    )


def _normal_tail(level: float) -> tuple[float, float]:
    """Return quantile and expected shortfall of the standard normal law at a level above a half.

    To two decimals: more is not known of twenty bars, and the last bits of a platform's logarithm
    must not reach the state.
    """
    law = NormalDist()
    quantile = law.inv_cdf(level)
    return round(quantile, 2), round(law.pdf(quantile) / (1.0 - level), 2)


def _drone(settings: ColonySettings) -> DroneParameters:
    d = settings.drone
    normal_var, normal_shortfall = _normal_tail(d.tail_level)
    return DroneParameters(
        enabled=d.enabled,
        inhibit_at=d.inhibit_at,
        drawdown_max=d.drawdown_max,
        release_at=d.release_at,
        var_max=d.var_max,
        shortfall_max=d.shortfall_max,
        tail_level=d.tail_level,
        normal_var=normal_var,
        normal_shortfall=normal_shortfall,
        gross_max=d.gross_max,
        concentration_max=d.concentration_max,
        correlation_max=d.correlation_max,
        data_age_max_s=d.data_age_max_s,
        anomaly_max=d.anomaly_max,
        drift_max=d.drift_max,
        simple_returns=d.simple_returns_enabled,
        drift_weights=d.drift_weights_enabled,
    )
