"""Single bars that stand wrong: wicks, stray opens, repeats, silence, impossible signs."""

import math
from collections.abc import Iterable

import numpy as np
import polars as pl

from features.text_format import format_text
from features.validation.asset_classes import may_be_negative
from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.rules.ratios import nearest_unit
from features.validation.view import Bools, Floats, SeriesArrays, TableView

# A wick this many times the bar's body edge is no trade that anybody kept.
_SURE_WICK = math.log(3.0)
# Of 1,206,000 days of real shares 20 had such a wick on no heavier trading than usual, in a source
# of single prints, all of them stray; those on heavy trading were true mostly (a flash crash).
_QUIET_WICK = 0.2
_QUIET_VOLUME, _QUIET_SIGMAS = 1.5, 4.0  # times the usual; standard deviations of the close
_BARS_BEFORE, _BARS_BEFORE_MIN = 60, 20
# Four prices over so many of the small steps around recur on the next day by no chance: of
# 1,206,000 days of real shares eleven did beside another volume, most on days that were filled.
_COPY_STEPS_MIN, _AGAIN_STEPS_MIN = 25, 4  # once; on two days or more in a row
_COPY_VOLUME_MISFIT = 0.02  # nearer ones are told as recurring bars
_STEP_BARS, _REST_MAX = 20, 0.04  # where closes rest more often, the few prices of a name recur
# A series that trades on all but one in a hundred of its days and then does not is halted, taken
# over or filled: so were all 33 of 1,206,000 days of real shares.
_RARE_SILENCE, _RARE_BARS_MIN = 0.01, 60
# A series without volume on this share of its bars does not publish volume.
_SILENT_SHARE = 0.2
_NOISES_MIN = 12  # median moves, of a series that reaches zero
_BACK_PART = 0.25  # of how far it went, between the bars before and after
_FLAT_COPIES_MIN = 5
# A daily volume from here on, or one of fractions, recurs beside four equal prices by no chance:
# of 619,040 bars of real shares 277 do, on days that their vendor had filled.
_TELLING_VOLUME = 1_000


