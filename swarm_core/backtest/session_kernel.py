"""Where instruments stand in their sessions, as kernels: auctions, closes, closed exchanges."""

from swarm_core.backtest import columns as c
from swarm_core.backtest import settings as r
from swarm_core.backtest.columns import NONE, Desk, Ints, Market
from swarm_core.backtest.ledger_kernel import settle
from swarm_core.backtest.order_kernel import AT_CLOSE
from swarm_core.colony.compiled import inlined_kernel, merged_kernel
from swarm_core.orders import OrderKind
from swarm_core.risk import kernel as k

_ON_OPEN = r.KINDS.index(OrderKind.MARKET_ON_OPEN)
_LIMIT_ON_OPEN = r.KINDS.index(OrderKind.LIMIT_ON_OPEN)


@inlined_kernel
def ends_at(market: Market, t: int, i: int) -> bool:
    """Return whether the session of an instrument's exchange ends with bar t."""
    if market.ends.shape[0] > 0:
        return market.ends[t, i] != 0
    return market.session_end[t] != 0


@inlined_kernel
def is_in_session(desk: Desk, market: Market, i: int) -> bool:
    """Return whether an instrument had a bar in the session that has not ended for it."""
    if market.ends.shape[0] > 0:
        return desk.phase[i] == c.IN_SESSION
    return desk.holdings[i, c.LAST_NS] >= desk.state[c.SESSION_NS]


@inlined_kernel
def is_at_open(work: Ints) -> bool:
    return work[c.W_KIND] == _ON_OPEN or work[c.W_KIND] == _LIMIT_ON_OPEN


@inlined_kernel
def waits_for_auction(desk: Desk, market: Market, t: int, work: Ints) -> bool:
    """Return whether an order waits for an auction that this bar has not, as `fills` has it."""
    i = work[c.W_INSTRUMENT]
    if work[c.W_RANK] == AT_CLOSE:
        return not ends_at(market, t, i)
    if not is_at_open(work):
        return False
    opened = market.open_ns[t]
    passed = opened != NONE and opened < work[c.W_RECEIVED_NS]
    return (passed and not ends_at(market, t, i)) or is_in_session(desk, market, i)


@inlined_kernel
def misses_cutoff(desk: Desk, market: Market, t: int, work: Ints) -> bool:
    """Return whether this bar has the order's auction and it came too late, as `fills` has it."""
    i = work[c.W_INSTRUMENT]
    holding, received = desk.holdings[i], work[c.W_RECEIVED_NS]
    if work[c.W_RANK] == AT_CLOSE:
        before = holding[c.CUT_CLOSE]
        return before > 0 and ends_at(market, t, i) and received > market.time_ns[t] - before
    before, opened = holding[c.CUT_OPEN], market.open_ns[t]
    if before == 0 or not is_at_open(work) or is_in_session(desk, market, i):
        return False
    return opened != NONE and received > opened - before


@merged_kernel
def close_exchanges(desk: Desk, market: Market, t: int) -> None:
    """Take in whose exchange is closed now: a closed one's last close stays the newest there is."""
    for i in range(desk.phase.shape[0]):
        has_bar, ends = market.close[t, i] != NONE, market.ends[t, i] != 0
        if has_bar and ends and desk.holdings[i, c.MARGINED] and desk.risks[i, k.POSITION] != 0:
            settle(desk, i)
        if has_bar:
            desk.phase[i] = c.CLOSED if ends else c.IN_SESSION
        elif ends:
            desk.phase[i] = c.CLOSED_UNSEEN
        elif desk.phase[i] == c.CLOSED:
            desk.holdings[i, c.LAST_NS] = market.time_ns[t]
