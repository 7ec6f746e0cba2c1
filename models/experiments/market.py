"""The market of an experiment: each session as the live decision would have observed it."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from features.calendars import day_of
from features.observing import SessionTables, observe
from models.experiments.contracts import Contracts
from models.experiments.exchanges import exchanges_of, join_floors, last_closes
from models.experiments.fields import ExperimentError, wrong
from models.experiments.floor import Floor, FloorTables, build_floor
from models.experiments.spec import Universe
from swarm_core.backtest.columns import DECIDED
from swarm_core.colony.observation import Observation
from swarm_core.colony.replay import Panel


@dataclass(frozen=True, slots=True)
class MarketTables:
    """The rows that a market is made of; `bars` are the chosen, back-adjusted series."""

    features: pl.DataFrame
    forecasts: pl.DataFrame
    bars: pl.DataFrame
    instruments: pl.DataFrame
    benchmark: pl.DataFrame  # event_time, close
    floor: FloorTables | None = None  # None: what is researched is what is traded


@dataclass(frozen=True, slots=True)
class Market:
    """The closes of T sessions, what was seen at the decision of each, and a benchmark.

    Where the universe spans exchanges a session is a day, and its close the last of that day.
    """

    closes: tuple[datetime, ...]
    panel: Panel
    benchmark: np.ndarray  # [T] closes of the benchmark, NaN where there is none
    opens: np.ndarray | None = None  # [T, N] NaN where there is none; None: closes alone
    floor: Floor | None = None  # what orders meet; None: these prices
    volume: np.ndarray | None = None  # [T, N] in units, NaN where there is none

    def between(self, start: date, end: date) -> "Market":
        """Return the sessions with start <= day < end; the arrays are views, not copies."""
        days = [day_of(c) for c in self.closes]
        low = sum(d < start for d in days)
        high = sum(d < end for d in days)
        return Market(
            self.closes[low:high],
            cut(self.panel, low, high),
            self.benchmark[low:high],
            None if self.opens is None else self.opens[low:high],
            None if self.floor is None else self.floor.part(low, high),
            None if self.volume is None else self.volume[low:high],
        )


def cut(panel: Panel, low: int, high: int) -> Panel:
    """Return the bars low <= t < high of a panel as views."""
    return replace(
        panel,
        time_ns=panel.time_ns[low:high],
        prices=panel.prices[low:high],
        sigma=panel.sigma[low:high],
        features={name: values[low:high] for name, values in panel.features.items()},
        market={name: values[low:high] for name, values in panel.market.items()},
        data_age_s=None if panel.data_age_s is None else panel.data_age_s[low:high],
        anomaly=None if panel.anomaly is None else panel.anomaly[low:high],
    )


def build_market(
    tables: MarketTables,
    universe: Universe,
    decision_lag: timedelta,
    contracts: Contracts = Contracts(),  # noqa: B008  # frozen
) -> Market:
    """Return the market of every session that has features, the universe's members in it.

    What is decided sees each instrument at the close of its own exchange.

    Raises ExperimentError where no session or no member has any row.
    """
    rows = _rows_of(tables.features, universe, decision_lag)
    ids = tuple(rows["instrument_id"].unique().sort())
    is_joined = tables.floor is not None and any(
        e.instrument_ids.intersection(ids) for e in tables.floor.exchanges
    )
    if tables.floor is not None and is_joined:
        places = exchanges_of(tables.floor, ids)
        ids = tuple(name for e in places for name in sorted(e.instrument_ids))
    in_time = tables.bars.filter(
        pl.col("instrument_id").is_in(list(ids))
        & (pl.col("knowledge_time") <= pl.col("event_time") + decision_lag)
    )
    newest = in_time.sort("knowledge_time").unique(["instrument_id", "event_time"], keep="last")
    moments = [moment.astimezone(UTC) for moment in rows["event_time"].unique()]
    close_of = last_closes(moments) if is_joined else {moment: moment for moment in moments}
    rows_of, bars_of, forecasts_of = (
        _by_close(told, close_of) for told in (rows, newest, tables.forecasts)
    )
    closes = tuple(sorted(rows_of))
    seen = [
        observe(
            SessionTables(
                as_of=close + decision_lag,
                features=rows_of[close],
                forecasts=forecasts_of.get(close, tables.forecasts.clear()),
                bars=bars_of.get(close, newest.clear()),
                instruments=tables.instruments,
            ),
            ids,
            weights=[0.0] * len(ids),
            nav=1.0,
        )
        for close in closes
    ]
    panel = _without_strangers(_panel(seen, ids), closes, universe)
    benchmark = _levels(tables.benchmark, closes, is_joined)
    opens, volume = (_shown(bars_of, name, closes, panel) for name in ("open", "volume"))
    floor = None
    if tables.floor is not None:
        given = closes, decision_lag, universe, contracts
        floor = (
            join_floors(tables.floor, rows, ids, *given)
            if is_joined
            else build_floor(tables.floor, ids, *given)
        )
        panel = _offered(panel, floor)
    return Market(closes, panel, benchmark, opens, floor, volume)


def _rows_of(rows: pl.DataFrame, universe: Universe, lag: timedelta) -> pl.DataFrame:
    """Return the features of the members that were known when each was decided."""
    wanted = {m.instrument_id for m in universe.members}
    known = set(rows["instrument_id"].unique())
    if wanted - known:
        raise wrong("universe", "instruments that have features", sorted(wanted - known)[0])
    if wanted:
        rows = rows.filter(pl.col("instrument_id").is_in(sorted(wanted)))
    # What was published after its decision was not there to decide on.
    rows = rows.filter(pl.col("knowledge_time") <= pl.col("event_time") + lag)
    if rows.is_empty():
        raise ExperimentError("the feature table must have rows between start and end, had none")
    return rows


def _levels(benchmark: pl.DataFrame, closes: tuple[datetime, ...], is_joined: bool) -> np.ndarray:
    """Return the benchmark's level at each close, the newest where exchanges close in turns."""
    told = benchmark.select("event_time", "close").drop_nulls().sort("event_time")
    levels = dict(told.iter_rows())
    if not is_joined:
        return np.array([levels.get(c) or np.nan for c in closes], np.float64)
    at, known = told["event_time"].to_list(), [np.nan, *told["close"].to_list()]
    return np.array([known[bisect_right(at, close)] for close in closes], np.float64)


