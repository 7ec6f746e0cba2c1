"""How a contract is named in a desk's configuration: `AAPL`, `CASH:EUR:IDEALPRO:USD`, ..."""

from dataclasses import dataclass

from ib_async import Contract

from adapters.brokers.ib_contracts import routed_exchange

_KINDS = {
    "STK": "equity",
    "ETF": "etf",
    "FUT": "future",
    "OPT": "option",
    "CASH": "fx",
    "CRYPTO": "crypto",
    "CFD": "cfd",
    "IND": "index",
}
_PARTS = "TYPE:SYMBOL:EXCHANGE:CURRENCY:END:STRIKE:RIGHT"
_CALENDARS = {"FUT": "CMES", "CASH": "24/5", "CRYPTO": "24/7"}
_STOCK_CALENDARS = {"USD": "XNYS", "GBP": "XLON", "EUR": "XETR", "JPY": "XTKS", "CAD": "XTSE"}
_PREFIXES = {"FUT": "FUT", "OPT": "OPT", "CASH": "FX", "CRYPTO": "CRYPTO", "CFD": "CFD"}
_PREFIXES |= {"IND": "IDX"}
_STOCK_PREFIXES = {"USD": "US", "GBP": "GB", "EUR": "EU", "JPY": "JP", "CAD": "CA"}


@dataclass(frozen=True, slots=True)
class NamedContract:
    """A contract to ask for, and how the house calls it."""

    instrument_id: str
    asset_class: str
    calendar: str
    contract: Contract


def parse_contract(text: str) -> NamedContract:
    """Return the contract of a name; ValueError says what a name must be.

    A bare symbol is a US share. Parts that follow the type may be left out from the right.
    """
    parts = text.strip().split(":")
    if len(parts) == 1:
        parts = ["STK", *parts]
    kind, symbol, exchange, currency, end, strike, right = [*parts, *[""] * 7][:7]
    kind = kind.upper()
    if kind not in _KINDS or not symbol or len(parts) > 7:
        raise ValueError(f"a contract must be named {_PARTS} with a type of {sorted(_KINDS)}, "
                         f"was {text!r}")  # fmt: skip
    if kind in ("FUT", "OPT") and not end:
        raise ValueError(f"a {kind} must be named with its end, was {text!r}")
    currency = currency or "USD"
    sec_type = "STK" if kind == "ETF" else kind
    contract = Contract(
        secType=sec_type,
        symbol=symbol,
        exchange=exchange or routed_exchange(sec_type),
        currency=currency,
        lastTradeDateOrContractMonth=end,
        strike=_number(strike, text),
        right=right.upper(),
    )
    calendar = _CALENDARS.get(kind) or _STOCK_CALENDARS.get(currency, "XNYS")
    return NamedContract(_instrument_id(contract), _KINDS[kind], calendar, contract)


def _number(strike: str, text: str) -> float:
    try:
        return float(strike or 0)
    except ValueError:
        raise ValueError(f"the strike in {text!r} must be a number, was {strike!r}") from None


def _instrument_id(contract: Contract) -> str:
    kind, symbol = contract.secType, contract.symbol
    if kind == "STK":
        return f"{_STOCK_PREFIXES.get(contract.currency, contract.currency)}.{symbol}"
    if kind in ("CASH", "CRYPTO"):
        return f"{_PREFIXES[kind]}.{symbol}{contract.currency}"
    tail = [contract.lastTradeDateOrContractMonth]
    tail += [f"{contract.strike:g}", contract.right] if kind == "OPT" else []
    return ".".join([_PREFIXES[kind], symbol, *(part for part in tail if part)])
