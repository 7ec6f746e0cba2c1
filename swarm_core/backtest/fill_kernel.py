"""What a bar fills of an order, as a kernel: the same rules and numbers as `fills`."""

from swarm_core.backtest import settings as r
from swarm_core.backtest.columns import (
    NONE,
    W_INSTRUMENT,
    W_KIND,
    W_LIMIT,
    W_OPEN,
    W_RECEIVED_NS,
    W_SIGN,
    W_STOP,
    W_TRIGGERED,
    Ints,
    Market,
)
from swarm_core.backtest.exact import ceil_share, divide_product, whole, whole_root
from swarm_core.colony.compiled import flat_kernel, inlined_kernel
from swarm_core.orders import OrderKind

PPM = 10**6
PPM_CUBED = PPM**3
_ON_CLOSE = r.KINDS.index(OrderKind.MARKET_ON_CLOSE)
_LIMIT_ON_CLOSE = r.KINDS.index(OrderKind.LIMIT_ON_CLOSE)
_LIMIT_ON_OPEN = r.KINDS.index(OrderKind.LIMIT_ON_OPEN)


@flat_kernel
def _is_good(sign: int, ticks: int, limit: int) -> bool:
    return limit == NONE or sign * ticks <= sign * limit


@inlined_kernel
def _first_ticks(order: Ints, market: Market, t: int) -> tuple[int, bool]:
    """Return the first price that the order can meet, and whether it is the bar's open."""
    i, opened = order[W_INSTRUMENT], market.open_ns[t]
    first = market.open[t, i]
    if first == NONE or (opened != NONE and opened < order[W_RECEIVED_NS]):
        return market.close[t, i], False
    return first, True


@inlined_kernel
def is_halted(market: Market, t: int, i: int) -> bool:
    return market.halted.shape[0] > 0 and market.halted[t, i] != 0


@inlined_kernel
def trigger_ticks(order: Ints, market: Market, t: int) -> int:
    """Return the price at which the bar first trades at the stop or beyond, or NONE."""
    i, stop, sign = order[W_INSTRUMENT], order[W_STOP], order[W_SIGN]
    if stop == NONE or is_halted(market, t, i):
        return NONE
    first, is_open = _first_ticks(order, market, t)
    if sign * first >= sign * stop:
        return first
    if not is_open:
        return NONE
    reached = market.high[t, i] if sign > 0 else market.low[t, i]
    if reached != NONE and sign * reached >= sign * stop:
        return stop
    return stop if sign * market.close[t, i] >= sign * stop else NONE


@inlined_kernel
def _resting_offer(order: Ints, market: Market, t: int) -> tuple[int, bool]:
    """Return the limit where the bar reaches it."""
    i, sign, limit = order[W_INSTRUMENT], order[W_SIGN], order[W_LIMIT]
    reached = market.low[t, i] if sign > 0 else market.high[t, i]
    if limit == NONE or reached == NONE or not _is_good(sign, reached, limit):
        return NONE, False
    return limit, True


@inlined_kernel
def _stop_offer(order: Ints, market: Market, t: int) -> tuple[int, bool]:
    """Return the price that a stop meets in the bar that triggers it."""
    sign, limit = order[W_SIGN], order[W_LIMIT]
    trigger = trigger_ticks(order, market, t)
    if trigger == NONE or _is_good(sign, trigger, limit):
        return trigger, False
    first, is_open = _first_ticks(order, market, t)
    if is_open and trigger == first:
        return _resting_offer(order, market, t)
    if _is_good(sign, market.close[t, order[W_INSTRUMENT]], limit):
        return limit, True
    return NONE, False


@inlined_kernel
def _offer(order: Ints, market: Market, t: int) -> tuple[int, bool]:
    """Return the price the market offers in this bar or NONE, and whether a limit was hit."""
    sign, kind, limit = order[W_SIGN], order[W_KIND], order[W_LIMIT]
    if kind in (_ON_CLOSE, _LIMIT_ON_CLOSE):
        close = market.close[t, order[W_INSTRUMENT]]
        return (close if _is_good(sign, close, limit) else NONE), False
    if order[W_STOP] != NONE and not order[W_TRIGGERED]:
        return _stop_offer(order, market, t)
    first, is_open = _first_ticks(order, market, t)
    if _is_good(sign, first, limit):
        return first, False
    if kind == _LIMIT_ON_OPEN or not is_open:
        return NONE, False
    return _resting_offer(order, market, t)


@flat_kernel
def _slippage_ticks(base: int, lots: int, volume: int, rules: Ints) -> int:
    """Return by how many ticks a fill is worse than the market's price, rounded up."""
    kind, first = rules[r.R_SLIPPAGE], rules[r.R_SLIPPAGE + 1]
    if kind == r.SLIP_TICKS:
        return first
    ppm, scale = first, PPM
    if kind == r.SLIP_VOLUME_SHARE:
        if volume <= 0:
            return 0
        share = lots * PPM // volume
        ppm, scale = first * share * share, PPM_CUBED
    elif kind == r.SLIP_SQUARE_ROOT and volume > 0 and rules[r.R_SLIPPAGE + 2] > 0:
        root = whole_root(divide_product(lots, PPM * PPM, volume)[0])
        ppm += rules[r.R_SLIPPAGE + 2] * root // PPM
    return ceil_share(abs(base), ppm, scale) if ppm else 0


@inlined_kernel
def fill_of(
    order: Ints, market: Market, t: int, taken: int, rules: Ints
) -> tuple[int, int, bool, int]:  # fmt: skip
    """Return lots (0 for none), ticks, whether the order was a maker, and ticks before slippage.

    `taken` is what other orders took of the bar.
    """
    i, sign, limit = order[W_INSTRUMENT], order[W_SIGN], order[W_LIMIT]
    zero = whole(0)
    if is_halted(market, t, i):
        return zero, zero, False, zero
    volume, lots = market.volume[t, i], order[W_OPEN]
    if volume >= 0:
        lots = min(lots, max(0, volume * rules[r.R_PARTICIPATION] // PPM - taken))
    base, is_maker = _offer(order, market, t)
    low, high = NONE, NONE
    if market.band_low.shape[0] > 0:
        low, high = market.band_low[t, i], market.band_high[t, i]
    edge = high if sign > 0 else low
    if lots == 0 or base == NONE or (edge != NONE and sign * base >= sign * edge):
        return zero, zero, False, zero
    price = base + sign * _slippage_ticks(base, lots + taken, volume, rules)
    price = max(1, price) if base > 0 else price
    price = price if high == NONE else min(price, high)
    price = price if low == NONE else max(price, low)
    if limit != NONE:
        price = min(price, limit) if sign > 0 else max(price, limit)
    return lots, price, is_maker, base
