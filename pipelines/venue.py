"""The simulated venue of the settings; it knows no Dagster, since the trader trades without it."""

from pipelines.settings import ApiarySettings, SettingsError
from swarm_core.frictions.named import venue_of
from swarm_core.frictions.venue import Venue, simple_venue


def read_venue(settings: ApiarySettings) -> Venue:
    """Return the simulated venue of these settings; raises SettingsError with one line."""
    fees = settings.book.fees
    default = simple_venue(fees.commission_bps, fees.slippage_bps)
    try:
        return venue_of(settings.book.venue, default)
    except ValueError as error:
        raise SettingsError(f"book.venue: {error}") from error


def read_trader_venue(settings: ApiarySettings) -> Venue:
    """Return the venue of a streaming desk, whose broker tells fills and balances by itself.

    Raises SettingsError with one line where each fill is to be converted: scheduled sessions do.
    """
    venue = read_venue(settings)
    if venue.conversion is not None:
        raise SettingsError(
            "book.venue: conversion.model must be none or sweep for `apiary trade`, was at_fill: "
            "scheduled sessions and experiments convert each fill"
        )
    return venue
