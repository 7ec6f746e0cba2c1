"""What every verb of the `apiary` command shares: its output, its one-line errors, its home."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from pipelines.resources import Workshop

# Ids hold colons and errors hold brackets: neither is an emoji or markup.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False, soft_wrap=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The desk's YAML file; config/apiary.yaml if unset.")
]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what a user can mend into one line on stderr and exit code 1."""
    from pipelines.settings import ChainStoppedError

    try:
        yield
    except (ValueError, KeyError, OSError, ImportError, ChainStoppedError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        line = escape(" ".join(str(text).split()))
        errors.print(f"[bold red]apiary:[/] {line}", highlight=False)
        raise typer.Exit(1) from error


def open_workshop(config: Path | None) -> "Workshop":
    """Return the workshop of a configuration, which becomes that of this process."""
    from pipelines.resources import workshop
    from pipelines.settings import choose_config, prepare_environment

    prepare_environment()
    choose_config(config)
    return workshop()
