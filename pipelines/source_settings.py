"""Settings of the sources: where records come from, and how they are read."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DefaultSource(_Part):
    """The real data that comes with the package index."""

    kind: Literal["default"]


class FileHints(_Part):
    """What the files of a folder do not say of themselves, where the mapping is inferred."""

    zone: str | None = None
    encoding: str | None = None
    adjustment: Literal["raw", "split", "total_return"] | None = None
    currency: str | None = None
    calendar: str | None = None
    asset_class: Literal["equity", "etf", "fx", "future", "crypto"] | None = None
    hours: Literal["regular", "extended"] | None = None
    day_first: bool | None = None
    deliveries: Literal["by-name", "apart"] | None = None
    quotes: Literal["mid", "alone"] | None = None
    published: str | None = None
    ignore: tuple[str, ...] = ()

    @property
    def given(self) -> dict[str, Any]:
        """Return the answers that were given."""
        return self.model_dump(mode="json", exclude_defaults=True)


class FilesSource(_Part):
    """A folder of CSV, Parquet or zip files and how to read it."""

    kind: Literal["files"]
    folder: Path
    mapping: str | None = None
    hints: FileHints = FileHints()


class WebSource(_Part):
    """A web source and what to ask of it, e.g. the ids of series or symbols."""

    kind: Literal["fred", "ecb", "daily_bars", "crypto", "feeds"]
    series: tuple[str, ...] = ()
    url: str | None = None
    exchange: str | None = None


class IbSource(_Part):
    """Bars or news of Interactive Brokers, of the contracts named; docs/interactive-brokers.md."""

    kind: Literal["ib_bars", "ib_news"]
    contracts: tuple[str, ...] = Field(min_length=1)
    interval: Literal["1d", "1h", "30m", "5m", "1m"] = "1d"
    providers: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = Field(4002, gt=0, lt=65_536)
    client_id: int = Field(13, ge=0, le=999)
    answer_s_max: float = Field(60.0, ge=0.1, le=600)
