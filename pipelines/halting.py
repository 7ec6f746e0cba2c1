"""The Dagster job that pulls the kill switch, for whoever has only the web page at hand."""

import dagster as dg


@dg.op(
    config_schema={
        "reason": dg.Field(str, description="Why; it stands in the log."),
        "actor": dg.Field(str, description="Who halts."),
        "flatten": dg.Field(bool, default_value=False, description="Close what is held as well."),
    }
)
def pull_kill_switch(context: dg.OpExecutionContext) -> None:
    """Pull the switch of this home; where no trader runs, cancel the orders here."""
    from pipelines.cli_trader import stop
    from pipelines.resources import workshop
    from trader.kill_switch import Halt

    halt = Halt(**context.op_config)
    for line in stop(workshop().settings, halt):
        context.log.info(line)


@dg.job(
    description="Stop trading: cancel every unexecuted order; `apiary resume` lifts it.",
    executor_def=dg.in_process_executor,
)
def halt_job() -> None:
    """Pull the kill switch."""
    pull_kill_switch()
