"""The floor of a universe that spans exchanges: each with its own hours, holidays and half days.

A day of the experiment is a UTC day on which any of them closes. Orders meet the bars of their own
exchange; what is decided is decided once a day, after the last close of the day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from features.calendars import day_of
from features.projections import moment
from models.experiments.contracts import Contracts
from models.experiments.fields import ExperimentError
from models.experiments.floor import (
    Exchange,
    Floor,
    FloorTables,
    build_floor,
    close_ns,
    rates_of,
    strangers,
)
from models.experiments.spec import Universe
from swarm_core.actions.action import CorporateAction
from swarm_core.backtest.bars import Bars, currencies_of, rate_ratios
from swarm_core.backtest.columns import DECIDED, NONE, ZERO
from swarm_core.backtest.exchanges import join_exchanges


def exchanges_of(tables: FloorTables, ids: Sequence[str]) -> tuple[Exchange, ...]:
    """Return the exchanges of these instruments, the floor's own first, each with those it has."""
    elsewhere: set[str] = set()
    found: list[Exchange] = []
    for exchange in tables.exchanges:
        own = exchange.instrument_ids.intersection(ids)
        elsewhere |= own
        if own:
            found.append(replace(exchange, instrument_ids=own))
    at_home = frozenset(ids) - elsewhere
    first = (Exchange(instrument_ids=at_home, hours=tables.hours),) if at_home else ()
    return (*first, *found)


def last_closes(moments: Sequence[datetime]) -> Mapping[datetime, datetime]:
    """Return for each moment the last one of its UTC day."""
    last = {day_of(close): close for close in sorted(moments)}
    return {close: last[day_of(close)] for close in moments}


def join_floors(
    tables: FloorTables,
    told: pl.DataFrame,
    ids: Sequence[str],
    closes: Sequence[datetime],
    decision_lag: timedelta,
    universe: Universe,
    contracts: Contracts,
) -> Floor:
    """Return the floor of instruments of several exchanges; `ids` stand exchange by exchange.

    `told` (instrument_id, event_time) has the closes of each exchange, `closes` the last one of
    each day. Raises ExperimentError as build_floor does.
    """
    parts: list[Floor] = []
    for exchange in exchanges_of(tables, ids):
        own = [name for name in ids if name in exchange.instrument_ids]
        moments = told.filter(pl.col("instrument_id").is_in(own))["event_time"].unique().sort()
        parts.append(
            build_floor(
                replace(tables, hours=exchange.hours, exchanges=()),
                own,
                tuple(moments),
                decision_lag,
                universe,
                _of(contracts, own, ids),
                among=[name for name in ids if name not in own],
            )
        )
    bars = join_exchanges([part.bars for part in parts])
    bars = _with_members(_with_rates(bars, tables, decision_lag), universe)
    actions: dict[int, tuple[CorporateAction, ...]] = {}
    for part in parts:
        for session, found in part.actions.items():
            actions[session] = (*actions.get(session, ()), *found)
    decided = np.searchsorted(bars.market.time_ns, close_ns(closes))
    return Floor(bars=bars, actions=actions, decided=decided.astype(np.int64))


def _of(contracts: Contracts, own: Sequence[str], ids: Sequence[str]) -> Contracts:
    """Return the contracts of one exchange; those of no member stay, to be refused."""
    others = frozenset(ids) - frozenset(own)
    options = tuple(o for o in contracts.options if o.instrument_id not in others)
    for option in options:
        if option.underlying_id in others:
            raise ExperimentError(
                f"contracts.{option.instrument_id} must be of an underlying of its own exchange, "
                f"was of {option.underlying_id}"
            )
    futures = tuple(f for f in contracts.futures if f.instrument_id not in others)
    return replace(contracts, futures=futures, options=options)


def _with_rates(bars: Bars, tables: FloorTables, lag: timedelta) -> Bars:
    """Return the bars with every currency's newest rate at each close, whoever closes."""
    moments = [moment(int(ns)) for ns in bars.market.time_ns]
    priced = bars.market.close != NONE
    rates = rates_of(tables, bars.instruments, moments, lag, priced)
    ratios = rate_ratios(rates, currencies_of(bars.instruments), len(moments))
    return replace(bars, market=bars.market._replace(rates=ratios))


def _with_members(bars: Bars, universe: Universe) -> Bars:
    """Return the bars with who is no member on each day, its exchange open or not."""
    ids = [i.instrument_id for i in bars.instruments]
    away = strangers(ids, bars.market.session, universe)
    if away is None:
        return bars
    known = bars.market.leaving if len(bars.market.leaving) else np.full_like(away, DECIDED)
    leaving = np.where(away == ZERO, ZERO, np.where(known == ZERO, DECIDED, known))
    return replace(bars, market=bars.market._replace(leaving=leaving))
