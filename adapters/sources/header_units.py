"""The unit that a column's name says beside its meaning: Close (EUR), open_usd, Volume (000s)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapters.sources.mapping_entries import MappingError
from adapters.sources.market_clues import COINS, CURRENCY_CODES, HUNDREDTHS

# In brackets anything may stand that is known below; behind a space or a line only a currency or
# what volumes are counted in, for open_interest is no open.
_BRACKETS = re.compile(r"\s*(?P<name>[^()\[\]]*[^()\[\]\s,_])\s*[(\[](?P<unit>[^()\[\]]+)[)\]]\s*")
_BEHIND = re.compile(r"\s*(?P<name>.*[^\s,_])[\s,_]+(?P<unit>[A-Za-z]{3,8})\s*")
_SIGNS = {"€": "EUR", "£": "GBP", "p": "GBX", "pence": "GBX", "us$": "USD", "usd$": "USD"}
_COUNTS = {
    **dict.fromkeys(("shares", "shs", "units", "contracts", "stuck", "stück", "stk", "actions",
                     "titres", "株"), 1.0),
    **dict.fromkeys(("000s", "'000", "'000s", "000", "thousands", "in thousands", "k"), 1e3),
    **dict.fromkeys(("m", "mm", "mn", "mln", "mio", "million", "millions", "in millions"), 1e6),
}  # fmt: skip
# How the columns of a file are named whose prices are whole ten thousandths, as LEAN writes them.
TEN_THOUSANDTHS = "1/10000"


@dataclass(frozen=True, slots=True)
class HeaderUnit:
    """A column's name without its unit, and the unit: a currency or coin, or a count's factor."""

    name: str
    currency: str | None = None
    factor: float | None = None


def unit_of(column: str) -> HeaderUnit | None:
    """Return the parts of a name that ends in a known unit; None for any other name."""
    if found := _BRACKETS.fullmatch(column):
        return _known(found["name"], found["unit"].strip(), is_bracketed=True)
    if found := _BEHIND.fullmatch(column):
        return _known(found["name"], found["unit"], is_bracketed=False)
    return None


def _known(name: str, unit: str, *, is_bracketed: bool) -> HeaderUnit | None:
    capitals = unit.upper()
    if capitals in CURRENCY_CODES or capitals in HUNDREDTHS or capitals in COINS:
        return HeaderUnit(name, currency=capitals)
    if unit.lower() in _COUNTS and (is_bracketed or _COUNTS[unit.lower()] == 1.0):
        return HeaderUnit(name, factor=_COUNTS[unit.lower()])
    if is_bracketed and unit == TEN_THOUSANDTHS:
        return HeaderUnit(name, factor=1e-4)
    if is_bracketed and unit.lower() in _SIGNS:
        return HeaderUnit(name, currency=_SIGNS[unit.lower()])
    return None


def bare_columns(columns: Iterable[str]) -> dict[str, str]:
    """Return the columns that bear a unit by their names without it.

    A name that several bear with different units names none of them (Close BTC, Close ETH), but
    of volumes that which is not of money: a traded value is no volume.
    """
    found: dict[str, list[tuple[str, HeaderUnit]]] = {}
    for column in columns:
        unit = unit_of(column)
        if unit is not None:
            found.setdefault(unit.name, []).append((column, unit))
    return {
        name: alike[0][0]
        for name, borne in found.items()
        if len(alike := _counted(borne) if "vol" in name.lower() else borne) == 1
    }


def _counted(borne: list[tuple[str, HeaderUnit]]) -> list[tuple[str, HeaderUnit]]:
    of_money = (*CURRENCY_CODES, *HUNDREDTHS)
    return [(column, unit) for column, unit in borne if unit.currency not in of_money]


def price_currency(columns: Mapping[str, str]) -> str | None:
    """Return the currency that the names of the columns of prices speak of; None where none does.

    Raises MappingError where they speak of several.
    """
    priced = [columns[m] for m in ("open", "high", "low", "close") if m in columns]
    found = {unit.currency for unit in map(unit_of, priced) if unit is not None} - {None}
    if len(found) > 1:
        raise MappingError(f"in which currency are the prices? its columns are {priced};")
    return next(iter(found), None)


def factor_of(columns: Mapping[str, str], meaning: str) -> float:
    """Return how many one of a column is: 1,000 in Volume (000s), of another column 1."""
    unit = unit_of(columns[meaning]) if meaning in columns else None
    return unit.factor if unit is not None and unit.factor is not None else 1.0
