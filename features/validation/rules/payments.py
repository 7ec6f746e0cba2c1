"""Recorded payments beside the price's fall and the adjustment's step, and who of them errs."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from features.validation.rules.jump_kinds import Verdict

_EPOCH = date(1970, 1, 1)
# A payment is mostly between 0.2 % and 10 % of the price: a log-normal prior of these two.
_YIELD_MIDDLE, _YIELD_SPREAD = 0.015, 1.4
# The same amount twice within so many days is one payment booked twice.
_TWIN_DAYS = 20
_TWIN_AMOUNT = 0.002
_DROP_NOISE = 0.005
_STEP_GAP = 0.008


@dataclass(frozen=True, slots=True)
class Payment:
    """One recorded payment; fractions are of the price before, NaN where not measurable.

    `recorded` is the amount, `step` what the total-return series took, `drop` the price's fall,
    `sigma` the price's daily noise, `split` a split ratio within a week (1 where there is none),
    `usual` the median amount of the instrument's other payments, `twin` whether a better-fitting
    payment of the same amount lies nearby.
    """

    row_index: int
    instrument_id: str
    ex_day: date
    amount: float
    recorded: float
    step: float
    drop: float
    sigma: float
    split: float
    usual: float
    twin: bool


@dataclass(frozen=True, slots=True)
class PriceTrack:
    """The prices of one instrument by day: split-adjusted, and total-return (NaN: none)."""

    days: np.ndarray
    close: np.ndarray
    adjusted: np.ndarray
    sigma: float

    def moves(self, day: int, recorded_amount: float) -> tuple[float, float, float]:
        """Return (amount / price before, step, drop) at the ex-day, or a neighbour fitting best."""
        first = int(np.searchsorted(self.days, day))
        best = (math.nan, math.nan, math.nan)
        for at in (first, first + 1, first - 1):
            if not 1 <= at < self.days.size or abs(int(self.days[at]) - day) > 6:
                continue
            share = recorded_amount / self.close[at - 1]
            step = self.step(at)
            drop = 1 - self.close[at] / self.close[at - 1]
            if math.isnan(best[0]) or abs(step - share) < 0.05 * share < abs(best[1] - best[0]):
                best = (float(share), step, float(drop))
        return best

    def step(self, at: int) -> float:
        """Return by which fraction the adjustment factor rises into record `at`."""
        before = self.adjusted[at - 1] / self.close[at - 1]
        after = self.adjusted[at] / self.close[at]
        return float(1 - before / after) if after else math.nan


def price_tracks(bars: pl.DataFrame, instruments: Iterable[str]) -> dict[str, PriceTrack]:
    """Return the daily split-adjusted prices of the instruments that have any, by instrument."""
    wanted = pl.Series(sorted(set(instruments)), dtype=pl.String)
    daily = bars.lazy().filter(
        pl.col("instrument_id").is_in(wanted.implode()),
        pl.col("interval") == "1d",
        pl.col("close").is_finite(),
    )
    total = pl.col("adjustment") == "total_return"
    # Against raw prices the adjustment also steps at splits, and amounts may be of either scale.
    split = pl.col("adjustment").is_null() | (pl.col("adjustment") == "split")
    rows = (
        daily.with_columns(day=pl.col("event_time").dt.date().cast(pl.Int32))
        .sort("knowledge_time")
        .group_by("instrument_id", "day")
        .agg(
            pl.col("close").filter(split).last().alias("price"),
            pl.col("close").filter(total).last().alias("adjusted"),
        )
        .filter(pl.col("price") > 0)
        .sort("instrument_id", "day")
        .collect()
    )
    return {str(name): _track(part) for (name,), part in rows.group_by("instrument_id")}


def _track(part: pl.DataFrame) -> PriceTrack:
    part = part.sort("day")
    close = part.get_column("price").to_numpy()
    moves = np.abs(np.diff(np.log(close)))
    moves = moves[moves > 0]  # a price that rests says nothing of how far it moves
    spread = max(1.4826 * float(np.median(moves)) if moves.size else 0.0, _DROP_NOISE)
    adjusted = part.get_column("adjusted").fill_null(float("nan")).to_numpy()
    return PriceTrack(part.get_column("day").to_numpy(), close, adjusted, spread)


def pair_payments(actions: pl.DataFrame, tracks: dict[str, PriceTrack]) -> list[Payment]:
    """Return every recorded dividend with what prices say of it; `actions` has a row_index."""
    rows = actions.filter(pl.col("kind") == "dividend", pl.col("amount") > 0)
    splits = actions.filter(pl.col("kind") == "split", pl.col("ratio") > 0)
    payments: list[Payment] = []
    for (name,), part in rows.group_by("instrument_id", maintain_order=True):
        track = tracks.get(str(name))
        if track is not None:
            own = splits.filter(pl.col("instrument_id") == name)
            payments.extend(_instrument_payments(str(name), part, own, track))
    return payments


def _instrument_payments(
    name: str, part: pl.DataFrame, splits: pl.DataFrame, track: PriceTrack
) -> list[Payment]:
    days = part.get_column("event_time").dt.date().cast(pl.Int32).to_list()
    amounts = part.get_column("amount").to_list()
    index = part.get_column("row_index").to_list()
    split_days = splits.get_column("event_time").dt.date().cast(pl.Int32).to_list()
    ratios = splits.get_column("ratio").to_list()
    moves = [
        _in_best_shares(track, day, amount, split_days, ratios)
        for day, amount in zip(days, amounts, strict=True)
    ]
    found: list[Payment] = []
    for i, (day, amount) in enumerate(zip(days, amounts, strict=True)):
        others = [a for j, a in enumerate(amounts) if j != i]
        near = [r for d, r in zip(split_days, ratios, strict=True) if abs(d - day) <= 7]
        found.append(
            Payment(
                row_index=index[i],
                instrument_id=name,
                ex_day=_EPOCH + timedelta(days=day),
                amount=amount,
                recorded=moves[i][0],
                step=moves[i][1],
                drop=moves[i][2],
                sigma=track.sigma,
                split=near[0] if near else 1.0,
                usual=float(np.median(others)) if len(others) > 1 else math.nan,
                twin=_has_better_twin(i, days, amounts, moves),
            )
        )
    return found


def _in_best_shares(
    track: PriceTrack, day: int, amount: float, split_days: list[int], ratios: list[float]
) -> tuple[float, float, float]:
    """Return the payment's (share, step, drop), its amount in today's shares or in its day's.

    Prices are split-adjusted; an amount that is not must be divided by all later splits.
    """
    later = math.prod(r for d, r in zip(split_days, ratios, strict=True) if d > day + 7)
    as_told = track.moves(day, amount)
    if later == 1.0:
        return as_told
    divided = track.moves(day, amount / later)
    witness = as_told[2] if math.isnan(as_told[1]) else as_told[1]
    nearer = abs(divided[0] - witness) < abs(as_told[0] - witness)
    return divided if nearer else as_told


def _has_better_twin(
    i: int, days: list[int], amounts: list[float], moves: list[tuple[float, float, float]]
) -> bool:
    """Whether the same amount stands again within weeks, on a day whose fall fits it better."""
    misfit = [abs(drop - recorded) for recorded, _, drop in moves]
    return any(
        j != i
        and 0 < abs(days[j] - days[i]) <= _TWIN_DAYS
        and abs(amounts[j] / amounts[i] - 1) <= _TWIN_AMOUNT
        and misfit[j] <= misfit[i]
        for j in range(len(days))
    )


def judge(payment: Payment, yield_max: float) -> tuple[str, Verdict] | None:
    """Return what errs ("amount", "step" or "both") and why; None where all witnesses agree."""
    if math.isnan(payment.recorded):
        return None
    title = f"{payment.instrument_id} paid {payment.amount:g} on {payment.ex_day}"
    if payment.twin:
        reason = f"{title}, booked twice within {_TWIN_DAYS} days: the other fits the price better"
        return "both", Verdict("phantom_dividend", 0.85, reason)
    share, step = payment.recorded, payment.step
    told = f"{title}: {share:.2%} of the price, which fell {payment.drop:.2%}"
    if math.isnan(step) or abs(step - share) <= max(0.03 * abs(share), 2e-4):
        return _judge_agreed(payment, yield_max, told, "amount" if math.isnan(step) else "both")
    told += f", while its adjustment took {step:.2%}"
    if step >= 1 or step < -0.01:
        return "step", Verdict("wrong_adjustment", 0.95, told + ": no payment can do that")
    for factor, name in ((100.0, "100"), (payment.split, "the split ratio")):
        if factor != 1 and step > 0 and abs(math.log(share / step / factor)) <= 0.1:
            return _judge_factor(payment, told, factor, name)
    if abs(step) <= max(2e-4, 0.03 * share):
        return "step", Verdict("missing_adjustment", 0.85, told + ": the payment is left out")
    nearer = abs(payment.drop - step) + 3 * payment.sigma < abs(payment.drop - share)
    if nearer:
        # It may stand in the shares of its day, before splits that nobody recorded: a warning.
        return "amount", Verdict("dividend_scale", 0.55, told + ": the amount does not fit")
    far = abs(step - share) > max(_STEP_GAP, 0.3 * share)
    confidence = 0.75 if far else 0.5  # two vendors' roundings differ by less
    return "step", Verdict(
        "wrong_adjustment", confidence, told + ": the step does not fit the amount"
    )


def _judge_agreed(
    payment: Payment, yield_max: float, told: str, errs: str
) -> tuple[str, Verdict] | None:
    """Amount and step agree: the price's fall and the other payments may still convict both."""
    share, drop = payment.recorded, payment.drop
    if share > yield_max and drop < 0.5 * share - 2 * payment.sigma:
        return errs, Verdict("dividend_unit_error", 0.9, told + ": too much by a factor")
    near_100 = abs(math.log(100 * payment.amount / payment.usual)) if payment.usual > 0 else 9.0
    fits_drop = drop > 0.3 * 100 * share
    if near_100 <= (0.5 if fits_drop else 0.25) and share < 0.01:
        reason = f"{told}: a hundredth of its other payments ({payment.usual:g})"
        return errs, Verdict("dividend_unit_error", 0.9, reason)
    return None


