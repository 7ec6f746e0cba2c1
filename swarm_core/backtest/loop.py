"""The loop over bars: the venue fills, the book is marked, a decision is taken, orders leave."""

import numpy as np
from numpy.typing import NDArray

from swarm_core.backtest import columns as c
from swarm_core.backtest import order_kernel as orders
from swarm_core.backtest import settings as r
from swarm_core.backtest.columns import NONE, Desk, Ints, Market, Tape
from swarm_core.backtest.exact import flag, whole
from swarm_core.backtest.fill_kernel import fill_of, trigger_ticks
from swarm_core.backtest.ledger_kernel import (
    book_fill,
    commission_of,
    count_cost,
    exchange_cash,
    fits,
    month_of,
    settle,
    take_rates,
    value_account,
)
from swarm_core.backtest.session_kernel import (
    close_exchanges,
    ends_at,
    is_at_open,
    is_in_session,
    misses_cutoff,
    waits_for_auction,
)
from swarm_core.colony.compiled import flat_kernel, inlined_kernel, kernel, merged_kernel
from swarm_core.orders import TimeInForce
from swarm_core.risk import kernel as k

Floats = NDArray[np.float64]
_IOC = r.FORCES.index(TimeInForce.IMMEDIATE_OR_CANCEL)
_DAY = r.FORCES.index(TimeInForce.DAY)
_GTC = r.FORCES.index(TimeInForce.GOOD_TILL_CANCELLED)
_RANKS = 4


@inlined_kernel
def _close_open_lots(desk: Desk, work: Ints, lots: int) -> None:
    """Take lots that were filled or have expired out of what is open at the venue."""
    side = k.OPEN_BUY if work[c.W_SIGN] > 0 else k.OPEN_SELL
    desk.risks[work[c.W_INSTRUMENT], side] -= lots
    work[c.W_OPEN] -= lots


@inlined_kernel
def _charge_of(desk: Desk, work: Ints, time_ns: int, filled: int, rules: Ints) -> int:
    """Return the order's whole commission so far, or NONE where it does not fit 64 bits."""
    state, size = desk.state, desk.holdings[work[c.W_INSTRUMENT], c.SIZE]
    if rules[r.R_CHARGE] == r.CHARGE_TIERED:
        month = month_of(time_ns)
        if month != state[c.MONTH]:
            state[c.MONTH], state[c.MONTH_QUANTITY] = month, 0
        if work[c.W_FILLS] == 0:
            work[c.W_MONTH] = state[c.MONTH_QUANTITY]
    return commission_of(
        filled, work[c.W_VALUE], work[c.W_MAKER_VALUE], work[c.W_MONTH], size, rules
    )


@inlined_kernel
def _count_rolled(desk: Desk, work: Ints, signed: int) -> None:
    if work[c.W_ROLL] > 0:
        desk.holdings[work[c.W_ROLL] - 1, c.ROLLED] -= signed


@merged_kernel
def _fill(desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, t_run: int, w: int) -> None:
    """Trade a working order in this bar, as far as the bar carries it."""
    work, state = desk.working[w], desk.state
    i, sign = work[c.W_INSTRUMENT], work[c.W_SIGN]
    holding = desk.holdings[i]
    if holding[c.TAKEN_BAR] != t_run:
        holding[c.TAKEN_BAR], holding[c.TAKEN] = t_run, 0
    lots, ticks, is_maker, base = fill_of(work, market, t, holding[c.TAKEN], rules)
    if lots == 0:
        return
    value = abs(lots * ticks * holding[c.LOT_TICK])
    work[c.W_VALUE] += value
    if is_maker:
        work[c.W_MAKER_VALUE] += value
    total = _charge_of(desk, work, market.time_ns[t], work[c.W_LOTS] - work[c.W_OPEN] + lots, rules)
    if total == NONE or not (
        fits(lots, ticks, holding[c.LOT_TICK]) and fits(work[c.W_VALUE], 1, 1)
    ):
        state[c.STATUS] = c.OVERFLOWED
        return
    charge = total - work[c.W_COMMISSION]
    if state[c.DECISIONS] > 0:
        count_cost(desk, work, lots, ticks, charge)
    cash = book_fill(desk, i, sign * lots, ticks, charge)
    base_cash, fee, row = whole(0), whole(0), holding[c.CASH_ROW]
    if rules[r.R_EXCHANGE] and row != state[c.BASE_ROW]:
        base_cash, fee = exchange_cash(desk.money, state, market.rates, t, row, cash, rules)
    work[c.W_COMMISSION] = total
    work[c.W_FILLS] += 1
    holding[c.TAKEN] += lots
    _count_rolled(desk, work, sign * lots)
    if rules[r.R_CHARGE] == r.CHARGE_TIERED:
        state[c.MONTH_QUANTITY] += lots * holding[c.SIZE]
        if not fits(state[c.MONTH_QUANTITY], 1, 1):
            state[c.STATUS] = c.OVERFLOWED
    _close_open_lots(desk, work, lots)
    if rules[r.R_KEEP]:
        told = tape.fills[state[c.FILL_ROWS]]
        told[0], told[1], told[2], told[3] = work[c.W_ORDER], t_run, i, sign
        told[4], told[5], told[6], told[7] = lots, ticks, charge, is_maker
        told[8], told[9] = base, cash if base_cash != 0 else 0
        told[10], told[11] = base_cash, fee
        state[c.FILL_ROWS] += 1
    state[c.FILLS] += 1


