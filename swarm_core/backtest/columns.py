"""The columns of the engine's arrays: one row an instrument, an order, a fill, all int64."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
NONE = -(2**63)  # a price, a time or a target that is not there

# Beside the gate's row of an instrument (swarm_core.risk.kernel), what the ledger and the market
# know of it. Money is in minor units of the instrument's currency.
(
    LOT_TICK,  # minor units that one lot gains with one tick
    CASH_ROW,  # its currency's row in `money`
    SIZE,  # 1e-8 units in one lot
    COST,  # what the open lots cost
    REALISED,
    MARK,  # the price at which the ledger values it
    KNOWN,  # whether it was ever traded
    LAST,  # the last bar's close
    LAST_NS,  # and its time, or the last at which its exchange was closed and had no newer one
    SENT_HEAD,  # the place of its last order in `sent`, counted from the start, or -1
    BY_ID,  # row r holds the row of the r-th instrument in the order of ids
    MARGINED,  # whether its profit moves cash, and its price does not
    TAKEN,  # lots that orders took of the bar
    TAKEN_BAR,  # whose number stands here
    BORROWABLE,  # lots that can be borrowed, NONE for any number
    TURNED_AWAY,  # lots to sell of this moment that the venue took no order for
    INCOME,  # what was ever owed for holding it
    CUT_OPEN,  # ns before its opening auction at which orders for it are late, 0 for never
    CUT_CLOSE,  # the same of its closing auction
    ROLLED,  # lots that were closed to go over, less those that were opened for them; short: < 0
) = range(20)
HOLDING_COLUMNS = 20
# Where an instrument stands in the session of its own exchange: in it; after it, and its last bar
# closed it; after it, and its last bar was earlier.
IN_SESSION, CLOSED, CLOSED_UNSEEN = range(3)

# A currency's row in `money`; a rate is RATE_ABOVE / RATE_BELOW base units for one unit.
# OWED is what dividends owe the account and have not paid yet.
# CHARGED is the part of FEES that is commission.
CASH, FEES, OWED, RATE_ABOVE, RATE_BELOW, CHARGED = range(6)
MONEY_COLUMNS = 6

# The account as a whole.
(
    NAV,  # minor units of the base currency
    NAV_KNOWN,
    SESSION,
    SESSION_NAV,
    PEAK_NAV,
    STATUS,
    WORKING,  # how many orders work
    SENT,  # how many orders were ever sent
    SENT_OLDEST,  # the oldest of them that a window still reaches
    SENT_RECENT,  # the oldest that the message window still reaches
    SENT_DECIDED,  # how many were sent when the decision that is judged began
    ORDERS,  # how many orders were ever intended
    FILLS,
    ORDER_ROWS,  # rows of the tapes in use
    FILL_ROWS,
    CHANGE_ROWS,
    REFUSED_ROWS,
    APPROVED_ORDERS,
    EXPIRED_ORDERS,
    MONTH,  # months since 1970 of the last fill, where the commission asks for it
    MONTH_QUANTITY,  # traded in it, in 1e-8 units
    BASE_GAP,  # the row of `money` that no instrument's currency has, or a number beyond
    DECISIONS,  # how often a colony has decided
    TRADED,  # minor units of the base currency since it decided last
    SHORTFALL,  # and what that cost against the prices decided on, commissions included
    SESSION_NS,  # the close of the session's first bar
    PROFIT,  # what the strategy has won or lost at the last close, where it has limits of its own
    PROFIT_KNOWN,
    PROFIT_START,  # the same when the session opened
    PROFIT_PEAK,  # and at its highest at any opening or close
    BASE_ROW,  # the base currency's row of `money`
) = range(31)
STATE_COLUMNS = 31
RUNNING, OVERFLOWED = 0, 1
SAFE_UNITS = 4 * 10**10  # beyond this an amount of minor units does not fit the loop

# A working order.
(
    W_ORDER,
    W_INSTRUMENT,
    W_SIGN,
    W_LOTS,
    W_OPEN,
    W_KIND,
    W_FORCE,
    W_LIMIT,
    W_STOP,
    W_RANK,  # when in a bar it is worked
    W_RECEIVED_NS,  # when it stands at the venue
    W_WAIT,  # bars that it still misses
    W_ARRIVAL,  # the price that the gate approved it at, NONE once an action has changed it
    W_DECISION,  # how often the colony had decided by then
    W_BAR_NS,  # the last bar that it met
    W_TRIGGERED,
    W_FILLS,
    W_VALUE,  # absolute value filled so far
    W_MAKER_VALUE,  # the part of it that was filled at its limit
    W_MONTH,  # traded in the month before its first fill
    W_COMMISSION,
    W_ROLL,  # 1 + the instrument whose holding goes over by it, 0 for any other order
) = range(22)
WORKING_COLUMNS = 22

# An order that was sent, as far as the next ones are measured against it.
S_NS, S_BEFORE, S_SIGN, S_KIND, S_LOTS, S_LIMIT, S_STOP = range(7)
SENT_COLUMNS = 7

# The tapes: what happened, in order. `bar` counts from the first bar of the run.
ORDER_TAPE = (
    *("order", "bar", "instrument", "side", "lots", "kind", "force", "limit_ticks", "stop_ticks"),
    *("code", "measured", "limit", "value_micros"),
)
FILL_TAPE = (
    *("order", "bar", "instrument", "side", "lots", "price_ticks", "commission_minor"),
    *("is_maker", "base_ticks"),  # what the market offered before slippage
    # What was converted of the fill's cash, what that brought in the base currency, and the fee.
    *("converted_minor", "converted_base_minor", "conversion_fee_minor"),
)
# What became of an order beside fills; `lots` are unfilled lots, or bars that it still misses,
# and `at_fill` counts the fills of the run before it. Rejected is what cannot be borrowed.
CHANGE_TAPE = ("order", "bar", "what", "lots", "at_fill")
EXPIRED, HELD, TRIGGERED, REJECTED = range(4)
REFUSED_TAPE = ("bar", "instrument", "code")
# What the opening of a session did without an order; `order` is -1 but where one was changed, and
# the mark is NONE where it stays. Received is what came for the holding in the row before it: its
# `cash_minor` is what that is worth. Carried without an instrument is interest, and `lots` the row
# of its currency. Converted is what came into that currency or left it, and `cost_minor` the fee.
ACTION_TAPE = (
    *("bar", "instrument", "what", "order", "lots", "cost_minor", "cash_minor"),
    "mark_ticks",
)
HOLDING, ACCRUED, PAID, CARRIED, ADJUSTED, CANCELLED, RECEIVED, SETTLED, CONVERTED = range(9)


# What becomes of a decided weight: it counts, it is zero, or the holding is left as it is.
DECIDED, ZERO, LEFT = range(3)


class Market(NamedTuple):
    """T bars of N instruments on their grids; NONE where nothing was reported."""

    time_ns: Ints  # [T] closes, rising
    open_ns: Ints  # [T] when the bar opened
    session: Ints  # [T]
    session_end: Ints  # [T] 1 on the last bar of a session
    open: Ints  # [T, N]
    high: Ints
    low: Ints
    close: Ints  # NONE where the instrument has no bar
    volume: Ints  # lots, -1 where none is reported
    day_volume: Ints  # [T, N] a typical day's lots, or [0, N] where nobody knows
    halted: Ints  # [T, N] 1 where the venue had halted it, or [0, N]
    band_low: Ints  # [T, N] limit down, or [0, N]
    band_high: Ints  # [T, N] limit up, or [0, N]
    leaving: Ints  # [T, N] DECIDED, ZERO or LEFT: what a decided weight counts, or [0, N]
    roll_to: Ints  # [T, N] the place of the contract that a holding goes over into, or [0, N]
    ends: Ints  # [T, N] 1 where its exchange's session ends, or [0, N]: all where the day's does
    rates: (
        Ints  # [T, M, 2] above and below of each traded currency's rate, 0: as before; or [0, M, 2]
    )


class Desk(NamedTuple):
    """All that moves from bar to bar."""

    risks: Ints  # [N, risk.kernel.INSTRUMENT_COLUMNS]
    holdings: Ints  # [N, HOLDING_COLUMNS]
    money: Ints  # [C, MONEY_COLUMNS]
    state: Ints  # [STATE_COLUMNS]
    account: Ints  # [risk.kernel.ACCOUNT_COLUMNS]
    limits: Ints  # [1 + K, risk.kernel.LIMIT_COLUMNS] of the book, then of own_rules
    own_rules: Ints  # [K, settings.LIMIT_ROWS] of instruments with limits of their own
    limit_row: Ints  # [N] which row of the limits holds for each
    strategy_rules: (
        Ints  # [1, settings.LIMIT_ROWS] of the strategy itself, [0, .] where it has none
    )
    strategy_limits: Ints  # [risk.kernel.LIMIT_COLUMNS]
    strategy_flags: (
        Ints  # [N, 2] whether it may trade an instrument, and whether that is restricted
    )
    strategy_account: Ints  # [risk.kernel.ACCOUNT_COLUMNS] the account with its orders alone
    strategy_risk: Ints  # [risk.kernel.INSTRUMENT_COLUMNS] of the instrument that is judged
    sectors: Ints  # [S] gross exposure
    currencies: Ints  # [C']
    working: Ints  # [W, WORKING_COLUMNS] in order of arrival
    sent: Ints  # [R, SENT_COLUMNS] a ring
    order: Ints  # [risk.kernel.ORDER_COLUMNS] the one that is judged
    flags: Ints  # [2] whether a like order, or the same, was sent
    change: Ints  # [N] lots to trade
    turn: Ints  # [N] whose change is sent, by id: ~i where i's position does not become smaller
    phase: Ints  # [N] IN_SESSION, CLOSED or CLOSED_UNSEEN, where the market tells of exchanges
    target: Ints  # [N] lots wanted, NONE to leave as it is
    weight: NDArray[np.float64]  # [N] weights wanted, NaN to leave as they are


class Tape(NamedTuple):
    """Room for what happens; rows in use are counted in the state."""

    orders: Ints  # [., len(ORDER_TAPE)]
    fills: Ints  # [., len(FILL_TAPE)]
    changes: Ints  # [., len(CHANGE_TAPE)]
    refused: Ints  # [., len(REFUSED_TAPE)]
    nav: Ints  # [T] at each close, in minor units of the base currency
