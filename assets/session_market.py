"""The market of a session as a book trades it: prices of the day, actions, bands and quotes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import polars as pl

from assets.desk import Desk
from assets.session_tables import BARS_AGE_MAX, Tables
from features import series
from features.calendars import previous_session, session_close, session_open
from features.currency_rates import rates_at
from features.observing import time_ns
from features.projections import bars_of
from features.session_actions import actions_between, halted_ids
from swarm_core.actions.action import CorporateAction
from swarm_core.instruments import Instrument
from swarm_core.market import Bar, Quote
from swarm_core.session import SessionMarket


class SessionMarkets:
    """Builds the markets of a desk's sessions from the tables that were read.

    What is traded is the price of the day: a split moves the position at its ex-date, as it does
    at a broker's, and never the price of the days before. What is halted fills nothing and has no
    quote, so that the gate denies its orders.
    """

    def __init__(self, desk: Desk, tables: Tables, instruments: Mapping[str, Instrument]) -> None:
        self.desk, self.tables, self.instruments = desk, tables, instruments

    def close(self, session: str) -> datetime:
        return session_close(self.desk.calendar, date.fromisoformat(session))

    def as_of(self, session: str) -> datetime:
        return self.close(session) + self.desk.decision_lag

    def market(self, session: str, withheld: frozenset[str], last_closed: str) -> SessionMarket:
        """Return the market of a session; actions since `last_closed` ("": the one before)."""
        close = self.close(session)
        today = self._newest_bars(self.as_of(session)).filter(pl.col("event_time") == close)
        opened = session_open(self.desk.calendar, date.fromisoformat(session))
        open_ns, halted = time_ns(opened), halted_ids(self.tables.actions, opened, close)
        bars = tuple(
            replace(bar, is_halted=True) if bar.instrument_id in halted else bar
            for bar in self._banded(session, bars_of(today, self.instruments, open_ns))
        )
        rates = self._rates(close)
        base = self.desk.base_currency
        quotes = {
            bar.instrument_id: Quote(
                instrument_id=bar.instrument_id,
                reference_ticks=bar.close_ticks,
                time_ns=bar.time_ns,
                daily_volume_lots=bar.volume_lots,
                session_open=False,
            )
            for bar in bars
            if bar.instrument_id not in withheld
            and not bar.is_halted
            and self.instruments[bar.instrument_id].currency in (base, *rates)
        }
        return SessionMarket(
            session=session,
            open_ns=open_ns,
            close_ns=time_ns(close),
            decision_ns=time_ns(self.as_of(session)),
            bars=bars,
            quotes=quotes,
            actions=self._actions(session, last_closed or self._previous(session)),
            rates=rates,
        )

    def _rates(self, close: datetime) -> dict[str, Decimal]:
        """Return the rates that are known and young; what is quoted in another is not ordered."""
        lag = self.desk.decision_lag
        found = {
            name: rates_at(self.tables.rates, name, [close], lag)[0]
            for name in self.desk.foreign_currencies
        }
        return {name: rate for name, rate in found.items() if isinstance(rate, Decimal)}

    def researched_bars(self, as_of: datetime) -> pl.DataFrame:
        """Return the newest bars with closes that no split moves (features.series.split_growth)."""
        newest = self._newest_bars(as_of)
        return newest.with_columns(close=pl.col("close") * pl.col("growth"))

    def _newest_bars(self, as_of: datetime) -> pl.DataFrame:
        recent = self.tables.bars.filter(
            (pl.col("event_time") <= as_of) & (pl.col("event_time") > as_of - BARS_AGE_MAX)
        )
        return (
            series.newest_known(recent, as_of)
            .sort("event_time")
            .unique("instrument_id", keep="last", maintain_order=True)
        )

    def _previous(self, session: str) -> str:
        return previous_session(self.desk.calendar, date.fromisoformat(session)).isoformat()

    def _actions(self, session: str, last_closed: str) -> tuple[CorporateAction, ...]:
        return actions_between(
            self.tables.actions,
            self.instruments,
            after=self.close(last_closed),
            until=self.close(session),
        )

    def _banded(self, session: str, bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
        """Return the bars within the price limits of the closes before, where there are any."""
        limits = self.desk.venue.price_limits
        if limits is None:
            return bars
        before = self._newest_bars(self.as_of(self._previous(session)))
        closes = {
            bar.instrument_id: bar.close_ticks for bar in bars_of(before, self.instruments, 0)
        }
        return tuple(
            limits.bounded(bar, closes[bar.instrument_id]) if bar.instrument_id in closes else bar
            for bar in bars
        )
