"""How much of an order a bar fills, and at what price: deterministic and in integers.

What happened inside a bar is not known, so where it matters the worst is taken. A stop trades at
its price, or at the open where that lies beyond it (a gap). A limit is reached where the bar's
range holds it. Where a stop triggered inside the bar, only the close is known to come after it.
Orders that meet in one bar are worked in the order of `bar_rank`: stops before limits.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import isfinite

from swarm_core.frictions.auction_cutoffs import NO_CUTOFFS, AuctionCutoffs
from swarm_core.frictions.latency import NO_LATENCY, Latency
from swarm_core.frictions.slippage import PPM, SlippageModel, SquareRootSlippage
from swarm_core.market import Bar
from swarm_core.orders import Order, OrderKind, OrderSide, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class FillSettings:
    """The frictions of a simulated market.

    All orders in an instrument together take at most `participation_fraction_max` of a bar's
    volume. A fill pays what `slippage` says; where it is None, `slippage_bps` plus `impact_bps`
    times the square root of its share of the volume.
    """

    participation_fraction_max: float = 0.1
    slippage_bps: float = 1.0
    impact_bps: float = 10.0
    day_order_ends_with_session: bool = True  # False lets it live until it expires by age
    day_order_age_s_max: float = 345_600.0  # four days: the longest weekend
    slippage: SlippageModel | None = None
    latency: Latency = NO_LATENCY
    cutoffs: AuctionCutoffs = NO_CUTOFFS

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

    @property
    def slippage_model(self) -> SlippageModel:
        if self.slippage is not None:
            return self.slippage
        return _square_root(self.slippage_bps, self.impact_bps)


@lru_cache(maxsize=64)  # asked for at every fill
def _square_root(slippage_bps: float, impact_bps: float) -> SlippageModel:
    return SquareRootSlippage(Decimal(str(slippage_bps)), Decimal(str(impact_bps)))


@dataclass(frozen=True, slots=True)
class Fill:
    """`is_maker`: the order stood at its limit when the market came to it."""

    lots: int
    price_ticks: int
    is_maker: bool = False


@dataclass(frozen=True, slots=True)
class _Offer:
    ticks: int
    is_maker: bool = False


def bar_rank(order: Order) -> int:
    """Return when in a bar an order is worked: at the open, stops, limits, at the close.

    Of a protective stop and a profit limit that one bar reaches, the stop trades first.
    """
    if order.kind.is_at_close:
        return 3
    if order.kind.has_stop:
        return 1
    return 2 if order.kind is OrderKind.LIMIT else 0


def fill_of(
    order: Order,
    open_lots: int,
    submitted_ns: int,
    bar: Bar,
    settings: FillSettings,
    *,
    is_triggered: bool = False,
    taken_lots: int = 0,
) -> Fill | None:
    """Return what the bar fills of an order's open lots, or None.

    A market order trades at the bar's open (at its close, where the series has closes alone or
    the bar had opened before the order came); a limit order at the open where that is better,
    else at its limit once the bar has reached it; a stop once its price has traded.
    `is_triggered`: it has in an earlier bar. `taken_lots` is what others took of the bar.
    """
    if bar.is_halted:
        return None
    lots = fillable_lots(open_lots, bar.volume_lots, settings, taken_lots)
    offer = _offer(order, submitted_ns, bar, is_triggered)
    if lots == 0 or offer is None or _is_locked(order.side, offer.ticks, bar):
        return None
    price = adverse_ticks(order.side, offer.ticks, lots, bar.volume_lots, settings, taken_lots)
    price = _within_band(price, bar)
    limit = order.limit_price_ticks
    if limit is not None:
        price = min(price, limit) if order.side is OrderSide.BUY else max(price, limit)
    return Fill(lots, price, offer.is_maker)


def waits_for_auction(order: Order, submitted_ns: int, bar: Bar) -> bool:
    """Return whether an order on open or on close waits for an auction that the bar has not.

    An order on open that came after the opening waits for the next session's; where one bar is
    the whole session it trades at the close, as any order that came while it lasted.
    """
    if order.kind.is_at_close:
        return not bar.closes_session
    passed = bar.open_time_ns is not None and bar.open_time_ns < submitted_ns
    is_missed = not bar.opens_session or (passed and not bar.closes_session)
    return order.kind.is_at_open and is_missed


def misses_cutoff(order: Order, submitted_ns: int, bar: Bar, cutoff_ns: tuple[int, int]) -> bool:
    """Return whether the bar has the order's auction, and the order came after its cut-off.

    `cutoff_ns` is how long before the opening and the closing auction it must have come; with 0
    there is none.
    """
    before_open, before_close = cutoff_ns
    if order.kind.is_at_close:
        is_late = submitted_ns > bar.time_ns - before_close
        return before_close > 0 and bar.closes_session and is_late
    if not (order.kind.is_at_open and before_open > 0 and bar.opens_session):
        return False
    return bar.open_time_ns is not None and submitted_ns > bar.open_time_ns - before_open


def ends_with_session(order: Order, settings: FillSettings) -> bool:
    """Return whether an order is for one session; one on open is for the next opening."""
    is_day = order.time_in_force is TimeInForce.DAY and not order.kind.is_at_open
    return is_day and settings.day_order_ends_with_session


def is_over(order: Order, bar: Bar, settings: FillSettings) -> bool:
    """Return whether what a bar has left open of an order that met it expires."""
    return (
        order.time_in_force is TimeInForce.IMMEDIATE_OR_CANCEL
        or order.kind.is_at_open
        or (bar.closes_session and ends_with_session(order, settings))
    )


def find_trigger_ticks(order: Order, submitted_ns: int, bar: Bar) -> int | None:
    """Return the price at which the bar first trades at the stop or beyond; None where it never.

    That is the open where it lies beyond the stop, else the stop itself.
    """
    stop, sign = order.stop_price_ticks, order.side.sign
    if stop is None or bar.is_halted:
        return None
    first, is_open = _first_ticks(submitted_ns, bar)
    if sign * first >= sign * stop:
        return first
    reached = bar.high_ticks if order.side is OrderSide.BUY else bar.low_ticks
    seen = [bar.close_ticks] if reached is None else [reached, bar.close_ticks]
    return stop if is_open and any(sign * t >= sign * stop for t in seen) else None


def fillable_lots(
    open_lots: int, volume_lots: int | None, settings: FillSettings, taken_lots: int = 0
) -> int:
    """Return how many of the lots the bar's volume carries; all of them where none is reported."""
    if volume_lots is None:
        return open_lots
    share = round(settings.participation_fraction_max * PPM)
    return min(open_lots, max(0, volume_lots * share // PPM - taken_lots))


def adverse_ticks(
    side: OrderSide,
    base_ticks: int,
    lots: int,
    volume_lots: int | None,
    settings: FillSettings,
    taken_lots: int = 0,
) -> int:
    """Return the price after slippage, rounded against the order, never through zero."""
    cost = settings.slippage_model.cost_ticks(base_ticks, lots + taken_lots, volume_lots)
    price = base_ticks + side.sign * cost
    return max(1, price) if base_ticks > 0 else price


def _first_ticks(submitted_ns: int, bar: Bar) -> tuple[int, bool]:
    """Return the first price that the order can meet, and whether it is the bar's open."""
    passed = bar.open_time_ns is not None and bar.open_time_ns < submitted_ns
    if bar.open_ticks is None or passed:
        return bar.close_ticks, False
    return bar.open_ticks, True


def _offer(order: Order, submitted_ns: int, bar: Bar, is_triggered: bool) -> _Offer | None:
    """Return the price the market offers the order in this bar, or None where it offers none."""
    first, is_open = _first_ticks(submitted_ns, bar)
    if order.kind.is_at_close:
        limit = order.limit_price_ticks
        return _Offer(bar.close_ticks) if _is_good(order.side, bar.close_ticks, limit) else None
    if order.kind.has_stop and not is_triggered:
        return _stop_offer(order, submitted_ns, bar)
    if _is_good(order.side, first, order.limit_price_ticks):
        return _Offer(first)
    if order.kind is OrderKind.LIMIT_ON_OPEN or not is_open:
        return None
    return _resting_offer(order, bar)


def _stop_offer(order: Order, submitted_ns: int, bar: Bar) -> _Offer | None:
    """Return the price that a stop meets in the bar that triggers it."""
    trigger = find_trigger_ticks(order, submitted_ns, bar)
    if trigger is None:
        return None
    if _is_good(order.side, trigger, order.limit_price_ticks):
        return _Offer(trigger)
    first, is_open = _first_ticks(submitted_ns, bar)
    if is_open and trigger == first:  # by the open: the whole bar comes after it
        return _resting_offer(order, bar)
    came_back = _is_good(order.side, bar.close_ticks, order.limit_price_ticks)
    limit = order.limit_price_ticks
    return _Offer(limit, is_maker=True) if came_back and limit is not None else None


def _resting_offer(order: Order, bar: Bar) -> _Offer | None:
    """Return the limit where the bar reaches it."""
    limit = order.limit_price_ticks
    reached = bar.low_ticks if order.side is OrderSide.BUY else bar.high_ticks
    if limit is None or reached is None or not _is_good(order.side, reached, limit):
        return None
    return _Offer(limit, is_maker=True)


def _is_good(side: OrderSide, ticks: int, limit: int | None) -> bool:
    return limit is None or side.sign * ticks <= side.sign * limit


def _is_locked(side: OrderSide, ticks: int, bar: Bar) -> bool:
    """Return whether the price stands at the limit at which nobody takes the other side."""
    edge = bar.band_high_ticks if side is OrderSide.BUY else bar.band_low_ticks
    return edge is not None and side.sign * ticks >= side.sign * edge


def _within_band(ticks: int, bar: Bar) -> int:
    low, high = bar.band_low_ticks, bar.band_high_ticks
    ticks = ticks if high is None else min(ticks, high)
    return ticks if low is None else max(ticks, low)
