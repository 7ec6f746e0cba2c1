"""`apiary sql` and `apiary tiers`: ask every tier at once, and see, prove and restore what lies."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pipelines.terminal import ConfigOption, console, one_line_errors, open_workshop

if TYPE_CHECKING:
    from adapters.stores.tiered_tables import TieredTables

app = typer.Typer()
tiers = typer.Typer(help="Where rows lie: hot, warm, cold.", no_args_is_help=True)


def _rows(config: Path | None) -> "TieredTables":
    return open_workshop(config).get("rows")  # type: ignore[return-value]  # built by name


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help='E.g. "select count(*) from fills".')],
    pinned: Annotated[
        list[str] | None,
        typer.Option("--version", help="TABLE=VERSION to read as of; may repeat."),
    ] = None,
    known_by: Annotated[
        str | None,
        typer.Option(help="Only what was known by this moment, in UTC unless it names a zone."),
    ] = None,
    revisions: Annotated[
        bool, typer.Option("--revisions", help="Every version of a record, not the newest alone.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    config: ConfigOption = None,
) -> None:
    """Ask all tables of all tiers in SQL (DuckDB); it reads, and it reads nothing else."""
    with one_line_errors():
        if as_csv and as_json:
            raise ValueError("one of --csv and --json must be given, were both")
        import polars as pl

        from pipelines.restoring import parsed_moment

        answer = (
            _rows(config)
            .catalogue()
            .sql(
                query,
                versions=_versions(pinned or []),
                known_by=parsed_moment(known_by, "--known-by"),
                revisions=revisions,
            )
        )
        if as_csv:
            print(answer.write_csv(), end="")
        elif as_json:
            print(answer.write_json())
        else:
            with pl.Config(tbl_rows=100, tbl_cols=30, fmt_str_lengths=60, tbl_width_chars=200):
                print(answer)


def _versions(texts: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts:
        table, equals, version = text.partition("=")
        if not equals or not version.isdigit():
            raise ValueError(f"--version must be TABLE=VERSION, was {text!r}")
        found[table] = int(version)
    return found


@tiers.command("show")
def show(config: ConfigOption = None) -> None:
    """Say how many rows and bytes of each table lie in each tier, and from when to when."""
    with one_line_errors():
        import polars as pl

        with pl.Config(tbl_rows=200, tbl_width_chars=140):
            print(_rows(config).places())


@tiers.command("verify")
def verify(config: ConfigOption = None) -> None:
    """Read everything in every tier and name what is not as it was written."""
    with one_line_errors():
        damages = _rows(config).damages()
        for damage in damages:
            console.print(
                f"{damage.tier} {damage.table} {damage.name}: {damage.reason}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        if damages:
            raise ValueError(f"everything must be as it was written, {len(damages)} is not")
        console.print("everything is as it was written", highlight=False)


@tiers.command("restore")
def restore(
    table: Annotated[str, typer.Argument(help="A table of the cold tier.")],
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")],
    end: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day after the last.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Stays warm until then.")],
    config: ConfigOption = None,
) -> None:
    """Bring rows back from the cold tier to the warm one, each read back and compared."""
    with one_line_errors():
        from pipelines.resources import time_ns

        _check_days(start, end)
        today = datetime.fromtimestamp(time_ns() / 1e9, UTC)
        if until.replace(tzinfo=UTC) <= today:
            raise ValueError(f"--until must lie after today, was {until:%Y-%m-%d}")
        moves = _rows(config).restore(
            table,
            start=start.replace(tzinfo=UTC),
            end=end.replace(tzinfo=UTC),
            until=until.replace(tzinfo=UTC),
        )
        count = sum(m.row_count for m in moves)
        console.print(f"{count} rows of {table} are warm until {until:%Y-%m-%d}", highlight=False)


def _check_days(start: datetime, end: datetime) -> None:
    if end <= start:
        raise ValueError(f"--end must lie after --start, were {end:%Y-%m-%d} and {start:%Y-%m-%d}")


@tiers.command("thaw")
def thaw(
    table: Annotated[str, typer.Argument(help="A table of the cold tier.")],
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")],
    end: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day after the last.")],
    days: Annotated[int, typer.Option(help="Stays out of the archive for so long.", min=1)] = 7,
    config: ConfigOption = None,
) -> None:
    """Bring old months back from the archive; asked again, says how far it is."""
    with one_line_errors():
        from pipelines.resources import time_ns
        from pipelines.upkeep import DeskArchive

        _check_days(start, end)
        archive = cast("DeskArchive", open_workshop(config).get("archive")).archive
        if archive is None:
            raise ValueError("archive.storage_class or archive.folder must be set, is not")
        done = archive.thaw(
            table,
            start=start.replace(tzinfo=UTC),
            end=end.replace(tzinfo=UTC),
            as_of=datetime.fromtimestamp(time_ns() / 1e9, UTC),
            days=days,
        )
        waiting = f", {done.waiting_count} are being thawed" if done.waiting_count else ""
        console.print(
            f"{done.ready_count} files of {table} were brought back{waiting}", highlight=False
        )


@app.command("dagster-migrate")
def dagster_migrate(config: ConfigOption = None) -> None:
    """Copy Dagster's embedded runs, events, schedules and partitions into PostgreSQL.

    Set APIARY_DAGSTER_POSTGRES_URL first and stop Dagster; running it again copies nothing twice.
    """
    with one_line_errors():
        from pipelines.settings import (
            choose_config,
            dagster_home,
            embedded_dagster_home,
            prepare_environment,
        )

        choose_config(config)
        prepare_environment()
        import dagster as dg

        from adapters.stores.dagster_migration import migrate

        old, new = embedded_dagster_home(), dagster_home()
        if old == new:
            raise ValueError("APIARY_DAGSTER_POSTGRES_URL must be set, was not")
        with (
            dg.DagsterInstance.from_config(str(old)) as source,
            dg.DagsterInstance.from_config(str(new)) as target,
        ):
            done = migrate(source, target)
        console.print(
            f"{done.runs} runs, {done.events} events, {done.ticks} ticks and "
            f"{done.dynamic_partitions} dynamic partitions are in PostgreSQL",
            highlight=False,
        )
