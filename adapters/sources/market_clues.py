"""What symbols, exchange names and trading days say about the market that a file is of."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from features import calendars

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
    "NYSE": ("XNYS", "USD"), "OQ": ("XNYS", "USD"),
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
_BLOOMBERG = re.compile(r"(\S{1,12})( ([A-Z]{2}) Equity)", re.IGNORECASE)
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
EXCHANGE_NAMES = frozenset({*EXCHANGES, *(calendar for calendar, _ in LISTINGS.values())})
CURRENCY_OF: dict[str, str | None] = dict(LISTINGS.values()) | {
    "XNYS": "USD", "CMES": "USD",
}  # fmt: skip
_HUNDREDTHS_OF = {"XLON": ("GBP", "GBX"), "XJSE": ("ZAR", "ZAC"), "XTAE": ("ILS", "ILA")}

_FIAT = (
    "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "SEK", "NOK", "DKK", "PLN", "CZK",
    "HUF", "TRY", "ZAR", "MXN", "SGD", "HKD", "CNH", "CNY", "INR", "KRW", "THB", "ILS", "BRL",
)  # fmt: skip
_METALS = ("XAU", "XAG", "XPT", "XPD")
_COINS = (
    "BTC", "XBT", "ETH", "XRP", "LTC", "BCH", "ADA", "DOT", "SOL", "DOGE", "AVAX", "MATIC",
    "LINK", "UNI", "ATOM", "XLM", "TRX", "EOS", "XMR", "ETC", "NEO", "DASH", "ZEC", "BNB",
    "ALGO", "FIL", "AAVE", "NEAR", "APT", "ARB", "OP", "SHIB", "TON", "SUI",
)  # fmt: skip
_STABLE = ("USDT", "USDC", "BUSD", "TUSD", "DAI", "USDE", "FDUSD")
# EUR_USD and BTC_USDT, of which a file's name would else be read up to the line.
PAIR_NAMES = (
    rf"(?:{'|'.join((*_FIAT, *_METALS, *_COINS, *_STABLE))})_(?:{'|'.join((*_STABLE, *_FIAT))})"
)
_PAIR = re.compile(r"^([A-Z0-9]{2,10})[/_\-]?(" + "|".join([*_STABLE, *_FIAT, *_COINS]) + ")$")

# Units of the underlying that one contract stands for (CME Group's contract specifications).
FUTURES = {
    "ES": "50", "MES": "5", "NQ": "20", "MNQ": "2", "RTY": "50", "M2K": "5", "YM": "5",
    "MYM": "0.5", "EMD": "100", "NKD": "5",
    "CL": "1000", "MCL": "100", "BZ": "1000", "NG": "10000", "HO": "42000", "RB": "42000",
    "GC": "100", "MGC": "10", "SI": "5000", "SIL": "1000", "HG": "25000", "PL": "50", "PA": "100",
    "ZB": "1000", "UB": "1000", "ZN": "1000", "TN": "1000", "ZF": "1000", "ZT": "2000",
    "ZQ": "4167", "SR3": "2500",
    # Grains, oilseeds and livestock are quoted in cents, so that these are dollars a cent.
    "ZC": "50", "ZS": "50", "ZW": "50", "KE": "50", "ZO": "50", "ZL": "600", "ZM": "100",
    "LE": "400", "HE": "400", "GF": "500",
    "6E": "125000", "6J": "12500000", "6B": "62500", "6A": "100000", "6C": "100000",
    "6S": "125000", "6N": "100000", "6M": "500000",
}  # fmt: skip
# A month's contract (CLH20, CL-2020H), or one that rolls on, as Yahoo, TradingView, Refinitiv,
# Databento, IQFeed, Norgate and Bloomberg name it.
_CONTRACT = re.compile(
    r"^[@&/]?([A-Z0-9]{1,3}?)(?:=F|-?[FGHJKMNQUVXZ]\d{1,2}|-?\d{4}[FGHJKMNQUVXZ]|\d!|C\d{1,2}"
    r"|\.[CVN]\.\d|#C?|_CCB|(?: ?\d)?(?= COMDTY$)|\d(?= INDEX$))(?: COMDTY| INDEX)?$"
)
# What no share is named, whatever the contract is of.
_FUTURE_MARKS = re.compile(r"\d!$| COMDTY$|^[@&/][A-Z0-9]")
# An index as Yahoo and Stooq (^GSPC) and Bloomberg (SPX Index) name it: nobody can buy one.
_INDEX_MARKS = re.compile(r"^\^[A-Z0-9]| INDEX$")
_CURRENCY_MARK = " CURNCY"

# Exchanges whose closed days are compared with the days of a file, the usual one apart.
_COMPARED = (
    "XLON", "XETR", "XPAR", "XTKS", "XHKG", "XSWX", "XASX", "XTSE", "XSTO", "XKRX", "XSHG",
    "XBOM", "BVMF", "XMIL", "XMAD", "XJSE", "XTAE", "CMES", "24/5",
)  # fmt: skip
_USUAL = "XNYS"
_PREFIXES = {"fx": "FX.", "crypto": "CRYPTO.", "future": "FUT.", "index": "IDX."}
_DAYS_MAX = 800  # the newest ones: three years tell, and a calendar is costly to build
_DAYS_MIN = 120  # fewer days have too few holidays among them to tell exchanges apart
_SURE_SHARE, _FIT_SHARE = 0.004, 0.01
_MARGIN_DAYS = 2
_STRAY_DAYS, _STRAY_SHARE = 60, 0.98  # so far from all others, and so many are those
_WEEKEND_SHARE = 0.2  # of the days: two of seven where a market never rests


@dataclass(frozen=True, slots=True)
class Clue:
    """What is known of a symbol's market; None is not known."""

    calendar: str | None = None
    currency: str | None = None
    asset_class: str = "equity"
    multiplier: str | None = None

    @property
    def prefix(self) -> str:
        """How the ids of this market begin."""
        if self.asset_class in _PREFIXES:
            return _PREFIXES[self.asset_class]
        return "US." if self.calendar in (None, _USUAL) else f"{self.calendar}."


