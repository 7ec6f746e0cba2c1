"""The model card: what a model is, what it was made of, how it did, and what it is not for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from models.evaluation import Evaluation
from models.promotion import Evidence, evidence
from models.statistics import YEAR, deflated_sharpe
from models.training import TrainedModel

INTENDED_USE = (
    "Ranks the instruments of one decision by their return over the label's horizon in excess of "
    "one another. One sense among those of the colony; never a sole ground for an order."
)
LIMITS = (
    "Measured on the instruments and years named here only; expected returns are shrunken and net "
    "of the stated costs, not of market impact.",
    "Not for instruments, horizons or bar intervals other than those it was fitted on.",
    "The searched folds helped to choose the parameters: only the held-out record judges it.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Plain values only: `to_dict` is JSON, and `from_dict` gives the card back.

    `metrics` are of the held-out rows, with `deflated_sharpe` (the probability that the net
    spread is skill after all trials) and `search_overfitting`; `evidence` is their record by
    decision, which a later challenger is compared with. `trials_count` counts every parameter
    set ever tried for it.
    """

    name: str
    version: str
    training_start: str
    training_end: str
    features: tuple[str, ...]
    data_hash: str
    code_hash: str
    table_versions: Mapping[str, int]
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    trials_count: int
    evidence: Mapping[str, Any]
    baselines: tuple[Mapping[str, Any], ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    intended_use: str = INTENDED_USE
    limits: tuple[str, ...] = LIMITS

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "training_start": self.training_start,
            "training_end": self.training_end,
            "features": list(self.features),
            "data_hash": self.data_hash,
            "code_hash": self.code_hash,
            "table_versions": dict(self.table_versions),
            "settings": dict(self.settings),
            "metrics": dict(self.metrics),
            "trials_count": self.trials_count,
            "evidence": dict(self.evidence),
            "baselines": [dict(b) for b in self.baselines],
            "importance": dict(self.importance),
            "intended_use": self.intended_use,
            "limits": list(self.limits),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelCard":
        """Return the card of `to_dict`'s values. Raises ValueError on one that lacks a field."""
        tuples = {"features", "baselines", "limits"}
        plain: dict[str, Any] = {k: tuple(v) if k in tuples else v for k, v in values.items()}
        try:
            return cls(**plain)
        except TypeError as error:
            raise ValueError(f"a model card must have its fields: {error}") from error

    def to_evidence(self) -> Evidence:
        """Return the record that the promotion rule reads."""
        return Evidence.from_dict(self.evidence)

    def to_markdown(self) -> str:
        """Return the card as a page."""
        return "\n".join([*_head(self), *_tables(self), *_tail(self)])


def make_card(
    trained: TrainedModel,
    evaluation: Evaluation,
    *,
    table_versions: Mapping[str, int],
    code_hash: str,
    earlier_trials: int = 0,
) -> ModelCard:
    """Return the card of a model and of the evaluation of its held-out rows.

    `earlier_trials`: parameter sets tried for earlier models of this name on the same question.
    """
    shares = trained.importance.head(20)
    trials_count = earlier_trials + trained.trials.height
    metrics = {**evaluation.metrics, **_paid_for(evaluation, trials_count)}
    if trained.search_overfitting is not None:
        metrics["search_overfitting"] = trained.search_overfitting
    return ModelCard(
        name=trained.settings.name,
        version=trained.version,
        training_start=trained.train_start,
        training_end=trained.train_end,
        features=trained.feature_names,
        data_hash=trained.data_hash,
        code_hash=code_hash,
        table_versions=dict(table_versions),
        settings=trained.settings.to_mapping(),
        metrics=metrics,
        trials_count=trials_count,
        evidence=evidence(trained.version, evaluation, trained.psi).to_dict(),
        baselines=tuple(trained.baselines.to_dicts()),
        importance=dict(zip(shares["feature"], shares["gain_share"], strict=True)),
    )


def _paid_for(evaluation: Evaluation, trials_count: int) -> dict[str, float]:
    """Return the probability that the net spread is skill, all trials ever made counted."""
    apart = evaluation.apart()
    if apart.size < 10:
        return {}
    sure = deflated_sharpe(apart, trials_count, periods_per_year=YEAR / (evaluation.overlap + 1))
    return {"deflated_sharpe": sure} if np.isfinite(sure) else {}


def _head(card: ModelCard) -> list[str]:
    return [
        f"# {card.name} {card.version}",
        "",
        card.intended_use,
        "",
        f"Fitted on {card.training_start} to {card.training_end}, {len(card.features)} features; "
        f"{card.trials_count} parameter sets tried.",
        "",
    ]


def _tables(card: ModelCard) -> list[str]:
    metrics = [(k, f"{v:.4g}") for k, v in sorted(card.metrics.items())]
    rivals = [(f"{b['baseline']} ({b['detail']})", f"{b['rank_ic']:.4g}") for b in card.baselines]
    sources = [(k, str(v)) for k, v in sorted(card.table_versions.items())]
    return [
        *_table("Held-out metric", metrics),
        *_table("Baseline, rank IC", rivals),
        *_table("Table version", [*sources, ("data", card.data_hash), ("code", card.code_hash)]),
        *_table("Gain share", [(k, f"{v:.1%}") for k, v in list(card.importance.items())[:10]]),
    ]


def _table(title: str, rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    return [f"| {title} | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows), ""]


def _tail(card: ModelCard) -> list[str]:
    return ["Limits:", "", *(f"- {limit}" for limit in card.limits)]


def card_frame(cards: list[ModelCard]) -> pl.DataFrame:
    """Return one row per card: version, training end, trials and held-out metrics."""
    return pl.DataFrame(
        [
            {
                "version": c.version,
                "training_end": c.training_end,
                "trials_count": c.trials_count,
                **c.metrics,
            }
            for c in cards
        ]
    )
