"""Redis, PostgreSQL, S3 and Kafka over TLS: who is trusted, what is told, and what is refused."""

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from adapters.bus.kafka import KafkaAccess, KafkaBus
from adapters.bus.messages import BusError, relay
from adapters.bus.redis_streams import RedisBus
from adapters.stores.event_log_memory import MemoryEventLog
from adapters.stores.online_features import RedisOnlineFeatures
from pipelines import resources
from pipelines.bus import opened_bus
from pipelines.settings import Environment, choose_config, opened_dagster, settings_for_files
from tests.adapters.stores.event_log_contract import make_event
from tests.adapters.stores.test_tiers import make_fills
from tests.certificates import Authority, Certified
from tests.kafka_passwords import password_in_front
from tests.services import S3Process, postgres_server, redis_server
from tests.tls_proxy import tls_in_front

pytestmark = pytest.mark.xdist_group("tls")
PASSWORD = "honey-and-wax-1234"
HERE, ELSEWHERE = "127.0.0.1", "db.example.org"


@dataclass(frozen=True)
class Desk:
    """Servers that speak TLS, one that proves itself by another name, and who is trusted."""

    ports: dict[str, int]
    misnamed: dict[str, int]
    plain: dict[str, int]
    trusted: Path
    stranger: Path

    def address(self, name: str, *, password: str = PASSWORD, port: int | None = None) -> str:
        at = f"127.0.0.1:{port or self.ports[name]}"
        return {
            "redis": f"rediss://:{password}@{at}/0",
            "postgres": f"postgresql://apiary:{password}@{at}/postgres?gssencmode=disable",
            "s3": f"https://{at}",
        }[name]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = Authority(folder), Authority(folder, "stranger")
    here, elsewhere = authority.certify(HERE), authority.certify(ELSEWHERE)
    with ExitStack() as held:
        redis = int(held.enter_context(redis_server(PASSWORD)).rpartition(":")[2].split("/")[0])
        postgres = held.enter_context(postgres_server(PASSWORD))
        s3 = S3Process(here)
        held.callback(s3.stop)
        s3.start()

        def front(certified: Certified) -> dict[str, int]:
            asked = tls_in_front(postgres.port, certified, asked_first=True)
            return {
                "redis": held.enter_context(tls_in_front(redis, certified)),
                "postgres": held.enter_context(asked),
                "s3": held.enter_context(tls_in_front(s3.port, certified)),
            }

        ports = front(here) | {"s3": s3.tls_port}
        plain = {"redis": redis, "postgres": postgres.port, "s3": s3.port}
        yield Desk(ports, front(elsewhere), plain, authority.file, stranger.file)


@pytest.fixture
def configure(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., resources.Workshop]:
    """Open a desk on one of the servers by nothing but its settings."""

    def open_desk(name: str, url: str, ca_file: Path | None, **more: str) -> resources.Workshop:
        variable = {"redis": "REDIS_URL", "postgres": "POSTGRES_URL", "s3": "S3_ENDPOINT"}[name]
        given = {variable: url, "TLS": "always", "STORE_TIMEOUT_S": "2"} | more
        if name == "s3":
            keys = {"S3_ACCESS_KEY": S3Process.access_key, "S3_SECRET_KEY": S3Process.secret_key}
            given = {"COLD_URL": "s3://tls/cold"} | keys | given
        if ca_file is not None:
            given[f"{name.upper()}_CA_FILE"] = str(ca_file)
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.setenv("SSL_CERT_FILE", "")  # so that it is put back
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        for key, value in given.items():
            monkeypatch.setenv(f"APIARY_{key}", value)
        monkeypatch.setattr(resources, "_workshops", {})
        choose_config(settings_for_files(tmp_path, None, tmp_path / "home", base=None))
        return resources.workshop()

    return open_desk


def use(name: str, built: resources.Workshop) -> Any:
    """Write one thing to the server and read it back."""
    if name == "redis":
        hot: Any = built.get("hot")
        hot.put("space", {"key": b"value"})
        return hot.find("space", "key")
    if name == "postgres":
        log: Any = built.get("log")
        log.append([make_event(log.last_sequence())])
        return log.last_sequence()
    tables: Any = built.get("tables")
    tables.add("fills", make_fills(0, 3))
    return tables.read("fills").height


@pytest.mark.parametrize(("name", "read"), [("redis", b"value"), ("postgres", 1), ("s3", 3)])
def test_a_server_that_proves_itself_is_written_to_and_read(
    desk: Desk, configure: Callable[..., resources.Workshop], name: str, read: object
) -> None:
    assert use(name, configure(name, desk.address(name), desk.trusted)) == read