@inlined_kernel
def _note(desk: Desk, tape: Tape, rules: Ints, t_run: int, work: Ints, what: int) -> None:
    """Write down what became of an order beside fills."""
    state = desk.state
    if rules[r.R_KEEP]:
        row = tape.changes[state[c.CHANGE_ROWS]]
        row[0], row[1], row[2] = work[c.W_ORDER], t_run, what
        row[3] = work[c.W_WAIT] if what == c.HELD else work[c.W_OPEN]
        row[4] = state[c.FILLS]
        state[c.CHANGE_ROWS] += 1


@merged_kernel
def _expire(desk: Desk, tape: Tape, rules: Ints, t_run: int, work: Ints) -> None:
    _note(desk, tape, rules, t_run, work, c.EXPIRED)
    _close_open_lots(desk, work, work[c.W_OPEN])
    desk.state[c.EXPIRED_ORDERS] += 1


@inlined_kernel
def _is_over(market: Market, rules: Ints, t: int, work: Ints) -> bool:
    """Return whether what a bar has left open of an order that met it expires."""
    force = work[c.W_FORCE]
    if force == _IOC or is_at_open(work):
        return True
    if force != _DAY or rules[r.R_DAY_ENDS] == 0:
        return False
    return ends_at(market, t, work[c.W_INSTRUMENT])


@inlined_kernel
def _meet(desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, t_run: int, w: int) -> None:
    """Let a working order meet a bar of its instrument: nothing yet, a trigger, a fill, its end."""
    work = desk.working[w]
    work[c.W_BAR_NS] = market.time_ns[t]
    if work[c.W_WAIT] > 0:
        work[c.W_WAIT] -= 1
        _note(desk, tape, rules, t_run, work, c.HELD)
        return
    if misses_cutoff(desk, market, t, work):
        if rules[r.R_LATE_ENDS]:
            _expire(desk, tape, rules, t_run, work)
        return
    if waits_for_auction(desk, market, t, work):
        return
    triggers = (
        work[c.W_STOP] != NONE
        and not work[c.W_TRIGGERED]
        and trigger_ticks(work, market, t) != NONE
    )
    if triggers:
        _note(desk, tape, rules, t_run, work, c.TRIGGERED)
    _fill(desk, market, tape, rules, t, t_run, w)
    if triggers:
        work[c.W_TRIGGERED] = 1  # the bar that triggers it is met as a stop
    if work[c.W_OPEN] > 0 and _is_over(market, rules, t, work):
        _expire(desk, tape, rules, t_run, work)


@inlined_kernel
def _meet_rank(
    desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, t_run: int, rank: int
) -> None:  # fmt: skip
    """Let the orders of one rank meet the bar as they came, and end those whose time is over."""
    time_ns = market.time_ns[t]
    for w in range(desk.state[c.WORKING]):
        work = desk.working[w]
        if work[c.W_RANK] != rank:
            continue
        has_bar = market.close[t, work[c.W_INSTRUMENT]] != NONE
        if has_bar and time_ns > max(work[c.W_RECEIVED_NS], work[c.W_BAR_NS]):
            _meet(desk, market, tape, rules, t, t_run, w)
        if (
            work[c.W_OPEN] > 0
            and work[c.W_FORCE] != _GTC
            and time_ns - work[c.W_RECEIVED_NS] > rules[r.R_AGE_MAX]
        ):
            _expire(desk, tape, rules, t_run, work)


