"""The live market of Interactive Brokers as the trader's feed: quotes, and bars of any length."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ib_async import IB, Contract, RealTimeBar, Ticker

from adapters.brokers.ib_contracts import ContractBook, ContractTerms
from adapters.brokers.ib_session import IbSession, IbSettings
from adapters.feeds.five_second_bars import BarBuilder, Piece
from swarm_core.instruments import Instrument
from swarm_core.market import Bar, Quote

_LIVE_KINDS = (1, 2)
_AVERAGE_VOLUME = "165"  # the generic tick of a typical day's volume
_POLL_S = 0.05
_LOG = logging.getLogger("ib_async.feed")  # with the client's own words
_BARS_MAX = 100_000
_HALTED = (1.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class IbFeedSettings:
    """What is listened to, and how.

    `bar_s` 0 gives quotes alone. An unchanged quote is told again after `repeat_s`, as long as the
    way to the broker stands. Delayed data are dated back, so that a check of age refuses them.
    `every_tick` asks for each change of the quote; the broker allows that for a few contracts only.
    """

    bar_s: int = 0
    repeat_s: float = 5.0
    every_tick: bool = False
    delayed: bool = False
    delay_s: float = 900.0

    def __post_init__(self) -> None:
        if self.bar_s < 0 or self.bar_s % 5:
            raise ValueError(f"bar_s must be 0 or a multiple of 5, was {self.bar_s}")
        if self.repeat_s <= 0 or self.delay_s < 0:
            raise ValueError(f"repeat_s must be > 0, was {self.repeat_s}")


class IbFeed:
    """Streams quotes and bars; subscriptions are made again after a loss (1101, a restart)."""

    def __init__(
        self,
        reach: IbSettings,
        instruments: Mapping[str, Instrument],
        *,
        now_ns: Callable[[], int],
        settings: IbFeedSettings | None = None,
        terms: Mapping[str, ContractTerms] | None = None,
        make_client: Callable[[], IB] = IB,
    ) -> None:
        self.settings = settings or IbFeedSettings()
        self.contracts = ContractBook(instruments, terms)
        self.session = IbSession(
            reach,
            make_client=make_client,
            on_client=self._on_client,
            on_data_lost=self._again,
            trades=False,
        )
        self._now_ns = now_ns
        self._tickers: dict[str, Ticker] = {}
        self._builders: dict[str, BarBuilder] = {}
        self._lock = threading.Lock()
        self._quotes: dict[str, Quote] = {}  # the newest of each that was not told yet
        self._last: dict[str, Quote] = {}
        self._bars: deque[Bar] = deque(maxlen=_BARS_MAX)
        self._work: asyncio.Task[None] | None = None
        self.refused: dict[str, str] = {}  # what cannot be listened to, and why

    async def stream(self) -> AsyncIterator[Bar | Quote]:
        """Yield bars and quotes until it is closed; OSError where the gateway is out of reach.

        A quote that is overtaken by a newer one of its instrument is not told.
        """
        await asyncio.to_thread(self.session.open)
        try:
            while True:
                self.session.raise_if_lost()
                for item in self._take():
                    yield item
                await asyncio.sleep(_POLL_S)
        finally:
            await asyncio.to_thread(self.session.close)

    def _take(self) -> list[Bar | Quote]:
        now_ns = self._now_ns()
        with self._lock:
            bars = list(self._bars)
            self._bars.clear()
            fresh, self._quotes = self._quotes, {}
        self._last |= fresh
        if self.session.is_connected:
            fresh |= {i: q for i, q in self._repeated(now_ns) if i not in fresh}
        return [*bars, *fresh.values()]

    def _repeated(self, now_ns: int) -> Iterable[tuple[str, Quote]]:
        wait_ns = int(self.settings.repeat_s * 1e9)
        for instrument_id, ticker in list(self._tickers.items()):
            last = self._last.get(instrument_id)
            if last is None or now_ns - last.time_ns < wait_ns or not self._is_live(ticker):
                continue
            again = self._quote(instrument_id, ticker)
            if again is not None:
                self._last[instrument_id] = again
                yield instrument_id, again

    def _on_client(self, client: IB) -> None:
        client.pendingTickersEvent += self._hear
        self._subscribe(client)

    def _again(self) -> None:
        """Make all subscriptions anew: the gateway has dropped them."""
        client = self.session.client
        for ticker in self._tickers.values():
            if ticker.contract is not None:
                client.cancelMktData(ticker.contract)
                if self.settings.every_tick:
                    client.cancelTickByTickData(ticker.contract, "BidAsk")
        self._subscribe(client)

    def _subscribe(self, client: IB) -> None:
        if self._work is not None:
            self._work.cancel()  # what it went on to ask for would be told twice
        self._tickers.clear()
        self._builders.clear()
        self._work = asyncio.get_running_loop().create_task(self._subscribe_all(client))

    async def _subscribe_all(self, client: IB) -> None:
        client.reqMarketDataType(3 if self.settings.delayed else 1)
        for instrument_id in sorted(self.contracts.instruments):
            try:
                contract = await self.contracts.qualify(
                    instrument_id, client.reqContractDetailsAsync
                )
            except ValueError as error:
                if self.refused.get(instrument_id) != str(error):
                    _LOG.warning("%s is not listened to: %s", instrument_id, error)
                self.refused[instrument_id] = str(error)
                continue
            except OSError:
                return  # the connection broke: the next one subscribes
            self._listen(client, instrument_id, contract)

    def _listen(self, client: IB, instrument_id: str, contract: Contract) -> None:
        self._tickers[instrument_id] = client.reqMktData(contract, _AVERAGE_VOLUME)
        if self.settings.every_tick:
            client.reqTickByTickData(contract, "BidAsk")
        if not self.settings.bar_s:
            return
        instrument = self.contracts.instruments[instrument_id]
        self._builders[instrument_id] = BarBuilder(instrument, self.settings.bar_s)
        shown = "MIDPOINT" if contract.secType in ("CASH", "CFD") else "TRADES"
        bars = client.reqRealTimeBars(contract, 5, shown, useRTH=False)
        bars.updateEvent += partial(self._hear_bar, instrument_id)

    def _hear_bar(self, instrument_id: str, bars: Any, _: bool) -> None:
        told: RealTimeBar = bars[-1]
        piece = Piece(
            round(told.time.timestamp()), told.open_, told.high, told.low, told.close, told.volume
        )
        done = self._builders[instrument_id].add(piece)
        del bars[:-1]  # what was taken in need not be kept
        with self._lock:
            self._bars.extend(done)

    def _hear(self, tickers: Iterable[Ticker]) -> None:
        ours = {id(ticker): i for i, ticker in self._tickers.items()}
        for ticker in tickers:
            instrument_id = ours.get(id(ticker))
            if instrument_id is None:
                continue
            quote = self._quote(instrument_id, ticker)
            if quote is not None:
                with self._lock:
                    self._quotes[instrument_id] = quote

    def _is_live(self, ticker: Ticker) -> bool:
        return (ticker.marketDataType or 1) in _LIVE_KINDS

    def _quote(self, instrument_id: str, ticker: Ticker) -> Quote | None:
        """Return what a ticker shows; None while it shows neither a last price nor two sides."""
        instrument = self.contracts.instruments[instrument_id]
        bid, ask = _positive(ticker.bid), _positive(ticker.ask)
        both = bid is not None and ask is not None and bid < ask
        reference = (bid + ask) / 2 if both and bid and ask else _positive(ticker.last)
        if reference is None:
            return None
        delay_ns = 0 if self._is_live(ticker) else int(self.settings.delay_s * 1e9)
        quote = Quote.from_price(
            instrument,
            reference,
            self._now_ns() - delay_ns,
            daily_volume=_positive(ticker.avVolume),
            session_open=False if ticker.halted in _HALTED else None,
        )
        if not both or bid is None or ask is None:
            return quote
        sides = (instrument.price_to_ticks(bid), instrument.price_to_ticks(ask))
        return _with_sides(quote, *sides)


def _with_sides(quote: Quote, bid_ticks: int, ask_ticks: int) -> Quote:
    return Quote(
        instrument_id=quote.instrument_id,
        reference_ticks=quote.reference_ticks,
        time_ns=quote.time_ns,
        bid_ticks=bid_ticks,
        ask_ticks=ask_ticks,
        daily_volume_lots=quote.daily_volume_lots,
        session_open=quote.session_open,
    )


def _positive(price: float | None) -> float | None:
    """Return a price or a size; None where there is none (NaN, or -1 for nobody bids)."""
    return price if price is not None and price > 0 else None
