"""Tearsheets: what is on record of each experiment, judged by how often was tried."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import dagster as dg
import polars as pl

from assets.backtests import Experiments, Tell
from assets.experiment_market import data_versions
from assets.ports import TableStore
from models.experiments.judgement import (
    Judgement,
    SweepJudgement,
    judge,
    judge_points,
    judging_code,
)
from models.experiments.running import Frames, ResultStore, deciding_code
from models.experiments.trials import (
    LAUNCHED,
    TrialCount,
    TrialLedger,
    count_trials,
    peeks_on_record,
)
from models.statistics import sharpe

_READERS = 8
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
        made_from: str = "",
        peeks: Mapping[str, str] | None = None,
    ) -> Path:
        """Write the page over rows and parts with a `label`; the first of `figures` leads.

        Parts are those of the first. `made_from` names everything that the page says. `peeks`
        tells by label what the look-ahead guard found.
        """
        ...

    def find(self, name: str, made_from: str) -> Path | None:
        """Return the page where it was made from the same, None where it must be written."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """What is finished of an experiment: rows by label, the best first, and the best's parts."""

    rows: Mapping[str, pl.DataFrame]
    parts: pl.DataFrame
    made_from: str

    @property
    def best(self) -> str:
        return next(iter(self.rows))

    @property
    def trial_ids(self) -> set[str]:
        return {str(name) for rows in self.rows.values() for name in rows["trial_id"].unique()}


@dg.asset(group_name="research", deps=["backtests"], kinds={"plotly"})
def tearsheets(
    tables: dg.ResourceParam[TableStore],
    experiments: dg.ResourceParam[Experiments],
    trial_ledger: dg.ResourceParam[TrialLedger],
    backtest_results: dg.ResourceParam[ResultStore],
    tearsheet_pages: dg.ResourceParam[TearsheetPages],
    tell: dg.ResourceParam[Tell],
) -> dg.MaterializeResult:
    """One page for each experiment, and one with the best point of each side by side.

    Only what was run on the tables and the code as they stand now; the count is of everything. A
    page that would say what it says already stays as it is.
    """
    records = trial_ledger.records()
    data = {data_versions(tables), data_versions(tables, abroad=True)}
    written: dict[str, str] = {}
    best: list[tuple[str, Found]] = []
    peeks = peeks_on_record(records)
    for name in experiments.names():
        found = gather_finished(name, records, data, backtest_results, tell)
        if found is None:
            continue
        count = count_trials(records, name, found.trial_ids)
        note = experiments.get(name).question
        told = _peeks_of(found, peeks)
        written[name] = str(_page(tearsheet_pages, name, note, found, count, tell, told))
        best.append((name, found))
    if best:
        written[SIDE_BY_SIDE] = str(_beside(tearsheet_pages, best, count_trials(records), peeks))
    paths = {name: dg.MetadataValue.path(path) for name, path in written.items()}
    return dg.MaterializeResult(metadata={"experiments": len(best), **paths})


def gather_finished(
    name: str, records: Records, data: set[str], results: ResultStore, tell: Tell
) -> Found | None:
    """Return what is finished of an experiment, or None where nothing is."""
    now = {"kind": LAUNCHED, "experiment": name, "code": deciding_code()}
    launched = {
        str(r["trial_id"]): r
        for r in records
        if r.get("data") in data and all(r.get(k) == v for k, v in now.items())
    }
    points: dict[str, str] = {}
    rows: dict[str, list[pl.DataFrame]] = {}
    parts: dict[str, list[pl.DataFrame]] = {}
    read: list[str] = []
    for number, (trial_id, frames) in enumerate(_found(results, list(launched)), 1):
        tell(f"{name}: read the results of trial {number:,} of {len(launched):,}")
        if frames is None:
            continue
        record = launched[trial_id]
        read.append(trial_id)
        strategy, point = str(record["strategy_id"]), str(record["point"]) or "as written"
        label = points.setdefault(strategy, _free(point, strategy, points))
        for kind, gathered in (("rows", rows), ("parts", parts)):
            gathered.setdefault(label, []).append(frames[kind])
    if not rows:
        return None
    labelled = {label: _labelled(told, label).sort("event_time") for label, told in rows.items()}
    ranked = dict(sorted(labelled.items(), key=lambda item: _rank(item[1])))
    best = next(iter(ranked))
    return Found(
        ranked, _labelled(parts[best], best), _digest([min(data, key=len), now["code"], *read])
    )


