"""Price jumps, named: bad prints, runs in a wrong unit or scale, splits, spin-offs, true moves."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from features.validation.asset_classes import without_splits
from features.validation.context import CheckContext
from features.validation.findings import Hit, frame_hits
from features.validation.rule import TableRule
from features.validation.rules.actions import Action, ActionBook
from features.validation.rules.jump_evidence import (
    Jump,
    Prices,
    find_candidates,
    local_sigmas,
    measure,
    read_prices,
)
from features.validation.rules.jump_kinds import (
    Verdict,
    doubt_split,
    explained,
    is_news,
    name_jump,
    name_newest,
    unit_tolerance,
)
from features.validation.rules.ratios import nearest_split, nearest_unit
from features.validation.settings import ValidationSettings
from features.validation.view import Bools, Floats, Ints, SeriesArrays, TableView

# A published figure has no splits, and its spikes are mostly news: only its unit can be judged.
_FIGURE_KINDS = ("unit_error",)
_ACTION_KINDS = ("split", "dividend", "spin_off")
# Below this many series a median over them is no market.
_MARKET_SERIES_MIN = 5
# No market has moved further in one bar (October 1987: -0.26; crypto in March 2020: -0.44): what
# moves every series further is a fault that they share, e.g. a file in another unit.
_MARKET_MOVE_MAX = 0.5
# Nothing follows the newest bar. Of 1,139,202 days of real shares 322 moved by five deviations or
# more, and 4 %, on usual volume; as a newest bar such a day waits for the next.
_NEWEST_SIGMAS, _NEWEST_BARS_MIN = 5.0, 20
# Where a wrong unit holds for a share of a series between these, neither unit can be proven.
_UNDECIDED_SHARES = (0.2, 0.8)


@dataclass(frozen=True, slots=True)
class Found:
    """A verdict over the records begin..end-1, as positions in the sorted arrays."""

    verdict: Verdict
    begin: int
    end: int


def _find(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield the findings of every series that has moves far outside its own noise."""
    arrays, settings = view.series, context.settings
    minimum = _minimum_moves(arrays, settings)
    candidates = find_candidates(arrays, minimum, settings)
    if view.table == "bars":
        candidates = _with_newest(arrays, candidates, minimum)
    if view.table != "bars":  # an index that crosses zero has no unit that a ratio could show
        crossing = np.bincount(arrays.series, weights=arrays.close <= 0) > 0
        candidates = candidates[~crossing[arrays.series[candidates]]]
    if candidates.size == 0:
        return
    sigmas = local_sigmas(arrays, candidates, settings)
    sizes = np.abs(arrays.log_return[candidates])
    far = sizes >= settings.jump_sigmas * sigmas
    if view.table == "bars":
        far |= _is_newest(arrays, candidates) & (sizes >= _NEWEST_SIGMAS * sigmas)
    finder = _JumpFinder(arrays, candidates[far], sigmas[far], context)
    hits = [
        _to_hit(found, arrays, settings)
        for found in finder.walk()
        if view.table == "bars" or found.verdict.kind in _FIGURE_KINDS
    ]
    yield frame_hits("price_jumps", hits)


def _minimum_moves(arrays: SeriesArrays, settings: ValidationSettings) -> Floats:
    """Return the smallest move worth a look, by series: intraday bars move less."""
    return np.where(arrays.daily, settings.jump_fraction_min, 0.5 * settings.jump_fraction_min)


def _is_newest(arrays: SeriesArrays, at: Ints) -> Bools:
    """Return where a record is the newest of a daily series that has a history to judge by."""
    series = arrays.series[at]
    newest = at == arrays.start[series + 1] - 1
    return newest & arrays.daily[series] & (at - arrays.start[series] >= _NEWEST_BARS_MIN)


def _with_newest(arrays: SeriesArrays, candidates: Ints, minimum: Floats) -> Ints:
    """Return the candidates and the newest daily records of smaller moves: nothing follows them."""
    newest = arrays.start[1:] - 1
    newest = newest[_is_newest(arrays, newest)]
    floor = np.maximum(_NEWEST_SIGMAS * arrays.sigma, minimum)[arrays.series[newest]]
    with np.errstate(invalid="ignore"):
        moved = newest[np.abs(arrays.log_return[newest]) > floor]
    return np.union1d(candidates, moved)


