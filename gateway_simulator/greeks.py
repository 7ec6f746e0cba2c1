"""Option prices and greeks (F. Black and M. Scholes, 1973), without dividends."""

import math
from dataclasses import dataclass

_RATE = 0.04  # of a year


@dataclass(frozen=True, slots=True)
class Greeks:
    """Price and sensitivities: vega per point of volatility, theta per day."""

    price: float
    delta: float
    gamma: float
    vega: float
    theta: float


def _density(x: float) -> float:
    return math.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi)


def _below(x: float) -> float:
    return math.erfc(-x / math.sqrt(2.0)) / 2.0


def black_scholes(
    spot: float, strike: float, years: float, volatility: float, right: str
) -> Greeks:
    """Return price and greeks of a European option; `right` is C or P."""
    years = max(years, 1.0 / (365.0 * 24.0))
    root = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (_RATE + volatility**2 / 2.0) * years) / root
    d2 = d1 - root
    discounted = strike * math.exp(-_RATE * years)
    sign = 1.0 if right == "C" else -1.0
    price = sign * (spot * _below(sign * d1) - discounted * _below(sign * d2))
    decay = -spot * _density(d1) * volatility / (2.0 * math.sqrt(years))
    theta = decay - sign * _RATE * discounted * _below(sign * d2)
    return Greeks(
        price=max(price, 0.0),
        delta=_below(d1) if right == "C" else _below(d1) - 1.0,
        gamma=_density(d1) / (spot * root),
        vega=spot * _density(d1) * math.sqrt(years) / 100.0,
        theta=theta / 365.0,
    )


_VOLATILITY_MIN, _VOLATILITY_MAX = 1e-4, 10.0  # of a year
_HALVINGS = 60


def implied_volatility(
    price: float, spot: float, strike: float, years: float, right: str
) -> float | None:
    """Return the volatility at which an option has a price, by bisection; None where none does."""
    low, high = _VOLATILITY_MIN, _VOLATILITY_MAX
    ends = [black_scholes(spot, strike, years, v, right).price for v in (low, high)]
    if not ends[0] <= price <= ends[1]:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if black_scholes(spot, strike, years, middle, right).price < price:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
