"""What the colony sees at one bar close: everything known then, and nothing later."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from swarm_core.colony.bounds import check_texts, check_unique

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One bar for N instruments; values that are not known are NaN.

    Raises ValueError where an array has not N entries, an instrument stands twice, a label is no
    text, the time is not a whole number in 0 .. 2^63 - 1 or the net asset value is not a positive
    number. A price that is not positive counts as not known: the colony works on log prices, and
    what it cannot measure it does not trade.
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
        check_time_ns(self.time_ns)
        # A state and a log keep plain numbers; an array of times hands out its own kind.
        object.__setattr__(self, "time_ns", int(self.time_ns))
        check_nav(self.nav)
        check_number("traded", self.traded)
        check_number("paid", self.paid)
        if len(set(self.instrument_ids)) != n:
            check_unique("instrument_ids", self.instrument_ids)
        arrays = {"prices": self.prices, "sigma": self.sigma, "weights": self.weights}
        arrays |= {f"features[{name!r}]": values for name, values in self.features.items()}
        if self.data_age_s is not None:
            arrays["data_age_s"] = self.data_age_s
        for name, values in arrays.items():
            check_shape(name, values, (n,))
        check_labels(self.instrument_ids, self.sectors, self.currencies)


def check_time_ns(time_ns: object) -> None:
    """Raise ValueError unless the time is a whole number that a state can keep."""
    if not (isinstance(time_ns, int | np.integer) and 0 <= time_ns < 2**63):
        raise ValueError(f"time_ns must be a whole number in 0 .. 2^63 - 1, was {time_ns!r}")


def check_number(name: str, value: object) -> None:
    """Raise ValueError unless value is a number; it may be NaN or infinite."""
    if not isinstance(value, int | float | np.integer | np.floating):
        raise ValueError(  # noqa: TRY004  one kind of error for all input
            f"{name} must be a number, was {value!r}"
        )


def check_nav(nav: float) -> None:
    """Raise ValueError unless the net asset value is a positive finite number."""
    check_number("nav", nav)
    if not 0.0 < nav <= sys.float_info.max:
        raise ValueError(f"nav must be finite and positive, was {nav}")


def check_shape(name: str, values: object, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless values is an array of this shape."""
    found = getattr(values, "shape", type(values).__name__)
    if found != shape:
        raise ValueError(f"{name} must have the shape {shape}, was {found}")


def check_labels(
    ids: tuple[str, ...], sectors: tuple[str, ...], currencies: tuple[str, ...]
) -> None:
    """Raise ValueError unless all are tuples of texts, sectors and currencies one for each id or
    none."""
    for name, given in (("instrument_ids", ids), ("sectors", sectors), ("currencies", currencies)):
        if not isinstance(given, tuple):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(  # noqa: TRY004  one kind of error for all input
                f"{name} must be a tuple, was {type(given).__name__}"
            )
    check_texts("instrument_ids", ids)
    for name, labels in (("sectors", sectors), ("currencies", currencies)):
        if labels and len(labels) != len(ids):
            raise ValueError(f"{name} must have {len(ids)} entries or none, had {len(labels)}")
        check_texts(name, labels)
