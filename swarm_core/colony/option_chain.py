"""What an option chain says about its underlying: flow, skew and term, one number each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
COLUMNS = ("put_call_log", "implied_skew", "implied_term")
_NEAR_DAYS, _FAR_DAYS = (7.0, 45.0), (60.0, 200.0)
_OUT_OF_THE_MONEY = (0.90, 0.98)  # strike over spot of the puts that the skew compares
_AT_THE_MONEY = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionChain:
    """M options on one underlying as quoted at one time; unknown values are NaN."""

    spot: float
    strike: Floats
    days: Floats  # calendar days to expiry
    is_put: NDArray[np.bool_]
    implied: Floats  # yearly volatility as a fraction
    volume: Floats  # contracts traded today

    def __post_init__(self) -> None:
        shape = self.strike.shape
        for name in ("days", "is_put", "implied", "volume"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have the shape {shape}, had another")


def chain_columns(chain: OptionChain) -> dict[str, float]:
    """Return the columns of the options sense; NaN for what the chain does not tell.

    put_call_log is ln((1 + put volume) / (1 + call volume)) (Pan & Poteshman 2006), NaN where
    nothing traded. implied_skew is the implied volatility of out-of-the-money puts less that of
    at-the-money calls of 7 to 45 days (Xing, Zhang & Zhao 2010). implied_term is the at-the-money
    volatility of 60 to 200 days less that of 7 to 45 (Vasquez 2017).
    """
    if not (np.isfinite(chain.spot) and chain.spot > 0.0):
        return dict.fromkeys(COLUMNS, float("nan"))
    volume = np.nan_to_num(chain.volume, nan=0.0, posinf=0.0, neginf=0.0)
    puts, calls = float(volume[chain.is_put].sum()), float(volume[~chain.is_put].sum())
    moneyness = chain.strike / chain.spot
    usable = np.isfinite(chain.implied) & (chain.implied > 0.0)
    near = usable & _between(chain.days, _NEAR_DAYS)
    far = usable & _between(chain.days, _FAR_DAYS)
    money = np.abs(moneyness - 1.0) <= _AT_THE_MONEY
    low_puts = near & chain.is_put & _between(moneyness, _OUT_OF_THE_MONEY)
    return {
        "put_call_log": float(np.log1p(puts) - np.log1p(calls)) if puts + calls else float("nan"),
        "implied_skew": _mean(chain, low_puts) - _mean(chain, near & money & ~chain.is_put),
        "implied_term": _mean(chain, far & money) - _mean(chain, near & money),
    }


def _between(values: Floats, bounds: tuple[float, float]) -> NDArray[np.bool_]:
    return (values >= bounds[0]) & (values <= bounds[1])


def _mean(chain: OptionChain, chosen: NDArray[np.bool_]) -> float:
    return float(chain.implied[chosen].mean()) if chosen.any() else float("nan")
