"""The market that a desk's first run read off its data, and the settings completed by it."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from pipelines.settings import AUTO, ApiarySettings, SettingsError

MARKET_FILE = "market.json"
Kept = TypeVar("Kept", bound=BaseModel)


class ChosenMarket(BaseModel):
    """What was read off the data; `left_out` has one line for each market that is not traded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calendar: str
    base_currency: str
    asset_classes: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    drawn_together: tuple[str, ...] = ()  # intervals of bars that become those of their sessions
    decision_lag_minutes: int | None = None  # where the bars come later than the configured lag

    @property
    def sentence(self) -> str:
        """What is traded, for people."""
        classes = ", ".join(self.asset_classes)
        return f"{classes} in {self.base_currency}, sessions of {self.calendar}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be told, a line each."""
        told: list[str] = []
        if self.drawn_together:
            bars = ", ".join(self.drawn_together)
            told.append(f"bars of {bars} are drawn together to sessions, each decided once")
        if self.decision_lag_minutes is not None:
            hours = self.decision_lag_minutes / 60
            told.append(f"decided {hours:.1f} hours after the close: its bars are not known before")
        return (*told, *self.left_out)


def is_open(settings: ApiarySettings) -> bool:
    """Return whether part of the market is still to be read off the data."""
    return AUTO in (settings.calendar, settings.base_currency) or not settings.asset_classes


def find_market(home: Path) -> ChosenMarket | None:
    """Return the market that an earlier run of this home wrote down, or None."""
    path = home / MARKET_FILE
    return read_kept(path, ChosenMarket) if path.is_file() else None


def read_kept(path: Path, model: type[Kept]) -> Kept:
    """Return what a run read off the data and wrote down; SettingsError where that is damaged."""
    try:
        return model.model_validate(json.loads(path.read_text()))
    except ValueError as error:
        raise SettingsError(
            f"{path} must be what `apiary run` wrote, is not: bring it back from a backup"
        ) from error


def keep(path: Path, content: BaseModel) -> None:
    """Write down what a run read off the data: all of it, or what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(content.model_dump_json(indent=1))
    part.replace(path)


def with_market(settings: ApiarySettings, market: ChosenMarket | None) -> ApiarySettings:
    """Return the settings with everything that they leave open taken from the market."""
    if market is None or not is_open(settings):
        return settings
    book = settings.book
    if market.decision_lag_minutes is not None:
        book = book.model_copy(update={"decision_lag_minutes": market.decision_lag_minutes})
    chosen = {
        "book": book,
        "calendar": market.calendar if settings.calendar == AUTO else settings.calendar,
        "base_currency": (
            market.base_currency if settings.base_currency == AUTO else settings.base_currency
        ),
        "asset_classes": settings.asset_classes or market.asset_classes,
    }
    return settings.model_copy(update=chosen)
