"""The `apiary` command: run the chain, open the UI, explain an order, see where things stand."""

import logging
import sys
import threading
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from pipelines import (
    cli_account,
    cli_backup,
    cli_bus,
    cli_colony,
    cli_gateway,
    cli_keys,
    cli_limits,
    cli_orders,
    cli_stores,
    cli_trader,
)
from pipelines.cli_backtest import app as backtest_app
from pipelines.cli_log import app as log_app
from pipelines.terminal import (
    ConfigOption,
    console,
    errors,
    one_line_errors,
    open_workshop,
    spaced,
    wide,
)

if TYPE_CHECKING:
    from pipelines.resources import Workshop
    from pipelines.settings import FileHints

app = typer.Typer(
    name="apiary",
    help="A colony of agents that researches, decides and trades; every order traced to its data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
# What the files of a folder do not say of themselves.
EncodingOption = Annotated[
    str | None, typer.Option(help="Encoding of text files that are not UTF-8, e.g. cp1252.")
]
AdjustmentOption = Annotated[
    str | None, typer.Option(help="How prices are adjusted: raw, split or total_return.")
]
ZoneOption = Annotated[
    str | None, typer.Option(help="Zone of stamps that carry none, e.g. Europe/London.")
]
CurrencyOption = Annotated[
    str | None, typer.Option(help="Currency of prices; GBX, ZAC, ILA where in hundredths.")
]
CalendarOption = Annotated[
    str | None, typer.Option(help="Exchange calendar: XNYS, XLON, CMES, 24/7, 24/5, ...")
]
ClassOption = Annotated[
    str | None, typer.Option(help="What the instruments are: equity, etf, fx, future, crypto.")
]
HoursOption = Annotated[
    str | None, typer.Option(help="Hours that intraday bars must lie in: regular or extended.")
]
DayFirstOption = Annotated[
    bool | None,
    typer.Option("--day-first/--month-first", help="How dates like 1/2/2020 are to be read."),
]
DeliveriesOption = Annotated[
    str | None,
    typer.Option(help="Files that hold the same days: each follows the other by-name, or apart."),
]
QuotesOption = Annotated[
    str | None,
    typer.Option(help="Quotes without prices: bars from the mid of bid and ask, or alone."),
]
PublishedOption = Annotated[
    str | None,
    typer.Option(help="How long after its day a value of a month or quarter is published: 45d."),
]
IgnoreOption = Annotated[
    list[str] | None, typer.Option(help="A file, or a pattern of files, to leave out.")
]


def _hints(
    zone: str | None,
    currency: str | None,
    calendar: str | None,
    asset_class: str | None,
    hours: str | None,
    day_first: bool | None,
    deliveries: str | None,
    quotes: str | None,
    published: str | None,
    ignore: list[str] | None,
    encoding: str | None,
    adjustment: str | None,
) -> "FileHints":
    from pydantic import ValidationError

    from pipelines.settings import FileHints

    try:
        return FileHints(
            zone=zone,
            currency=currency,
            calendar=calendar,
            asset_class=asset_class,  # type: ignore[arg-type]  # checked by its own model
            hours=hours,  # type: ignore[arg-type]  # checked by its own model
            day_first=day_first,
            published=published,
            quotes=quotes,  # type: ignore[arg-type]  # checked by its own model
            deliveries=deliveries,  # type: ignore[arg-type]  # checked by its own model
            encoding=encoding,
            adjustment=adjustment,  # type: ignore[arg-type]  # checked by its own model
            ignore=tuple(ignore or ()),
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", "-")
        raise ValueError(f"--{name}: {first['msg']}, was {first['input']!r}") from error


@app.command()
def run(
    config: ConfigOption = None,
    files: Annotated[
        Path | None,
        typer.Option(help="A folder of CSV, JSON, Parquet or zip files to run on instead."),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(help="How to read that folder: a YAML file or a shipped name; else inferred."),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(help="Where to keep everything; var, or var/<folder> for --files."),
    ] = None,
    zone: ZoneOption = None,
    currency: CurrencyOption = None,
    calendar: CalendarOption = None,
    asset_class: ClassOption = None,
    hours: HoursOption = None,
    day_first: DayFirstOption = None,
    deliveries: DeliveriesOption = None,
    quotes: QuotesOption = None,
    published: PublishedOption = None,
    ignore: IgnoreOption = None,
    encoding: EncodingOption = None,
    adjustment: AdjustmentOption = None,
    most_liquid: Annotated[
        int | None,
        typer.Option(min=1, help="Decide on so many instruments, the most liquid by their values."),
    ] = None,
) -> None:
    """Run the whole chain on real data, from sources to the report."""
    with one_line_errors():
        from pipelines.settings import choose_config, settings_for_files

        hints = _hints(
            zone,
            currency,
            calendar,
            asset_class,
            hours,
            day_first,
            deliveries,
            quotes,
            published,
            ignore,
            encoding,
            adjustment,
        )
        if files is not None:
            config = settings_for_files(files, mapping, home, base=config, hints=hints)
            if most_liquid is not None:
                from pipelines.universe import write_most_liquid

                write_most_liquid(config, most_liquid)
            console.print(f"configuration written to {config}")
        elif mapping is not None or home is not None or hints.given or most_liquid is not None:
            raise ValueError("--mapping, --home and hints must come with --files, came alone")
        choose_config(config)
        _run_chain(open_workshop(config))


def _run_chain(built: "Workshop") -> None:
    logging.disable(logging.WARNING)  # what matters is told stage by stage
    warnings.simplefilter("ignore")
    from pipelines.chain import Chain, settle
    from pipelines.settings import opened_dagster
    from pipelines.summary import print_summary

    # It takes seconds to import and is needed only after the first tables are in.
    threading.Thread(target=import_module, args=("great_expectations",), daemon=True).start()
    with console.status("reading the sources") as status, opened_dagster() as instance:

        def tell(text: str) -> None:
            if sys.stdout.isatty():
                status.update(text[:110])

        tell_spaced = spaced()

        def tell_reading(text: str) -> None:
            (tell if sys.stdout.isatty() else tell_spaced)(text)

        built.progress = tell_reading
        windows = settle(built, lambda line: console.print(line, highlight=False))
        # Only now: the partitions of this code location are the sessions of the desk's calendar.
        from pipelines.definitions import defs

        chain = Chain(defs, instance, built, tell, done=_print_stage, warn=_print_warning)
        chain.whole(windows)
    print_summary(console, built, chain.stages)


def _print_stage(job: str, seconds: float, failed: tuple[str, ...]) -> None:
    console.print(f"[green]✓[/] {job:<20} {seconds:6.1f} s", highlight=False)
    for line in failed:
        console.print(f"    [yellow]{escape(line)}[/]", highlight=False)


def _print_warning(line: str) -> None:
    console.print(f"    [yellow]{escape(line)}[/]", highlight=False)


@app.command()
def ui(
    config: ConfigOption = None,
    port: Annotated[
        int, typer.Option(help="Port of the web server on this machine.", min=1, max=65535)
    ] = 3000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Start Dagster's web server and daemon: the asset graph, runs, schedules and sensors."""
    with one_line_errors():
        from pipelines.settings import choose_config, prepare_environment, read_settings
        from pipelines.user_interface import run_dagster

        choose_config(config)
        prepare_environment()
        read_settings()
        run_dagster(host, port)


@app.command()
def status(config: ConfigOption = None) -> None:
    """Show the trader, data, checks, model, decisions, orders, NAV, and where they are."""
    with one_line_errors():
        built = open_workshop(config)
        for line in cli_trader.trader_lines(built.settings):
            console.print(line, highlight=False, soft_wrap=True)
        from pipelines.hot_lines import hot_lines
        from pipelines.owed_lines import owed_lines
        from pipelines.summary import print_summary

        for line in [*hot_lines(built), *owed_lines(built.settings)]:
            console.print(line, highlight=False, soft_wrap=True)
        print_summary(console, built, [])


@app.command()
def explain(
    order: Annotated[
        str | None, typer.Argument(help="An order id, or its beginning; the newest if left out.")
    ] = None,
    row: Annotated[
        str | None,
        typer.Option(
            help="The other way: a raw row as TABLE:NAME:TIME, e.g. bars:US.AAPL:2020-03-16."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a tree.")] = False,
    config: ConfigOption = None,
) -> None:
    """Walk from an order to the raw rows behind it, or from a raw row to the orders it touched."""
    with one_line_errors():
        if order is not None and (row is not None or not order.strip()):
            given = "both" if row is not None else repr(order)
            raise ValueError(f"an order, or --row and no order, must be given, was {given}")
        built = open_workshop(config)
        queries = built.lineage()
        if row is not None:
            _explain_row(queries, row, as_json, built.settings.calendar)
            return
        from adapters.stores.lineage import render

        known = queries.order_ids()
        if not known:
            raise ValueError("there must be an order to explain, the event log has none")
        tree = queries.explain_order(order or known[-1])
        if as_json:
            print(tree.to_json())
        else:
            wide().print(render(tree))


def _explain_row(queries: object, row: str, as_json: bool, calendar: str) -> None:
    from adapters.stores.lineage import LineageQueries
    from pipelines.row_address import parse_row
    from pipelines.summary import orders_table

    assert isinstance(queries, LineageQueries)
    address = parse_row(row, calendar)
    touched = queries.orders_touched_by(
        address.table,
        event_time=address.event_time,
        instrument_id=None if address.table == "macro" else address.identity,
        series_id=address.identity if address.table == "macro" else None,
        whole_day=address.whole_day,
    )
    if as_json:
        print(touched.write_json())
    else:
        console.print(orders_table(touched, f"orders that {row} touched"))


app.add_typer(cli_trader.app)
app.add_typer(cli_backup.app)
app.command("simulate-gateway")(cli_gateway.simulate_gateway)
app.add_typer(cli_limits.limits_app, name="limits")
app.add_typer(cli_limits.throttle_app, name="throttle")
app.add_typer(cli_orders.app, name="orders")
app.add_typer(cli_account.app, name="account")
app.add_typer(cli_colony.app, name="colony")

app.add_typer(log_app, name="log")
app.add_typer(cli_stores.app)
app.add_typer(cli_stores.tiers, name="tiers")
app.add_typer(backtest_app, name="backtest")
app.add_typer(cli_bus.app, name="bus")
app.add_typer(cli_keys.app, name="keys")


@app.command()
def mapping(
    folder: Annotated[Path, typer.Argument(help="A folder of CSV, JSON, Parquet or zip files.")],
    zone: ZoneOption = None,
    currency: CurrencyOption = None,
    calendar: CalendarOption = None,
    asset_class: ClassOption = None,
    hours: HoursOption = None,
    day_first: DayFirstOption = None,
    deliveries: DeliveriesOption = None,
    quotes: QuotesOption = None,
    published: PublishedOption = None,
    ignore: IgnoreOption = None,
    encoding: EncodingOption = None,
    adjustment: AdjustmentOption = None,
) -> None:
    """Print the mapping that a folder is read by, to be kept, corrected and given to `run`."""
    with one_line_errors():
        from adapters.sources.files import FileSource
        from adapters.sources.inference import Hints, infer_mapping, to_yaml

        if not folder.is_dir():
            raise ValueError(f"the folder must be one that exists, was {folder}")
        hints = _hints(
            zone,
            currency,
            calendar,
            asset_class,
            hours,
            day_first,
            deliveries,
            quotes,
            published,
            ignore,
            encoding,
            adjustment,
        )
        tell = spaced(printed_on=errors)
        found = infer_mapping(folder, Hints(**hints.model_dump()), tell)
        for line in FileSource(folder, found, tell).left_out():
            errors.print(f"files: {line}", highlight=False, markup=False)
        print(to_yaml(found), end="")


@app.command()
def validate(config: ConfigOption = None) -> None:
    """Read every setting and say whether they hold."""
    with one_line_errors():
        from pipelines.settings import read_colony, read_risk_limits, read_tiers, read_training

        settings = open_workshop(config).settings
        for read in (read_colony, read_risk_limits, read_training, read_tiers):
            read(settings)
        sources = ", ".join(source.kind for source in settings.sources)
        console.print(f"the settings hold: sources {sources}; home {settings.home}", soft_wrap=True)


if __name__ == "__main__":
    app()
