"""A sweep as a process of its own, to be killed: `python -m ... FOLDER`."""

import sys
from pathlib import Path

from adapters.stores.backtest_results import ArrowResults
from adapters.stores.trial_ledger import SqliteTrialLedger
from adapters.workers.processes import ProcessPool
from models.experiments.running import pooled_digest, run_window, trials_of
from models.experiments.trials import Trial, finished_trials
from models.experiments.windows import windows_of
from tests.models.experiments.builders import make_ground, make_market, make_spec

POINTS = 40


def trials() -> tuple[Trial, ...]:
    """Return the trials of a sweep over one window."""
    caps = [round(0.2 + 0.02 * n, 2) for n in range(POINTS)]
    spec = make_spec(sweep={"axes": {"worker.gross_max": caps}})
    return trials_of(spec, windows_of(spec)[0], make_ground(), "d")


def sweep(folder: Path, workers: int = 1) -> str:
    """Run what is not finished, here or in so many workers; return the hash of all results."""
    ledger, results = SqliteTrialLedger(folder / "trials.db"), ArrowResults(folder / "results")
    pool = ProcessPool(workers) if workers > 1 else None
    run_window(trials(), make_market(), ledger, results, "run", pool=pool)
    return pooled_digest(trials(), finished_trials(ledger.records()))


if __name__ == "__main__":
    sweep(Path(sys.argv[1]))