def _shown(
    bars_of: Mapping[datetime, pl.DataFrame],
    name: str,
    closes: tuple[datetime, ...],
    panel: Panel,
) -> np.ndarray | None:
    """Return a column [T, N] of the bars that the panel shows a price of, None without any."""
    if not any(name in bars.columns for bars in bars_of.values()):
        return None
    place = {name: i for i, name in enumerate(panel.instrument_ids)}
    shown = np.full(panel.prices.shape, np.nan)
    for t, close in enumerate(closes):
        if close not in bars_of:
            continue
        for instrument, value in bars_of[close].select("instrument_id", name).iter_rows():
            if value is not None:
                shown[t, place[instrument]] = value
    return np.where(np.isfinite(panel.prices), shown, np.nan)


def _by_close(
    rows: pl.DataFrame, close_of: Mapping[datetime, datetime]
) -> Mapping[datetime, pl.DataFrame]:
    """Return the rows of each close; those of other moments are left out."""
    parts = rows.partition_by("event_time", as_dict=True, maintain_order=True)
    found: dict[datetime, list[pl.DataFrame]] = {}
    for (moment,), part in parts.items():
        close = close_of.get(moment.astimezone(UTC))
        if close is not None:
            found.setdefault(close, []).append(part)
    return {close: pl.concat(told) for close, told in found.items()}


def _panel(seen: list[Observation], ids: tuple[str, ...]) -> Panel:
    unknown = float("nan")
    markets = sorted({name for o in seen for name in o.market})
    age = [o.data_age_s for o in seen if o.data_age_s is not None]
    return Panel(
        time_ns=np.array([o.time_ns for o in seen], np.int64),
        instrument_ids=ids,
        prices=np.stack([o.prices for o in seen]),
        sigma=np.stack([o.sigma for o in seen]),
        features={name: np.stack([o.features[name] for o in seen]) for name in seen[0].features},
        market={name: np.array([o.market.get(name, unknown) for o in seen]) for name in markets},
        sectors=seen[0].sectors,
        currencies=seen[0].currencies,
        data_age_s=np.stack(age) if len(age) == len(seen) else None,
    )


def _offered(panel: Panel, floor: Floor) -> Panel:
    """Hide the contracts of a chain that are not the one to be traded."""
    leaving = floor.bars.market.leaving
    if not len(leaving):
        return panel
    decided = leaving if floor.decided is None else leaving[floor.decided]
    return _hidden(panel, decided != DECIDED)


def _hidden(panel: Panel, away: np.ndarray) -> Panel:
    return replace(
        panel,
        prices=np.where(away, np.nan, panel.prices),
        sigma=np.where(away, np.nan, panel.sigma),
        features={k: np.where(away, np.nan, v) for k, v in panel.features.items()},
    )


def _without_strangers(panel: Panel, closes: tuple[datetime, ...], universe: Universe) -> Panel:
    """Hide what a non-member shows: without price, sigma and features nothing is decided on it.

    What is held when a membership ends is sold on the floor (Floor.bars); where there is no floor
    it stands still at its last price from then on.
    """
    if universe.is_all:
        return panel
    inside = np.zeros(panel.prices.shape, bool)
    days = [day_of(c) for c in closes]
    for member in universe.members:
        at = panel.instrument_ids.index(member.instrument_id)
        for t, day in enumerate(days):
            begun = member.start is None or member.start <= day
            inside[t, at] |= begun and (member.end is None or day <= member.end)
    return _hidden(panel, ~inside)
