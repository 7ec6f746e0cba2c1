"""The drill of a desk on servers: any moment comes back with the hashes that it had."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.backups.repository import BackupRepository
from adapters.stores.content_hash import canonical_order, content_hash
from adapters.stores.model_registry import FileModelRegistry
from adapters.stores.tiers import TierPolicies, TierPolicy
from pipelines import resources
from pipelines.cli import app
from pipelines.settings import choose_config, settings_for_files
from swarm_core import events as ev
from tests.adapters.backups.test_rolling import long_ago, opened
from tests.adapters.stores.test_tables_delta import KEY, make_rows
from tests.adapters.stores.test_tables_delta import NOON as FIRST
from tests.adapters.stores.test_tiers import DAY, START, make_fills
from tests.services import RedisProcess, S3Process, postgres_server, s3_server

ROUNDS = 6
BACKUPS = (1, 4)  # after these rounds
TABLES = ("features", "bars")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a desk held at a moment of the machine's clock."""

    moment: datetime
    head: str | None
    last: int
    tables: dict[str, str]
    stage: str | None


@dataclass
class Places:
    """The servers of a desk, and how its home is opened with or without them."""

    folder: Path
    patch: pytest.MonkeyPatch
    servers: dict[str, str]

    def open(self, home: Path, *, on_servers: bool) -> Any:
        for name, value in self.servers.items():
            self.patch.setenv(f"APIARY_{name}", value if on_servers else "")
        self.patch.setattr(resources, "_workshops", {})
        choose_config(settings_for_files(self.folder, None, home, base=None))
        return resources.workshop()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    redis = RedisProcess()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("APIARY_CONFIG", "")
    with postgres_server() as postgres, s3_server() as s3:
        redis.start()
        try:
            servers = {
                "REDIS_URL": redis.url,
                "POSTGRES_URL": postgres.url,
                "COLD_URL": "s3://moments/cold",
                "S3_ENDPOINT": s3.endpoint,
                "S3_ACCESS_KEY": S3Process.access_key,
                "S3_SECRET_KEY": S3Process.secret_key,
            }
            yield Places(tmp_path, monkeypatch, servers)
        finally:
            redis.stop()


def apiary(*words: str) -> str:
    told = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return " ".join(told.output.split())


def see(built: Any) -> Seen:
    """Look at everything that a moment is compared by; nothing is written until it is over."""
    log, tables = built.get("log"), built.get("tables")
    assert log.verify().sound
    last = log.last_sequence()
    hashes = {t: content_hash(tables.read(t)) for t in TABLES if tables.exists(t)}
    registry = FileModelRegistry(built.home / "models")
    model = registry.find_stage("forecast", "champion")
    time.sleep(0.01)  # a commit of a table tells its time in milliseconds
    moment = datetime.fromtimestamp(resources.time_ns() / 1e9, UTC)
    return Seen(moment, log.hash_at(last), last, hashes, model)


def work(built: Any, number: int) -> None:
    """Do what a run over sessions of years past does: log, tables, a model, rows that move."""
    log, tables, rows = (built.get(name) for name in ("log", "tables", "rows"))
    events: list[ev.Event] = [opened(n, long_ago(n)) for n in range(number * 5, number * 5 + 5)]
    log.append(events[:2])
    log.append(events[2:])
    day = FIRST + timedelta(days=20 * number)
    tables.append("bars", make_rows(float(number), first=day), key=KEY)
    if number % 2:
        tables.append("features", make_rows(float(-number), first=day), key=KEY)
    registry = FileModelRegistry(
        built.home / "models", clock=lambda: datetime.fromtimestamp(time.time(), UTC)
    )
    version = registry.register("forecast", f"model {number}".encode(), {"number": number})
    registry.set_stage("forecast", version, "champion", "a test")
    rows.write("fills", make_fills(10 * number, 10))
    rows._policy = TierPolicies(TierPolicy(hot_age=15 * DAY, warm_age=35 * DAY))
    rows.demote(START + 10 * number * DAY)


def fills(built: Any) -> str:
    return content_hash(canonical_order(built.get("rows").query("fills")))


@pytest.mark.parametrize("on_servers", [True, False], ids=["servers", "embedded"])
def test_every_moment_comes_back_with_its_hashes(
    places: Places, tmp_path: Path, *, on_servers: bool
) -> None:
    built = places.open(tmp_path / "home", on_servers=on_servers)
    backups, seen, at_backup = str(tmp_path / "backups"), list[Seen](), dict[int, str]()
    for number in range(ROUNDS):
        work(built, number)
        seen.append(see(built))
        if number in BACKUPS:
            at_backup[number] = fills(built)
            apiary("backup", backups)
            time.sleep(1.1)  # what a server wrote in this second may change in it
    apiary("backup", backups)

    for number in range(BACKUPS[0] + 1, ROUNDS):
        for words in (
            ("--at", seen[number].moment.isoformat()),
            ("--at-sequence", str(seen[number].last)),
        ):
            home = tmp_path / f"{number}{words[0]}"
            said = apiary("restore", backups, "--to", str(home), *words)
            again = places.open(home, on_servers=False)
            found = see(again)
            assert (found.head, found.last) == (seen[number].head, seen[number].last), said
            if words[0] == "--at":
                assert (found.tables, found.stage) == (seen[number].tables, seen[number].stage)
                assert "everything is as it was written" in apiary("tiers", "verify")
    for number, rows in at_backup.items():  # a moment of a backup has the rows of all tiers
        repository = BackupRepository(tmp_path / "backups")
        taken = repository.read(repository.names()[BACKUPS.index(number)]).taken_at
        home = tmp_path / f"backup{number}"
        apiary("restore", backups, "--to", str(home), "--at", taken)
        assert fills(places.open(home, on_servers=False)) == rows
