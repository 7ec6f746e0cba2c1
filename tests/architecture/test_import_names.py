"""Our generic package names must resolve to this repository, never to a dependency."""

from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["pipelines", "gateway_simulator", "assets", "adapters", "models", "features"]
PACKAGES += ["swarm_core", "trader"]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_ours(name: str) -> None:
    # Not is_relative_to: .venv, where a stranger would live, is under the root too.
    assert Path(import_module(name).__file__ or "").parent == ROOT / name


@pytest.mark.parametrize("name", [*PACKAGES, "tests"])
def test_no_dependency_ships_the_same_name(name: str) -> None:
    assert set(packages_distributions().get(name, [])) <= {"apiary"}
