"""Models by their names in a settings file, each with its own fields and one-line errors."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any, TypeVar, cast

from swarm_core.carry.borrow import BorrowAvailability, BorrowCost
from swarm_core.carry.interest import CashInterest, CashRates
from swarm_core.commissions import (
    BpsCommission,
    CommissionModel,
    IbFixedCommission,
    IbTieredCommission,
    MakerTakerCommission,
    PerContractCommission,
)
from swarm_core.currencies import CurrencySweep, FillConversion
from swarm_core.frictions.auction_cutoffs import AuctionCutoffs
from swarm_core.frictions.latency import Latency
from swarm_core.frictions.price_limits import PriceLimits
from swarm_core.frictions.slippage import (
    BpsSlippage,
    SlippageModel,
    SquareRootSlippage,
    TickSlippage,
    VolumeShareSlippage,
)
from swarm_core.frictions.venue import Venue
from swarm_core.instruments import to_decimal

Given = Mapping[str, object]
T = TypeVar("T")

COMMISSIONS: dict[str, type[Any]] = {
    "bps": BpsCommission,
    "ib_fixed": IbFixedCommission,
    "ib_tiered": IbTieredCommission,
    "per_contract": PerContractCommission,
    "maker_taker": MakerTakerCommission,
}
SLIPPAGES: dict[str, type[Any]] = {
    "bps": BpsSlippage,
    "ticks": TickSlippage,
    "volume_share": VolumeShareSlippage,
    "square_root": SquareRootSlippage,
}
CONVERSIONS: dict[str, type[Any]] = {
    "none": type(None),
    "sweep": CurrencySweep,
    "at_fill": FillConversion,
}
_CURRENCY = re.compile(r"[A-Z][A-Z0-9]{2,9}")
PARTS = (
    *("commission", "slippage", "latency", "participation_fraction_max"),
    *("borrow", "interest", "conversion", "price_limit_fraction", "auction_cutoffs"),
)


def venue_of(given: Given, default: Venue) -> Venue:
    """Return the venue that a mapping describes; what it leaves open is the default's.

    Raises ValueError with one line that names the field, what must hold and what was given.
    """
    known(given, "venue", PARTS)
    fills = default.fills
    if "slippage" in given:
        fills = replace(fills, slippage=slippage_of(given["slippage"]))
    if "latency" in given:
        fills = replace(fills, latency=_built(Latency, given["latency"], "latency"))
    if "auction_cutoffs" in given:
        cutoffs = _built(AuctionCutoffs, given["auction_cutoffs"], "auction_cutoffs")
        fills = replace(fills, cutoffs=cutoffs)
    if "participation_fraction_max" in given:
        share = to_decimal(_number(given, "participation_fraction_max"), "participation")
        fills = replace(fills, participation_fraction_max=float(share))
    venue = replace(default, fills=fills)
    if "commission" in given:
        venue = replace(venue, commission=commission_of(given["commission"]))
    if "price_limit_fraction" in given:
        limit = _decimal(_number(given, "price_limit_fraction"), "price_limit_fraction")
        venue = replace(venue, price_limits=PriceLimits(limit))
    if "interest" in given:
        carry = replace(venue.carry, interest=interest_of(given["interest"]))
        venue = replace(venue, carry=carry)
    if "conversion" in given:
        venue = _with_conversion(venue, conversion_of(given["conversion"]))
    if "borrow" in given:
        venue = _with_borrow(venue, _mapping(given["borrow"], "borrow"))
    return venue


def commission_of(given: object) -> CommissionModel:
    """Return the commission model of {model: NAME, ...}."""
    return cast(CommissionModel, _named(COMMISSIONS, given, "commission"))


def slippage_of(given: object) -> SlippageModel:
    """Return the slippage model of {model: NAME, ...}."""
    return cast(SlippageModel, _named(SLIPPAGES, given, "slippage"))


def interest_of(given: object) -> CashInterest:
    """Return interest by currency, of {USD: {credit: 0.03, debit: 0.05}}."""
    told = _mapping(given, "interest")
    for currency in told:
        if not _CURRENCY.fullmatch(currency):
            raise ValueError(
                f"interest must be of currencies by their codes in capitals, was of {currency!r}"
            )
    rates = {name: _built(CashRates, rate, f"interest.{name}") for name, rate in told.items()}
    return CashInterest(rates=rates)


def _with_conversion(venue: Venue, found: CurrencySweep | FillConversion | None) -> Venue:
    sweep = found if isinstance(found, CurrencySweep) else None
    at_fill = found if isinstance(found, FillConversion) else None
    return replace(venue, carry=replace(venue.carry, sweep=sweep), conversion=at_fill)


def conversion_of(given: object) -> CurrencySweep | FillConversion | None:
    """Return how foreign cash is converted of {model: NAME, ...}; None leaves balances alone."""
    told = _mapping(given, "conversion")
    if told.get("model") == "none":
        known(told, "conversion", ("model",))
        return None
    return cast(CurrencySweep | FillConversion, _named(CONVERSIONS, given, "conversion"))


def _with_borrow(venue: Venue, given: Given) -> Venue:
    names = ("annual_rate", "rates", "collateral_fraction", "rounds_up", "lots", "default_lots")
    known(given, "borrow", names)
    terms: dict[str, object] = {
        k: v for k, v in given.items() if k not in ("rates", "lots", "default_lots")
    }
    cost = _built(BorrowCost, terms, "borrow")
    rates = {
        name: _decimal(rate, f"borrow.rates.{name}")
        for name, rate in _mapping(given.get("rates", {}), "borrow.rates").items()
    }
    lots = {
        name: _whole(count, f"borrow.lots.{name}")
        for name, count in _mapping(given.get("lots", {}), "borrow.lots").items()
    }
    most = given.get("default_lots")
    return replace(
        venue,
        carry=replace(venue.carry, borrow=replace(cost, rates=rates)),
        borrow=BorrowAvailability(
            lots=lots, default_lots=None if most is None else _whole(most, "borrow.default_lots")
        ),
    )


def _named(models: Mapping[str, type[Any]], given: object, name: str) -> object:
    told = dict(_mapping(given, name))
    model = told.pop("model", None)
    if model not in models:
        raise ValueError(f"{name}.model must be one of {', '.join(models)}, was {model!r}")
    return _built(models[str(model)], told, name)


def _built(model: type[T], given: object, name: str) -> T:
    """Return the dataclass of the given fields, each read as its type asks."""
    told = _mapping(given, name)
    kinds = {field.name: field.type for field in fields(cast(Any, model))}
    known(told, name, tuple(kinds))
    values: dict[str, object] = {}
    for key, value in told.items():
        where = f"{name}.{key}"
        if kinds[key] is int:
            values[key] = _whole(value, where)
        elif kinds[key] is bool:
            if not isinstance(value, bool):
                raise ValueError(f"{where} must be true or false, was {value!r}")
            values[key] = value
        else:
            values[key] = _decimal(value, where)
    try:
        return model(**values)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def known(given: Given, name: str, names: tuple[str, ...]) -> None:
    """Raise ValueError where a field is given that is none."""
    for key in given:
        if key not in names:
            raise ValueError(f"{name}.{key} must be one of {', '.join(names)}")


# What a file holds is a value, so a wrong type of it is a ValueError here.
def _mapping(given: object, name: str) -> Given:
    if not isinstance(given, Mapping):
        raise ValueError(f"{name} must be a mapping of fields, was {given!r}")  # noqa: TRY004
    return cast(Given, given)


def _number(given: Given, name: str) -> str:
    return str(given[name])


def _decimal(value: object, name: str) -> Decimal:
    if isinstance(value, bool):
        raise ValueError(f"{name} must be a number, was {value!r}")  # noqa: TRY004
    return to_decimal(str(value), name)


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, was {value!r}")  # noqa: TRY004
    return value
