"""One contract suite for every bus: the embedded one, Redis Streams, and the Kafka protocol."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from adapters.bus.embedded import EmbeddedBus
from adapters.bus.kafka import KafkaAccess, KafkaBus
from adapters.bus.messages import (
    BusError,
    BusGapError,
    BusMismatchError,
    EventBus,
    Message,
    consume,
    relay,
)
from adapters.bus.redis_streams import RedisBus
from adapters.stores.event_log_memory import MemoryEventLog
from swarm_core import events as ev
from tests.services import black_hole, free_port, redis_server

pytestmark = pytest.mark.xdist_group("bus")
OpenBus = Callable[[MemoryEventLog], Any]


def session_opened(number: int) -> ev.SessionOpened:
    """Return one event that differs from every other number's."""
    return ev.SessionOpened(
        event_id=ev.make_event_id("SessionOpened", number),
        time_ns=number,
        session=f"2020-01-{number:05d}",
        base_currency="USD",
        nav_minor=number,
    )


def log_of(count: int, first: int = 1) -> MemoryEventLog:
    """Return a log of so many events."""
    log = MemoryEventLog()
    log.append([session_opened(n) for n in range(first, first + count)])
    return log


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(scope="module")
def kafka_servers() -> Iterator[str]:
    """The mock cluster of librdkafka: a TCP server that speaks the protocol."""
    host: Any = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock"})
    brokers = host.list_topics(timeout=10).brokers
    yield ",".join(f"{b.host}:{b.port}" for b in brokers.values())
    host.flush(1)


@pytest.fixture(params=["embedded", "redis", "kafka"])
def open_bus(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[MemoryEventLog], EventBus]]:
    """Open the bus of one test, again and again as other processes would."""
    topic = f"apiary.{abs(hash(request.node.nodeid))}"
    opened: list[Any] = []

    def open_one(log: MemoryEventLog) -> Any:
        if request.param == "embedded":
            return EmbeddedBus(log, tmp_path / "offsets.db")
        if request.param == "redis":
            opened.append(RedisBus(request.getfixturevalue("redis_url"), topic))
        else:
            access = KafkaAccess(request.getfixturevalue("kafka_servers"))
            opened.append(KafkaBus(access, topic))
        return opened[-1]

    yield open_one
    for bus in opened:
        bus.close()


def test_events_arrive_in_order_and_whole(open_bus: OpenBus) -> None:
    log = log_of(1_203)
    bus = open_bus(log)
    relay(log, bus)
    heard: list[Message] = []
    assert consume(bus, "audit", heard.append) == 1_203
    assert [m.sequence for m in heard] == list(range(1, 1_204))
    assert [m.event for m in heard] == [r.event for r in log.read()]
    assert [m.hash for m in heard] == [r.hash for r in log.read()]


def test_an_empty_bus_says_so(open_bus: OpenBus) -> None:
    log = MemoryEventLog()
    bus = open_bus(log)
    assert relay(log, bus) == 0
    assert bus.find_last() is None
    assert list(bus.read("audit", 10)) == []
    assert bus.committed("audit") == 0


def test_what_is_not_committed_comes_again_and_groups_do_not_disturb_each_other(
    open_bus: OpenBus,
) -> None:
    log = log_of(10)
    bus = open_bus(log)
    relay(log, bus)
    first = bus.read("audit", 4)
    assert [m.sequence for m in first] == [1, 2, 3, 4]
    assert bus.read("audit", 4) == first
    bus.commit("audit", 3)
    assert [m.sequence for m in open_bus(log).read("audit", 4)] == [4, 5, 6, 7]
    assert [m.sequence for m in bus.read("billing", 2)] == [1, 2]


def test_an_offset_never_goes_back(open_bus: OpenBus) -> None:
    log = log_of(5)
    bus = open_bus(log)
    relay(log, bus)
    bus.read("audit", 5)
    bus.commit("audit", 4)
    bus.commit("audit", 2)
    assert bus.committed("audit") == 4
    assert open_bus(log).committed("audit") == 4


def test_a_handler_that_fails_gets_the_message_again_and_nothing_before_it(
    open_bus: OpenBus,
) -> None:
    log = log_of(6)
    bus = open_bus(log)
    relay(log, bus)
    heard: list[int] = []

    def fail_at_four(message: Message) -> None:
        if message.sequence == 4:
            raise RuntimeError("not now")
        heard.append(message.sequence)

    with pytest.raises(RuntimeError):
        consume(bus, "audit", fail_at_four)
    consume(open_bus(log), "audit", lambda m: heard.append(m.sequence))
    assert heard == [1, 2, 3, 4, 5, 6]


