"""How vendors write where a share is listed: VOD.L, VOD LN Equity, LSE:VOD, VOD:LSE."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Vendors' suffixes of a listing: its calendar and its currency, None where prices are quoted in a
# hundredth of it as often as in the whole (pence, cents, agorot): that must be asked.
LISTINGS: dict[str, tuple[str, str | None]] = {
    "L": ("XLON", None), "T": ("XTKS", "JPY"), "DE": ("XETR", "EUR"), "PA": ("XPAR", "EUR"),
    "AS": ("XAMS", "EUR"), "BR": ("XBRU", "EUR"), "LS": ("XLIS", "EUR"), "MI": ("XMIL", "EUR"),
    "MC": ("XMAD", "EUR"), "SW": ("XSWX", "CHF"), "ST": ("XSTO", "SEK"), "OL": ("XOSL", "NOK"),
    "CO": ("XCSE", "DKK"), "HE": ("XHEL", "EUR"), "VI": ("XWBO", "EUR"), "IR": ("XDUB", "EUR"),
    "WA": ("XWAR", "PLN"), "HK": ("XHKG", "HKD"), "SS": ("XSHG", "CNY"), "SZ": ("XSHG", "CNY"),
    "KS": ("XKRX", "KRW"), "KQ": ("XKRX", "KRW"), "TW": ("XTAI", "TWD"), "SI": ("XSES", "SGD"),
    "AX": ("XASX", "AUD"), "NZ": ("XNZE", "NZD"), "TO": ("XTSE", "CAD"), "SA": ("BVMF", "BRL"),
    "MX": ("XMEX", "MXN"), "JO": ("XJSE", None), "TA": ("XTAE", None), "NS": ("XBOM", "INR"),
    "BO": ("XBOM", "INR"), "SR": ("XSAU", "SAR"), "US": ("XNYS", "USD"), "NAS": ("XNYS", "USD"),
    "NYSE": ("XNYS", "USD"), "OQ": ("XNYS", "USD"), "O": ("XNYS", "USD"), "N": ("XNYS", "USD"),
    "K": ("XNYS", "USD"), "S": ("XSWX", "CHF"),
}  # fmt: skip
# Bloomberg's codes of a composite or an exchange, as in "VOD LN Equity", by the suffix of the same.
_BLOOMBERG_CODES = {
    **dict.fromkeys(("US", "UN", "UQ", "UW", "UA", "UP", "UR"), "US"),
    **dict.fromkeys(("GR", "GY"), "DE"), **dict.fromkeys(("JP", "JT"), "T"),
    **dict.fromkeys(("CN", "CT"), "TO"), **dict.fromkeys(("SW", "SE"), "SW"),
    **dict.fromkeys(("AU", "AT"), "AX"), **dict.fromkeys(("IN", "IS"), "NS"),
    "LN": "L", "FP": "PA", "NA": "AS", "BB": "BR", "PL": "LS", "IM": "MI", "SM": "MC",
    "SS": "ST", "NO": "OL", "DC": "CO", "FH": "HE", "AV": "VI", "ID": "IR", "PW": "WA",
    "HK": "HK", "CG": "SS", "CS": "SZ", "KP": "KS", "KQ": "KQ", "TT": "TW", "SP": "SI",
    "NZ": "NZ", "BZ": "SA", "MM": "MX", "SJ": "JO", "IT": "TA", "IB": "BO", "AB": "SR",
}  # fmt: skip
BLOOMBERG_CODES = frozenset(_BLOOMBERG_CODES)
_BLOOMBERG = re.compile(rf"\S{{1,12}}( ({'|'.join(_BLOOMBERG_CODES)})(?: EQUITY)?)", re.IGNORECASE)
_OPTION = re.compile(r"(?:O:)?\.?[A-Za-z.]{1,6}\d? *\d{6}[CPcp]\d{8}")  # root, day, right, strike
# Calendars of two exchanges of which each has its own codes and prices.
_TWO_EXCHANGES = frozenset({"XSHG", "XKRX", "XBOM"})
# Names that a column "exchange" may hold, beside the calendars' own.
EXCHANGES = {
    "NYSE": "XNYS", "NASDAQ": "XNYS", "XNAS": "XNYS", "ARCA": "XNYS", "ARCX": "XNYS",
    "BATS": "XNYS", "AMEX": "XNYS", "LSE": "XLON", "XETRA": "XETR", "HKEX": "XHKG",
    "SEHK": "XHKG", "JPX": "XTKS", "ASX": "XASX", "SIX": "XSWX", "TSX": "XTSE", "BINANCE": "24/7",
    "COINBASE": "24/7", "KRAKEN": "24/7", "BITFINEX": "24/7", "BYBIT": "24/7", "OANDA": "24/5",
    "FXCM": "24/5", "FX": "24/5", "FOREXCOM": "24/5", "SAXO": "24/5", "PEPPERSTONE": "24/5",
    "BITSTAMP": "24/7", "OKX": "24/7", "KUCOIN": "24/7", "GEMINI": "24/7",
    "CME": "CMES", "GLOBEX": "CMES", "CME_MINI": "CMES", "NYMEX": "CMES", "COMEX": "CMES",
    "CBOT": "CMES",
}  # fmt: skip
# What a file's name may begin with, before the symbol that is listed there.
_MIC = 4  # letters of an exchange's code in ISO 10383
EXCHANGE_NAMES = frozenset({*EXCHANGES, *(calendar for calendar, _ in LISTINGS.values())})
# Names that are one only beside a colon: a file STO_2020.csv may be of a share.
_BESIDE_COLON = {
    "NYSEARCA": "XNYS", "NYSEAMERICAN": "XNYS", "NSQ": "XNYS", "NYQ": "XNYS", "LON": "XLON",
    "ETR": "XETR", "EPA": "XPAR", "AMS": "XAMS", "EBR": "XBRU", "BIT": "XMIL", "MIL": "XMIL",
    "BME": "XMAD", "SWX": "XSWX", "VTX": "XSWX", "STO": "XSTO", "CPH": "XCSE", "HEL": "XHEL",
    "OSL": "XOSL", "WSE": "XWAR", "TYO": "XTKS", "HKG": "XHKG", "SHA": "XSHG", "SHE": "XSHG",
    "SSE": "XSHG", "SZSE": "XSHG", "KRX": "XKRX", "TPE": "XTAI", "TWSE": "XTAI", "SGX": "XSES",
    "NZE": "XNZE", "BVMF": "BVMF", "BMFBOVESPA": "BVMF", "BMV": "XMEX", "NSE": "XBOM",
    "BSE": "XBOM", "BOM": "XBOM",
    "X": "24/7", "C": "24/5",  # coins and currencies of Polygon
}  # fmt: skip
USUAL = "XNYS"
_CALENDARS = dict(LISTINGS.values())


@dataclass(frozen=True, slots=True)
class Listing:
    """What a symbol says of its market, and what of it says so: its start or its end.

    `calendar` is None where the symbol names an exchange that is not known.
    """

    calendar: str | None
    currency: str | None
    start: str = ""
    end: str = ""


def listing_of(name: str) -> Listing | None:
    """Return where a symbol is listed by its own words; None where it says nothing of it.

    BAC.PR.L is a preferred share, not of London.
    """
    capitals = name.upper()
    if written := _BLOOMBERG.fullmatch(capitals):
        calendar, currency = LISTINGS[_BLOOMBERG_CODES[written[2]]]
        return Listing(calendar, currency, end=name[-len(written[1]) :])
    before, colon, behind = name.partition(":")
    if colon and before and behind:
        return _of_colon(before, behind)
    head, _, suffix = name.rpartition(".")
    if not head or head.endswith((".PR", ".PRF")):
        return None
    if suffix in LISTINGS:
        calendar, currency = LISTINGS[suffix]
        return Listing(calendar, currency, end=f".{suffix}")
    if suffix in EXCHANGE_NAMES and len(suffix) == _MIC:  # VOD.XLON, AAPL.XNAS
        calendar = exchange_calendar(suffix)
        return Listing(calendar, _CALENDARS.get(calendar or ""), end=f".{suffix}")
    return None


def _of_colon(before: str, behind: str) -> Listing:
    """Return the listing of LSE:VOD (TradingView, Google) and of VOD:LN or VOD:LSE."""
    if calendar := _beside_colon(before):
        return Listing(calendar, _CALENDARS.get(calendar), start=f"{before}:")
    if (code := behind.upper()) in _BLOOMBERG_CODES:
        return Listing(*LISTINGS[_BLOOMBERG_CODES[code]], end=f":{behind}")
    calendar = _beside_colon(behind)
    return Listing(calendar, _CALENDARS.get(calendar or ""), end=f":{behind}")


def _beside_colon(name: str) -> str | None:
    return exchange_calendar(name) or _BESIDE_COLON.get(name.upper())


def option_among(symbols: Iterable[str]) -> str | None:
    """Return a symbol that is an option's by OCC's way: AAPL210618C00090000, also behind O:."""
    return next((symbol for symbol in symbols if _OPTION.fullmatch(symbol.strip())), None)


def venue_marks(symbols: Iterable[str], calendar: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the starts and ends of the symbols that say no more than the calendar does.

    The id begins with the market: XLON.VOD is VOD.L, and US.AAPL is AAPL.US of one vendor and AAPL
    of another. Where vendors have several suffixes for one calendar (600000.SS and 000001.SZ) the
    suffix tells listings apart, and stays.
    """
    written = {name for s in symbols for name in (s.strip(), s.strip().upper())}
    found = [listing for name in written if (listing := listing_of(name)) is not None]
    same = [each for each in found if each.calendar == calendar]
    kept = calendar in _TWO_EXCHANGES
    starts, ends = ({getattr(each, mark) for each in same} - {""} for mark in ("start", "end"))
    return ((), ()) if kept else (tuple(sorted(starts)), tuple(sorted(ends)))


def is_bloomberg(name: str) -> bool:
    """Return whether a name is a share as Bloomberg writes it: AAPL US Equity."""
    return name.strip().lower().endswith(" equity") and listing_of(name.strip()) is not None


def exchange_calendar(exchange: str | None) -> str | None:
    """Return the calendar of an exchange by one of its names; None where it is not known."""
    name = (exchange or "").strip().upper()
    return EXCHANGES.get(name) or (name if name in {*_CALENDARS, "CMES"} else None)
