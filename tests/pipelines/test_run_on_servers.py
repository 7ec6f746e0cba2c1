"""`apiary run` and `apiary ui` where every store, and Dagster's own, is a server."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.settings import ROOT
from tests.adapters.stores.tier_faults import Servers, servers
from tests.pipelines.market_files import market_rows, write_market
from tests.services import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]  # minutes where others work
APIARY = Path(sys.executable).with_name("apiary")


@contextmanager
def desk(folder: Path) -> Iterator[dict[str, str]]:
    """Give the environment of a desk whose every store is a server."""
    with servers() as running:
        yield os.environ | _addresses(running) | {"DAGSTER_HOME": str(folder / "dagster")}


def _addresses(running: Servers) -> dict[str, str]:
    running.postgres.make_database("dagster")
    given = {
        "REDIS_URL": running.redis.url,
        "POSTGRES_URL": running.postgres.url,
        "DAGSTER_POSTGRES_URL": running.postgres.url.replace("/postgres", "/dagster"),
        "COLD_URL": "s3://desk/cold",
        "S3_ENDPOINT": running.s3.endpoint,
        "S3_ACCESS_KEY": running.s3.access_key,
        "S3_SECRET_KEY": running.s3.secret_key,
    }
    return {f"APIARY_{name}": value for name, value in given.items()}


def apiary(environment: dict[str, str], *words: str) -> str:
    command = [str(APIARY), *words]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def web_server(environment: dict[str, str], config: Path) -> Iterator[str]:
    port = free_port()
    command = [str(APIARY), "ui", "--config", str(config), "--port", str(port)]
    with subprocess.Popen(
        command,
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield f"http://127.0.0.1:{port}/graphql"
        finally:
            os.killpg(process.pid, 15)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)


def ask(address: str, query: str) -> Any:
    """Ask Dagster's web server, which takes a while to be there."""
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(address, body, {"content-type": "application/json"})
    for _ in range(600):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)["data"]
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError("the web server must answer within two minutes")


def test_a_whole_run_on_servers_and_its_history_in_the_web_server(tmp_path: Path) -> None:
    mapping = write_market(tmp_path / "data", market_rows())
    home = tmp_path / "home"
    with desk(tmp_path) as environment:
        files = ["--files", str(tmp_path / "data"), "--mapping", str(mapping), "--home", str(home)]
        said = apiary(environment, "run", *files)
        config = ["--config", str(home / "apiary.yaml")]
        counted = apiary(
            environment,
            "sql",
            "select count(*), count(distinct fill_id) from fills",
            "--csv",
            *config,
        )
        verified = apiary(environment, "tiers", "verify", *config)
        chain = apiary(environment, "log", "verify", *config)
        with web_server(environment, home / "apiary.yaml") as address:
            runs = ask(address, "{runsOrError{... on Runs{results{jobName status}}}}")

    assert "NAV" in said
    total, distinct = counted.splitlines()[1].split(",")
    assert total == distinct != "0"
    assert "everything is as it was written" in verified
    assert "events is sound" in chain
    results = runs["runsOrError"]["results"]
    assert {run["status"] for run in results} == {"SUCCESS"}
    assert {"history_job", "training_job", "swarm_decision_job"} <= {r["jobName"] for r in results}
    for embedded in ("cold", "warm/events.db", "warm/tables"):
        assert not (home / embedded).exists()
