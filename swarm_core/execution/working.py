"""A parent order worked in slices: each slice is a decision of its own on the way to the target.

A slice asks for what should be held by its moment, so what an earlier slice left unfilled is part
of the next one, and what works already counts as done. Its id is made from the parent's: the same
slice is traded once, whoever resumes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np

from swarm_core.execution.costs import (
    ExpectedCost,
    Floats,
    ImpactModel,
    Lots,
    MarketSlice,
    expected_cost,
)
from swarm_core.execution.impact import WorkingForecast
from swarm_core.execution.schedules import (
    ScheduleKind,
    almgren_chriss,
    at_once,
    choose,
    pov,
    twap,
    vwap,
)
from swarm_core.orders import Order, client_order_id

PPM = 10**6
SLICES_MAX = 1_000
_BPS = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAssumptions:
    """What an order is expected to meet: the parameters of `costs.ImpactModel` and its market.

    Half the spread counts where a market shows none. `impact_bps` is what the price gives way
    where a slice takes all of the volume that it is expected to see, linear below; fills correct
    it (`execution.impact`). `volatility_bps` is of a trading day of `day_minutes`. `risk_aversion`
    is the price of a unit of variance, per unit of the instrument's currency (Almgren & Chriss
    2000).
    """

    half_spread_bps: float = 1.0
    impact_bps: float = 10.0
    volatility_bps: float = 150.0
    risk_aversion: float = 1e-6
    day_minutes: float = 390.0

    def __post_init__(self) -> None:
        for name, least, most in (
            ("half_spread_bps", 0.0, 1_000.0),
            ("impact_bps", 0.01, 10_000.0),
            ("volatility_bps", 0.0, 10_000.0),
            ("risk_aversion", 0.0, 1.0),
            ("day_minutes", 1.0, 1_440.0),
        ):
            value = getattr(self, name)
            if not (isfinite(value) and least <= value <= most):
                raise ValueError(f"{name} must be in [{least:g}, {most:g}], was {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingSettings:
    """How an order is spread: evenly, by expected volume, as a share of it, or front-loaded.

    Where `kind` is None, each order takes the way of the least expected cost, to leave at once
    among them. `volume_profile` are weights of the volume that each slice is expected to see (even
    where it is empty). `kappa` is Almgren's and Chriss's urgency per slice; where the way is
    chosen, it follows from the costs.
    """

    kind: ScheduleKind | None = ScheduleKind.TWAP
    slices: int = 6
    minutes: float = 60.0
    participation: float = 0.1
    kappa: float = 0.5
    volume_profile: tuple[float, ...] = ()
    costs: CostAssumptions = CostAssumptions()

    def __post_init__(self) -> None:
        if not 1 <= self.slices <= SLICES_MAX:
            raise ValueError(f"slices must be in 1..{SLICES_MAX}, was {self.slices}")
        if not (isfinite(self.minutes) and 0 < self.minutes <= 10_080):
            raise ValueError(f"minutes must be in (0, 10080], was {self.minutes}")
        if not 0 < self.participation <= 1:
            raise ValueError(f"participation must be in (0, 1], was {self.participation}")
        if not (isfinite(self.kappa) and 0 <= self.kappa <= 100):
            raise ValueError(f"kappa must be in [0, 100], was {self.kappa}")
        shares = self.volume_profile
        if shares and (
            len(shares) != self.slices or not all(isfinite(s) and s > 0 for s in shares)
        ):
            raise ValueError(
                f"volume_profile must have {self.slices} positive shares, was {shares}"
            )

    @property
    def day_share(self) -> float:
        """Return how much of a trading day the slices take together, at most all of it."""
        return min(1.0, self.minutes / self.costs.day_minutes)

    def expected_volume(self, daily_volume: float) -> Floats:
        """Return the lots [M] that each slice is expected to see of a day's volume."""
        shares = np.array(self.volume_profile or (1.0,) * self.slices, dtype=np.float64)
        return shares / shares.sum() * daily_volume * self.day_share

    def moments_ns(self, start_ns: int) -> tuple[int, ...]:
        """Return when each slice is due; the first at once."""
        step_ns = int(self.minutes * 60e9 / self.slices)
        return tuple(start_ns + j * step_ns for j in range(self.slices))


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTargets:
    """What the book shall be when a slice is done; weights are fractions of NAV."""

    decision_id: str
    time_ns: int
    instrument_ids: tuple[str, ...]
    target_weights: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingPlan:
    """A decision spread over time, as it stands in the log.

    `done_ppm` (instruments x slices, row by row) is how much of the way from `start_weights` to
    `target_weights` shall be gone when each slice is done, in parts per million. `forecasts` tell
    of each instrument whose market is known how it is worked and what that was expected to cost,
    at the `impact_coefficient` that fills had taught by then.
    """

    decision_id: str
    instrument_ids: tuple[str, ...]
    start_weights: tuple[float, ...]
    target_weights: tuple[float, ...]
    moments_ns: tuple[int, ...]
    done_ppm: tuple[int, ...]
    forecasts: tuple[WorkingForecast, ...] = ()
    impact_coefficient: float = 1.0

    def __post_init__(self) -> None:
        count = len(self.instrument_ids)
        if not len(self.start_weights) == len(self.target_weights) == count:
            raise ValueError(f"weights must be one per instrument, of {count}")
        if len(self.done_ppm) != count * len(self.moments_ns):
            expected = count * len(self.moments_ns)
            raise ValueError(f"done_ppm must be {expected} numbers, were {len(self.done_ppm)}")

    def due(self, time_ns: int) -> int | None:
        """Return the newest slice whose moment has come (from 0), or None before the first."""
        past = sum(1 for moment in self.moments_ns if moment <= time_ns)
        return past - 1 if past else None

    def slice_id(self, number: int) -> str:
        return f"{self.decision_id}/{number + 1}"

    def is_slice(self, decision_id: str) -> bool:
        """Return whether a decision is a slice of this plan."""
        return decision_id.startswith(f"{self.decision_id}/")

    def is_due_slice(self, order: Order, time_ns: int) -> bool:
        """Return whether an order is the one that a slice of this plan has in its instrument.

        Its id tells the slice, whose moment must have come, and its parent the plan.
        """
        number = order.decision_id.removeprefix(f"{self.decision_id}/")
        if not (number.isdecimal() and 0 < int(number) <= len(self.moments_ns)):
            return False
        slice_ = int(number) - 1
        parent_id = parent_order_id(self.decision_id, order.instrument_id)
        return (
            order.decision_id == self.slice_id(slice_)
            and order.parent_client_order_id == parent_id
            and self.moments_ns[slice_] <= time_ns
        )

    def find_forecast(self, instrument_id: str) -> WorkingForecast | None:
        """Return how an instrument is worked, None where its market was not known."""
        return next((f for f in self.forecasts if f.instrument_id == instrument_id), None)

    def targets(self, number: int) -> SliceTargets:
        """Return what is asked for by a slice (from 0)."""
        slices = len(self.moments_ns)
        weights = tuple(
            start + (target - start) * self.done_ppm[row * slices + number] / PPM
            for row, (start, target) in enumerate(
                zip(self.start_weights, self.target_weights, strict=True)
            )
        )
        return SliceTargets(
            decision_id=self.slice_id(number),
            time_ns=self.moments_ns[number],
            instrument_ids=self.instrument_ids,
            target_weights=weights,
        )


