"""`apiary colony`: the settings that the colony decides by, and their change by a person's word."""

from typing import Annotated

import typer

from pipelines.cli_trader import settings_of
from pipelines.terminal import ConfigOption, console, one_line_errors

app = typer.Typer(help="The settings of the colony.", no_args_is_help=True)


@app.command("show")
def show(config: ConfigOption = None) -> None:
    """Show which settings the colony decides by, their changes, and what the file would change."""
    with one_line_errors():
        from pipelines.colony_in_force import book_and_state
        from pipelines.settings import read_colony
        from trader.colony_changes import differences

        settings = settings_of(config)
        book, state = book_and_state(settings)
        file = read_colony(settings)
        if state is None:
            console.print(f"nothing is decided yet; the file has {file.digest()}", highlight=False)
            return
        console.print(
            f"{state.steps} bars decided, the last by settings {state.settings_digest}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        for change in book.colony_changes:
            names = ", ".join(change.changed) or "not known"
            console.print(
                f"{change.digest_after[:12]} by {change.actor}: {change.reason} ({names})",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
        signed_off = bool(book.colony_changes) and (
            book.colony_changes[-1].digest_after == file.digest()
        )
        what = "the next decision changes" if signed_off else "the file, once applied, would change"
        for line in differences(state.settings, file):
            console.print(f"{what} {line}", highlight=False, soft_wrap=True)


@app.command("apply")
def apply(
    by: Annotated[str, typer.Option(help="The person who does it; it stands in the log.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the log.")],
    config: ConfigOption = None,
) -> None:
    """Let the next decision go by the colony's file, with what the colony knows carried over."""
    with one_line_errors():
        from pipelines.colony_in_force import book_and_state
        from pipelines.desk_log import open_event_log
        from pipelines.settings import read_colony
        from trader.clocks import wall_ns
        from trader.colony_changes import sign_off

        settings = settings_of(config)
        book, state = book_and_state(settings)
        change = sign_off(
            read_colony(settings),
            state,
            book=book,
            log=open_event_log(settings),
            time_ns=wall_ns(),
            by=by,
            reason=reason,
        )
        console.print(
            f"settings {change.digest_after} hold from the next decision on, by {by}: {reason}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        for name in change.changed:
            console.print(f"changed: {name}", highlight=False, soft_wrap=True)
