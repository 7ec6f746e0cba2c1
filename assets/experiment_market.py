"""The market of an experiment's window, out of the tables: its own exchange's, and others'."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from assets.desk import Desk
from assets.feature_tables import ClosedInputs, read_inputs
from assets.forecasts_abroad import forecast_abroad
from assets.ports import ModelRegistry, StoredTable, TableStore
from assets.session_tables import instruments_of
from features import catalog, series
from features.calendars import same_hours, sessions
from features.schemas import INSTRUMENTS
from features.schemas_derived import FORECASTS
from features.session_bars import Market as TradedMarket
from features.session_bars import traded_instruments
from models.experiments.fields import ExperimentError
from models.experiments.floor import Exchange, FloorTables
from models.experiments.market import Market, MarketTables, build_market
from models.experiments.spec import ExperimentSpec, Universe
from models.experiments.windows import Window

_ROLL_AHEAD = timedelta(days=400)  # a roll counts the sessions to an expiry beyond the window
_MODEL_BEHIND = timedelta(days=14)  # the desk's forecasts before a window name its first model
_READ = ("features", "forecasts", "clean_bars", "clean_corporate_actions", "instruments")
_NEEDED = ("clean_bars", "instruments", "features")
_READ_ABROAD = ("clean_macro", "clean_news")  # what features of other exchanges are computed from


@dataclass(frozen=True, slots=True)
class Abroad:
    """Members on another exchange than the desk's, and the market that they are of."""

    market: TradedMarket
    members: frozenset[str]


def data_versions(tables: TableStore, *, abroad: bool = False) -> str:
    """Return the versions of the tables that a backtest reads, on the desk's exchange or abroad."""
    names = (*_READ, *(_READ_ABROAD if abroad else ()))
    return ",".join(f"{name}@{tables.version(name)}" for name in names if tables.exists(name))


def check_tables(tables: TableStore) -> None:
    """Raise ExperimentError in a home whose chain has never run: there is nothing to test on."""
    missing = [name for name in _NEEDED if not tables.exists(name)]
    if missing:
        raise ExperimentError(
            f"the home must have bars and features, which `apiary run` makes, had no {missing[0]}"
        )


def abroad_of(desk: Desk, tables: TableStore, universe: Universe) -> tuple[Abroad, ...]:
    """Return the exchanges with other hours than the desk's that the members are listed on."""
    if universe.is_all or not tables.exists("instruments"):
        return ()
    rows = _instruments(tables).unique("instrument_id", keep="last", maintain_order=True)
    wanted = {m.instrument_id for m in universe.members}
    at_home = set(traded_instruments(rows, desk.market))
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows.sort("calendar", "instrument_id").iter_rows(named=True):
        if row["instrument_id"] not in wanted - at_home or not _is_abroad(row["calendar"], desk):
            continue
        name = next((c for c in found if same_hours(c, row["calendar"])), row["calendar"])
        found.setdefault(name, []).append(row)
    return tuple(
        Abroad(
            replace(
                desk.market,
                calendar=calendar,
                asset_classes=_with(desk.asset_classes, [m["asset_class"] for m in members]),
                foreign=_with(desk.foreign_currencies, [m["currency"] for m in members]),
            ),
            frozenset(m["instrument_id"] for m in members),
        )
        for calendar, members in found.items()
    )


def market_of(
    desk: Desk,
    tables: TableStore,
    spec: ExperimentSpec,
    window: Window,
    registry: ModelRegistry,
) -> Market:
    """Return the sessions of a window and its warm-up as the live decision would have seen them.

    Features of the desk's exchange are those of the table; of another they are computed here as
    that table's are, over all that is traded there, at that exchange's closes, and the desk's
    models forecast from them (forecast_abroad). Raises ExperimentError in a home without tables.
    """
    check_tables(tables)
    start, end = _midnight(window.warmup_start), _midnight(window.end)
    within = (pl.col("event_time") >= start) & (pl.col("event_time") < end)
    home = read_inputs(desk, tables, start, end)
    features = [tables.read("features", start=start, end=end)]
    abroad = abroad_of(desk, tables, spec.universe)
    read = [home, *(read_inputs(desk, tables, start, end, a.market) for a in abroad)]
    spoken = StoredTable(tables, "forecasts", FORECASTS.columns).read(
        start=start - _MODEL_BEHIND if abroad else start, end=end
    )
    forecasts = [spoken.filter(within)]
    for place, inputs in zip(abroad, read[1:], strict=True):
        rows, own = _features(desk, place, inputs, start, end), sorted(place.members)
        told = forecast_abroad(spoken, rows, registry)
        features.append(rows.filter(pl.col("instrument_id").is_in(own)))
        forecasts.append(told.filter(pl.col("instrument_id").is_in(own)))
    tables_read = MarketTables(
        features=pl.concat(features, how="diagonal_relaxed"),
        forecasts=_whole(forecasts),
        bars=_whole([i.bars for i in read]).filter(within),
        instruments=home.instruments,
        benchmark=_benchmark(desk, tables, start, end),
        floor=FloorTables(
            bars=_whole([i.traded for i in read]).filter(within),
            actions=_whole([i.actions for i in read]),
            hours=sessions(desk.calendar, start, end + _ROLL_AHEAD),
            instruments=instruments_of(home.instruments),
            rates=_whole([i.rates for i in read]).unique(maintain_order=True),
            base_currency=desk.base_currency,
            exchanges=tuple(
                Exchange(
                    instrument_ids=a.members,
                    hours=sessions(a.market.calendar, start, end + _ROLL_AHEAD),
                )
                for a in abroad
            ),
        ),
    )
    return build_market(tables_read, spec.universe, desk.decision_lag, spec.contracts)


def _features(
    desk: Desk, place: Abroad, inputs: ClosedInputs, start: datetime, end: datetime
) -> pl.DataFrame:
    if inputs.bars.is_empty():
        raise ExperimentError(
            f"universe must be instruments that have bars at closes of {place.market.calendar}, "
            f"was {min(place.members)}"
        )
    return catalog.compute(
        inputs.for_catalog(), start=start, end=end, as_of_offset=desk.decision_lag
    )


def _is_abroad(calendar: str, desk: Desk) -> bool:
    try:
        return not same_hours(calendar, desk.calendar)
    except ValueError:  # no exchange that is known here: it has no sessions to trade in
        return False


def _with(given: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*given, *sorted(more))))


def _whole(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return parts[0] if len(parts) == 1 else pl.concat(parts, how="diagonal_relaxed")


def _instruments(tables: TableStore) -> pl.DataFrame:
    return StoredTable(tables, "instruments", INSTRUMENTS.columns).read()


def _benchmark(desk: Desk, tables: TableStore, start: datetime, end: datetime) -> pl.DataFrame:
    none = pl.DataFrame(schema={"event_time": pl.Datetime("us", "UTC"), "close": pl.Float64})
    if desk.benchmark_id is None or not tables.exists("clean_bars"):
        return none
    rows = tables.read("clean_bars", start=start, end=end).filter(
        (pl.col("instrument_id") == desk.benchmark_id) & (pl.col("interval") == "1d")
    )
    return series.select_series(rows, desk.source_priority).select("event_time", "close")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC)
