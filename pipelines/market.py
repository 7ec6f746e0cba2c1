"""Reads off the data what the settings leave open of the market, and writes it down."""

from assets.partitions import ALL_TIME, USUAL_CALENDAR
from assets.ports import Source
from features.traded_market import choose_market
from pipelines.chosen_market import (
    MARKET_FILE,
    ChosenMarket,
    find_market,
    is_open,
    with_market,
)
from pipelines.settings import AUTO, ApiarySettings, SettingsError, read_settings


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