@inlined_kernel
def _end_unmet(desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, t_run: int) -> None:
    """End the day orders whose session ends without a bar of their instrument."""
    by_own = market.ends.shape[0] > 0
    for w in range(desk.state[c.WORKING]):
        work = desk.working[w]
        i = work[c.W_INSTRUMENT]
        if (
            work[c.W_OPEN] > 0
            and work[c.W_FORCE] == _DAY
            and work[c.W_WAIT] == 0
            and market.close[t, i] == NONE
            and market.time_ns[t] > work[c.W_RECEIVED_NS]
            and ends_at(market, t, i)
            and (by_own or is_in_session(desk, market, i))
            and not is_at_open(work)
        ):
            _expire(desk, tape, rules, t_run, work)


@merged_kernel
def _meet_all(
    desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, t_run: int
) -> None:  # fmt: skip
    """Let every working order meet the bar; keep those that go on, in order of arrival."""
    count, kept, ranks = desk.state[c.WORKING], 0, 0
    for w in range(count):
        ranks |= 1 << desk.working[w, c.W_RANK]
    for rank in range(_RANKS):
        if ranks >> rank & 1:
            _meet_rank(desk, market, tape, rules, t, t_run, rank)
    if rules[r.R_DAY_ENDS] and (market.session_end[t] or market.ends.shape[0] > 0):
        _end_unmet(desk, market, tape, rules, t, t_run)
    for w in range(count):
        if desk.working[w, c.W_OPEN] > 0:
            if kept != w:
                for column in range(c.WORKING_COLUMNS):
                    desk.working[kept, column] = desk.working[w, column]
            kept += 1
    desk.state[c.WORKING] = kept


@merged_kernel
def begin_bar(
    desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, t_run: int
) -> None:  # fmt: skip
    """Open the session where one begins, fill, mark and value the book, and close it."""
    state = desk.state
    if market.session[t] != state[c.SESSION]:
        state[c.SESSION] = market.session[t]
        state[c.SESSION_NS] = market.time_ns[t]
        state[c.SESSION_NAV] = state[c.NAV]
        state[c.PEAK_NAV] = max(state[c.PEAK_NAV], state[c.NAV])
        state[c.PROFIT_START] = state[c.PROFIT]
        state[c.PROFIT_PEAK] = max(state[c.PROFIT_PEAK], state[c.PROFIT])
    if state[c.WORKING] > 0:
        _meet_all(desk, market, tape, rules, t, t_run)
    by_own = market.ends.shape[0] > 0
    settles = market.session_end[t] and not by_own
    for i in range(desk.holdings.shape[0]):
        close = market.close[t, i]
        if close != NONE:
            holding = desk.holdings[i]
            holding[c.LAST] = close
            holding[c.LAST_NS] = market.time_ns[t]
            if desk.risks[i, k.POSITION] != 0:
                holding[c.MARK] = close
                if settles and holding[c.MARGINED]:
                    settle(desk, i)
    if by_own:
        close_exchanges(desk, market, t)
    if market.rates.shape[0] > 0:
        take_rates(desk, market.rates[t])
    value_account(desk)
    tape.nav[t] = state[c.NAV]
    if market.session_end[t]:
        state[c.PEAK_NAV] = max(state[c.PEAK_NAV], state[c.NAV])
        state[c.PROFIT_PEAK] = max(state[c.PROFIT_PEAK], state[c.PROFIT])


