"""From settings to the desk that the assets see, and the dates it works on."""

from datetime import date, timedelta
from pathlib import Path

from assets.contract_ends import KnownEnds
from assets.desk import Desk
from features.validation import ValidationSettings
from models.promotion import PromotionRule
from pipelines.chosen_market import MARKET_FILE, is_open, keep, read_kept
from pipelines.settings import (
    ApiarySettings,
    SettingsError,
    Span,
    Windows,
    read_colony,
    read_risk_limits,
    read_training,
)
from pipelines.universe import find_universe
from pipelines.venue import read_venue

WINDOWS_FILE = "windows.json"
# Read off the data where the configuration gives no dates: the last eighth of the sessions
# decides. Half a year is the least that teaches anything: the longest features are unknown then.
DECISION_SHARE = 8
SESSIONS_MIN = 120


def windows_of(settings: ApiarySettings) -> Windows:
    """Return the dates of the desk: those configured, or those read off the data by a first run.

    Raises SettingsError where neither is there.
    """
    if settings.windows is not None:
        return settings.windows
    path = settings.home / WINDOWS_FILE
    if not path.is_file():
        raise SettingsError(
            "windows must be configured, or read off the data by `apiary run` first: "
            f"{path} is not there"
        )
    return read_kept(path, Windows)


def windows_from_sessions(
    sessions: list[date], horizon_sessions: int, last_day: date | None = None
) -> Windows:
    """Return the dates for these sessions (ascending): what teaches, what decides.

    `last_day` is the day of the last bar, where that lies after the last session.
    Raises SettingsError where there are too few to train on.
    """
    if len(sessions) < SESSIONS_MIN:
        raise SettingsError(
            f"the data must have at least {SESSIONS_MIN} sessions to train and decide on, "
            f"had {len(sessions)}"
        )
    last = sessions[-1]
    first = len(sessions) - max(20, len(sessions) // DECISION_SHARE)
    return Windows(
        history=Span(start=sessions[0], end=max(last_day or last, last) + timedelta(days=1)),
        training=Span(start=sessions[0], end=sessions[first - 2 * horizon_sessions]),
        decisions=Span(start=sessions[first], end=last),
    )


def keep_windows(home: Path, windows: Windows) -> None:
    """Write the dates down, so that every later process of this home uses the same."""
    keep(home / WINDOWS_FILE, windows)


def build_desk(settings: ApiarySettings) -> Desk:
    """Return the desk of these settings; raises SettingsError with one line."""
    if is_open(settings):
        raise SettingsError(
            "calendar, base_currency and asset_classes must be configured, or read off the data "
            f"by `apiary run` first: {settings.home / MARKET_FILE} is not there"
        )
    windows = windows_of(settings)
    training, training_settings = read_training(settings)
    try:
        return Desk(
            calendar=settings.calendar,
            base_currency=settings.base_currency,
            asset_classes=settings.asset_classes,
            foreign_currencies=settings.foreign_currencies,
            universe=find_universe(settings),
            source_priority=settings.source_priority,
            starting_cash=settings.book.starting_cash,
            benchmark_id=settings.benchmark,
            training_start=windows.training.start,
            training_end=windows.training.end,
            colony=read_colony(settings),
            limits=read_risk_limits(settings),
            training=training_settings,
            promotion=PromotionRule(**training.promotion),
            validation=ValidationSettings(**settings.validation),
            decision_lag=settings.decision_lag,
            horizon_sessions=training.horizon_sessions,
            label_cost_bps=training.cost_bps,
            slippage_bps=settings.book.fees.slippage_bps,
            commission_bps=settings.book.fees.commission_bps,
            venue=read_venue(settings),
            ends=ends_of(settings),
        )
    except (ValueError, TypeError) as error:
        raise SettingsError(f"the desk's settings do not hold: {error}") from error


def ends_of(settings: ApiarySettings) -> KnownEnds:
    """Return what `trade:` says of contracts that end, where it is there."""
    trade = settings.trade
    if trade is None:
        return KnownEnds()
    return KnownEnds(trade.contract_end.to_core(), trade.last_days())
