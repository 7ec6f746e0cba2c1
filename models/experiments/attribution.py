"""Where the change of NAV came from: what instruments earned, costs took and rates moved."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars, Floats, currencies_of
from swarm_core.backtest.columns import NONE, Ints

_MINOR = 1e8


@dataclass(frozen=True, slots=True)
class Attribution:
    """Amounts in units of the base currency over T sessions of N instruments.

    earned less costs plus what rates did is the change of NAV, to the rounding of a minor unit in
    each currency. A cost is positive where it takes; interest that is received is below zero.
    """

    earned: Floats  # [T, N] before costs
    costs: Mapping[str, Floats]  # each [T]
    currencies: Mapping[str, Floats]  # [T] what each foreign currency's rate did
    value: Floats  # [T, N] of what is held at the close
    traded: Floats  # [T, N] absolute

    @property
    def cost(self) -> Floats:
        """Everything that was taken, by session."""
        return np.sum(list(self.costs.values()), axis=0)

    def by_session(self, last: Ints) -> "Attribution":
        """Return it by session, where several bars make one; `last` has each session's last."""
        first = np.concatenate(([0], last[:-1] + 1))

        def summed(values: Floats) -> Floats:
            return np.add.reduceat(values, first, axis=0)

        return replace(
            self,
            earned=summed(self.earned),
            costs={name: summed(values) for name, values in self.costs.items()},
            currencies={name: summed(values) for name, values in self.currencies.items()},
            value=self.value[last],
            traded=summed(self.traded),
        )


@dataclass(slots=True)
class _Books:
    """What happened in minor units of each instrument's own currency, [T, N]."""

    held: Ints
    marks: Ints
    flow: Ints  # cash and value that came for a holding without a change of its price
    traded: Ints
    commission: Ints
    slippage: Ints
    borrow: Ints
    interest: Ints  # [T, C]
    converted: Ints  # [T, C] what conversions brought into each currency, without their fees
    fees: Ints  # [T, C] of conversions
    exchanged: Ints  # [T, C] what conversions of fills brought, without their fees


def attribute(
    bars: Bars, fills: Ints, actions: Ints, base_currency: str, cash_minor: int
) -> Attribution:
    """Return the attribution of a run from its tapes (columns.FILL_TAPE, columns.ACTION_TAPE)."""
    traded_in = currencies_of(bars.instruments)
    names = sorted({*traded_in, base_currency})
    at = np.array([names.index(i.currency) for i in bars.instruments])
    lot_tick = np.array([i.lot_tick_minor for i in bars.instruments], np.int64)
    books = _read(bars, fills, actions, lot_tick, at, names.index(base_currency))
    value = books.held * books.marks * lot_tick
    earned = np.diff(value, axis=0, prepend=0) + books.flow
    taken = books.commission + books.slippage + books.borrow
    change = np.stack([(earned - taken)[:, at == row].sum(axis=1) for row in range(len(names))], 1)
    change += books.interest - books.fees
    begin = np.array([cash_minor if name == base_currency else 0 for name in names])
    after = begin + np.cumsum(change + books.converted + books.exchanged, axis=0)
    # Conversions stand before the bar's change of rates: they were made at the close before. Those
    # of fills were made with the bar, at its rates.
    before = np.vstack([begin, after])[:-1] + books.converted
    rates = _rates(bars, names, traded_in, base_currency)
    past = np.vstack([rates[:1], rates])[:-1]
    moved = (rates - past) * before / _MINOR
    lost = books.fees * rates - books.converted * past - books.exchanged * rates
    rate = rates[:, at] / _MINOR
    return Attribution(
        earned * rate,
        {
            "commission": (books.commission * rate).sum(axis=1),
            "slippage": (books.slippage * rate).sum(axis=1),
            "borrow": (books.borrow * rate).sum(axis=1),
            "interest": -(books.interest * rates).sum(axis=1) / _MINOR,
            "conversion": lost.sum(axis=1) / _MINOR,
        },
        {n: moved[:, row] for row, n in enumerate(names) if n != base_currency},
        value * rate,
        books.traded * rate,
    )


def _read(
    bars: Bars, fills: Ints, actions: Ints, lot_tick: Ints, currency: Ints, base_row: int
) -> _Books:
    """Sum the tapes by bar; `currency` [N] is the row of each instrument's."""
    currencies = max(base_row, int(currency.max())) + 1
    shape = bars.market.close.shape
    zeros = [np.zeros(shape, np.int64) for _ in range(6)]
    lots, flow, traded, commission, slippage, borrow = zeros
    by_currency = [np.zeros((shape[0], currencies), np.int64) for _ in range(4)]
    interest, converted, fees, exchanged = by_currency
    t, i, side, size, ticks, charge = fills.T[1:7]
    base, unit = fills[:, 8], lot_tick[i]
    np.add.at(lots, (t, i), side * size)
    np.add.at(flow, (t, i), -side * size * base * unit)
    np.add.at(traded, (t, i), np.abs(size * ticks) * unit)
    np.add.at(commission, (t, i), charge)
    np.add.at(slippage, (t, i), size * np.abs(ticks - base) * unit)
    np.subtract.at(exchanged, (t, currency[i]), fills[:, 9])
    np.add.at(exchanged[:, base_row], t, fills[:, 10])
    np.add.at(fees[:, base_row], t, fills[:, 11])
    margined = [i.is_margined for i in bars.instruments]
    giver = -1
    for bar, place, what, _, count, cost, cash, _ in actions.tolist():
        if what == c.HOLDING:
            lots[bar, place] += count
            # A holding on margin leaves at what it was settled at: that price was never paid.
            flow[bar, place] += cash + (cost if margined[place] else 0)
            giver = place
        elif what == c.RECEIVED:
            lots[bar, place] += count
            flow[bar, place] -= cash
            flow[bar, giver] += cash
        elif what == c.ACCRUED:
            flow[bar, place] += cash
        elif what == c.CARRIED and place >= 0:
            borrow[bar, place] -= cash
        elif what == c.CARRIED:
            interest[bar, count] += cash
        elif what == c.CONVERTED:
            converted[bar, count] += cash
            fees[bar, count] += cost
    held, marks = np.cumsum(lots, axis=0), _marks(bars, actions)
    return _Books(
        held, marks, flow, traded, commission, slippage, borrow, interest, converted, fees,
        exchanged,
    )  # fmt: skip


def _marks(bars: Bars, actions: Ints) -> Ints:
    """Return what each instrument is valued at [T, N]: its close, or the mark of before."""
    close = bars.market.close
    given = actions[(actions[:, 7] != NONE) & (actions[:, 1] >= 0)]
    first = np.searchsorted(given[:, 0], np.arange(len(close) + 1))
    out, last = np.zeros_like(close), np.zeros(close.shape[1], np.int64)
    for t in range(len(close)):
        for row in given[first[t] : first[t + 1]]:
            last[row[1]] = row[7]
        out[t] = last = np.where(close[t] == NONE, last, close[t])
    return out


def _rates(bars: Bars, names: list[str], traded_in: list[str], base_currency: str) -> Floats:
    """Return base units for one unit of each currency [T, C], 0 until one is known."""
    given = bars.market.rates
    out = np.zeros((len(bars.market.time_ns), len(names)))
    out[:, names.index(base_currency)] = 1.0
    for m, name in enumerate(traded_in if len(given) else ()):
        if name == base_currency:
            continue
        last = 0.0
        for t, (above, below) in enumerate(given[:, m].tolist()):
            last = above / below if below else last
            out[t, names.index(name)] = last
    return out
