"""The colony as the trader's engine: what it reads is what its lineage names."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from features.session_bars import Market
from swarm_core.book import Book
from swarm_core.colony.settings import ColonySettings
from swarm_core.instruments import to_minor
from trader.colony_engine import ColonyEngine, ColonyPlan
from trader.hours import ExchangeHours
from trader.ports import Moment

CLOSE = datetime(2024, 1, 3, 21, tzinfo=UTC)
LAG = timedelta(hours=1)
SECOND_NS = 10**9


class Store:
    """Versions of tables; while `writing`, each look finds another run's new one."""

    def __init__(self) -> None:
        self.writing, self.versions = True, 7

    def exists(self, table: str) -> bool:
        return True

    def version(self, table: str) -> int:
        self.versions += self.writing and table == "features"
        return self.versions


class Tables:
    """One session's features and forecasts of one instrument."""

    def __init__(self) -> None:
        self.store = Store()
        self.market = Market(
            calendar="XNYS", currency="USD", asset_classes=("equity",), decision_lag=LAG
        )

    def read(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        row = {"instrument_id": ["US.ANT"], "event_time": [CLOSE], "knowledge_time": [CLOSE]}
        return pl.DataFrame(row)

    def bar_rows(self, start: datetime, end: datetime) -> pl.DataFrame:
        row = {"instrument_id": ["US.ANT"], "event_time": [CLOSE], "knowledge_time": [CLOSE]}
        return pl.DataFrame(
            {**row, "close": [10.0], "growth": [1.0], "source": ["s"], "interval": ["1d"]}
        )

    def instrument_rows(self) -> pl.DataFrame:
        return pl.DataFrame({"instrument_id": ["US.ANT"]})


class Engine(ColonyEngine):
    """An engine that notes the versions that it would decide on."""

    noted: Mapping[str, int] | None = None

    def _decide(self, *given: Any) -> Any:
        self.noted = given[-1]
        return None


def test_a_session_waits_while_its_tables_are_written() -> None:
    tables: Any = Tables()
    plan = ColonyPlan(settings=ColonySettings(), decision_lag=LAG)
    absent: Any = None
    engine = Engine(plan, tables, absent, absent, ExchangeHours("XNYS"))
    book = Book("USD", to_minor(1_000_000))
    now = int((CLOSE + timedelta(hours=2)).timestamp()) * SECOND_NS

    engine.on_market(Moment(now), book, now)
    assert engine.noted is None

    tables.store.writing = False
    engine.on_market(Moment(now), book, now + 11 * SECOND_NS)
    assert engine.noted is not None
    assert set(engine.noted.values()) == {tables.store.versions}
