"""Servers that let nobody in without a certificate: Redis, PostgreSQL and Kafka, by settings."""

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from pydantic import ValidationError

from adapters.bus.kafka import KafkaAccess, KafkaBus
from adapters.bus.messages import BusError, relay
from adapters.stores.event_log_memory import MemoryEventLog
from adapters.stores.event_log_postgres import PostgresEventLog
from adapters.stores.hot import RedisHotStore
from adapters.stores.postgres_address import PostgresAddress
from pipelines.bus_settings import BusSettings
from pipelines.settings import Environment
from tests.adapters.stores.event_log_contract import make_event
from tests.certificates import Authority, Certified
from tests.services import postgres_server, redis_server
from tests.tls_proxy import tls_in_front

pytestmark = pytest.mark.xdist_group("tls")
PASSWORD = "honey-and-wax-1234"


@dataclass(frozen=True)
class Guarded:
    """Addresses of servers that ask for a certificate; ours, and one that they do not trust."""

    addresses: dict[str, str]
    trusted: Path
    ours: Certified
    strangers: Certified


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("clients")
    authority, clients = Authority(folder), Authority(folder, "clients")
    here = authority.certify("127.0.0.1")
    with ExitStack() as held:
        redis = int(held.enter_context(redis_server(PASSWORD)).rpartition(":")[2].split("/")[0])
        postgres = held.enter_context(postgres_server(PASSWORD))

        def front(port: int, **more: Any) -> int:
            return held.enter_context(tls_in_front(port, here, clients=clients.file, **more))

        at_redis, at_postgres = front(redis), front(postgres.port, asked_first=True)
        addresses = {
            "redis": f"rediss://:{PASSWORD}@127.0.0.1:{at_redis}/0",
            "postgres": f"postgresql://apiary:{PASSWORD}@127.0.0.1:{at_postgres}/postgres"
            "?gssencmode=disable",
        }
        ours = clients.certify("desk.example.org")
        strangers = Authority(folder, "strangers").certify("desk.example.org")
        yield Guarded(addresses, authority.file, ours, strangers)


Configure = Callable[[str, Certified | None], Environment]


@pytest.fixture
def configure(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> Configure:
    def set_all(name: str, own: Certified | None) -> Environment:
        given = {"URL": guarded.addresses[name], "CA_FILE": str(guarded.trusted)}
        if own is not None:
            given |= {"CERT_FILE": str(own.certificate), "KEY_FILE": str(own.key)}
        for key, value in given.items():
            monkeypatch.setenv(f"APIARY_{name.upper()}_{key}", value)
        return Environment()

    return set_all


def use(name: str, environment: Environment) -> object:
    """Write one thing to the server and read it back."""
    if name == "redis":
        hot = RedisHotStore(str(environment.redis_text()))
        hot.put("space", {"key": b"value"})
        return hot.find("space", "key")
    log = PostgresEventLog(PostgresAddress(str(environment.postgres_text())))
    log.append([make_event(log.last_sequence())])
    return log.last_sequence()


@pytest.mark.parametrize(("name", "read"), [("redis", b"value"), ("postgres", 1)])
def test_who_shows_a_certificate_is_let_in(
    guarded: Guarded, configure: Configure, name: str, read: object
) -> None:
    assert use(name, configure(name, guarded.ours)) == read


@pytest.mark.parametrize("name", ["redis", "postgres"])
@pytest.mark.parametrize("shown", ["none", "a stranger's"])
def test_nobody_else_is_and_that_is_one_line_without_secrets(
    guarded: Guarded, configure: Configure, name: str, shown: str
) -> None:
    with pytest.raises(OSError, match=r"failed|must be usable") as told:
        use(name, configure(name, None if shown == "none" else guarded.strangers))
    assert len(str(told.value).splitlines()) == 1
    assert PASSWORD not in str(told.value)


@pytest.mark.parametrize("name", ["redis", "postgres"])
def test_half_a_certificate_or_an_open_key_is_refused(
    guarded: Guarded,
    configure: Configure,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def text(own: Certified) -> str | None:
        environment = configure(name, own)
        return environment.redis_text() if name == "redis" else environment.postgres_text()

    gone = tmp_path / "gone.pem"
    with pytest.raises(ValueError, match=rf"must be a file, was {gone}"):
        text(Certified(gone, guarded.ours.key))
    open_key = tmp_path / "open.key"
    open_key.write_bytes(guarded.ours.key.read_bytes())
    open_key.chmod(0o644)
    with pytest.raises(ValueError, match="must be its user's alone to read"):
        text(Certified(guarded.ours.certificate, open_key))
    monkeypatch.delenv(f"APIARY_{name.upper()}_KEY_FILE")
    with pytest.raises(ValueError, match="must both be set"):
        _ = Environment().redis_text() if name == "redis" else Environment().postgres_text()


def test_a_certificate_is_shown_over_tls_alone(
    guarded: Guarded, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("redis", guarded.ours)
    monkeypatch.setenv("APIARY_REDIS_URL", "redis://127.0.0.1:1/0")
    with pytest.raises(ValueError, match="must be rediss://"):
        Environment().redis_text()
    configure("postgres", guarded.ours)
    monkeypatch.setenv("APIARY_POSTGRES_URL", "postgresql://me@127.0.0.1/desk")
    assert "sslmode=verify-full" in str(Environment().postgres_text())


def test_kafka_takes_a_certificate(guarded: Guarded, tmp_path: Path) -> None:
    mock: Any = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock"})
    (broker,) = mock.list_topics(timeout=10).brokers.values()
    authority, clients = Authority(tmp_path), Authority(tmp_path, "clients")
    ours = clients.certify("desk.example.org")

    def readdressed(port: int) -> Callable[[bytes], bytes]:
        old, new = (b"127.0.0.1" + struct.pack(">i", p) for p in (broker.port, port))
        return lambda answer: answer.replace(old, new)

    here = authority.certify("127.0.0.1")
    with tls_in_front(broker.port, here, change=readdressed, clients=clients.file) as port:
        servers, trusted = f"127.0.0.1:{port}", str(authority.file)
        own = (ours.certificate, ours.key)
        bus = KafkaBus(KafkaAccess(servers, "SSL", ca_file=trusted, own=own), "with.certificate")
        log = MemoryEventLog()
        log.append([make_event(n) for n in range(3)])
        assert relay(log, bus) == 3
        bus.close()
        nobody = KafkaBus(KafkaAccess(servers, "SSL", ca_file=trusted), timeout_s=1)
        with pytest.raises(BusError) as told:
            nobody.find_last()
        nobody.close()
    assert len(str(told.value).splitlines()) == 1
    mock.flush(1)


def test_the_certificate_of_the_bus_is_named_by_its_setting_alone() -> None:
    given = {"ssl.key.location": "/run/secrets/desk.key"}
    with pytest.raises(ValidationError, match=r"names ssl\.key\.location"):
        BusSettings(kind="kafka", servers="k:9092", client=given)
