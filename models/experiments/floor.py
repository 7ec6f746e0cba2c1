"""What the orders of an experiment meet: prices of the day, on each instrument's own grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import polars as pl

from features.calendars import day_of
from features.currency_rates import SCHEMA as RATES
from features.currency_rates import MissingRate, rates_at
from features.session_actions import actions_between, halted_ids
from models.experiments.contracts import Contracts
from models.experiments.expiries import ends, rolls
from models.experiments.fields import ExperimentError
from models.experiments.spec import Universe
from swarm_core.actions.action import CorporateAction
from swarm_core.actions.splits import Split
from swarm_core.backtest.bars import Bars, Floats
from swarm_core.backtest.columns import DECIDED, LEFT, NONE, ZERO, Ints
from swarm_core.frictions.price_limits import PriceLimits
from swarm_core.instruments import Instrument

Actions = Mapping[int, tuple[CorporateAction, ...]]  # by number of the session
_FIRST = date(1970, 1, 1)
_SAFE = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Instruments that trade at other hours than those of the floor's own exchange."""

    instrument_ids: frozenset[str]
    hours: pl.DataFrame  # session, open, close


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorTables:
    """The rows that a floor is made of.

    `bars` are as they were quoted on the day, `actions` what happened to them
    (features.session_actions), and `hours` the exchange's sessions: session, open, close.
    `rates` are those of foreign currencies in `base_currency` (features.currency_rates).
    `exchanges` have hours of their own; every other instrument has `hours`.
    """

    bars: pl.DataFrame
    actions: pl.DataFrame
    hours: pl.DataFrame
    instruments: Mapping[str, Instrument]
    rates: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=RATES))
    base_currency: str = "USD"
    exchanges: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """T session bars of N instruments in ticks and lots, and what happens between sessions.

    Sessions are numbered by their days since 1970, so that the nights between two are known. Where
    exchanges close one after the other a session has several bars, and `decided` [T] says which
    is its last: what is decided, is decided there. None: each bar is a session.
    """

    bars: Bars
    actions: Actions = field(default_factory=dict[int, tuple[CorporateAction, ...]])
    decided: Ints | None = None

    def part(self, low: int, high: int) -> "Floor":
        """Return the sessions low <= t < high; the arrays are views."""
        if self.decided is None:
            return replace(self, bars=self.bars.part(low, high))
        edges = np.concatenate(([0], self.decided + 1))
        low, high = min(low, len(self.decided)), min(high, len(self.decided))
        first, last = int(edges[low]), int(edges[max(low, high)])
        return replace(
            self, bars=self.bars.part(first, last), decided=self.decided[low:high] - first
        )

    def banded(self, limits: PriceLimits | None) -> Bars:
        """Return the bars within the limits of the closes before, moved by splits of the day."""
        if limits is None:
            return self.bars
        m = self.bars.market
        reference = _references(self.bars, self.actions)
        above, below = limits.fraction.as_integer_ratio()
        known = reference != NONE
        size = np.abs(np.where(known, reference, 0))
        if above * int(size.max(initial=0)) > _SAFE:
            raise ValueError(f"price_limit_fraction must have fewer digits, was {limits.fraction}")
        width = size * above // below
        market = m._replace(
            band_low=np.where(known, reference - width, NONE),
            band_high=np.where(known, reference + width, NONE),
        )
        return Bars(instruments=self.bars.instruments, market=market)


def session_number(day: date) -> int:
    """Return the number of a session: the days since 1970."""
    return (day - _FIRST).days


def close_ns(closes: Sequence[datetime]) -> Ints:
    return np.array([round(c.timestamp() * 1_000_000) * 1_000 for c in closes], np.int64)


def session_numbers(closes: Sequence[datetime]) -> Ints:
    return np.array([session_number(day_of(c)) for c in closes], np.int64)


