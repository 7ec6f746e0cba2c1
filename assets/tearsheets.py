"""Tearsheets: what is on record of each experiment, judged by how often was tried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import dagster as dg
import polars as pl

from assets.backtests import Experiments, data_versions
from assets.ports import TableStore
from models.experiments.judgement import Judgement, judge, returns_by_point
from models.experiments.running import ResultStore, deciding_code
from models.experiments.trials import LAUNCHED, TrialLedger, count_trials

SIDE_BY_SIDE = "side_by_side"
Records = Sequence[Mapping[str, object]]


class TearsheetPages(Protocol):
    """Writes pages that people read."""

    def write(
        self,
        name: str,
        note: str,
        rows: pl.DataFrame,
        parts: pl.DataFrame,
        figures: Mapping[str, Mapping[str, object]],
    ) -> Path:
        """Write the page over rows and parts with a `label`; the first of `figures` leads."""
        ...


@dataclass(frozen=True, slots=True)
class _Told:
    """An experiment's rows and parts by label, and the judgement of each label, the best first."""

    rows: pl.DataFrame
    parts: pl.DataFrame
    judged: dict[str, Judgement]


@dg.asset(group_name="research", deps=["backtests"], kinds={"plotly"})
def tearsheets(
    tables: dg.ResourceParam[TableStore],
    experiments: dg.ResourceParam[Experiments],
    trial_ledger: dg.ResourceParam[TrialLedger],
    backtest_results: dg.ResourceParam[ResultStore],
    tearsheet_pages: dg.ResourceParam[TearsheetPages],
) -> dg.MaterializeResult:
    """One page for each experiment, and one with the best point of each side by side.

    Only what was run on the tables and the code as they stand now; the count is of everything.
    """
    records = trial_ledger.records()
    data = data_versions(tables)
    written: dict[str, str] = {}
    best: list[tuple[str, _Told]] = []
    for name in experiments.names():
        told = _gather(name, records, data, backtest_results)
        if told is None:
            continue
        note = experiments.get(name).question
        written[name] = str(_write(tearsheet_pages, name, note, told))
        best.append((name, told))
    if best:
        note = "The best point of each experiment; every trial on record counts."
        written[SIDE_BY_SIDE] = str(
            _write(tearsheet_pages, SIDE_BY_SIDE, note, _beside(best, records))
        )
    paths = {name: dg.MetadataValue.path(path) for name, path in written.items()}
    return dg.MaterializeResult(metadata={"experiments": len(best), **paths})


def _write(pages: TearsheetPages, name: str, note: str, told: _Told) -> Path:
    figures = {label: judged.named() for label, judged in told.judged.items()}
    return pages.write(name, note, told.rows, told.parts, figures)


def _gather(name: str, records: Records, data: str, results: ResultStore) -> _Told | None:
    """Return what is finished of an experiment, or None where nothing is."""
    now = {"kind": LAUNCHED, "experiment": name, "data": data, "code": deciding_code()}
    launched = {
        str(r["trial_id"]): r for r in records if all(r.get(k) == v for k, v in now.items())
    }
    points: dict[str, str] = {}
    found: dict[str, list[pl.DataFrame]] = {"rows": [], "parts": []}
    for trial_id, record in launched.items():
        frames = results.find(trial_id)
        if frames is None:
            continue
        strategy, point = str(record["strategy_id"]), str(record["point"]) or "as written"
        label = points.setdefault(strategy, _free(point, strategy, points))
        for kind, gathered in found.items():
            gathered.append(frames[kind].with_columns(label=pl.lit(label)))
    if not found["rows"]:
        return None
    rows, parts = (pl.concat(found[kind]) for kind in ("rows", "parts"))
    tried = returns_by_point(rows, "label")
    count = count_trials(records, name)
    judged = {
        str(label): judge(part.sort("event_time"), count, tried)
        for (label,), part in rows.partition_by("label", as_dict=True, maintain_order=True).items()
    }
    return _Told(rows, parts, dict(sorted(judged.items(), key=_rank)))


def _free(point: str, strategy: str, points: Mapping[str, str]) -> str:
    """Return the point's text, with the strategy's id where another one has that text already."""
    return f"{point} ({strategy[:6]})" if point in points.values() else point


def _rank(item: tuple[str, Judgement]) -> float:
    ratio = item[1].sharpe
    return float("inf") if ratio is None else -ratio


def _beside(best: Sequence[tuple[str, _Told]], records: Records) -> _Told:
    """Return the best point of each experiment, judged by everything that was ever tried."""
    count = count_trials(records)
    rows: list[pl.DataFrame] = []
    parts: list[pl.DataFrame] = []
    for name, told in best:
        point = next(iter(told.judged))
        label = pl.lit(f"{name}: {point}").alias("label")
        rows.append(told.rows.filter(pl.col("label") == point).with_columns(label))
        parts.append(told.parts.filter(pl.col("label") == point).with_columns(label))
    judged = {str(part["label"][0]): judge(part.sort("event_time"), count) for part in rows}
    ordered = dict(sorted(judged.items(), key=_rank))
    return _Told(pl.concat(rows), pl.concat(parts), ordered)