@inlined_kernel
def has_room(desk: Desk, tape: Tape, rules: Ints, new: int, now_ns: int) -> bool:
    """Return whether every array has room for a bar that brings at most `new` orders."""
    state = desk.state
    working = state[c.WORKING]
    if working + new > desk.working.shape[0]:
        return False
    if state[c.SENT] - state[c.SENT_OLDEST] + new > desk.sent.shape[0]:
        orders.gate.forget(desk, now_ns, rules)
        if state[c.SENT] - state[c.SENT_OLDEST] + new > desk.sent.shape[0]:
            return False
    if not rules[r.R_KEEP]:
        return True
    return (
        state[c.ORDER_ROWS] + new <= tape.orders.shape[0]
        and state[c.FILL_ROWS] + working <= tape.fills.shape[0]
        and state[c.CHANGE_ROWS] + 2 * working + new <= tape.changes.shape[0]
        and state[c.REFUSED_ROWS] + desk.change.shape[0] <= tape.refused.shape[0]
    )


@inlined_kernel
def stops_at(
    desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, offset: int, new: int
) -> bool:  # fmt: skip
    """Begin bar t where there is room for it; return whether the walk must stop there."""
    rolls = market.roll_to.shape[0] > 0
    most = new + 2 * desk.change.shape[0] if rolls else new
    if not has_room(desk, tape, rules, most, market.time_ns[t] + rules[r.R_LAG]):
        return True
    begin_bar(desk, market, tape, rules, t, offset + t)
    if rolls and desk.state[c.STATUS] == c.RUNNING:
        orders.roll(desk, market, tape, rules, t, offset + t)
    return desk.state[c.STATUS] != c.RUNNING


@flat_kernel
def _trade_targets(
    desk: Desk, market: Market, tape: Tape, rules: Ints, start: int, offset: int, lots: Ints
) -> int:  # fmt: skip
    for t in range(start, market.time_ns.shape[0]):
        if stops_at(desk, market, tape, rules, t, offset, desk.change.shape[0]):
            return t
        if orders.find_changes(desk, lots[t]):
            orders.trade_changes(desk, market, tape, rules, t, offset + t, flag(False))
    return market.time_ns.shape[0]


@kernel
def trade_targets(
    desk: Desk, market: Market, tape: Tape, rules: Ints, start: int, offset: int, lots: Ints
) -> int:  # fmt: skip
    """Trade towards lots[T, N] from bar `start`; return the bar it stopped before.

    `offset` is the place of the market's first bar in the run. Stops early where an array is
    full or money would leave 64 bits.
    """
    return _trade_targets(desk, market, tape, rules, start, offset, lots)


@flat_kernel
def _trade_weights(
    desk: Desk, market: Market, tape: Tape, rules: Ints, start: int, offset: int, weights: Floats
) -> int:  # fmt: skip
    for t in range(start, market.time_ns.shape[0]):
        if stops_at(desk, market, tape, rules, t, offset, desk.change.shape[0]):
            return t
        any_weight = False
        for i in range(desk.weight.shape[0]):
            desk.weight[i] = orders.wanted_weight(market, t, i, weights[t, i])
            any_weight = any_weight or desk.weight[i] == desk.weight[i]
        if any_weight:
            orders.trade_changes(desk, market, tape, rules, t, offset + t, flag(True))
    return market.time_ns.shape[0]


@kernel
def trade_weights(
    desk: Desk, market: Market, tape: Tape, rules: Ints, start: int, offset: int, weights: Floats
) -> int:  # fmt: skip
    """Trade towards weights[T, N] of NAV, as trade_targets does towards lots."""
    return _trade_weights(desk, market, tape, rules, start, offset, weights)


@flat_kernel
def _place_orders(
    desk: Desk, market: Market, tape: Tape, rules: Ints, start: int, offset: int, first: Ints,
    rows: Ints,
) -> int:  # fmt: skip
    for t in range(start, market.time_ns.shape[0]):
        if stops_at(desk, market, tape, rules, t, offset, first[t + 1] - first[t]):
            return t
        if first[t + 1] > first[t]:
            sent = rows[first[t] : first[t + 1]]
            orders.place_planned(desk, market, tape, rules, t, offset + t, sent)
    return market.time_ns.shape[0]


@kernel
def place_orders(
    desk: Desk, market: Market, tape: Tape, rules: Ints, start: int, offset: int, first: Ints,
    rows: Ints,
) -> int:  # fmt: skip
    """Send rows[first[t] : first[t + 1]] at the close of bar t, from bar `start` on."""
    return _place_orders(desk, market, tape, rules, start, offset, first, rows)
