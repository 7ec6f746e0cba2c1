"""The written rule by which a challenger replaces a champion, and its verdict with numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from models.evaluation import Evaluation
from models.panel import Floats
from models.statistics import expected_max_sharpe, mean_of, stationary_indices


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRule:
    """What a challenger must show, out of sample.

    Against a champion: over the decisions that both were judged on, at least
    `decisions_min` of them, the mean rank IC must be higher by `margin` with a block-bootstrap
    probability of at least `confidence`; and ICIR, turnover and drift must keep their bounds.
    The margin grows with the number of challengers tried against the same champion, by what the
    luckiest of them would show without being better. Without a champion the bounds alone decide,
    and where `first_needs_bar` is off a first model that misses them is promoted all the same,
    since it displaces nothing; the reasons then say so.
    """

    margin: float = 0.0
    confidence: float = 0.9
    decisions_min: int = 60
    icir_min: float = 0.0
    rank_ic_min: float = 0.0
    turnover_max: float = 1.0  # one-way, of NAV, a decision
    psi_max: float = 1.0  # of the newest rows' features, weighted by what the model makes of them
    mean_block_decisions: float = 10.0
    replications: int = 2_000
    seed: int = 0
    first_needs_bar: bool = False

    def __post_init__(self) -> None:
        bounds: dict[str, tuple[float, float]] = {
            "margin": (0.0, 1.0),
            "confidence": (0.5, 0.9999),
            "decisions_min": (10, 100_000),
            "icir_min": (-1.0, 10.0),
            "rank_ic_min": (-1.0, 1.0),
            "turnover_max": (0.0, 2.0),
            "psi_max": (0.0, 100.0),
            "mean_block_decisions": (1.0, 1_000.0),
            "replications": (200, 100_000),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be in {low}..{high}, was {value}")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One model's out-of-sample record, as its card keeps it.

    `rank_ics` by decision, in step with `decision_times` (ISO, UTC). `turnover` and `psi` are None
    where they were not measured, and what was not measured fails its bound.
    """

    version: str
    decision_times: tuple[str, ...]
    rank_ics: tuple[float, ...]
    turnover: float | None
    psi: float | None = None

    def __post_init__(self) -> None:
        if len(self.decision_times) != len(self.rank_ics):
            raise ValueError(
                f"rank_ics must be {len(self.decision_times)} values, were {len(self.rank_ics)}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, for a card."""
        return {
            "version": self.version,
            "decision_times": list(self.decision_times),
            "rank_ics": list(self.rank_ics),
            "turnover": self.turnover,
            "psi": self.psi,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Evidence":
        """Return the evidence of a card's values."""
        return cls(
            str(values["version"]),
            tuple(values["decision_times"]),
            tuple(float(v) for v in values["rank_ics"]),
            values["turnover"],
            values.get("psi"),
        )


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the rule: what was found, what it must be, and whether it is."""

    name: str
    value: float
    must_be: str
    holds: bool

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "fails"
        return f"{self.name} must be {self.must_be}, was {self.value:.4g}: {verdict}"


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """The verdict, with every criterion and its numbers."""

    promote: bool
    kind: str  # "first" or "challenge"
    criteria: tuple[Criterion, ...]
    note: str

    @property
    def reasons(self) -> tuple[str, ...]:
        """The verdict in sentences."""
        return (self.note, *(str(c) for c in self.criteria))

    @property
    def numbers(self) -> dict[str, float]:
        """Each criterion's value, for metadata."""
        return {c.name: c.value for c in self.criteria}


def evidence(version: str, evaluation: Evaluation, psi: float | None = None) -> Evidence:
    """Return the record of an evaluation on rows that no search has seen."""
    rows = evaluation.by_decision.drop_nulls("rank_ic")
    times: list[datetime] = rows["decision_time"].to_list()
    return Evidence(
        version=version,
        decision_times=tuple(t.isoformat() for t in times),
        rank_ics=tuple(rows["rank_ic"].to_list()),
        turnover=evaluation.metrics.get("turnover"),
        psi=psi,
    )


def decide(
    champion: Evidence | None,
    challenger: Evidence,
    rule: PromotionRule | None = None,
    *,
    attempts: int = 1,
) -> PromotionDecision:
    """Return whether the challenger replaces the champion (None: there is none).

    `attempts`: challengers tried against this champion so far, this one included; at least 1.
    """
    rule = rule or PromotionRule()
    if attempts < 1:
        raise ValueError(f"attempts must be at least 1, were {attempts}")
    bar = _bar(challenger, rule)
    if champion is None:
        return _first(bar, rule)
    if champion.version == challenger.version:
        return PromotionDecision(False, "challenge", (), "the challenger is the champion")
    criteria = (*_comparison(champion, challenger, rule, attempts), *bar)
    promote = all(c.holds for c in criteria)
    verdict = "replaces" if promote else "does not replace"
    note = f"challenger {challenger.version} {verdict} champion {champion.version}"
    return PromotionDecision(promote, "challenge", criteria, note)


def _first(bar: tuple[Criterion, ...], rule: PromotionRule) -> PromotionDecision:
    met = all(c.holds for c in bar)
    if met:
        note = "first: no champion stands, and the bar is met"
    elif rule.first_needs_bar:
        note = "refused: no champion stands, but the bar is not met"
    else:
        note = "first: no champion stands, so nothing is displaced, though the bar is not met"
    return PromotionDecision(met or not rule.first_needs_bar, "first", bar, note)


def _bar(model: Evidence, rule: PromotionRule) -> tuple[Criterion, ...]:
    ics = np.asarray(model.rank_ics, dtype=np.float64)
    mean = float(ics.mean()) if ics.size else float("nan")
    spread = float(ics.std(ddof=1)) if ics.size > 1 else 0.0
    icir = mean / spread if spread > 0 else 0.0
    return (
        _at_least("decisions", float(ics.size), float(rule.decisions_min)),
        _at_least("rank_ic", mean, rule.rank_ic_min),
        _at_least("icir", icir, rule.icir_min),
        _at_most("turnover", model.turnover, rule.turnover_max),
        _at_most("psi", model.psi, rule.psi_max),
    )


def _comparison(
    champion: Evidence, challenger: Evidence, rule: PromotionRule, attempts: int
) -> tuple[Criterion, ...]:
    gain = _common_gain(champion, challenger)
    common = _at_least("common_decisions", float(gain.size), float(rule.decisions_min))
    if not common.holds:
        return (common,)
    block = min(rule.mean_block_decisions, float(gain.size))
    indices = stationary_indices(gain.size, block, rule.replications, rule.seed)
    drawn = mean_of(gain[indices])
    luck = expected_max_sharpe(attempts, float(drawn.std(ddof=1)))
    margin = rule.margin + luck
    sure = float((drawn > margin).mean())
    return (
        common,
        Criterion(
            "rank_ic_gain", float(gain.mean()), f"above {margin:.4g}", bool(gain.mean() > margin)
        ),
        _at_least("gain_probability", sure, rule.confidence),
    )


def _common_gain(champion: Evidence, challenger: Evidence) -> Floats:
    old = dict(zip(champion.decision_times, champion.rank_ics, strict=True))
    pairs: Sequence[tuple[float, float]] = [
        (new, old[time])
        for time, new in zip(challenger.decision_times, challenger.rank_ics, strict=True)
        if time in old
    ]
    return np.array([new - before for new, before in pairs], dtype=np.float64)


def _at_least(name: str, value: float, bound: float) -> Criterion:
    return Criterion(name, value, f"at least {bound:.4g}", bool(value >= bound))


def _at_most(name: str, value: float | None, bound: float) -> Criterion:
    found = float("nan") if value is None else value
    return Criterion(name, found, f"at most {bound:.4g}", bool(found <= bound))
