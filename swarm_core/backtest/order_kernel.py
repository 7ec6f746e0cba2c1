"""From targets to orders to the venue, as kernels: sizing, verdicts, and what then works."""

import numpy as np

from swarm_core.backtest import columns as c
from swarm_core.backtest import gate_kernel as gate
from swarm_core.backtest import settings as r
from swarm_core.backtest.columns import NONE, Desk, Ints, Market, Tape
from swarm_core.backtest.exact import ceil_shifted, weighted_lots, whole
from swarm_core.backtest.orders import (
    P_FORCE,
    P_INSTRUMENT,
    P_KIND,
    P_LIMIT,
    P_SIGNED,
    P_STOP,
)
from swarm_core.colony.compiled import flat_kernel, inlined_kernel, merged_kernel
from swarm_core.instruments import LOTS_MAX
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.risk import kernel as k
from swarm_core.risk.codes import DenialCode

_OUT_OF_RANGE = k.CODES.index(DenialCode.OUT_OF_RANGE)
# When in a bar each kind is worked, as `fills.bar_rank` has it.
_RANKS = np.array(
    [
        3 if kind.is_at_close else 1 if kind.has_stop else 2 if kind is OrderKind.LIMIT else 0
        for kind in OrderKind
    ],
    np.int64,
)
AT_CLOSE = int(_RANKS.max())
_ON_OPEN = r.KINDS.index(OrderKind.MARKET_ON_OPEN)
_DAY = r.FORCES.index(TimeInForce.DAY)
_NO_NAV = k.CODES.index(DenialCode.NO_NET_ASSET_VALUE)


@inlined_kernel
def _note_order(
    desk: Desk, tape: Tape, t: int, i: int, signed: int, kind: int, force: int, limit: int,
    stop: int, verdict: k.Judgement,
) -> None:  # fmt: skip
    row = tape.orders[desk.state[c.ORDER_ROWS]]
    desk.state[c.ORDER_ROWS] += 1
    row[0] = desk.state[c.ORDERS]
    row[1], row[2] = t, i
    row[3] = 1 if signed > 0 else -1
    row[4] = abs(signed)
    row[5], row[6], row[7], row[8] = kind, force, limit, stop
    row[9], row[10], row[11] = verdict
    approved = verdict[0] == k.APPROVED
    row[12] = abs(signed) * desk.order[k.ORDER_LOT_VALUE] if approved else 0


@inlined_kernel
def _hand_over(
    desk: Desk, rules: Ints, now_ns: int, i: int, signed: int, kind: int, force: int, limit: int,
    stop: int,
) -> None:  # fmt: skip
    """Put an approved order among those that work at the venue."""
    state = desk.state
    work = desk.working[state[c.WORKING]]
    work[c.W_ORDER], work[c.W_INSTRUMENT] = state[c.ORDERS], i
    work[c.W_SIGN] = 1 if signed > 0 else -1
    work[c.W_LOTS] = abs(signed)
    work[c.W_OPEN] = abs(signed)
    work[c.W_KIND], work[c.W_FORCE] = kind, force
    work[c.W_LIMIT], work[c.W_STOP] = limit, stop
    work[c.W_RANK] = _RANKS[kind]
    work[c.W_RECEIVED_NS] = now_ns + rules[r.R_LATENCY]
    work[c.W_WAIT] = rules[r.R_WAIT]
    work[c.W_ARRIVAL], work[c.W_DECISION] = desk.risks[i, k.REFERENCE], state[c.DECISIONS]
    for column in range(c.W_BAR_NS, c.WORKING_COLUMNS):
        work[column] = 0
    state[c.WORKING] += 1


@inlined_kernel
def _can_be_borrowed(desk: Desk, i: int, signed: int) -> bool:
    """Return whether the venue takes an order, by what can be borrowed of its instrument."""
    most = desk.holdings[i, c.BORROWABLE]
    if signed > 0 or most == NONE:
        return True
    after = desk.risks[i, k.POSITION] + signed
    for w in range(desk.state[c.WORKING]):
        work = desk.working[w]
        if work[c.W_INSTRUMENT] == i and work[c.W_SIGN] < 0:
            after -= work[c.W_OPEN]
    return after >= 0 or -after <= most


@inlined_kernel
def _turn_away(desk: Desk, tape: Tape, rules: Ints, t: int, i: int, lots: int) -> None:
    """Note an order that the venue rejects; it counts for the gate until the batch is out."""
    state = desk.state
    desk.holdings[i, c.TURNED_AWAY] += lots
    if rules[r.R_KEEP]:
        row = tape.changes[state[c.CHANGE_ROWS]]
        row[0], row[1], row[2], row[3] = state[c.ORDERS], t, c.REJECTED, lots
        row[4] = state[c.FILLS]
        state[c.CHANGE_ROWS] += 1


