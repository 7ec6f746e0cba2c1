"""`apiary halt` and `apiary resume`: stop the trading of a book, and lift the stop."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.resources import Workshop
    from trader.desk import TradingDesk
    from trader.kill_switch import Halt

app = typer.Typer()

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The desk's YAML file; config/apiary.yaml if unset.")
]


@app.command("halt")
def halt_command(
    reason: Annotated[str, typer.Option(help="Why; it stands in the log.")],
    by: Annotated[str, typer.Option(help="Who halts; it stands in the log.")] = "operator",
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Close what is held as well, through the gate.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Stop trading: cancel every unexecuted order; only `apiary resume` lifts it."""
    from pipelines.cli import _one_line_errors, _workshop, console

    with _one_line_errors():
        from trader.kill_switch import Halt

        halt = Halt(reason=reason, actor=by, flatten=flatten)
        for line in stop(_workshop(config), halt):
            console.print(line, highlight=False)


@app.command("resume")
def resume_command(
    by: Annotated[str, typer.Option(help="The person who lifts the halt.")],
    reason: Annotated[str, typer.Option(help="Why trading may go on.")],
    config: ConfigOption = None,
) -> None:
    """Lift a halt, by name and with a reason; both stand in the log."""
    from pipelines.cli import _one_line_errors, _workshop, console

    with _one_line_errors():
        _desk(_workshop(config)).resume(by=by, reason=reason)
        console.print(f"trading goes on, by {by}: {reason}", highlight=False)


def stop(built: "Workshop", halt: "Halt") -> list[str]:
    """Pull the switch of the home, and do what it means where no trader is there to do it.

    The file comes first: it stops every process of the home, whatever else is down.
    """
    from trader.lock import BookLockedError
    from trader.opening import lock_of, switch_of

    told = switch_of(built.home).pull(halt)
    lines = [f"the kill switch is pulled: {built.home / 'control' / 'halt.json'}"]
    lines += [told] if told else []
    try:
        with lock_of(built.home, "apiary halt"):
            report = _desk(built).halt(halt)
    except BookLockedError as error:
        return [*lines, f"its holder acts on it: {error}"]
    except OSError as error:
        return [*lines, f"the orders must be cancelled at the broker by hand: {error}"]
    return [*lines, f"{report.cancelled_count} orders were cancelled", *report.failures]


def _desk(built: "Workshop") -> "TradingDesk":
    from adapters.brokers.opening import open_simulated_broker
    from pipelines.resources import time_ns
    from pipelines.settings import read_risk_limits
    from trader.opening import open_desk

    settings, log = built.settings, built.event_log()
    fees = settings.book.fees
    broker = open_simulated_broker(
        {}, log.read(), slippage_bps=fees.slippage_bps, commission_bps=fees.commission_bps
    )
    return open_desk(
        built.home,
        log,
        broker,
        base_currency=settings.base_currency,
        starting_cash=settings.book.starting_cash,
        limits=read_risk_limits(settings),
        now_ns=time_ns,
    )
