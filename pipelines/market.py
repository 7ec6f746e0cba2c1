"""The market of a desk: configured, or read off its data by the first run and written down."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from assets.partitions import ALL_TIME, USUAL_CALENDAR
from assets.ports import Source
from features.traded_market import choose_market
from pipelines.settings import AUTO, ApiarySettings, SettingsError, read_settings

MARKET_FILE = "market.json"


class ChosenMarket(BaseModel):
    """What was read off the data; `left_out` has one line for each market that is not traded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calendar: str
    base_currency: str
    asset_classes: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What is traded, for people."""
        classes = ", ".join(self.asset_classes)
        return f"{classes} in {self.base_currency}, sessions of {self.calendar}"


def is_open(settings: ApiarySettings) -> bool:
    """Return whether part of the market is still to be read off the data."""
    return AUTO in (settings.calendar, settings.base_currency) or not settings.asset_classes


def find_market(home: Path) -> ChosenMarket | None:
    """Return the market that an earlier run of this home wrote down, or None."""
    path = home / MARKET_FILE
    return ChosenMarket.model_validate(json.loads(path.read_text())) if path.is_file() else None


def with_market(settings: ApiarySettings, market: ChosenMarket | None) -> ApiarySettings:
    """Return the settings with everything that they leave open taken from the market."""
    if market is None or not is_open(settings):
        return settings
    chosen = {
        "calendar": market.calendar if settings.calendar == AUTO else settings.calendar,
        "base_currency": (
            market.base_currency if settings.base_currency == AUTO else settings.base_currency
        ),
        "asset_classes": settings.asset_classes or market.asset_classes,
    }
    return settings.model_copy(update=chosen)


def settle_market(settings: ApiarySettings, source: Source) -> ChosenMarket | None:
    """Read off the data what the settings leave open, and write it down; None where nothing is.

    Raises SettingsError where the source has nothing that can be traded.
    """
    if not is_open(settings):
        return None
    if "bars" not in source.tables:
        raise SettingsError(
            f"there must be bars to trade, the source has only {', '.join(source.tables) or 'none'}"
        )
    try:
        found = choose_market(
            source.fetch("bars", *ALL_TIME),
            source.instruments(),
            calendar=None if settings.calendar == AUTO else settings.calendar,
            currency=None if settings.base_currency == AUTO else settings.base_currency,
            asset_classes=settings.asset_classes,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    market = ChosenMarket(
        calendar=found.calendar,
        base_currency=found.currency,
        asset_classes=found.asset_classes,
        left_out=found.left_out,
    )
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / MARKET_FILE).write_text(market.model_dump_json(indent=1))
    return market


def desk_calendar() -> str:
    """Return the calendar of the desk that is configured; the usual one before its first run."""
    settings = read_settings()
    calendar = with_market(settings, find_market(settings.home)).calendar
    return USUAL_CALENDAR if calendar == AUTO else calendar