class _JumpFinder:
    """Walks over the candidates of one table; holds what every step needs."""

    def __init__(
        self, arrays: SeriesArrays, candidates: Ints, sigmas: Floats, context: CheckContext
    ) -> None:
        self._arrays = arrays
        self._candidates = candidates
        self._sigmas = sigmas
        self._settings = context.settings
        self._prices: Prices = read_prices(arrays)
        self._actions = ActionBook(context.corporate_actions)
        self._market = _market_moves(arrays, candidates)
        self._without_splits = without_splits(context.instruments)

    def walk(self) -> Iterator[Found]:
        """Yield what is found, series by series; rows in doubt by a scale stand once."""
        of_series = self._arrays.series[self._candidates]
        breaks = np.flatnonzero(np.diff(of_series)) + 1
        for positions in np.split(np.arange(self._candidates.size), breaks):
            yield from self._walk_series(positions)

    def _walk_series(self, positions: Ints) -> Iterator[Found]:
        scaled: Found | None = None
        runs: list[Found] = []
        last = -1
        for position in positions:
            at = int(self._candidates[position])
            if at < last:
                continue
            jump = self._measure(int(position))
            run = self._run(jump)
            if run is not None:
                runs.append(run)
                last = run.end + 1
                continue
            found = self._lasting(jump)
            if found is None:
                continue
            if found.end - found.begin > 1 and found.verdict.scaled:
                scaled = found
            else:
                yield found
        yield from _undecided_or_runs(runs, self._arrays)
        if scaled is not None:
            yield scaled

    def _measure(self, position: int) -> Jump:
        at = int(self._candidates[position])
        sigma, market = float(self._sigmas[position]), float(self._market[position])
        return measure(at, self._arrays, self._prices, sigma, market, self._settings)

    def _lasting(self, jump: Jump) -> Found | None:
        """Name a jump that stays; everything before a change of scale is on the old scale."""
        names = self._arrays.names.row(int(self._arrays.series[jump.at]), named=True)
        label = str(next(iter(names.values())))
        actions = self._near(jump, label)
        if explained(jump, names.get("adjustment"), actions):
            return None
        shares = label not in self._without_splits
        if jump.after == 0:
            is_daily = bool(self._arrays.daily[self._arrays.series[jump.at]])
            verdict = name_newest(
                jump, label, actions, has_shares=shares, is_daily=is_daily,
                sigmas_min=self._settings.jump_sigmas,
            )  # fmt: skip
            return Found(verdict, jump.at, jump.end)
        known = self._actions.knows_splits(label)
        verdict = name_jump(
            jump, label, actions, self._settings, splits_known=known, has_shares=shares,
            is_raw=names.get("adjustment") == "raw",
        )  # fmt: skip
        if verdict.scaled and verdict.confidence >= self._settings.confidence_quarantine_min:
            if verdict.kind == "unit_error":
                return _of_unit(verdict, jump)
            return Found(verdict, jump.begin, jump.at)
        doubt = doubt_split(jump, label) if shares else None
        if doubt is not None:
            return Found(doubt, jump.at, jump.end)
        return Found(verdict, jump.at, jump.at + 1)

    def _near(self, jump: Jump, label: str) -> list[Action]:
        time = int(self._arrays.time[jump.at])
        days = self._settings.action_window_days
        return self._actions.near(label, time, _ACTION_KINDS, days)

    def _run(self, jump: Jump) -> Found | None:
        """Return the records that a jump set apart, where the series came back to its level."""
        back = self._return_position(jump)
        if back is None:
            return None
        label = self._arrays.label(int(self._arrays.series[jump.at]))
        actions = self._near(jump, label)
        limit = self._settings.reversal_bars_max
        verdict = _name_run(jump, back - jump.at, label, actions, limit)
        return None if verdict is None else Found(verdict, jump.at, back)

    def _return_position(self, jump: Jump) -> int | None:
        """Return the first record that is back at the level from before the jump, if one is."""
        level = self._prices.log_close[jump.at - 1]
        stop = min(jump.end, jump.at + 1 + self._settings.reversal_bars_max)
        for at in range(jump.at + 1, stop):
            away = abs(self._prices.log_close[at] - level)
            steps = math.sqrt(at - jump.at + 1)
            if away <= min(
                max(4 * jump.sigma * steps, 0.1 * abs(jump.move)), 0.35 * abs(jump.move)
            ):
                return at
        return self._clean_return(jump)

    def _clean_return(self, jump: Jump) -> int | None:
        """Return where a longer run at a clean ratio ends by the inverse jump."""
        unit, split = nearest_unit(jump.move), nearest_split(jump.move)
        error = min(unit.error, split.error if abs(jump.move) > 0.6 else math.inf)
        if error > max(0.1, 3 * jump.sigma):
            return None
        stop = min(jump.end, jump.at + self._settings.level_bars_max)
        window = self._prices.log_return[jump.at + 1 : stop]
        with np.errstate(invalid="ignore"):
            inverse = np.abs(window + jump.move) <= max(0.12, 3 * jump.sigma)
        hits = np.flatnonzero(inverse)
        return None if hits.size == 0 else int(jump.at + 1 + hits[0])


def _market_moves(arrays: SeriesArrays, candidates: Ints) -> Floats:
    """Return the median move of all series at each candidate's moment.

    NaN where few moved, or all so far that no market explains it.
    """
    if arrays.names.height < _MARKET_SERIES_MIN:
        return np.full(candidates.size, np.nan)
    times = pl.DataFrame({"time": arrays.time[candidates]})
    moves = (
        pl.LazyFrame({"time": arrays.time, "move": arrays.log_return})
        .join(times.lazy().unique(), on="time", how="semi")
        .filter(pl.col("move").is_not_nan())
        .group_by("time")
        .agg(pl.col("move").median().alias("median"), pl.len().alias("count"))
        .filter(pl.col("count") >= _MARKET_SERIES_MIN, pl.col("median").abs() <= _MARKET_MOVE_MAX)
        .collect()
    )
    joined = times.join(moves, on="time", how="left", maintain_order="left")
    return joined.get_column("median").fill_null(float("nan")).to_numpy()


