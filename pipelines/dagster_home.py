"""Dagster's instance on PostgreSQL: a home beside the embedded one, made from its settings."""

from pathlib import Path
from typing import Any

import yaml

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


def is_postgres_home(home: Path) -> bool:
    """Return whether this is a folder that `postgres_home` made."""
    return home.name == _FOLDER
