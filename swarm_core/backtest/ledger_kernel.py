"""The ledger and the commissions as kernels: the same numbers as `ledger` and `commissions`."""

import numpy as np

from swarm_core.backtest import columns as c
from swarm_core.backtest import settings as r
from swarm_core.backtest.columns import NONE, Desk, Ints
from swarm_core.backtest.exact import (
    I64_MAX,
    SAFE,
    ceil_share,
    even_share,
    floor_share,
    whole,
)
from swarm_core.colony.compiled import flat_kernel, inlined_kernel
from swarm_core.commissions import IB_TIERS
from swarm_core.instruments import MINOR_PER_UNIT
from swarm_core.risk.kernel import POSITION

_SAFE_FLOAT = float(SAFE)
_DAY_NS = 86_400 * 10**9
_TIER_COUNT = len(IB_TIERS)
# Boundaries in 1e-8 shares, rates in 1e-4 of the currency unit.
_TIER_ENDS = np.array(
    [I64_MAX if not q.is_finite() else int(q * MINOR_PER_UNIT) for q, _ in IB_TIERS], np.int64
)
_TIER_RATES = np.array([int(rate * 10_000) for _, rate in IB_TIERS], np.int64)


@flat_kernel
def fits(lots: int, ticks: int, lot_tick: int) -> bool:
    """Return whether the value of so many lots stays inside 64 bits with room to add it up."""
    return abs(float(lots) * float(ticks) * float(lot_tick)) < _SAFE_FLOAT


@flat_kernel
def trade(holding: Ints, position: int, signed: int, ticks: int) -> int:
    """Book cost and profit of a trade at average cost; return the profit that it realised."""
    closing, realised = whole(0), whole(0)
    if (position > 0 and signed < 0) or (position < 0 and signed > 0):
        closing = max(-abs(position), min(abs(position), signed))
        released = floor_share(holding[c.COST], abs(closing), abs(position))
        realised = -closing * ticks * holding[c.LOT_TICK] - released
        holding[c.REALISED] += realised
        holding[c.COST] -= released
    holding[c.COST] += (signed - closing) * ticks * holding[c.LOT_TICK]
    return realised


@flat_kernel
def commission_of(
    lots: int, value: int, maker_value: int, month: int, size: int, rules: Ints
) -> int:  # fmt: skip
    """Return what an order costs once `lots` worth `value` minor units of it are filled.

    `size` is one lot in 1e-8 units, `month` what was traded this month before the order, in the
    same. NONE where a sum does not fit 64 bits.
    """
    at = r.R_CHARGE
    kind, least = rules[at], rules[at + 1]
    if kind == r.CHARGE_BPS:
        return max(least, even_share(value, rules[at + 2], rules[at + 3]))
    if kind == r.CHARGE_MAKER:
        made = float(maker_value) * float(rules[at + 2])
        taken = float(value - maker_value) * float(rules[at + 3])
        if abs(made) + abs(taken) > _SAFE_FLOAT:
            return NONE
        total = maker_value * rules[at + 2] + (value - maker_value) * rules[at + 3]
        return even_share(total, 1, rules[at + 4])
    if float(lots) * float(size) > _SAFE_FLOAT:
        return NONE
    quantity = lots * size
    if kind == r.CHARGE_CONTRACT:
        return max(least, even_share(quantity, rules[at + 2], rules[at + 3]))
    cap = even_share(value, rules[at + 2], rules[at + 3])
    if kind == r.CHARGE_FIXED:
        return min(cap, max(least, even_share(quantity, rules[at + 4], rules[at + 5])))
    return min(cap, max(least, _tiered(rules[at + 4] + month, quantity)))


@flat_kernel
def _tiered(start: int, quantity: int) -> int:
    """Return the sum over the tiers from `start` on, in minor units; NONE where too large."""
    amount, end = whole(0), start + quantity
    for tier in range(_TIER_COUNT):
        if start < _TIER_ENDS[tier]:
            step = min(end, _TIER_ENDS[tier])
            if float(amount) + float(step - start) * float(_TIER_RATES[tier]) > _SAFE_FLOAT:
                return SAFE
            amount += (step - start) * _TIER_RATES[tier]
            start = step
        if start >= end:
            break
    return even_share(amount, 1, 10_000)


