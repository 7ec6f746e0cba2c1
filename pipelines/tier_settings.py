"""Settings of the tiers: when a table's rows go down, and how the cold tier is kept."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from adapters.stores.tier_policy import TierPolicies, TierPolicy

_MEGABYTE = 1_000_000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TierRules(_Part):
    """When rows of a table leave the hot tier, and when the warm one."""

    hot_days: int = Field(default=7, ge=0, le=3650)
    warm_days: int = Field(default=60, ge=0, le=36500)
    hot_mb_max: int | None = Field(default=None, ge=1, le=1_000_000)
    warm_mb_max: int | None = Field(default=None, ge=1, le=100_000_000)
    at_close: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "TierRules":
        if self.warm_days < self.hot_days:
            raise ValueError(
                f"warm_days must be at least hot_days ({self.hot_days}), was {self.warm_days}"
            )
        return self

    def policy(self) -> "TierPolicy":
        from adapters.stores.tier_policy import TierPolicy

        def size(megabytes: int | None) -> int | None:
            return None if megabytes is None else megabytes * _MEGABYTE

        return TierPolicy(
            hot_age=timedelta(days=self.hot_days),
            warm_age=timedelta(days=self.warm_days),
            hot_bytes_max=size(self.hot_mb_max),
            warm_bytes_max=size(self.warm_mb_max),
            at_close=self.at_close,
        )


class ColdRules(_Part):
    """How the cold tier is kept; a retention below a week could take a reader's files away."""

    compact_files_min: int = Field(default=8, ge=2, le=10_000)
    retention_days: int = Field(default=30, ge=7, le=36500)


class ArchiveRules(_Part):
    """Where months of the cold tier go that are older; nowhere where nothing is set.

    `storage_class` is that of S3, `folder` a folder on another medium where the cold tier is one.
    """

    after_days: int = Field(default=730, ge=31, le=36500)
    storage_class: (
        Literal[
            "STANDARD_IA",
            "ONEZONE_IA",
            "INTELLIGENT_TIERING",
            "GLACIER_IR",
            "GLACIER",
            "DEEP_ARCHIVE",
        ]
        | None
    ) = None
    folder: Path | None = None


class TierSettings(_Part):
    """The rules for every table, those of some tables, and those of the cold tier."""

    default: TierRules = TierRules()
    tables: dict[str, TierRules] = Field(default_factory=dict)
    cold: ColdRules = ColdRules()
    archive: ArchiveRules = ArchiveRules()

    def policies(self) -> "TierPolicies":
        from adapters.stores.tier_policy import TierPolicies

        own = {name: rules.policy() for name, rules in self.tables.items()}
        return TierPolicies(self.default.policy(), own)