@pytest.mark.parametrize("name", ["redis", "postgres", "s3"])
@pytest.mark.parametrize("fault", ["authority", "no authority", "host", "password", "plain server"])
def test_what_is_wrong_is_one_line_that_tells_no_secret(
    desk: Desk, configure: Callable[..., resources.Workshop], name: str, fault: str
) -> None:
    address, trusted, more = desk.address(name), desk.trusted, dict[str, str]()
    told = {
        "redis": "certificate verify failed",
        "postgres": "certificate verify failed",
        "s3": "certificate",
    }[name]
    if fault == "authority":
        trusted = desk.stranger
    elif fault == "host":
        address = desk.address(name, port=desk.misnamed[name])
        told = {"redis": "not valid for '127.0.0.1'", "postgres": "does not match host name"}.get(
            name, "certificate"
        )
    elif fault == "password":
        address = desk.address(name, password="wrong-password-5678")
        more = {"S3_SECRET_KEY": "wrong-password-5678"}
        told = {"redis": "invalid username-password", "postgres": "password authentication"}.get(
            name, "ignature"
        )
    elif fault == "plain server":
        address = desk.address(name, port=desk.plain[name])
        told = {"redis": "failed", "postgres": "does not support SSL", "s3": "failed"}[name]
    with pytest.raises(OSError, match=told) as caught:
        use(
            name,
            configure(name, address, None if fault == "no authority" else trusted, **more),
        )
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    for secret in (PASSWORD, "wrong-password-5678", S3Process.secret_key):
        assert secret not in line


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("redis", f"redis://:{PASSWORD}@127.0.0.1:1/0"),
        ("postgres", f"postgresql://apiary:{PASSWORD}@127.0.0.1:1/postgres?sslmode=prefer"),
        ("s3", "http://127.0.0.1:1"),
    ],
)
def test_a_plain_address_is_refused_where_tls_is_demanded(
    configure: Callable[..., resources.Workshop], name: str, address: str
) -> None:
    with pytest.raises(ValueError, match=r"must be reached over TLS \(APIARY_TLS=always\)") as told:
        use(name, configure(name, address, None))
    assert PASSWORD not in str(told.value)


def test_the_demand_holds_for_other_machines_unless_it_is_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APIARY_REDIS_URL", "redis://cache.example.org/0")
    with pytest.raises(ValueError, match="over TLS"):
        Environment().redis_text()
    monkeypatch.setenv("APIARY_TLS", "off")
    assert Environment().redis_text() == "redis://cache.example.org/0"
    monkeypatch.setenv("APIARY_TLS", "remote")
    monkeypatch.setenv("APIARY_POSTGRES_URL", "postgresql://me@db.example.org/desk")
    assert "sslmode=verify-full" in str(Environment().postgres_text())
    monkeypatch.setenv("APIARY_POSTGRES_URL", "postgresql://me@127.0.0.1/desk")
    assert Environment().postgres_text() == "postgresql://me@127.0.0.1/desk"


