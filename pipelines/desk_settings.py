"""Settings of a desk's parts: book, fees, training, encryption, sweeps; bounded, frozen."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fees(Part):
    """What a fill costs in the simulated market."""

    commission_bps: float = Field(1.0, ge=0, le=100)
    slippage_bps: float = Field(2.0, ge=0, le=500)


class BookSettings(Part):
    """The book and how it is worked."""

    starting_cash: int = Field(1_000_000, ge=1_000, le=10**12)
    decision_lag_minutes: int = Field(120, ge=0, le=18 * 60)
    fees: Fees = Fees(commission_bps=1.0, slippage_bps=2.0)
    tenant: str = Field("default", min_length=1)  # whose limits hold, by these names, for this book
    trader: str = Field("default", min_length=1)
    limits_need_two: bool = False  # whether a second person must agree to looser limits
    venue: dict[str, Any] = Field(default_factory=dict)  # named models, see docs/fidelity.md


class Training(Part):
    """Label, search and promotion of the forecast model."""

    horizon_sessions: int = Field(5, ge=1, le=63)
    cost_bps: float = Field(3.0, ge=0, le=500)
    settings: dict[str, Any] = Field(default_factory=dict)
    promotion: dict[str, Any] = Field(default_factory=dict)


class Encryption(Part):
    """Encryption of the cold tier at rest: whose key seals its files, and where the keys are.

    `keys` is a file (relative to the repository), or "vault" for the transit engine of the Vault
    at APIARY_VAULT_URL. Off where `owner` is empty.
    """

    owner: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    keys: str = "var/keys.json"
    only_sealed: bool = False  # refuse files from before it was switched on


class Universe(Part):
    """The part of the market that is decided on: the most liquid ones, or those that are named."""

    most_liquid: int | None = Field(None, ge=1, le=65_536)
    instruments: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_of_both(self) -> "Universe":
        if (self.most_liquid is None) == (not self.instruments):
            raise ValueError("universe must have either most_liquid or instruments")
        return self


class Sweeps(Part):
    """Where the trials of a sweep run; `address` is that of a Ray cluster, "local" for one here."""

    engine: Literal["processes", "ray", "in_process"] = "processes"
    address: str = "local"
