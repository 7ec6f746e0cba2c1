"""The trader as a process: composed from settings, watched by its heartbeat, told to leave."""

import asyncio
import gc
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pipelines.dagster_home import make_private
from pipelines.desk_log import open_event_log
from pipelines.settings import ApiarySettings, read_colony
from pipelines.trade_settings import (
    ColonyEngine,
    IbFeed,
    ReplayFeed,
    TargetsEngine,
    TradeSettings,
)
from pipelines.trading_parts import (
    OpenableBroker,
    book_snapshots,
    build_desk,
    contract_ends,
    contract_terms,
    instruments_of,
    live_book,
    market_tables,
    night_books,
    open_broker,
    open_states,
    reconciliation_rules,
    trade_settings,
)
from pipelines.venue import read_trader_venue
from swarm_core.actions.dividends import CashDividend
from swarm_core.instruments import Instrument
from swarm_core.live_view import field_of, view_of
from swarm_core.market import Bar
from trader.clocks import ReplayClock, wall_ns
from trader.control import ControlServer, make_token
from trader.desk import TradingDesk
from trader.heartbeat import Heartbeat, heartbeat_path
from trader.hours import ExchangeHours
from trader.limit_changes import LimitsWatch, read_limits_file
from trader.loop import Trader
from trader.narrator import Narrator
from trader.opening import held_log, lock_of
from trader.overnight import NightBooks
from trader.ports import Engine, Feed, Item, Showcase
from trader.price_bands import PriceBands
from trader.replay import ReplayFeed as BarReplay
from trader.replay import resume_ns
from trader.session_bars import SessionBars, one_a_session
from trader.settings import TraderSettings
from trader.signals import obey_signals

if TYPE_CHECKING:
    from adapters.stores.book_snapshots import HashedLog

Tell = Callable[[str], None]
_LAST_BARS_NS = 120 * 10**9  # a live feed tells the last bars of a session a little after it
_SHOWN_EVERY_NS = 200_000_000  # a person watches; a replay beats thousands of times a second


@dataclass(frozen=True, slots=True)
class Market:
    """What the trader sees: its feed, its clock, and what an item does before it is taken."""

    feed: Feed
    now_ns: Callable[[], int]
    before_item: Callable[[Item], None]
    nights: NightBooks
    replayed: bool = False


def trade(settings: ApiarySettings, tell: Tell, *, quiet: bool = False) -> str:
    """Trade the book of these settings until the feed ends or somebody says leave.

    `tell` gets a line for what happens; with `quiet` only for what stops or frees trading.

    Returns how it stands then. Raises SettingsError, BookLockedError where another process trades
    the book, and OSError where the broker cannot be reached.
    """
    chosen = trade_settings(settings)
    said = _library_log(settings, chosen, None if quiet else tell)
    with lock_of(make_private(settings.home), "the trader"), said:
        log = open_event_log(settings)
        with held_log(log):
            return _trade(settings, chosen, log, tell, quiet)


def _trade(
    settings: ApiarySettings, chosen: TradeSettings, log: "HashedLog", tell: Tell, quiet: bool
) -> str:
    instruments = instruments_of(settings)
    clock = ReplayClock() if isinstance(chosen.feed, ReplayFeed) else wall_ns
    broker = open_broker(settings, log, instruments, clock)
    broker.open()
    try:
        desk = build_desk(settings, log, broker, instruments, clock)
        market = _market(settings, chosen, desk, broker, clock)
        told = asyncio.run(_run(settings, chosen, desk, broker, market, tell, quiet))
        book_snapshots(settings).save(desk.book, log)
        return told
    finally:
        broker.close()


def _library_log(
    settings: ApiarySettings, chosen: TradeSettings, tell: Tell | None
) -> AbstractContextManager[None]:
    if chosen.broker.kind == "simulated" and not isinstance(chosen.feed, IbFeed):
        return nullcontext()
    from adapters.brokers.ib_log import library_log

    return library_log(settings.home / "control" / "ib.log", tell)


