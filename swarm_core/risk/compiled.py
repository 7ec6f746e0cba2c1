"""The compiled gate: a context packed once into arrays, then orders judged in microseconds."""

from collections.abc import Sequence

import numpy as np

from swarm_core.orders import Order
from swarm_core.risk import kernel as k
from swarm_core.risk.context import InstrumentRisk, RiskContext, like_key
from swarm_core.risk.gate import PPM, Approved, Denied, Verdict, order_lot_value
from swarm_core.risk.limits import VALUE_MICROS_MAX, ResolvedLimits
from swarm_core.trading_state import TradingState

_STATES = {
    TradingState.HALTED: k.HALTED_STATE,
    TradingState.REDUCING: k.REDUCING_STATE,
    TradingState.ACTIVE: k.ACTIVE_STATE,
}


class CompiledGate:
    """The account of a context in arrays; it answers as `check_order` and counts as `send` do.

    The context itself is not changed. An approved order counts at once against the next.
    """

    def __init__(self, context: RiskContext) -> None:
        self._names = {name: i for i, name in enumerate(context.instruments)}
        risks = list(context.instruments.values())
        self._views = risks
        sectors = {name: i for i, name in enumerate(sorted({r.sector for r in risks}))}
        currencies = {name: i for i, name in enumerate(sorted({r.currency for r in risks}))}
        rows = [_instrument_row(r, sectors, currencies) for r in risks]
        self._risks = np.array(rows, dtype=np.int64).reshape(len(rows), k.INSTRUMENT_COLUMNS)
        known = context.nav is not None  # where it is not, every order is denied before any sum
        self._account = np.array(_account_row(context, known), dtype=np.int64)
        self._limits = np.array(_limit_row(context.limits), dtype=np.int64)
        self._sectors = np.zeros(len(sectors) or 1, dtype=np.int64)
        self._currencies = np.zeros(len(currencies) or 1, dtype=np.int64)
        if known:
            for name, i in sectors.items():
                self._sectors[i] = context.sector_gross[name]
            for name, i in currencies.items():
                self._currencies[i] = context.currency_gross[name]
        self._sent_ids, self._sent_keys = set(context.order_ids), set(context.recent_keys)

    def check(self, orders: Sequence[Order]) -> list[Verdict]:
        """Return the verdict on each order, in order; each approval counts against the next."""
        count = len(orders)
        ids: dict[str, int] = {}
        keys: dict[object, int] = {}
        rows: list[tuple[int, ...]] = []
        id_sent, like_sent = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        for order in orders:
            order_id, key = order.client_order_id, like_key(order)
            id_at, key_at = ids.setdefault(order_id, len(ids)), keys.setdefault(key, len(keys))
            id_sent[id_at], like_sent[key_at] = order_id in self._sent_ids, key in self._sent_keys
            rows.append(self._order_row(order, id_at, key_at))
        verdicts = np.empty((count, 4), dtype=np.int64)
        k.check_rows(
            np.array(rows, dtype=np.int64).reshape(count, k.ORDER_COLUMNS),
            self._risks,
            self._account,
            self._limits,
            self._sectors,
            self._currencies,
            like_sent,
            id_sent,
            verdicts,
        )
        return [self._verdict(o, row) for o, row in zip(orders, verdicts.tolist(), strict=True)]

    def _order_row(self, order: Order, id_at: int, key_at: int) -> tuple[int, ...]:
        place = self._names.get(order.instrument_id, -1)
        # A lot of no value would divide by zero; what has none is denied before it is divided.
        value = 1 if place < 0 else max(1, order_lot_value(order, self._views[place]))
        limit = order.limit_price_ticks
        return (
            place,
            order.side.sign,
            order.quantity_lots,
            min(value, VALUE_MICROS_MAX + 1),
            0 if limit is None else limit,
            limit is not None,
            order.kind.waits_for_auction,
            id_at,
            key_at,
        )

    def _verdict(self, order: Order, row: list[int]) -> Verdict:
        code, measured, limit, value = row
        if code != k.APPROVED:
            return Denied(k.CODES[code], measured, limit)
        self._sent_ids.add(order.client_order_id)
        self._sent_keys.add(like_key(order))
        reference = self._views[self._names[order.instrument_id]].reference_ticks
        return Approved(reference, value)


def _instrument_row(
    risk: InstrumentRisk, sectors: dict[str, int], currencies: dict[str, int]
) -> tuple[int, ...]:
    volume, is_open = risk.daily_volume_lots, risk.session_open
    return (
        -1 if risk.unmeasured is None else k.CODES.index(risk.unmeasured),
        risk.reference_ticks,
        max(1, risk.lot_value),
        -1 if volume is None else volume,
        -1 if is_open is None else is_open,
        risk.permitted,
        risk.restricted,
        risk.needs_locate,
        risk.located,
        risk.throttled,
        sectors[risk.sector],
        currencies[risk.currency],
        risk.is_base_currency,
        risk.position_lots,
        risk.open_buy_lots,
        risk.open_sell_lots,
        risk.repeats,
    )


def _account_row(context: RiskContext, known: bool) -> tuple[int, ...]:
    nav = context.nav or 0
    losses = [
        (start - nav) * PPM // start if start > 0 and known else 0
        for start in (context.session_nav, context.peak_nav)
    ]
    return (
        context.gross if known else 0,
        context.net_long if known else 0,
        context.net_short if known else 0,
        context.message_count,
        _STATES[context.trading_state],
        known,
        losses[0],
        losses[1],
        (context.session_nav > 0) | (context.peak_nav > 0) << 1,
    )


def _limit_row(limits: ResolvedLimits) -> tuple[int, ...]:
    return (
        limits.collar_ppm,
        limits.order_value,
        limits.order_volume_ppm,
        limits.volume_required,
        limits.messages,
        limits.repeats,
        limits.position_value,
        limits.concentration,
        limits.gross,
        limits.net,
        limits.sector,
        limits.currency,
        limits.buying_power,
        limits.daily_loss_ppm,
        limits.drawdown_ppm,
        limits.locate_required,
    )
