"""From settings to the parts of a trading desk, with nothing of Dagster: log, broker, desk."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipelines.desk_log import open_event_log
from pipelines.settings import ApiarySettings, Environment, SettingsError, read_risk_limits
from pipelines.trade_settings import IbVenue, ReplayFeed, TradeSettings
from pipelines.venue import read_trader_venue
from swarm_core.end_orders import are_alike
from swarm_core.instruments import Instrument, to_minor
from swarm_core.limit_record import limits_in_force
from swarm_core.ports import EventLog
from swarm_core.reconciliation import ReconciliationRules
from swarm_core.sizing_settings import SizingSettings
from trader.clocks import wall_ns
from trader.contract_ends import ContractEnds
from trader.desk import TradingDesk
from trader.opening import open_desk
from trader.overnight import NightBooks
from trader.ports import LiveBroker

if TYPE_CHECKING:
    import polars as pl

    from adapters.brokers.ib_contracts import ContractTerms
    from adapters.stores.book_snapshots import BookSnapshots, HashedLog
    from adapters.stores.hot_embedded import HotStore
    from adapters.stores.live_book import LiveBook
    from trader.hours import ExchangeHours
    from trader.market_tables import MarketTables


class OpenableBroker(LiveBroker, Protocol):
    """A live broker that is reached and left."""

    def open(self) -> None:
        """Reach the broker; OSError where it is not there, ValueError on a wrong account."""
        ...

    def close(self) -> None: ...


def trade_settings(settings: ApiarySettings) -> TradeSettings:
    """Return the trader's settings; SettingsError where the desk has none."""
    if settings.trade is None:
        raise SettingsError(
            "trade must be configured to start the trader, was not: config/paper.yaml is an example"
        )
    return settings.trade


def book_snapshots(settings: ApiarySettings) -> "BookSnapshots":
    """Return the snapshot of this desk's book, from which a start goes on."""
    from adapters.stores.book_snapshots import BookSnapshots

    path = settings.home / "warm" / "book.snapshot"
    return BookSnapshots(path, settings.base_currency, settings.book.starting_cash)


def open_states(settings: ApiarySettings) -> "HotStore":
    """Return where the colony's states are kept: the hot tier of the scheduled decision."""
    url = Environment().redis_text()
    if url is not None:
        from adapters.stores.opening import open_hot
        from pipelines.redis_keys import redis_namespace

        return open_hot(settings.home, url, redis_namespace(settings).hot)
    from adapters.stores.hot_embedded import EmbeddedHotStore

    return EmbeddedHotStore(settings.home / "hot" / "hot.db")


def live_book(settings: ApiarySettings) -> "LiveBook":
    """Return what shows the book in the hot tier; it opens it when it is first shown."""
    from adapters.stores.live_book import LiveBook

    return LiveBook(lambda: open_states(settings))


def market_tables(settings: ApiarySettings, home: Path | None = None) -> "MarketTables":
    """Return the tables of this desk's home, or of another."""
    from features.session_bars import Market
    from trader.market_tables import MarketTables

    return MarketTables(
        home or settings.home,
        Market(
            calendar=settings.calendar,
            currency=settings.base_currency,
            asset_classes=settings.asset_classes,
            decision_lag=settings.decision_lag,
            foreign=settings.foreign_currencies,
        ),
        settings.source_priority,
    )


def instruments_of(settings: ApiarySettings) -> dict[str, Instrument]:
    """Return what may be traded: those of the settings, or else of the instruments table.

    Raises SettingsError where one of `only` is not among them.
    """
    known = _known_instruments(settings)
    only = () if settings.trade is None else settings.trade.only
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise SettingsError(f"trade.only must name known instruments, had {unknown}")
    return {name: known[name] for name in only} if only else known