async def _run(
    settings: ApiarySettings,
    chosen: TradeSettings,
    desk: TradingDesk,
    broker: OpenableBroker,
    market: Market,
    tell: Tell,
    quiet: bool,
) -> str:
    control = settings.home / "control"
    watch, hours = chosen.watch, ExchangeHours(settings.calendar)
    heartbeat = Heartbeat(heartbeat_path(settings.home), int(watch.heartbeat_s * 1e9))
    about: dict[str, object] = {
        "feed": chosen.feed.kind,
        "engine": chosen.engine.kind,
        "broker": chosen.broker.kind,
    }
    live = live_book(settings)
    shown_ns = 0

    def beat(now_ns: int, health: Mapping[str, object], last: bool) -> None:
        nonlocal shown_ns
        heartbeat.beat(now_ns, {**about, **health, "hot_tier": live.failure}, last=last)
        if last or now_ns - shown_ns >= _SHOWN_EVERY_NS:
            shown_ns = now_ns
            live.show(view_of(desk.book, "trader", now_ns))

    trader = Trader(
        desk,
        broker,
        market.feed,
        _engine(settings, chosen, desk, live, tell),
        TraderSettings(**watch.model_dump()),
        reconciliation_rules(settings),
        hours=hours,
        before_item=market.before_item,
        on_beat=beat,
        replayed=market.replayed,
        limits=_limits_watch(settings, desk, tell).look,
        working=chosen.works_in_slices,
        nights=market.nights,
        ends=contract_ends(chosen, desk, hours, tell),
        tell=tell,
        narrate=Narrator(desk, tell, quiet=quiet).hear,
    )
    token = make_token(control / "token")
    asks = trader.orders.ask, trader.claims.ask
    server = ControlServer(chosen.control_port, token, desk.switch.pull, trader.health, *asks)
    async with server:
        about["control_port"] = server.port
        obey_signals(trader)
        tell(f"trading {chosen.engine.kind} on {chosen.feed.kind} through {chosen.broker.kind}")
        tell(f"control on http://127.0.0.1:{server.port}, token in {control / 'token'}")
        tell(f"limits of {settings.risk_limits}")
        _set_aside()
        await trader.run()
    live.close()
    return summary(desk)


def _set_aside() -> None:
    """Spare full collections the book and the libraries: they stay, and an order would wait.

    Walking over a book of 40,000 orders takes about a tenth of a second.
    """
    gc.collect()
    gc.freeze()


def _limits_watch(settings: ApiarySettings, desk: TradingDesk, tell: Tell) -> LimitsWatch:
    book = settings.book
    return LimitsWatch(
        settings.risk_limits,
        lambda path: read_limits_file(path, book.tenant, book.trader),
        log=desk.log,
        now_ns=desk.now_ns,
        tell=tell,
    )


def summary(desk: TradingDesk) -> str:
    """Return in one line how the book stands."""
    book = desk.book
    nav = book.find_nav()
    fills = len(book.ledger.executions) + book.retired_fill_count
    orders = len(book.orders) + book.retired_order_count
    halt = desk.switch.find()
    why = f" ({halt.reason})" if halt is not None else ""
    return (
        f"{book.trading_state.value}{why}: {orders} orders, {fills} fills, "
        f"{len(book.working_orders())} working, NAV {nav if nav is None else round(nav, 2)} "
        f"{book.base_currency}"
    )


def _engine(
    settings: ApiarySettings, chosen: TradeSettings, desk: TradingDesk, live: Showcase, tell: Tell
) -> Engine:
    if isinstance(chosen.engine, TargetsEngine):
        from trader.target_file import TargetFileEngine

        return TargetFileEngine(chosen.engine.file, desk.quotes, tell, desk.has_retired)
    return _colony(settings, chosen.engine, desk, live, tell)


def _colony(
    settings: ApiarySettings,
    engine: ColonyEngine,
    desk: TradingDesk,
    live: Showcase,
    tell: Tell,
) -> Engine:
    from trader.colony_engine import ColonyEngine as Colony
    from trader.colony_engine import ColonyPlan

    return Colony(
        ColonyPlan(settings=read_colony(settings), decision_lag=settings.decision_lag),
        market_tables(settings, engine.home),
        open_states(settings),
        desk,
        ExchangeHours(settings.calendar),
        tell,
        lambda state: live.show_field(field_of(state)),
    )


def _market(
    settings: ApiarySettings,
    chosen: TradeSettings,
    desk: TradingDesk,
    broker: OpenableBroker,
    clock: Callable[[], int],
) -> Market:
    if isinstance(chosen.feed, ReplayFeed):
        assert isinstance(clock, ReplayClock), "chosen with the feed"
        return _replayed(settings, chosen, chosen.feed, desk, broker, clock)
    feed = _ib_feed(chosen, chosen.feed, desk, clock)
    nights = night_books(settings, chosen, desk, broker)
    sessions = SessionBars(
        ExchangeHours(settings.calendar), since_ns=clock(), grace_ns=_LAST_BARS_NS
    )
    fill = _filled_by_bars(broker, nights, _bands(settings, nights), sessions, desk.instruments)
    return Market(feed, clock, fill, nights)


def _bands(settings: ApiarySettings, nights: NightBooks) -> PriceBands:
    def changed(before: str, session: str) -> frozenset[str]:
        actions = nights.actions.of_session(before, session)
        return frozenset(a.instrument_id for a in actions if not isinstance(a, CashDividend))

    hours = ExchangeHours(settings.calendar)
    return PriceBands(read_trader_venue(settings).price_limits, hours.session_at, changed)


