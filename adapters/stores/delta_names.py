"""Names of files as delta-rs tells them, and folders of which it can tell none."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from deltalake import DeltaTable

# delta-rs writes to another folder than it reads from, or panics (1.6, object_store's paths).
_NOT_IN_A_FOLDER = re.compile(r"[\[\]|\\]|%[0-9A-Fa-f]{2}")


class DeltaTableThere(DeltaTable):
    """A table in a folder of this machine that tells its files as they lie there.

    Else spaces and letters beyond ASCII are escaped in the folders above it, and polars looks for
    the escaped ones.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._folder = folder

    def file_uris(self, *conditions: Any, **named: Any) -> list[str]:
        """Return where each file lies; takes what delta-rs takes."""
        escaped = self.table_uri.removeprefix("file://")
        told = super().file_uris(*conditions, **named)
        return [f"{self._folder}/{uri.removeprefix(escaped)}" for uri in told]


def names_in_table(addresses: Iterable[str]) -> list[str]:
    """Return `partition/file` of addresses in a table that is partitioned by one column."""
    return ["/".join(unquote(address).split("/")[-2:]) for address in addresses]


def require_folder(root: Path) -> Path:
    """Return a folder that Delta tables can lie in; ValueError where they cannot."""
    found = _NOT_IN_A_FOLDER.search(str(root.absolute()))
    if found is not None:
        raise ValueError(
            "the path of a folder of tables must have none of [ ] | and backslash, and no % "
            f"before two digits, had {found[0]!r}: {root}"
        )
    return root
