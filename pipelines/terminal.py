"""What every verb of the `apiary` command shares: its output, its one-line errors, its home."""

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from pipelines.resources import Workshop

# Ids hold colons and errors hold brackets: neither is an emoji or markup.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False, soft_wrap=True)

FILE_WIDTH = 180  # columns of what is written to a file or a pipe and holds wide tables
STDOUT = 1  # the file descriptor
ENDED_BY_PIPE = 128 + 13  # as a shell tells a process that SIGPIPE ended

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The desk's YAML file; config/apiary.yaml if unset.")
]


def spaced(seconds: float = 5.0, printed_on: Console = console) -> Callable[[str], None]:
    """Return what prints a line of progress, at most one every so many seconds."""
    last = monotonic()

    def tell(line: str) -> None:
        nonlocal last
        if monotonic() - last >= seconds:
            last = monotonic()
            printed_on.print(f"  {line}", highlight=False, markup=False)

    return tell


def wide() -> Console:
    """Return what prints wide tables: a file or a pipe has no width at which they are cut off."""
    return console if console.is_terminal else Console(emoji=False, width=FILE_WIDTH)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what a user can mend into one line on stderr and exit code 1.

    Whoever reads the output may stop, as `head` does: that ends the command without a word.
    """
    from pipelines.settings import ChainStoppedError

    try:
        yield
        sys.stdout.flush()  # what is still to be printed fails here rather than at the exit
    except (ValueError, KeyError, OSError, ImportError, ChainStoppedError) as error:
        if isinstance(error, BrokenPipeError) and _reader_has_gone():
            os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)  # the exit flushes once more
            raise typer.Exit(ENDED_BY_PIPE) from error
        tell_error(error)
        raise typer.Exit(1) from error


def tell_error(error: Exception) -> None:
    """Print what a user can mend as one line on stderr; a file that failed stands first."""
    text: object = error.args[0] if isinstance(error, KeyError) and error.args else error
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    line = escape(" ".join(str(text).split()))
    errors.print(f"[bold red]apiary:[/] {line}", highlight=False)


def _reader_has_gone() -> bool:
    """Return whether the pipe of the output is closed: a server's broken pipe is told."""
    watch = select.poll()
    watch.register(STDOUT, 0)  # errors and a closed end are always reported
    return bool(watch.poll(0))


def open_workshop(config: Path | None) -> "Workshop":
    """Return the workshop of a configuration, which becomes that of this process."""
    from pipelines.resources import chosen_workshop, workshop
    from pipelines.settings import choose_config, prepare_environment

    prepare_environment()
    choose_config(config)
    return workshop() if config is None else chosen_workshop(config)