@inlined_kernel
def _let_go(desk: Desk) -> None:
    """Count what was turned away no longer."""
    for i in range(desk.holdings.shape[0]):
        holding = desk.holdings[i]
        if holding[c.TURNED_AWAY] != 0:
            desk.risks[i, k.OPEN_SELL] -= holding[c.TURNED_AWAY]
            holding[c.TURNED_AWAY] = 0


@merged_kernel
def place(
    desk: Desk, tape: Tape, rules: Ints, t: int, now_ns: int, i: int, signed: int, kind: int,
    force: int, limit: int, stop: int,
) -> None:  # fmt: skip
    """Judge an order of `signed` lots and, where it is approved, hand it to the venue."""
    verdict = gate.judge(desk, i, signed, kind, limit, stop, now_ns, rules)
    if rules[r.R_KEEP]:
        _note_order(desk, tape, t, i, signed, kind, force, limit, stop, verdict)
    if verdict[0] == k.APPROVED:
        gate.count_sent(desk, i, kind, limit, stop, now_ns)
        desk.state[c.APPROVED_ORDERS] += 1
        if _can_be_borrowed(desk, i, signed):
            _hand_over(desk, rules, now_ns, i, signed, kind, force, limit, stop)
        else:
            _turn_away(desk, tape, rules, t, i, -signed)
    elif verdict[0] == gate.THROTTLE:
        desk.risks[i, k.THROTTLED] = 1
    desk.state[c.ORDERS] += 1


@inlined_kernel
def _refuse(desk: Desk, tape: Tape, rules: Ints, t: int, i: int, code: int) -> None:
    """Note a target of which no order could be made."""
    if rules[r.R_KEEP]:
        row = tape.refused[desk.state[c.REFUSED_ROWS]]
        row[0], row[1], row[2] = t, i, code
    desk.state[c.REFUSED_ROWS] += 1


@inlined_kernel
def _queue(desk: Desk, count: int, i: int) -> int:
    """Put the change of an instrument behind `count` others; return how many they are now."""
    signed, position = desk.change[i], desk.risks[i, k.POSITION]
    smaller = (signed > 0 and position < 0) or (signed < 0 and position > 0)
    desk.turn[count] = i if smaller else ~i
    return count + 1


@inlined_kernel
def _release(desk: Desk, tape: Tape, rules: Ints, t: int, now_ns: int, count: int) -> None:
    """Send `count` changes: what makes a position smaller first, then the rest, each by id."""
    for first in (True, False):
        for at in range(count):
            turn = desk.turn[at]
            if (turn >= 0) == first:
                i = turn if first else ~turn
                place(
                    desk, tape, rules, t, now_ns, i, int(desk.change[i]), rules[r.R_KIND],
                    rules[r.R_FORCE], whole(NONE), whole(NONE),
                )  # fmt: skip
    _let_go(desk)


@inlined_kernel
def wanted_weight(market: Market, t: int, i: int, weight: float) -> float:
    """Return the weight that is decided, or what holds in its place (columns.Market.leaving)."""
    if market.leaving.shape[0] == 0 or market.leaving[t, i] == c.DECIDED:
        return weight
    return 0.0 if market.leaving[t, i] == c.ZERO else np.nan


@inlined_kernel
def _open_change(desk: Desk, i: int, wanted: int) -> int:
    """Return the lots between what is wanted and what is held or already working."""
    risk = desk.risks[i]
    return wanted - risk[k.POSITION] - (risk[k.OPEN_BUY] - risk[k.OPEN_SELL])


@inlined_kernel
def find_changes(desk: Desk, target: Ints) -> bool:
    """Set the lots to trade so that target[N] is held, NONE leaving one alone; return if any."""
    any_change = False
    for i in range(target.shape[0]):
        desk.change[i] = 0
        if target[i] != NONE:
            desk.change[i] = _open_change(desk, i, target[i])
            any_change = any_change or desk.change[i] != 0
    return any_change


@inlined_kernel
def _check_changes(desk: Desk, tape: Tape, rules: Ints, t_run: int) -> int:
    """Refuse the changes that cannot be measured or are out of range; queue and count the rest."""
    count = whole(0)
    for place_of in range(desk.change.shape[0]):
        i = desk.holdings[place_of, c.BY_ID]
        if desk.change[i] == 0:
            continue
        code = desk.risks[i, k.UNMEASURED]
        if code < 0 and not desk.account[k.HAS_NAV]:
            code = _NO_NAV
        if code < 0 and abs(desk.change[i]) > LOTS_MAX:
            code = _OUT_OF_RANGE
        if code >= 0:
            desk.change[i] = 0
            _refuse(desk, tape, rules, t_run, i, code)
        else:
            count = _queue(desk, count, i)
    return count