def test_relaying_goes_on_after_what_arrived(open_bus: OpenBus) -> None:
    log = log_of(7)
    relay(log, open_bus(log))
    log.append([session_opened(n) for n in range(8, 12)])
    bus = open_bus(log)
    assert relay(log, bus) in (0, 4), "only what is new; nothing where the log is the bus"
    assert relay(log, bus) == 0
    heard: list[int] = []
    consume(bus, "audit", lambda m: heard.append(m.sequence))
    assert heard == list(range(1, 12))


class _Dying:
    """A bus whose process is killed in the middle of its n-th publish."""

    def __init__(self, bus: Any, at: int) -> None:
        self._bus, self._left = bus, at

    def find_last(self) -> Message | None:
        return self._bus.find_last()

    def publish(self, messages: Sequence[Message]) -> None:
        self._left -= 1
        if self._left == 0:
            self._bus.publish(messages[: len(messages) // 2])
            raise KeyboardInterrupt
        self._bus.publish(messages)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_relay_killed_anywhere_loses_and_reorders_nothing(
    open_bus: OpenBus, at: int, request: pytest.FixtureRequest
) -> None:
    if "embedded" in request.node.name:
        pytest.skip("the embedded bus has nothing to publish")
    log = log_of(30)
    dying: Any = _Dying(open_bus(log), at)
    with pytest.raises(KeyboardInterrupt):
        relay(log, dying, batch=10)
    bus = open_bus(log)
    relay(log, bus, batch=10)
    heard: list[int] = []
    consume(bus, "audit", lambda m: heard.append(m.sequence))
    assert heard == list(range(1, 31))


def test_another_logs_bus_is_refused(open_bus: OpenBus, request: pytest.FixtureRequest) -> None:
    if "embedded" in request.node.name:
        pytest.skip("the embedded bus is its log")
    log = log_of(5)
    bus = open_bus(log)
    relay(log, bus)
    with pytest.raises(BusMismatchError, match="the bus must continue this log"):
        relay(log_of(9, first=100), bus)
    with pytest.raises(BusMismatchError, match="the log ends before it"):
        relay(log_of(2), bus)


def test_a_group_must_have_a_name(open_bus: OpenBus) -> None:
    bus = open_bus(log_of(1))
    for group in ("", "a\nb"):
        with pytest.raises(ValueError, match="group must be printable text"):
            bus.committed(group)


class _Repeating:
    """A bus that gives messages twice, and one that has lost some."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages, self.done = list(messages), 0

    def read(self, group: str, count_max: int) -> list[Message]:
        return [m for m in self.messages if m.sequence > self.done][:count_max]

    def commit(self, group: str, sequence: int) -> None:
        self.done = sequence

    def committed(self, group: str) -> int:
        return self.done


def test_a_message_that_comes_twice_is_handled_once_and_a_gap_is_told() -> None:
    messages = [Message.of(r) for r in log_of(4).read()]
    heard: list[int] = []
    twice: Any = _Repeating([messages[0], messages[1], messages[0], messages[1], messages[2]])
    assert consume(twice, "audit", lambda m: heard.append(m.sequence)) == 3
    assert heard == [1, 2, 3]
    lossy: Any = _Repeating([messages[0], messages[2]])
    with pytest.raises(BusGapError, match="the message after 1 must be 2, was 3"):
        consume(lossy, "audit", lambda _: None)


def test_a_consumer_goes_on_behind_another_of_its_group(open_bus: OpenBus) -> None:
    log = log_of(30)
    first, second = open_bus(log), open_bus(log)
    relay(log, first)
    heard: list[int] = []

    def stop_early(message: Message) -> None:
        if message.sequence == 13:
            raise InterruptedError
        heard.append(message.sequence)

    def let_another_in(message: Message) -> None:
        heard.append(message.sequence)
        if message.sequence == 2:
            with pytest.raises(InterruptedError):
                consume(second, "audit", stop_early)

    consume(first, "audit", let_another_in, count_max=5)

    assert set(heard) == set(range(1, 31))
    assert first.committed("audit") == 30


def test_a_server_that_is_away_is_one_line_in_bounded_time() -> None:
    with black_hole() as port, pytest.raises(BusError, match="must answer"):
        RedisBus(f"redis://127.0.0.1:{port}/0", timeout_s=0.2).find_last()
    access = KafkaAccess(f"127.0.0.1:{free_port()}", password="honey")
    assert "honey" not in repr(access)
    with pytest.raises(BusError, match="must"):
        KafkaBus(access, timeout_s=0.5).publish([Message(1, "h", b"{}")])


def test_a_message_is_its_bytes_and_nothing_else_is() -> None:
    message = Message.of(next(iter(log_of(1).read())))
    assert Message.from_bytes(message.to_bytes()) == message
    with pytest.raises(ValueError, match="a message must be sequence, hash and body"):
        Message.from_bytes(b"nothing")
