"""The gate as a compiled loop over integers: the same rules, order and numbers as `gate`.

`gate` is the text to read and to change first; a property test holds this loop to it bit for bit.
"""

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.compiled import flat_kernel, inlined_kernel, kernel
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.limits import VALUE_MICROS_MAX

Ints = NDArray[np.int64]
Judgement = tuple[int, int, int]  # code or APPROVED, measured, limit

CODES = tuple(DenialCode)
APPROVED = -1

# Columns of an instrument's row.
(
    UNMEASURED,  # index into CODES, or -1
    REFERENCE,
    LOT_VALUE,
    VOLUME,  # lots, or -1 where none is known
    SESSION_OPEN,  # 1, 0, or -1 where nobody knows
    PERMITTED,
    RESTRICTED,
    NEEDS_LOCATE,
    LOCATED,
    THROTTLED,
    SECTOR,
    CURRENCY,
    IS_BASE,
    POSITION,
    OPEN_BUY,
    OPEN_SELL,
    REPEATS,
) = range(17)
INSTRUMENT_COLUMNS = 17

# Columns of an order's row.
(
    INSTRUMENT,
    SIGN,
    LOTS,
    ORDER_LOT_VALUE,
    LIMIT_PRICE,
    HAS_LIMIT,
    STOP,  # or 0 where the order has none
    WAITS,
    ID,
    LIKE,
    SCOPE,  # of the order's strategy, or 0 where that has no limits of its own
    IS_SLICE,  # of the plan that is worked
) = range(12)
ORDER_COLUMNS = 12

# The account: what moves with every order, then what stands.
GROSS, NET_LONG, NET_SHORT, MESSAGES, STATE, HAS_NAV, LOSS_PPM, FALL_PPM, HAS_START = range(9)
ACCOUNT_COLUMNS = 9
HALTED_STATE, REDUCING_STATE, ACTIVE_STATE = range(3)

(
    LIM_COLLAR,
    LIM_ORDER_VALUE,
    LIM_VOLUME_PPM,
    LIM_VOLUME_REQUIRED,
    LIM_MESSAGES,
    LIM_REPEATS,
    LIM_POSITION,
    LIM_CONCENTRATION,
    LIM_GROSS,
    LIM_NET,
    LIM_SECTOR,
    LIM_CURRENCY,
    LIM_BUYING_POWER,
    LIM_LOSS,
    LIM_FALL,
    LIM_LOCATE,
) = range(16)
LIMIT_COLUMNS = 16

_CODE = {code: CODES.index(code) for code in DenialCode}
_UNKNOWN_INSTRUMENT = _CODE[DenialCode.UNKNOWN_INSTRUMENT]
_NO_NAV = _CODE[DenialCode.NO_NET_ASSET_VALUE]
_OUT_OF_RANGE = _CODE[DenialCode.OUT_OF_RANGE]
_HALTED = _CODE[DenialCode.HALTED]
_REDUCING_ONLY = _CODE[DenialCode.REDUCING_ONLY]
_RESTRICTED = _CODE[DenialCode.RESTRICTED]
_NOT_PERMITTED = _CODE[DenialCode.NOT_PERMITTED]
_SESSION_CLOSED = _CODE[DenialCode.SESSION_CLOSED]
_SESSION_UNKNOWN = _CODE[DenialCode.SESSION_UNKNOWN]
_DUPLICATE = _CODE[DenialCode.DUPLICATE_ORDER]
_NO_LOCATE = _CODE[DenialCode.NO_LOCATE]
_MESSAGE_RATE = _CODE[DenialCode.MESSAGE_RATE]
_THROTTLE = _CODE[DenialCode.THROTTLE]
_COLLAR = _CODE[DenialCode.PRICE_COLLAR]
_STOP = _CODE[DenialCode.STOP_PRICE]
_ORDER_VALUE = _CODE[DenialCode.ORDER_VALUE]
_NO_VOLUME = _CODE[DenialCode.NO_VOLUME]
_ORDER_VOLUME = _CODE[DenialCode.ORDER_VOLUME]
_POSITION = _CODE[DenialCode.POSITION_VALUE]
_CONCENTRATION = _CODE[DenialCode.CONCENTRATION]
_GROSS = _CODE[DenialCode.GROSS_EXPOSURE]
_NET = _CODE[DenialCode.NET_EXPOSURE]
_SECTOR = _CODE[DenialCode.SECTOR_EXPOSURE]
_CURRENCY = _CODE[DenialCode.CURRENCY_EXPOSURE]
_BUYING_POWER = _CODE[DenialCode.BUYING_POWER]
_LOSS = _CODE[DenialCode.DAILY_LOSS]
_FALL = _CODE[DenialCode.DRAWDOWN]

