"""Naming a jump that did not come back: split, unit, spin-off, or a true move."""

import math
from dataclasses import dataclass, replace

from features.validation.rules.actions import Action
from features.validation.rules.jump_evidence import Jump
from features.validation.rules.ratios import (
    Match,
    broken_split_at_open,
    nearest_split,
    nearest_unit,
    split_at_open,
)
from features.validation.settings import ValidationSettings

# A true move of the whole market explains a jump when it is at least this share of it.
_MARKET_SHARE = 0.25
# Traded value this many times the usual one (as a log) speaks for news, not for bookkeeping.
_NEWS_SPIKE = math.log(3.5)
_NEWS_FLOOD = math.log(7.0)
_NO_NEWS_MOVE = math.log(3.0)
# What has no shares moves less in a bar: beyond this it is a decimal that was shifted.
_NO_SHARES_MOVE = math.log(5.0)
# A move to a half or less (or to twice) whose open and close are this near (as logs) to a split's
# is seldom news: of a million days of real shares, five. By 3 for 2 it is more often, and wider.
_AT_OPEN, _AT_OPEN_SMALL = 0.12, 0.08
_LARGE_SPLIT = 0.69
# Trading that is truly new to the price makes a range of so many usual ones.
_WIDE, _WIDE_SMALL = 5.0, 3.0
_CALM = math.log(1.5)
# A split of ten for one moves the volume by ten: of 480 put into real shares all moved it by more
# than this part of it within two days, of 480 shifted decimals four did.
_FOLLOWS_MIN = 0.45
# Of 1,139,202 days of real shares eleven were down by 4 for 3 or 5 for 4 at the open as at the
# close, on so little trading and so far: splits, spin-offs and payments, all on another scale.
_BROKEN_SIGMAS, _BROKEN_SPIKE, _BROKEN_ERRORS = 10.0, math.log(2.0), (0.03, 0.045)
# The usual volume after a split is told by this many records.
_TOLD_AFTER, _TOLD_BEFORE, _TOLD_LATE = 3, 20, 20
_SPIN_OFF_SPIKE = math.log(3.0)
# Volume wanders by a third by itself: only beyond this does its change prove a split.
_TELLING_MOVE = 0.38
# A price of three ticks that loses one has moved by a third, and nothing has happened.
_TICKS_MIN = 3.5
# Tickers are given away again after a while; a halt seldom lasts as long.
_PAUSE_DAYS = 45.0
# Of a million days of real shares 35 moved so far that a jump is looked at, by less than a fifth,
# with less than this traded (as a log of the usual value); twelve of these were bad prints.
_USUAL_VALUE = math.log(1.5)
# The newest bar may move this much (as a log) on usual volume, or where no volume is published.
_QUIET_MOVE, _SILENT_MOVE = 0.2, 0.3
_UNCONFIRMED = ", which nothing confirms yet"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a jump is, how sure that is, and why; `scaled` where all older rows are in doubt."""

    kind: str
    confidence: float
    reason: str
    scaled: bool = False


def explained(jump: Jump, adjustment: str | None, actions: list[Action]) -> bool:
    """Whether the market, or an action that this series shows by design, made the move."""
    if math.isfinite(jump.market) and jump.market / jump.move >= _MARKET_SHARE:
        return True
    if adjustment == "total_return":
        return False
    for action in actions:
        expected = math.nan
        if action.kind == "split" and action.ratio > 0 and adjustment != "split":
            expected = -math.log(action.ratio)
        elif action.kind == "dividend" and 0 < action.amount < jump.previous:
            expected = math.log1p(-action.amount / jump.previous)
        if math.isfinite(expected) and abs(expected - jump.move) <= max(0.06, 3 * jump.sigma):
            return True
    return False


def name_jump(
    jump: Jump,
    label: str,
    actions: list[Action],
    settings: ValidationSettings,
    *,
    splits_known: bool = False,
    has_shares: bool = True,
    is_raw: bool = False,
) -> Verdict:
    """Return the likeliest kind of a lasting jump, after the ways a fault shows itself.

    Where the instrument's other splits are on record, one that is not is less likely; what has
    no shares has neither splits nor spin-offs. Prices that are told to be `raw` hold their splits.
    """
    told = _announced(jump, label, actions)
    if told is not None:
        return told
    if _drifted(jump):
        return _spin_off_or_move(jump, label)
    if jump.pause_days > _PAUSE_DAYS:
        return Verdict(
            "identity_break",
            0.75,
            f"{label} moved {_percent(jump.move)} after {jump.pause_days:.0f} days without a bar: "
            "another security under the same name, mostly",
            scaled=True,
        )
    if jump.ticks <= _TICKS_MIN:
        return _spin_off_or_move(jump, label)
    split = nearest_split(jump.move if not math.isfinite(jump.gap) else jump.gap)
    whole = nearest_split(jump.move)
    split = min(split, whole, key=lambda match: match.error)
    tolerance = min(max(settings.split_tolerance, 2.0 * jump.sigma), 0.12)
    follows = _volume_follows(jump, split.move)
    unit = _wrong_unit(jump, label, follows=follows)
    if unit is not None:
        return unit
    confidence = _split_confidence(jump, split.weight, split.error / tolerance, follows)
    confidence -= 0.15 if splits_known else 0.0
    if not has_shares and abs(jump.move) < _NO_SHARES_MOVE:
        return _true_move(jump, label)
    fits = split.error <= tolerance and confidence >= 0.5
    opened = None if splits_known or is_news(jump, _NEWS_FLOOD) else opened_at_split(jump)
    if opened is not None and follows and jump.noise_shift < _CALM:
        split, confidence, fits = opened, max(confidence, 0.65), True
    broken = _broken_split(jump) if is_raw and has_shares and not splits_known else None
    if broken is not None and not (fits and confidence > 0.65):
        split, confidence, fits = broken, 0.65, True
    if fits:
        return _of_ratio(jump, label, split, confidence, has_shares=has_shares)
    return _spin_off_or_move(jump, label)


def _of_ratio(
    jump: Jump, label: str, split: Match, confidence: float, *, has_shares: bool
) -> Verdict:
    """Return the verdict on a lasting move by the ratio of a split."""
    text = f"{label} moved {_percent(jump.move)} ({jump.sigmas:.0f} sigmas)"
    if not has_shares:
        told = f"{text} and stayed, and has no shares that were split: a shifted decimal"
        return Verdict("unit_error", 0.85, told, scaled=True)
    told = f"{text}, within {split.error:.1%} of a split {split.name}, with no split announced"
    return Verdict("unadjusted_split", confidence, told, scaled=True)


def _wrong_unit(jump: Jump, label: str, *, follows: bool) -> Verdict | None:
    """Return the verdict on a lasting move by the factor of a unit, or of a decimal."""
    unit = nearest_unit(jump.move)
    if unit.error > unit_tolerance(jump) or follows:
        return _shifted_decimal(jump, label)
    reason = (
        f"{label} moved {_percent(jump.move)} ({unit.name}, {jump.sigmas:.0f} sigmas) and "
        "stayed: a change of unit"
    )
    return Verdict("unit_error", 0.9, reason, scaled=True)


def _shifted_decimal(jump: Jump, label: str) -> Verdict | None:
    """Return the verdict on ten times the price, or a tenth, on the volume of before.

    A split of ten for one makes ten shares of one, and the volume ten times as large.
    """
    is_ten = abs(abs(jump.move) - math.log(10.0)) <= unit_tolerance(jump)
    if not is_ten:
        return None
    text = f"{label} moved {_percent(jump.move)} ({jump.sigmas:.0f} sigmas) and stayed"
    if not math.isfinite(jump.volume_step):
        if jump.after >= _TOLD_AFTER or jump.at - jump.begin < _TOLD_BEFORE:
            return None
        reason = f"{text}, with no volume that would tell a split from a shifted decimal"
        return Verdict("unit_error", 0.7, reason, scaled=True)
    # Shares that are put together ten for one are often traded ten times as much, later on.
    is_old = jump.move > 0 and jump.after >= _TOLD_LATE
    if is_old or -jump.volume_step / jump.move >= _FOLLOWS_MIN:
        return None
    reason = (
        f"{text}, on {math.exp(jump.volume_step):.2g} times the usual volume, of which a split "
        f"makes {math.exp(-jump.move):.2g} times: a shifted decimal"
    )
    return Verdict("unit_error", 0.85, reason, scaled=True)


def _broken_split(jump: Jump) -> Match | None:
    """Return the split of 5 for 3, 4 for 3 or 5 for 4 that a quiet fall at the open fits."""
    if not math.isfinite(jump.gap) or jump.sigmas < _BROKEN_SIGMAS or jump.width > _WIDE_SMALL:
        return None
    low, high = _BROKEN_ERRORS
    split = broken_split_at_open(jump.move, jump.gap)
    is_near = split.error <= min(max(low, 2.0 * jump.sigma), high)
    return split if is_near and jump.value_spike < _BROKEN_SPIKE else None


def opened_at_split(jump: Jump) -> Match | None:
    """Return the split that a move fits at the open as at the close, on no range of a crash.

    Volume does not speak against it: news and results come on days of splits too.
    """
    if not math.isfinite(jump.gap):
        return None
    split = split_at_open(jump.move, jump.gap)
    is_large = abs(split.move) > _LARGE_SPLIT
    near, wide = (_AT_OPEN, _WIDE) if is_large else (_AT_OPEN_SMALL, _WIDE_SMALL)
    if split.error > near or jump.width > wide:
        return None
    # Who is bought for twice the price is traded as never before; fewer shares are not.
    return None if jump.move > 0 and is_news(jump, _NEWS_FLOOD) else split


def doubt_split(jump: Jump, label: str) -> Verdict | None:
    """Return the doubt about the newest records after a move that fits a split, if it does.

    It ends with the record that lets the usual volume be compared.
    """
    split = opened_at_split(jump) if jump.after < _TOLD_AFTER else None
    if split is None:
        return None
    return Verdict(
        "unadjusted_split",
        0.7,
        f"{label} moved {_percent(jump.move)} ({jump.sigmas:.0f} sigmas), from its open on within "
        f"{split.error:.1%} of a split {split.name}: the volume of the next bars will tell",
    )


def name_newest(
    jump: Jump,
    label: str,
    actions: list[Action],
    *,
    has_shares: bool = True,
    is_daily: bool = True,
    sigmas_min: float = 0.0,
) -> Verdict:
    """Return what a jump into the newest record is: nothing after it can confirm or deny it.

    The record itself is in doubt, never the history. News makes volume: a large move on usual
    volume waits for the next record, and so does one by the ratio of a split on any volume.
    """
    told = _announced(jump, label, actions)
    if told is not None:
        return replace(told, scaled=False)
    size = abs(jump.move)
    text = f"{label} moved {_percent(jump.move)} ({jump.sigmas:.0f} sigmas) into its newest bar"
    if jump.sigmas < sigmas_min:
        is_doubted = _is_quiet(jump) and jump.ticks > _TICKS_MIN and not _drifted(jump)
        confidence = 0.65 if is_doubted else 0.3
        return Verdict("bad_print" if is_doubted else "large_move", confidence, text + _UNCONFIRMED)
    if nearest_unit(jump.move).error <= unit_tolerance(jump):
        return Verdict("unit_error", 0.85, text + ": a change of unit, not confirmed yet")
    doubt = doubt_split(jump, label) if has_shares else None
    if doubt is not None:
        return doubt
    if is_news(jump, _NEWS_SPIKE):
        return Verdict("large_move", 0.6, text + ", heavily traded: a true move, mostly")
    limit = _QUIET_MOVE if math.isfinite(jump.value_spike) else _SILENT_MOVE
    unusual = is_daily and _is_quiet(jump) and jump.ticks > _TICKS_MIN and not _drifted(jump)
    confidence = 0.7 if size > limit or unusual else 0.5
    return Verdict("bad_print", confidence, text + _UNCONFIRMED)


def _is_quiet(jump: Jump) -> bool:
    """Whether no more was traded than on any other day; False where no volume tells."""
    return jump.value_spike - max(jump.move, 0.0) < _USUAL_VALUE


def is_news(jump: Jump, spike: float) -> bool:
    """Whether so much more than usual was traded, by `spike` (a log), that the move was true.

    A higher price alone is no trading: it is taken off the traded value. Beyond a factor of
    three the volume must be a flood, and ten is a shifted decimal sooner than news.
    """
    traded = jump.value_spike - max(jump.move, 0.0)
    if abs(jump.move) < _NO_NEWS_MOVE:
        return traded > spike
    shifted = abs(abs(jump.move) - math.log(10.0)) <= unit_tolerance(jump)
    return traded > _NEWS_FLOOD and not shifted


def _announced(jump: Jump, label: str, actions: list[Action]) -> Verdict | None:
    """Return the verdict that an announced split or spin-off supports, if one does."""
    for action in actions:
        if action.kind == "split" and action.ratio > 0 and action.ratio != 1:
            size = abs(math.log(action.ratio))
            error = abs(abs(jump.move) - size)
            if error <= max(0.06, 3 * jump.sigma, 0.3 * size):
                close = error <= max(0.06, 3 * jump.sigma)
                return Verdict(
                    "unadjusted_split",
                    0.97 if close else 0.75,
                    f"{label} moved {_percent(jump.move)}, which the announced split of ratio "
                    f"{action.ratio:g} should have been adjusted for",
                    scaled=True,
                )
        if action.kind == "spin_off" and jump.move < 0:
            return Verdict(
                "spin_off",
                0.95,
                f"{label} fell {_percent(jump.move)} on an announced spin-off",
            )
    return None


def unit_tolerance(jump: Jump) -> float:
    """Return how far (as a log) a move may lie from a unit's factor; noise widens it a little."""
    return min(max(0.15, 3 * jump.sigma), 0.3)


