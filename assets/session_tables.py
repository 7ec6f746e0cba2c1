"""The rows that a range of sessions is decided on, read once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from assets.desk import Desk
from assets.feature_tables import ClosedInputs, read_inputs
from assets.ports import StoredTable, TableStore
from assets.readiness import REQUIRED_TABLES
from assets.steady_tables import SteadyTables
from features import series
from features.calendars import day_of
from features.projections import instruments_of as instruments_of
from features.schemas import INSTRUMENTS
from features.schemas_derived import FORECASTS

BARS_AGE_MAX = timedelta(days=10)  # an older price is none


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows that a range of sessions reads, at the versions that the lineage names.

    `bars` are as they were quoted on the day, with `growth`; `actions` are what happened to them.
    """

    instruments: pl.DataFrame
    bars: pl.DataFrame
    actions: pl.DataFrame
    rates: pl.DataFrame
    features: pl.DataFrame
    forecasts: pl.DataFrame
    benchmark: dict[str, float]
    versions: dict[str, int]


def read_steadily(desk: Desk, tables: TableStore, start: datetime, end: datetime) -> Tables:
    """Return what the sessions in [start, end) are decided on, each table in one version.

    What the lineage names is then what was read, whoever writes meanwhile.
    """
    steady = SteadyTables(tables)
    return read_tables(desk, steady, read_inputs(desk, steady, start, end), start, end)


def read_tables(
    desk: Desk, tables: TableStore, inputs: ClosedInputs, start: datetime, end: datetime
) -> Tables:
    """Return what the sessions in [start, end) are decided and traded on."""
    instruments = StoredTable(tables, "instruments", INSTRUMENTS.columns).read()
    names = [
        "features",
        *(f"clean_{n}" for n in REQUIRED_TABLES),
        *(f"raw_{n}" for n in REQUIRED_TABLES),
    ]
    return Tables(
        instruments=instruments,
        bars=inputs.traded.filter(pl.col("event_time") >= start - BARS_AGE_MAX),
        actions=inputs.actions,
        rates=inputs.rates,
        features=tables.read("features", start=start, end=end),
        forecasts=StoredTable(tables, "forecasts", FORECASTS.columns).read(start=start, end=end),
        benchmark=_benchmark(desk, tables, start, end),
        versions={name: tables.version(name) for name in names if tables.exists(name)},
    )


def _benchmark(desk: Desk, tables: TableStore, start: datetime, end: datetime) -> dict[str, float]:
    if desk.benchmark_id is None or not tables.exists("clean_bars"):
        return {}
    rows = tables.read("clean_bars", start=start, end=end).filter(
        (pl.col("instrument_id") == desk.benchmark_id) & (pl.col("interval") == "1d")
    )
    chosen = series.select_series(rows, desk.source_priority)
    return {
        day_of(row["event_time"]).isoformat(): row["close"] for row in chosen.iter_rows(named=True)
    }