@flat_kernel
def month_of(time_ns: int) -> int:
    """Return the calendar month in UTC, counted from 1970 (Hinnant, 2013: days to civil)."""
    days = time_ns // _DAY_NS + 719_468
    of_era = days % 146_097
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153  # counted from March
    year = year_of_era + (days // 146_097) * 400 + (1 if month >= 10 else 0)
    return (year - 1970) * 12 + (month + 2) % 12


@inlined_kernel
def book_fill(desk: Desk, i: int, signed: int, ticks: int, commission: int) -> int:
    """Move position, cost, profit and cash of instrument i; the caller has checked that it fits.

    Returns what came into its currency's cash.
    """
    holding = desk.holdings[i]
    if not holding[c.KNOWN]:
        holding[c.KNOWN] = 1
        holding[c.MARK] = ticks
    position = desk.risks[i, POSITION]
    realised = trade(holding, position, signed, ticks)
    desk.risks[i, POSITION] = position + signed
    paid = -signed * ticks * holding[c.LOT_TICK]
    money = desk.money[holding[c.CASH_ROW]]
    change = (realised if holding[c.MARGINED] else paid) - commission
    money[c.CASH] += change
    money[c.FEES] += commission
    money[c.CHARGED] += commission
    if abs(money[c.CASH]) > SAFE or abs(holding[c.COST]) > SAFE or abs(holding[c.REALISED]) > SAFE:
        desk.state[c.STATUS] = c.OVERFLOWED
    return change


@flat_kernel
def exchange_cash(
    money: Ints, state: Ints, rates: Ints, t: int, row: int, cash: int, rules: Ints
) -> tuple[int, int]:  # fmt: skip
    """Convert a fill's cash of one currency, as `FillConversion` does; return base and fee.

    `rates` are the market's [T, M, 2], or [0, M, 2]. (0, 0) where it stays as it is.
    """
    above, below, zero = money[row, c.RATE_ABOVE], money[row, c.RATE_BELOW], whole(0)
    m = row - 1 if row > state[c.BASE_GAP] else row
    if rates.shape[0] > 0 and rates[t, m, 1] != 0:
        above, below = rates[t, m, 0], rates[t, m, 1]
    if below == 0 or cash == 0:
        return zero, zero
    value = even_share(abs(cash), above, below)
    if value > SAFE // 4:
        state[c.STATUS] = c.OVERFLOWED
        return zero, zero
    if value == 0:
        return zero, zero
    at = r.R_EXCHANGE
    spread = ceil_share(value, rules[at + 1], rules[at + 2])
    fee = max(even_share(value, rules[at + 3], rules[at + 4]), rules[at + 5])
    base = value - spread if cash > 0 else -(value + spread)
    money[row, c.CASH] -= cash
    into = money[state[c.BASE_ROW]]
    into[c.CASH] += base - fee
    into[c.FEES] += fee
    if abs(into[c.CASH]) > SAFE:
        state[c.STATUS] = c.OVERFLOWED
    return base, fee


@inlined_kernel
def count_cost(desk: Desk, work: Ints, lots: int, ticks: int, commission: int) -> None:
    """Add a fill to what was traded and what it cost, as `execution.realised` does.

    The caller has checked that the fill's value fits.
    """
    state, holding = desk.state, desk.holdings[work[c.W_INSTRUMENT]]
    money, arrival = desk.money[holding[c.CASH_ROW]], work[c.W_ARRIVAL]
    # An order counts until the second decision after it.
    if arrival == NONE or money[c.RATE_BELOW] == 0 or state[c.DECISIONS] - work[c.W_DECISION] > 1:
        return
    above, below = money[c.RATE_ABOVE], money[c.RATE_BELOW]
    if not fits(lots, ticks - arrival, holding[c.LOT_TICK]):
        state[c.STATUS] = c.OVERFLOWED
        return
    worse = work[c.W_SIGN] * lots * (ticks - arrival) * holding[c.LOT_TICK]
    state[c.TRADED] += even_share(abs(lots * ticks * holding[c.LOT_TICK]), above, below)
    state[c.SHORTFALL] += even_share(worse, above, below) + even_share(commission, above, below)
    if state[c.TRADED] > SAFE or abs(state[c.SHORTFALL]) > SAFE:
        state[c.STATUS] = c.OVERFLOWED


@inlined_kernel
def settle(desk: Desk, i: int) -> None:
    """Pay the profit of a holding on margin up to its mark, as `Ledger.settle` does."""
    holding, lots = desk.holdings[i], desk.risks[i, POSITION]
    if not fits(lots, holding[c.MARK], holding[c.LOT_TICK]):
        desk.state[c.STATUS] = c.OVERFLOWED
        return
    value = lots * holding[c.MARK] * holding[c.LOT_TICK]
    gain = value - holding[c.COST]
    holding[c.REALISED] += gain
    holding[c.COST] = value
    desk.money[holding[c.CASH_ROW], c.CASH] += gain


@inlined_kernel
def take_rates(desk: Desk, rates: Ints) -> None:
    """Value the currencies at rates[M, 2] from now on; zeros leave one as it was."""
    for m in range(rates.shape[0]):
        if rates[m, 1] != 0:
            row = m + 1 if m >= desk.state[c.BASE_GAP] else m
            desk.money[row, c.RATE_ABOVE] = rates[m, 0]
            desk.money[row, c.RATE_BELOW] = rates[m, 1]


@inlined_kernel
def _worth_of(desk: Desk, row: int) -> int:
    """Return cash and market value in one currency; NONE where they do not fit 64 bits."""
    amount = desk.money[row, c.CASH] + desk.money[row, c.OWED]
    for i in range(desk.risks.shape[0]):
        lots, holding = desk.risks[i, POSITION], desk.holdings[i]
        if lots == 0 or holding[c.CASH_ROW] != row:
            continue
        if not fits(lots, holding[c.MARK], holding[c.LOT_TICK]):
            return NONE
        amount += lots * holding[c.MARK] * holding[c.LOT_TICK]
        if holding[c.MARGINED]:
            amount -= holding[c.COST]
        if abs(amount) > SAFE:
            return NONE
    return amount


@inlined_kernel
def _profit_in(desk: Desk, row: int) -> int:
    """Return all that was won or lost in one currency; NONE where it does not fit 64 bits."""
    amount = -desk.money[row, c.CHARGED]
    for i in range(desk.risks.shape[0]):
        lots, holding = desk.risks[i, POSITION], desk.holdings[i]
        if holding[c.CASH_ROW] != row or not holding[c.KNOWN]:
            continue
        if not fits(lots, holding[c.MARK], holding[c.LOT_TICK]):
            return NONE
        amount += lots * holding[c.MARK] * holding[c.LOT_TICK] - holding[c.COST]
        amount += holding[c.REALISED] + holding[c.INCOME]
        if abs(amount) > SAFE:
            return NONE
    return amount


@inlined_kernel
def _value_strategy(desk: Desk) -> None:
    """Set the strategy's profit, as `StrategyBook.find_profit_minor` does: the book is its own."""
    state, total, known = desk.state, whole(0), True
    for row in range(desk.money.shape[0]):
        money, amount = desk.money[row], _profit_in(desk, row)
        if amount == NONE:
            state[c.STATUS] = c.OVERFLOWED
        elif amount != 0:
            known = known and money[c.RATE_BELOW] != 0
            if known:
                total += even_share(amount, money[c.RATE_ABOVE], money[c.RATE_BELOW])
        if abs(total) > SAFE:
            state[c.STATUS] = c.OVERFLOWED
    state[c.PROFIT], state[c.PROFIT_KNOWN] = total if known else 0, known


@inlined_kernel
def value_account(desk: Desk) -> None:
    """Set NAV: each currency's cash and market value, converted as one sum; and its strategy's."""
    state, total, known = desk.state, whole(0), True
    for row in range(desk.money.shape[0]):
        money, amount = desk.money[row], _worth_of(desk, row)
        if amount == NONE:
            state[c.STATUS] = c.OVERFLOWED
        elif amount != 0:
            known = known and money[c.RATE_BELOW] != 0
            if money[c.RATE_ABOVE] == money[c.RATE_BELOW]:
                total += amount
            elif known:
                total += even_share(amount, money[c.RATE_ABOVE], money[c.RATE_BELOW])
        if abs(total) > SAFE:
            state[c.STATUS] = c.OVERFLOWED
    state[c.NAV], state[c.NAV_KNOWN] = total, known
    if desk.strategy_rules.shape[0] > 0:
        _value_strategy(desk)
