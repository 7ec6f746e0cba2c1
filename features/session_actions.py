"""The corporate actions of one session's ex-date, as the books and the venue take them.

What is applied follows from how the traded series is adjusted: a raw price falls by splits and
dividends, so both are booked; a split-adjusted one has its splits in it already; a total-return
one its dividends as well. An end of trading is booked in any case. While an instrument is halted,
nothing of it trades.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from features.observing import time_ns
from features.schemas import CORPORATE_ACTIONS
from swarm_core.action_events import ActionKind
from swarm_core.actions.action import CorporateAction
from swarm_core.actions.dividends import CashDividend
from swarm_core.actions.exchanges import CashOut, SpinOff, StockMerger
from swarm_core.actions.splits import Split
from swarm_core.instruments import Instrument, to_decimal

# Dividends are per share as it was before a split of the same day (CRSP), so they come first.
_ORDER = {"dividend": 0, "spin_off": 1, "split": 2, "merger": 3, "delisting": 4}
_ENDS = frozenset({"merger", "delisting"})
_BOOKED = {
    "raw": frozenset(_ORDER),
    "split": frozenset({"dividend", "spin_off"}) | _ENDS,
    "total_return": _ENDS,
}
_HALT = "halt"
_CHOSEN = (*_ORDER, _HALT)


def chosen_actions(actions: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the actions that belong to the traded series, each once, with its adjustment.

    Where the series' own source tells actions of a kind for an instrument, only its actions of
    that kind count: two sources that tell the same dividend would pay it twice. Otherwise all
    others' do.
    """
    name = pl.col("source").str.split("@").list.first()
    traded = (
        bars.sort("event_time")
        .group_by("instrument_id")
        .agg(_series=name.last(), adjustment=pl.col("adjustment").last())
    )
    named = (
        CORPORATE_ACTIONS.widened(actions)
        .filter(pl.col("kind").is_in(_CHOSEN))
        .join(traded, on="instrument_id", how="inner")
        .with_columns(_own=name == pl.col("_series"))
    )
    own = named.filter("_own").select("instrument_id", "kind").unique()
    others = named.join(own, on=["instrument_id", "kind"], how="anti")
    kept = pl.concat([named.filter("_own"), others])
    return (
        kept.sort("knowledge_time")
        .unique(["instrument_id", "event_time", "kind"], keep="last", maintain_order=True)
        .drop("_series", "_own")
    )


def unadjusted(actions: pl.DataFrame) -> pl.DataFrame:
    """Return the actions that a book meets whose prices are those of the day, each once.

    As at a broker: no series is chosen, and none has an action in it already.
    """
    return (
        CORPORATE_ACTIONS.widened(actions)
        .filter(pl.col("kind").is_in(_CHOSEN))
        .sort("knowledge_time")
        .unique(["instrument_id", "event_time", "kind"], keep="last", maintain_order=True)
        .with_columns(adjustment=pl.lit("raw"))
    )


def actions_between(
    chosen: pl.DataFrame,
    instruments: Mapping[str, Instrument],
    after: datetime,
    until: datetime,
) -> tuple[CorporateAction, ...]:
    """Return the actions with after < ex-date <= until, in the order in which they take effect.

    When a table came to know of one does not matter here: the price of the day has it, and so has
    the account at a broker. A row without the numbers that its kind needs is none.
    """
    rows = chosen.filter((pl.col("event_time") > after) & (pl.col("event_time") <= until))
    found: list[tuple[int, str, CorporateAction]] = []
    for row in rows.iter_rows(named=True):
        instrument = instruments.get(row["instrument_id"])
        if instrument is None or row["kind"] not in _BOOKED.get(row["adjustment"] or "raw", ()):
            continue
        action = _action(row, instrument, instruments)
        if action is not None:
            found.append((_ORDER[row["kind"]], row["instrument_id"], action))
    return tuple(action for _, _, action in sorted(found, key=lambda item: item[:2]))


def halted_ids(chosen: pl.DataFrame, start: datetime, end: datetime) -> frozenset[str]:
    """Return the instruments that are halted all the time from `start` to `end`.

    A halt whose end is not known is not over. What trades in a part of the time is not among them:
    its bar has what was traded in it.
    """
    lasts = pl.col("end_time").is_null() | (pl.col("end_time") >= end)
    rows = chosen.filter(pl.col("kind") == _HALT, pl.col("event_time") <= start, lasts)
    return frozenset(rows["instrument_id"])


def _action(
    row: Mapping[str, Any], instrument: Instrument, instruments: Mapping[str, Instrument]
) -> CorporateAction | None:
    name, kind = instrument.instrument_id, row["kind"]
    action_id = f"{kind}:{name}:{row['event_time']:%Y-%m-%d}"
    ratio, amount = _positive(row["ratio"]), _positive(row["amount"])
    if kind == "split":
        if ratio is None or ratio == 1:
            return None
        return Split.of_ratio(action_id, name, float(ratio))
    if kind == "delisting":
        paid = Decimal(0) if row["amount"] == 0 else amount
        return CashOut(action_id=action_id, instrument_id=name, price=paid)
    if kind == "merger":
        return _merger(action_id, row, instrument, instruments)
    child = row["detail"]
    exchanged = _is_exchanged(instrument, child, instruments)
    if kind == "spin_off" and ratio is not None and amount is not None and exchanged:
        return SpinOff(
            action_id=action_id,
            instrument_id=name,
            to_instrument_id=child,
            ratio=ratio,
            to_price=amount / ratio,
        )
    if amount is None:
        return None
    # Without a pay date the cash comes on the ex-date. So does the value of a spin-off whose new
    # instrument is not known here.
    paid = row["end_time"] if kind == "dividend" else None
    return CashDividend(
        action_id=action_id,
        instrument_id=name,
        amount=amount,
        currency=row["currency"] or instrument.currency,
        pay_ns=0 if paid is None else time_ns(paid),
    )


def _merger(
    action_id: str,
    row: Mapping[str, Any],
    instrument: Instrument,
    instruments: Mapping[str, Instrument],
) -> CorporateAction:
    """Return what a merger gives: cash, shares, or both; else the last mark in cash.

    The terms are of shares as they were on the day, and of one currency: where the prices are
    adjusted, the shares are of an instrument that is not known here, or the currencies differ, the
    last price, which has the terms in it, is the best that can be booked.
    """
    name = instrument.instrument_id
    ratio, amount = _positive(row["ratio"]), _positive(row["amount"])
    is_own = (row["currency"] or instrument.currency) == instrument.currency
    stated = (row["adjustment"] or "raw") == "raw" and (amount is None or is_own)
    if stated and ratio is None:
        return CashOut(
            action_id=action_id, instrument_id=name, price=amount, action=ActionKind.MERGER
        )
    if stated and ratio is not None and _is_exchanged(instrument, row["detail"], instruments):
        return StockMerger(
            action_id=action_id,
            instrument_id=name,
            to_instrument_id=row["detail"],
            ratio=ratio,
            cash=amount or Decimal(0),
        )
    return CashOut(action_id=action_id, instrument_id=name, action=ActionKind.MERGER)


def _is_exchanged(
    old: Instrument, new_id: str | None, instruments: Mapping[str, Instrument]
) -> bool:
    """Return whether another instrument is known that a holding can become in its currency."""
    new = instruments.get(new_id or "")
    return new is not None and new != old and new.currency == old.currency


def _positive(value: float | None) -> Decimal | None:
    if value is None or not 0 < value < float("inf"):
        return None
    return to_decimal(value, "an action's number")
