"""The settings of each caste; docs/colony.md says on which data the defaults were chosen."""

from dataclasses import dataclass

from swarm_core.colony.bounds import check_between, check_count, check_each

CHANNELS = ("long", "short", "danger", "success", "rejection")
_DAY_S = 86_400.0


def _check_switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(  # noqa: TRY004  one kind of error for all settings
            f"{name} must be true or false, was {value!r}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailSettings:
    """Evaporation and bounds of the shared field (Max-Min Ant System, Stuetzle & Hoos 2000)."""

    enabled: bool = True  # off: only the last bar is in the field
    # Of long, short, danger, success, rejection. Directions fade in half a bar of a day: a
    # trail that lasts longer than what marked it keeps recruiting for yesterday's side.
    half_life_s: tuple[float, ...] = (
        0.5 * _DAY_S, 0.5 * _DAY_S, 5 * _DAY_S, 21 * _DAY_S, 5 * _DAY_S,
    )  # fmt: skip
    tau_min: float = 0.0
    tau_max: float = 1.0
    deposit: float = 0.5  # share of the room up to tau_max that a full conviction fills

    def __post_init__(self) -> None:
        _check_switch("enabled", self.enabled)
        check_each("half_life_s", self.half_life_s, 1.0, 3_650 * _DAY_S)
        if len(self.half_life_s) != len(CHANNELS):
            raise ValueError(
                f"half_life_s must have one value for each of {CHANNELS}, had {self.half_life_s}"
            )
        check_between("tau_min", self.tau_min, 0.0, 1.0)
        check_between("tau_max", self.tau_max, self.tau_min + 1e-6, 100.0)
        check_between("deposit", self.deposit, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSettings:
    """Reinforcement of the scouts, and what is remembered of past regimes."""

    enabled: bool = True  # off: equal weight over the scouts
    horizons: tuple[float, ...] = (1,)  # bars, mean age of the overlapping positions
    horizon_weights: tuple[float, ...] = (1.0,)
    # One learner for each pair: the edge per bar it looks for, in standard deviations of payoff
    # (negative: it trusts what loses), and the share it gives back per bar.
    edges: tuple[float, ...] = (0.05, 0.2, 0.2, 0.6, 0.6, -0.1)
    shares: tuple[float, ...] = (0.0005, 0.002, 0.02, 0.002, 0.02, 0.002)
    contrary_enabled: bool = True  # trust what moves against what trust earned, at a first turn
    memory_enabled: bool = True  # off: fixed-share over the grid, and the contrary candidate
    memory_slots: int = 4  # regimes remembered
    regime_enabled: bool = True  # one trust vector per regime of the queen
    tempo_enabled: bool = True  # learn how long regimes last and which follows which
    switch_rates: tuple[float, ...] = (0.002, 0.02)  # grid: how often, per bar, regimes change
    memory_switch_rate: float = 0.005
    idle_prior: float = 0.02  # share of the scout that does nothing and pays nothing
    cost_bps: float = 3.75  # a scout is charged per unit of turnover: 3/4 of what trading costs
    memory_cost_part: float = 0.0  # of that, what a memory of a regime is charged
    outcome_clip: float = 6.0  # a return counts for at most this many sigmas
    variance_half_life_bars: float = 250.0

    def __post_init__(self) -> None:
        switches = ("memory_enabled", "regime_enabled", "tempo_enabled", "contrary_enabled")
        for name in ("enabled", *switches):
            _check_switch(name, getattr(self, name))
        check_each("horizons", self.horizons, 1, 250)
        check_each("horizon_weights", self.horizon_weights, 0.0, 1.0)
        if len(self.horizons) != len(self.horizon_weights) or len(self.horizons) > 4:
            raise ValueError(
                "horizons and horizon_weights must be of one length, at most 4, "
                f"were {self.horizons} and {self.horizon_weights}"
            )
        if not sum(self.horizon_weights) > 0.0:
            raise ValueError(f"horizon_weights must not all be 0, were {self.horizon_weights}")
        check_each("edges", self.edges, -5.0, 5.0)
        check_each("shares", self.shares, 0.0, 0.5)
        if len(self.edges) != len(self.shares) or len(self.edges) > 32:
            raise ValueError(
                "edges and shares must be of one length, at most 32, "
                f"were {self.edges} and {self.shares}"
            )
        check_count("memory_slots", self.memory_slots, 1, 32)
        check_each("switch_rates", self.switch_rates, 1e-6, 0.5)
        check_between("memory_switch_rate", self.memory_switch_rate, 1e-6, 0.5)
        check_between("idle_prior", self.idle_prior, 1e-6, 0.99)
        check_between("cost_bps", self.cost_bps, 0.0, 1_000.0)
        check_between("memory_cost_part", self.memory_cost_part, 0.0, 1.0)
        check_between("outcome_clip", self.outcome_clip, 1.0, 100.0)
        check_between("variance_half_life_bars", self.variance_half_life_bars, 2.0, 100_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueenSettings:
    """The regime filter and the bandit that allocates foragers and risk budgets."""

    regime_enabled: bool = True
    stay_probability: float = 0.98  # of a regime, per bar
    evidence: float = 0.5  # weight of one bar's market evidence in log-likelihood
    hysteresis: float = 0.15  # lead in posterior that a new regime must have
    market_half_life_bars: float = 32.0
    standard_half_life_bars: float = 252.0
    allocation_enabled: bool = True
    allocation_bars: int = 5  # how often shares are drawn anew
    bandit_half_life_bars: float = 125.0
    budget_min: float = 0.5  # of an even share; the bandit never starves a class below it
    budget_max: float = 1.5
    budget_exact_enabled: bool = True  # off: a share may pass its bounds as all are scaled to one

    def __post_init__(self) -> None:
        for name in ("regime_enabled", "allocation_enabled", "budget_exact_enabled"):
            _check_switch(name, getattr(self, name))
        check_count("allocation_bars", self.allocation_bars, 1, 10_000)
        check_between("stay_probability", self.stay_probability, 0.5, 0.999999)
        check_between("evidence", self.evidence, 0.0, 10.0)
        check_between("hysteresis", self.hysteresis, 0.0, 0.9)
        for name in ("market_half_life_bars", "standard_half_life_bars", "bandit_half_life_bars"):
            check_between(name, getattr(self, name), 1.0, 100_000.0)
        check_between("budget_min", self.budget_min, 0.0, 1.0)
        check_between("budget_max", self.budget_max, 1.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleSettings:
    """Births, mutations, dormancy and deaths of scouts."""

    enabled: bool = True
    review_bars: int = 21  # how often the queen looks
    dormant_after_bars: int = 126  # at the floor of trust for so long
    dead_after_bars: int = 252
    births_per_review: int = 2
    mutation: float = 0.25  # spread of a mutated parameter, as a share of its range

    def __post_init__(self) -> None:
        _check_switch("enabled", self.enabled)
        check_count("review_bars", self.review_bars, 1, 10_000)
        check_count("dormant_after_bars", self.dormant_after_bars, 1, 100_000)
        check_count("dead_after_bars", self.dead_after_bars, self.dormant_after_bars, 1_000_000)
        check_count("births_per_review", self.births_per_review, 0, 256)
        check_between("mutation", self.mutation, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecruitmentSettings:
    """Cross-inhibition and quorum (Seeley et al. 2012, Pais et al. 2013)."""

    enabled: bool = True  # off: conviction goes to the workers as it is
    inhibition: float = 4.0  # sigma, the stop signal between the camps
    quality_floor: float = 0.4  # v of a camp without a trail
    quality_gain: float = 6.0  # v gained for each unit of trail
    quorum: float = 0.5  # share of foragers that a camp needs
    senses_min: float = 1.0  # inverse Herfindahl of the senses behind a camp
    horizon: float = 4.0  # of the flow's own time, integrated for each bar
    steps_min: int = 8  # of the integration; it takes more where the flow is fast

    def __post_init__(self) -> None:
        _check_switch("enabled", self.enabled)
        check_between("inhibition", self.inhibition, 0.0, 1_000.0)
        check_between("quality_floor", self.quality_floor, 0.05, 10.0)
        check_between("quality_gain", self.quality_gain, 0.0, 1_000.0)
        check_between("quorum", self.quorum, 0.0, 0.99)
        check_between("senses_min", self.senses_min, 1.0, 64.0)
        check_between("horizon", self.horizon, 0.01, 1_000.0)
        check_count("steps_min", self.steps_min, 1, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Engagement, sizing and the limits of the book, as fractions of NAV."""

    threshold_enabled: bool = True  # off: every worker engages where a camp decided
    threshold: float = 0.05  # theta, conviction at which half of the workers engage
    threshold_gain: float = 1.0  # how far danger and rejection raise it, success lowers it
    engagement_enabled: bool = True  # size by how well the colony's own convictions paid
    engagement_prior: float = 0.15
    engagement_edge: float = 0.1  # payoff per bar, in standard deviations, that is tested for
    engagement_stake: float = 0.0075  # of capital, that may be lost before anything is earned
    volatility_target_enabled: bool = True  # off: the whole of gross_max, by conviction alone
    volatility_target: float = 0.10  # a year
    bars_per_year: float = 252.0
    band_enabled: bool = True
    band_gain: float = 0.5  # width of the no-trade band in units of the cost-optimal one
    cost_bps: float = 5.0  # per unit of turnover, until fills have told
    cost_feedback_enabled: bool = True  # what fills cost corrects cost_bps
    cost_prior_turnover: float = 200.0  # of NAV, that cost_bps counts for beside the fills
    cost_half_life_bars: float = 250.0
    gross_max: float = 1.5
    net_max: float = 1.0
    name_max: float = 0.10
    sector_max: float = 0.40
    currency_max: float = 1.5
    long_only: bool = False
    sigma_min: float = 1e-4  # of one bar; a quieter price is taken for a broken one
    sigma_max: float = 0.5

    def __post_init__(self) -> None:
        for name in (
            "threshold_enabled", "engagement_enabled", "volatility_target_enabled", "band_enabled",
            "cost_feedback_enabled", "long_only",
        ):  # fmt: skip
            _check_switch(name, getattr(self, name))
        check_between("threshold", self.threshold, 0.0, 10.0)
        check_between("threshold_gain", self.threshold_gain, 0.0, 100.0)
        check_between("engagement_prior", self.engagement_prior, 1e-6, 1.0 - 1e-6)
        check_between("engagement_edge", self.engagement_edge, 0.001, 5.0)
        check_between("engagement_stake", self.engagement_stake, 1e-6, 1.0)
        check_between("volatility_target", self.volatility_target, 0.0, 5.0)
        check_between("bars_per_year", self.bars_per_year, 1.0, 1e7)
        check_between("band_gain", self.band_gain, 0.0, 100.0)
        check_between("cost_bps", self.cost_bps, 0.0, 1_000.0)
        check_between("cost_prior_turnover", self.cost_prior_turnover, 0.01, 1e6)
        check_between("cost_half_life_bars", self.cost_half_life_bars, 1.0, 100_000.0)
        for name in ("gross_max", "net_max", "name_max", "sector_max", "currency_max"):
            check_between(name, getattr(self, name), 0.0, 100.0)
        check_between("sigma_min", self.sigma_min, 1e-9, 0.1)
        check_between("sigma_max", self.sigma_max, self.sigma_min, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DroneSettings:
    """Limits at which a drone vetoes; from `inhibit_at` of a limit on it deposits danger."""

    enabled: bool = True
    inhibit_at: float = 0.6
    drawdown_max: float = 0.20
    release_at: float = 0.5  # of the limit, below which a drawdown veto is lifted
    var_max: float = 0.05  # one bar, at tail_level
    shortfall_max: float = 0.08
    tail_level: float = 0.975
    gross_max: float = 2.0
    concentration_max: float = 0.25  # of NAV in one name, however it came to be so much
    correlation_max: float = 0.95
    data_age_max_s: float = 5 * _DAY_S
    anomaly_max: float = 0.80  # isolation score
    drift_max: float = 4.0  # standard errors by which the forecast pays less than it did
    simple_returns_enabled: bool = True  # what the tail replays; else logarithms, as it once did
    drift_weights_enabled: bool = True  # the error is of both means; else of a long fast one

    def __post_init__(self) -> None:
        for name in ("enabled", "simple_returns_enabled", "drift_weights_enabled"):
            _check_switch(name, getattr(self, name))
        check_between("inhibit_at", self.inhibit_at, 0.0, 1.0)
        check_between("release_at", self.release_at, 0.0, 1.0)
        for name in ("drawdown_max", "var_max", "shortfall_max", "concentration_max"):
            check_between(name, getattr(self, name), 1e-6, 1.0)
        check_between("tail_level", self.tail_level, 0.5, 0.9999)
        check_between("gross_max", self.gross_max, 0.0, 100.0)
        check_between("correlation_max", self.correlation_max, 0.0, 1.0)
        check_between("data_age_max_s", self.data_age_max_s, 0.0, 3_650 * _DAY_S)
        check_between("anomaly_max", self.anomaly_max, 0.0, 1.0)
        check_between("drift_max", self.drift_max, 0.1, 1_000.0)
