"""Reads off the data what the settings leave open of the market, and writes it down."""

import math
from datetime import timedelta

import polars as pl

from assets.partitions import ALL_TIME, USUAL_CALENDAR
from assets.ports import Source
from features.session_bars import Market, intervals_drawn, session_bars
from features.traded_market import choose_market, find_later_lag
from pipelines.chosen_market import (
    MARKET_FILE,
    ChosenMarket,
    find_market,
    is_open,
    keep,
    with_market,
)
from pipelines.settings import AUTO, ApiarySettings, SettingsError, read_settings

_HOUR = timedelta(hours=1)
_LAG_MAX = 18 * _HOUR  # a later decision would come after the next session's open
_MARGIN = timedelta(minutes=5)
_OF_WIDE_FILES = (
    " (a wide file is read as bars where all its columns are named as tickers, AAPL or BRK.B, or a "
    "mapping says so: docs/how-to/add-a-source.md#wide-files)"
)


def settle_market(settings: ApiarySettings, source: Source) -> ChosenMarket | None:
    """Read off the data what the settings leave open, and write it down; None where nothing is.

    Raises SettingsError where the source has nothing that can be traded.
    """
    if not is_open(settings):
        return None
    if "bars" not in source.tables:
        raise SettingsError(
            f"there must be bars to trade, the source has only {', '.join(source.tables) or 'none'}"
            f"{_OF_WIDE_FILES if 'macro' in source.tables else ''}"
        )
    bars, instruments = source.fetch("bars", *ALL_TIME), source.instruments()
    rejected = source.rejected("bars")
    if bars.is_empty() and not rejected.is_empty():
        raise SettingsError(
            f"there must be bars that can be read, of {rejected.height} none was, e.g. "
            f"{rejected['reason'][0]} in {rejected['row'][0]}"
        )
    try:
        found = choose_market(
            bars,
            instruments,
            calendar=None if settings.calendar == AUTO else settings.calendar,
            currency=None if settings.base_currency == AUTO else settings.base_currency,
            asset_classes=settings.asset_classes,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    traded = Market(
        found.calendar, found.currency, found.asset_classes, _LAG_MAX, settings.foreign_currencies
    )
    market = ChosenMarket(
        calendar=found.calendar,
        base_currency=found.currency,
        asset_classes=found.asset_classes,
        left_out=found.left_out,
        drawn_together=tuple(intervals_drawn(bars, instruments, traded)),
        decision_lag_minutes=_later_lag(
            settings.decision_lag, session_bars(bars, instruments, traded)
        ),
    )
    keep(settings.home / MARKET_FILE, market)
    return market


def _later_lag(lag: timedelta, bars: pl.DataFrame) -> int | None:
    """Return after how many minutes the bars are known, where the lag is too short for most."""
    later = find_later_lag(bars, lag)
    if later is None:
        return None
    if later + _MARGIN > _LAG_MAX:
        raise SettingsError(
            f"bars must be known within {_LAG_MAX / _HOUR:.0f} hours of their close to be traded "
            f"on, many were known {later / _HOUR:.1f} hours after"
        )
    return math.ceil((later + _MARGIN) / timedelta(minutes=1))


def desk_calendar() -> str:
    """Return the calendar of the desk that is configured; the usual one before its first run."""
    settings = read_settings()
    calendar = with_market(settings, find_market(settings.home)).calendar
    return USUAL_CALENDAR if calendar == AUTO else calendar
