"""The one door to the broker: an order passes every rule, or it is not sent.

Modelled on SEC rule 15c3-5 and MiFID II RTS 6 (articles 12, 15, 16 and 17). The rules stand in a
fixed order; the first denial counts. A rule that cannot measure denies. There is no way round.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from swarm_core.orders import Order, OrderSide, like_key
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.context import InstrumentRisk, RiskContext
from swarm_core.risk.limits import VALUE_MICROS_MAX, ResolvedLimits
from swarm_core.trading_state import TradingState

PPM = 10**6


@dataclass(frozen=True, slots=True)
class Approved:
    """The order may be sent; what it is worth at the reference it was checked against."""

    reference_ticks: int
    value_micros: int


@dataclass(frozen=True, slots=True)
class Denied:
    """The order may not be sent: why, what was measured, what the limit was, and whose it is."""

    code: DenialCode
    measured: int = 0
    limit: int = 0
    level: str = ""  # empty: the firm's

    @property
    def detail(self) -> str:
        whose = f" of {self.level}" if self.level else ""
        return f"{self.code.explanation} Measured {self.measured}, limit {self.limit}{whose}."


Verdict: TypeAlias = Approved | Denied


def check_order(order: Order, context: RiskContext) -> Verdict:
    """Return the first denial, or approval if every rule approves.

    The rules on the whole book come first, then those on the order's strategy, where it has
    limits of its own. The context is not changed: call `context.send(order)` when it goes out.
    """
    risk = context.instruments.get(order.instrument_id)
    if risk is None:
        return Denied(DenialCode.UNKNOWN_INSTRUMENT)
    check = _Check(order, risk, context)
    for rule in EXIT_RULES if order.is_exit else RULES:
        denial = rule(check)
        if denial is not None:
            return replace(denial, level=level_of(denial.code, check.limits))
    own = None if order.is_exit else context.strategies.get(order.strategy)
    if own is not None:
        of_strategy = _Check(order, own.instruments[order.instrument_id], own)
        for rule in STRATEGY_RULES:
            denial = rule(of_strategy)
            if denial is not None:
                return replace(denial, level=f"strategy {order.strategy}")
    return Approved(risk.reference_ticks, check.value)


def level_of(code: DenialCode, limits: ResolvedLimits) -> str:
    """Return the level whose limit a denial stands on; empty where it is the firm's."""
    return limits.origins.get(_LIMIT_OF.get(code, ""), "")


# The limit, by its resolved name, that each code is about.
_LIMIT_OF = {
    DenialCode.STALE_QUOTE: "quote_age_ns",
    DenialCode.NO_VOLUME: "volume_required",
    DenialCode.NO_LOCATE: "locate_required",
    DenialCode.MESSAGE_RATE: "messages",
    DenialCode.THROTTLE: "repeats",
    DenialCode.PRICE_COLLAR: "collar_ppm",
    DenialCode.ORDER_VALUE: "order_value",
    DenialCode.ORDER_VOLUME: "order_volume_ppm",
    DenialCode.POSITION_VALUE: "position_value",
    DenialCode.CONCENTRATION: "concentration",
    DenialCode.GROSS_EXPOSURE: "gross",
    DenialCode.NET_EXPOSURE: "net",
    DenialCode.SECTOR_EXPOSURE: "sector",
    DenialCode.CURRENCY_EXPOSURE: "currency",
    DenialCode.BUYING_POWER: "buying_power",
    DenialCode.DAILY_LOSS: "daily_loss_ppm",
    DenialCode.DRAWDOWN: "drawdown_ppm",
}


class _Check:
    """One order beside what it is measured against, with the sums before and after it."""

    def __init__(self, order: Order, risk: InstrumentRisk, context: RiskContext) -> None:
        self.order, self.risk, self.context = order, risk, context
        self.limits = context.limits_of(order.instrument_id)
        self.value = order.quantity_lots * order_lot_value(order, risk)
        buy = order.quantity_lots if order.side is OrderSide.BUY else 0
        self.long_after = risk.long_lots + buy
        self.short_after = risk.short_lots - (order.quantity_lots - buy)
        self.exposure_before = risk.exposure_lots * risk.lot_value
        self.exposure_after = max(abs(self.long_after), abs(self.short_after)) * risk.lot_value
        self.added = self.exposure_after - self.exposure_before

    @property
    def reduces(self) -> bool:
        """Whether the order can only make the position smaller, whatever else fills."""
        if self.order.side is OrderSide.SELL:
            return self.risk.position_lots > 0 and self.short_after >= 0
        return self.risk.position_lots < 0 and self.long_after <= 0


