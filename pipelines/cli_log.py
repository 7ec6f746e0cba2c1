"""`apiary log`: the event log verified."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from adapters.stores.event_log_postgres import PostgresEventLog
    from adapters.stores.event_log_sqlite import SqliteEventLog

app = typer.Typer(help="The event log.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The desk's YAML file; config/apiary.yaml if unset.")
]


def _log(config: Path | None) -> "SqliteEventLog | PostgresEventLog":
    from pipelines.cli import _workshop

    return _workshop(config).get("log")  # type: ignore[return-value]  # built by name


@app.command("verify")
def verify(config: ConfigOption = None) -> None:
    """Recompute the hash chain of the event log and say whether every byte stands."""
    from pipelines.cli import _one_line_errors, console

    with _one_line_errors():
        found = _log(config).verify()
        if not found.sound:
            raise ValueError(
                f"the event log must be sound, is not from record {found.first_bad_sequence} on: "
                f"{found.detail}"
            )
        console.print(f"the chain of {found.checked_count} events is sound", highlight=False)