PPM = 10**6
_SURELY_SMALL = 0.9 * VALUE_MICROS_MAX


@flat_kernel
def too_large(lots: int, value: int) -> bool:
    """Return whether lots x value (> 0) is above VALUE_MICROS_MAX, without leaving 64 bits."""
    # A division is many times slower than this, and hardly ever needed.
    if float(lots) * float(value) < _SURELY_SMALL:
        return False
    return lots > VALUE_MICROS_MAX // value


@inlined_kernel
def _standing(order: Ints, risk: Ints, account: Ints) -> Judgement:
    """Rules on whether this can be traded now at all: the halt, measures, permissions, hours."""
    if account[STATE] == HALTED_STATE:
        return _HALTED, 0, 0
    code, measured, limit = _measured(order, risk, account)
    if code != APPROVED:
        return code, measured, limit
    if not order[WAITS] and risk[SESSION_OPEN] != 1:
        return (_SESSION_UNKNOWN if risk[SESSION_OPEN] < 0 else _SESSION_CLOSED), 0, 0
    return APPROVED, 0, 0


@inlined_kernel
def _measured(order: Ints, risk: Ints, account: Ints) -> Judgement:
    """Rules on what must be known, what fits the range, and what may be traded at all."""
    if risk[UNMEASURED] >= 0:
        return risk[UNMEASURED], 0, 0
    if account[HAS_NAV] == 0:
        return _NO_NAV, 0, 0
    exposure = _after(order, risk)[2]
    if too_large(order[LOTS], order[ORDER_LOT_VALUE]) or too_large(exposure, risk[LOT_VALUE]):
        return _OUT_OF_RANGE, 1, 0
    if risk[RESTRICTED]:
        return _RESTRICTED, 0, 0
    if not risk[PERMITTED]:
        return _NOT_PERMITTED, 0, 0
    return APPROVED, 0, 0


@inlined_kernel
def _conduct(
    order: Ints, risk: Ints, account: Ints, limits: Ints, like_sent: Ints, id_sent: Ints
) -> Judgement:
    """Rules on how we trade: duplicates, reducing, borrows, message rate, repeats and stops."""
    long_after, short_after, _ = _after(order, risk)
    if id_sent[order[ID]] or like_sent[order[LIKE]] & (1 if order[IS_SLICE] else 3):
        return _DUPLICATE, 0, 0
    if account[STATE] == REDUCING_STATE and not _reduces(order, risk, long_after, short_after):
        return _REDUCING_ONLY, 0, 0
    short = order[SIGN] < 0 and short_after < 0
    if limits[LIM_LOCATE] and risk[NEEDS_LOCATE] and short and not risk[LOCATED]:
        return _NO_LOCATE, -short_after, 0
    if account[MESSAGES] + 1 > limits[LIM_MESSAGES]:
        return _MESSAGE_RATE, account[MESSAGES] + 1, limits[LIM_MESSAGES]
    if risk[THROTTLED] or risk[REPEATS] + 1 > limits[LIM_REPEATS]:
        return _THROTTLE, risk[REPEATS] + 1, limits[LIM_REPEATS]
    if order[STOP] and not _reduces(order, risk, long_after, short_after):
        beyond = (order[STOP] - risk[REFERENCE]) * order[SIGN] > 0
        if not beyond:
            return _STOP, order[STOP], risk[REFERENCE]
    return APPROVED, 0, 0


@flat_kernel
def _after(order: Ints, risk: Ints) -> Judgement:
    """Return the most and the least the position can become, and the larger in size (lots)."""
    buy = order[LOTS] if order[SIGN] > 0 else 0
    long_after = risk[POSITION] + risk[OPEN_BUY] + buy
    short_after = risk[POSITION] - risk[OPEN_SELL] - (order[LOTS] - buy)
    return long_after, short_after, max(abs(long_after), abs(short_after))


@flat_kernel
def _reduces(order: Ints, risk: Ints, long_after: int, short_after: int) -> bool:
    if order[SIGN] < 0:
        return risk[POSITION] > 0 and short_after >= 0
    return risk[POSITION] < 0 and long_after <= 0