def parent_order_id(parent_decision_id: str, instrument_id: str) -> str:
    """Return the id that every slice's order of an instrument names as its parent."""
    return client_order_id(parent_decision_id, instrument_id, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentOrder:
    """An order that is to be worked, and its market when it begins.

    `lot_value` is one lot at the arrival price, `half_spread` what half the spread costs a lot, in
    units of the instrument's currency; None where the market shows none.
    """

    lots: int
    arrival_ticks: int
    lot_value: float
    half_spread: float | None = None
    daily_volume_lots: int | None = None


def plan_working(
    decision_id: str,
    instrument_ids: Sequence[str],
    start_weights: Sequence[float],
    target_weights: Sequence[float],
    *,
    parents: Mapping[str, ParentOrder],
    settings: WorkingSettings,
    start_ns: int,
    impact_coefficient: float = 1.0,
) -> WorkingPlan:
    """Return the plan of a decision.

    POV takes a share of what each slice is expected to trade; where that has no room for all,
    the rest is left to the last slice. An instrument without a known volume is worked evenly, and
    at once where the way is chosen by cost.
    """
    done: list[int] = []
    forecasts: list[WorkingForecast] = []
    for name in instrument_ids:
        parent = parents.get(name)
        kind, lots, cost = _worked(parent, settings, impact_coefficient)
        running = np.cumsum(lots)[:-1] / max(1, int(lots.sum()))
        done += [*(round(float(part) * PPM) for part in running), PPM]
        if parent is not None and cost is not None:
            forecasts.append(_forecast(name, parent, kind, lots, settings, cost))
    return WorkingPlan(
        decision_id=decision_id,
        instrument_ids=tuple(instrument_ids),
        start_weights=tuple(float(w) for w in start_weights),
        target_weights=tuple(float(w) for w in target_weights),
        moments_ns=settings.moments_ns(start_ns),
        done_ppm=tuple(done),
        forecasts=tuple(forecasts),
        impact_coefficient=impact_coefficient,
    )


def _worked(
    parent: ParentOrder | None, settings: WorkingSettings, coefficient: float
) -> tuple[ScheduleKind, Lots, ExpectedCost | None]:
    """Return how an order is worked, its lots [M], and what that costs where it can be said."""
    count = settings.slices
    total = PPM if parent is None else max(1, parent.lots)  # its shape alone is used then
    market = None if parent is None else _market(parent, settings)
    if parent is None or market is None:
        if settings.kind is None:
            return ScheduleKind.AT_ONCE, at_once(total, count).lots, None
        if settings.kind is ScheduleKind.ALMGREN_CHRISS:
            return settings.kind, almgren_chriss(total, count, settings.kappa).lots, None
        return ScheduleKind.TWAP, twap(total, count).lots, None
    model = _model(parent, market, settings, coefficient)
    if settings.kind is None:
        schedule, cost = choose(
            total,
            market,
            model,
            risk_aversion=settings.costs.risk_aversion,
            participation=settings.participation,
        )
        return schedule.kind, schedule.lots, cost
    lots = _slices(settings.kind, total, market, settings)
    return settings.kind, lots, expected_cost(lots, market, model)


def _slices(kind: ScheduleKind, lots: int, market: MarketSlice, settings: WorkingSettings) -> Lots:
    match kind:
        case ScheduleKind.AT_ONCE:
            return at_once(lots, settings.slices).lots
        case ScheduleKind.TWAP:
            return twap(lots, settings.slices).lots
        case ScheduleKind.VWAP:
            return vwap(lots, market.volume).lots
        case ScheduleKind.ALMGREN_CHRISS:
            return almgren_chriss(lots, settings.slices, settings.kappa).lots
        case ScheduleKind.POV:
            schedule = pov(lots, market.volume, settings.participation)
            schedule.lots[-1] += schedule.unfilled
            return schedule.lots


def _market(parent: ParentOrder, settings: WorkingSettings) -> MarketSlice | None:
    """Return what the slices are expected to see, None where that is not known."""
    known = isfinite(parent.lot_value) and parent.lot_value > 0.0
    if not known or not parent.daily_volume_lots or parent.daily_volume_lots < 0:
        return None
    of_day = settings.day_share / settings.slices
    move = settings.costs.volatility_bps * _BPS * parent.lot_value * sqrt(of_day)
    return MarketSlice(volume=settings.expected_volume(parent.daily_volume_lots), sigma_slice=move)


def _model(
    parent: ParentOrder, market: MarketSlice, settings: WorkingSettings, coefficient: float
) -> ImpactModel:
    costs, mean_volume = settings.costs, float(market.volume.mean())
    shown = parent.half_spread
    touch = costs.half_spread_bps * _BPS * parent.lot_value if shown is None else max(shown, 0.0)
    pressed = costs.impact_bps * _BPS * parent.lot_value / mean_volume
    return ImpactModel(
        spread_half=touch, temporary_per_lot=coefficient * pressed, permanent_per_lot=0.0
    )


def _forecast(
    name: str, parent: ParentOrder, kind: ScheduleKind, lots: Lots, settings: WorkingSettings,
    cost: ExpectedCost,
) -> WorkingForecast:  # fmt: skip
    """Return what is on record: the impact at a coefficient of 1, and the noise around it.

    To the variance of the schedule comes that of one slice for all lots: fills are not at the
    moment that they are meant for.
    """
    market = _market(parent, settings)
    assert market is not None  # or there were no cost
    unit = expected_cost(lots, market, _model(parent, market, settings, 1.0))
    touch = float(lots.sum()) * _model(parent, market, settings, 1.0).spread_half
    late = (market.sigma_slice * float(lots.sum())) ** 2
    return WorkingForecast(
        instrument_id=name,
        schedule=kind.value,
        lots=int(lots.sum()),
        arrival_ticks=parent.arrival_ticks,
        touch=touch,
        impact=max(0.0, unit.mean - touch),
        deviation=sqrt(cost.variance + late),
    )
