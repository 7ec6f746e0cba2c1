"""Founding the arrays that a run moves, and giving them more room while it runs."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from swarm_core.backtest import columns as c
from swarm_core.backtest.columns import Desk, Ints, Tape
from swarm_core.backtest.settings import EngineSettings
from swarm_core.instruments import MINOR_PER_UNIT, Instrument, to_minor
from swarm_core.risk import kernel as k
from swarm_core.risk.limits import RiskLimits

_ROOM = 1_024


def found_desk(
    instruments: Sequence[Instrument],
    settings: EngineSettings,
    rates: Mapping[str, Decimal] | None = None,
) -> Desk:
    """Return the desk of an account that holds its starting cash and nothing else.

    `rates` gives base currency units for one unit of each foreign currency. Raises ValueError
    where an instrument's lot has more than eight decimals.
    """
    n = len(instruments)
    traded = sorted({i.currency for i in instruments})
    currencies = sorted({*traded, settings.base_currency})
    sectors = sorted({i.sector for i in instruments})
    state = np.zeros(c.STATE_COLUMNS, np.int64)
    state[[c.NAV, c.SESSION_NAV, c.PEAK_NAV]] = to_minor(settings.starting_cash)
    state[c.NAV_KNOWN], state[c.SESSION] = 1, c.NONE
    base = currencies.index(settings.base_currency)
    state[c.BASE_ROW] = base
    state[c.BASE_GAP] = len(currencies) if settings.base_currency in traded else base
    account = np.zeros(k.ACCOUNT_COLUMNS, np.int64)
    account[k.STATE] = k.ACTIVE_STATE
    own_rules, limit_row = settings.packed_own([i.instrument_id for i in instruments])
    return Desk(
        risks=_risks(instruments, settings, sectors, traded),
        holdings=_holdings(instruments, currencies, settings),
        money=_money(currencies, settings, rates or {}),
        state=state,
        account=account,
        limits=np.zeros((1 + len(own_rules), k.LIMIT_COLUMNS), np.int64),
        own_rules=own_rules,
        limit_row=limit_row,
        strategy_rules=settings.packed_strategy(),
        strategy_limits=np.zeros(k.LIMIT_COLUMNS, np.int64),
        strategy_flags=_flags(instruments, settings.strategy_limits),
        strategy_account=account.copy(),
        strategy_risk=np.zeros(k.INSTRUMENT_COLUMNS, np.int64),
        sectors=np.zeros(len(sectors), np.int64),
        currencies=np.zeros(len(traded), np.int64),
        working=np.zeros((n + _ROOM, c.WORKING_COLUMNS), np.int64),
        sent=np.zeros((_power_of_two(n + _ROOM), c.SENT_COLUMNS), np.int64),
        order=np.zeros(k.ORDER_COLUMNS, np.int64),
        flags=np.zeros(2, np.int64),
        change=np.zeros(n, np.int64),
        turn=np.zeros(n, np.int64),
        phase=np.full(n, c.CLOSED_UNSEEN, np.int64),
        target=np.full(n, c.NONE, np.int64),
        weight=np.full(n, np.nan),
    )


def _money(
    currencies: Sequence[str], settings: EngineSettings, rates: Mapping[str, Decimal]
) -> Ints:
    money = np.zeros((len(currencies), c.MONEY_COLUMNS), np.int64)
    for name, rate in {**rates, settings.base_currency: Decimal(1)}.items():
        if name in currencies:
            at = currencies.index(name)
            money[at, c.RATE_ABOVE], money[at, c.RATE_BELOW] = rate.as_integer_ratio()
    money[currencies.index(settings.base_currency), c.CASH] = to_minor(settings.starting_cash)
    return money


def _risks(
    instruments: Sequence[Instrument],
    settings: EngineSettings,
    sectors: Sequence[str],
    currencies: Sequence[str],
) -> Ints:
    """Return what the gate knows of each instrument from the start."""
    risks = np.zeros((len(instruments), k.INSTRUMENT_COLUMNS), np.int64)
    limits = settings.limits.on_book()
    for risk, instrument in zip(risks, instruments, strict=True):
        name = instrument.instrument_id
        risk[k.SESSION_OPEN] = 1
        permitted = instrument.asset_class in limits.permitted_asset_classes
        risk[k.PERMITTED] = permitted or limits.permits_all
        risk[k.RESTRICTED] = name in limits.restricted
        risk[k.NEEDS_LOCATE] = instrument.needs_locate
        risk[k.LOCATED] = name in settings.located
        risk[k.SECTOR] = sectors.index(instrument.sector)
        risk[k.CURRENCY] = currencies.index(instrument.currency)
        risk[k.IS_BASE] = instrument.currency == settings.base_currency
    return risks


def _flags(instruments: Sequence[Instrument], own: RiskLimits | None) -> Ints:
    """Return [N, 2]: whether the strategy may trade an instrument, and whether it is restricted."""
    return np.array(
        [
            (
                own is None or own.permits_all or i.asset_class in own.permitted_asset_classes,
                own is not None and i.instrument_id in own.restricted,
            )
            for i in instruments
        ],
        np.int64,
    ).reshape(len(instruments), 2)


def _holdings(
    instruments: Sequence[Instrument], currencies: Sequence[str], settings: EngineSettings
) -> Ints:
    holdings = np.zeros((len(instruments), c.HOLDING_COLUMNS), np.int64)
    by_id = sorted(range(len(instruments)), key=lambda at: instruments[at].instrument_id)
    for at, (holding, instrument) in enumerate(zip(holdings, instruments, strict=True)):
        holding[c.LOT_TICK] = instrument.lot_tick_minor
        holding[c.CASH_ROW] = currencies.index(instrument.currency)
        holding[c.SIZE] = _size_of(instrument)
        holding[c.LAST] = c.NONE
        holding[c.SENT_HEAD] = holding[c.TAKEN_BAR] = -1
        holding[c.MARGINED] = instrument.is_margined
        holding[c.BY_ID] = by_id[at]
        holding[c.CUT_OPEN], holding[c.CUT_CLOSE] = settings.fills.cutoffs.of(instrument)
        lots = settings.borrow.available(instrument)
        holding[c.BORROWABLE] = c.NONE if lots is None else lots
    return holdings


def _size_of(instrument: Instrument) -> int:
    size = instrument.size_increment * MINOR_PER_UNIT
    if size != int(size):
        raise ValueError(
            f"size_increment of {instrument.instrument_id} must have at most 8 decimals, "
            f"was {instrument.size_increment}"
        )
    return int(size)


def empty_tape(n: int, bars: int, room: int) -> Tape:
    """Return tapes with room for so many rows, and NAV for so many bars."""
    rows = room + 2 * n
    return Tape(
        orders=np.empty((rows, len(c.ORDER_TAPE)), np.int64),
        fills=np.empty((rows, len(c.FILL_TAPE)), np.int64),
        changes=np.empty((2 * rows, len(c.CHANGE_TAPE)), np.int64),
        refused=np.empty((rows, len(c.REFUSED_TAPE)), np.int64),
        nav=np.empty(bars, np.int64),
    )


def with_more_room(desk: Desk, new: int) -> Desk:
    """Return the desk with twice the room for working and for sent orders, and `new` beside."""
    working = np.zeros((2 * len(desk.working) + new, c.WORKING_COLUMNS), np.int64)
    working[: len(desk.working)] = desk.working
    return desk._replace(working=working, sent=_with_longer_ring(desk, new))


def _with_longer_ring(desk: Desk, new: int) -> Ints:
    """Return a longer ring in which every row kept stands at its new place."""
    old = desk.sent
    ring = np.zeros((_power_of_two(2 * len(old) + new), c.SENT_COLUMNS), np.int64)
    kept = np.arange(int(desk.state[c.SENT_OLDEST]), int(desk.state[c.SENT]))
    ring[kept % len(ring)] = old[kept % len(old)]
    return ring


def _power_of_two(rows: int) -> int:
    return 1 << (rows - 1).bit_length()
