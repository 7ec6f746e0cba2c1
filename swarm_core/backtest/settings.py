"""What a backtest is run by, and the one vector of integers that the kernels read it from."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import lcm

import numpy as np

from swarm_core.backtest.columns import Ints
from swarm_core.carry.borrow import BorrowAvailability
from swarm_core.commissions import (
    BpsCommission,
    CommissionModel,
    IbFixedCommission,
    IbTieredCommission,
    MakerTakerCommission,
    PerContractCommission,
)
from swarm_core.currencies import FillConversion
from swarm_core.fills import PPM, FillSettings
from swarm_core.instruments import MINOR_PER_UNIT, to_minor
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.risk.levels import Level
from swarm_core.risk.limits import NS_PER_S, RiskLimits
from swarm_core.sizing_settings import SizingSettings

KINDS, FORCES = tuple(OrderKind), tuple(TimeInForce)

# Limits that are a fraction of NAV: each takes two places, numerator and denominator.
_SHARES = (
    "order_value_fraction_max",
    "position_fraction_max",
    "gross_fraction_max",
    "net_fraction_max",
    "sector_fraction_max",
    "currency_fraction_max",
    "leverage_max",
)
(
    R_ORDER_SHARE,
    R_POSITION_SHARE,
    R_GROSS_SHARE,
    R_NET_SHARE,
    R_SECTOR_SHARE,
    R_CURRENCY_SHARE,
    R_LEVERAGE_SHARE,
) = range(0, 14, 2)
(
    R_ORDER_VALUE,
    R_POSITION_VALUE,
    R_COLLAR,
    R_VOLUME,
    R_VOLUME_REQUIRED,
    R_MESSAGES,
    R_REPEATS,
    R_LOSS,
    R_FALL,
    R_LOCATE,
    R_QUOTE_AGE,
    R_MESSAGE_WINDOW,
    R_REPEAT_WINDOW,
    R_LIKE_WINDOW,
    R_MEMORY,  # the longest window
    R_PARTICIPATION,
    R_DAY_ENDS,  # whether a day order ends with its session
    R_AGE_MAX,
    R_LATENCY,
    R_WAIT,
    R_DUST,  # mantissa of the dust fraction, and by how many bits it is shifted
    R_DUST_SHIFT,
    R_KIND,
    R_FORCE,
    R_LAG,
    R_KEEP,
    R_LATE_ENDS,  # whether an order that missed its auction's cut-off expires
    R_CHARGE,  # which commission, then six numbers of it
) = range(14, 42)
LIMIT_ROWS = R_PARTICIPATION  # the limits stand first
R_SLIPPAGE = R_CHARGE + 7  # which model, then two numbers of it
R_EXCHANGE = R_SLIPPAGE + 3  # whether each fill is converted, then five numbers of it
R_ROWS = R_EXCHANGE + 6
CHARGE_BPS, CHARGE_FIXED, CHARGE_TIERED, CHARGE_CONTRACT, CHARGE_MAKER = range(5)
SLIP_BPS, SLIP_TICKS, SLIP_VOLUME_SHARE, SLIP_SQUARE_ROOT = range(4)
_VOLUME_SHARE_MAX = 9_000_000  # times the square of a share in ppm, this still fits 64 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The account, its frictions and its limits; money in units of the base currency.

    A decision is taken `decision_lag_s` after the close that it was seen at. `located` names
    what may be sold short where a borrow is needed. Without `keep_events` the tapes stay empty
    and only the counts and the NAV are kept, which is what a sweep needs.
    """

    starting_cash: Decimal = Decimal(1_000_000)
    base_currency: str = "USD"
    limits: RiskLimits = field(default_factory=RiskLimits)
    fills: FillSettings = field(default_factory=FillSettings)
    commission: CommissionModel = field(default_factory=BpsCommission)
    sizing: SizingSettings = field(default_factory=SizingSettings)
    decision_lag_s: float = 0.0
    located: frozenset[str] = frozenset()
    borrow: BorrowAvailability = field(default_factory=BorrowAvailability)
    conversion: FillConversion | None = None  # of each fill that is not in the base currency
    keep_events: bool = True

    def __post_init__(self) -> None:
        if not (self.starting_cash.is_finite() and 0 < self.starting_cash <= 10**10):
            raise ValueError(f"starting_cash must be in (0, 10**10], was {self.starting_cash}")
        if not (math.isfinite(self.decision_lag_s) and 0 <= self.decision_lag_s <= 604_800):
            raise ValueError(f"decision_lag_s must be in [0, 604800], was {self.decision_lag_s}")
        self.packed()
        self.packed_own([])
        self.packed_strategy()

    def packed(self) -> Ints:
        """Return [R_ROWS] int64; ValueError where a setting does not fit the compiled loop."""
        rows = [*_limit_rows(self.limits.on_book()), *self._fill_rows(), *self._order_rows()]
        rows += charge_rows(self.commission)
        rows += slippage_rows(self.fills)
        exchange = self.conversion
        rows += [0] * 6 if exchange is None else [1, *exchange.parameters]
        assert len(rows) == R_ROWS
        return _whole_rows(rows)

    def packed_own(self, instrument_ids: Sequence[str]) -> tuple[Ints, Ints]:
        """Return [K, limits] of the instruments with limits of their own, and whose are whose [N].

        0 is the limits of the book, k the k-th row. Raises as packed does.
        """
        own = self.limits.on_instruments()
        rows = [_whole_rows([*_limit_rows(own[name])]) for name in sorted(own)]
        places = {name: at for at, name in enumerate(sorted(own), 1)}
        of = np.array([places.get(name, 0) for name in instrument_ids], np.int64)
        return np.array(rows, np.int64).reshape(len(rows), LIMIT_ROWS), of

    @property
    def strategy_limits(self) -> RiskLimits | None:
        """Return what the strategy has of its own: it is the one whose orders sizing makes."""
        return self.limits.find_level(Level.STRATEGY, self.sizing.strategy)

    def packed_strategy(self) -> Ints:
        """Return [1, limits] of the strategy, [0, limits] without any. Raises as packed does."""
        own = self.strategy_limits
        rows = [] if own is None else [_whole_rows([*_limit_rows(own)])]
        return np.array(rows, np.int64).reshape(len(rows), LIMIT_ROWS)

    def check_alone(self, strategies: Collection[str]) -> None:
        """Raise ValueError where orders of these are not those of the one strategy with limits.

        A strategy's limits are measured on what its own orders have made: that is the whole book as
        long as no other's orders are in it.
        """
        limited = {lv.name for lv in self.limits.levels if lv.level is Level.STRATEGY}
        own, others = self.sizing.strategy, {*strategies} - {self.sizing.strategy}
        if (own in limited and others) or limited & others:
            named = sorted(({own} & limited) | (limited & others))[0]
            raise ValueError(
                f"limits of the strategy {named} must be met by its orders alone in a backtest, "
                f"there were orders of {', '.join(sorted({*strategies}))}"
            )

    def _fill_rows(self) -> Iterator[int]:
        fills = self.fills
        yield round(fills.participation_fraction_max * PPM)
        yield int(fills.day_order_ends_with_session)
        yield _age_ns_max(fills.day_order_age_s_max)
        yield from fills.latency.parameters

    def _order_rows(self) -> Iterator[int]:
        above, below = Fraction(self.sizing.dust_fraction).as_integer_ratio()
        yield from (above, below.bit_length() - 1)
        yield from (KINDS.index(self.sizing.kind), FORCES.index(self.sizing.time_in_force))
        yield from (int(self.decision_lag_s * NS_PER_S), int(self.keep_events))
        yield int(self.fills.cutoffs.late_expires)


