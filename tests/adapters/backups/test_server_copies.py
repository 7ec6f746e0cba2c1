"""A desk on servers is backed up with its home, and comes back without them or into new ones."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from adapters.stores.content_hash import canonical_order, content_hash
from adapters.stores.tiers import TierPolicies, TierPolicy
from pipelines import resources
from pipelines.cli import app
from pipelines.settings import choose_config, settings_for_files
from tests.adapters.stores.event_log_contract import make_event
from tests.adapters.stores.test_tiers import DAY, START, make_fills
from tests.services import PostgresService, RedisProcess, postgres_server
from trader.opening import lock_of


@dataclass
class Desk:
    """A desk on Redis and PostgreSQL, and the folder of its test."""

    redis: RedisProcess
    postgres: PostgresService
    folder: Path
    patch: pytest.MonkeyPatch

    def open(self, home: str, *, on_servers: bool = True) -> Any:
        """Open a home of this desk as another process would."""
        for name, url in (("REDIS", self.redis.url), ("POSTGRES", self.postgres.url)):
            if on_servers:
                self.patch.setenv(f"APIARY_{name}_URL", url)
            else:
                self.patch.delenv(f"APIARY_{name}_URL", raising=False)
        self.patch.setattr(resources, "_workshops", {})
        choose_config(settings_for_files(self.folder, None, self.folder / home, base=None))
        return resources.workshop()

    def lose(self) -> None:
        """Empty both servers."""
        with psycopg.connect(self.postgres.url, autocommit=True) as db:
            db.execute("drop schema apiary cascade")
            db.execute("drop schema apiary_warm cascade")
        self.redis.stop()
        self.redis = RedisProcess()
        self.redis.start()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    redis = RedisProcess()
    with postgres_server() as postgres:
        redis.start()
        made = Desk(redis, postgres, tmp_path, monkeypatch)
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        monkeypatch.setenv("APIARY_CONFIG", "")
        yield made
        made.redis.stop()


def apiary(*words: str) -> str:
    told = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return " ".join(told.output.split())


def fill(built: Any, first: int) -> None:
    """Write ten events, and thirty fills over the three tiers."""
    log, rows = built.get("log"), built.get("rows")
    log.append([make_event(n) for n in range(first, first + 10)])
    for day in (0, 50, 90):
        rows.write("fills", make_fills(day + first, 10))
    rows._policy = TierPolicies(TierPolicy(hot_age=5 * DAY, warm_age=40 * DAY))
    rows.demote(START + 100 * DAY)


def contents(built: Any) -> tuple[object, ...]:
    log, rows = built.get("log"), built.get("rows")
    assert log.verify().sound
    last = log.last_sequence()
    return last, log.hash_at(last), content_hash(canonical_order(rows.query("fills")))


def test_what_lay_on_servers_comes_back_without_them_and_into_empty_ones(desk: Desk) -> None:
    built = desk.open("home")
    fill(built, 0)
    before = contents(built)
    apiary("backup", str(desk.folder / "backups"))
    home = desk.folder / "home"
    home.rename(desk.folder / "lost")
    desk.lose()

    said = apiary("restore", str(desk.folder / "backups"), "--to", str(home))

    assert said.count("lies in the home now") == 3
    assert contents(desk.open("home", on_servers=False)) == before
    desk.open("home")
    assert "10 events were added to the log" in apiary("load-servers")
    assert "0 events were added" in apiary("load-servers")
    assert contents(desk.open("home")) == before
    assert "everything is as it was written" in apiary("tiers", "verify")


def test_a_second_backup_copies_only_what_is_new_and_follows_what_moved(desk: Desk) -> None:
    built = desk.open("home")
    fill(built, 0)
    apiary("backup", str(desk.folder / "backups"))
    rows = built.get("rows")
    rows._policy = TierPolicies(TierPolicy(hot_age=0 * DAY, warm_age=0 * DAY))
    rows.demote(START + 200 * DAY)  # all of it is cold now
    built.get("log").append([make_event(n) for n in range(10, 15)])
    before = contents(built)

    apiary("backup", str(desk.folder / "backups"))
    apiary("restore", str(desk.folder / "backups"), "--to", str(desk.folder / "again"))

    again = desk.open("again", on_servers=False)
    assert contents(again) == before
    assert set(again.get("rows").places()["tier"]) == {"cold"}


def test_a_log_of_another_desk_is_not_added_to(desk: Desk) -> None:
    built = desk.open("home")
    fill(built, 0)
    apiary("backup", str(desk.folder / "backups"))
    apiary("restore", str(desk.folder / "backups"), "--to", str(desk.folder / "again"))
    desk.lose()
    desk.open("other").get("log").append([make_event(77)])
    desk.open("again")

    told = CliRunner().invoke(app, ["load-servers"])

    assert told.exit_code == 1
    assert "must be its first 1 records, is not" in " ".join(told.output.split())


def test_servers_are_not_loaded_from_a_home_that_is_traded(desk: Desk) -> None:
    built = desk.open("home", on_servers=False)
    fill(built, 0)
    desk.open("home")

    with lock_of(desk.folder / "home", "apiary trade"):
        told = CliRunner().invoke(app, ["load-servers"])

    said = " ".join(told.output.split())
    assert (told.exit_code, told.output.count("\n")) == (1, 1)
    assert "load-servers must have the home to itself, nothing was loaded" in said
    assert f"is by apiary trade, process {os.getpid()}" in said
    assert desk.open("home").get("log").last_sequence() == 0
    assert "10 events were added to the log" in apiary("load-servers")


def test_homes_and_backups_are_for_their_user_alone(desk: Desk, tmp_path: Path) -> None:
    apiary("backup", str(tmp_path / "backups"), "--config", str(_config(desk)))
    apiary("restore", str(tmp_path / "backups"), "--to", str(tmp_path / "again"))

    for name in ("home", "backups", "again"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700, name


def test_a_backup_that_holds_its_keys_says_so(desk: Desk, tmp_path: Path) -> None:
    config = _config(desk)
    keys = tmp_path / "home" / "keys.json"
    desk.patch.setattr(resources, "_workshops", {})
    config.write_text(config.read_text() + f"encryption: {{owner: me, keys: {keys}}}\n")

    said = apiary("backup", str(tmp_path / "backups"), "--config", str(config))

    assert f"the keys of the sealed tables lie within: {keys}" in said


def _config(desk: Desk) -> Path:
    desk.open("home")
    return desk.folder / "home" / "apiary.yaml"