def build_floor(
    tables: FloorTables,
    ids: Sequence[str],
    closes: tuple[datetime, ...],
    decision_lag: timedelta,
    universe: Universe,
    contracts: Contracts = Contracts(),  # noqa: B008  # frozen
    among: Sequence[str] = (),
) -> Floor:
    """Return the floor of these sessions; a bar is its newest version known at its decision.

    `among` are instruments beside `ids` that a holding may become.

    Raises ExperimentError where a foreign currency has no rate, or an old one, at a session.
    """
    rows = _newest(tables.bars, ids, closes, decision_lag)
    instruments = [tables.instruments[name] for name in ids]
    columns = {name: _matrix(rows, name, ids, closes) for name in _PRICES}
    margined = np.array([i.is_margined for i in instruments])
    prices = {name: _tradable(columns[name], margined) for name in _PRICES[:4]}
    crossed = prices["low"] > prices["high"]
    for name in ("low", "high"):
        prices[name] = np.where(crossed, np.nan, prices[name])
    volume = np.where(columns["volume"] >= 0, columns["volume"], np.nan)
    opens = dict(tables.hours.select("close", "open").iter_rows())
    halted = _halted(tables.actions, ids, closes, opens)
    bars = Bars.from_prices(
        instruments,
        close_ns(closes),
        prices["close"],
        open_=prices["open"],
        high=prices["high"],
        low=prices["low"],
        volume=volume,
        day_volume=volume,
        open_ns=np.array([_open_ns(opens.get(c)) for c in closes], np.int64),
        session=session_numbers(closes),
        rates=rates_of(tables, instruments, closes, decision_lag, np.isfinite(prices["close"])),
    )
    if halted is not None:
        bars = replace(bars, market=bars.market._replace(halted=halted))
    bars = _with_terms(bars, closes, universe, contracts, tables.hours, volume)
    # What is given for shares must be among the bars: another is paid for in cash.
    own = {name: tables.instruments[name] for name in (*ids, *among)}
    happened = tables.actions.filter(pl.col("instrument_id").is_in(list(ids)))
    actions: dict[int, tuple[CorporateAction, ...]] = {}
    for before, close in pairwise(closes):
        found = actions_between(happened, own, before, close)
        if found:
            actions[session_number(day_of(close))] = found

    def of(name: str, after: datetime, until: datetime) -> list[CorporateAction]:
        known = actions_between(happened, own, after, until)
        return [action for action in known if action.instrument_id == name]

    # What a contract that ended before the session brings is held when the session's actions come.
    for session, ended in ends(contracts, bars, closes, of).items():
        actions[session] = (*ended, *actions.get(session, ()))
    return Floor(bars=bars, actions=actions)


def _halted(
    actions: pl.DataFrame,
    ids: Sequence[str],
    closes: Sequence[datetime],
    opens: Mapping[datetime, datetime],
) -> Ints | None:
    """Return [T, N] 1 where a halt covers the whole session; None where nothing is halted."""
    if actions.filter(
        pl.col("kind") == "halt", pl.col("instrument_id").is_in(list(ids))
    ).is_empty():
        return None
    halted = [halted_ids(actions, opens.get(close, close), close) for close in closes]
    return np.array([[name in stopped for name in ids] for stopped in halted], np.int64)


def _with_terms(
    bars: Bars,
    closes: tuple[datetime, ...],
    universe: Universe,
    contracts: Contracts,
    hours: pl.DataFrame,
    volume: Floats,
) -> Bars:
    """Return the bars with who is no member, what is rolled, and what is not offered."""
    ids = [i.instrument_id for i in bars.instruments]
    leaving = strangers(ids, session_numbers(closes), universe)
    if contracts.roll is None:
        market = bars.market if leaving is None else bars.market._replace(leaving=leaving)
        return replace(bars, market=market)
    days: list[date] = hours["session"].to_list()
    roll_to, hidden = rolls(contracts, bars, closes, days, volume)
    away = np.where(hidden == 1, LEFT, DECIDED)
    if leaving is not None:
        away = np.where(leaving == ZERO, ZERO, away)
    return replace(bars, market=bars.market._replace(leaving=away, roll_to=roll_to))


