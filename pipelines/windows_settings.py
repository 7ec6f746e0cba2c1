"""The dates of a desk's three stages."""

from datetime import date

from pydantic import BaseModel, ConfigDict, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(_Part):
    """Days from start to end, both included unless said otherwise where it is used."""

    start: date
    end: date

    @model_validator(mode="after")
    def _ordered(self) -> "Span":
        if self.end <= self.start:
            raise ValueError(f"end must be after start ({self.start}), was {self.end}")
        return self


class Windows(_Part):
    """The dates of the three stages."""

    history: Span
    training: Span
    decisions: Span

    @model_validator(mode="after")
    def _nothing_learned_from_what_is_decided(self) -> "Windows":
        if self.training.end > self.decisions.start:
            raise ValueError(
                f"training.end must not be after decisions.start ({self.decisions.start}), "
                f"was {self.training.end}"
            )
        if not self.history.start <= self.training.start:
            raise ValueError(
                f"history.start must not be after training.start ({self.training.start}), "
                f"was {self.history.start}"
            )
        if self.history.end < self.decisions.end:
            raise ValueError(
                f"history.end must not be before decisions.end ({self.decisions.end}), "
                f"was {self.history.end}"
            )
        return self
