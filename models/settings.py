"""What a training run may be told, frozen and bounded."""

from dataclasses import asdict, dataclass, fields
from typing import Any

TARGETS = ("standardised", "demeaned", "raw")
SCHEMES = ("expanding", "rolling")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Settings of one training: the same settings and rows give the same bytes.

    The walk-forward blocks are searched over except the last `holdout_folds`, which only the
    chosen trial is ever judged on. Work is bounded by counts, never by a clock, so that a slow
    machine trains the same model.
    """

    name: str = "cross_section"
    feature_names: tuple[str, ...] = ()  # empty: every float column that is no key or label
    label: str = "label"
    target: str = "standardised"  # of the label within its decision: z, less its mean, or as is
    folds: int = 4
    holdout_folds: int = 1
    embargo_sessions: int = 5
    scheme: str = "expanding"
    train_sessions_min: int = 252
    trials: int = 8
    rounds_max: int = 80
    leaves_max: int = 15
    bins_max: int = 63
    names_min: int = 5  # a decision with fewer names has no cross-section to rank
    rows_max: int = 20_000_000
    workers: int = 2  # folds fitted side by side, one thread each; no effect on the result
    seed: int = 7

    def __post_init__(self) -> None:
        _one_of("target", self.target, TARGETS)
        _one_of("scheme", self.scheme, SCHEMES)
        if not self.name or not all(c.isalnum() or c in "_-." for c in self.name):
            raise ValueError(f"name must be letters, digits, '_', '-' or '.', was {self.name!r}")
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be in {low}..{high}, was {value}")
        if self.holdout_folds >= self.folds:
            raise ValueError(
                f"holdout_folds must be below folds ({self.folds}), was {self.holdout_folds}"
            )

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values, for a header, a card or a run's metadata."""
        return {**asdict(self), "feature_names": list(self.feature_names)}

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> "TrainingSettings":
        """Return settings of plain values; unknown names raise ValueError."""
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"training settings must be known names, were {unknown}")
        names = tuple(values.get("feature_names", ()))
        return cls(**{**values, "feature_names": names})


_BOUNDS: dict[str, tuple[int, int]] = {
    "folds": (2, 50),
    "holdout_folds": (0, 10),
    "embargo_sessions": (0, 252),
    "train_sessions_min": (20, 5_000),
    "trials": (1, 1_000),
    "rounds_max": (5, 5_000),
    "leaves_max": (3, 255),
    "bins_max": (15, 255),
    "names_min": (2, 1_000),
    "rows_max": (100, 200_000_000),
    "workers": (1, 64),
    "seed": (0, 2**31 - 1),
}


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, was {value!r}")