def clue_of(symbol: str, exchange: str | None = None) -> Clue:
    """Return what a symbol and the name of its exchange say."""
    name = symbol.strip().upper()
    if (contract := _CONTRACT.match(name)) and contract[1] in FUTURES:
        return Clue("CMES", "USD", "future", FUTURES[contract[1]])
    if _FUTURE_MARKS.search(name):
        if multiplier := FUTURES.get(name[1:]):
            return Clue("CMES", "USD", "future", multiplier)
        return Clue(_exchange_calendar(exchange), None, "future")
    if _INDEX_MARKS.search(name):
        return Clue(_exchange_calendar(exchange), None, "index")
    pair = _PAIR.match(name.removesuffix(_CURRENCY_MARK))
    if pair and pair[1] in (*_FIAT, *_METALS) and pair[2] in _FIAT:
        return Clue("24/5", pair[2], "fx")
    if pair and (pair[1] in (*_COINS, *_STABLE) or pair[2] in _STABLE):
        return Clue("24/7", pair[2], "crypto")
    calendar = _exchange_calendar(exchange)
    suffix, _ = _listing(name)
    if suffix is not None:
        listed, currency = LISTINGS[suffix]
        return Clue(calendar or listed, currency)
    if calendar == "24/7":
        return Clue(calendar, pair[2] if pair else None, "crypto")
    return Clue(calendar, CURRENCY_OF.get(calendar) if calendar else None)


def venue_endings(symbols: Iterable[str], calendar: str) -> tuple[str, ...]:
    """Return the endings of the symbols that say no more than the calendar does, as ".L" of VOD.L.

    The id begins with the market: XLON.VOD is VOD.L, and US.AAPL is AAPL.US of one vendor and AAPL
    of another. Where vendors have several suffixes for one calendar (600000.SS and 000001.SZ) the
    suffix tells listings apart, and stays.
    """
    found: dict[str, str] = {}
    for symbol in symbols:
        for name in (symbol.strip(), symbol.strip().upper()):  # as written, and as it is looked up
            suffix, ending = _listing(name)
            if suffix is not None:
                found[ending] = suffix
    return tuple(
        ending
        for ending, suffix in sorted(found.items())
        if LISTINGS[suffix][0] == calendar and calendar not in _TWO_EXCHANGES
    )


