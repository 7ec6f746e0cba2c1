"""Dagster's home: opened by one process at a time, on PostgreSQL made from the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from os import getpid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from dagster import DagsterInstance

URL_VARIABLE = "APIARY_DAGSTER_POSTGRES_URL"
_FOLDER = "on_postgres"


def postgres_home(embedded: Path, shipped: Path) -> Path:
    """Write the instance's settings for PostgreSQL below the embedded home; return their folder.

    They are those of the embedded home, or the shipped ones where it has none, with another
    storage. The address stays in the environment: no secret is written.
    """
    given = embedded / "dagster.yaml"
    content: dict[str, Any] = yaml.safe_load((given if given.is_file() else shipped).read_text())
    for part in ("storage", "event_log_storage", "run_storage", "schedule_storage"):
        content.pop(part, None)
    content["storage"] = {"postgres": {"postgres_url": {"env": URL_VARIABLE}}}
    home = embedded / _FOLDER
    home.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(content, sort_keys=False)
    path = home / "dagster.yaml"
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)
    return home


@contextmanager
def open_instance(home: Path, postgres_url: str | None = None) -> Iterator["DagsterInstance"]:
    """Open the instance of a home; of several that open a new one, the first makes its tables.

    Two that make them at once write two revisions, and nobody can open the home ever after. The
    PostgreSQL that it lies on is asked first: OSError in one line where it is not there, for
    Dagster tries for a long time and does not say why.
    """
    from alembic.util import CommandError
    from dagster import DagsterInstance

    if postgres_url is not None:
        _ask(postgres_url)

    with (home / ".opening").open("w") as lock:
        flock(lock, LOCK_EX)
        try:
            instance = DagsterInstance.from_config(str(home))
        except CommandError as error:
            raise OSError(
                f"Dagster's storage of {home} must have one schema version: {error}; remove its "
                "folders history, storage and schedules (runs are forgotten, tables and books stay)"
            ) from error
    with instance:
        yield instance


def _ask(postgres_url: str) -> None:
    from psycopg import OperationalError

    from adapters.stores.postgres_address import PostgresAddress

    address = PostgresAddress(postgres_url)
    try:
        address.connect("apiary dagster").close()
    except OperationalError as error:
        said = " ".join(str(error).split())
        raise OSError(f"Dagster's PostgreSQL at {address} must be usable: {said}") from error


def make_private(folder: Path) -> Path:
    """Make a folder that only its user may enter; one that is there keeps its rights."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def settled(home: Path, shipped: Path) -> Path:
    """Give a home without settings of its own the shipped ones; return it.

    Without them Dagster asks nobody whether a run's process lives, so that killed runs stay, and
    bounds no pool.
    """
    if not (home / "dagster.yaml").is_file():
        written = home / f".dagster.yaml.{getpid()}"
        written.write_text(shipped.read_text())
        written.replace(home / "dagster.yaml")  # another process may do the same at once
    return home


def is_postgres_home(home: Path) -> bool:
    """Return whether this is a folder that `postgres_home` made."""
    return home.name == _FOLDER
