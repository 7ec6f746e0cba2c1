"""A subscription to quotes: it tells the ticks that have changed, under their numbers."""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway_simulator.listings import Listing
from gateway_simulator.market import Quote
from gateway_simulator.message_ids import Out
from gateway_simulator.session import Session
from gateway_simulator.wire import Field

# The numbers of the ticks, live and delayed.
_PRICES = {"bid": (1, 66), "ask": (2, 67), "last": (4, 68)}
_DAY = {"high": (6, 72), "low": (7, 73), "close": (9, 75), "day_open": (14, 76)}
_SIZES = {"bid_size": (0, 69), "ask_size": (3, 70), "last_size": (5, 71), "volume": (8, 74)}
_OPTION = {"bid": (10, 80), "ask": (11, 81), "last": (12, 82), "model": (13, 83)}
_LAST_TIME = (45, 88)
_AVERAGE_VOLUME = 21
_HALTED, _RT_VOLUME, _MARK, _SHORTABLE = 49, 48, 37, 46
_HISTORICAL_VOLATILITY, _IMPLIED_VOLATILITY = 23, 24


@dataclass
class Watch:
    """One subscription to quotes: what was told last, so that only changes are told."""

    session: Session
    request_id: int
    listing: Listing
    generic: frozenset[int]
    is_delayed: bool
    last: Quote | None = None

    def number(self, pair: tuple[int, int]) -> int:
        return pair[1 if self.is_delayed else 0]

    def tell(self) -> None:
        """Tell what has changed since the last time."""
        quote = self.session.gateway.market.quote(self.listing)
        if quote == self.last:
            return
        for message in self._changes(quote):
            self.session.send(*message)
        self.last = quote

    def _changes(self, quote: Quote) -> Iterator[list[Field]]:
        shown = {name: _PRICES[name] for name in self._quoted}
        for name, pair in (shown | _DAY).items():
            price = getattr(quote, name)
            if self._is_new(name, price):
                size = getattr(quote, f"{name}_size", 0)
                yield [Out.TICK_PRICE, 6, self.request_id, self.number(pair), price, size, 0]
        for name, pair in _SIZES.items():
            size = getattr(quote, name)
            if self._is_new(name, size):
                yield [Out.TICK_SIZE, 6, self.request_id, self.number(pair), size]
        if self._is_new("last", quote.last):
            yield from self._after_trade(quote)
        if self.last is None:
            yield from self._once()
        if self.listing.sec_type == "OPT":
            yield from self._greeks(quote)

    @property
    def _quoted(self) -> tuple[str, ...]:
        """Return what is quoted: nobody bids for an index."""
        return ("last",) if self.listing.sec_type == "IND" else ("bid", "ask", "last")

    def _is_new(self, name: str, now: object) -> bool:
        return self.last is None or getattr(self.last, name) != now

    def _after_trade(self, quote: Quote) -> Iterator[list[Field]]:
        now_ns = self.session.gateway.clock.now_ns()
        pair = self.number(_LAST_TIME)
        yield [Out.TICK_STRING, 6, self.request_id, pair, now_ns // 10**9]
        if 233 in self.generic:
            text = f"{quote.last};{quote.last_size};{now_ns // 10**6};{quote.volume};"
            text += f"{quote.last};true"
            yield [Out.TICK_STRING, 6, self.request_id, _RT_VOLUME, text]
        if self.generic & {221, 232}:
            yield [Out.TICK_PRICE, 6, self.request_id, _MARK, quote.last, 0, 0]

    def _once(self) -> Iterator[list[Field]]:
        told = [(_HALTED, 0.0, True)]
        told += [(_SHORTABLE, 3.0, 236 in self.generic)]
        told += [(_HISTORICAL_VOLATILITY, self.listing.volatility, 104 in self.generic)]
        told += [(_IMPLIED_VOLATILITY, self.listing.volatility, 106 in self.generic)]
        if 165 in self.generic:
            yield [Out.TICK_SIZE, 6, self.request_id, _AVERAGE_VOLUME, 5_000_000]
        for number, amount, wanted in told:
            if wanted:
                yield [Out.TICK_GENERIC, 6, self.request_id, number, amount]

    def _greeks(self, quote: Quote) -> Iterator[list[Field]]:
        market, version = self.session.gateway.market, self.session.version
        greeks, spot = market.greeks(self.listing), market.spot(self.listing)
        for name, pair in _OPTION.items():
            price = greeks.price if name == "model" else float(getattr(quote, name))
            head: list[Field] = [Out.TICK_OPTION, *([] if version >= 156 else [6])]
            head += [self.request_id, self.number(pair), *([1] if version >= 156 else [])]
            values = (self.listing.volatility, greeks.delta, price, 0.0)
            yield [*head, *values, greeks.gamma, greeks.vega, greeks.theta, spot]
