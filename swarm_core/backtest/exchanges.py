"""Bars of several exchanges in one book: each closes, rests and has its auctions by its own."""

from collections.abc import Sequence

import numpy as np

from swarm_core.backtest.bars import Bars, currencies_of
from swarm_core.backtest.columns import DECIDED, NONE, Ints, Market

_PRICES = ("open", "high", "low", "close")
# What stands in an optional array where its exchange has no bar; None: what stood there before.
_BETWEEN = {
    "halted": 0,
    "band_low": NONE,
    "band_high": NONE,
    "roll_to": NONE,
    "day_volume": None,
    "leaving": None,
}
_FIRST = {"day_volume": -1, "leaving": DECIDED}


def join_exchanges(parts: Sequence[Bars]) -> Bars:
    """Return the bars of all exchanges, one moment after the other; each part is one exchange.

    An instrument has no bar at another exchange's moment: its orders wait, its mark stands, and
    the close of its last session counts as its quote until its next one is over. Sessions keep
    the numbers that the parts give them, and one ends with its last bar of any exchange: where
    they are days, one that a part does not have is a holiday there. Raises ValueError where an
    instrument stands in two parts, or sessions would not follow each other in time.
    """
    if not parts:
        raise ValueError("exchanges must be at least one, were none")
    instruments = [i for part in parts for i in part.instruments]
    times = np.unique(np.concatenate([part.market.time_ns for part in parts]))
    rows = [np.searchsorted(times, part.market.time_ns) for part in parts]
    session = _session(parts, rows, len(times))
    ends = _whole(parts, rows, [_ends(part) for part in parts], len(times), 0)
    market = Market(
        time_ns=times,
        open_ns=_opens(parts, rows, len(times)),
        session=session,
        session_end=np.append((np.diff(session) > 0).astype(np.int64), 1),
        **{
            name: _whole(parts, rows, [getattr(p.market, name) for p in parts], len(times), NONE)
            for name in _PRICES
        },
        volume=_whole(parts, rows, [p.market.volume for p in parts], len(times), -1),
        **{name: _optional(parts, rows, name, len(times)) for name in _BETWEEN},
        ends=ends,
        rates=_rates(parts, rows, len(times)),
    )
    return Bars(instruments=tuple(instruments), market=market)


def _ends(part: Bars) -> Ints:
    """Return where the sessions of a part's instruments end [T, N]."""
    market = part.market
    if len(market.ends):
        return market.ends
    return np.repeat(market.session_end[:, None], len(part.instruments), axis=1)


def _session(parts: Sequence[Bars], rows: Sequence[Ints], count: int) -> Ints:
    session = np.full(count, NONE, np.int64)
    for part, at in zip(parts, rows, strict=True):
        told = part.market.session
        if bool(((session[at] != NONE) & (session[at] != told)).any()):
            raise ValueError("sessions of exchanges must have one number at one moment, had two")
        session[at] = told
    if bool((np.diff(session) < 0).any()):
        raise ValueError("sessions of exchanges must follow each other in time, did not")
    return session


def _opens(parts: Sequence[Bars], rows: Sequence[Ints], count: int) -> Ints:
    """Return when each bar opened: of two exchanges that close together, the earlier one."""
    opens = np.full(count, NONE, np.int64)
    for part, at in zip(parts, rows, strict=True):
        told, known = part.market.open_ns, opens[at]
        earlier = np.where(known == NONE, told, np.minimum(told, known))
        opens[at] = np.where(told == NONE, known, earlier)
    return opens


def _whole(
    parts: Sequence[Bars], rows: Sequence[Ints], values: Sequence[Ints], count: int, empty: int
) -> Ints:
    """Return [T, N] of the parts' arrays side by side, `empty` where a part has no bar."""
    out = np.full((count, sum(len(p.instruments) for p in parts)), empty, np.int64)
    first = 0
    for part, at, told in zip(parts, rows, values, strict=True):
        last = first + len(part.instruments)
        out[at, first:last] = told
        first = last
    return out


def _optional(parts: Sequence[Bars], rows: Sequence[Ints], name: str, count: int) -> Ints:
    """Return an array that not every part has; [0, N] where none has it."""
    total = sum(len(p.instruments) for p in parts)
    told = [getattr(p.market, name) for p in parts]
    if not any(len(values) for values in told):
        return np.zeros((0, total), np.int64)
    between = _BETWEEN[name]
    empty = _FIRST.get(name, 0) if between is None else between
    values = [
        v if len(v) else np.full(p.market.close.shape, empty, np.int64)
        for v, p in zip(told, parts, strict=True)
    ]
    if name == "roll_to":  # a place among all instruments
        firsts = np.cumsum([0, *(len(p.instruments) for p in parts)])
        values = [np.where(v == NONE, NONE, v + f) for v, f in zip(values, firsts, strict=False)]
    out = _whole(parts, rows, values, count, empty)
    return out if between is not None else _carried(parts, rows, out)


def _carried(parts: Sequence[Bars], rows: Sequence[Ints], values: Ints) -> Ints:
    """Return the values with those of a part's bar before where it has none."""
    first = 0
    for part, at in zip(parts, rows, strict=True):
        last = first + len(part.instruments)
        mine = np.zeros(len(values), np.int64)
        mine[at] = at
        before = np.maximum.accumulate(mine)
        from_first = np.arange(len(values)) >= at[0] if len(at) else np.zeros(len(values), bool)
        values[from_first, first:last] = values[before[from_first], first:last]
        first = last
    return values


def _rates(parts: Sequence[Bars], rows: Sequence[Ints], count: int) -> Ints:
    """Return the rates [T, M, 2] of all currencies, each at the moments of who tells it."""
    names = currencies_of([i for p in parts for i in p.instruments])
    if not any(len(p.market.rates) for p in parts):
        return np.zeros((0, len(names), 2), np.int64)
    out = np.zeros((count, len(names), 2), np.int64)
    for part, at in zip(parts, rows, strict=True):
        for m, name in enumerate(currencies_of(part.instruments) if len(part.market.rates) else ()):
            told = part.market.rates[:, m]
            known = told[:, 1] != 0
            out[at[known], names.index(name)] = told[known]
    return out
