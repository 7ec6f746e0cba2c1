"""`apiary keys`: rotate the key of the cold tier's owner, wrap files anew, seal what is plain."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pipelines.terminal import ConfigOption, console, one_line_errors, open_workshop

if TYPE_CHECKING:
    from adapters.stores.cold_keys import ColdKeys

app = typer.Typer(help="Keys of the encrypted cold tier.", no_args_is_help=True)


@app.command("rotate")
def rotate(config: ConfigOption = None) -> None:
    """Make a newer key for the owner and put every file's data key under it."""
    with one_line_errors():
        built = open_workshop(config)
        cold, owner = _cold_keys(config), built.settings.encryption.owner
        built.key_ring().rotate(owner)
        console.print(f"the key of {owner} is new", highlight=False)
        console.print(f"{cold.rewrap_all()} files were wrapped anew", highlight=False)


@app.command("seal")
def seal(config: ConfigOption = None) -> None:
    """Seal every month that still holds a plain file; older versions go with a vacuum."""
    with one_line_errors():
        console.print(f"{_cold_keys(config).seal_all()} months were sealed", highlight=False)


def _cold_keys(config: Path | None) -> "ColdKeys":
    from adapters.stores.cold_keys import ColdKeys
    from adapters.stores.sealed_place import SealedPlace
    from adapters.stores.tables_delta import DeltaTableStore

    store = open_workshop(config).get("tables")
    assert isinstance(store, DeltaTableStore)
    if not isinstance(store.place, SealedPlace):
        raise ValueError("encryption.owner must be set in the configuration, is not")  # noqa: TRY004  # a setting
    return ColdKeys(store, store.place)
