"""A desk whose three tiers are servers, chosen by nothing but the environment."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.stores.tiers import TierPolicies, TierPolicy
from pipelines import resources
from pipelines.cli import app
from pipelines.settings import choose_config, settings_for_files
from tests.adapters.stores.test_tiers import DAY, START, make_fills
from tests.adapters.stores.tier_faults import Servers, servers


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Servers]]:
    with servers() as running:
        for name, value in {
            "REDIS_URL": running.redis.url,
            "POSTGRES_URL": running.postgres.url,
            "COLD_URL": "s3://desk/cold",
            "S3_ENDPOINT": running.s3.endpoint,
            "S3_ACCESS_KEY": running.s3.access_key,
            "S3_SECRET_KEY": running.s3.secret_key,
            "STORE_TIMEOUT_S": "2",
        }.items():
            monkeypatch.setenv(f"APIARY_{name}", value)
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        monkeypatch.setattr(resources, "_workshops", {})
        config = settings_for_files(tmp_path, None, tmp_path / "home", base=None)
        choose_config(config)
        yield config, running


def ask(config: Path, *words: str) -> str:
    outcome = CliRunner().invoke(app, [*words, "--config", str(config)])
    assert "Traceback" not in outcome.output
    return outcome.output


def test_one_question_over_three_servers_and_one_line_where_one_is_away(
    desk: tuple[Path, Servers], tmp_path: Path
) -> None:
    config, running = desk
    rows: Any = resources.workshop().get("rows")
    for day in (0, 50, 90):
        rows.write("fills", make_fills(day, 10))
    rows._policy = TierPolicies(TierPolicy(hot_age=5 * DAY, warm_age=40 * DAY))
    rows.demote(START + 100 * DAY)

    shown = ask(config, "tiers", "show")
    assert all(tier in shown for tier in ("hot", "warm", "cold"))
    query = "select count(*) as n, count(distinct fill_id) as m from fills"
    assert ask(config, "sql", query, "--csv") == "n,m\n30,30\n"
    assert "everything is as it was written" in ask(config, "tiers", "verify")
    assert not (tmp_path / "home" / "cold").exists()
    assert not (tmp_path / "home" / "hot").exists()

    for end, name in (
        (running.redis.kill, "Redis failed"),
        (running.s3.kill, "the cold storage failed"),
        (running.postgres.stop, "PostgreSQL failed"),
    ):
        end()
        told = ask(config, "sql", query)
        assert name in " ".join(told.split())
        if name != "PostgreSQL failed":
            getattr(running, "redis" if "Redis" in name else "s3").start()