def _known_instruments(settings: ApiarySettings) -> dict[str, Instrument]:
    trade = settings.trade
    if trade is None or not trade.instruments:
        home = None if trade is None else trade.tables_home
        return market_tables(settings, home).instruments()
    try:
        listed = [Instrument.from_mapping(row) for row in trade.instruments]
    except ValueError as error:
        raise SettingsError(f"trade.instruments: {error}") from error
    return {instrument.instrument_id: instrument for instrument in listed}


def open_broker(
    settings: ApiarySettings,
    log: EventLog,
    instruments: Mapping[str, Instrument],
    now_ns: Callable[[], int],
) -> OpenableBroker:
    """Return the broker that the settings name, not yet reached."""
    if settings.trade is not None and isinstance(settings.trade.broker, IbVenue):
        return _open_ib(settings.home, settings.trade, settings.trade.broker, instruments, now_ns)
    from adapters.brokers.opening import open_simulated_broker
    from adapters.brokers.paper import PaperBroker

    venue = open_simulated_broker(instruments, (), venue=read_trader_venue(settings))
    return PaperBroker(
        venue,
        log.read(),
        base_currency=settings.base_currency,
        starting_cash_minor=to_minor(settings.book.starting_cash),
        now_ns=now_ns,
    )


def _open_ib(
    home: Path,
    trade: TradeSettings,
    venue: IbVenue,
    instruments: Mapping[str, Instrument],
    now_ns: Callable[[], int],
) -> OpenableBroker:
    from adapters.brokers.ib import IbBroker
    from adapters.brokers.ib_contract_cache import ContractCache
    from adapters.brokers.ib_session import IbSettings

    reach = IbSettings(
        host=venue.host,
        port=venue.port,
        client_id=venue.client_id,
        account=venue.account,
        live_account=venue.account if venue.kind == "ib_live" else "",
        answer_s_max=venue.answer_s_max,
    )
    kept = home / "warm" / f"ib_contracts_{venue.kind}.json"
    cache = ContractCache(kept, lambda: datetime.fromtimestamp(now_ns() // 10**9, UTC).date())
    terms = contract_terms(trade)
    return IbBroker(reach, instruments, now_ns=now_ns, cache=cache, terms=terms)


def contract_terms(trade: TradeSettings) -> "dict[str, ContractTerms]":
    """Return what else names the contracts of instruments at Interactive Brokers."""
    from adapters.brokers.ib_contracts import ContractTerms

    return {i: ContractTerms(**names.model_dump()) for i, names in trade.contracts.items()}


def contract_ends(
    trade: TradeSettings, desk: TradingDesk, hours: "ExchangeHours", tell: Callable[[str], None]
) -> ContractEnds:
    """Return what looks after futures that end soon.

    Raises ValueError where a contract is to be rolled into one that is not alike.
    """
    settings = trade.contract_end.to_core()
    for name, following in settings.into.items():
        one, other = (desk.instruments.get(n) for n in (name, following))
        if one is None or other is None or not are_alike(one, other):
            raise ValueError(
                f"trade.contract_end.into must lead from a future of this desk to one of the same "
                f"currency, multiplier and lots, was {name}: {following}"
            )
    return ContractEnds(desk, hours, hours.sessions_left, settings, trade.last_days(), tell)


def build_desk(
    settings: ApiarySettings,
    log: "HashedLog",
    broker: LiveBroker,
    instruments: Mapping[str, Instrument],
    now_ns: Callable[[], int],
) -> TradingDesk:
    """Return the desk of these settings, its book rebuilt from the log or a snapshot of it."""
    desk = open_desk(
        settings.home,
        log,
        broker,
        base_currency=settings.base_currency,
        starting_cash=settings.book.starting_cash,
        limits=read_risk_limits(settings),
        now_ns=now_ns,
        book=book_snapshots(settings).open_book(log),
    )
    desk.instruments = dict(instruments)
    desk.limits, _ = limits_in_force(desk.book.limits, desk.limits)
    if settings.trade is not None:
        desk.sizing = SizingSettings(
            dust_fraction=settings.trade.dust_fraction,
            kind=settings.trade.kind,
            strategy=settings.trade.strategy,
            exits=None if settings.trade.exits is None else settings.trade.exits.to_core(),
        )
        desk.located = frozenset(settings.trade.located)
        venue = settings.trade.broker
        desk.line.asks_for_margin = isinstance(venue, IbVenue) and venue.asks_for_margin
    return desk


def night_books(
    settings: ApiarySettings, chosen: TradeSettings, desk: TradingDesk, broker: LiveBroker
) -> NightBooks:
    """Return what books the nights of a desk: the carry of its venue, and the actions it knows.

    Actions are those of the settings' file, else of the tables. A replay of tables takes what its
    series does not have in its prices, everything else is traded at the prices of the day.
    Raises ValueError with one line where the file does not hold.
    """
    from trader.hours import ExchangeHours
    from trader.known_actions import KnownActions, read_action_file

    carry = read_trader_venue(settings).carry
    rows: Callable[[datetime], pl.DataFrame | None]
    told: Callable[[], pl.DataFrame | None]
    if chosen.actions is not None:
        written = read_action_file(chosen.actions, desk.instruments)
        rows, told = lambda _: written, lambda: written
    elif not isinstance(chosen.feed, ReplayFeed):
        told = market_tables(settings, chosen.tables_home).quoted_actions
        rows = lambda _: told()  # noqa: E731  # one of three sources
    elif chosen.feed.file is None:
        tables = market_tables(settings, chosen.feed.home)
        rows, told = tables.booked_actions, tables.quoted_actions
    else:
        return NightBooks(desk, broker, carry=carry)  # the replayed file is all there is
    hours = ExchangeHours(settings.calendar)
    actions = KnownActions(rows, told, hours, desk.instruments)
    desk.halted = lambda: actions.halted(desk.now_ns(), desk.now_ns())
    return NightBooks(desk, broker, actions, carry, hours)


@contextmanager
def offline_desk(settings: ApiarySettings) -> Iterator[TradingDesk]:
    """Give a desk that writes to the log; it knows no market and reaches no broker."""
    log = open_event_log(settings)
    broker = open_broker(settings, log, {}, wall_ns)
    try:
        yield build_desk(settings, log, broker, {}, wall_ns)
    finally:
        broker.close()


@contextmanager
def reached_account(settings: ApiarySettings) -> Iterator[tuple[TradingDesk, LiveBroker]]:
    """Give a desk and its broker, reached, for a command that acts where no trader runs.

    OSError where the broker is not there.
    """
    log = open_event_log(settings)
    try:
        instruments = instruments_of(settings)
    except ValueError:
        instruments = {}  # a halt must not wait for a table
    broker = open_broker(settings, log, instruments, wall_ns)
    broker.open()
    try:
        yield build_desk(settings, log, broker, instruments, wall_ns), broker
    finally:
        broker.close()


@contextmanager
def reached_desk(settings: ApiarySettings) -> Iterator[TradingDesk]:
    """Give the desk of `reached_account`."""
    with reached_account(settings) as (desk, _):
        yield desk


def reconciliation_rules(settings: ApiarySettings) -> ReconciliationRules:
    """Return what reconciliation may take as it is, as the desk's `trade.account` says."""
    if settings.trade is None:
        return ReconciliationRules()
    account = settings.trade.account
    return ReconciliationRules(
        adopt_foreign=account.adopt_foreign,
        cash_tolerance_minor=to_minor(account.cash_tolerance),
        settlement_fraction_max=account.settlement_fraction,
        estimate_fraction_max=account.estimate_fraction,
        withheld_fraction=account.withheld_fraction,
        cash_lag_ns=round(account.cash_lag_s * 1e9),
        position_lag_ns=round(account.position_lag_s * 1e9),
        rate_age_ns_max=round(account.rate_age_s_max * 1e9),
    )