@inlined_kernel
def _size(order: Ints, risk: Ints, limits: Ints) -> Judgement:
    """Rules on the order alone: collar, value and volume."""
    if order[HAS_LIMIT]:
        base = order[STOP] if order[STOP] else risk[REFERENCE]
        size = abs(base)  # a future's price may be below zero
        ppm = (abs(order[LIMIT_PRICE] - base) * PPM + size - 1) // size
        if ppm > limits[LIM_COLLAR]:
            return _COLLAR, ppm, limits[LIM_COLLAR]
    value = order[LOTS] * order[ORDER_LOT_VALUE]
    if value > limits[LIM_ORDER_VALUE]:
        return _ORDER_VALUE, value, limits[LIM_ORDER_VALUE]
    if risk[VOLUME] < 0:
        if limits[LIM_VOLUME_REQUIRED]:
            return _NO_VOLUME, 0, 0
    else:
        most = risk[VOLUME] * limits[LIM_VOLUME_PPM] // PPM
        if order[LOTS] > most:
            return _ORDER_VOLUME, order[LOTS], most
    return APPROVED, 0, 0


@inlined_kernel
def _exposure(
    order: Ints, risk: Ints, account: Ints, limits: Ints, sector: int, currency: int
) -> Judgement:
    """Rules on what the account would become; `sector` and `currency` are the sums before."""
    value = risk[LOT_VALUE]
    most = abs(risk[POSITION] + risk[OPEN_BUY])
    least = abs(risk[POSITION] - risk[OPEN_SELL])
    before = max(most, least) * value
    after = _after(order, risk)[2] * value
    added = after - before
    traded = order[LOTS] * value
    net = account[NET_LONG] if order[SIGN] > 0 else -account[NET_SHORT]
    for code, now, grown, limit in (
        (_POSITION, before, after, limits[LIM_POSITION]),
        (_CONCENTRATION, before, after, limits[LIM_CONCENTRATION]),
        (_GROSS, account[GROSS], account[GROSS] + added, limits[LIM_GROSS]),
        (_NET, net, net + traded, limits[LIM_NET]),
        (_SECTOR, sector, sector + added, limits[LIM_SECTOR]),
        (_CURRENCY, currency, currency + added, limits[LIM_CURRENCY]),
        (_BUYING_POWER, account[GROSS], account[GROSS] + added, limits[LIM_BUYING_POWER]),
    ):
        if code == _CURRENCY and risk[IS_BASE]:
            continue
        if grown > limit and grown > now:
            return code, grown, limit
    return APPROVED, 0, 0


@inlined_kernel
def _losses(order: Ints, risk: Ints, account: Ints, limits: Ints) -> Judgement:
    """Rules on what was lost: only what reduces risk passes them."""
    long_after, short_after, _ = _after(order, risk)
    reduces = _reduces(order, risk, long_after, short_after)
    for bit, code, ppm, limit in (
        (1, _LOSS, account[LOSS_PPM], limits[LIM_LOSS]),
        (2, _FALL, account[FALL_PPM], limits[LIM_FALL]),
    ):
        if not account[HAS_START] & bit:
            return _NO_NAV, 0, 0
        if ppm > limit and not reduces:
            return code, ppm, limit
    return APPROVED, 0, 0


@inlined_kernel
def _send(order: Ints, risk: Ints, account: Ints, sectors: Ints, currencies: Ints) -> None:
    """Count an approved order against everything that comes after it."""
    value = risk[LOT_VALUE]
    before = max(abs(risk[POSITION] + risk[OPEN_BUY]), abs(risk[POSITION] - risk[OPEN_SELL]))
    if order[SIGN] > 0:
        risk[OPEN_BUY] += order[LOTS]
        account[NET_LONG] += order[LOTS] * value
    else:
        risk[OPEN_SELL] += order[LOTS]
        account[NET_SHORT] -= order[LOTS] * value
    after = max(abs(risk[POSITION] + risk[OPEN_BUY]), abs(risk[POSITION] - risk[OPEN_SELL]))
    added = (after - before) * value
    account[GROSS] += added
    sectors[risk[SECTOR]] += added
    currencies[risk[CURRENCY]] += added
    risk[REPEATS] += 1
    account[MESSAGES] += 1


@inlined_kernel
def _judge_book(
    order: Ints,
    risk: Ints,
    account: Ints,
    limits: Ints,
    sector: int,
    currency: int,
    like_sent: Ints,
    id_sent: Ints,
) -> Judgement:
    """Every rule on the whole book, in their order."""
    code, measured, limit = _standing(order, risk, account)
    if code == APPROVED:
        code, measured, limit = _conduct(order, risk, account, limits, like_sent, id_sent)
    if code == APPROVED:
        code, measured, limit = _size(order, risk, limits)
    if code == APPROVED:
        code, measured, limit = _exposure(order, risk, account, limits, sector, currency)
    if code == APPROVED:
        code, measured, limit = _losses(order, risk, account, limits)
    return code, measured, limit


