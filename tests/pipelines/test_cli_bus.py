"""The bus on the command line: relayed, read by a group once, and refused in one line."""

import json
from pathlib import Path
from typing import Any, cast

import confluent_kafka
import pytest
import yaml
from typer.testing import CliRunner

from pipelines import resources
from pipelines.bus import opened_bus
from pipelines.cli import app
from pipelines.settings import DEFAULT_CONFIG, SettingsError
from tests.adapters.bus.test_bus import session_opened
from tests.services import redis_server

pytestmark = pytest.mark.xdist_group("bus")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose log has three events."""
    return _configured(tmp_path, monkeypatch, {"kind": "embedded"})


def _configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bus: dict[str, Any]) -> Path:
    path = tmp_path / "apiary.yaml"
    plain = yaml.safe_load(DEFAULT_CONFIG.read_text())
    path.write_text(yaml.safe_dump({**plain, "home": str(tmp_path / "home"), "bus": bus}))
    monkeypatch.setenv("APIARY_CONFIG", str(path))
    monkeypatch.setattr(resources, "_workshops", {})
    log: Any = resources.workshop().event_log()
    log.append([session_opened(n) for n in (1, 2, 3)])
    return path


def _run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["bus", *arguments])


def test_a_group_reads_every_event_once(config: Path) -> None:
    first = _run("read", "audit")
    lines = [json.loads(line) for line in first.output.splitlines()]
    assert [line["sequence"] for line in lines] == [1, 2, 3]
    assert {line["type"] for line in lines} == {"SessionOpened"}
    assert _run("read", "audit").output == ""
    assert len(_run("read", "other").output.splitlines()) == 3


def test_events_go_over_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server() as url:
        monkeypatch.setenv("APIARY_REDIS_URL", url)
        _configured(tmp_path, monkeypatch, {"kind": "redis"})
        assert "3 events were published" in _run("relay").output
        assert "0 events were published" in _run("relay").output
        assert len(_run("read", "audit").output.splitlines()) == 3


def test_settings_of_the_kafka_client_are_passed_on_and_secrets_come_by_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mock: Any = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock"})
    (broker,) = mock.list_topics(timeout=10).brokers.values()
    monkeypatch.setenv("DESK_KEY", "honey-1234")
    (tmp_path / "id").write_text("desk-1\n")
    client = {
        "client.id": f"file:{tmp_path / 'id'}",
        "ssl.key.password": "env:DESK_KEY",
        "compression.type": "zstd",
        "queue.buffering.max.messages": 100_000,
    }
    kafka = {"kind": "kafka", "servers": f"127.0.0.1:{broker.port}", "client": client}
    _configured(tmp_path, monkeypatch, kafka)

    assert "3 events were published" in _run("relay").output
    assert len(_run("read", "audit").output.splitlines()) == 3
    with opened_bus(resources.workshop()) as bus:
        access: Any = cast("Any", bus)._access
        given = access.settings()
        assert (given["client.id"], given["ssl.key.password"]) == ("desk-1", "honey-1234")
        assert "honey" not in repr(access)
    mock.flush(1)


@pytest.mark.parametrize(
    ("client", "said"),
    [
        ({"no.such": "x-secret"}, 'No such configuration property: "no.such"'),
        ({"queue.buffering.max.messages": "x-secret"}, "queue.buffering.max.messages"),
        ({"ssl.key.password": "env:NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE"),
    ],
)
def test_a_setting_of_the_kafka_client_that_is_none_is_one_line_without_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: dict[str, Any], said: str
) -> None:
    _configured(
        tmp_path, monkeypatch, {"kind": "kafka", "servers": "127.0.0.1:1", "client": client}
    )
    told = _run("relay")
    assert told.exit_code == 1
    assert said in " ".join(told.output.split())
    assert "x-secret" not in told.output


@pytest.mark.parametrize("name", ["acks", "sasl.password", "error_cb", "group.id"])
def test_what_the_platform_promises_by_is_not_the_clients_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with pytest.raises(SettingsError, match=rf"must leave to the platform.*{name}"):
        _configured(tmp_path, monkeypatch, {"kind": "kafka", "client": {name: "0"}})


@pytest.mark.parametrize(
    ("bus", "said"),
    [({"kind": "redis"}, "needs APIARY_REDIS_URL"), ({"kind": "kafka"}, "needs bus.servers")],
)
def test_a_bus_that_cannot_be_reached_as_told_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bus: dict[str, Any], said: str
) -> None:
    monkeypatch.delenv("APIARY_REDIS_URL", raising=False)
    _configured(tmp_path, monkeypatch, bus)
    told = _run("relay")
    assert told.exit_code == 1
    assert said in told.output


@pytest.mark.parametrize(("field", "value"), [("kind", "pigeon"), ("topic", "a b")])
def test_a_wrong_field_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=rf"bus\.{field}"):
        _configured(tmp_path, monkeypatch, {field: value})


def test_the_schemas_are_printed() -> None:
    shown = json.loads(_run("schemas").output)
    assert shown["OrderFilled"]["1"]["type"] == "object"
