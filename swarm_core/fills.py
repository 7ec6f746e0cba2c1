"""How much of an order a bar fills, and at what price: deterministic and in integers."""

from dataclasses import dataclass
from math import isfinite, isqrt

from swarm_core.market import Bar
from swarm_core.orders import Order, OrderKind, OrderSide

PPM = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class FillSettings:
    """The frictions of a simulated market.

    An order takes at most `participation_fraction_max` of a bar's volume. It pays
    `slippage_bps`, plus `impact_bps` times the square root of its share of the volume (the
    square-root law; Torre and Ferrari, 1997).
    """

    participation_fraction_max: float = 0.1
    slippage_bps: float = 1.0
    impact_bps: float = 10.0
    day_order_is_one_bar: bool = True  # with daily bars; False lets it live until it expires
    day_order_age_s_max: float = 345_600.0  # four days: the longest weekend

    def __post_init__(self) -> None:
        for name, high in (
            ("participation_fraction_max", 1.0),
            ("slippage_bps", 1_000.0),
            ("impact_bps", 10_000.0),
            ("day_order_age_s_max", 31_536_000.0),
        ):
            value = getattr(self, name)
            if not (isfinite(value) and 0 <= value <= high):
                raise ValueError(f"{name} must be in [0, {high}], was {value}")


@dataclass(frozen=True, slots=True)
class Fill:
    lots: int
    price_ticks: int


def fill_of(
    order: Order, open_lots: int, submitted_ns: int, bar: Bar, settings: FillSettings
) -> Fill | None:
    """Return what the bar fills of an order's open lots, or None.

    A market order trades at the bar's open (at its close, where the series has closes alone or
    the bar had opened before the order came); a limit order at the open where that is better,
    else at its limit once the bar has reached it.
    """
    lots = fillable_lots(open_lots, bar.volume_lots, settings)
    base = _base_ticks(order, submitted_ns, bar)
    if lots == 0 or base is None:
        return None
    price = adverse_ticks(order.side, base, lots, bar.volume_lots, settings)
    limit = order.limit_price_ticks
    if limit is not None:
        price = min(price, limit) if order.side is OrderSide.BUY else max(price, limit)
    return Fill(lots, price)


def fillable_lots(open_lots: int, volume_lots: int | None, settings: FillSettings) -> int:
    """Return how many of the lots the bar's volume carries; all of them where none is reported."""
    if volume_lots is None:
        return open_lots
    share = round(settings.participation_fraction_max * PPM)
    return min(open_lots, volume_lots * share // PPM)


def adverse_ticks(
    side: OrderSide, base_ticks: int, lots: int, volume_lots: int | None, settings: FillSettings
) -> int:
    """Return the price after slippage and impact, rounded against the order, never through zero."""
    ppm = round(settings.slippage_bps * 100)
    if volume_lots:
        root_ppm = isqrt(lots * PPM * PPM // volume_lots)
        ppm += round(settings.impact_bps * 100) * root_ppm // PPM
    cost = -(-abs(base_ticks) * ppm // PPM)
    price = base_ticks + side.sign * cost
    return max(1, price) if base_ticks > 0 else price


def _base_ticks(order: Order, submitted_ns: int, bar: Bar) -> int | None:
    """Return the price the market offers the order in this bar, or None where it offers none."""
    open_ticks = bar.open_ticks
    if bar.open_time_ns is not None and bar.open_time_ns < submitted_ns:
        open_ticks = None  # the open had passed before the order came
    first = bar.close_ticks if open_ticks is None else open_ticks
    if order.kind is OrderKind.MARKET_ON_CLOSE:
        return bar.close_ticks
    limit = order.limit_price_ticks
    if limit is None:
        return first
    buy = order.side is OrderSide.BUY
    if (first <= limit) if buy else (first >= limit):
        return first
    if order.kind is OrderKind.LIMIT_ON_OPEN or open_ticks is None:
        return None
    reached = bar.low_ticks if buy else bar.high_ticks
    if reached is None or (reached > limit if buy else reached < limit):
        return None
    return limit