def _find_wicks(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield bars of which the open, the high or the low alone is far from the rest."""
    arrays = view.series
    with np.errstate(invalid="ignore", divide="ignore"):
        opened, high, low = (np.log(arrays.column(c)) for c in ("open", "high", "low"))
        close = np.log(arrays.close)
        previous = np.roll(close, 1)
        previous[arrays.first] = np.nan
        far = np.maximum(
            math.log1p(context.settings.wick_fraction_min), 12 * arrays.sigma[arrays.series]
        )
        anchor = np.where(np.isfinite(previous), previous, close)
        stray = np.where(np.abs(close - anchor) < far, opened - close, np.nan)
        stray = np.where(np.abs(opened - anchor) > far, stray, np.nan)
        body_top = np.where(np.abs(stray) > far, close, np.fmax(opened, close))
        body_bottom = np.where(np.abs(stray) > far, close, np.fmin(opened, close))
        parts = {"open": stray, "high": high - body_top, "low": low - body_bottom}
        quiet = _quiet_wicks(arrays, parts["high"], parts["low"])
        noise = _noise_of_crossing(arrays)[arrays.series]
        seen = np.zeros(close.size, dtype=np.bool_)
        for name, away in parts.items():
            is_far = (np.abs(away) > far) | quiet.get(name, False)
            at = np.flatnonzero(is_far & np.isfinite(away) & ~seen)
            in_money = np.abs(arrays.column(name) - arrays.close)[at]
            at = at[in_money >= _NOISES_MIN * noise[at]]
            seen[at] = True
            yield from _wick_hits(arrays, name, at, away, quiet.get(name, ~is_far))
    if noise.any():
        yield from _bars_apart(arrays, noise)


def _quiet_wicks(arrays: SeriesArrays, high: Floats, low: Floats) -> dict[str, Bools]:
    """Return the daily bars whose high, or low, stands out although nothing else of them does.

    Their open and close are near, as is the close before, and no more was traded than usual.
    """
    sigma = arrays.sigma[arrays.series]
    near = np.maximum(_QUIET_WICK, 12 * sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        body = np.abs(np.log(arrays.close / arrays.column("open")))
        calm = arrays.daily[arrays.series] & ~arrays.first
        calm &= np.abs(arrays.log_return) <= _QUIET_SIGMAS * sigma
        calm &= body <= _QUIET_SIGMAS * sigma
        found = {"high": calm & (high > near), "low": calm & (low < -near)}
    volume = arrays.column("volume")
    for mask in found.values():
        for at in np.flatnonzero(mask).tolist():
            before = volume[max(int(arrays.start[arrays.series[at]]), at - _BARS_BEFORE) : at]
            before = before[before > 0]
            if before.size >= _BARS_BEFORE_MIN:
                mask[at] = volume[at] < _QUIET_VOLUME * np.median(before)
            else:
                mask[at] = before.size == 0 and not volume[at] > 0
    return found


def _bars_apart(arrays: SeriesArrays, noise: Floats) -> Iterable[pl.DataFrame]:
    """Yield whole bars above zero, of series that reach it, apart from both of their neighbours.

    Between prices of both signs a logarithm says nothing. What lies below zero is judged by
    the rule `below_zero`.
    """
    close = arrays.close
    high = np.fmax(arrays.column("high"), np.fmax(arrays.column("open"), close))
    low = np.fmin(arrays.column("low"), np.fmin(arrays.column("open"), close))
    before, after = np.roll(close, 1), np.roll(close, -1)
    before[arrays.first] = np.nan
    after[arrays.start[1:] - 1] = np.nan
    above = low - np.fmax(before, after)
    below = np.fmin(before, after) - high
    away = np.where(np.isnan(before) | np.isnan(after), np.nan, np.fmax(above, below))
    back = np.abs(after - before) < _BACK_PART * away
    at = np.flatnonzero((noise > 0) & (low > 0) & (away > _NOISES_MIN * noise) & back)
    if at.size:
        reasons = [
            f"{arrays.label(int(arrays.series[i]))} stood {away[i]:g} away from the bars around "
            f"it, {away[i] / noise[i]:.0f} times its usual move: a bad print"
            for i in at
        ]
        yield make_hits("stray_prices", "bad_print", "quarantine", 0.9, arrays.row[at], reasons)


def _noise_of_crossing(arrays: SeriesArrays) -> Floats:
    """Return the median absolute move, in money, of each series that reaches zero; 0 of others.

    A spread at 0.5 that moves by 1 a day triples without anything being wrong.
    """
    prices = [arrays.column(c) for c in ("open", "high", "low")]
    if not any((values <= 0).any() for values in (arrays.close, *prices)):
        return np.zeros(arrays.start.size - 1)
    moves = np.abs(np.diff(arrays.close, prepend=np.nan))
    moves[arrays.first] = np.nan
    frame = pl.DataFrame(
        {
            "s": arrays.series,
            "least": np.fmin.reduce([arrays.close, *prices]),
            "move": moves,
        },
        nan_to_null=True,
    )
    by = frame.group_by("s").agg(pl.col("least").min(), pl.col("move").median().fill_null(0.0))
    out = np.zeros(arrays.start.size - 1)
    crossing = by.filter(pl.col("least") <= 0)
    out[crossing["s"].to_numpy()] = crossing["move"].to_numpy()
    return out


def _wick_hits(
    arrays: SeriesArrays, name: str, at: np.ndarray, away: Floats, quiet: Bools
) -> Iterable[pl.DataFrame]:
    for i in at.tolist():
        move = float(away[i])
        kind = "unit_error" if nearest_unit(move).error < 0.15 else "bad_print"
        sure = kind == "unit_error" or abs(move) > _SURE_WICK or bool(quiet[i])
        reason = (
            f"{arrays.label(int(arrays.series[i]))}: {name} stands {math.expm1(move):+.0%} from "
            f"the other prices of its bar (close {arrays.close[i]:g})"
        )
        severity, confidence = ("quarantine", 0.9) if sure else ("warn", 0.5)
        yield make_hits("stray_prices", kind, severity, confidence, arrays.row[[i]], reason)


def _find_repeats(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield bars copied from the bar before, and closes that do not move for long."""
    arrays, settings = view.series, context.settings
    volume = arrays.column("volume")
    same_close = _same_as_previous(arrays, arrays.close)
    traded = volume > 0
    copied = same_close & traded
    for column in ("open", "high", "low", "volume"):
        copied &= _same_as_previous(arrays, arrays.column(column))
    lengths = _run_lengths(copied)
    ranged = arrays.column("high") > arrays.column("low")
    # A flat bar of a thin name may recur by chance; a bar with a range does not.
    lengths = np.where(ranged | (_run_totals(lengths) >= _FLAT_COPIES_MIN), lengths, 0)
    telling = telling_volume(volume) & ranged & arrays.daily[arrays.series]
    yield from _run_hits(
        arrays,
        lengths,
        np.where(telling, 1, settings.stale_repeats_min - 1),
        "quarantine",
        0.9,
        "repeats the prices and the volume of the bar before, {} in a row: a copied bar",
    )
    yield from _copied_prices(arrays, volume)
    filled, rare = _untraded(arrays, same_close, volume)
    yield from _run_hits(
        arrays,
        _run_lengths(filled),
        np.where(rare, 1, settings.flat_repeats_min - 1),
        "quarantine",
        0.8,
        "holds the close of the bar before and no volume, {} times in a row: filled, not traded",
    )
    idle = same_close & ~copied & ~filled
    yield from _run_hits(
        arrays,
        _run_lengths(idle),
        settings.flat_repeats_min - 1,
        "warn",
        0.5,
        "has not moved for {} bars: halted, illiquid or stale",
        last_only=True,
    )


def telling_volume(volume: Floats) -> Bools:
    """Return which volumes recur beside equal prices by no chance."""
    fraction = np.isfinite(volume) & (volume != np.floor(volume))
    return (volume >= _TELLING_VOLUME) | fraction


def _untraded(arrays: SeriesArrays, same_close: Bools, volume: Floats) -> tuple[Bools, Bools]:
    """Return the bars at the one price of before without volume, of series that trade mostly.

    And which of them are the newest ones of daily series that trade always: halted, taken over or
    filled, but no price of their day to trade on.
    """
    flat = same_close.copy()
    for column in ("open", "high", "low"):
        flat &= arrays.column(column) == arrays.close
    count = np.diff(arrays.start)
    zero, silent = flat & (volume == 0), flat & ~(volume > 0)
    share = np.bincount(arrays.series, weights=volume == 0, minlength=count.size)
    mostly = share < _SILENT_SHARE * np.maximum(count, 1)
    at_end = _run_lengths(silent)[arrays.start[1:] - 1] if silent.size else count
    without = np.bincount(arrays.series, weights=~(volume > 0), minlength=count.size) - at_end
    others = count - at_end
    rare = (without <= _RARE_SILENCE * others) & (others >= _RARE_BARS_MIN) & arrays.daily
    newest = np.arange(arrays.close.size) >= (arrays.start[1:] - at_end)[arrays.series]
    always = rare[arrays.series] & newest
    return (zero & mostly[arrays.series]) | (silent & always), always


def _copied_prices(arrays: SeriesArrays, volume: Floats) -> Iterable[pl.DataFrame]:
    """Yield daily bars with the four prices of the bar before and another volume, or none."""
    same_close = _same_as_previous(arrays, arrays.close)
    same = same_close.copy()
    for column in ("open", "high", "low"):
        same &= _same_as_previous(arrays, arrays.column(column))
    count = np.diff(arrays.start)
    rests = np.bincount(arrays.series, weights=same_close & ~same, minlength=count.size)
    same &= ((rests <= _REST_MAX * count) & arrays.daily)[arrays.series]
    with np.errstate(invalid="ignore", divide="ignore"):
        near = np.abs(np.log(volume / np.roll(volume, 1))) <= _COPY_VOLUME_MISFIT
    ranged = arrays.column("high") > arrays.column("low")
    copied = same & ranged & ~near
    at = np.flatnonzero(copied)
    least = np.where(_run_totals(_run_lengths(copied))[at] > 1, _AGAIN_STEPS_MIN, _COPY_STEPS_MIN)
    at = at[np.array([_steps_of(arrays, i) for i in at.tolist()], dtype=float) >= least]
    if at.size:
        reasons = [
            f"{arrays.label(int(arrays.series[i]))} repeats the four prices of the bar before: "
            "filled, not traded"
            for i in at
        ]
        yield make_hits("repeats", "stale", "quarantine", 0.85, arrays.row[at], reasons)


def _steps_of(arrays: SeriesArrays, at: int) -> float:
    """Return the range of a bar in the small steps (of four the smallest) of the prices around."""
    begin = max(int(arrays.start[arrays.series[at]]), at - _STEP_BARS)
    end = min(int(arrays.start[arrays.series[at] + 1]), at + _STEP_BARS + 1)
    prices = np.concatenate([arrays.column(c)[begin:end] for c in ("open", "high", "low", "close")])
    steps = np.diff(np.unique(prices[np.isfinite(prices)]))
    steps = steps[steps > 1e-6 * abs(arrays.close[at])]  # of prices that were written in 32 bits
    if not steps.size:
        return 0.0
    step = float(np.quantile(steps, 0.25))  # a single price may be finer than all others
    return float((arrays.column("high")[at] - arrays.column("low")[at]) / step)


def _run_hits(
    arrays: SeriesArrays,
    lengths: np.ndarray,
    minimum: int | np.ndarray,
    severity: str,
    confidence: float,
    text: str,
    *,
    last_only: bool = False,
) -> Iterable[pl.DataFrame]:
    """Yield findings over runs of at least `minimum` repeats; only their ends if asked."""
    total = _run_totals(lengths)
    at = np.flatnonzero(total >= minimum)
    if last_only:
        at = at[lengths[at] == total[at]]
    if at.size:
        labels = [arrays.label(s) for s in arrays.series[at]]
        reasons = [f"{n} {text.format(int(total[i]))}" for n, i in zip(labels, at, strict=True)]
        yield make_hits("repeats", "stale", severity, confidence, arrays.row[at], reasons)


def _same_as_previous(arrays: SeriesArrays, values: Floats) -> Bools:
    same = np.zeros(values.size, dtype=np.bool_)
    same[1:] = values[1:] == values[:-1]
    return same & ~arrays.first


def _run_lengths(mask: Bools) -> np.ndarray:
    """Return, where the mask is true, how many true values in a row end here."""
    count = np.cumsum(mask)
    resets = np.maximum.accumulate(np.where(mask, 0, count))
    return np.where(mask, count - resets, 0)


def _run_totals(lengths: np.ndarray) -> np.ndarray:
    """Return the full length of the run that each position is part of."""
    ends = np.append(lengths[1:] <= lengths[:-1], True) & (lengths > 0)
    at = np.flatnonzero(ends)
    total = np.zeros_like(lengths)
    if at.size:
        inside = np.flatnonzero(lengths > 0)
        total[inside] = lengths[at[np.searchsorted(at, inside)]]
    return total


def _find_zero_volume(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield bars that moved without volume, in series that publish volume."""
    arrays = view.series
    silent = arrays.column("volume") == 0
    counts = np.bincount(arrays.series)
    share = np.bincount(arrays.series, weights=silent) / np.maximum(counts, 1)
    moved = arrays.column("high") > arrays.column("low")
    at = np.flatnonzero(silent & moved & (share[arrays.series] < _SILENT_SHARE))
    if at.size:
        reasons = [
            f"{arrays.label(int(arrays.series[i]))} must have volume where prices moved, had 0 "
            f"(on {share[arrays.series[i]]:.1%} of its bars)"
            for i in at
        ]
        yield make_hits("zero_volume", "zero_volume", "warn", 0.7, arrays.row[at], reasons)


def _find_signs(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield prices of zero or less on instruments that cannot be worth less than nothing."""
    prices = [c for c in ("open", "high", "low", "close", "price") if c in view.rows.columns]
    at = view.rows.select(
        pl.arg_where(pl.any_horizontal(pl.col(c) <= 0 for c in prices))
    ).to_series()
    if at.is_empty():
        return
    rows = view.rows[at].with_columns(at.alias("row_index"))
    allowed = may_be_negative(rows.get_column("instrument_id"), context.instruments)
    bad = rows.filter(~allowed)
    if bad.is_empty():
        return
    reasons = bad.select(
        format_text(
            "{} must have positive prices, had {}",
            "instrument_id",
            pl.min_horizontal(prices).cast(pl.String),
        )
    ).to_series()
    index = bad.get_column("row_index")
    yield make_hits("price_sign", "impossible_value", "quarantine", 0.95, index, reasons)


PRINT_RULES = (
    TableRule(
        name="stray_prices",
        kinds=("bad_print", "unit_error"),
        severity="quarantine",
        tables=("bars",),
        find=_find_wicks,
        text=(
            "open, high and low must be near the close and the bar before, unless the bar moved; a "
            "daily wick of a fifth on no more than the usual volume is none"
        ),
    ),
    TableRule(
        name="repeats",
        kinds=("stale",),
        severity="quarantine",
        tables=("bars",),
        find=_find_repeats,
        text=(
            "no bar copies prices and volume of the bar before, no daily one its four prices "
            "alone, and no ten in a row (nor the newest, where a series trades always) stand at "
            "its close without a volume where others have one; a close that rests is only noted"
        ),
    ),
    TableRule(
        name="zero_volume",
        kinds=("zero_volume",),
        severity="warn",
        tables=("bars",),
        find=_find_zero_volume,
        text="a bar whose prices moved has volume, where the series publishes volume at all",
    ),
    TableRule(
        name="price_sign",
        kinds=("impossible_value",),
        severity="quarantine",
        tables=("bars", "trades"),
        find=_find_signs,
        text="prices are positive, but for futures, commodities, spreads and rates",
    ),
)