def _judge_factor(payment: Payment, told: str, factor: float, name: str) -> tuple[str, Verdict]:
    """The two differ by a known factor: the likelier yield, and the price's fall, decide."""
    amount_fits = _misfit(payment, payment.recorded)
    step_fits = _misfit(payment, payment.step)
    kind = "dividend_unit_error" if factor == 100.0 else "dividend_scale"
    reason = f"{told}: they differ by {name}"
    confidence = min(0.7 + 0.05 * abs(amount_fits - step_fits), 0.97)
    if step_fits < amount_fits:
        return "amount", Verdict(kind, confidence, reason)
    return "step", Verdict("wrong_adjustment", confidence, reason)


def _misfit(payment: Payment, share: float) -> float:
    """Return a squared misfit: of the price's fall (noise), and of the yield (prior)."""
    fall = (payment.drop - share) / (2 * payment.sigma)
    prior = math.log(max(share, 1e-9) / _YIELD_MIDDLE) / _YIELD_SPREAD
    return min(fall * fall, 25.0) + prior * prior


def unexplained_steps(
    tracks: dict[str, PriceTrack], payments: list[Payment], minimum: float
) -> list[tuple[str, date, float]]:
    """Return (instrument, ex-day, step) of steps without a recorded payment within a week."""
    known: dict[str, list[int]] = {}
    for payment in payments:
        known.setdefault(payment.instrument_id, []).append((payment.ex_day - _EPOCH).days)
    found: list[tuple[str, date, float]] = []
    for name, track in tracks.items():
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = track.adjusted / track.close
            steps = 1 - factor[:-1] / factor[1:]
        for at in np.flatnonzero(np.abs(steps) > minimum) + 1:
            day = int(track.days[at])
            if not any(abs(day - other) <= 7 for other in known.get(name, [])):
                found.append((name, _EPOCH + timedelta(days=day), float(steps[at - 1])))
    return found
