"""Measuring the account and judging an order inside the loop; the rules are the gate's kernels."""

import numpy as np

from swarm_core.backtest import columns as c
from swarm_core.backtest import settings as r
from swarm_core.backtest.columns import NONE, Desk, Ints, Market
from swarm_core.backtest.exact import (
    I64_MAX,
    SAFE,
    ceil_share,
    divide_product,
    floor_share,
    whole,
    wide_product,
)
from swarm_core.backtest.fill_kernel import is_halted
from swarm_core.colony.compiled import flat_kernel, inlined_kernel, merged_kernel
from swarm_core.orders import OrderKind
from swarm_core.risk import kernel as k
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.limits import VALUE_MICROS_MAX

MINOR_PER_MICRO = 100
PPM = 10**6
_NO_QUOTE = k.CODES.index(DenialCode.NO_QUOTE)
_STALE = k.CODES.index(DenialCode.STALE_QUOTE)
_BAD = k.CODES.index(DenialCode.BAD_REFERENCE)
_NO_RATE = k.CODES.index(DenialCode.NO_CURRENCY_RATE)
_OUT_OF_RANGE = k.CODES.index(DenialCode.OUT_OF_RANGE)
THROTTLE = k.CODES.index(DenialCode.THROTTLE)
_WAITS = np.array([kind.waits_for_auction for kind in OrderKind], np.int64)
_WHOLE_RATE = 1


@flat_kernel
def _resolve(nav: int, rules: Ints, limits: Ints) -> None:
    """Write the limits for a NAV in micros, as RiskLimits.resolve gives them."""
    limits[k.LIM_COLLAR] = rules[r.R_COLLAR]
    limits[k.LIM_ORDER_VALUE] = min(rules[r.R_ORDER_VALUE], _share(nav, rules, r.R_ORDER_SHARE))
    limits[k.LIM_VOLUME_PPM] = rules[r.R_VOLUME]
    limits[k.LIM_VOLUME_REQUIRED] = rules[r.R_VOLUME_REQUIRED]
    limits[k.LIM_MESSAGES] = rules[r.R_MESSAGES]
    limits[k.LIM_REPEATS] = rules[r.R_REPEATS]
    limits[k.LIM_POSITION] = rules[r.R_POSITION_VALUE]
    limits[k.LIM_CONCENTRATION] = _share(nav, rules, r.R_POSITION_SHARE)
    limits[k.LIM_GROSS] = _share(nav, rules, r.R_GROSS_SHARE)
    limits[k.LIM_NET] = _share(nav, rules, r.R_NET_SHARE)
    limits[k.LIM_SECTOR] = _share(nav, rules, r.R_SECTOR_SHARE)
    limits[k.LIM_CURRENCY] = _share(nav, rules, r.R_CURRENCY_SHARE)
    limits[k.LIM_BUYING_POWER] = _share(nav, rules, r.R_LEVERAGE_SHARE)
    limits[k.LIM_LOSS] = rules[r.R_LOSS]
    limits[k.LIM_FALL] = rules[r.R_FALL]
    limits[k.LIM_LOCATE] = rules[r.R_LOCATE]


@flat_kernel
def _share(nav: int, rules: Ints, at: int) -> int:
    above, below = rules[at], rules[at + 1]
    if below == 1 and float(nav) * float(above) < VALUE_MICROS_MAX:
        return nav * above  # most limits are whole, and need no division
    return min(VALUE_MICROS_MAX, divide_product(nav, above, below)[0])


@flat_kernel
def _loss_ppm(start: int, nav: int) -> int:
    """Return how much of `start` is lost, in parts per million rounded down; a gain is -1."""
    return floor_share(start - nav, PPM, start) if start > nav else -1


