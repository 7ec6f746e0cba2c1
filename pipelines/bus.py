"""The bus of a home, as its settings say."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from adapters.secrets.tls_rule import client_certificate, refuse_plain
from pipelines.settings import Environment, SettingsError

if TYPE_CHECKING:
    from adapters.bus.messages import EventBus
    from pipelines.resources import Workshop


@contextmanager
def opened_bus(built: "Workshop") -> Iterator["EventBus"]:
    """Open the bus of a home; raises SettingsError where it is not said how to reach it."""
    settings, environment = built.settings.bus, Environment()
    if settings.kind == "embedded":
        from adapters.bus.embedded import EmbeddedBus

        log: Any = built.event_log()
        yield EmbeddedBus(log, built.home / "bus" / "offsets.db")
        return
    bus: Any
    if settings.kind == "redis":
        from adapters.bus.redis_streams import RedisBus
        from pipelines.redis_keys import redis_namespace

        url = environment.redis_text()
        if not url:
            raise SettingsError("the bus redis needs APIARY_REDIS_URL to be set, is not")
        bus = RedisBus(url, redis_namespace(built.settings).stream)
    else:
        from adapters.bus.kafka import KafkaAccess, KafkaBus

        if not settings.servers:
            raise SettingsError("the bus kafka needs bus.servers to be set, is not")
        refuse_plain(
            "Kafka",
            ",".join(server.rpartition(":")[0] for server in settings.servers.split(",")),
            is_tls=settings.security.endswith("SSL"),
            rule=environment.tls,
        )
        access = KafkaAccess(
            servers=settings.servers,
            security=settings.security,
            mechanism=settings.mechanism,
            username=settings.username,
            password=given.get_secret_value() if (given := environment.kafka_password) else "",
            ca_file="" if settings.ca_file is None else str(settings.ca_file),
            own=client_certificate("Kafka", settings.cert_file, settings.key_file),
            client=environment.resolved(dict(settings.client)),
        )
        bus = KafkaBus(access, settings.topic)
    try:
        yield bus
    finally:
        bus.close()
