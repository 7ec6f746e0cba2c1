"""The desk: what one book trades and how, handed to the assets as one frozen value."""

import re
from dataclasses import dataclass, field
from datetime import date, timedelta

import polars as pl

from assets.contract_ends import KnownEnds
from features.calendars import rests_after_close
from features.session_bars import Market
from features.universe import Universe
from features.validation import ValidationSettings
from models.promotion import PromotionRule
from models.training import TrainingSettings
from swarm_core.colony.settings import ColonySettings
from swarm_core.frictions.venue import Venue, simple_venue
from swarm_core.risk.limits import RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What is traded, with which settings, over which dates.

    `decision_lag` is the time from a session's close to its decision: long enough for the day's
    data to arrive. `training_end` is exclusive; nothing at or after it is learned from.
    """

    calendar: str
    base_currency: str
    asset_classes: tuple[str, ...]
    source_priority: tuple[str, ...]
    starting_cash: int  # whole units of the base currency
    benchmark_id: str | None
    training_start: date
    training_end: date
    colony: ColonySettings
    limits: RiskLimits
    training: TrainingSettings
    promotion: PromotionRule
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    decision_lag: timedelta = timedelta(hours=2)
    horizon_sessions: int = 5
    label_cost_bps: float = 3.0
    slippage_bps: float = 2.0
    commission_bps: float = 1.0
    venue: Venue = field(default_factory=lambda: simple_venue(1.0, 2.0))
    model_name: str = "forward_return"
    colony_seed: int = 20200102
    foreign_currencies: tuple[str, ...] = ()  # traded beside the base, at rates of currency pairs
    universe: Universe | None = None  # the part of its market that is decided on; None is all
    ends: KnownEnds = field(default_factory=KnownEnds)  # contracts whose last trading day is known

    def decided_on(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the feature rows of the instruments that are decided on at their sessions."""
        return rows if self.universe is None else self.universe.kept(rows)

    @property
    def market(self) -> Market:
        """Return which instruments the desk trades, on whose calendar."""
        return Market(
            self.calendar,
            self.base_currency,
            self.asset_classes,
            self.decision_lag,
            self.foreign_currencies,
        )

    @property
    def label_entry(self) -> str:
        """Return where a decision's position is entered: an open that comes before it is none."""
        rests = rests_after_close(self.calendar, self.decision_lag)
        return "next_open" if rests else "next_close"

    def __post_init__(self) -> None:
        if self.training_start >= self.training_end:
            raise ValueError(
                f"training_end must be after training_start ({self.training_start}), "
                f"was {self.training_end}"
            )
        for name in self.foreign_currencies:
            if not re.fullmatch("[A-Z]{3,5}", name) or name == self.base_currency:
                raise ValueError(
                    f"foreign_currencies must be codes other than {self.base_currency}, had {name}"
                )
        if self.starting_cash <= 0:
            raise ValueError(f"starting_cash must be positive, was {self.starting_cash}")
        if not timedelta(0) <= self.decision_lag <= timedelta(hours=18):
            raise ValueError(f"decision_lag must be 0 to 18 hours, was {self.decision_lag}")
