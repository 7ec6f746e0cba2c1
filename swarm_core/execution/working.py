"""A parent order worked in slices: each slice is a decision of its own on the way to the target.

A slice asks for what should be held by its moment, so what an earlier slice left unfilled is part
of the next one, and what works already counts as done. Its id is made from the parent's: the same
slice is traded once, whoever resumes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from swarm_core.execution.schedules import ScheduleKind, almgren_chriss, pov, twap, vwap
from swarm_core.orders import client_order_id

PPM = 10**6
SLICES_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingSettings:
    """How an order is spread: evenly, by expected volume, as a share of it, or front-loaded.

    `volume_profile` are the shares of a day's volume that each slice is expected to see (VWAP and
    POV; even where it is empty). `kappa` is Almgren's and Chriss's urgency per slice.
    """

    kind: ScheduleKind = ScheduleKind.TWAP
    slices: int = 6
    minutes: float = 60.0
    participation: float = 0.1
    kappa: float = 0.5
    volume_profile: tuple[float, ...] = ()

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
    `target_weights` shall be gone when each slice is done, in parts per million.
    """

    decision_id: str
    instrument_ids: tuple[str, ...]
    start_weights: tuple[float, ...]
    target_weights: tuple[float, ...]
    moments_ns: tuple[int, ...]
    done_ppm: tuple[int, ...]

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


def plan_working(
    decision_id: str,
    instrument_ids: Sequence[str],
    start_weights: Sequence[float],
    target_weights: Sequence[float],
    *,
    lots: Mapping[str, int],
    daily_volume_lots: Mapping[str, int],
    settings: WorkingSettings,
    start_ns: int,
) -> WorkingPlan:
    """Return the plan of a decision: `lots` is how much of each instrument is to be traded.

    POV takes a share of what each slice is expected to trade; where that has no room for all,
    the rest is left to the last slice. An instrument without a known volume is worked evenly.
    """
    rows = [
        _done_ppm(lots.get(name, 0), daily_volume_lots.get(name), settings)
        for name in instrument_ids
    ]
    return WorkingPlan(
        decision_id=decision_id,
        instrument_ids=tuple(instrument_ids),
        start_weights=tuple(float(w) for w in start_weights),
        target_weights=tuple(float(w) for w in target_weights),
        moments_ns=settings.moments_ns(start_ns),
        done_ppm=tuple(ppm for row in rows for ppm in row),
    )


def _done_ppm(lots: int, daily_volume: int | None, settings: WorkingSettings) -> list[int]:
    total = max(1, lots)
    running = np.cumsum(_slices(total, daily_volume, settings))
    done = [round(float(sum_) / total * PPM) for sum_ in running]
    return [*done[:-1], PPM]  # the last slice asks for the whole


def _slices(lots: int, daily_volume: int | None, settings: WorkingSettings) -> NDArray[np.int64]:
    count = settings.slices
    shares = np.array(settings.volume_profile or (1.0,) * count, dtype=np.float64)
    if settings.kind is ScheduleKind.ALMGREN_CHRISS:
        return almgren_chriss(lots, count, settings.kappa).lots
    if settings.kind is ScheduleKind.TWAP or daily_volume is None:
        return twap(lots, count).lots
    if settings.kind is ScheduleKind.VWAP:
        return vwap(lots, shares).lots
    expected = shares / shares.sum() * daily_volume
    return pov(lots, expected, settings.participation).lots
