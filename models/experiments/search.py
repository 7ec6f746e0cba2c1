"""A search instead of a grid: the next point is chosen by what the earlier ones gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from models.experiments.fields import ExperimentError
from models.experiments.points import Ground
from models.experiments.running import trial_of
from models.experiments.spec import ExperimentSpec, Range
from models.experiments.trials import Trial
from models.experiments.windows import Window
from models.statistics import sharpe

if TYPE_CHECKING:
    import optuna

Run = Callable[[Sequence[Trial]], Mapping[str, pl.DataFrame]]


def search_window(
    spec: ExperimentSpec, window: Window, ground: Ground, data: str, run: Run
) -> tuple[tuple[Trial, ...], dict[str, pl.DataFrame]]:
    """Run the points that a seeded search asks for (TPE, Bergstra et al. 2011), each once.

    As many points as the sweep has workers are asked for at once, and run together. The sequence
    follows from the seed and the results, so that a search that was killed asks for the same
    points again and finds them finished. A point that does not hold is passed over; raises
    ExperimentError where none does.
    """
    import optuna  # half a second, and most processes search nothing

    sweep = spec.sweep
    assert sweep is not None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=sweep.seed)
    )
    done: dict[str, tuple[Trial, Mapping[str, pl.DataFrame]]] = {}
    refused: ExperimentError | None = None
    for first in range(0, sweep.trials, sweep.workers):
        asked: list[tuple[optuna.Trial, Trial]] = []
        for _ in range(min(sweep.workers, sweep.trials - first)):
            suggested = study.ask()
            point = {name: _suggest(suggested, name, axis) for name, axis in sweep.axes.items()}
            try:
                asked.append((suggested, trial_of(spec, window, ground, data, point)))
            except ExperimentError as error:
                refused = error
                study.tell(suggested, state=optuna.trial.TrialState.PRUNED)
        new = {t.trial_id: t for _, t in asked if t.trial_id not in done}
        if new:
            found = run(tuple(new.values()))
            for trial in new.values():
                done[trial.trial_id] = trial, _frames_of(trial, found)
        for suggested, trial in asked:
            ratio = sharpe(done[trial.trial_id][1]["rows"]["net_return"].to_numpy())
            study.tell(suggested, ratio if ratio == ratio else 0.0)
    if not done:
        raise refused or ExperimentError("a search must try at least one point, tried none")
    frames = {
        name: pl.concat([found[name] for _, found in done.values()]) for name in ("rows", "parts")
    }
    return tuple(trial for trial, _ in done.values()), frames


def _frames_of(trial: Trial, found: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    mine = pl.col("trial_id") == trial.trial_id
    return {name: frame.filter(mine) for name, frame in found.items()}


def _suggest(asked: optuna.Trial, name: str, axis: tuple[object, ...] | Range) -> object:
    if isinstance(axis, Range):
        return asked.suggest_float(name, axis.low, axis.high, log=axis.log)
    place = asked.suggest_categorical(name, list(range(len(axis))))
    return axis[place]