@flat_kernel
def _lot_value(ticks: int, lot_tick: int, above: int, below: int) -> int:
    """Return a lot's value in micros of the base currency, rounded up; I64_MAX where too large."""
    if ticks == 0 or above == 0:
        return 0
    if above == _WHOLE_RATE and below == _WHOLE_RATE:
        if float(ticks) * float(lot_tick) > 4e18:
            return I64_MAX
        return -(-(ticks * lot_tick) // MINOR_PER_MICRO)
    high, low = wide_product(ticks, lot_tick)
    if high != np.uint64(0) or low > np.uint64(SAFE):
        return I64_MAX
    return ceil_share(whole(low), above, below * MINOR_PER_MICRO)


@inlined_kernel
def _measure_one(desk: Desk, market: Market, t: int, i: int, now_ns: int, rules: Ints) -> int:
    """Bring an instrument's row up to date; return the value of its lot, 0 where unknown."""
    risk, holding = desk.risks[i], desk.holdings[i]
    money = desk.money[holding[c.CASH_ROW]]
    known_rate = money[c.RATE_BELOW] != 0
    code, ticks = whole(-1), whole(0)
    if holding[c.LAST] == NONE or is_halted(market, t, i):
        code = _NO_QUOTE
    elif not known_rate:
        code = _NO_RATE
    else:
        ticks = holding[c.LAST]
        risk[k.REFERENCE] = ticks
        age = now_ns - holding[c.LAST_NS]
        if age < 0 or age > rules[r.R_QUOTE_AGE]:
            code = _STALE
        elif ticks == 0 or (ticks < 0 and not holding[c.MARGINED]):
            code = _BAD
        ticks = abs(ticks)
    if code >= 0:
        ticks = abs(holding[c.MARK]) if holding[c.KNOWN] else 0
    value = 0
    if known_rate:
        value = _lot_value(ticks, holding[c.LOT_TICK], money[c.RATE_ABOVE], money[c.RATE_BELOW])
    if k.too_large(value, max(1, abs(risk[k.POSITION]))):
        code, value = _OUT_OF_RANGE, 0
    risk[k.UNMEASURED] = code
    risk[k.LOT_VALUE] = max(1, value)
    return value


@inlined_kernel
def _count(desk: Desk, i: int, value: int) -> bool:
    """Add an instrument's exposure to the sums; return whether they are still known."""
    risk, account = desk.risks[i], desk.account
    most = risk[k.POSITION] + risk[k.OPEN_BUY]
    least = risk[k.POSITION] - risk[k.OPEN_SELL]
    lots = max(abs(most), abs(least))
    if lots == 0:
        return True
    if value == 0 or k.too_large(lots, value):
        return False
    exposure = lots * value
    account[k.GROSS] += exposure
    account[k.NET_LONG] += most * value
    account[k.NET_SHORT] += least * value
    desk.sectors[risk[k.SECTOR]] += exposure
    desk.currencies[risk[k.CURRENCY]] += exposure
    return account[k.GROSS] <= VALUE_MICROS_MAX


@inlined_kernel
def _measure_strategy(desk: Desk, nav: int) -> None:
    """Measure the strategy's limits, day and fall, as `risk.context` does from its own book.

    Its net asset value is that of the session's opening and what it has won or lost since.
    """
    state, account, limits = desk.state, desk.strategy_account, desk.strategy_limits
    _resolve(nav, desk.strategy_rules[0], limits)
    limits[k.LIM_BUYING_POWER] = I64_MAX  # the book's
    start = state[c.SESSION_NAV] // MINOR_PER_MICRO
    own = start + (state[c.PROFIT] - state[c.PROFIT_START]) // MINOR_PER_MICRO
    peak = start + (state[c.PROFIT_PEAK] - state[c.PROFIT_START]) // MINOR_PER_MICRO
    known = desk.account[k.HAS_NAV] == 1 and (state[c.PROFIT_KNOWN] == 1 or state[c.FILLS] == 0)
    account[k.HAS_NAV] = known
    account[k.LOSS_PPM] = _loss_ppm(start, own) if start > 0 and known else 0
    account[k.FALL_PPM] = _loss_ppm(peak, own) if peak > 0 and known else 0
    account[k.HAS_START] = (1 if start > 0 else 0) | (2 if peak > 0 else 0)


@merged_kernel
def measure(desk: Desk, market: Market, t: int, now_ns: int, rules: Ints) -> None:
    """Measure what the gate and the sizing look at, as `risk.context.measure` does."""
    state, account = desk.state, desk.account
    nav = state[c.NAV] // MINOR_PER_MICRO
    known = state[c.NAV_KNOWN] == 1 and 0 < nav <= VALUE_MICROS_MAX
    _resolve(nav if known else 0, rules, desk.limits[0])
    for row in range(desk.own_rules.shape[0]):
        _resolve(nav if known else 0, desk.own_rules[row], desk.limits[row + 1])
    account[k.GROSS] = account[k.NET_LONG] = account[k.NET_SHORT] = 0
    desk.sectors[:] = 0
    desk.currencies[:] = 0
    has_volume = market.day_volume.shape[0] > 0
    for i in range(desk.risks.shape[0]):
        value = _measure_one(desk, market, t, i, now_ns, rules)
        desk.risks[i, k.VOLUME] = market.day_volume[t, i] if has_volume else -1
        if known:
            known = _count(desk, i, value)
    in_range = state[c.NAV_KNOWN] == 1 and 0 < nav <= VALUE_MICROS_MAX
    account[k.HAS_NAV] = known
    if desk.strategy_rules.shape[0] > 0:
        _measure_strategy(desk, nav if in_range else 0)
    session, peak = state[c.SESSION_NAV] // MINOR_PER_MICRO, state[c.PEAK_NAV] // MINOR_PER_MICRO
    account[k.LOSS_PPM] = _loss_ppm(session, nav) if session > 0 and known else 0
    account[k.FALL_PPM] = _loss_ppm(peak, nav) if peak > 0 and known else 0
    account[k.HAS_START] = (1 if session > 0 else 0) | (2 if peak > 0 else 0)
    forget(desk, now_ns, rules)
    account[k.MESSAGES] = state[c.SENT] - state[c.SENT_RECENT]
    state[c.SENT_DECIDED] = state[c.SENT]


@inlined_kernel
def forget(desk: Desk, now_ns: int, rules: Ints) -> None:
    """Move on past the orders that no window reaches any more."""
    state, sent = desk.state, desk.sent
    room = sent.shape[0] - 1  # the ring has a power of two of rows
    while (
        state[c.SENT_OLDEST] < state[c.SENT]
        and sent[state[c.SENT_OLDEST] & room, c.S_NS] <= now_ns - rules[r.R_MEMORY]
    ):
        state[c.SENT_OLDEST] += 1
    recent = max(state[c.SENT_RECENT], state[c.SENT_OLDEST])
    while (
        recent < state[c.SENT] and sent[recent & room, c.S_NS] <= now_ns - rules[r.R_MESSAGE_WINDOW]
    ):
        recent += 1
    state[c.SENT_RECENT] = recent


@inlined_kernel
def _look_back(
    desk: Desk, i: int, now_ns: int, rules: Ints, kind: int, limit: int, stop: int
) -> tuple[int, bool]:  # fmt: skip
    """Return how often the instrument was sent in its window, and whether a like order was."""
    order, sent, room = desk.order, desk.sent, desk.sent.shape[0] - 1
    since_repeat, since_like = now_ns - rules[r.R_REPEAT_WINDOW], now_ns - rules[r.R_LIKE_WINDOW]
    repeats, like = whole(0), False
    at = desk.holdings[i, c.SENT_HEAD]
    while at >= desk.state[c.SENT_OLDEST]:
        row = sent[at & room]
        if row[c.S_NS] > since_repeat:
            repeats += 1
        # What left with the same decision counts whatever the window.
        if row[c.S_NS] > since_like or at >= desk.state[c.SENT_DECIDED]:
            like = like or (
                row[c.S_SIGN] == order[k.SIGN]
                and row[c.S_KIND] == kind
                and row[c.S_LOTS] == order[k.LOTS]
                and row[c.S_LIMIT] == limit
                and row[c.S_STOP] == stop
            )
        at = row[c.S_BEFORE]
    return repeats, like


@inlined_kernel
def judge(
    desk: Desk, i: int, signed: int, kind: int, limit: int, stop: int, now_ns: int, rules: Ints
) -> k.Judgement:  # fmt: skip
    """Return the gate's verdict on an order, and count it where it is approved.

    The account must be measured.
    """
    order, risk = desk.order, desk.risks[i]
    order[k.INSTRUMENT] = i
    order[k.SIGN] = 1 if signed > 0 else -1
    order[k.LOTS] = abs(signed)
    order[k.HAS_LIMIT] = limit != NONE
    order[k.LIMIT_PRICE] = limit if limit != NONE else 0
    order[k.STOP] = stop if stop != NONE else 0
    order[k.WAITS] = _WAITS[kind]
    value, reference = risk[k.LOT_VALUE], abs(risk[k.REFERENCE])
    worst = max(abs(limit) if limit != NONE else 0, abs(stop) if stop != NONE else 0)
    if worst > reference > 0 and risk[k.UNMEASURED] < 0:
        value = ceil_share(value, worst, reference)
    order[k.ORDER_LOT_VALUE] = min(value, VALUE_MICROS_MAX + 1)
    repeats, like = _look_back(desk, i, now_ns, rules, kind, limit, stop)
    risk[k.REPEATS] = repeats
    desk.flags[0], desk.flags[1] = like, 0
    by_strategy = desk.strategy_rules.shape[0] > 0
    if by_strategy:
        _show_strategy(desk, i)
    return k.judge_row(
        order, risk, desk.account, desk.limits[desk.limit_row[i]], desk.sectors,
        desk.currencies, desk.flags[:1], desk.flags[1:], by_strategy, desk.strategy_risk,
        desk.strategy_account, desk.strategy_limits,
    )  # fmt: skip


@inlined_kernel
def _show_strategy(desk: Desk, i: int) -> None:
    """Set the rows that the strategy's rules look at: the book's own, all of it its doing."""
    risk, account = desk.strategy_risk, desk.strategy_account
    for column in range(risk.shape[0]):
        risk[column] = desk.risks[i, column]
    risk[k.PERMITTED], risk[k.RESTRICTED] = desk.strategy_flags[i, 0], desk.strategy_flags[i, 1]
    for column in (k.GROSS, k.NET_LONG, k.NET_SHORT):
        account[column] = desk.account[column]


@inlined_kernel
def count_sent(desk: Desk, i: int, kind: int, limit: int, stop: int, now_ns: int) -> None:
    """Remember an order that was sent for the windows of the next ones."""
    state, order, holding = desk.state, desk.order, desk.holdings[i]
    row = desk.sent[state[c.SENT] & (desk.sent.shape[0] - 1)]
    row[c.S_NS] = now_ns
    row[c.S_BEFORE] = holding[c.SENT_HEAD]
    row[c.S_SIGN] = order[k.SIGN]
    row[c.S_KIND] = kind
    row[c.S_LOTS] = order[k.LOTS]
    row[c.S_LIMIT], row[c.S_STOP] = limit, stop
    holding[c.SENT_HEAD] = state[c.SENT]
    state[c.SENT] += 1
