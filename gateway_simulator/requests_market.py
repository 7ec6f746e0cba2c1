"""Requests about the market as it happens: quotes, ticks, bars of five seconds, depth."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from gateway_simulator.error_codes import Code
from gateway_simulator.listings import Listing, read_asked
from gateway_simulator.market import Quote
from gateway_simulator.message_ids import In, Out
from gateway_simulator.session import Handler, Session
from gateway_simulator.watching import Watch
from gateway_simulator.wire import Field, Fields

_STILL_EVERY_S = 0.05  # how often a market that stands still is looked at
_TICK_KINDS = {"LAST": 1, "ALLLAST": 2, "BIDASK": 3, "MIDPOINT": 4}


def req_market_data(session: Session, fields: Fields) -> None:
    """Begin to tell the quotes of a contract, or tell them once."""
    fields.text()  # version
    request_id, asked = fields.whole(), read_asked(fields)
    legs = fields.whole() if asked.sec_type == "BAG" else 0
    fields.skip(4 * legs)
    fields.skip(3 if fields.flag() else 0)  # the contract that makes it delta neutral
    ticks, snapshot, regulatory = fields.text(), fields.flag(), fields.flag()
    found = session.gateway.find_listings(asked)
    if len(found) != 1:
        code = Code.AMBIGUOUS if found else Code.NO_DEFINITION
        session.error(request_id, code, symbol=asked.symbol)
        return
    watch = _find_watch(session, request_id, found[0], ticks)
    if watch is None:
        return
    if snapshot or regulatory:
        watch.tell()
        session.send(Out.TICK_SNAPSHOT_END, 1, request_id)
        return
    session.start_task("market", request_id, asyncio.create_task(_repeat(session, watch.tell)))


def _find_watch(session: Session, request_id: int, listing: Listing, ticks: str) -> Watch | None:
    """Return a subscription, announced to the client; None where it may not have one."""
    settings = session.gateway.settings
    if ("market", request_id) in session.tasks:
        session.error(request_id, Code.PROCESSING, reason="Duplicate ticker id")
        return None
    if sum(kind == "market" for kind, _ in session.tasks) >= settings.tickers_max:
        session.error(request_id, Code.MAX_TICKERS)
        return None
    is_live = listing.has_data and listing.symbol not in settings.unsubscribed
    if not is_live and session.market_data_type not in (3, 4):
        session.error(request_id, Code.NOT_SUBSCRIBED, symbol=listing.symbol)
        return None
    if not is_live:
        session.error(request_id, Code.DELAYED)
    shown = min(session.market_data_type, 2) if is_live else session.market_data_type
    session.send(Out.TICK_REQ_PARAMS, request_id, listing.min_tick, "9c0001", 3)
    session.send(Out.MARKET_DATA_TYPE, 1, request_id, shown)
    numbers = ticks.replace("mdoff", "").split(",")
    generic = frozenset(int(n) for n in numbers if n.strip().isdigit())
    return Watch(session, request_id, listing, generic, is_delayed=not is_live)


async def _repeat(session: Session, tell: Callable[[], None]) -> None:
    """Tell at every move of the market, unless the way to the broker is lost."""
    while True:
        if session.gateway.upstream:
            tell()
        await asyncio.sleep(session.gateway.settings.market_every_s or _STILL_EVERY_S)


def cancel_market_data(session: Session, fields: Fields) -> None:
    fields.text()  # version
    request_id = fields.whole()
    if not session.stop_task("market", request_id):
        session.error(request_id, Code.NO_SUBSCRIPTION, ticker=request_id)


def req_market_data_type(session: Session, fields: Fields) -> None:
    """Choose live, frozen, delayed or delayed frozen data for what is asked from now on."""
    fields.text()  # version
    chosen = fields.whole()
    if chosen not in (1, 2, 3, 4):
        session.error(-1, Code.VALIDATING, request="cc", reason=f"Bad market data type {chosen}")
        return
    session.market_data_type = chosen


def req_tick_by_tick(session: Session, fields: Fields) -> None:
    """Tell each trade, each change of the quote, or each middle of it."""
    request_id, asked = fields.whole(), read_asked(fields)
    kind = _TICK_KINDS.get(fields.text().upper(), 0)
    found = session.gateway.find_listings(asked)
    if len(found) != 1 or not kind:
        session.error(request_id, Code.NO_DEFINITION)
        return
    listing, last = found[0], list[list[Field]]()

    def tell() -> None:
        row = _tick_fields(kind, session.gateway.market.quote(listing), listing)
        if last != [row]:
            last[:] = [row]
            now_s = session.gateway.clock.now_s()
            session.send(Out.TICK_BY_TICK, request_id, kind, now_s, *row)

    session.start_task("tick", request_id, asyncio.create_task(_repeat(session, tell)))


def _tick_fields(kind: int, quote: Quote, listing: Listing) -> list[Field]:
    if kind in (1, 2):
        exchange = listing.primary_exchange or listing.exchange
        return [quote.last, quote.last_size, 0, exchange, ""]
    if kind == 3:
        return [quote.bid, quote.ask, quote.bid_size, quote.ask_size, 0]
    return [quote.middle]


def cancel_tick_by_tick(session: Session, fields: Fields) -> None:
    request_id = fields.whole()
    if not session.stop_task("tick", request_id):
        session.error(request_id, Code.NO_SUBSCRIPTION, ticker=request_id)


def req_real_time_bars(session: Session, fields: Fields) -> None:
    """Tell a bar every five seconds, dated by its start."""
    fields.text()  # version
    request_id, asked = fields.whole(), read_asked(fields)
    found = session.gateway.find_listings(asked)
    if len(found) != 1:
        session.error(request_id, Code.NO_DEFINITION)
        return
    task = asyncio.create_task(_tell_bars(session, request_id, found[0]))
    session.start_task("bars", request_id, task)


async def _tell_bars(session: Session, request_id: int, listing: Listing) -> None:
    gateway = session.gateway
    length_s = gateway.settings.real_time_bar_s
    seen: list[Decimal] = []
    ends_s = (gateway.clock.now_ns() / 1e9 // length_s + 1) * length_s
    while True:
        seen.append(gateway.market.quote(listing).last)
        await asyncio.sleep(min(0.25, length_s / 4))
        if gateway.clock.now_ns() / 1e9 < ends_s:
            continue
        if gateway.upstream:
            average = sum(seen, Decimal(0)) / len(seen)
            prices = (seen[0], max(seen), min(seen), seen[-1])
            begins_s = int(ends_s - length_s)
            row = (begins_s, *prices, 100 * len(seen), average, len(seen))
            session.send(Out.REAL_TIME_BAR, 3, request_id, *row)
        seen.clear()
        ends_s += length_s


def cancel_real_time_bars(session: Session, fields: Fields) -> None:
    fields.text()  # version
    request_id = fields.whole()
    if not session.stop_task("bars", request_id):
        session.error(request_id, Code.NO_SUBSCRIPTION, ticker=request_id)


def req_depth(session: Session, fields: Fields) -> None:
    """Tell the book: five levels a side, again when the quote has moved."""
    fields.text()  # version
    request_id = fields.whole()
    asked = read_asked(fields)
    rows = max(1, min(fields.whole(default=5), 20))
    found = session.gateway.find_listings(asked)
    if len(found) != 1:
        session.error(request_id, Code.NO_DEFINITION)
        return
    listing, told = found[0], list[Quote]()

    def tell() -> None:
        quote = session.gateway.market.quote(listing)
        if told == [quote]:
            return
        operation = 1 if told else 0  # update, or insert at first
        told[:] = [quote]
        for level in range(rows):
            away = level * listing.min_tick
            for side, price, size in (
                (1, quote.bid - away, quote.bid_size),
                (0, quote.ask + away, quote.ask_size),
            ):
                row = (level, operation, side, price, size)
                session.send(Out.MARKET_DEPTH, 1, request_id, *row)

    session.start_task("depth", request_id, asyncio.create_task(_repeat(session, tell)))


def cancel_depth(session: Session, fields: Fields) -> None:
    fields.text()  # version
    session.stop_task("depth", fields.whole())


HANDLERS: dict[In, Handler] = {
    In.REQ_MKT_DATA: req_market_data,
    In.CANCEL_MKT_DATA: cancel_market_data,
    In.REQ_MARKET_DATA_TYPE: req_market_data_type,
    In.REQ_TICK_BY_TICK: req_tick_by_tick,
    In.CANCEL_TICK_BY_TICK: cancel_tick_by_tick,
    In.REQ_REAL_TIME_BARS: req_real_time_bars,
    In.CANCEL_REAL_TIME_BARS: cancel_real_time_bars,
    In.REQ_MKT_DEPTH: req_depth,
    In.CANCEL_MKT_DEPTH: cancel_depth,
}
