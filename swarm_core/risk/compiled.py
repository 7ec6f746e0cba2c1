"""The compiled gate: a context packed once into arrays, then orders judged in microseconds."""

from collections.abc import Mapping, Sequence

import numpy as np

from swarm_core.orders import Order, like_key
from swarm_core.risk import kernel as k
from swarm_core.risk.context import InstrumentRisk, RiskContext
from swarm_core.risk.gate import PPM, Approved, Denied, Verdict, level_of, order_lot_value
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
        self._views = list(context.instruments.values())
        self._scopes = {name: i for i, name in enumerate(context.strategies, 1)}
        self._limit_views = [context.limits_of(name) for name in context.instruments]
        scopes = [context, *context.strategies.values()]
        sectors = {name: i for i, name in enumerate(sorted({r.sector for r in self._views}))}
        currencies = {name: i for i, name in enumerate(sorted({r.currency for r in self._views}))}
        count = len(self._names)
        rows = [
            [_instrument_row(risk, sectors, currencies) for risk in scope.instruments.values()]
            for scope in scopes
        ]
        self._risks = _table(rows, (len(scopes), count, k.INSTRUMENT_COLUMNS))
        self._accounts = _table([_account_row(s) for s in scopes], (len(scopes), k.ACCOUNT_COLUMNS))
        limits = [[_limit_row(own) for own in self._limit_views]]
        limits += [
            [_strategy_limit_row(scope.limits)] * count for scope in context.strategies.values()
        ]
        self._limits = _table(limits, (len(scopes), count, k.LIMIT_COLUMNS))
        # What is not known stays 0: every order is denied before any sum is looked at.
        self._sectors = _sums([s.sector_gross if _known(s) else {} for s in scopes], sectors)
        self._currencies = _sums(
            [s.currency_gross if _known(s) else {} for s in scopes], currencies
        )
        self._sent_ids, self._is_slice = set(context.order_ids), context.is_slice
        self._sent_keys = dict.fromkeys(context.slice_keys, 2)
        for key in context.recent_keys:
            self._sent_keys[key] = self._sent_keys.get(key, 0) | 1

    def check(self, orders: Sequence[Order]) -> list[Verdict]:
        """Return the verdict on each order, in order; each approval counts against the next.

        Raises ValueError on an exit of a bracket: other rules hold for it, `check_order` has them.
        """
        if any(order.is_exit for order in orders):
            raise ValueError(
                "an exit must be judged by check_order, was given to the compiled gate"
            )
        count = len(orders)
        ids: dict[str, int] = {}
        keys: dict[object, int] = {}
        rows: list[tuple[int, ...]] = []
        id_sent, like_sent = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        for order in orders:
            order_id, key = order.client_order_id, like_key(order)
            id_at, key_at = ids.setdefault(order_id, len(ids)), keys.setdefault(key, len(keys))
            id_sent[id_at] = order_id in self._sent_ids
            like_sent[key_at] = self._sent_keys.get(key, 0)
            rows.append(self._order_row(order, id_at, key_at))
        verdicts = np.empty((count, 5), dtype=np.int64)
        k.check_rows(
            np.array(rows, dtype=np.int64).reshape(count, k.ORDER_COLUMNS),
            self._risks,
            self._accounts,
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
            order.stop_price_ticks or 0,
            order.kind.waits_for_auction,
            id_at,
            key_at,
            self._scopes.get(order.strategy, 0),
            self._is_slice(order),
        )

    def _verdict(self, order: Order, row: list[int]) -> Verdict:
        code, measured, limit, value, scope = row
        place = self._names.get(order.instrument_id)
        if code != k.APPROVED:
            level = f"strategy {order.strategy}" if scope else ""
            if not scope and place is not None:
                level = level_of(k.CODES[code], self._limit_views[place])
            return Denied(k.CODES[code], measured, limit, level)
        assert place is not None, order.instrument_id
        self._sent_ids.add(order.client_order_id)
        key, mark = like_key(order), 2 if self._is_slice(order) else 1
        self._sent_keys[key] = self._sent_keys.get(key, 0) | mark
        return Approved(self._views[place].reference_ticks, value)


def _table(rows: object, shape: tuple[int, ...]) -> k.Ints:
    return np.array(rows, dtype=np.int64).reshape(shape)


def _known(context: RiskContext) -> bool:
    return context.nav is not None


def _sums(found: Sequence[Mapping[str, int]], places: Mapping[str, int]) -> k.Ints:
    table = np.zeros((len(found), len(places) or 1), dtype=np.int64)
    for scope, sums in enumerate(found):
        for name, place in places.items():
            table[scope, place] = sums.get(name, 0)
    return table


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


def _account_row(context: RiskContext) -> tuple[int, ...]:
    nav, known = context.nav or 0, _known(context)
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


def _strategy_limit_row(limits: ResolvedLimits) -> tuple[int, ...]:
    """Return a strategy's row: its buying power is the book's."""
    row = list(_limit_row(limits))
    row[k.LIM_BUYING_POWER] = np.iinfo(np.int64).max
    return tuple(row)
