"""The simulated market: a quote of every listing at every moment, walked, replayed or set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from gateway_simulator import price_path
from gateway_simulator.catalogue import Catalogue
from gateway_simulator.clock import ZONE, Clock
from gateway_simulator.greeks import Greeks, black_scholes
from gateway_simulator.listings import Listing

_HALF_SPREAD_TICKS = 1
_LOTS_MIN, _LOTS_MAX = 100, 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What is bid and asked, what was paid last, and the day so far."""

    bid: Decimal
    ask: Decimal
    last: Decimal
    bid_size: Decimal
    ask_size: Decimal
    last_size: Decimal
    volume: Decimal = Decimal(0)
    day_open: Decimal = Decimal(0)
    high: Decimal = Decimal(0)
    low: Decimal = Decimal(0)
    close: Decimal = Decimal(0)  # of the day before

    @property
    def middle(self) -> Decimal:
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class ReplayBar:
    """One bar of given history; times are seconds since 1970, the start of the bar."""

    time_s: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Market:
    """Prices are a function of seed, listing and time, unless set by hand or replayed."""

    def __init__(self, catalogue: Catalogue, clock: Clock, seed: int = 0) -> None:
        self.catalogue, self.clock, self.seed = catalogue, clock, seed
        self._set: dict[int, Quote] = {}
        self._replayed: dict[int, Sequence[ReplayBar]] = {}
        self._on_set: list[Callable[[int], None]] = []

    def set_quote(
        self, con_id: int, bid: Decimal, ask: Decimal, *, size: Decimal = Decimal(10_000)
    ) -> None:
        """Let a quote stand until it is set again; bid must be below ask."""
        if not 0 < bid < ask:
            raise ValueError(f"bid must be in 0..{ask}, was {bid}")
        middle = _to_tick((bid + ask) / 2, self.catalogue.get(con_id))
        self._set[con_id] = Quote(
            bid=bid,
            ask=ask,
            last=middle,
            bid_size=size,
            ask_size=size,
            last_size=size,
            day_open=middle,
            high=ask,
            low=bid,
            close=middle,
        )

    def release_quote(self, con_id: int) -> None:
        """Let the walk go on where a quote was set."""
        self._set.pop(con_id, None)

    def replay(self, con_id: int, bars: Sequence[ReplayBar]) -> None:
        """Follow given bars; after the last one its close stands."""
        if not bars:
            raise ValueError("bars must not be empty")
        self._replayed[con_id] = sorted(bars, key=lambda bar: bar.time_s)

    def replayed(self, con_id: int) -> Sequence[ReplayBar]:
        return self._replayed.get(con_id, ())

    def quote(self, listing: Listing) -> Quote:
        """Return the quote of this moment."""
        known = self._set.get(listing.con_id)
        if known is not None:
            return known
        now_s = self.clock.now_ns() / 1e9
        return self._around(listing, self.price(listing, now_s), now_s)

    def price(self, listing: Listing, time_s: float) -> Decimal:
        """Return the price at a moment, on the grid of its steps."""
        bars = self._replayed.get(listing.con_id)
        if bars:
            at = [bar for bar in bars if bar.time_s <= time_s]
            return at[-1].close if at else bars[0].open
        if listing.sec_type == "OPT":
            return _to_tick(Decimal(repr(self.greeks(listing, time_s).price)), listing)
        root = self._root(listing)
        factor = price_path.growth(f"{self.seed}:{root.con_id}", time_s, listing.volatility)
        return _to_tick(root.start_price * Decimal(repr(factor)), listing)

    def _root(self, listing: Listing) -> Listing:
        """Return what the price follows: contracts on the same thing move together."""
        if listing.sec_type == "CFD" and listing.under_con_id:
            return self.catalogue.get(listing.under_con_id)
        return listing

    def greeks(self, listing: Listing, time_s: float | None = None) -> Greeks:
        """Return price and greeks of an option at a moment, by default now."""
        at_s = self.clock.now_ns() / 1e9 if time_s is None else time_s
        spot = float(self.spot(listing, at_s))
        return black_scholes(
            spot,
            float(listing.strike),
            self.years_left(listing, at_s),
            listing.volatility,
            listing.right,
        )

    def spot(self, option: Listing, time_s: float | None = None) -> Decimal:
        """Return the price of an option's underlying."""
        under = self.catalogue.get(option.under_con_id)
        known = self._set.get(under.con_id)
        if known is not None:
            return known.last
        return self.price(under, self.clock.now_ns() / 1e9 if time_s is None else time_s)

    def years_left(self, listing: Listing, time_s: float) -> float:
        day = datetime.strptime(listing.last_trade_date, "%Y%m%d").date()  # noqa: DTZ007  # a date
        end = datetime.combine(day, time(16), ZONE).timestamp()
        return max(0.0, (end - time_s) / (365.0 * 86_400.0))

    def _around(self, listing: Listing, last: Decimal, now_s: float) -> Quote:
        tick, key = listing.min_tick, f"{self.seed}:{listing.con_id}"
        second = int(now_s)

        def size(name: str) -> Decimal:
            part = price_path.uniform(key, name, second)
            whole = Decimal(_LOTS_MIN + int(part * (_LOTS_MAX - _LOTS_MIN)))
            if listing.sec_type == "CASH":
                return whole * 10_000  # currencies are quoted in millions
            return whole if listing.size_step == 1 else whole / 100

        bid = max(tick, last - _HALF_SPREAD_TICKS * tick)
        quote = Quote(
            bid=bid,
            ask=bid + 2 * _HALF_SPREAD_TICKS * tick,
            last=last,
            bid_size=size("bid"),
            ask_size=size("ask"),
            last_size=size("last") // 10 or Decimal(1),
        )
        return replace(quote, **self._day(listing, last, now_s))

    def _day(self, listing: Listing, last: Decimal, now_s: float) -> dict[str, Decimal]:
        today = datetime.fromtimestamp(now_s, ZONE).date()
        begin = _second_of(today)
        marks = [begin + (now_s - begin) * part / 8 for part in range(8)]
        path = [self.price(listing, mark) for mark in marks] + [last]
        return {
            "day_open": path[0],
            "high": max(path),
            "low": min(path),
            "close": self.price(listing, _second_of(today - timedelta(days=1)) + 57_600),
            "volume": Decimal(int((now_s - begin) * 100)),
        }


def _second_of(day: date) -> float:
    return datetime.combine(day, time(), ZONE).timestamp()


def _to_tick(price: Decimal, listing: Listing) -> Decimal:
    steps = (price / listing.min_tick).quantize(Decimal(1), ROUND_HALF_EVEN)
    return max(Decimal(1), steps) * listing.min_tick
