"""A sweep that is killed goes on where it stopped and ends with the same bytes."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from adapters.stores.backtest_results import ArrowResults
from adapters.stores.trial_ledger import SqliteTrialLedger
from adapters.workers.processes import ProcessPool
from models.experiments.fields import ExperimentError
from models.experiments.running import run_window
from models.experiments.trials import FAILED, FINISHED, LAUNCHED, count_trials
from tests.models.experiments.builders import make_market
from tests.models.experiments.sweeping import POINTS, sweep, trials

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once


def _kinds(folder: Path) -> list[object]:
    return [r["kind"] for r in SqliteTrialLedger(folder / "trials.db").records()]


def test_a_killed_sweep_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """After kill -9 only what was not finished is run, and every byte comes out the same."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-m", "tests.models.experiments.sweeping", str(killed)]
    process = subprocess.Popen(command)
    while process.poll() is None and len(list(killed.glob("results/[0-9a-f]*"))) < 3:
        pass
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it must be killed in the middle"
    before = _kinds(killed)
    assert 0 < before.count(FINISHED) < POINTS
    assert sweep(killed) == sweep(whole)
    rerun = _kinds(killed).count(LAUNCHED) - POINTS
    assert 0 <= rerun <= 2, "at most the trial that was under way is launched again"
    for trial in trials():
        mine, other = (ArrowResults(f / "results").find(trial.trial_id) for f in (killed, whole))
        assert mine is not None
        assert other is not None
        assert all(mine[name].equals(other[name]) for name in ("rows", "parts"))


def test_a_sweep_over_workers_gives_the_bytes_of_one_without(tmp_path: Path) -> None:
    """Every trial is on the ledger once, and its rows are those of a run in one process."""
    pooled, alone = tmp_path / "pooled", tmp_path / "alone"
    assert sweep(pooled, workers=2) == sweep(alone)
    kinds = _kinds(pooled)
    assert kinds.count(LAUNCHED) == kinds.count(FINISHED) == POINTS
    for trial in trials():
        mine, other = (ArrowResults(f / "results").find(trial.trial_id) for f in (pooled, alone))
        assert mine is not None
        assert other is not None
        assert all(mine[name].equals(other[name]) for name in ("rows", "parts"))


def test_a_trial_that_fails_in_a_worker_is_told_once_the_others_are_done(tmp_path: Path) -> None:
    """The failed one stays on the ledger and counts; everything else is kept."""
    ledger, results = SqliteTrialLedger(tmp_path / "t.db"), ArrowResults(tmp_path / "results")
    asked = trials()[:5]
    empty = replace(asked[2], window=replace(asked[2].window, end=asked[2].window.start))
    given = (*asked[:2], empty, *asked[3:])
    with pytest.raises(ExperimentError, match=r"1 of 5 did not: .*at least 3 scored"):
        run_window(given, make_market(), ledger, results, "r", pool=ProcessPool(2))
    kinds = [r["kind"] for r in ledger.records()]
    assert (kinds.count(LAUNCHED), kinds.count(FINISHED), kinds.count(FAILED)) == (5, 4, 1)
    assert all(results.find(t.trial_id) for n, t in enumerate(asked) if n != 2)


def test_a_search_of_two_points_at_a_time_runs_them_in_the_workers_that_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two trials alone are not worth a start of processes; with workers that stand they are."""
    ledger, results = SqliteTrialLedger(tmp_path / "t.db"), ArrowResults(tmp_path / "results")
    market, asked = make_market(), trials()[:6]
    whole = run_window(asked, market, ledger, results, "r")
    monkeypatch.setattr("models.experiments.running.run_backtest", _fail)  # not in this process
    ledger, results = SqliteTrialLedger(tmp_path / "p.db"), ArrowResults(tmp_path / "pooled")
    with ProcessPool(2) as pool:
        given = ledger, results, "r"
        found = [run_window(asked[n : n + 2], market, *given, pool=pool) for n in (0, 2, 4)]
    for name in ("rows", "parts"):
        assert pl.concat([frames[name] for frames in found]).equals(whole[name])


def _fail(*_: object) -> None:
    raise AssertionError("trials must run in the workers")


def test_a_finished_sweep_is_read_and_not_run(tmp_path: Path) -> None:
    """The second time nothing is launched, and every point has been counted."""
    first = sweep(tmp_path)
    launches = _kinds(tmp_path).count(LAUNCHED)
    assert sweep(tmp_path) == first
    assert _kinds(tmp_path).count(LAUNCHED) == launches == POINTS
    records = SqliteTrialLedger(tmp_path / "trials.db").records()
    assert count_trials(records).trials == POINTS


def test_a_damaged_result_is_run_again(tmp_path: Path) -> None:
    """A file whose bytes changed is no result; the trial gives the same rows once more."""
    first = sweep(tmp_path)
    results, key = ArrowResults(tmp_path / "results"), trials()[0].trial_id
    file = tmp_path / "results" / key / "rows.arrow"
    file.write_bytes(file.read_bytes()[:-9] + b"123456789")
    assert results.find(key) is None
    assert sweep(tmp_path) == first
    assert results.find(key) is not None


def test_a_copy_of_the_best_point_under_another_name_counts_all_that_it_was_chosen_from(
    tmp_path: Path,
) -> None:
    """It is read and not run; its name is on the ledger, and so is what it was found among."""
    sweep(tmp_path)
    ledger = SqliteTrialLedger(tmp_path / "trials.db")
    copied = replace(trials()[2], experiment="a_copy")
    run_window((copied,), make_market(), ledger, ArrowResults(tmp_path / "results"), "r")
    records = ledger.records()
    assert [r["kind"] for r in records].count(FINISHED) == POINTS
    assert records[-1]["kind"] == LAUNCHED
    count = count_trials(records, "a_copy", (copied.trial_id,))
    assert (count.trials, len(count.sharpes)) == (POINTS, POINTS)
    run_window((copied,), make_market(), ledger, ArrowResults(tmp_path / "results"), "r")
    assert len(ledger.records()) == len(records), "the name is written down once"
    assert count_trials(records).trials == POINTS
