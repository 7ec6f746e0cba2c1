"""What a check knows besides the rows: the moment, the instruments and other tables."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from features.validation.settings import ValidationSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """The moment the rows must be complete and known for, and the tables they are held against.

    `reference` is, for corporate actions, the bars they are held against; for bars, quotes and
    other series it is their history: rows of the same table that are not judged again, but that
    a small new partition is judged by.
    """

    as_of: datetime
    instruments: pl.DataFrame | None = None
    settings: ValidationSettings = field(default_factory=ValidationSettings)
    reference: pl.DataFrame | None = None
    corporate_actions: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        if self.as_of.utcoffset() is None:
            raise ValueError(f"as_of must carry a time zone, was {self.as_of.isoformat()}")
        object.__setattr__(self, "as_of", self.as_of.astimezone(UTC))
