"""A home of its own for a chain that runs in a test: Dagster instance, settings, workshop."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from assets.session_rerun import RerunPorts
from pipelines import resources
from pipelines.chain import Chain, settle
from pipelines.resources import Workshop
from pipelines.settings import Windows, choose_config, settings_for_files
from pipelines.universe import write_most_liquid


@dataclass(frozen=True)
class Home:
    """One home, its chain and its dates."""

    path: Path
    chain: Chain
    workshop: Workshop
    windows: Windows
    instance: dg.DagsterInstance


@contextmanager
def open_home(
    path: Path,
    folder: Path,
    mapping: Path | None,
    monkeypatch: pytest.MonkeyPatch,
    most_liquid: int | None = None,
    more: Mapping[str, Any] | None = None,
) -> Iterator[Home]:
    """Open a home on a folder of files; nothing outside of `path` is touched.

    Without a mapping it is inferred. `more` stands in the configuration beside the rest.
    """
    from pipelines.definitions import build_definitions

    monkeypatch.setenv("DAGSTER_HOME", str(path))
    named = None if mapping is None else str(mapping)
    config = settings_for_files(folder, named, path / "home", base=None)
    if most_liquid is not None:
        write_most_liquid(config, most_liquid)
    if more is not None:
        config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | dict(more)))
    training = path / "home" / "training.yaml"
    training.write_text("settings: {trials: 2, folds: 3, rounds_max: 20, name: forward_return}\n")
    monkeypatch.setenv("APIARY_CONFIG", str(config))
    choose_config(config)
    monkeypatch.setattr(resources, "_workshops", {})
    built = resources.workshop()
    with dg.DagsterInstance.ephemeral(str(path)) as instance:
        windows = settle(built, lambda _: None)
        chain = Chain(
            build_definitions(built.settings.calendar),
            instance,
            built,
            lambda _: None,
            lambda *_: None,
        )
        yield Home(path, chain, built, windows, instance)


def ports_of(home: Home, **changes: Any) -> RerunPorts:
    """Return what a session of the home is run again with."""
    names = ("tables", "feature_store", "registry", "log", "hot", "open_broker", "scratch_log")
    return RerunPorts(**{name: home.workshop.get(name) for name in names} | changes)
