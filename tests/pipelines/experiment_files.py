"""Experiments from files: a folder of CSV files and two of YAML, through the chain's own assets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import polars as pl
import yaml

from adapters.sources.files import FileSource
from adapters.sources.mapping import load_mapping
from adapters.stores.model_registry import FileModelRegistry
from adapters.stores.tables_delta import DeltaTableStore
from assets.backtests import ground_of
from assets.cleaning import CLEAN_TABLES
from assets.desk import Desk
from assets.experiment_market import market_of
from assets.feature_tables import feature_table
from assets.ingest import RAW_TABLES, instruments
from models.experiments.account import Walked, walk
from models.experiments.running import trials_of
from models.experiments.windows import windows_of
from models.promotion import PromotionRule
from models.training import TrainingSettings
from pipelines.backtests import read_file
from swarm_core.colony.settings import ColonySettings
from swarm_core.risk.limits import LOOSEST
from tests.models.experiments.known import FREE, trading_days

NOW = datetime(2020, 3, 1, tzinfo=UTC)
MONTH = "2020-01-01"
_NEW_YORK = {"stands_for": "day", "at": "09:30", "zone": "America/New_York"}
_PRICES = ("open", "high", "low", "close")
ACTION_COLUMNS = "symbol,ex_date,kind,ratio,amount,currency,into,end_date\n"


@dataclass(frozen=True)
class Ran:
    """What an experiment from files came to, and the tables that it read."""

    walked: Walked
    ids: tuple[str, ...]
    tables: DeltaTableStore

    @property
    def nav(self) -> list[float]:
        return self.walked.nav.tolist()

    def held(self, name: str) -> list[float]:
        """Return the weight of an instrument at each close."""
        return self.walked.held[:, self.ids.index(name)].tolist()


def write_prices(
    path: Path, told: Mapping[str, Sequence[tuple[float, ...] | None]], currency: str = "USD"
) -> None:
    """Write bars, one a weekday from the sixth of January 2020; every volume is another."""
    days = trading_days(max(len(rows) for rows in told.values()))
    lines = ["date,symbol,open,high,low,close,volume,currency"]
    for name, rows in told.items():
        for n, (day, row) in enumerate(zip(days, rows, strict=False)):
            if row is not None:
                *prices, volume = row
                lines.append(",".join(map(str, (day, name, *prices, volume + n, currency))))
    path.write_text("\n".join(lines) + "\n")


def bars_table(file: str, **instrument: object) -> dict[str, Any]:
    """Return the mapping of a file of daily bars."""
    columns: dict[str, Any] = {name: name for name in (*_PRICES, "volume", "currency")}
    constants = {"interval": {"constant": "1d"}, "adjustment": {"constant": "raw"}}
    return {
        "table": "bars",
        "files": file,
        "time": {"column": "date", "stands_for": "session"},
        "knowledge": {"lag": "15m"},
        "symbol": "symbol",
        "instrument": {"id": "US.{symbol}", "calendar": "XNYS", **instrument},
        "columns": columns | constants,
    }


ACTIONS: dict[str, Any] = {
    "table": "corporate_actions",
    "files": "actions.csv",
    "time": {"column": "ex_date", **_NEW_YORK},
    "end_time": {"column": "end_date", **_NEW_YORK},
    "symbol": "symbol",
    "instrument": {"id": "US.{symbol}", "calendar": "XNYS"},
    "columns": {
        **{name: name for name in ("kind", "ratio", "amount", "currency")},
        "detail": "into",
    },
}


def run_files(
    folder: Path,
    mapping: Sequence[Mapping[str, Any]],
    strategy: Mapping[str, Any],
    *,
    sessions: int,
    costs: Mapping[str, Any] = FREE,
    foreign: tuple[str, ...] = (),
    asset_classes: tuple[str, ...] = ("equity",),
    **fields: Any,
) -> Ran:
    """Ingest, validate and compute what the folder holds, and run an experiment over it."""
    days = trading_days(sessions)
    desk = make_desk(foreign, asset_classes)
    experiment = {
        "question": "does it come out as by hand?",
        "start": days[0].isoformat(),
        "end": days[-1].isoformat(),
        "costs": dict(costs),
        "strategy": dict(strategy),
        **fields,
    }
    (folder / "by_hand.yaml").write_text(yaml.safe_dump(experiment))
    tables = ingested(folder, mapping, desk)
    spec = read_file(folder / "by_hand.yaml")
    (window,) = windows_of(spec)
    market = market_of(desk, tables, spec, window, FileModelRegistry(folder / "models"))
    (trial,) = trials_of(spec, window, ground_of(desk), "by hand")
    return Ran(walk(trial, market), market.panel.instrument_ids, tables)


def make_desk(foreign: tuple[str, ...] = (), asset_classes: tuple[str, ...] = ("equity",)) -> Desk:
    return Desk(
        calendar="XNYS", base_currency="USD", asset_classes=asset_classes, source_priority=(),
        starting_cash=100_000, benchmark_id=None, training_start=date(2018, 1, 1),
        training_end=date(2019, 1, 1), colony=ColonySettings(), limits=LOOSEST,
        training=TrainingSettings(), promotion=PromotionRule(), foreign_currencies=foreign,
    )  # fmt: skip


def ingested(folder: Path, mapping: Sequence[Mapping[str, Any]], desk: Desk) -> DeltaTableStore:
    """Return the tables of what the folder holds, each row of it in its place."""
    (folder / "mapping.yaml").write_text(yaml.safe_dump({"tables": [dict(t) for t in mapping]}))
    source = FileSource(folder, load_mapping(folder / "mapping.yaml"))
    tables = DeltaTableStore(folder / "cold")
    named = {asset.key.to_user_string(): asset for asset in (*RAW_TABLES, *CLEAN_TABLES)}
    wanted = [name for t in ("bars", "corporate_actions") for name in (f"raw_{t}", f"clean_{t}")]
    done = dg.materialize(
        [*(named[name] for name in wanted), instruments, feature_table],
        partition_key=MONTH,
        resources={
            "source": source,
            "tables": tables,
            "desk": desk,
            "clock": SimpleNamespace(now=lambda: NOW),
            "feature_store": SimpleNamespace(write_offline=lambda rows, start, end: None),
        },
    )
    assert done.success
    for table in ("bars", "corporate_actions"):
        assert source.rejected(table).is_empty()
        stopped: pl.DataFrame = tables.read(f"quarantine_{table}")
        assert stopped.is_empty(), stopped["reason"].to_list()
    return tables