def rates_of(
    tables: FloorTables,
    instruments: Sequence[Instrument],
    closes: Sequence[datetime],
    lag: timedelta,
    priced: np.ndarray,
) -> dict[str, list[Decimal | None]]:
    """Return the rate of each foreign currency at each close, as it was known at the decision.

    A currency needs one from the first to the last price of its instruments (`priced` [T, N]).
    Raises ExperimentError where there is none.
    """
    found: dict[str, list[Decimal | None]] = {}
    for currency in sorted({i.currency for i in instruments} - {tables.base_currency}):
        own = [at for at, i in enumerate(instruments) if i.currency == currency]
        told = np.flatnonzero(priced[:, own].any(axis=1))
        rates = rates_at(tables.rates, currency, closes, lag)
        for rate in rates[told[0] : told[-1] + 1] if len(told) else ():
            if isinstance(rate, MissingRate):
                raise ExperimentError(
                    f"{rate}: bars of a pair of {currency} must be among the data"
                )
        found[currency] = [None if isinstance(r, MissingRate) else r for r in rates]
    return found


_PRICES = ("open", "high", "low", "close", "volume")


def _newest(
    bars: pl.DataFrame, ids: Sequence[str], closes: Sequence[datetime], lag: timedelta
) -> pl.DataFrame:
    known = bars.filter(
        pl.col("instrument_id").is_in(list(ids))
        & pl.col("event_time").is_in(list(closes))
        & (pl.col("knowledge_time") <= pl.col("event_time") + lag)
    )
    return known.sort("knowledge_time").unique(["instrument_id", "event_time"], keep="last")


def _matrix(
    rows: pl.DataFrame, name: str, ids: Sequence[str], closes: Sequence[datetime]
) -> Floats:
    """Return a column as [T, N], NaN where there is no row."""
    out = np.full((len(closes), len(ids)), np.nan)
    if name not in rows.columns:
        return out
    place = {name: i for i, name in enumerate(ids)}
    day = {close: t for t, close in enumerate(closes)}
    t = [day[moment.astimezone(UTC)] for moment in rows["event_time"]]
    i = [place[instrument] for instrument in rows["instrument_id"]]
    out[t, i] = rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return out


def _tradable(prices: Floats, margined: np.ndarray) -> Floats:
    """Return prices with NaN where none could trade; a future's may be below zero."""
    good = np.isfinite(prices) & ((prices > 0.0) | margined)
    return np.where(good, prices, np.nan)


def _open_ns(opened: datetime | None) -> int:
    return NONE if opened is None else round(opened.timestamp() * 1_000_000) * 1_000


def strangers(ids: Sequence[str], days: Ints, universe: Universe) -> Ints | None:
    """Return [T, N] where an instrument is no member on days [T]; None where everything is one."""
    if universe.is_all:
        return None
    inside = np.zeros((len(days), len(ids)), bool)
    for member in universe.members:
        if member.instrument_id not in ids:
            continue
        first = days.min() if member.start is None else session_number(member.start)
        last = days.max() if member.end is None else session_number(member.end)
        inside[:, list(ids).index(member.instrument_id)] |= (days >= first) & (days <= last)
    return np.where(inside, DECIDED, ZERO)


def _references(bars: Bars, actions: Actions) -> Ints:
    """Return the close before each bar [T, N] in the bar's own units, NONE where there is none."""
    m = bars.market
    places = {i.instrument_id: at for at, i in enumerate(bars.instruments)}
    out, last = np.full(m.close.shape, NONE, np.int64), np.full(m.close.shape[1], NONE, np.int64)
    for t in range(len(m.close)):
        is_new = t == 0 or m.session[t] != m.session[t - 1]
        for action in actions.get(int(m.session[t]), ()) if is_new else ():
            at = places.get(action.instrument_id, -1)
            if isinstance(action, Split) and at >= 0 and last[at] != NONE:
                moved = Decimal(int(last[at])) * action.denominator / action.numerator
                last[at] = int(moved.to_integral_value())
        out[t] = last
        last = np.where(m.close[t] == NONE, last, m.close[t])
    return out