def _name_run(
    jump: Jump, length: int, label: str, actions: list[Action], reversal_bars_max: int
) -> Verdict | None:
    """Name records that stand apart from both neighbours; None where it was a true move."""
    percent = f"{math.expm1(jump.move):+.1%}"
    for action in actions:
        if action.kind != "split" or not action.ratio > 0:
            continue
        if abs(abs(jump.move) - abs(math.log(action.ratio))) <= max(0.06, 3 * jump.sigma):
            reason = (
                f"{label} stood {percent} away for {length} bars, by the ratio {action.ratio:g} "
                "of the announced split: adjusted twice or not at all"
            )
            return Verdict("unadjusted_split", 0.95, reason)
    unit = nearest_unit(jump.move)
    if unit.error <= unit_tolerance(jump):
        reason = f"{label} stood at {unit.name} of its level for {length} bars, then came back"
        return Verdict("unit_error", 0.96, reason)
    if math.isfinite(jump.market) and jump.market / jump.move >= 0.25:
        return None
    if length > reversal_bars_max:
        split = nearest_split(jump.move)
        reason = f"{label} stood {percent} away for {length} bars, by a split {split.name}"
        confidence = 0.85 if abs(split.move) > math.log(2.6) else 0.5
        return Verdict("unadjusted_split", confidence, reason)
    confidence = min(0.55 + 0.03 * (jump.sigmas - 8), 0.95)
    if abs(jump.move) < math.log(3.0) and is_news(jump, math.log(4.0)):
        confidence = min(confidence, 0.4)  # traded heavily at that price: it may well be true
    reason = f"{label} moved {percent} ({jump.sigmas:.0f} sigmas) and was back after {length} bars"
    return Verdict("bad_print", confidence, reason)


def _of_unit(verdict: Verdict, jump: Jump) -> Found:
    """Return the records on the wrong side of a lasting change of unit.

    A split makes the newest scale the right one; a unit does not. The clear minority is wrong;
    where there is none, all are in doubt. A position sized at a hundredth of the price is a
    hundred times too large, so that the newest scale is not traded on until it has held.
    """
    older = (jump.at - jump.begin) / (jump.end - jump.begin)
    if older <= _UNDECIDED_SHARES[0]:
        return Found(verdict, jump.begin, jump.at)
    if older >= _UNDECIDED_SHARES[1]:
        reason = f"{verdict.reason} in the newest {jump.end - jump.at} records, which are in doubt"
        return Found(replace(verdict, reason=reason, scaled=False), jump.at, jump.end)
    reason = f"{verdict.reason} that no price can tell the right side of: all are in doubt"
    return Found(replace(verdict, reason=reason), jump.begin, jump.end)


def _undecided_or_runs(runs: list[Found], arrays: SeriesArrays) -> Iterator[Found]:
    """Yield the runs; where units are mixed so evenly that none can be proven, all records."""
    wrong = [run for run in runs if run.verdict.kind == "unit_error"]
    long_runs = [run for run in wrong if run.end - run.begin > 3]
    if long_runs:
        series = int(arrays.series[long_runs[0].begin])
        begin, end = int(arrays.start[series]), int(arrays.start[series + 1])
        share = sum(run.end - run.begin for run in wrong) / (end - begin)
        if _UNDECIDED_SHARES[0] < share < _UNDECIDED_SHARES[1]:
            reason = (
                f"{arrays.label(series)} has {share:.0%} of its bars in another unit, by a factor "
                "of 100 or more: which one is right cannot be told from the prices"
            )
            yield Found(Verdict("unit_error", 0.8, reason), begin, end)
            runs = [run for run in runs if run not in wrong]
    yield from runs


def _to_hit(found: Found, arrays: SeriesArrays, settings: ValidationSettings) -> Hit:
    verdict = found.verdict
    rows = arrays.row[found.begin : found.end]
    severity = "warn"
    if verdict.kind == "large_move" or (verdict.kind == "spin_off" and verdict.confidence > 0.9):
        severity = "info"
    elif verdict.kind != "spin_off" and verdict.confidence >= settings.confidence_quarantine_min:
        severity = "quarantine"
    return Hit(verdict.kind, severity, verdict.confidence, rows, verdict.reason)


JUMP_RULES = (
    TableRule(
        name="price_jumps",
        kinds=(
            "bad_print",
            "unit_error",
            "unadjusted_split",
            "spin_off",
            "identity_break",
            "large_move",
        ),
        severity="quarantine",
        tables=("bars", "macro"),
        find=_find,
        text=(
            "a move far outside the series' noise is named: gone within 3 bars (bad print), by "
            "100 or more (unit), at p/q on unchanged traded value (split not applied: all older "
            "rows are on another scale), down between sessions on usual volume (spin-off), or true"
        ),
    ),
)
