"""`apiary limits` and `apiary throttle`: what only a person may change, by name and reason."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_trader import settings_of
from pipelines.terminal import ConfigOption, console, one_line_errors

if TYPE_CHECKING:
    from pipelines.settings import ApiarySettings
    from swarm_core.book import Book
    from swarm_core.risk.limits import RiskLimits

limits_app = typer.Typer(help="The limits of the gate.", no_args_is_help=True)
throttle_app = typer.Typer(help="Instruments whose throttle has tripped.", no_args_is_help=True)

By = Annotated[str, typer.Option(help="The person who does it; it stands in the log.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the log.")]


@limits_app.command("show")
def show(config: ConfigOption = None) -> None:
    """Show the limits in force, their hash, and what the file would change."""
    with one_line_errors():
        import yaml

        from swarm_core.limit_record import limits_in_force

        settings = settings_of(config)
        book, file = _book_and_file(settings)
        force, refused = limits_in_force(book.limits, file)
        console.print(yaml.safe_dump(force.to_mapping(), sort_keys=False).rstrip(), highlight=False)
        console.print(f"hash {force.digest()}", highlight=False)
        if refused:
            console.print(refused, highlight=False, soft_wrap=True)


@limits_app.command("apply")
def apply(
    by: By,
    reason: Reason,
    second: Annotated[str, typer.Option(help="The person who agrees, where two must.")] = "",
    config: ConfigOption = None,
) -> None:
    """Put the limits file in force, looser or tighter, by a person's word."""
    with one_line_errors():
        from pipelines.desk_log import open_event_log
        from swarm_core.limit_record import SignOff, write_limits
        from trader.clocks import wall_ns

        settings = settings_of(config)
        sign_off = SignOff(
            by=by, reason=reason, second=second, four_eyes=settings.book.limits_need_two
        )
        book, file = _book_and_file(settings)
        looser = write_limits(
            file, book=book, log=open_event_log(settings), time_ns=wall_ns(), sign_off=sign_off
        )
        console.print(f"limits {file.digest()} are in force, by {by}: {reason}", highlight=False)
        if looser:
            console.print(f"looser: {', '.join(looser)}", highlight=False, soft_wrap=True)


@throttle_app.command("show")
def show_throttled(config: ConfigOption = None) -> None:
    """List the instruments that were traded too often and stay shut until a person looks."""
    with one_line_errors():
        book, _ = _book_and_file(settings_of(config))
        for name in sorted(book.throttled) or ["none"]:
            console.print(name, highlight=False)


@throttle_app.command("reset")
def reset(
    instrument: Annotated[str, typer.Argument(help="The instrument to trade again.")],
    by: By,
    reason: Reason,
    config: ConfigOption = None,
) -> None:
    """Let an instrument be traded again after its throttle has tripped."""
    with one_line_errors():
        from pipelines.desk_log import open_event_log
        from swarm_core.halting import reset_throttle
        from trader.clocks import wall_ns

        settings = settings_of(config)
        book, _ = _book_and_file(settings)
        reset_throttle(
            instrument,
            book=book,
            log=open_event_log(settings),
            actor=by,
            reason=reason,
            time_ns=wall_ns(),
        )
        console.print(f"{instrument} may be traded again, by {by}: {reason}", highlight=False)


def _book_and_file(settings: "ApiarySettings") -> "tuple[Book, RiskLimits]":
    from pipelines.desk_log import open_event_log
    from pipelines.settings import read_risk_limits
    from swarm_core.book import book_from_events

    log = open_event_log(settings)
    book = book_from_events(log.read(), settings.base_currency, settings.book.starting_cash)
    return book, read_risk_limits(settings)