@inlined_kernel
def _weigh_changes(desk: Desk, tape: Tape, rules: Ints, t_run: int) -> int:
    """Set, queue and count the changes that `desk.weight` of NAV asks for.

    NaN leaves an instrument alone.
    """
    count = whole(0)
    nav = desk.state[c.NAV] // gate.MINOR_PER_MICRO
    dust = ceil_shifted(rules[r.R_DUST], max(nav, 0), rules[r.R_DUST_SHIFT])
    for place_of in range(desk.change.shape[0]):
        i = desk.holdings[place_of, c.BY_ID]
        risk, weight = desk.risks[i], desk.weight[i]
        desk.change[i] = 0
        if weight != weight:
            continue
        if risk[k.UNMEASURED] >= 0 or not desk.account[k.HAS_NAV]:
            if weight != 0.0 or risk[k.POSITION] != 0:
                unmeasured = risk[k.UNMEASURED]
                _refuse(desk, tape, rules, t_run, i, unmeasured if unmeasured >= 0 else _NO_NAV)
            continue
        lot = risk[k.LOT_VALUE]
        wanted = weighted_lots(float(weight), nav, lot)
        change = _open_change(desk, i, wanted)
        small = abs(change) < -(-dust // lot)
        if change == 0 or (small and wanted != 0):
            continue
        if abs(change) > LOTS_MAX:
            _refuse(desk, tape, rules, t_run, i, _OUT_OF_RANGE)
            continue
        desk.change[i] = change
        count = _queue(desk, count, i)
    return count


@merged_kernel
def trade_changes(
    desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, t_run: int, by_weight: bool
) -> None:  # fmt: skip
    """Trade the changes in lots that were found, or those that the weights ask for.

    t is the bar of the market, t_run that of the run. Both ways stand in one kernel, because
    compiling the order path takes seconds.
    """
    now_ns = market.time_ns[t] + rules[r.R_LAG]
    gate.measure(desk, market, t, now_ns, rules)
    if by_weight:
        count = _weigh_changes(desk, tape, rules, t_run)
    else:
        count = _check_changes(desk, tape, rules, t_run)
    _release(desk, tape, rules, t_run, now_ns, count)


@inlined_kernel
def _place_leg(
    desk: Desk, tape: Tape, rules: Ints, t: int, now_ns: int, i: int, signed: int, rolled: int
) -> bool:  # fmt: skip
    """Judge and send one order of the roll of an instrument; return whether it was approved."""
    state = desk.state
    approved, working = state[c.APPROVED_ORDERS], state[c.WORKING]
    kind, force, none = whole(_ON_OPEN), whole(_DAY), whole(NONE)
    place(desk, tape, rules, t, now_ns, i, signed, kind, force, none, none)
    if state[c.WORKING] > working:
        desk.working[working, c.W_ROLL] = rolled + 1
    return bool(state[c.APPROVED_ORDERS] > approved)


@inlined_kernel
def _owed_by_roll(desk: Desk, i: int) -> int:
    """Return the lots to open for what was closed of an instrument, or is about to be."""
    owed = desk.holdings[i, c.ROLLED]
    for w in range(desk.state[c.WORKING]):
        if desk.working[w, c.W_ROLL] == i + 1:
            owed -= desk.working[w, c.W_SIGN] * desk.working[w, c.W_OPEN]
    return owed


@flat_kernel
def roll(desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, t_run: int) -> None:
    """Send the two orders of each holding that goes over into another contract at this close.

    As much is opened as is closed, however often that is tried: where the following contract
    cannot be measured nothing is closed, and for what the gate keeps nothing is opened.
    """
    now_ns = market.time_ns[t] + rules[r.R_LAG]
    gate.measure(desk, market, t, now_ns, rules)
    for place_of in range(desk.change.shape[0]):
        i = desk.holdings[place_of, c.BY_ID]
        following = market.roll_to[t, i]
        if following == NONE:
            continue
        closing, owed = _open_change(desk, i, 0), _owed_by_roll(desk, i)
        opening = owed - closing
        closes = closing != 0 and desk.risks[following, k.UNMEASURED] < 0
        if closes and not _place_leg(desk, tape, rules, t_run, now_ns, i, closing, i):
            opening = owed
        if opening != 0:
            _place_leg(desk, tape, rules, t_run, now_ns, following, opening, i)
    _let_go(desk)


@flat_kernel
def place_planned(
    desk: Desk, market: Market, tape: Tape, rules: Ints, t: int, t_run: int, rows: Ints
) -> None:  # fmt: skip
    """Judge and send the orders of rows[., PLAN_COLUMNS] as they stand."""
    now_ns = market.time_ns[t] + rules[r.R_LAG]
    gate.measure(desk, market, t, now_ns, rules)
    for at in range(rows.shape[0]):
        row = rows[at]
        place(
            desk, tape, rules, t_run, now_ns, row[P_INSTRUMENT], row[P_SIGNED], row[P_KIND],
            row[P_FORCE], row[P_LIMIT], row[P_STOP],
        )  # fmt: skip
    _let_go(desk)
