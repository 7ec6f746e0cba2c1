"""A sweep over workers: every trial on the ledger first, then wherever there is a free process."""

from collections.abc import Callable, Sequence
from typing import Any

from models.experiments.backtest import Result, compute
from models.experiments.fields import ExperimentError
from models.experiments.market import Market
from models.experiments.market_arrays import Arrays, from_arrays, to_arrays
from models.experiments.trials import Trial, TrialLedger, failed, finished, launched
from swarm_core.worker_pool import WorkerPool

Outcome = tuple[Result | None, str]  # what a worker gives: a result, or why there is none


def run_pooled(
    trials: Sequence[Trial],
    market: Market,
    ledger: TrialLedger,
    run_id: str,
    pool: WorkerPool,
    finish: Callable[[Trial, Result], None],
) -> None:
    """Run the trials in the pool's workers; `finish` is called here for each as it is done.

    Each is on the ledger before a worker has it. Raises ExperimentError, once every other trial
    is done, where one failed.
    """

    def starting(place: int) -> None:
        ledger.append(launched(trials[place], run_id))

    failures: list[str] = []
    for place, outcome in pool.run(run_trial, _arrays_of(market), trials, starting):
        trial = trials[place]
        result, reason = outcome or (None, "its worker process was lost again and again")
        if result is None:
            ledger.append(failed(trial, reason))
            failures.append(f"{trial.point or trial.experiment}: {reason}")
            continue
        finish(trial, result)
        ledger.append(finished(trial, result.outcome))
    if failures:
        raise ExperimentError(
            f"every trial must run to its end, {len(failures)} of {len(trials)} did not: "
            f"{failures[0]}"
        )


def run_trial(arrays: Arrays, trial: Trial) -> Outcome:
    """Run one trial over the shared arrays: the function that the workers call."""
    try:
        return compute(trial, _market(arrays)), ""
    except (ValueError, ArithmeticError, LookupError) as error:
        return None, f"{type(error).__name__}: {error}"


_shared: list[tuple[Market, Arrays]] = []  # the last market that was shared


def _arrays_of(market: Market) -> Arrays:
    """Return the arrays of a market, the same ones each time: a pool shares those once."""
    if not (_shared and _shared[0][0] is market):
        _shared[:] = [(market, to_arrays(market))]
    return _shared[0][1]


_markets: dict[int, Any] = {}


def _market(arrays: Arrays) -> Market:
    """Return the market of the arrays, built once for each process."""
    key = id(arrays)
    if key not in _markets:
        _markets.clear()
        _markets[key] = arrays, from_arrays(arrays)  # the arrays are kept, so that ids stay apart
    return _markets[key][1]
