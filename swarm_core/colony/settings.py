"""The one settings object of a colony: frozen, bounded, from a mapping and back."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from swarm_core.colony.bounds import check_count, check_listed, check_texts, check_unique
from swarm_core.colony.settings_castes import (
    DroneSettings,
    LifecycleSettings,
    QueenSettings,
    RecruitmentSettings,
    TrailSettings,
    TrustSettings,
    WorkerSettings,
)

DEFAULT_SENSES = (
    "time_series_momentum",
    "cross_sectional_momentum",
    "short_term_reversal",
    "breakout",
    "managed_volatility",
    "carry",
    "mean_reversion",
    "options_flow",
    "news_sentiment",
    "macro_regime",
    "model_forecast",
    "swarm",
)

_FLOW_STEPS_MAX = 100_000  # of recruitment on one bar; the defaults take 77 at most

# Settings added since version 1 of the state, and what the colony did before there was one.
_ADDED_LATER: tuple[tuple[str, str, object], ...] = (
    ("trust", "tempo_enabled", True),
    ("trust", "contrary_enabled", True),
    ("trails", "enabled", True),
    ("worker", "threshold_enabled", True),
    ("worker", "engagement_stake", 0.0075),
    ("worker", "volatility_target_enabled", True),
    ("worker", "cost_feedback_enabled", True),
    ("worker", "cost_prior_turnover", 200.0),
    ("worker", "cost_half_life_bars", 250.0),
    # As it was; a new colony has another:
    ("trust", "memory_cost_part", 1.0),
    ("drone", "simple_returns_enabled", False),
    ("drone", "drift_weights_enabled", False),
    ("queen", "budget_exact_enabled", False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColonySettings:
    """Everything that can be chosen about a colony; every mechanism has an `enabled` switch.

    Raises ValueError in one line where a value is out of its bounds or a name is not known.
    """

    senses: tuple[str, ...] = DEFAULT_SENSES
    scouts_max: int = 128  # room for births; memory is bounded by it
    instruments_max: int = 4_096
    memory_bars: int = 64  # prices remembered for each instrument
    trails: TrailSettings = field(default_factory=TrailSettings)
    trust: TrustSettings = field(default_factory=TrustSettings)
    queen: QueenSettings = field(default_factory=QueenSettings)
    lifecycle: LifecycleSettings = field(default_factory=LifecycleSettings)
    recruitment: RecruitmentSettings = field(default_factory=RecruitmentSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    drone: DroneSettings = field(default_factory=DroneSettings)

    def __post_init__(self) -> None:
        check_listed("senses", self.senses)
        check_texts("senses", self.senses)
        if not self.senses:
            raise ValueError("senses must name at least one sense, was empty")
        check_unique("senses", self.senses)
        check_count("scouts_max", self.scouts_max, 1, 4_096)
        check_count("instruments_max", self.instruments_max, 1, 65_536)
        check_count("memory_bars", self.memory_bars, 8, 1_024)
        self._check_flow()

    def _check_flow(self) -> None:
        """Bound what the flow takes: each setting within its bounds, a bar could last for hours."""
        r = self.recruitment
        quality = r.quality_floor + r.quality_gain * self.trails.tau_max
        fastest = 2.0 * quality + 1.0 / r.quality_floor + r.inhibition
        if r.enabled and r.horizon * fastest > _FLOW_STEPS_MAX:
            raise ValueError(
                "recruitment: horizon x (2 (quality_floor + quality_gain x trails.tau_max) + "
                f"1 / quality_floor + inhibition) must be at most {_FLOW_STEPS_MAX:,} steps a bar, "
                f"was {r.horizon * fastest:,.0f}"
            )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> "ColonySettings":
        """Build from nested mappings (as YAML gives them); what is not named keeps its default."""
        return cast(ColonySettings, _build(cls, mapping, "colony"))

    def to_mapping(self) -> dict[str, object]:
        """Return nested plain dictionaries and lists; from_mapping turns them back."""
        plain: dict[str, object] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    def digest(self) -> str:
        """Return the sha256 of the canonical form, as 64 hexadecimal digits.

        What was added later counts only where it is not as it was before there was a setting, so
        that a state taken then goes on under the settings that made it.
        """
        return hashlib.sha256(self.text().encode()).hexdigest()

    def text(self) -> str:
        """Return the canonical form, which from_text reads: what the digest is taken of."""
        mapping = self.to_mapping()
        for caste, name, before in _ADDED_LATER:
            values = cast(dict[str, object], mapping[caste])
            if values[name] == before:
                del values[name]
        return json.dumps(mapping, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "ColonySettings":
        """Build from the canonical form; ValueError where it is none."""
        mapping = cast(Mapping[str, object], json.loads(text))
        if isinstance(mapping, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            for caste, name, before in _ADDED_LATER:
                values = mapping.get(caste)
                if isinstance(values, dict):
                    cast(dict[str, object], values).setdefault(name, before)
        return cls.from_mapping(mapping)


def _build(cls: type, mapping: object, path: str) -> object:
    if not isinstance(mapping, Mapping):
        raise ValueError(  # noqa: TRY004  one kind of error for all settings
            f"{path} must be a mapping, was {mapping!r}"
        )
    values = cast(Mapping[str, object], mapping)
    known = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(str(key) for key in values if key not in known)
    if unknown:
        raise ValueError(f"{path} must have only the settings {sorted(known)}, had {unknown}")
    built: dict[str, Any] = {}
    for name, value in values.items():
        factory = known[name].default_factory
        if isinstance(factory, type) and dataclasses.is_dataclass(factory):
            built[name] = _build(factory, value, f"{path}.{name}")
        elif isinstance(value, list):
            built[name] = tuple(cast(list[object], value))
        else:
            built[name] = value
    try:
        return cls(**built)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
