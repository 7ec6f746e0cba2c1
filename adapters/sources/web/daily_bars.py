"""Daily bars, dividends and splits of US stocks from Tiingo's end-of-day interface.

Interface: `tiingo/daily/<ticker>` (description) and `tiingo/daily/<ticker>/prices` (rows with raw
and adjusted prices, divCash and splitFactor), with the key in the Authorization header.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from adapters.sources.web.answers import days, numbers, records, text_frame
from adapters.sources.web.http import HttpClient, SourceRefusedError
from features.calendars import utc, with_session_close
from features.schemas import BARS, CORPORATE_ACTIONS, INSTRUMENTS

# Prices come at 17:30 in New York and are corrected until 20:00, four hours after the close.
PUBLICATION_LAG = timedelta(hours=4)
_PRICES = ("open", "high", "low", "close", "volume")
_ACTIONS = ("divCash", "splitFactor")
_VENUES = {"NYSE": "XNYS", "NASDAQ": "XNAS", "NYSE ARCA": "ARCX", "BATS": "BATS", "AMEX": "XASE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TiingoSettings:
    """Which tickers, with which key."""

    api_key: str
    tickers: tuple[str, ...]
    base_url: str = "https://api.tiingo.com"

    def __post_init__(self) -> None:
        bad = [t for t in self.tickers if not t or not t.replace("-", "").isalnum()]
        if bad or not self.tickers:
            raise ValueError(f"tickers must be letters, digits and hyphens, was {self.tickers}")


class TiingoSource:
    """A `Source` of unadjusted daily bars and of the actions that adjust them."""

    name = "tiingo"
    tables = (BARS.name, CORPORATE_ACTIONS.name)

    def __init__(self, settings: TiingoSettings, client: HttpClient) -> None:
        self._settings = settings
        self._client = client

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the rows with start <= event_time < end.

        Raises SourceUnavailableError, SourceRefusedError (unknown ticker, bad key), ValueError.
        """
        make = {BARS.name: _bars, CORPORATE_ACTIONS.name: _actions}.get(table)
        if make is None:
            raise ValueError(f"table must be one of {self.tables}, was {table!r}")
        schema = BARS if table == BARS.name else CORPORATE_ACTIONS
        parts = [make(self._prices(t, utc(start), utc(end)), t) for t in self._settings.tickers]
        rows = pl.concat([schema.empty(), *(schema.conform(part) for part in parts)])
        inside = (pl.col("event_time") >= utc(start)) & (pl.col("event_time") < utc(end))
        return rows.filter(inside).sort(*schema.key)

    def instruments(self) -> pl.DataFrame:
        """Return the tickers' descriptions; a ticker is valid from its first day of prices."""
        rows = [self._description(ticker) for ticker in self._settings.tickers]
        return INSTRUMENTS.conform(pl.DataFrame(rows, infer_schema_length=None))

    def _prices(self, ticker: str, start: datetime, end: datetime) -> pl.DataFrame:
        params = {
            "startDate": start.date().isoformat(),
            "endDate": end.date().isoformat(),
            "format": "json",
        }
        what = f"prices of {ticker}"
        rows = records(self._ask(f"tiingo/daily/{ticker}/prices", params), what)
        frame = text_frame(rows, ("date", *_PRICES, *_ACTIONS), what)
        # "2019-01-02T00:00:00.000Z" names the session, not a moment.
        named = frame.with_columns(pl.col("date").str.head(10)).with_row_index("source_row")
        typed = numbers(days(named, ("date",), what), (*_PRICES, *_ACTIONS), what)
        timed = with_session_close(typed, "date", "XNYS")
        return timed.with_columns(knowledge_time=pl.col("event_time") + PUBLICATION_LAG)

    def _description(self, ticker: str) -> dict[str, object]:
        answer = self._ask(f"tiingo/daily/{ticker}", {})
        if not isinstance(answer, dict):
            raise SourceRefusedError(f"{ticker} must be described, was {str(answer)[:200]}")
        begin = answer.get("startDate")
        return {
            "instrument_id": f"US.{ticker.upper()}",
            "ticker": ticker.upper(),
            "valid_from": date.fromisoformat(str(begin)[:10]) if begin else None,
            "name": answer.get("name"),
            "asset_class": "equity",
            "currency": "USD",
            "venue": _VENUES.get(str(answer.get("exchangeCode"))),
            "calendar": "XNYS",
            "price_increment": "0.01",
            "size_increment": "1",
            "source": "tiingo",
        }

    def _ask(self, path: str, params: Mapping[str, str | int]) -> object:
        headers = {"Authorization": f"Token {self._settings.api_key}"}
        return self._client.get_json(f"{self._settings.base_url}/{path}", params, headers)


def _bars(prices: pl.DataFrame, ticker: str) -> pl.DataFrame:
    return prices.with_columns(
        instrument_id=pl.lit(f"US.{ticker.upper()}"),
        interval=pl.lit("1d"),
        adjustment=pl.lit("raw"),
        currency=pl.lit("USD"),
        source=pl.lit(f"tiingo/{ticker.upper()}"),
    )


def _actions(prices: pl.DataFrame, ticker: str) -> pl.DataFrame:
    named = prices.with_columns(
        instrument_id=pl.lit(f"US.{ticker.upper()}"),
        currency=pl.lit("USD"),
        source=pl.lit(f"tiingo/{ticker.upper()}"),
    )
    no_number = pl.lit(None, dtype=pl.Float64)
    dividends = named.filter(pl.col("divCash") > 0).with_columns(
        kind=pl.lit("dividend"), amount=pl.col("divCash"), ratio=no_number
    )
    splits = named.filter(pl.col("splitFactor") != 1).with_columns(
        kind=pl.lit("split"), amount=no_number, ratio=pl.col("splitFactor")
    )
    return pl.concat([dividends, splits])
