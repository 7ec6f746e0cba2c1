"""Dagster's home: opened by one process at a time, on PostgreSQL made from the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
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
def open_instance(home: Path) -> Iterator["DagsterInstance"]:
    """Open the instance of a home; of several that open a new one, the first makes its tables.

    Two that make them at once write two revisions, and nobody can open the home ever after.
    """
    from dagster import DagsterInstance

    with (home / ".opening").open("w") as lock:
        flock(lock, LOCK_EX)
        instance = DagsterInstance.from_config(str(home))
    with instance:
        yield instance


def is_postgres_home(home: Path) -> bool:
    """Return whether this is a folder that `postgres_home` made."""
    return home.name == _FOLDER
