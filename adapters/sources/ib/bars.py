"""Historical bars of Interactive Brokers as a source, piece by piece, finished ones only."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl
from ib_async import BarData, ContractDetails

from adapters.sources.ib.line import IbLine
from adapters.sources.ib.names import NamedContract, parse_contract
from features.calendars import utc, with_session_close
from features.schemas import BARS, INSTRUMENTS

_DAY = timedelta(days=1)
# Of each interval: the broker's word for it, its length, and how much is asked for at once.
_INTERVALS = {
    "1d": ("1 day", _DAY, "1 Y", timedelta(days=365)),
    "1h": ("1 hour", timedelta(hours=1), "1 M", timedelta(days=30)),
    "30m": ("30 mins", timedelta(minutes=30), "1 M", timedelta(days=30)),
    "5m": ("5 mins", timedelta(minutes=5), "1 W", timedelta(days=7)),
    "1m": ("1 min", timedelta(minutes=1), "2 D", timedelta(days=2)),
}
_AS_MIDDLE = ("CASH", "CFD")


@dataclass(frozen=True, slots=True, kw_only=True)
class IbBarSettings:
    """Which contracts (see `parse_contract`) in which interval; `regular` leaves out late hours."""

    contracts: tuple[str, ...]
    interval: str = "1d"
    regular: bool = True
    publication_lag: timedelta = timedelta(0)  # bars are told at once; a day's are corrected later

    def __post_init__(self) -> None:
        if not self.contracts:
            raise ValueError("contracts must name at least one, named none")
        if self.interval not in _INTERVALS:
            raise ValueError(f"interval must be one of {list(_INTERVALS)}, was {self.interval!r}")
        if self.publication_lag < timedelta(0):
            raise ValueError(f"publication_lag must be >= 0, was {self.publication_lag}")


class IbBarSource:
    """A `Source` of bars: adjusted for splits, as the broker gives them, never for dividends.

    event_time is the close of the bar; a bar is known `publication_lag` after it. A later split
    changes the past: the tables then hold a new version, known from when it was seen.
    """

    name = "ib_bars"
    tables = (BARS.name,)

    def __init__(
        self, settings: IbBarSettings, line: IbLine, clock: Callable[[], datetime]
    ) -> None:
        self._settings, self._line, self._clock = settings, line, clock
        self._named = [parse_contract(text) for text in settings.contracts]
        self._details: dict[str, ContractDetails] = {}

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the bars with start <= event_time < end that are over by now.

        Raises SourceUnavailableError, SourceRefusedError, and ValueError for another table.
        """
        if table != BARS.name:
            raise ValueError(f"table must be {BARS.name!r}, was {table!r}")
        until = min(utc(end), utc(self._clock()))
        parts = [self._bars(named, utc(start), until) for named in self._named]
        return pl.concat([BARS.empty(), *parts]).sort(*BARS.key)

    def instruments(self) -> pl.DataFrame:
        """Return the contracts as the broker describes them, with their price and size steps."""
        rows = [self._instrument(named) for named in self._named]
        return INSTRUMENTS.conform(pl.DataFrame(rows, infer_schema_length=None))

    def _detail(self, named: NamedContract) -> ContractDetails:
        if named.instrument_id not in self._details:
            self._details[named.instrument_id] = self._line.details(named.contract)
        return self._details[named.instrument_id]

    def _bars(self, named: NamedContract, start: datetime, until: datetime) -> pl.DataFrame:
        found: dict[datetime, BarData] = {}
        for piece_end in self._piece_ends(start, until):
            for bar in self._piece(named, piece_end):
                found[_moment(bar.date)] = bar
        return self._frame(named, found, start, until)

    def _piece_ends(self, start: datetime, until: datetime) -> Iterator[datetime]:
        """Yield where the pieces end, the newest first; the last one reaches back to the start."""
        length = _INTERVALS[self._settings.interval][3]
        at = until
        while at > start - length:
            yield at
            if at - length <= start - _DAY:
                return
            at -= length

    def _piece(self, named: NamedContract, end: datetime) -> list[BarData]:
        contract = self._detail(named).contract
        if contract is None:
            return []
        word, _, duration, _ = _INTERVALS[self._settings.interval]
        shown = "MIDPOINT" if contract.secType in _AS_MIDDLE else "TRADES"
        asked = f"bars {named.instrument_id} {word} {duration} to {end:%Y-%m-%d %H:%M:%S}"
        none: list[BarData] = []
        return self._line.ask(
            asked,
            named.instrument_id,
            lambda client: client.reqHistoricalDataAsync(
                contract,
                endDateTime=end,
                durationStr=duration,
                barSizeSetting=word,
                whatToShow=shown,
                useRTH=self._settings.regular,
                formatDate=2,
                timeout=0,
            ),
            none,
        )

    def _frame(
        self,
        named: NamedContract,
        found: dict[datetime, BarData],
        start: datetime,
        until: datetime,
    ) -> pl.DataFrame:
        if not found:
            return BARS.empty()
        prices = ("open", "high", "low", "close", "volume")
        rows = pl.DataFrame(
            [(at, *(float(getattr(bar, n)) for n in prices)) for at, bar in found.items()],
            schema={"starts": pl.Datetime("us", "UTC"), **dict.fromkeys(prices, pl.Float64())},
            orient="row",
        ).sort("starts")
        timed = self._timed(named, rows)
        inside = (pl.col("event_time") >= start) & (pl.col("event_time") < until)
        return BARS.conform(
            timed.filter(inside).with_columns(
                pl.when(pl.col("volume") >= 0).then(pl.col("volume")).alias("volume"),
                instrument_id=pl.lit(named.instrument_id),
                interval=pl.lit(self._settings.interval),
                knowledge_time=pl.col("event_time") + self._settings.publication_lag,
                adjustment=pl.lit("split"),
                currency=pl.lit(named.contract.currency),
                source=pl.lit(f"ib/{named.instrument_id}"),
                # No file holds the row: its start is its address at the broker.
                source_row=pl.col("starts").dt.epoch("s"),
            )
        )

    def _timed(self, named: NamedContract, rows: pl.DataFrame) -> pl.DataFrame:
        length = _INTERVALS[self._settings.interval][1]
        if length < _DAY:
            return rows.with_columns(event_time=pl.col("starts") + length)
        days = rows.with_columns(session=pl.col("starts").dt.date())
        return with_session_close(days, "session", named.calendar)

    def _instrument(self, named: NamedContract) -> dict[str, object]:
        details = self._detail(named)
        contract = details.contract or named.contract
        return {
            "instrument_id": named.instrument_id,
            "ticker": contract.localSymbol or contract.symbol,
            "name": details.longName or None,
            "asset_class": "etf" if details.stockType == "ETF" else named.asset_class,
            "currency": contract.currency,
            "venue": contract.primaryExchange or contract.exchange,
            "calendar": named.calendar,
            "sector": details.industry or None,
            "price_increment": _plain(details.minTick),
            "size_increment": _plain(float(details.sizeIncrement)),
            "multiplier": contract.multiplier or "1",
            "source": self.name,
        }


def _moment(at: datetime | date) -> datetime:
    """Return when a bar starts, in UTC; a day's bar is named by its date."""
    if isinstance(at, datetime):
        return at.astimezone(UTC)
    return datetime(at.year, at.month, at.day, tzinfo=UTC)


def _plain(number: float) -> str:
    return f"{number:.10f}".rstrip("0").rstrip(".") or "1"
