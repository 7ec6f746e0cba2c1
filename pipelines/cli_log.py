"""`apiary log`: the event log verified, replayed, projected into tables, and exported."""

from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.terminal import ConfigOption, console, one_line_errors, open_workshop

if TYPE_CHECKING:
    from adapters.stores.event_log_postgres import PostgresEventLog
    from adapters.stores.event_log_sqlite import SqliteEventLog
    from pipelines.resources import Workshop
    from swarm_core.event_chain import ChainReport

app = typer.Typer(help="The event log.", no_args_is_help=True)


def _log(built: "Workshop") -> "SqliteEventLog | PostgresEventLog":
    return built.get("log")  # type: ignore[return-value]  # built by name


def _verified(log: "SqliteEventLog | PostgresEventLog") -> "ChainReport":
    """Return what was checked; ValueError in one line where the log is not sound."""
    found = log.verify()
    if not found.sound:
        raise ValueError(
            f"the event log must be sound, is not from record {found.first_bad_sequence} on: "
            f"{found.detail}"
        )
    return found


@app.command("verify")
def verify(config: ConfigOption = None) -> None:
    """Recompute the hash chain of the event log and say whether every byte stands."""
    with one_line_errors():
        found = _verified(_log(open_workshop(config)))
        console.print(f"the chain of {found.checked_count} events is sound", highlight=False)


@app.command("replay")
def replay_command(config: ConfigOption = None) -> None:
    """Work out every order and verdict again from the log alone, and compare byte for byte."""
    with one_line_errors():
        from swarm_core.replay import replay

        built = open_workshop(config)
        log, settings = _log(built), built.settings
        _verified(log)
        report = replay(log.read(), settings.base_currency, settings.book.starting_cash)
        if report.first_difference is not None:
            raise ValueError(f"the replay must give the log again: {report.first_difference}")
        console.print(
            f"{report.event_count} events give {report.order_count} orders and "
            f"{report.verdict_count} verdicts again, byte for byte; the book is "
            f"{report.book_digest}",
            highlight=False,
            soft_wrap=True,
        )


@app.command("project")
def project_command(
    to: Annotated[
        Path | None, typer.Option(help="A folder for the tables; projections in the home if unset.")
    ] = None,
    sql: Annotated[
        str | None, typer.Option(help="A query over the tables, printed; nothing is written then.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Build orders, fills, positions, exposure, pnl and decisions from the log, as tables."""
    with one_line_errors():
        import polars as pl

        from adapters.stores.projections import project, write_tables

        built = open_workshop(config)
        settings = built.settings
        tables = project(_log(built).read(), settings.base_currency, settings.book.starting_cash)
        if sql is not None:
            try:
                found = pl.SQLContext(tables, eager=True).execute(sql)
            except pl.exceptions.PolarsError as error:
                raise ValueError(f"the query must be one over {sorted(tables)}: {error}") from error
            with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=60):
                typer.echo(str(found))
            return
        for path in write_tables(tables, to or built.home / "projections"):
            rows = tables[path.stem].height
            console.print(f"{path}: {rows} rows", highlight=False, soft_wrap=True)


@app.command("export")
def export_command(
    to: Annotated[Path, typer.Option(help="A file that ends in .parquet, .jsonl or .csv.")],
    start: Annotated[int, typer.Option("--from", help="The first record.", min=1)] = 1,
    until: Annotated[
        int | None, typer.Option("--until", help="The last record; the newest if unset.", min=1)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write records with their hashes to a file, each checked; nothing where one is not sound."""
    with one_line_errors():
        from adapters.stores.event_log_export import export
        from swarm_core.event_chain import GENESIS

        if until is not None and until < start:
            raise ValueError(f"--until must not lie before --from, were {until} and {start}")
        log = _log(open_workshop(config))
        rows, before = log.rows(start - 1), log.hash_at(start - 1)
        if until is not None:
            rows = takewhile(lambda row: row[0] <= until, rows)
        count = export(rows, to, GENESIS if before is None else bytes.fromhex(before))
        console.print(f"{to}: {count} records", highlight=False, soft_wrap=True)
