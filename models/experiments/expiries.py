"""What contracts do to a floor: when they end, into what they are rolled, which is offered."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from math import prod

import numpy as np

from features.calendars import day_of
from models.experiments.contracts import Contracts, Roll
from models.experiments.fields import wrong
from swarm_core.actions.action import CorporateAction
from swarm_core.actions.exchanges import CashOut, StockMerger
from swarm_core.actions.splits import Split
from swarm_core.backtest.bars import Bars, Floats
from swarm_core.backtest.columns import NONE, Ints
from swarm_core.derivatives.expiry import FutureExpiry, OptionExpiry
from swarm_core.derivatives.futures import FutureContract
from swarm_core.derivatives.options import OptionContract, OptionSettlement

# The actions of an instrument with their ex-date after one moment, and no later than another.
Happened = Callable[[str, datetime, datetime], Sequence[CorporateAction]]


def ends(
    contracts: Contracts, bars: Bars, closes: Sequence[datetime], happened: Happened
) -> dict[int, list[CorporateAction]]:
    """Return what happens at expiries, by the number of the session that opens after each.

    A future ends at its last close, an option by its underlying's: both up to the expiry's day.
    `happened` gives the corporate actions of an instrument after one moment up to another: what
    happened to its underlying changes what an option is of.
    """
    days, places = [day_of(c) for c in closes], _places(bars)
    found: dict[int, list[CorporateAction]] = {}

    def add(expiry: str, action: CorporateAction) -> None:
        after = bisect_right(days, date.fromisoformat(expiry))
        if after < len(days):
            found.setdefault(int(bars.market.session[after]), []).append(action)

    for future in contracts.futures:
        last = _last_close(bars, _place(places, future.instrument_id), days, future.expiry_session)
        if last is not None:
            add(future.expiry_session, FutureExpiry(contract=future, final_ticks=last))
    for option in contracts.options:
        own = _place(places, option.instrument_id)
        _place(places, option.underlying_id)
        until = bisect_right(days, date.fromisoformat(option.expiry_session))
        seen = np.flatnonzero(bars.market.close[:until, own] != NONE)
        if not len(seen):
            continue  # without a bar nobody holds it
        listed = contracts.listed.get(option.instrument_id)
        since = closes[seen[0]]
        if listed is not None:
            since = datetime.combine(listed, time.max, tzinfo=UTC)
        on_itself = happened(option.instrument_id, since, closes[until - 1])
        on_shares = happened(option.underlying_id, since, closes[until - 1])
        price = _worth_of_share(option, bars, days, on_shares)
        if price is not None:
            terms = _adjusted(option, on_itself, on_shares)
            add(option.expiry_session, OptionExpiry(contract=terms, underlying_price=price))
    return found


def _adjusted(
    option: OptionContract,
    on_itself: Sequence[CorporateAction],
    on_shares: Sequence[CorporateAction],
) -> OptionContract:
    """Return what the option is of after the splits of its underlying, and its own.

    One whose underlying is gone pays what its shares became, in cash (OCC by-laws, VI 11A).
    """
    shares, own = (
        prod(Fraction(a.numerator, a.denominator) for a in actions if isinstance(a, Split))
        for actions in (on_shares, on_itself)
    )
    is_gone = any(isinstance(a, CashOut | StockMerger) for a in on_shares)
    return replace(
        option,
        shares=Fraction(shares) / own,
        strike=option.strike * Fraction(own).denominator / Fraction(own).numerator,
        settlement=OptionSettlement.CASH if is_gone else option.settlement,
    )


def _worth_of_share(
    option: OptionContract, bars: Bars, days: Sequence[date], on_shares: Sequence[CorporateAction]
) -> Decimal | None:
    """Return the last price of the underlying up to the expiry, or what came for a share of it."""
    for action in on_shares:
        if isinstance(action, CashOut) and action.price is not None:
            return action.price
        if isinstance(action, StockMerger):
            other = _last_price(bars, action.to_instrument_id, days, option.expiry_session)
            return None if other is None else other * action.ratio + action.cash
    return _last_price(bars, option.underlying_id, days, option.expiry_session)


def rolls(
    contracts: Contracts,
    bars: Bars,
    closes: Sequence[datetime],
    sessions: Sequence[date],
    volume: Floats,
) -> tuple[Ints, Ints]:
    """Return where each holding goes over to [T, N], and which contracts are not offered [T, N].

    Of a root's contracts one is offered: the first that is not due. `sessions` are all of the
    exchange's days, in order, beyond the last close as well.
    """
    shape = bars.market.close.shape
    to, hidden = np.full(shape, NONE, np.int64), np.zeros(shape, np.int64)
    places, days = _places(bars), [day_of(c) for c in closes]
    if contracts.roll is None:
        return to, hidden
    for chain in contracts.chains().values():
        at = [_place(places, contract.instrument_id) for contract in chain]
        front = 0
        for t, day in enumerate(days):
            while front + 1 < len(chain) and _is_due(
                contracts.roll, chain[front], day, sessions, volume[t, at[front : front + 2]]
            ):
                front += 1
            for number, place in enumerate(at):
                hidden[t, place] = number != front
                if number < front and day <= date.fromisoformat(chain[number].expiry_session):
                    to[t, place] = at[front]
    return to, hidden


def _is_due(
    roll: Roll, contract: FutureContract, day: date, sessions: Sequence[date], volumes: Floats
) -> bool:
    expiry = date.fromisoformat(contract.expiry_session)
    left = bisect_right(sessions, expiry) - bisect_right(sessions, day)
    this, following = (int(v) for v in np.nan_to_num(volumes))
    return roll.is_due(left, this, following)


def _places(bars: Bars) -> Mapping[str, int]:
    return {i.instrument_id: at for at, i in enumerate(bars.instruments)}


def _place(places: Mapping[str, int], name: str) -> int:
    if name not in places:
        raise wrong("contracts", "of instruments of the universe that have features", name)
    return places[name]


def _last_close(bars: Bars, at: int, days: Sequence[date], expiry: str) -> int | None:
    close = bars.market.close[: bisect_right(days, date.fromisoformat(expiry)), at]
    known = close[close != NONE]
    return int(known[-1]) if len(known) else None


def _last_price(bars: Bars, name: str, days: Sequence[date], expiry: str) -> Decimal | None:
    at = _place(_places(bars), name)
    last = _last_close(bars, at, days, expiry)
    return None if last is None else bars.instruments[at].ticks_to_price(last)
