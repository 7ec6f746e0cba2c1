"""The composition root: every port of the assets, and the adapter that fulfils it here.

Everything is built when it is first used, so that loading the code location stays fast.
"""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipelines.chosen_market import find_market, with_market
from pipelines.dagster_home import make_private
from pipelines.settings import (
    ROOT,
    ApiarySettings,
    DefaultSource,
    Environment,
    FilesSource,
    IbSource,
    SettingsError,
    WebSource,
    read_settings,
    read_tiers,
)

if TYPE_CHECKING:
    from adapters.secrets.key_file import KeyFile
    from adapters.secrets.vault import Vault as VaultKeys
    from adapters.stores.envelope import Sealer
    from adapters.stores.lineage import LineageQueries
    from swarm_core.events import Event
    from swarm_core.ports import EventLog

Progress = Callable[[str], None]


class Workshop:
    """Builds the adapters of one home, each once."""

    def __init__(self, settings: ApiarySettings) -> None:
        self.settings = settings
        self.home = make_private(settings.home)
        self._built: dict[str, object] = {}
        self.progress: Progress = logging.getLogger("apiary.sources").info  # of reading sources

    def adopt(self, settings: ApiarySettings) -> None:
        """Take settings in which nothing is left open; before anything but the source is built."""
        self.settings = settings

    def _tell(self, line: str) -> None:
        self.progress(line)

    def source(self) -> object:
        from adapters.sources.combined import CombinedSource

        sources: list[Any] = [self._source(spec) for spec in self.settings.sources]
        return CombinedSource(sources)

    def _source(self, spec: DefaultSource | FilesSource | WebSource | IbSource) -> object:
        match spec:
            case DefaultSource():
                from adapters.sources.default_data import DefaultDataSource

                return DefaultDataSource(self.home / "cache", self._tell)
            case FilesSource():
                from adapters.sources.inference import Hints
                from adapters.sources.opening import open_folder

                hints = Hints(**spec.hints.model_dump())
                kept_in = self.home / "cache" / "files"
                if self.settings.encryption.owner:  # beside sealed tables nothing lies in plain
                    shutil.rmtree(kept_in, ignore_errors=True)
                    kept_in = None
                return open_folder(spec.folder, spec.mapping, hints, self._tell, kept_in)
            case WebSource():
                from adapters.sources.opening import open_web_source

                environment = Environment()
                return open_web_source(
                    spec.kind,
                    series=spec.series,
                    url=spec.url,
                    exchange=spec.exchange,
                    fred_api_key=environment.fred_api_key,
                    daily_bars_token=environment.daily_bars_token,
                )
            case IbSource():
                from adapters.sources.opening import open_ib_source

                return open_ib_source(**spec.model_dump())

    def tables(self) -> object:
        from adapters.stores.opening import open_cold

        return open_cold(
            self.home,
            **Environment().cold_storage(),
            sealer=self.sealer(),
            only_sealed=self.settings.encryption.only_sealed,
        )

    def key_ring(self) -> "VaultKeys | KeyFile":
        """Return where the owners' keys are."""
        where = self.settings.encryption.keys
        if where == "vault":
            from adapters.secrets.vault import Vault, VaultAccess

            return Vault(VaultAccess(**Environment().vault_access()))
        from adapters.secrets.key_file import KeyFile

        return KeyFile(ROOT / where)

    def sealer(self) -> "Sealer | None":
        """Return what seals the cold tier's files, None where encryption is off."""
        owner = self.settings.encryption.owner
        if not owner:
            return None
        from adapters.secrets.key_file import KeyFile
        from adapters.stores.envelope import Sealer

        keys = self.key_ring()
        if isinstance(keys, KeyFile) and not keys.has_owner(owner):
            self._require_unsealed(owner)
        keys.ensure_owner(owner)
        return Sealer(owner, keys)

    def _require_unsealed(self, owner: str) -> None:
        """Raise SettingsError where an owner without a key has sealed files: it must be found."""
        from adapters.stores.cold_keys import find_sealed
        from adapters.stores.opening import open_cold

        found = find_sealed(open_cold(self.home, **Environment().cold_storage()))
        if found is not None:
            raise SettingsError(
                f"the key of {owner} must be in {self.settings.encryption.keys}, is not, and "
                f"{found} is sealed: bring the keys back, for a new one opens nothing"
            )

    def feature_store(self) -> object:
        from adapters.stores.feature_store import FeastFeatureStore
        from adapters.stores.postgres_address import PostgresAddress
        from pipelines.redis_keys import redis_namespace

        environment = Environment()
        url = environment.postgres_text()
        redis = environment.redis_text()
        return FeastFeatureStore(
            self.home / "feast",
            redis_url=redis,
            namespace=redis_namespace(self.settings) if redis else None,
            postgres=PostgresAddress(url, environment.postgres_ca_file) if url else None,
        )

    def registry(self) -> object:
        from adapters.clock import SystemClock
        from adapters.stores.model_registry import FileModelRegistry

        return FileModelRegistry(self.home / "models", clock=SystemClock().now)

    def log(self) -> object:
        from adapters.stores.event_log_opening import open_event_log

        environment = Environment()
        return open_event_log(
            self.home / "warm" / "events.db",
            postgres_url=environment.postgres_text(),
            ca_file=environment.postgres_ca_file,
        )

    def event_log(self) -> "EventLog":
        """Return the event log of this home, opened once."""
        log: Any = self.get("log")
        return log

    def suites(self) -> object:
        from adapters.quality.gx import GreatExpectationsSuites

        return GreatExpectationsSuites(self.home / "quality")

    def clock(self) -> object:
        from adapters.clock import SystemClock

        return SystemClock()

    def notifier(self) -> object:
        from adapters.notifications import FileNotifier

        return FileNotifier(Environment().notify_file or self.home / "notifications.log")

    def desk(self) -> object:
        from pipelines.desk import build_desk
        from swarm_core.limit_record import find_recorded_limits, limits_in_force

        desk = build_desk(self.settings)
        # What a person has not signed off is not traded by, whoever trades.
        limits, _ = limits_in_force(find_recorded_limits(self.event_log().read()), desk.limits)
        return replace(desk, limits=limits)

    def hot(self) -> object:
        from adapters.stores.opening import open_hot
        from pipelines.redis_keys import redis_namespace

        url = Environment().redis_text()
        return open_hot(self.home, url, redis_namespace(self.settings).hot if url else None)

    def live(self) -> object:
        from pipelines.trading_parts import live_book

        return live_book(self.settings)

    def warm(self) -> object:
        from adapters.stores.opening import open_warm

        environment = Environment()
        return open_warm(
            self.home,
            environment.postgres_text(),
            environment.postgres_ca_file,
            environment.store_timeout_s,
        )

    def rows(self) -> object:
        from adapters.stores.tiered_tables import TieredTables

        policies = read_tiers(self.settings).policies()
        return TieredTables(self.get("hot"), self.get("warm"), self.get("tables"), policies)  # type: ignore[arg-type]  # built above by name

    def upkeep(self) -> object:
        from adapters.stores.trial_ledger import SqliteTrialLedger
        from pipelines.pins import Pins, model_names, pinned_versions
        from pipelines.upkeep import DeskUpkeep

        trials = self.home / "backtests" / "trials.db"
        cards: Any = self.get("registry")
        store: Any = self.get("tables")

        def pins() -> Pins:
            records = SqliteTrialLedger(trials).records() if trials.exists() else ()
            names = model_names(self.home / "models")
            return pinned_versions(self.event_log(), cards, names, records)

        return DeskUpkeep(store, read_tiers(self.settings).cold, pins)

    def archive(self) -> object:
        from datetime import timedelta

        from adapters.stores.opening import open_archive
        from pipelines.upkeep import DeskArchive

        rules = read_tiers(self.settings).archive
        folder = None if rules.folder is None else ROOT / rules.folder
        store: Any = self.get("tables")
        age = timedelta(days=rules.after_days)
        opened = open_archive(store, storage_class=rules.storage_class, folder=folder, age=age)
        return DeskArchive(opened)

    def reporter(self) -> object:
        from adapters.reports.writer import HtmlReporter

        return HtmlReporter(
            self.home / "report",
            base_currency=self.settings.base_currency,
            benchmark_name=self.settings.benchmark or "Benchmark",
            lineage=self.lineage_example,
        )

    def lineage(self) -> "LineageQueries":
        """Return the walks from an order to raw rows and back, over the tables as they stand."""
        from adapters.stores.lineage import LineageQueries
        from features.series import select_series

        return LineageQueries(
            self.get("log"),  # type: ignore[arg-type]  # built by name
            self.get("rows"),  # type: ignore[arg-type]  # built by name
            self.get("registry"),  # type: ignore[arg-type]  # built by name
            choose_series=lambda bars: select_series(bars, self.settings.source_priority),
            find_file=lambda source, row: self.get("source").find_file(source, row),  # type: ignore[attr-defined]  # built by name
        )

    def lineage_example(self) -> dict[str, object] | None:
        """Return the lineage of the newest order, or None where there is no order."""
        queries = self.lineage()
        orders = queries.order_ids()
        return queries.explain_order(orders[-1]).to_dict() if orders else None

    def open_broker(self) -> object:
        from adapters.brokers.opening import open_simulated_broker

        return open_simulated_broker

    def servers(self) -> list[str]:
        """Return what of this home lies on a server."""
        environment = Environment()
        given = {
            "the hot tier": environment.redis_url,
            "the event log": environment.postgres_url,
            "the warm tier": environment.postgres_url,
            "the cold tier": environment.cold_url,
        }
        return [name for name, address in given.items() if address]

    def scratch_log(self) -> object:
        from adapters.stores.event_log_memory import MemoryEventLog

        def open_log(events: Sequence["Event"]) -> object:
            log = MemoryEventLog()
            log.append(events)
            return log

        return open_log

    def get(self, name: str) -> object:
        """Return the adapter for the port of this name, built on first use."""
        if name not in self._built:
            self._built[name] = getattr(self, name)()
        return self._built[name]