def is_bloomberg(name: str) -> bool:
    """Return whether a name is a share as Bloomberg writes it: AAPL US Equity."""
    return _listing(name.strip())[1].lower().endswith(" equity")


def _listing(name: str) -> tuple[str | None, str]:
    """Return the suffix that names a listing, and how it is written at the name's end.

    BAC.PR.L is a preferred share, not of London.
    """
    if (written := _BLOOMBERG.fullmatch(name)) and written[3].upper() in _BLOOMBERG_CODES:
        return _BLOOMBERG_CODES[written[3].upper()], written[2]
    head, _, suffix = name.rpartition(".")
    if head and suffix in LISTINGS and not head.endswith((".PR", ".PRF")):
        return suffix, f".{suffix}"
    return None, ""


def _exchange_calendar(exchange: str | None) -> str | None:
    name = (exchange or "").strip().upper()
    known = (*LISTINGS.values(), (_USUAL, "USD"), ("CMES", "USD"))
    return EXCHANGES.get(name) or next((c for c, _ in known if c == name), None)


@dataclass(frozen=True, slots=True)
class DaysFit:
    """The calendar that days are of, or those that fit them as well as each other."""

    name: str | None
    candidates: tuple[str, ...] = ()


def calendar_of_days(days: Sequence[date]) -> DaysFit:
    """Return the one calendar that the days (ascending) are of, where that is to be seen.

    Markets that never rest show on weekends, exchanges in the holidays that they keep. The usual
    exchange needs no more than days that are all its own. Raises ValueError where no day lies in
    the years whose sessions are known.
    """
    if not days:
        return DaysFit(None)
    first, last = calendars.FIRST_DAY, calendars.LAST_DAY
    known = [day for day in days if first <= day <= last]
    if not known:
        raise ValueError(f"days must lie in {first} to {last}, were {days[0]} to {days[-1]}")
    days = _without_strays(known)[-_DAYS_MAX:]
    weekend = sum(day.weekday() >= 5 for day in days) / len(days)
    if weekend > _WEEKEND_SHARE:
        return DaysFit("24/7")
    closed, missed = _mismatches(days, _USUAL)
    usual = len(closed) + len(missed)
    few = len(days) < _DAYS_MIN
    if (few and not closed) or usual <= _SURE_SHARE * len(days):
        return DaysFit(_USUAL)
    if few:
        return DaysFit(None)
    ranked = sorted((sum(map(len, _mismatches(days, name))), name) for name in _COMPARED)
    best = ranked[0][0]
    fitting = usual <= _FIT_SHARE * len(days)
    if best + _MARGIN_DAYS > usual:
        return DaysFit(_USUAL if fitting or not closed else None)
    near = tuple(name for count, name in ranked if count < best + _MARGIN_DAYS)
    if best > _FIT_SHARE * len(days):
        return DaysFit(None)
    return DaysFit(near[0]) if len(near) == 1 else DaysFit(None, near)


def _without_strays(days: Sequence[date]) -> Sequence[date]:
    """Return the days without those that stand alone: a wrong stamp years off is of no session."""
    wide = [i for i, (a, b) in enumerate(pairwise(days), 1) if (b - a).days > _STRAY_DAYS]
    edges = [0, *wide, len(days)]
    begin, end = max(pairwise(edges), key=lambda span: span[1] - span[0])
    return days[begin:end] if end - begin >= _STRAY_SHARE * len(days) else days


def _mismatches(days: Sequence[date], calendar: str) -> tuple[set[date], set[date]]:
    """Return the days on which the calendar is closed, and its sessions that have no day."""
    present = set(days)
    first, last = max(min(present), calendars.FIRST_DAY), min(max(present), calendars.LAST_DAY)
    table = calendars.sessions(calendar, first, last + timedelta(days=1))["session"]
    opened = set(table.to_list())
    return {d for d in present if d not in opened}, opened - present


def currency_question(calendar: str) -> str:
    """Return what to ask where a currency is not known."""
    if calendar in _HUNDREDTHS_OF:
        whole, hundredth = _HUNDREDTHS_OF[calendar]
        return (
            f"in which unit are the prices of {calendar}? write --currency {whole}, or "
            f"--currency {hundredth} where they are in hundredths"
        )
    return "in which currency are the prices? write --currency USD or another"
