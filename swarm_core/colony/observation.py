"""What the colony sees at one bar close: everything known then, and nothing later."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.bounds import check_unique

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One bar for N instruments; values that are not known are NaN.

    Raises ValueError where an array has not N entries, an instrument stands twice, the time is
    negative or the net asset value is not a positive number. A price that is not positive counts
    as not known: the colony works on log prices, and what it cannot measure it does not trade.
    """

    time_ns: int
    instrument_ids: tuple[str, ...]
    prices: Floats  # [N] in the instrument's currency
    sigma: Floats  # [N] volatility of one bar's return, as a fraction
    features: Mapping[str, Floats]  # name -> [N], catalogue names and "forecast"
    market: Mapping[str, float]
    weights: Floats  # [N] position now, as a fraction of NAV
    nav: float  # in the base currency
    sectors: tuple[str, ...] = field(default=())
    currencies: tuple[str, ...] = field(default=())
    data_age_s: Floats | None = None  # [N] age of the newest datum; None: all fresh
    traded: float = float("nan")  # since the last bar, as a fraction of NAV; NaN: not known
    paid: float = float("nan")  # shortfall and fees of what was traded, as a fraction of NAV

    def __post_init__(self) -> None:
        n = len(self.instrument_ids)
        if self.time_ns < 0:
            raise ValueError(f"time_ns must not be negative, was {self.time_ns}")
        if not (np.isfinite(self.nav) and self.nav > 0.0):
            raise ValueError(f"nav must be finite and positive, was {self.nav}")
        if len(set(self.instrument_ids)) != n:
            check_unique("instrument_ids", self.instrument_ids)
        arrays = {"prices": self.prices, "sigma": self.sigma, "weights": self.weights}
        arrays |= {f"features[{name!r}]": values for name, values in self.features.items()}
        if self.data_age_s is not None:
            arrays["data_age_s"] = self.data_age_s
        for name, values in arrays.items():
            if values.shape != (n,):
                raise ValueError(f"{name} must have the shape ({n},), was {values.shape}")
        for name, labels in (("sectors", self.sectors), ("currencies", self.currencies)):
            if labels and len(labels) != n:
                raise ValueError(f"{name} must have {n} entries or none, had {len(labels)}")