PORTS = (
    "source",
    "tables",
    "feature_store",
    "registry",
    "log",
    "suites",
    "clock",
    "notifier",
    "desk",
    "hot",
    "live",
    "rows",
    "upkeep",
    "archive",
    "reporter",
    "open_broker",
    "scratch_log",
)

_workshops: dict[Path | None, Workshop] = {}


def workshop(config: Path | None = None) -> Workshop:
    """Return the workshop of a configuration, one per process and configuration."""
    if config not in _workshops:
        settings = read_settings(config)
        _workshops[config] = Workshop(with_market(settings, find_market(settings.home)))
    return _workshops[config]


def chosen_workshop(config: Path) -> Workshop:
    """Return the workshop of a configuration, which is from now on that of this process."""
    _workshops[None] = workshop(config.resolve())
    return _workshops[None]


def resource_definitions() -> dict[str, dg.ResourceDefinition]:
    """Return every port as a Dagster resource that is built when a run first needs it."""

    def definition(name: str) -> dg.ResourceDefinition:
        return dg.ResourceDefinition(resource_fn=lambda _: workshop().get(name))

    return {name: definition(name) for name in PORTS} | {"book_lock": _book_lock}


def time_ns() -> int:
    """Return the system clock's moment in nanoseconds since 1970."""
    clock: Any = workshop().get("clock")
    return round(clock.now().timestamp() * 1e6) * 1_000


@dg.resource(description="Held while a run trades the book: no trader may trade it meanwhile.")
def _book_lock(_: dg.InitResourceContext) -> Iterator[None]:
    from trader.opening import taken_book

    built = workshop()
    currency = built.settings.base_currency
    with taken_book(built.home, built.event_log(), "the decision job", currency, time_ns):
        yield
