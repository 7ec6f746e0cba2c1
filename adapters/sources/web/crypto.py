"""Bars of crypto exchanges through ccxt, page by page, finished bars only."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import ccxt
import polars as pl
import tenacity

from adapters.sources.web.http import SourceRefusedError, SourceUnavailableError
from features.calendars import utc
from features.schemas import BARS, INSTRUMENTS, QUARANTINE_COLUMNS

_log = logging.getLogger(__name__)
_ATTEMPTS = 4
# No coin was traded before the first block of the first of them; exchanges refuse older moments.
_FIRST_MS = int(datetime(2009, 1, 3, tzinfo=UTC).timestamp() * 1000)
_DAY_MS = 86_400_000
_FIELDS = 6  # start, open, high, low, close, volume
_WAIT_FIRST_S, _WAIT_LONGEST_S = 0.5, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CryptoSettings:
    """Which symbols ("BTC/USDT", ccxt's unified names) in which timeframe ("1d", "1h", "1m").

    Asked backwards, an exchange may have nothing for `gap_days_max` days, and a page at least,
    before what is older is taken not to be there.
    """

    symbols: tuple[str, ...]
    timeframe: str = "1d"
    page_size: int = 500
    pages_max: int = 100_000  # a loop that no answer can make endless
    gap_days_max: int = 30

    def __post_init__(self) -> None:
        if not self.symbols or not all("/" in symbol for symbol in self.symbols):
            raise ValueError(f'symbols must be names like "BTC/USDT", was {self.symbols}')
        if not 1 <= self.page_size <= 5_000:
            raise ValueError(f"page_size must lie within 1 to 5000, was {self.page_size}")
        if not 0 <= self.gap_days_max <= 10_000:
            raise ValueError(f"gap_days_max must lie within 0 to 10000, was {self.gap_days_max}")
        if not re.fullmatch(r"[1-9]\d*[smhdw]", self.timeframe):
            raise ValueError(
                'timeframe must be of one length, such as "1d", "1h" or "1m", was '
                f"{self.timeframe!r}"
            )


class CryptoSource:
    """A `Source` of one exchange's bars; ccxt keeps the exchange's rate limit.

    `clock` returns the present: a bar that is not over by then is left out. The ids are
    "CRYPTO.<EXCHANGE>.<BASE><QUOTE>".
    """

    tables = (BARS.name,)

    def __init__(
        self,
        exchange: ccxt.Exchange,
        settings: CryptoSettings,
        clock: Callable[[], datetime],
        *,
        wait_first_s: float = _WAIT_FIRST_S,
    ) -> None:
        exchange.enableRateLimit = True
        self._exchange = exchange
        self._settings = settings
        self._clock = clock
        self._wait_first_s = wait_first_s
        self._untold: dict[str, str] = {}
        self._step_ms = int(ccxt.Exchange.parse_timeframe(settings.timeframe)) * 1000

    @property
    def name(self) -> str:
        """The exchange, as ccxt calls it."""
        return f"crypto/{self._exchange.id}"

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the bars with start <= event_time (their end) < end.

        Raises SourceUnavailableError after the last attempt, SourceRefusedError where the exchange
        refuses, ValueError for another table.
        """
        if table != BARS.name:
            raise ValueError(f"table must be {BARS.name!r}, was {table!r}")
        parts = [self._bars(symbol, utc(start), utc(end)) for symbol in self._settings.symbols]
        return pl.concat([BARS.empty(), *parts]).sort(*BARS.key)

    def instruments(self) -> pl.DataFrame:
        """Return the symbols with the increments that the exchange states."""
        self._call(self._exchange.load_markets)
        rows = [self._instrument(symbol) for symbol in self._settings.symbols]
        return INSTRUMENTS.conform(pl.DataFrame(rows, infer_schema_length=None))

    def rejected(self, table: str | None = None) -> pl.DataFrame:
        """Return no row: a bar that cannot be read is refused with all of its answer."""
        del table
        return pl.DataFrame(schema=QUARANTINE_COLUMNS)

    def left_out(self, table: str | None = None) -> tuple[str, ...]:
        """Return a line for each symbol whose older bars the exchange did not give when asked."""
        return tuple(self._untold.values()) if table in {None, BARS.name} else ()

    def _bars(self, symbol: str, start: datetime, end: datetime) -> pl.DataFrame:
        first_ms = max(_ms(start) - self._step_ms, _FIRST_MS)
        last_ms = min(_ms(end) - 1, _ms(utc(self._clock())))
        rows: dict[int, list[Any]] = {}
        since_ms = first_ms
        self._untold.pop(symbol, None)
        for _ in range(self._settings.pages_max):
            if since_ms + self._step_ms > last_ms:
                return self._frame(symbol, rows, first_ms, last_ms)
            page = self._page(symbol, since_ms)
            if not rows and self._is_the_newest(symbol, page, since_ms, last_ms):
                rows |= self._backwards(symbol, page, since_ms)
            fresh = {int(row[0]): row for row in page if int(row[0]) >= since_ms}
            rows |= fresh
            # Exchanges that answer for a span alone have nothing to say of a gap, or of the time
            # before a listing: the bars behind it are still to be asked for.
            span_ms = self._settings.page_size * self._step_ms
            since_ms = max(fresh) + 1 if fresh else since_ms + span_ms
        raise SourceRefusedError(
            f"{symbol} of {self.name} must end within {self._settings.pages_max} pages, did not"
        )

    def _is_the_newest(
        self, symbol: str, page: list[list[Any]], since_ms: int, last_ms: int
    ) -> bool:
        """Return whether an exchange gave its newest bars in place of those that were asked for.

        Some heed no `since`, some only within their newest bars (Kraken's 720). A page that begins
        later than asked and reaches the present is either that or the life of a young listing:
        the first is as long as a page can be, or comes again when its second half is asked for.
        """
        starts = [int(row[0]) for row in page]
        present = min(last_ms, _ms(utc(self._clock()))) - 2 * self._step_ms
        if not starts or min(starts) <= since_ms + self._step_ms or max(starts) < present:
            return False
        if len(starts) >= min(self._settings.page_size, self._longest_page()):
            return True
        middle = (min(starts) + max(starts)) // 2
        return any(int(row[0]) < middle for row in self._page(symbol, middle))

    def _longest_page(self) -> int:
        """Return how many bars the exchange gives at once, as ccxt documents it."""
        spot: dict[str, Any] = (self._exchange.features or {}).get("spot") or {}
        limit = (spot.get("fetchOHLCV") or {}).get("limit")
        return limit if isinstance(limit, int) and limit > 0 else self._settings.page_size

    def _backwards(
        self, symbol: str, newest: list[list[Any]], first_ms: int
    ) -> dict[int, list[Any]]:
        """Return the bars before the newest page, asked for by `until`; what is not had is told.

        Exchanges that answer for a span alone have nothing to say of a gap: what is before it is
        asked for as well, up to the longest gap that the settings allow.
        """
        rows = {int(row[0]): row for row in newest}
        before_ms = min(rows)
        span_ms = self._settings.page_size * self._step_ms
        gap_ms = self._settings.gap_days_max * _DAY_MS
        for _ in range(self._settings.pages_max):
            oldest, since_ms = min(rows), max(first_ms, before_ms - span_ms)
            page = self._page(symbol, since_ms, before_ms - 1)
            older = {int(row[0]): row for row in page if int(row[0]) < oldest}
            rows |= older
            before_ms = min(older, default=since_ms)
            if page and not older:  # the same page again: neither since nor until is heeded
                why = "cannot be had, the exchange gives its newest ones whatever is asked for"
                self._leave_out(symbol, oldest, why)
                return rows
            if before_ms <= first_ms:
                return rows
            if oldest - before_ms > gap_ms and not older:
                empty_days = (oldest - before_ms) // _DAY_MS
                self._leave_out(symbol, oldest, f"are not there for {empty_days} days, older ones "
                                "were not asked for (gap_days_max)")  # fmt: skip
                return rows
        raise SourceRefusedError(
            f"{symbol} of {self.name} must begin within {self._settings.pages_max} pages, did not"
        )

    def _leave_out(self, symbol: str, oldest_ms: int, why: str) -> None:
        day = datetime.fromtimestamp(oldest_ms / 1000, UTC)
        self._untold[symbol] = f"{symbol} of {self.name}: bars before {day:%Y-%m-%d %H:%M} {why}"
        _log.warning(self._untold[symbol])

    def _page(self, symbol: str, since_ms: int, until_ms: int | None = None) -> list[list[Any]]:
        until = [] if until_ms is None else [{"until": until_ms}]
        page = self._call(
            self._exchange.fetch_ohlcv, symbol, self._settings.timeframe, since_ms,
            self._settings.page_size, *until,
        )  # fmt: skip
        for row in page:
            if (
                len(row) < _FIELDS
                or row[0] is None
                or not all(_is_number(value) for value in row[:_FIELDS])
            ):
                raise SourceRefusedError(
                    f"a bar of {symbol} must be its start and five numbers, was {str(row)[:200]}"
                )
        return page

    def _frame(
        self, symbol: str, rows: dict[int, list[Any]], first_ms: int, last_ms: int
    ) -> pl.DataFrame:
        names = ("open", "high", "low", "close", "volume")
        finished = {t: r for t, r in rows.items() if first_ms <= t <= last_ms - self._step_ms}
        frame = pl.DataFrame(
            [
                (t, *(None if v is None else float(v) for v in row[1:6]))
                for t, row in finished.items()
            ],
            schema={"start_ms": pl.Int64(), **dict.fromkeys(names, pl.Float64())},
            orient="row",
        )
        end_us = (pl.col("start_ms") + self._step_ms) * 1000
        quote = symbol.partition("/")[2].partition(":")[0]
        timed = frame.with_columns(
            event_time=end_us.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        )
        return BARS.conform(
            timed.with_columns(
                instrument_id=pl.lit(self._id(symbol)),
                interval=pl.lit(self._settings.timeframe),
                knowledge_time=pl.col("event_time"),
                adjustment=pl.lit("raw"),
                currency=pl.lit(quote),
                source=pl.lit(f"{self.name}/{symbol}"),
                # No file holds the row: the bar's own start is its address at the exchange.
                source_row=pl.col("start_ms"),
            )
        )

    def _id(self, symbol: str) -> str:
        return f"CRYPTO.{self._exchange.id.upper()}.{symbol.replace('/', '').partition(':')[0]}"

    def _instrument(self, symbol: str) -> dict[str, object]:
        try:
            market = self._exchange.market(symbol)
        except ccxt.BadSymbol as error:
            raise SourceRefusedError(
                f"{symbol} must be a market of {self.name}, was not"
            ) from error
        precision = market.get("precision") or {}
        return {
            "instrument_id": self._id(symbol),
            "ticker": symbol,
            "asset_class": "crypto",
            "currency": market["quote"],
            "venue": self._exchange.id.upper(),
            "calendar": "24/7",
            "price_increment": _decimal(precision.get("price")),
            "size_increment": _decimal(precision.get("amount")),
            "source": self.name,
        }

    def _call(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Call ccxt; network trouble and rate limits are tried again, refusals are not."""
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=self._wait_first_s, max=_WAIT_LONGEST_S),
            retry=tenacity.retry_if_exception_type(ccxt.NetworkError),
            reraise=True,
        )
        try:
            return retrying(function, *arguments)
        except ccxt.NetworkError as error:
            raise SourceUnavailableError(
                f"{self.name} must answer within {_ATTEMPTS} attempts, did not: {_line(error)}"
            ) from error
        except ccxt.BaseError as error:
            raise SourceRefusedError(
                f"{self.name} must accept the request, did not: {_line(error)}"
            ) from error


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _decimal(value: object) -> str | None:
    return None if value is None else format(float(str(value)), ".12f").rstrip("0").rstrip(".")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
