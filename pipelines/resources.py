"""The composition root: every port of the assets, and the adapter that fulfils it here.

Everything is built when it is first used, so that loading the code location stays fast.
"""

from pathlib import Path

import dagster as dg

from pipelines.settings import (
    ApiarySettings,
    DefaultSource,
    Environment,
    FilesSource,
    WebSource,
    read_colony,
    read_risk_limits,
    read_settings,
    read_training,
)


class Workshop:
    """Builds the adapters of one home, each once."""

    def __init__(self, settings: ApiarySettings) -> None:
        self.settings = settings
        self.home = settings.home
        self._built: dict[str, object] = {}

    def source(self) -> object:
        from adapters.sources.combined import CombinedSource

        return CombinedSource([self._source(spec) for spec in self.settings.sources])

    def _source(self, spec: DefaultSource | FilesSource | WebSource) -> object:
        match spec:
            case DefaultSource():
                from adapters.sources.default_data import DefaultDataSource

                return DefaultDataSource(self.home / "cache")
            case FilesSource():
                from adapters.sources.files import open_folder

                return open_folder(spec.folder, spec.mapping)
            case WebSource():
                from adapters.sources.web import open_web_source

                environment = Environment()
                return open_web_source(
                    spec.kind,
                    series=spec.series,
                    url=spec.url,
                    exchange=spec.exchange,
                    fred_api_key=environment.fred_api_key,
                    daily_bars_token=environment.daily_bars_token,
                )

    def tables(self) -> object:
        from adapters.stores.tables_delta import DeltaTableStore

        return DeltaTableStore(self.home / "cold")

    def feature_store(self) -> object:
        from adapters.stores.feature_store import FeastFeatureStore

        return FeastFeatureStore(self.home / "feast", redis_url=Environment().redis_url)

    def registry(self) -> object:
        from adapters.stores.model_registry import FileModelRegistry

        return FileModelRegistry(self.home / "models")

    def log(self) -> object:
        from adapters.stores.event_log_sqlite import SqliteEventLog

        return SqliteEventLog(self.home / "warm" / "events.db")

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

        return build_desk(self.settings)