def _limit_rows(limits: RiskLimits) -> Iterator[int]:
    """Give the limits of one book in the order of the rows, the windows of time at the end."""
    for name in _SHARES:
        yield from Fraction(str(getattr(limits, name))).as_integer_ratio()
    whole = limits.resolve(0)  # what does not depend on NAV
    yield int(limits.order_value_max * 10**6)
    yield from (whole.position_value, whole.collar_ppm, whole.order_volume_ppm)
    yield from (whole.volume_required, whole.messages, whole.repeats)
    yield from (whole.daily_loss_ppm, whole.drawdown_ppm, whole.locate_required)
    yield whole.quote_age_ns
    windows = [
        int(seconds * NS_PER_S)
        for seconds in (
            limits.messages_window_s,
            limits.repeats_window_s,
            limits.duplicate_window_s,
        )
    ]
    yield from (*windows, max(windows))


def _whole_rows(rows: Sequence[int]) -> Ints:
    if any(abs(row) >= 2**63 for row in rows):
        raise ValueError("settings must have at most 17 significant digits to be compiled")
    return np.array(rows, dtype=np.int64)


def _age_ns_max(age_s_max: float) -> int:
    """Return the largest age in ns whose seconds, as a float, are not above the limit."""
    age = int(age_s_max * NS_PER_S)
    while age / NS_PER_S > age_s_max:
        age -= 1
    while (age + 1) / NS_PER_S <= age_s_max:
        age += 1
    return age


def charge_rows(commission: CommissionModel) -> list[int]:
    """Return the kind of a commission and six numbers; ValueError where it is not compiled."""
    if isinstance(commission, BpsCommission):
        above, below = (Fraction(commission.bps) / 10_000).as_integer_ratio()
        return [CHARGE_BPS, to_minor(commission.minimum), above, below, 0, 1, 0]
    if isinstance(commission, IbFixedCommission):
        cap = Fraction(commission.cap_fraction).as_integer_ratio()
        share = Fraction(commission.per_share).as_integer_ratio()
        return [CHARGE_FIXED, to_minor(commission.minimum), *cap, *share, 0]
    if isinstance(commission, IbTieredCommission):
        cap = Fraction(commission.cap_fraction).as_integer_ratio()
        month = _whole_minor(commission.month_quantity)
        return [CHARGE_TIERED, to_minor(commission.minimum), *cap, month, 1, 0]
    if isinstance(commission, PerContractCommission):
        each = Fraction(commission.per_contract + commission.exchange_fee).as_integer_ratio()
        return [CHARGE_CONTRACT, to_minor(commission.minimum), *each, 0, 1, 0]
    if isinstance(commission, MakerTakerCommission):
        maker, taker = Fraction(commission.maker_bps), Fraction(commission.taker_bps)
        below = lcm(maker.denominator, taker.denominator)
        return [CHARGE_MAKER, 0, int(maker * below), int(taker * below), below * 10_000, 1, 0]
    raise ValueError(f"commission must be one the loop knows, was {type(commission).__name__}")


def _whole_minor(quantity: Decimal) -> int:
    minor = quantity * MINOR_PER_UNIT
    if minor != int(minor):
        raise ValueError(f"month_quantity must have at most 8 decimals, was {quantity}")
    return int(minor)


def slippage_rows(fills: FillSettings) -> tuple[int, int, int]:
    """Return the kind of the slippage and two numbers; ValueError where it is not compiled."""
    kind, first, second = fills.slippage_model.parameters
    if kind == SLIP_VOLUME_SHARE and first > _VOLUME_SHARE_MAX:
        raise ValueError(f"price_impact must be at most 9 to be compiled, was {first / PPM}")
    return kind, first, second
