"""The bus over the Kafka protocol: one topic of one partition, since order is what counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.bus.messages import BusError, Message, check_group

_PARTITION = 0
_LEADER_TRIES = 20  # a new topic is there a moment before somebody leads it


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """How to reach a cluster; the password is never shown.

    `security` is PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, `mechanism` e.g. SCRAM-SHA-512;
    `client` holds further settings by the library's names, which may be secrets.
    """

    servers: str
    security: str = "PLAINTEXT"
    mechanism: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    own: tuple[Path, Path] | None = None  # certificate and key that we prove ourselves by
    client: Mapping[str, str | int | bool] = field(
        default_factory=dict[str, str | int | bool], repr=False
    )

    def settings(self) -> dict[str, Any]:
        """Return what the client library takes."""
        given = {
            "bootstrap.servers": self.servers,
            "security.protocol": self.security,
            "sasl.mechanism": self.mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
            "ssl.ca.location": self.ca_file,
            "ssl.certificate.location": str(self.own[0]) if self.own else "",
            "ssl.key.location": str(self.own[1]) if self.own else "",
        }
        # The client would say on stderr, many times a second, what a BusError says once.
        quiet = {"log_level": 2, **self.client}
        return quiet | {name: value for name, value in given.items() if value}


class KafkaBus:
    """A topic of a cluster that speaks the Kafka protocol.

    The producer is idempotent and waits for every replica. A producer that is killed between a
    write and its answer may write a message again, which consumers pass over by its sequence.
    Offsets are the cluster's own, committed for a group by hand.
    """

    def __init__(
        self, access: KafkaAccess, topic: str = "apiary.events", *, timeout_s: float = 10.0
    ) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise ImportError("the bus kafka must be installed: `pip install apiary[kafka]`") from (
                error
            )
        self._kafka: Any = confluent_kafka
        self._access, self._topic, self._timeout_s = access, topic, timeout_s
        waits = {"message.timeout.ms": round(timeout_s * 1e3), "enable.idempotence": True}
        self._said = ""  # the last that the client said of a connection
        given = {"linger.ms": 5, **access.settings(), **waits, "error_cb": self._hear}
        self._producer = self._made(self._kafka.Producer, given)
        self._consumers: dict[str, Any] = {}
        self._offsets: dict[str, dict[int, int]] = {}  # group -> sequence -> offset

    def _made(self, client: Callable[[Mapping[str, Any]], Any], given: Mapping[str, Any]) -> Any:
        """Return a client; BusError where the library takes a setting for none, without values."""
        try:
            return client(given)
        except self._kafka.KafkaException as error:
            said = " ".join(str(error.args[0].str()).split())
            raise BusError(f"the settings of the bus over Kafka must hold: {said}") from error

    def _hear(self, error: Any) -> None:
        # "All brokers are down" follows every reason, and is none.
        if error.code() != self._kafka.KafkaError._ALL_BROKERS_DOWN:
            self._said = str(error.str())

    def _failed(self, client: Any, what: str, error: object) -> BusError:
        """Return the error that tells why a connection failed, where the client has said it."""
        client.poll(0)  # hands over what it has to say
        return BusError(f"the bus over Kafka must {what}, did not: {self._said or error}")

    def find_last(self) -> Message | None:
        consumer = self._consumer("apiary.bus.last")
        low, high = self._bounds(consumer)
        if high <= low:
            return None
        return self._fetch(consumer, high - 1, 1)[0][1]

    def publish(self, messages: Sequence[Message]) -> None:
        failures: list[str] = []

        def delivered(error: Any, _: Any) -> None:
            if error is not None:
                failures.append(str(error))

        try:
            for message in messages:
                self._producer.produce(
                    self._topic,
                    message.to_bytes(),
                    partition=_PARTITION,
                    key=str(message.sequence),
                    on_delivery=delivered,
                )
                self._producer.poll(0)
            left = self._producer.flush(self._timeout_s)
        except (self._kafka.KafkaException, BufferError) as error:
            raise self._failed(self._producer, "take messages", error) from error
        if failures or left:
            raise BusError(
                f"the bus over Kafka must take all of {len(messages)} messages, "
                f"{len(failures) or left} failed: {self._said or (failures or ['no answer'])[0]}"
            )

    def read(self, group: str, count_max: int) -> Sequence[Message]:
        consumer = self._consumer(group)
        low, high = self._bounds(consumer)
        start = max(self._offset(consumer), low)
        if start >= high:
            return []
        found = self._fetch(consumer, start, min(count_max, high - start))
        self._offsets[group] = {message.sequence: offset for offset, message in found}
        return [message for _, message in found]

    def commit(self, group: str, sequence: int) -> None:
        """Commit a message that this object has read for the group; ValueError on any other."""
        offset = self._offsets.get(group, {}).get(sequence)
        if offset is None:
            if sequence <= self.committed(group):
                return
            raise ValueError(f"a commit must be of a message that was read, was {sequence}")
        consumer = self._consumer(group)
        if offset + 1 <= self._offset(consumer):
            return
        # The sequence travels as the offset's metadata: the cluster counts from its own zero.
        place = self._kafka.TopicPartition(self._topic, _PARTITION, offset + 1, str(sequence))
        try:
            consumer.commit(offsets=[place], asynchronous=False)
        except self._kafka.KafkaException as error:
            raise BusError(f"the bus over Kafka must take an offset: {error}") from error

    def committed(self, group: str) -> int:
        place = self._committed_place(self._consumer(group))
        return int(place.metadata) if place.offset >= 0 and place.metadata else 0

    def close(self) -> None:
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers.clear()

    def _consumer(self, group: str) -> Any:
        check_group(group)
        if group not in self._consumers:
            given: Mapping[str, Any] = {
                **self._access.settings(),
                "group.id": group,
                "enable.auto.commit": False,
                "enable.partition.eof": False,
                "error_cb": self._hear,
            }
            self._consumers[group] = self._made(self._kafka.Consumer, given)
        return self._consumers[group]

    def _bounds(self, consumer: Any) -> tuple[int, int]:
        """Return the first offset that is kept and the one after the last; 0, 0 for no topic."""
        place = self._kafka.TopicPartition(self._topic, _PARTITION)
        try:
            # Asked anew: a client remembers for a while that a topic was not there.
            topic = consumer.list_topics(self._topic, timeout=self._timeout_s).topics[self._topic]
            if topic.error is not None or _PARTITION not in topic.partitions:
                return 0, 0
            for _ in range(_LEADER_TRIES):
                try:
                    return consumer.get_watermark_offsets(place, timeout=self._timeout_s)
                except self._kafka.KafkaException as error:
                    if not error.args[0].retriable() and "UNKNOWN" not in error.args[0].name():
                        raise
                    consumer.poll(0.05)
        except self._kafka.KafkaException as error:
            raise self._failed(consumer, "answer", error) from error
        raise BusError(f"the topic {self._topic} must have a leader, had none")

    def _committed_place(self, consumer: Any) -> Any:
        asked = [self._kafka.TopicPartition(self._topic, _PARTITION)]
        try:
            return consumer.committed(asked, timeout=self._timeout_s)[0]
        except self._kafka.KafkaException as error:
            raise self._failed(consumer, "answer", error) from error

    def _offset(self, consumer: Any) -> int:
        return max(self._committed_place(consumer).offset, 0)

    def _fetch(self, consumer: Any, start: int, count: int) -> list[tuple[int, Message]]:
        """Return `count` messages from an offset on; BusError where they do not come in time."""
        consumer.assign([self._kafka.TopicPartition(self._topic, _PARTITION, start)])
        found: list[tuple[int, Message]] = []
        while len(found) < count:
            records = consumer.consume(count - len(found), timeout=self._timeout_s)
            if not records:
                raise BusError(
                    f"the bus over Kafka must answer within {self._timeout_s:g} s, did not"
                )
            for record in records:
                if record.error() is not None:
                    raise BusError(f"the bus over Kafka must answer: {record.error()}")
                found.append((record.offset(), Message.from_bytes(record.value())))
        return found
