"""What the gate looks at, measured once: exact integers, or the code of what was missing."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from swarm_core.book import Book
from swarm_core.execution.working import WorkingPlan
from swarm_core.instruments import Instrument
from swarm_core.market import Quote
from swarm_core.orders import LikeKey, Order, OrderSide, like_key
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.levels import Level
from swarm_core.risk.limits import VALUE_MICROS_MAX, ResolvedLimits, RiskLimits
from swarm_core.risk.recent import look_back
from swarm_core.strategies import StrategyBook
from swarm_core.trading_state import TradingState

MINOR_PER_MICRO = 100


@dataclass(slots=True, kw_only=True)
class InstrumentRisk:
    """One instrument as the gate sees it; lots include what is open at the broker.

    `unmeasured` is the code under which every order is denied while something is missing.
    `lot_value` is the value of one lot at the reference, in micros of the base currency,
    rounded up.
    """

    unmeasured: DenialCode | None
    reference_ticks: int = 0
    lot_value: int = 0
    daily_volume_lots: int | None = None
    session_open: bool | None = None
    permitted: bool = True
    restricted: bool = False
    needs_locate: bool = False
    located: bool = False
    throttled: bool = False
    sector: str = "unknown"
    currency: str = ""
    is_base_currency: bool = True
    position_lots: int = 0
    open_buy_lots: int = 0
    open_sell_lots: int = 0
    repeats: int = 0

    @property
    def long_lots(self) -> int:
        """The most the position can become while every open buy fills and no open sell does."""
        return self.position_lots + self.open_buy_lots

    @property
    def short_lots(self) -> int:
        """The least the position can become."""
        return self.position_lots - self.open_sell_lots

    @property
    def exposure_lots(self) -> int:
        return max(abs(self.long_lots), abs(self.short_lots))


@dataclass(slots=True, kw_only=True)
class RiskContext:
    """The account at the moment of a check; `send` moves it on, so that every order counts.

    Money is in micros of the base currency. `nav` is None where it could not be measured.
    """

    time_ns: int
    trading_state: TradingState
    nav: int | None
    session_nav: int
    peak_nav: int
    instruments: dict[str, InstrumentRisk]
    limits: ResolvedLimits
    # Instruments that have limits of their own: those of the book, tightened by them.
    own_limits: dict[str, ResolvedLimits] = field(default_factory=dict[str, ResolvedLimits])
    # The same account, with nothing but the positions and orders of one strategy in it.
    strategies: "dict[str, RiskContext]" = field(default_factory=dict[str, "RiskContext"])
    order_ids: set[str] = field(default_factory=set[str])
    recent_keys: set[LikeKey] = field(default_factory=set[LikeKey])
    # Of slices of the plan that is worked now: they repeat one another, and nothing else may.
    slice_keys: set[LikeKey] = field(default_factory=set[LikeKey])
    plan: WorkingPlan | None = None
    message_count: int = 0
    gross: int = 0
    net_long: int = 0
    net_short: int = 0
    sector_gross: Counter[str] = field(default_factory=Counter[str])
    currency_gross: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        for risk in self.instruments.values():
            if not risk.exposure_lots:
                continue  # it adds to no sum
            self._count(risk, 1)
            if not risk.lot_value:
                # What is held or open and cannot be valued makes every sum unknown.
                self.nav = None
        if self.gross > VALUE_MICROS_MAX:
            self.nav = None

    def limits_of(self, instrument_id: str) -> ResolvedLimits:
        """Return the limits on the whole book for orders in one instrument."""
        return self.own_limits.get(instrument_id, self.limits)

    def is_slice(self, order: Order) -> bool:
        """Return whether an order is a slice, due by now, of the plan that is on record."""
        return self.plan is not None and self.plan.is_due_slice(order, self.time_ns)

    def _count(self, risk: InstrumentRisk, sign: int) -> None:
        value = sign * risk.exposure_lots * risk.lot_value
        self.gross += value
        self.net_long += sign * risk.long_lots * risk.lot_value
        self.net_short += sign * risk.short_lots * risk.lot_value
        self.sector_gross[risk.sector] += value
        self.currency_gross[risk.currency] += value

    def take_back(self, order: Order, filled_lots: int, open_lots: int) -> None:
        """Measure as if an order had never been sent: it is to be checked anew, as a whole."""
        risk = self.instruments.get(order.instrument_id)
        if risk is not None:
            self._count(risk, -1)
            risk.position_lots -= order.side.sign * filled_lots
            _open(risk, order, -open_lots)
            self._count(risk, 1)
        self.order_ids.discard(order.client_order_id)
        own = self.strategies.get(order.strategy)
        if own is not None:
            own.take_back(order, filled_lots, open_lots)

    def send(self, order: Order) -> None:
        """Count an approved order against every limit from now on."""
        risk = self.instruments[order.instrument_id]
        if not order.is_exit:  # an exit only ever closes what is counted already
            self._count(risk, -1)
            _open(risk, order, order.quantity_lots)
            self._count(risk, 1)
        risk.repeats += 1
        self.message_count += 1
        own = self.strategies.get(order.strategy)
        if own is not None:
            own.send(order)
        self.order_ids.add(order.client_order_id)
        (self.slice_keys if self.is_slice(order) else self.recent_keys).add(like_key(order))


def measure(
    *,
    book: Book,
    quotes: Mapping[str, Quote],
    instruments: Mapping[str, Instrument],
    limits: RiskLimits,
    time_ns: int,
    located: Collection[str] = (),
) -> RiskContext:
    """Return the context of checks at `time_ns`; what cannot be measured denies later.

    `located` names the instruments with a confirmed borrow for short sales.
    """
    nav_minor = book.ledger.find_nav_minor()
    nav = None if nav_minor is None else nav_minor // MINOR_PER_MICRO
    if nav is not None and not 0 < nav <= VALUE_MICROS_MAX:
        nav = None
    resolved = limits.resolve(nav or 0)
    seen = {*quotes, *instruments, *(i for i, p in book.ledger.positions.items() if p.lots)}
    risks = {
        instrument_id: _measure_instrument(
            book, instruments.get(instrument_id), quotes.get(instrument_id), resolved, time_ns
        )
        for instrument_id in sorted(seen)
    }
    accounts = [own for _, own in limits.accounts()]
    for instrument_id, risk in risks.items():
        _permit(risk, instrument_id, instruments.get(instrument_id), accounts)
        risk.located = instrument_id in located
        risk.position_lots = book.lots(instrument_id)
        risk.throttled = instrument_id in book.throttled
    context_orders = _count_open_orders(book, risks)
    recent = look_back(book, limits, time_ns)
    for instrument_id, count in recent.repeats.items():
        if instrument_id in risks:
            risks[instrument_id].repeats = count
    return RiskContext(
        time_ns=time_ns,
        trading_state=book.trading_state,
        nav=nav,
        session_nav=book.session_nav_minor // MINOR_PER_MICRO,
        peak_nav=book.peak_nav_minor // MINOR_PER_MICRO,
        instruments=risks,
        limits=resolved,
        own_limits=_own_limits(limits, resolved, nav or 0),
        strategies={
            level.name: _measure_strategy(
                level.name, book, instruments, risks, limits, time_ns, nav
            )
            for level in limits.levels
            if level.level is Level.STRATEGY
        },
        order_ids=context_orders,
        recent_keys=recent.keys,
        slice_keys=recent.slice_keys,
        plan=book.working_plan,
        message_count=recent.message_count,
    )


def _permit(
    risk: InstrumentRisk,
    instrument_id: str,
    instrument: Instrument | None,
    limits: Sequence[RiskLimits],
) -> None:
    """Say whether every one of these levels lets the instrument be traded."""
    risk.restricted = any(instrument_id in own.restricted for own in limits)
    if instrument is not None:
        risk.permitted = all(
            own.permits_all or instrument.asset_class in own.permitted_asset_classes
            for own in limits
        )


def _own_limits(
    limits: RiskLimits, resolved: ResolvedLimits, nav: int
) -> dict[str, ResolvedLimits]:
    """Return the limits of each instrument that has some of its own."""
    own: dict[str, ResolvedLimits] = {}
    for level in limits.levels:
        if level.level is Level.INSTRUMENT:
            found = limits.resolve_level(Level.INSTRUMENT, level.name, nav)
            assert found is not None, level.name
            own[level.name] = resolved.tightened(found, level.title)
    return own


def _measure_strategy(
    name: str,
    book: Book,
    instruments: Mapping[str, Instrument],
    risks: Mapping[str, InstrumentRisk],
    limits: RiskLimits,
    time_ns: int,
    nav: int | None,
) -> RiskContext:
    """Return the account as if nothing but one strategy's orders had ever been in it.

    Its net asset value is the book's at the session's opening and what the strategy has won or
    lost since, so that the day's loss is its own; its peak is the same at its highest profit.
    """
    level = limits.find_level(Level.STRATEGY, name)
    resolved = limits.resolve_level(Level.STRATEGY, name, nav or 0)
    assert level is not None, name
    assert resolved is not None, name
    own = {
        i: replace(r, position_lots=0, open_buy_lots=0, open_sell_lots=0) for i, r in risks.items()
    }
    done = book.strategies.get(name)
    for instrument_id, risk in own.items():
        position = None if done is None else done.positions.get(instrument_id)
        risk.position_lots = 0 if position is None else position.lots
    for record in book.working_orders():
        risk = own.get(record.order.instrument_id)
        if record.order.strategy == name and risk is not None:
            _open(risk, record.order, record.open_lots)
    for instrument_id, risk in own.items():
        _permit(risk, instrument_id, instruments.get(instrument_id), [level])
    start = book.session_nav_minor // MINOR_PER_MICRO
    above = 0 if done is None else done.peak_minor - done.start_minor
    return RiskContext(
        time_ns=time_ns,
        trading_state=book.trading_state,
        nav=None if nav is None else _strategy_nav(book, done, start),
        session_nav=start,
        peak_nav=start + above // MINOR_PER_MICRO,
        instruments=own,
        limits=resolved,
    )


def _strategy_nav(book: Book, done: StrategyBook | None, start: int) -> int | None:
    """Return the opening's value with one strategy's profit since; None where it is not known."""
    if done is None:
        return start
    profit = done.find_profit_minor(book.ledger)
    return None if profit is None else start + (profit - done.start_minor) // MINOR_PER_MICRO


def _count_open_orders(book: Book, risks: Mapping[str, InstrumentRisk]) -> set[str]:
    """Add what works at the broker to the exposures; return the ids that may not be sent again."""
    for record in book.working_orders():
        risk = risks.get(record.order.instrument_id)
        if risk is not None:
            _open(risk, record.order, record.open_lots)
    return book.sent_or_ended()


def _open(risk: InstrumentRisk, order: Order, lots: int) -> None:
    """Count lots that may still be filled; those of an exit only close what is counted already."""
    if order.is_exit:
        return
    if order.side is OrderSide.BUY:
        risk.open_buy_lots += lots
    else:
        risk.open_sell_lots += lots


def _measure_instrument(
    book: Book,
    instrument: Instrument | None,
    quote: Quote | None,
    limits: ResolvedLimits,
    time_ns: int,
) -> InstrumentRisk:
    """Return what could be measured of one instrument, or the code of what could not."""
    if instrument is None:
        return InstrumentRisk(unmeasured=DenialCode.UNKNOWN_INSTRUMENT)
    risk = InstrumentRisk(
        unmeasured=None,
        sector=instrument.sector,
        currency=instrument.currency,
        is_base_currency=instrument.currency == book.base_currency,
        needs_locate=instrument.needs_locate,
    )
    rate = book.ledger.rates.get(instrument.currency)
    if quote is None:
        risk.unmeasured = DenialCode.NO_QUOTE
    elif rate is None:
        risk.unmeasured = DenialCode.NO_CURRENCY_RATE
    else:
        risk.reference_ticks = quote.reference_ticks
        risk.daily_volume_lots = quote.daily_volume_lots
        risk.session_open = quote.session_open
        if not is_fresh(quote, limits, time_ns):
            risk.unmeasured = DenialCode.STALE_QUOTE
        elif not can_stand(quote.reference_ticks, instrument.is_margined):
            risk.unmeasured = DenialCode.BAD_REFERENCE
    _value_lot(risk, book, instrument, rate)
    return risk


def is_fresh(quote: Quote, limits: ResolvedLimits, time_ns: int) -> bool:
    """Return whether a quote is neither older than the limit at `time_ns`, nor newer than then."""
    return 0 <= time_ns - quote.time_ns <= limits.quote_age_ns


def can_stand(ticks: int, is_margined: bool) -> bool:
    """Return whether a price can be a reference: a future's may be below zero, and counts by size.

    Nothing that is paid for in full trades there, and at zero there is nothing to measure with.
    """
    return ticks > 0 or (is_margined and ticks < 0)


def _value_lot(
    risk: InstrumentRisk, book: Book, instrument: Instrument, rate: Decimal | None
) -> None:
    """Set the value of one lot: at the reference, or, for what is held without one, at its mark."""
    position = book.ledger.positions.get(instrument.instrument_id)
    ticks = abs(risk.reference_ticks)
    if risk.unmeasured is not None:
        ticks = 0 if position is None else abs(position.mark_ticks)
    if rate is not None:
        above, below = rate.as_integer_ratio()
        value = above * ticks * instrument.lot_tick_minor
        risk.lot_value = -(-value // (below * MINOR_PER_MICRO))
    held = 0 if position is None else abs(position.lots)
    if max(1, held) * risk.lot_value > VALUE_MICROS_MAX:
        risk.unmeasured, risk.lot_value = DenialCode.OUT_OF_RANGE, 0
