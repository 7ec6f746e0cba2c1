"""Option chains of Interactive Brokers: what is listed, and quotes with greeks as they change."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from ib_async import IB, Contract, Option, OptionComputation, Ticker

from adapters.brokers.ib_session import IbSession

_POLL_S = 0.05
_BATCH = 50  # as many options as are asked for at once; the broker bounds market data lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainTerms:
    """What is listed on an underlying at one exchange, ends and strikes in order."""

    underlying_id: int
    exchange: str
    trading_class: str
    multiplier: str
    expirations: tuple[date, ...]
    strikes: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionQuote:
    """An option at a moment: prices of one unit; vega per point of volatility, theta per day.

    A number is None where the broker has not worked it out.
    """

    contract_id: int
    expiration: date
    strike: Decimal
    right: str  # C or P
    time_ns: int
    bid: float | None
    ask: float | None
    implied_volatility: float | None
    delta: float | None
    gamma: float | None
    vega: float | None
    theta: float | None
    underlying_price: float | None


class IbOptionChains:
    """Asks for chains over a session that is open; its methods may be called from any thread."""

    def __init__(self, session: IbSession, now_ns: Callable[[], int]) -> None:
        self._session, self._now_ns = session, now_ns

    def terms(self, underlying: Contract) -> tuple[ChainTerms, ...]:
        """Return what is listed on a qualified underlying, one entry for each exchange.

        Raises OSError where the gateway does not answer.
        """
        return self._session.call(self._terms(underlying))

    async def _terms(self, underlying: Contract) -> tuple[ChainTerms, ...]:
        asked = self._session.client.reqSecDefOptParamsAsync(
            underlying.symbol, "", underlying.secType, underlying.conId
        )
        found = await asyncio.wait_for(asked, self._session.settings.answer_s_max)
        return tuple(
            ChainTerms(
                underlying_id=int(chain.underlyingConId),
                exchange=chain.exchange,
                trading_class=chain.tradingClass,
                multiplier=chain.multiplier,
                expirations=tuple(sorted(date.fromisoformat(e) for e in chain.expirations)),
                strikes=tuple(sorted(Decimal(str(s)) for s in chain.strikes)),
            )
            for chain in sorted(found, key=lambda c: (c.exchange, c.tradingClass))
        )

    def snapshot(
        self,
        symbol: str,
        expiration: date,
        strikes: Iterable[Decimal],
        rights: Sequence[str] = ("C", "P"),
    ) -> tuple[OptionQuote, ...]:
        """Return one quote of each option that is listed; what is not is left out.

        Raises OSError where the gateway does not answer.
        """
        return self._session.call(self._snapshot(symbol, expiration, list(strikes), rights))

    async def _snapshot(
        self, symbol: str, expiration: date, strikes: list[Decimal], rights: Sequence[str]
    ) -> tuple[OptionQuote, ...]:
        options = await self._qualified(symbol, expiration, strikes, rights)
        quotes: list[OptionQuote] = []
        for begin in range(0, len(options), _BATCH):
            asked = self._session.client.reqTickersAsync(*options[begin : begin + _BATCH])
            found = await asyncio.wait_for(asked, self._session.settings.answer_s_max)
            quotes += [self._quote(ticker) for ticker in found]
        return tuple(quotes)

    async def _qualified(
        self, symbol: str, expiration: date, strikes: list[Decimal], rights: Sequence[str]
    ) -> list[Contract]:
        end = f"{expiration:%Y%m%d}"
        asked = [Option(symbol, end, float(s), r, "SMART") for s in strikes for r in rights]
        found = await asyncio.wait_for(
            self._session.client.qualifyContractsAsync(*asked),
            self._session.settings.answer_s_max,
        )
        return [c for c in found if isinstance(c, Contract) and c.conId]

    async def stream(
        self,
        symbol: str,
        expiration: date,
        strikes: Iterable[Decimal],
        rights: Sequence[str] = ("C", "P"),
    ) -> AsyncIterator[OptionQuote]:
        """Yield a quote whenever one has changed; subscribed anew after each loss of the data.

        Raises OSError where only a person may mend the connection.
        """
        asked = (symbol, expiration, list(strikes), rights)
        told: dict[int, OptionQuote] = {}
        tickers: list[Ticker] = []
        made = (-1, -1)
        while True:
            self._session.raise_if_lost()
            now = (self._session.connection_count, self._session.data_losses)
            if self._session.is_connected and made != now:
                tickers = await self._elsewhere(self._subscribe(tickers, *asked))
                made = now
            for quote in [self._quote(ticker) for ticker in tickers if ticker.modelGreeks]:
                before = told.get(quote.contract_id)
                if before is None or _shown(before) != _shown(quote):
                    told[quote.contract_id] = quote
                    yield quote
            await asyncio.sleep(_POLL_S)

    async def _elsewhere(self, work: Any) -> Any:
        """Run work on the session's own loop, and wait for it on this one."""
        return await asyncio.to_thread(self._session.call, work)

    async def _subscribe(self, before: list[Ticker], *asked: Any) -> list[Ticker]:
        client: IB = self._session.client
        for ticker in before:
            if ticker.contract is not None and client.ticker(ticker.contract) is ticker:
                client.cancelMktData(ticker.contract)
        return [client.reqMktData(c) for c in await self._qualified(*asked)]

    def _quote(self, ticker: Ticker) -> OptionQuote:
        contract = ticker.contract or Contract()
        greeks = ticker.modelGreeks or OptionComputation(0)
        return OptionQuote(
            contract_id=contract.conId,
            expiration=date.fromisoformat(contract.lastTradeDateOrContractMonth[:8]),
            strike=Decimal(str(contract.strike)),
            right=contract.right,
            time_ns=self._now_ns(),
            bid=_positive(ticker.bid),
            ask=_positive(ticker.ask),
            implied_volatility=greeks.impliedVol,
            delta=greeks.delta,
            gamma=greeks.gamma,
            vega=greeks.vega,
            theta=greeks.theta,
            underlying_price=greeks.undPrice,
        )


def _positive(price: float) -> float | None:
    return price if price > 0 else None


def _shown(quote: OptionQuote) -> tuple[object, ...]:
    greeks = (quote.delta, quote.gamma, quote.vega, quote.theta, quote.implied_volatility)
    return (quote.bid, quote.ask, quote.underlying_price, *greeks)
