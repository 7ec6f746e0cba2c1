"""Bars of many instruments as arrays on their integer grids, checked once before the loop."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from swarm_core.backtest.columns import NONE, Ints, Market
from swarm_core.colony.compiled import kernel
from swarm_core.instruments import LOTS_MAX, TICKS_MAX, Instrument

Floats = NDArray[np.float64]
_DAY_NS = 86_400 * 10**9
_NEAR_HALF = 0.499  # beyond this a float quotient does not say which tick is the nearest
_OPTIONAL = (
    *("day_volume", "halted", "band_low", "band_high", "leaving", "roll_to", "ends"),
    "rates",
)
Rates = Mapping[str, Sequence[Decimal | None]]  # by currency, one a bar; None: as before
_PROBLEMS = (
    "",
    "time_ns must rise from bar to bar",
    f"prices must be within {TICKS_MAX} ticks",
    "low must be at most high",
    f"volume must be -1 or in 0..{LOTS_MAX} lots",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """T bars of N instruments; NONE (-1 for volumes) stands where nothing was reported.

    A bar without a close is no bar. `session` numbers the trading days: each UTC day where it is
    not given. The first bar of an instrument in a session has its opening auction, and the bar at
    which the session ends its closing one. Raises ValueError with one line where the arrays do not
    fit each other.
    """

    instruments: tuple[Instrument, ...]
    market: Market

    def __post_init__(self) -> None:
        m, n = self.market, len(self.instruments)
        shape = (len(m.time_ns), n)
        if len({i.instrument_id for i in self.instruments}) != n or n == 0:
            raise ValueError("instruments must be at least one, and each named once")
        for name in ("open", "high", "low", "close", "volume"):
            found = getattr(m, name).shape
            if found != shape:
                raise ValueError(f"{name} must have the shape {shape}, was {found}")
        for name in _OPTIONAL:
            found, whole = getattr(m, name).shape, shape
            if name == "rates":
                whole = (shape[0], len(currencies_of(self.instruments)), 2)
            if found not in (whole, (0, *whole[1:])):
                raise ValueError(f"{name} must have the shape {whole}, was {found}")
        _check_rolls(m)
        problem, t = find_problem(m)
        if problem:
            raise ValueError(f"{_PROBLEMS[problem]}, was not at bar {t}")

    @classmethod
    def of(
        cls,
        instruments: Sequence[Instrument],
        time_ns: Ints,
        close: Ints,
        *,
        open_: Ints | None = None,
        high: Ints | None = None,
        low: Ints | None = None,
        volume: Ints | None = None,
        open_ns: Ints | None = None,
        session: Ints | None = None,
        day_volume: Ints | None = None,
        halted: Ints | None = None,
        band_low: Ints | None = None,
        band_high: Ints | None = None,
        leaving: Ints | None = None,
        roll_to: Ints | None = None,
        ends: Ints | None = None,
        rates: Rates | None = None,
    ) -> "Bars":
        """Return bars of arrays that are in ticks and lots already.

        `leaving`: what a decided weight counts (columns.DECIDED ...). `roll_to`: the place of the
        contract into which a holding goes over at this close, NONE where it stays. `ends`: 1
        where the session of an instrument's exchange ends; left out, where the last bar of
        `session` does. `rates`: base currency units for one unit of a currency, at each close.
        """
        time_ns = _whole(time_ns)
        days = time_ns // _DAY_NS if session is None else _whole(session)
        last = np.ones(len(time_ns), np.int64)
        if len(time_ns) > 1:
            last[:-1] = days[1:] != days[:-1]

        def given(values: Ints | None, fill: int, shape: tuple[int, ...]) -> Ints:
            return np.full(shape, fill, np.int64) if values is None else _whole(values)

        shape = close.shape
        market = Market(
            time_ns=time_ns,
            open_ns=given(open_ns, NONE, shape[:1]),
            session=days,
            session_end=last,
            open=given(open_, NONE, shape),
            high=given(high, NONE, shape),
            low=given(low, NONE, shape),
            close=_whole(close),
            volume=given(volume, -1, shape),
            day_volume=given(day_volume, -1, (0, shape[1])),
            halted=given(halted, 0, (0, shape[1])),
            band_low=given(band_low, NONE, (0, shape[1])),
            band_high=given(band_high, NONE, (0, shape[1])),
            leaving=given(leaving, 0, (0, shape[1])),
            roll_to=given(roll_to, NONE, (0, shape[1])),
            ends=given(ends, 0, (0, shape[1])),
            rates=rate_ratios(rates or {}, currencies_of(instruments), len(time_ns)),
        )
        return cls(instruments=tuple(instruments), market=market)

    @classmethod
    def from_prices(
        cls,
        instruments: Sequence[Instrument],
        time_ns: Ints,
        close: Floats,
        *,
        open_: Floats | None = None,
        high: Floats | None = None,
        low: Floats | None = None,
        volume: Floats | None = None,
        open_ns: Ints | None = None,
        session: Ints | None = None,
        day_volume: Floats | None = None,
        leaving: Ints | None = None,
        roll_to: Ints | None = None,
        rates: Rates | None = None,
    ) -> "Bars":
        """Return bars of prices and sizes [T, N] in units; NaN where nothing was reported."""
        return cls.of(
            instruments,
            time_ns,
            to_ticks(close, instruments),
            open_=None if open_ is None else to_ticks(open_, instruments),
            high=None if high is None else to_ticks(high, instruments),
            low=None if low is None else to_ticks(low, instruments),
            volume=None if volume is None else to_lots(volume, instruments),
            open_ns=open_ns,
            session=session,
            day_volume=None if day_volume is None else to_lots(day_volume, instruments),
            leaving=leaving,
            roll_to=roll_to,
            rates=rates,
        )

    def part(self, start: int, stop: int) -> "Bars":
        """Return the bars start <= t < stop as views, sessions as they stand in the whole."""
        m = self.market
        cut = {name: getattr(m, name)[start:stop] for name in Market._fields}
        cut |= {name: getattr(m, name) for name in _OPTIONAL if not len(getattr(m, name))}
        return Bars(instruments=self.instruments, market=Market(**cut))

    def parts(self, size: int) -> Iterator["Bars"]:
        """Yield the bars in parts of at most `size`."""
        for start in range(0, len(self.market.time_ns), size):
            yield self.part(start, start + size)


def currencies_of(instruments: Sequence[Instrument]) -> list[str]:
    """Return the currencies that instruments are quoted in, in the order of the rates."""
    return sorted({i.currency for i in instruments})


def rate_ratios(rates: Rates, currencies: Sequence[str], bars: int) -> Ints:
    """Return [T, M, 2]: rates as ratios of whole numbers, zeros where one stays as it was."""
    for name, values in rates.items():
        if name not in currencies or len(values) != bars:
            raise ValueError(
                f"rates must be of {', '.join(currencies)} at {bars} bars, "
                f"was of {name} at {len(values)}"
            )
    if not rates:
        return np.zeros((0, len(currencies), 2), np.int64)
    out = np.zeros((bars, len(currencies), 2), np.int64)
    for name, values in rates.items():
        at = currencies.index(name)
        for t, rate in enumerate(values):
            if rate is None:
                continue
            if not (rate.is_finite() and rate > 0):
                raise ValueError(f"a rate of {name} must be positive, was {rate}")
            above, below = rate.as_integer_ratio()
            if max(above, below) >= 2**63:
                raise ValueError(f"a rate of {name} must have fewer digits, was {rate}")
            out[t, at] = above, below
    return out


def _check_rolls(m: Market) -> None:
    """Raise ValueError where a roll leads nowhere."""
    n = m.close.shape[1]
    for t, i in np.argwhere(m.roll_to != NONE).tolist():
        to = int(m.roll_to[t, i])
        if not 0 <= to < n or to == i:
            raise ValueError(f"roll_to must name another place in 0..{n - 1}, was {to}")


def _whole(values: Ints) -> Ints:
    """Return the values as the loop takes them: int64, in rows, writable; copied only if not."""
    out = np.ascontiguousarray(values, dtype=np.int64)
    return out if out.flags.writeable else out.copy()


def writable(values: Ints) -> Ints:
    """Return a writable view of values for compiled code, which is made anew for read-only ones.

    A copy where they lie in memory that nobody may write to.
    """
    view = values.view()
    try:
        view.flags.writeable = True
    except ValueError:
        return values.copy()
    return view


def to_ticks(prices: Floats, instruments: Sequence[Instrument]) -> Ints:
    """Return prices [T, N] in ticks, to the nearest (half to even), as Instrument gives them.

    NaN becomes NONE. Raises ValueError on infinity and on what is out of range.
    """
    steps = np.array([float(i.price_increment) for i in instruments])
    ticks = np.empty(prices.shape, np.int64)
    unsure = nearest_ticks(np.ascontiguousarray(prices, np.float64), steps, ticks)
    if unsure:
        quotients = np.abs(prices / steps)
        near = np.abs(quotients - np.floor(quotients) - 0.5) < 1 - 2 * _NEAR_HALF
        wild = np.isinf(prices) | (quotients > TICKS_MAX / 2)
        for t, i in np.argwhere(near | wild).tolist():
            ticks[t, i] = instruments[i].price_to_ticks(float(prices[t, i]))
    return ticks


@kernel
def nearest_ticks(prices: Floats, steps: Floats, ticks: Ints) -> int:
    """Write the ticks of prices [T, N]; return how many must be looked at more closely."""
    unsure = 0
    for t in range(prices.shape[0]):
        for i in range(prices.shape[1]):
            price = prices[t, i]
            if price != price:
                ticks[t, i] = NONE
                continue
            quotient = price / steps[i]
            nearest = np.rint(quotient)
            if not abs(quotient) < TICKS_MAX / 2 or abs(quotient - nearest) > _NEAR_HALF:
                unsure += 1
                ticks[t, i] = 0
            else:
                ticks[t, i] = np.int64(nearest)
    return unsure


def to_lots(sizes: Floats, instruments: Sequence[Instrument]) -> Ints:
    """Return sizes [T, N] in whole lots towards zero, capped; -1 where NaN."""
    steps = np.array([float(i.size_increment) for i in instruments])
    if bool((sizes < 0).any()):
        raise ValueError("volume must be >= 0, was not")
    unknown = np.isnan(sizes)
    lots = np.minimum(np.nan_to_num(sizes, nan=0.0, posinf=LOTS_MAX) / steps, LOTS_MAX)
    return np.where(unknown, -1, lots.astype(np.int64))


@kernel
def find_problem(m: Market) -> tuple[int, int]:
    """Return which of the problems there is first, and at which bar; (0, 0) for none."""
    for t in range(m.time_ns.shape[0]):
        if t > 0 and m.time_ns[t] <= m.time_ns[t - 1]:
            return 1, t
        for i in range(m.close.shape[1]):
            low, high = m.low[t, i], m.high[t, i]
            for price in (m.open[t, i], high, low, m.close[t, i]):
                if price != NONE and abs(price) > TICKS_MAX:
                    return 2, t
            if low != NONE and high != NONE and low > high:
                return 3, t
            if m.volume[t, i] < -1 or m.volume[t, i] > LOTS_MAX:
                return 4, t
    return 0, 0
