"""What a home's tables say of its market: instruments, and bars to be told again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl

from adapters.feeds.bar_file import bars_of_rows
from adapters.stores.tables_delta import DeltaTableStore
from features import series
from features.session_actions import chosen_actions, unadjusted
from features.session_bars import Market, session_bars
from swarm_core.instruments import Instrument
from swarm_core.market import Bar

_SEEN = timedelta(days=760)  # how far back a series must have shown itself
_FIRST, _LAST = date(1985, 1, 1), date(2040, 12, 31)


class MarketTables:
    """Reads the tables that the control plane wrote; raises ValueError where one is not there."""

    def __init__(
        self,
        home: Path,
        market: Market,
        source_priority: Sequence[str],
    ) -> None:
        self.store = DeltaTableStore(home / "cold")
        self.market, self._priority = market, tuple(source_priority)

    def read(
        self, table: str, start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        if not self.store.exists(table):
            raise ValueError(
                f"the table {table} must be there, was not: run `apiary run` on that home first"
            )
        return self.store.read(table, start=start, end=end)

    def instrument_rows(self) -> pl.DataFrame:
        return self.read("instruments")

    def instruments(self) -> dict[str, Instrument]:
        """Return every instrument, described by its newest row."""
        newest = (
            self.instrument_rows()
            .sort("valid_from", nulls_last=False)
            .unique("instrument_id", keep="last", maintain_order=True)
        )
        return {
            r["instrument_id"]: Instrument.from_mapping(r) for r in newest.iter_rows(named=True)
        }

    def bar_rows(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the chosen series' daily bars as quoted on their days, in every version.

        `growth` is what splits made of one unit (features.series.split_growth): what remembers
        prices from session to session multiplies by it.
        """
        chosen = self._chosen(start, end)
        known = self._actions()
        if known is None:
            return chosen.with_columns(growth=pl.lit(1.0))
        return series.split_growth(chosen, chosen_actions(known, chosen))

    def _chosen(self, start: datetime, end: datetime) -> pl.DataFrame:
        bars = self.read("clean_bars", start, end)
        return series.select_series(
            session_bars(bars, self.instrument_rows(), self.market), self._priority
        )

    def _actions(self) -> pl.DataFrame | None:
        name = "clean_corporate_actions"
        return self.store.read(name) if self.store.exists(name) else None

    def booked_actions(self, end: datetime) -> pl.DataFrame | None:
        """Return the actions that the traded series does not have in it; None without a table."""
        known = self._actions()
        return None if known is None else chosen_actions(known, self._chosen(end - _SEEN, end))

    def quoted_actions(self) -> pl.DataFrame | None:
        """Return all actions, each once, as prices of the day need them; None without a table."""
        known = self._actions()
        return None if known is None else unadjusted(known)

    def bars(
        self, instruments: Mapping[str, Instrument], start: date | None, end: date | None
    ) -> tuple[Bar, ...]:
        """Return the newest version of each daily bar from `start` to `end`, both included."""
        low = datetime.combine(start or _FIRST, time(), UTC)
        high = datetime.combine(end or _LAST, time(), UTC) + timedelta(days=1)
        rows = series.newest_known(self.bar_rows(low, high), high + timedelta(days=366))
        rows = rows.filter(
            pl.col("interval") == "1d", pl.col("instrument_id").is_in(list(instruments))
        )
        return bars_of_rows(rows.rename({"event_time": "time"}), instruments)
