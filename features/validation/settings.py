"""The thresholds of the rules, bounded, in one place."""

from dataclasses import dataclass, fields

# Bounds by field: the smallest and the largest value that still makes sense.
_BOUNDS: dict[str, tuple[float, float]] = {
    "jump_sigmas": (4.0, 50.0),
    "jump_fraction_min": (0.01, 1.0),
    "wick_fraction_min": (0.1, 10.0),
    "reversal_bars_max": (1, 10),
    "context_bars": (5, 250),
    "level_bars_max": (10, 10_000),
    "split_tolerance": (0.002, 0.1),
    "action_window_days": (0, 15),
    "stale_repeats_min": (2, 1_000),
    "flat_repeats_min": (3, 10_000),
    "stale_sessions_max": (0, 60),
    "stale_days_max": (1, 60),
    "gap_sessions_warn": (1, 1_000),
    "future_tolerance_s": (0, 86_400),
    "spread_fraction_max": (0.001, 1.0),
    "same_series_bars_min": (20, 5_000),
    "same_series_correlation_min": (0.99, 1.0),
    "same_series_instruments_max": (2, 5_000),
    "dividend_yield_max": (0.01, 1.0),
    "outside_session_fraction_max": (0.01, 1.0),
    "forecast_abs_max": (3.0, 1_000.0),
    "quarantine_fraction_max": (0.0, 1.0),
    "newest_quarantine_fraction_max": (0.0, 1.0),
    "future_fraction_max": (0.0, 1.0),
    "candidates_max": (100, 1_000_000),
    "confidence_quarantine_min": (0.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationSettings:
    """Thresholds of every rule; each is bounded, and a wrong one is refused at construction."""

    jump_sigmas: float = 8.0  # a move is looked at above this many local standard deviations
    jump_fraction_min: float = 0.04  # and above this size, whatever the deviation
    wick_fraction_min: float = 0.6  # high or low beyond open and close by this fraction
    reversal_bars_max: int = 3  # a print that is gone within this many bars is a bad print
    context_bars: int = 20  # bars looked at on each side of a jump
    level_bars_max: int = 260  # a run in a wrong unit may last this long and still be a run
    split_tolerance: float = 0.03  # how far a price ratio may lie from p/q, as a fraction
    action_window_days: int = 10  # how far a corporate action may lie from its jump
    stale_repeats_min: int = 3  # identical OHLC and volume in a row, where chance could do it once
    flat_repeats_min: int = 10  # identical closes, bars in a row
    stale_sessions_max: int = 1  # sessions the newest bar may lag the last closed session
    stale_days_max: int = 5  # the same in days where no calendar is known
    gap_sessions_warn: int = 1  # missing sessions in a row
    future_tolerance_s: int = 60  # clocks disagree by this much
    spread_fraction_max: float = 0.1  # of the mid
    same_series_bars_min: int = 60  # common bars before two series are called one
    same_series_correlation_min: float = 0.99995
    same_series_instruments_max: int = 1_500  # above it, values only are compared
    dividend_yield_max: float = 0.15  # of one payment, as a fraction of the price
    outside_session_fraction_max: float = 0.2  # of a series' intraday bars
    forecast_abs_max: float = 10.0  # cross-sectional z-scores
    quarantine_fraction_max: float = 0.05  # of all rows; above it everything stops
    newest_quarantine_fraction_max: float = 0.05  # of the newest session's rows
    future_fraction_max: float = 0.01  # of all rows
    candidates_max: int = 20_000  # jumps classified one by one; the largest come first
    confidence_quarantine_min: float = 0.6  # a weaker finding only warns
    require_fresh: bool = True  # the newest session must be there; False for history

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in _BOUNDS:
                continue
            low, high = _BOUNDS[field.name]
            value = getattr(self, field.name)
            if not low <= value <= high:
                raise ValueError(f"{field.name} must be from {low} to {high}, was {value}")
