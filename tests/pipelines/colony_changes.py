"""A trader's home on the tables of a chain, whose colony is brought to other settings."""

import os
import shutil
import subprocess
import sys
import zlib
from datetime import timedelta
from pathlib import Path

import yaml

from adapters.stores.hot_embedded import EmbeddedHotStore
from pipelines.settings import ROOT
from swarm_core import events as ev
from swarm_core.colony import codec
from swarm_core.colony.state import ColonyState
from tests.pipelines.homes import Home
from tests.trader.homes import log_of, write_config
from trader.colony_changes import STATES

BEFORE = {"worker": {"engagement_prior": 0.65, "engagement_stake": 0.05}}
AFTER = {"worker": {"engagement_prior": 0.65, "gross_max": 1.0}, "trust": {"memory_slots": 3}}


def write_trader(folder: Path, traded: Home, days: int, colony: object) -> Path:
    """Write a trader that goes over the chain's first days by these settings of the colony."""
    folder.mkdir(exist_ok=True)
    (folder / "colony.yaml").write_text(yaml.safe_dump(colony))
    first, tables = traded.windows.decisions.start, str(traded.workshop.home)
    last = first + timedelta(days)
    return write_config(
        folder,
        calendar="auto",
        base_currency="auto",
        asset_classes=[],
        colony="colony.yaml",
        trade={
            "feed": {"kind": "replay", "home": tables, "start": str(first), "end": str(last)},
            "engine": {"kind": "colony", "home": tables},
            "broker": {"kind": "simulated"},
            "watch": {"data_age_s_max": 86_400},  # it goes on two hours after a close
        },
    )


def copy_of(config: Path, folder: Path, traded: Home, days: int, colony: object) -> Path:
    """Return a trader with a copy of another's home, that goes on by other settings."""
    shutil.copytree(config.parent, folder)
    return write_trader(folder, traded, days, colony)


def colony_command(config: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run `apiary colony`, as a person would, in a process of its own."""
    command = [sys.executable, "-c", "from pipelines.cli import app; app()", "colony", *words]
    environment = {
        k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "APIARY_CONFIG")
    }
    return subprocess.run(
        [*command, "--config", str(config)],
        cwd=ROOT, env=environment, text=True, capture_output=True, check=False, timeout=120,
    )  # fmt: skip


def changes_of(config: Path) -> list[ev.ColonySettingsChanged]:
    return [r.event for r in log_of(config) if isinstance(r.event, ev.ColonySettingsChanged)]


def decided(config: Path) -> dict[str, tuple[str, str]]:
    """Return each session's decision and the digest of the state after it."""
    taken = [r.event.lineage for r in log_of(config) if isinstance(r.event, ev.DecisionTaken)]
    return {line.session: (line.decision_id, line.colony_state_digest) for line in taken}


def state_after(config: Path, session: str) -> ColonyState:
    hot = EmbeddedHotStore(config.parent / "home" / "hot" / "hot.db")
    stored = hot.find(STATES, session)
    hot.close()
    assert stored is not None
    return codec.decode(zlib.decompress(stored))