def _found(results: ResultStore, trial_ids: Sequence[str]) -> Iterator[tuple[str, Frames | None]]:
    """Yield each trial's frames in order: several are read at once, as most of it is waiting."""
    with ThreadPoolExecutor(_READERS) as readers:
        yield from zip(trial_ids, readers.map(results.find, trial_ids), strict=True)


def _labelled(frames: Sequence[pl.DataFrame], label: str) -> pl.DataFrame:
    return pl.concat(frames).with_columns(label=pl.lit(label))


def _free(point: str, strategy: str, points: Mapping[str, str]) -> str:
    """Return the point's text, with the strategy's id where another one has that text already."""
    return f"{point} ({strategy[:6]})" if point in points.values() else point


def _rank(rows: pl.DataFrame) -> float:
    ratio = sharpe(rows["net_return"].to_numpy())
    return -ratio if ratio == ratio else float("inf")


def _peeks_of(found: Found, peeks: Mapping[str, str]) -> dict[str, str]:
    """Return by label what the guard found of any of its windows."""
    return {
        label: peeks[trial_id]
        for label, rows in found.rows.items()
        for trial_id in rows["trial_id"].unique(maintain_order=True)
        if trial_id in peeks
    }


def _page(
    pages: TearsheetPages,
    name: str,
    note: str,
    found: Found,
    count: TrialCount,
    tell: Tell,
    peeks: Mapping[str, str],
) -> Path:
    """Write an experiment's page, or leave the one that says the same already."""
    counted = [count.launches, count.trials, count.sharpe_std]
    made_from = _digest([note, found.made_from, counted, judging_code(), dict(peeks)])
    kept = pages.find(name, made_from)
    if kept is not None:
        return kept
    rows = pl.concat(found.rows.values())
    tell(f"{name}: judge {len(found.rows):,} points together")
    sweep = judge_points(found.rows.values())
    figures: dict[str, Mapping[str, object]] = {}
    for number, (label, told) in enumerate(found.rows.items(), 1):
        tell(f"{name}: judge point {number:,} of {len(found.rows):,}")
        figures[label] = judge(told, count, sweep).named()
    tell(f"{name}: write the page")
    return pages.write(name, note, rows, found.parts, figures, made_from, peeks)


def _beside(
    pages: TearsheetPages,
    best: Sequence[tuple[str, Found]],
    count: TrialCount,
    peeks: Mapping[str, str],
) -> Path:
    """Write the page of the best point of each experiment, judged by everything ever tried.

    What looks ahead stands behind all that does not.
    """
    seen: dict[str, str] = {}
    rows: dict[str, pl.DataFrame] = {}
    parts: dict[str, pl.DataFrame] = {}
    points: dict[str, Found] = {}
    for name, found in best:
        label = f"{name}: {found.best}"
        points[label] = found
        rows[label] = found.rows[found.best].with_columns(label=pl.lit(label))
        parts[label] = found.parts.with_columns(label=pl.lit(label))
        reason = _peeks_of(found, peeks).get(found.best)
        seen |= {} if reason is None else {label: reason}
    ordered = sorted(rows, key=lambda label: (label in seen, _rank(rows[label])))
    note = "The best point of each experiment; every trial on record counts."
    made_from = _digest(
        [
            [[name, found.made_from] for name, found in best],
            [count.launches, count.trials, count.sharpe_std],
            [note, judging_code(), seen],
        ]
    )
    kept = pages.find(SIDE_BY_SIDE, made_from)
    if kept is not None:
        return kept
    judged: dict[str, Judgement] = {
        label: judge(rows[label], count, _chosen_from(points[label])) for label in ordered
    }
    figures = {label: told.named() for label, told in judged.items()}
    shown, leading = pl.concat(rows.values()), parts[ordered[0]]
    return pages.write(SIDE_BY_SIDE, note, shown, leading, figures, made_from, seen)


def _chosen_from(found: Found) -> SweepJudgement:
    """Return what the sweep shows that a best point was chosen from.

    The spread of its information ratios is not taken: it is not that of all experiments.
    """
    return replace(judge_points(found.rows.values()), active_std=None)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]
