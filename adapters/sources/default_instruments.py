"""The instruments of the default data: identities, the tickers they bore, and where they trade."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache

import polars as pl

from features.schemas import INSTRUMENTS

SOURCE = "default/instruments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One instrument under one ticker."""

    instrument_id: str
    ticker: str
    name: str
    asset_class: str = "equity"
    currency: str = "USD"
    venue: str = "XNYS"
    calendar: str = "XNYS"
    sector: str | None = None
    price_increment: str = "0.01"
    size_increment: str = "1"
    multiplier: str = "1"
    valid_from: date = date(1985, 1, 1)
    valid_to: date | None = None
    source: str = SOURCE


# ticker: name, venue, sector (GICS)
_STOCKS: dict[str, tuple[str, str, str]] = {
    "AAPL": ("Apple", "XNAS", "Information Technology"),
    "AMD": ("Advanced Micro Devices", "XNAS", "Information Technology"),
    "AMZN": ("Amazon.com", "XNAS", "Consumer Discretionary"),
    "BAC": ("Bank of America", "XNYS", "Financials"),
    "BBY": ("Best Buy", "XNYS", "Consumer Discretionary"),
    "CVX": ("Chevron", "XNYS", "Energy"),
    "GE": ("General Electric", "XNYS", "Industrials"),
    "HD": ("Home Depot", "XNYS", "Consumer Discretionary"),
    "IBM": ("International Business Machines", "XNYS", "Information Technology"),
    "JNJ": ("Johnson & Johnson", "XNYS", "Health Care"),
    "JPM": ("JPMorgan Chase", "XNYS", "Financials"),
    "KO": ("Coca-Cola", "XNYS", "Consumer Staples"),
    "LLY": ("Eli Lilly", "XNYS", "Health Care"),
    "MRK": ("Merck", "XNYS", "Health Care"),
    "MSFT": ("Microsoft", "XNAS", "Information Technology"),
    "NFLX": ("Netflix", "XNAS", "Communication Services"),
    "NVDA": ("NVIDIA", "XNAS", "Information Technology"),
    "PEP": ("PepsiCo", "XNAS", "Consumer Staples"),
    "PFE": ("Pfizer", "XNYS", "Health Care"),
    "PG": ("Procter & Gamble", "XNYS", "Consumer Staples"),
    "RRC": ("Range Resources", "XNYS", "Energy"),
    "UNH": ("UnitedHealth Group", "XNYS", "Health Care"),
    "WMT": ("Walmart", "XNYS", "Consumer Staples"),
    "XOM": ("Exxon Mobil", "XNYS", "Energy"),
}

_ETFS: dict[str, str] = {
    "MTUM": "iShares MSCI USA Momentum Factor ETF",
    "QUAL": "iShares MSCI USA Quality Factor ETF",
    "SIZE": "iShares MSCI USA Size Factor ETF",
    "USMV": "iShares MSCI USA Min Vol Factor ETF",
    "VLUE": "iShares MSCI USA Value Factor ETF",
}

# Every currency that the ECB has quoted against the euro since 1999.
CURRENCIES = (
    "AUD", "BGN", "BRL", "CAD", "CHF", "CNY", "CYP", "CZK", "DKK", "EEK", "GBP", "HKD", "HRK",
    "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KRW", "LTL", "LVL", "MTL", "MXN", "MYR", "NOK",
    "NZD", "PHP", "PLN", "ROL", "RON", "RUB", "SEK", "SGD", "SIT", "SKK", "THB", "TRL", "TRY",
    "USD", "ZAR",
)  # fmt: skip

_META = Listing(
    instrument_id="US.META",
    ticker="META",
    name="Meta Platforms",
    venue="XNAS",
    sector="Communication Services",
    valid_from=date(2022, 6, 9),
)

# One ticker, two companies' shares: GOOG was the class A share until 2014-04-03.
_ALPHABET_A = Listing(
    instrument_id="US.GOOGL",
    ticker="GOOGL",
    name="Alphabet class A",
    venue="XNAS",
    sector="Communication Services",
    valid_from=date(2014, 4, 3),
)

_FIXED = (
    _META,
    Listing(
        instrument_id="US.META",
        ticker="FB",
        name="Facebook",
        venue="XNAS",
        sector="Communication Services",
        valid_from=date(2012, 5, 18),
        valid_to=date(2022, 6, 9),
    ),
    _ALPHABET_A,
    Listing(
        instrument_id="US.GOOGL",
        ticker="GOOG",
        name="Google class A",
        venue="XNAS",
        sector="Communication Services",
        valid_from=date(2004, 8, 19),
        valid_to=date(2014, 4, 3),
    ),
    Listing(
        instrument_id="US.GOOG",
        ticker="GOOG",
        name="Alphabet class C",
        venue="XNAS",
        sector="Communication Services",
        valid_from=date(2014, 4, 3),
    ),
    Listing(
        instrument_id="IDX.SP500",
        ticker="SP500",
        name="S&P 500",
        asset_class="index",
        venue="XCBO",
    ),
    Listing(
        instrument_id="FUT.ES",
        ticker="ES",
        name="E-mini S&P 500, front month",
        asset_class="future",
        venue="XCME",
        calendar="CMES",
        price_increment="0.25",
        multiplier="50",
    ),
)


def _currency_pairs(currencies: Iterable[str]) -> list[Listing]:
    return [
        Listing(
            instrument_id=f"FX.EUR{currency}",
            ticker=f"EUR{currency}",
            name=f"{currency} for one euro, ECB reference rate",
            asset_class="fx",
            currency=currency,
            venue="ECB",
            calendar="TARGET",
            price_increment="0.0001",
            size_increment="0.01",
            valid_from=date(1999, 1, 4),
        )
        for currency in currencies
    ]


@cache
def instruments(currencies: tuple[str, ...]) -> pl.DataFrame:
    """Return the INSTRUMENTS rows of the default data, currency pairs against the euro included."""
    stocks = [
        Listing(instrument_id=f"US.{ticker}", ticker=ticker, name=name, venue=venue, sector=sector)
        for ticker, (name, venue, sector) in _STOCKS.items()
    ]
    etfs = [
        Listing(instrument_id=f"US.{t}", ticker=t, name=name, asset_class="etf", venue="BATS")
        for t, name in _ETFS.items()
    ]
    listings = [*stocks, *etfs, *_FIXED, *_currency_pairs(currencies)]
    rows = [{column: getattr(x, column) for column in INSTRUMENTS.columns} for x in listings]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return INSTRUMENTS.conform(frame).sort("instrument_id", "valid_from")