def order_lot_value(order: Order, risk: InstrumentRisk) -> int:
    """Return one lot's value in micros at the worst of reference, limit and stop, rounded up."""
    prices = (order.limit_price_ticks, order.stop_price_ticks)
    worst = max((abs(price) for price in prices if price is not None), default=0)
    reference = abs(risk.reference_ticks)
    if worst <= reference or reference == 0:
        return risk.lot_value
    return -(-risk.lot_value * worst // reference)


Rule: TypeAlias = Callable[[_Check], Denied | None]


def _halt(check: _Check) -> Denied | None:
    halted = check.context.trading_state is TradingState.HALTED
    return Denied(DenialCode.HALTED) if halted else None


def _measured(check: _Check) -> Denied | None:
    if check.risk.unmeasured is not None:
        return Denied(check.risk.unmeasured)
    if check.context.nav is None:
        return Denied(DenialCode.NO_NET_ASSET_VALUE)
    worst = max(check.value, check.exposure_after)
    if worst > VALUE_MICROS_MAX:
        return Denied(DenialCode.OUT_OF_RANGE, 1, 0)
    return None


def _permissions(check: _Check) -> Denied | None:
    if check.risk.restricted:
        return Denied(DenialCode.RESTRICTED)
    return None if check.risk.permitted else Denied(DenialCode.NOT_PERMITTED)


def _session(check: _Check) -> Denied | None:
    if check.order.kind.waits_for_auction or check.risk.session_open:
        return None
    unknown = check.risk.session_open is None
    return Denied(DenialCode.SESSION_UNKNOWN if unknown else DenialCode.SESSION_CLOSED)


def _duplicate(check: _Check) -> Denied | None:
    order, context, key = check.order, check.context, like_key(check.order)
    sent = order.client_order_id in context.order_ids
    # Slices of one plan may be alike, each is sent once; they are of nothing else.
    alike = key in context.recent_keys or (
        key in context.slice_keys and not context.is_slice(order)
    )
    return Denied(DenialCode.DUPLICATE_ORDER) if sent or alike else None


def _reducing(check: _Check) -> Denied | None:
    if check.context.trading_state is not TradingState.REDUCING or check.reduces:
        return None
    return Denied(DenialCode.REDUCING_ONLY)


def _locate(check: _Check) -> Denied | None:
    goes_short = check.order.side is OrderSide.SELL and check.short_after < 0
    needed = check.limits.locate_required and check.risk.needs_locate and goes_short
    missing = needed and not check.risk.located
    return Denied(DenialCode.NO_LOCATE, -check.short_after, 0) if missing else None


def _message_rate(check: _Check) -> Denied | None:
    count, limit = check.context.message_count + 1, check.limits.messages
    return Denied(DenialCode.MESSAGE_RATE, count, limit) if count > limit else None


def _throttle(check: _Check) -> Denied | None:
    count, limit = check.risk.repeats + 1, check.limits.repeats
    tripped = check.risk.throttled or count > limit
    return Denied(DenialCode.THROTTLE, count, limit) if tripped else None


def _stop(check: _Check) -> Denied | None:
    """Deny a stop that would trigger at once: only a way out may be through the market already."""
    stop, reference = check.order.stop_price_ticks, check.risk.reference_ticks
    if stop is None or check.reduces:
        return None
    beyond = stop > reference if check.order.side is OrderSide.BUY else stop < reference
    return None if beyond else Denied(DenialCode.STOP_PRICE, stop, reference)


def _collar(check: _Check) -> Denied | None:
    price, base = check.order.limit_price_ticks, check.risk.reference_ticks
    if price is None:
        return None
    if check.order.stop_price_ticks is not None:
        base = check.order.stop_price_ticks  # where the limit comes to count
    ppm = -(-abs(price - base) * PPM // abs(base))
    limit = check.limits.collar_ppm
    return Denied(DenialCode.PRICE_COLLAR, ppm, limit) if ppm > limit else None


def _order_value(check: _Check) -> Denied | None:
    value, limit = check.value, check.limits.order_value
    return Denied(DenialCode.ORDER_VALUE, value, limit) if value > limit else None


def _order_volume(check: _Check) -> Denied | None:
    volume = check.risk.daily_volume_lots
    if volume is None:
        return Denied(DenialCode.NO_VOLUME) if check.limits.volume_required else None
    lots, limit = check.order.quantity_lots, volume * check.limits.order_volume_ppm // PPM
    return Denied(DenialCode.ORDER_VOLUME, lots, limit) if lots > limit else None


def _grows_over(code: DenialCode, after: int, limit: int, before: int) -> Denied | None:
    """Deny what is over the limit and makes it worse: a way back under it stays open."""
    return Denied(code, after, limit) if after > limit and after > before else None


def _position(check: _Check) -> Denied | None:
    before, after = check.exposure_before, check.exposure_after
    denied = _grows_over(DenialCode.POSITION_VALUE, after, check.limits.position_value, before)
    return denied or _grows_over(
        DenialCode.CONCENTRATION, after, check.limits.concentration, before
    )


def _gross(check: _Check) -> Denied | None:
    before = check.context.gross
    return _grows_over(DenialCode.GROSS_EXPOSURE, before + check.added, check.limits.gross, before)


def _net(check: _Check) -> Denied | None:
    value, context = check.risk.lot_value, check.context
    if check.order.side is OrderSide.BUY:
        before, after = context.net_long, context.net_long + check.order.quantity_lots * value
    else:
        before = -context.net_short
        after = before + check.order.quantity_lots * value
    return _grows_over(DenialCode.NET_EXPOSURE, after, check.limits.net, before)


def _sector(check: _Check) -> Denied | None:
    before = check.context.sector_gross[check.risk.sector]
    return _grows_over(
        DenialCode.SECTOR_EXPOSURE, before + check.added, check.limits.sector, before
    )


def _currency(check: _Check) -> Denied | None:
    if check.risk.is_base_currency:
        return None
    before = check.context.currency_gross[check.risk.currency]
    return _grows_over(
        DenialCode.CURRENCY_EXPOSURE, before + check.added, check.limits.currency, before
    )


def _buying_power(check: _Check) -> Denied | None:
    before = check.context.gross
    return _grows_over(
        DenialCode.BUYING_POWER, before + check.added, check.limits.buying_power, before
    )


def _loss(check: _Check) -> Denied | None:
    nav = check.context.nav or 0
    for code, start, limit in (
        (DenialCode.DAILY_LOSS, check.context.session_nav, check.limits.daily_loss_ppm),
        (DenialCode.DRAWDOWN, check.context.peak_nav, check.limits.drawdown_ppm),
    ):
        if start <= 0:
            return Denied(DenialCode.NO_NET_ASSET_VALUE)
        ppm = (start - nav) * PPM // start
        if ppm > limit and not check.reduces:
            return Denied(code, ppm, limit)
    return None


def _closes(check: _Check) -> Denied | None:
    """Deny an exit of more than can be there to be closed."""
    selling = check.order.side is OrderSide.SELL
    there = check.risk.long_lots if selling else -check.risk.short_lots
    lots = check.order.quantity_lots
    return Denied(DenialCode.BRACKET, lots, max(0, there)) if lots > there else None


def _exit_collar(check: _Check) -> Denied | None:
    """Hold a way out to the collar where it gives money away; beyond the market it only waits."""
    price, base = check.order.limit_price_ticks, check.risk.reference_ticks
    waits = price is not None and (price - base) * check.order.side.sign < 0
    return None if waits else _collar(check)


RULES: tuple[Rule, ...] = (
    _halt,
    _measured,
    _permissions,
    _session,
    _duplicate,
    _reducing,
    _locate,
    _message_rate,
    _throttle,
    _stop,
    _collar,
    _order_value,
    _order_volume,
    _position,
    _gross,
    _net,
    _sector,
    _currency,
    _buying_power,
    _loss,
)
# An exit waits at the venue and only closes: it adds nothing to any exposure, whenever it leaves.
EXIT_RULES: tuple[Rule, ...] = (
    _halt,
    _measured,
    _permissions,
    _duplicate,
    _closes,
    _message_rate,
    _throttle,
    _exit_collar,
    _order_volume,
)
# What is measured of one strategy's own orders and positions.
STRATEGY_RULES: tuple[Rule, ...] = (
    _measured,
    _permissions,
    _collar,
    _order_value,
    _order_volume,
    _position,
    _gross,
    _net,
    _sector,
    _currency,
    _loss,
)