@flat_kernel
def _judge_strategy(
    order: Ints, risk: Ints, account: Ints, limits: Ints, sector: int, currency: int
) -> Judgement:
    """Every rule on what one strategy holds and orders itself."""
    code, measured, limit = _measured(order, risk, account)
    if code == APPROVED:
        code, measured, limit = _size(order, risk, limits)
    if code == APPROVED:
        code, measured, limit = _exposure(order, risk, account, limits, sector, currency)
    if code == APPROVED:
        code, measured, limit = _losses(order, risk, account, limits)
    return code, measured, limit


@flat_kernel
def judge_row(
    order: Ints, risk: Ints, account: Ints, limits: Ints, sectors: Ints, currencies: Ints,
    like_sent: Ints, id_sent: Ints, by_strategy: bool, own_risk: Ints, own_account: Ints,
    own_limits: Ints,
) -> Judgement:  # fmt: skip
    """Judge one order by the rules on the whole book; an approval moves the account on.

    With `by_strategy` those on its strategy come after them, whose sums are the book's.
    """
    sector, currency = int(sectors[risk[SECTOR]]), int(currencies[risk[CURRENCY]])
    code, measured, limit = _judge_book(
        order, risk, account, limits, sector, currency, like_sent, id_sent
    )
    if code == APPROVED and by_strategy:
        code, measured, limit = _judge_strategy(
            order, own_risk, own_account, own_limits, sector, currency
        )
    if code == APPROVED:
        _send(order, risk, account, sectors, currencies)
        like_sent[order[LIKE]] |= 2 if order[IS_SLICE] else 1
        id_sent[order[ID]] = 1
    return code, measured, limit


@flat_kernel
def _check_rows(
    orders: Ints, risks: Ints, accounts: Ints, limits: Ints, sectors: Ints, currencies: Ints,
    like_sent: Ints, id_sent: Ints, verdicts: Ints,
) -> None:  # fmt: skip
    for m in range(len(orders)):
        order, own = orders[m], orders[m, SCOPE]
        i, scope = order[INSTRUMENT], 0
        code, measured, limit = _UNKNOWN_INSTRUMENT, 0, 0
        if i >= 0:
            sector, currency = risks[0, i, SECTOR], risks[0, i, CURRENCY]
            code, measured, limit = _judge_book(
                order, risks[0, i], accounts[0], limits[0, i], int(sectors[0, sector]),
                int(currencies[0, currency]), like_sent, id_sent,
            )  # fmt: skip
            if code == APPROVED and own:
                scope = own
                code, measured, limit = _judge_strategy(
                    order, risks[own, i], accounts[own], limits[own, i],
                    int(sectors[own, sector]), int(currencies[own, currency]),
                )  # fmt: skip
        if code == APPROVED:
            _send(order, risks[0, i], accounts[0], sectors[0], currencies[0])
            if own:
                _send(order, risks[own, i], accounts[own], sectors[own], currencies[own])
            like_sent[order[LIKE]] |= 2 if order[IS_SLICE] else 1
            id_sent[order[ID]] = 1
        verdicts[m, 0], verdicts[m, 1], verdicts[m, 2] = code, measured, limit
        verdicts[m, 3] = order[LOTS] * order[ORDER_LOT_VALUE] if code == APPROVED else 0
        verdicts[m, 4] = scope


@kernel
def check_rows(
    orders: Ints,
    risks: Ints,
    accounts: Ints,
    limits: Ints,
    sectors: Ints,
    currencies: Ints,
    like_sent: Ints,
    id_sent: Ints,
    verdicts: Ints,
) -> None:
    """Judge orders one after the other; every approval moves the account on.

    Scope 0 is the whole book, each other one a strategy with limits of its own. orders (M, 12),
    risks (S, N, 17), accounts (S, 9), limits (S, N, 16), sectors (S, A), currencies (S, C),
    like_sent (K,; 1 by an order, 2 by a slice, 3 by both) and id_sent (I,), all int64. Writes
    verdicts (M, 5): code or -1, what was measured, its limit, the order's value in micros, and the
    scope that denied. An order's instrument -1 is unknown.
    """
    _check_rows(orders, risks, accounts, limits, sectors, currencies, like_sent, id_sent, verdicts)
