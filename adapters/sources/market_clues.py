"""What symbols, exchange names and trading days say about the market that a file is of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from adapters.sources.listed_names import LISTINGS, USUAL, exchange_calendar, listing_of
from features import calendars

CURRENCY_OF: dict[str, str | None] = dict(LISTINGS.values()) | {
    "XNYS": "USD", "CMES": "USD",
}  # fmt: skip
# Names of a hundredth of a currency, as vendors write them, and the currency.
HUNDREDTHS = {
    "GBX": "GBP", "GBp": "GBP", "GBXP": "GBP", "ZAC": "ZAR", "ZAc": "ZAR", "ILA": "ILS",
}  # fmt: skip
_HUNDREDTHS_OF = {"XLON": ("GBP", "GBX"), "XJSE": ("ZAR", "ZAC"), "XTAE": ("ILS", "ILA")}

_FIAT = (
    "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "SEK", "NOK", "DKK", "PLN", "CZK",
    "HUF", "TRY", "ZAR", "MXN", "SGD", "HKD", "CNH", "CNY", "INR", "KRW", "THB", "ILS", "BRL",
)  # fmt: skip
_METALS = ("XAU", "XAG", "XPT", "XPD")
COINS = (
    "BTC", "XBT", "ETH", "XRP", "LTC", "BCH", "ADA", "DOT", "SOL", "DOGE", "AVAX", "MATIC",
    "LINK", "UNI", "ATOM", "XLM", "TRX", "EOS", "XMR", "ETC", "NEO", "DASH", "ZEC", "BNB",
    "ALGO", "FIL", "AAVE", "NEAR", "APT", "ARB", "OP", "SHIB", "TON", "SUI",
)  # fmt: skip
_STABLE = ("USDT", "USDC", "BUSD", "TUSD", "DAI", "USDE", "FDUSD")
CURRENCY_CODES = frozenset({*_FIAT, *_STABLE})
# EUR_USD and BTC_USDT, of which a file's name would else be read up to the line.
PAIR_NAMES = (
    rf"(?:{'|'.join((*_FIAT, *_METALS, *COINS, *_STABLE))})_(?:{'|'.join((*_STABLE, *_FIAT))})"
)
_PAIR = re.compile(r"^([A-Z0-9]{2,10})[/_\-]?(" + "|".join([*_STABLE, *_FIAT, *COINS]) + ")$")

# Units of the underlying that one contract stands for (CME Group's contract specifications).
FUTURES = {
    "ES": "50", "MES": "5", "NQ": "20", "MNQ": "2", "RTY": "50", "M2K": "5", "YM": "5",
    "MYM": "0.5", "EMD": "100", "NKD": "5",
    "CL": "1000", "MCL": "100", "BZ": "1000", "NG": "10000", "HO": "42000", "RB": "42000",
    "GC": "100", "MGC": "10", "SI": "5000", "SIL": "1000", "HG": "25000", "PL": "50", "PA": "100",
    "ZB": "1000", "UB": "1000", "ZN": "1000", "TN": "1000", "ZF": "1000", "ZT": "2000",
    "ZQ": "4167", "SR3": "2500",
    "TY": "1000", "FV": "1000", "TU": "2000",  # of the notes, as other vendors name them
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
        return "US." if self.calendar in (None, USUAL) else f"{self.calendar}."


def clue_of(symbol: str, exchange: str | None = None) -> Clue:
    """Return what a symbol and the name of its exchange say."""
    listing = listing_of(symbol.strip().upper())
    name = symbol.strip().upper()
    if listing is not None and listing.start:
        name, exchange = name.removeprefix(listing.start), exchange or listing.calendar
    if (contract := _CONTRACT.match(name)) and contract[1] in FUTURES:
        return Clue("CMES", "USD", "future", FUTURES[contract[1]])
    if _FUTURE_MARKS.search(name):
        if multiplier := FUTURES.get(name[1:]):
            return Clue("CMES", "USD", "future", multiplier)
        return Clue(exchange_calendar(exchange), None, "future")
    if _INDEX_MARKS.search(name):
        return Clue(exchange_calendar(exchange), None, "index")
    pair = _PAIR.match(name.removesuffix(_CURRENCY_MARK))
    if pair and pair[1] in (*_FIAT, *_METALS) and pair[2] in _FIAT:
        return Clue("24/5", pair[2], "fx")
    if pair and (pair[1] in (*COINS, *_STABLE) or pair[2] in _STABLE):
        return Clue("24/7", pair[2], "crypto")
    calendar = exchange_calendar(exchange)
    if listing is not None and listing.calendar in CURRENCY_OF:
        return Clue(calendar or listing.calendar, listing.currency)
    if calendar == "24/7":
        return Clue(calendar, pair[2] if pair else None, "crypto")
    return Clue(calendar, CURRENCY_OF.get(calendar) if calendar else None)


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
    closed, missed = _mismatches(days, USUAL)
    usual = len(closed) + len(missed)
    few = len(days) < _DAYS_MIN
    if (few and not closed) or usual <= _SURE_SHARE * len(days):
        return DaysFit(USUAL)
    if few:
        return DaysFit(None)
    ranked = sorted((sum(map(len, _mismatches(days, name))), name) for name in _COMPARED)
    best = ranked[0][0]
    fitting = usual <= _FIT_SHARE * len(days)
    if best + _MARGIN_DAYS > usual:
        return DaysFit(USUAL if fitting or not closed else None)
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
