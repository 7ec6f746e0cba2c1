"""What a check knows besides the rows: the moment, the instruments and other tables."""

from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from features.validation.settings import ValidationSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """The moment the rows must be complete and known for, and the tables they are held against.

    `reference` is another table of the same subject: for corporate actions the bars, for bars
    an earlier vintage or the total-return series of the same instruments.
    """

    as_of: datetime
    instruments: pl.DataFrame | None = None
    settings: ValidationSettings = field(default_factory=ValidationSettings)
    reference: pl.DataFrame | None = None
    corporate_actions: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        if self.as_of.utcoffset() is None:
            raise ValueError(f"as_of must carry a time zone, was {self.as_of.isoformat()}")