def _ib_feed(
    chosen: TradeSettings, feed: IbFeed, desk: TradingDesk, clock: Callable[[], int]
) -> Feed:
    from adapters.brokers.ib_session import IbSettings
    from adapters.feeds.ib_feed import IbFeed as LiveFeed
    from adapters.feeds.ib_feed import IbFeedSettings

    reach = IbSettings(
        host=feed.host,
        port=feed.port,
        client_id=feed.client_id,
        account=feed.account,
        live_account=feed.account,  # it places no orders
        answer_s_max=feed.answer_s_max,
    )
    listened = IbFeedSettings(bar_s=feed.bar_s, repeat_s=feed.repeat_s)
    terms = contract_terms(chosen)
    return LiveFeed(reach, desk.instruments, now_ns=clock, settings=listened, terms=terms)


def _filled_by_bars(
    broker: OpenableBroker,
    nights: NightBooks,
    bands: PriceBands,
    sessions: SessionBars,
    instrument_ids: Collection[str],
) -> Callable[[Item], None]:
    """Return what fills paper orders from a feed's bars; any other broker fills its own."""
    from adapters.brokers.paper import PaperBroker

    ending = frozenset(instrument_ids) - frozenset(sessions.whole)

    def show(item: Item) -> None:
        if not isinstance(broker, PaperBroker):
            return
        sessions.end(item.time_ns, partial(broker.end_session, ending))
        if isinstance(item, Bar):
            opened_ns = item.time_ns if item.open_time_ns is None else item.open_time_ns
            halted = nights.actions.halted(opened_ns, item.time_ns)
            is_halted = item.is_halted or item.instrument_id in halted
            broker.on_bar(replace(bands.bounded(sessions.told(item)), is_halted=is_halted))

    return show


def _replayed(
    settings: ApiarySettings,
    chosen: TradeSettings,
    feed: ReplayFeed,
    desk: TradingDesk,
    broker: OpenableBroker,
    clock: ReplayClock,
) -> Market:
    """Return a market of recorded bars that goes on from where the log says that it was left."""
    bars = _bars(settings, feed, desk.instruments)
    if not bars:
        raise ValueError("the replay must have bars between its start and its end, had none")
    hours = ExchangeHours(settings.calendar)
    from_ns = resume_ns(desk.log.read())
    replay = BarReplay(
        bars,
        is_open=lambda _, time_ns: hours.is_open(time_ns),
        moment_lag_ns=int(chosen.decision_lag(settings.decision_lag).total_seconds()) * 10**9,
        speed=feed.speed,
        from_ns=from_ns,
        opening_ns=lambda time_ns: hours.bounds(hours.session_at(time_ns))[0],
    )
    nights = night_books(settings, chosen, desk, broker)
    for bar in bars:  # what the market showed before the log's end is known
        if bar.time_ns <= from_ns:
            desk.quotes[bar.instrument_id] = replay.quote(bar)
    _forget_prices_of_before(desk, nights, hours)
    clock.advance(from_ns or bars[0].time_ns)

    bands, sessions = _bands(settings, nights), SessionBars(hours, one_a_session(bars, hours))
    told_from_ns = replay.bars[0].time_ns if replay.bars else from_ns + 1
    for bar in bars:
        if bar.time_ns < told_from_ns:
            bands.bounded(sessions.told(bar))  # its close bounds the session after it
    fill = _filled_by_bars(broker, nights, bands, sessions, desk.instruments)

    def before_item(item: Item) -> None:
        clock.advance(item.time_ns)
        fill(item)

    return Market(replay, clock, before_item, nights, replayed=True)


def _forget_prices_of_before(desk: TradingDesk, nights: NightBooks, hours: ExchangeHours) -> None:
    """Drop quotes that an action of the newest session has made prices of other lots."""
    session = desk.book.session
    if session:
        opens_ns = hours.bounds(session)[0]
        stale = {i for i, quote in desk.quotes.items() if quote.time_ns <= opens_ns}
        met = nights.actions.of_session("", session)
        nights.forget_prices([a for a in met if a.instrument_id in stale])


def _bars(
    settings: ApiarySettings, feed: ReplayFeed, instruments: Mapping[str, Instrument]
) -> tuple[Bar, ...]:
    if feed.file is None:
        return market_tables(settings, feed.home).bars(instruments, feed.start, feed.end)
    from adapters.feeds.bar_file import read_bar_file

    read = read_bar_file(feed.file, instruments)
    return tuple(bar for bar in read if feed.holds(bar.time_ns))