def test_dagster_is_given_an_address_that_verifies(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIARY_TLS", "always")
    monkeypatch.setenv("APIARY_POSTGRES_CA_FILE", str(desk.trusted))
    monkeypatch.setenv("APIARY_DAGSTER_POSTGRES_URL", desk.address("postgres"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with opened_dagster() as instance:
        assert instance.get_runs_count() == 0
    monkeypatch.setenv("APIARY_DAGSTER_POSTGRES_URL", desk.address("postgres"))
    monkeypatch.setenv("APIARY_POSTGRES_CA_FILE", str(desk.stranger))
    with pytest.raises(OSError, match="certificate verify failed") as told, opened_dagster():
        pass
    assert PASSWORD not in str(told.value)


def test_the_bus_and_the_online_rows_take_the_same_address(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIARY_REDIS_URL", desk.address("redis"))
    monkeypatch.setenv("APIARY_REDIS_CA_FILE", str(desk.trusted))
    url = str(Environment().redis_text())
    log = MemoryEventLog()
    log.append([make_event(n) for n in range(3)])
    bus = RedisBus(url)
    assert relay(log, bus) == 3
    bus.close()
    online = RedisOnlineFeatures(url)
    assert online.blocks(["nothing"]) == [None]
    online.close()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Path]]:
    """A cluster over TLS with a password: what it says of its address is put right on the way."""
    folder = tmp_path_factory.mktemp("kafka")
    authority, stranger = Authority(folder), Authority(folder, "stranger")
    mock: Any = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock"})
    (broker,) = mock.list_topics(timeout=10).brokers.values()

    def address(port: int) -> bytes:
        return b"127.0.0.1" + struct.pack(">i", port)

    def readdressed(port: int) -> Callable[[bytes], bytes]:
        return lambda answer: answer.replace(address(broker.port), address(port))

    with (
        password_in_front(broker.port, "apiary", PASSWORD) as asking,
        tls_in_front(asking, authority.certify(HERE), change=readdressed) as port,
    ):
        yield f"127.0.0.1:{port}", authority.file, stranger.file
    mock.flush(1)


def test_the_bus_over_kafka_speaks_tls(kafka: tuple[str, Path, Path]) -> None:
    servers, trusted, _ = kafka
    log = MemoryEventLog()
    log.append([make_event(n) for n in range(3)])
    bus = KafkaBus(_access(servers, trusted), "over.tls")
    assert relay(log, bus) == 3
    assert [message.sequence for message in bus.read("group", 10)] == [1, 2, 3]
    bus.close()


def _access(servers: str, ca_file: Path, password: str = PASSWORD) -> KafkaAccess:
    return KafkaAccess(servers, "SASL_SSL", "PLAIN", "apiary", password, str(ca_file))


@contextmanager
def scram_cluster(mechanism: str, authority: Authority) -> Iterator[str]:
    """Run the mock cluster behind SCRAM, itself behind TLS; yield its address."""
    mock: Any = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock"})
    (broker,) = mock.list_topics(timeout=10).brokers.values()

    def readdressed(port: int) -> Callable[[bytes], bytes]:
        ours, theirs = (b"127.0.0.1" + struct.pack(">i", p) for p in (broker.port, port))
        return lambda answer: answer.replace(ours, theirs)

    with (
        password_in_front(broker.port, "apiary", PASSWORD, mechanism) as asking,
        tls_in_front(asking, authority.certify(HERE), change=readdressed) as port,
    ):
        yield f"127.0.0.1:{port}"
    mock.flush(1)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_bus_over_kafka_proves_its_password_without_telling_it(
    mechanism: str, tmp_path: Path
) -> None:
    authority, log = Authority(tmp_path), MemoryEventLog()
    log.append([make_event(n) for n in range(3)])
    with scram_cluster(mechanism, authority) as servers:
        given = servers, "SASL_SSL", mechanism, "apiary"
        bus = KafkaBus(KafkaAccess(*given, PASSWORD, str(authority.file)), "over.scram")
        assert relay(log, bus) == 3
        assert [message.sequence for message in bus.read("group", 10)] == [1, 2, 3]
        bus.commit("group", 3)
        bus.close()
        wrong = KafkaBus(KafkaAccess(*given, "wrong-5678", str(authority.file)), timeout_s=1)
        with pytest.raises(BusError, match="invalid username or password") as told:
            wrong.find_last()
        wrong.close()
    assert "wrong-5678" not in str(told.value)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("authority", "certificate verify failed"),
        ("password", "invalid username or password"),
        ("no password", "must answer, did not"),
        ("plain", "must answer, did not"),
    ],
)
def test_what_is_wrong_with_a_cluster_is_one_line_that_tells_no_secret(
    kafka: tuple[str, Path, Path], capfd: pytest.CaptureFixture[str], fault: str, told: str
) -> None:
    servers, trusted, stranger = kafka
    access = {
        "authority": _access(servers, stranger),
        "password": _access(servers, trusted, "wrong-password-5678"),
        "no password": KafkaAccess(servers, "SSL", ca_file=str(trusted)),
        "plain": KafkaAccess(servers),
    }[fault]
    bus = KafkaBus(access, timeout_s=1)
    with pytest.raises(BusError, match=told) as caught:
        bus.find_last()
    bus.close()
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert PASSWORD not in line
    assert "wrong-password" not in line
    assert not capfd.readouterr().err


def test_a_plain_cluster_is_refused_where_tls_is_demanded(
    configure: Callable[..., resources.Workshop], tmp_path: Path
) -> None:
    built = configure("redis", f"rediss://:{PASSWORD}@127.0.0.1:1/0", None)
    bus = built.settings.bus.model_copy(update={"kind": "kafka", "servers": "127.0.0.1:9092"})
    built.settings = built.settings.model_copy(update={"bus": bus})
    with (
        pytest.raises(ValueError, match=r"Kafka must be reached over TLS \(APIARY_TLS=always\)"),
        opened_bus(built),
    ):
        pass