def _drifted(jump: Jump) -> bool:
    """Whether the series may have gone so far by itself while nothing was recorded."""
    drift = jump.sigma * math.sqrt(max(jump.pause_days, 1.0))
    return jump.pause_days > _PAUSE_DAYS / 4 and abs(jump.move) < 4 * drift


def _volume_follows(jump: Jump, split_move: float) -> bool:
    """Whether the usual volume changed the other way as the price, as in a split."""
    if not math.isfinite(jump.volume_shift):
        return False
    return abs(jump.volume_shift + split_move) < min(0.4 * abs(split_move), 1.0)


def _split_confidence(jump: Jump, weight: float, misfit: float, follows: bool) -> float:
    """Weigh the ratio's own proof with volume, the gap and the noise around the jump."""
    score = weight + 0.15 * (1 - 2 * min(misfit, 1.0))
    score += 0.1 if jump.sigmas >= 15 else 0.0
    if math.isfinite(jump.volume_shift):
        score += 0.25 if follows and abs(jump.move) > _TELLING_MOVE else -0.05
    # Beyond a factor of three a higher price alone floods the traded value: news makes volume.
    spike = jump.value_spike - (jump.move if jump.move > _NO_NEWS_MOVE else 0.0)
    if math.isfinite(spike) and spike > _NEWS_SPIKE:
        score -= 0.35 if spike < _NEWS_FLOOD else 0.5
    if math.isfinite(jump.gap) and abs(jump.move - jump.gap) > max(
        0.35 * abs(jump.move), 4 * jump.sigma
    ):
        score -= 0.4  # the move happened while the market was open: trades, not bookkeeping
    if jump.noise_shift > math.log(2.5):
        score -= 0.2
    return min(max(score, 0.0), 0.97)


def _spin_off_or_move(jump: Jump, label: str) -> Verdict:
    """A fall between two sessions, without news volume, may be a spin-off; the rest is true."""
    overnight = math.isfinite(jump.gap) and abs(jump.move - jump.gap) < 0.2 * abs(jump.move)
    quiet = math.isfinite(jump.value_spike) and jump.value_spike < _SPIN_OFF_SPIKE
    if jump.move < 0 and overnight and quiet:
        return Verdict(
            "spin_off",
            0.5,
            f"{label} fell {_percent(jump.move)} between two sessions ({jump.sigmas:.0f} sigmas) "
            "on usual volume and stayed: a spin-off or a payment that is not announced",
        )
    return _true_move(jump, label)


def _true_move(jump: Jump, label: str) -> Verdict:
    return Verdict(
        "large_move",
        0.7,
        f"{label} moved {_percent(jump.move)} ({jump.sigmas:.0f} sigmas) and stayed, at no ratio "
        "of a split or a unit: a true move",
    )


def _percent(move: float) -> str:
    return f"{math.expm1(move):+.1%}"
