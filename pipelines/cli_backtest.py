"""`apiary backtest`: launch an experiment and watch it, and see how often was tried."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.terminal import ConfigOption, console, one_line_errors, open_workshop, spaced

if TYPE_CHECKING:
    from pipelines.backtests import WindowRun

app = typer.Typer(help="Experiments and their backtests.", no_args_is_help=True)


@app.command("run")
def run(
    experiment: Annotated[Path, typer.Argument(help="A YAML file, e.g. one below experiments/.")],
    config: ConfigOption = None,
) -> None:
    """Run every window of an experiment that is not finished, and say what came of each."""
    with one_line_errors():
        import logging

        home = open_workshop(config).home
        logging.disable(logging.WARNING)
        from pipelines.backtests import launch
        from pipelines.definitions import defs
        from pipelines.settings import opened_dagster

        with opened_dagster() as instance:
            runs = launch(experiment, defs, instance, _told, spaced())
        console.print(f"tearsheets: {home / 'backtests' / 'tearsheets'}", highlight=False)
        if not all(run.success and not run.failed_checks for run in runs):
            raise ValueError("every window must pass its checks, at least one did not")


def _told(run: "WindowRun", number: int, count: int) -> None:
    shown = {name: run.figures.get(name) for name in ("sharpe", "deflated", "trials")}
    # A ratio of returns that are all the same, as where nothing was traded, is not known.
    figures = "  ".join(
        f"{name} unknown"
        if not isinstance(value, float | int)
        else f"{name} {value:,.0f}"
        if name == "trials"
        else f"{name} {value:.3g}"
        for name, value in shown.items()
    )
    mark = "✓" if run.success and not run.failed_checks else "✗"
    line = f"{mark} {number}/{count}  {run.partition:<32} {figures}"
    console.print(line, highlight=False, markup=False)
    for failed in run.failed_checks:
        console.print(f"    {failed}", highlight=False, markup=False)


@app.command("trials")
def trials(config: ConfigOption = None) -> None:
    """Say how many backtests were launched and how many strategies that makes."""
    with one_line_errors():
        from adapters.stores.trial_ledger import SqliteTrialLedger
        from models.experiments.trials import count_trials

        home = open_workshop(config).home
        count = count_trials(SqliteTrialLedger(home / "backtests" / "trials.db").records())
        console.print(
            f"{count.launches} launches of {count.trials} strategies; the chain is sound",
            highlight=False,
        )
