"""Payments against prices: wrong by 100, phantom, missing, or not as the adjustment says.

A total-return series falls short of its price series by a factor that steps at every ex-date by
1 - amount / price before (CRSP, Data Descriptions Guide). Recorded amounts, the factor's steps
and the price's own fall are three witnesses: two that agree convict the third.
"""

from collections.abc import Iterable
from datetime import date

import polars as pl

from features.validation.context import CheckContext
from features.validation.findings import make_hits
from features.validation.rule import TableRule
from features.validation.rules.jump_kinds import Verdict
from features.validation.rules.payments import (
    judge,
    pair_payments,
    price_tracks,
    unexplained_steps,
)
from features.validation.view import TableView

# A smaller step of the adjustment without a recorded payment is rounding.
_STEP_MIN = 0.004


def _find_in_actions(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield the recorded dividends that the bars (`reference`) or each other contradict."""
    if context.reference is None or context.reference.is_empty():
        return
    actions = view.rows.with_row_index("row_index")
    tracks = price_tracks(context.reference, actions.get_column("instrument_id").drop_nulls())
    for payment in pair_payments(actions, tracks):
        judged = judge(payment, context.settings.dividend_yield_max)
        if judged is None or judged[0] == "step":
            continue
        verdict = judged[1]
        severity = _severity(verdict.confidence, context)
        yield make_hits(
            "dividend_amounts",
            verdict.kind,
            severity,
            verdict.confidence,
            [payment.row_index],
            verdict.reason,
        )


def _find_in_bars(view: TableView, context: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield the total-return bars that rest on a wrong step: all before its ex-date."""
    adjusted = view.rows.with_row_index("row").filter(pl.col("adjustment") == "total_return")
    if adjusted.is_empty() or context.corporate_actions is None:
        return
    actions = context.corporate_actions.with_row_index("row_index")
    tracks = price_tracks(view.rows, actions.get_column("instrument_id").drop_nulls())
    latest: dict[str, tuple[date, Verdict]] = {}
    payments = pair_payments(actions, tracks)
    for payment in payments:
        judged = judge(payment, context.settings.dividend_yield_max)
        held = latest.get(payment.instrument_id)
        if judged is None or judged[0] == "amount" or (held and held[0] > payment.ex_day):
            continue
        latest[payment.instrument_id] = (payment.ex_day, judged[1])
    for name, (ex_day, verdict) in latest.items():
        before = (pl.col("instrument_id") == name) & (pl.col("event_time").dt.date() < ex_day)
        rows = adjusted.filter(before).get_column("row")
        severity = _severity(verdict.confidence, context)
        yield make_hits(
            "adjustment_steps", verdict.kind, severity, verdict.confidence, rows, verdict.reason
        )
    for name, day, step in unexplained_steps(tracks, payments, _STEP_MIN):
        on_day = (pl.col("instrument_id") == name) & (pl.col("event_time").dt.date() == day)
        reason = f"{name}: the adjustment took {step:.2%} on {day}, with no payment recorded"
        rows = adjusted.filter(on_day).get_column("row")
        yield make_hits("adjustment_steps", "missing_dividend", "warn", 0.55, rows, reason)


def _severity(confidence: float, context: CheckContext) -> str:
    sure = confidence >= context.settings.confidence_quarantine_min
    return "quarantine" if sure else "warn"


DIVIDEND_RULES = (
    TableRule(
        name="dividend_amounts",
        kinds=("dividend_unit_error", "phantom_dividend", "dividend_scale"),
        severity="quarantine",
        tables=("corporate_actions",),
        find=_find_in_actions,
        text="a recorded payment must fit the adjustment, the price's fall and its own neighbours",
    ),
    TableRule(
        name="adjustment_steps",
        kinds=("missing_adjustment", "wrong_adjustment", "missing_dividend", "phantom_dividend"),
        severity="quarantine",
        tables=("bars",),
        find=_find_in_bars,
        text=(
            "a total-return series steps against its price series by each payment and by nothing "
            "else; the bars before a wrong step go"
        ),
    ),
)
