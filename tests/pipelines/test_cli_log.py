"""`apiary log` on the log of a simulated session: sound, damaged, and told as tables."""

import sqlite3
from pathlib import Path

import polars as pl
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from adapters.stores.event_log_sqlite import SqliteEventLog
from pipelines import resources
from pipelines.cli import app
from pipelines.settings import DEFAULT_CONFIG
from swarm_core import events as ev
from tests.simulation.world import play
from tests.swarm_core.builders import CASH


@pytest.fixture(scope="module")
def events() -> list[ev.Event]:
    return [record.event for record in play(3).watch.read()]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desk with a home of its own; whatever the commands set is undone."""
    monkeypatch.setenv("APIARY_CONFIG", "")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr(resources, "_workshops", {})
    settings = yaml.safe_load(DEFAULT_CONFIG.read_text())
    settings["home"] = str(tmp_path / "home")
    settings["book"] = {**settings.get("book", {}), "starting_cash": int(CASH)}
    path = tmp_path / "desk.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def path(tmp_path: Path, events: list[ev.Event]) -> Path:
    path = tmp_path / "home" / "warm" / "events.db"
    log = SqliteEventLog(path)
    log.append(events)
    log.close()
    return path


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["log", *words, "--config", str(config)])


def test_a_sound_log_is_verified_and_gives_itself_again(
    config: Path, path: Path, events: list[ev.Event]
) -> None:
    assert f"the chain of {len(events)} events is sound" in run(config, "verify").output
    told = run(config, "replay")
    assert told.exit_code == 0
    assert f"{len(events)} events give" in told.output


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_an_edited_byte_is_one_line(config: Path, path: Path, command: str) -> None:
    data = path.read_bytes()
    place = data.rindex(b'"lots":')
    digit = b"1" if data[place + 7 : place + 8] == b"9" else b"9"
    path.write_bytes(data[: place + 7] + digit + data[place + 8 :])

    told = run(config, command)

    assert told.exit_code == 1
    assert "must be sound, is not from record" in told.output
    assert len(told.output.strip().splitlines()) == 1


def test_a_verdict_that_was_not_the_gates_is_named(
    config: Path, path: Path, events: list[ev.Event]
) -> None:
    """The chain is sound, for it was written so; the replay finds what the gate had not said."""
    place = next(i for i, e in enumerate(events) if isinstance(e, ev.OrderApproved))
    forged = [*events]
    forged[place] = ev.OrderApproved(
        **{n: getattr(events[place], n) for n in ("event_id", "time_ns", "causation_id",
           "correlation_id", "client_order_id", "attempt", "reference_ticks")}, value_micros=1
    )  # fmt: skip
    for left in path.parent.iterdir():
        left.unlink()
    log = SqliteEventLog(path)
    log.append(forged)
    log.close()

    told = run(config, "replay")

    assert told.exit_code == 1
    assert f"event {place + 1}: must be" in told.output


def test_the_log_is_told_as_tables(config: Path, path: Path) -> None:
    written = run(config, "project")
    queried = run(config, "project", "--sql", "select state, count(*) as n from orders group by 1")
    wrong = run(config, "project", "--sql", "select nothing from nowhere")

    orders = pl.read_parquet(path.parents[1] / "projections" / "orders.parquet")
    assert f"{orders.height} rows" in written.output
    assert "filled" in queried.output
    assert wrong.exit_code == 1
    assert "the query must be one over" in wrong.output


def test_a_range_is_exported(config: Path, path: Path, tmp_path: Path) -> None:
    to = tmp_path / "some.parquet"
    told = run(config, "export", "--to", str(to), "--from", "5", "--until", "12")

    assert "8 records" in told.output
    assert pl.read_parquet(to)["sequence"].to_list() == list(range(5, 13))


def test_a_log_that_lost_its_end_is_one_line(config: Path, path: Path) -> None:
    with sqlite3.connect(path) as db:
        last = db.execute("select max(last) from frames").fetchone()[0]
        db.execute("delete from frames where last = ?", (last,))
        db.execute("update head set sequence = 0")
    db.close()

    told = run(config, "verify")

    assert told.exit_code == 1
    assert "as it was acknowledged" in told.output
