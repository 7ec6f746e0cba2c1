"""Settings of the event bus: which one it is, and how a cluster is reached."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

# Set by other settings, or what delivery at least once, in order, to a proven server rests on.
_OURS = frozenset(
    {
        "bootstrap.servers",
        "metadata.broker.list",
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "enable.ssl.certificate.verification",
        "ssl.endpoint.identification.algorithm",
        "acks",
        "request.required.acks",
        "enable.idempotence",
        "message.timeout.ms",
        "delivery.timeout.ms",
        "group.id",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "isolation.level",
    }
)


class BusSettings(BaseModel):
    """Where the log's events are published for other processes.

    The password of a Kafka cluster comes from the environment, the address of Redis as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["embedded", "redis", "kafka"] = "embedded"
    topic: str = Field("apiary.events", pattern=r"^[A-Za-z0-9._-]{1,200}$")
    servers: str = ""  # of a Kafka cluster: host:port, more of them by commas
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    username: str = ""
    ca_file: Path | None = None
    cert_file: Path | None = None  # what we prove ourselves by, with its key
    key_file: Path | None = None
    # Anything else that the client library takes, by its own names; secrets by reference.
    client: Mapping[str, str | int | bool] = Field(default_factory=dict[str, str | int | bool])

    @field_validator("client")
    @classmethod
    def _leaves_ours_alone(
        cls, given: Mapping[str, str | int | bool]
    ) -> Mapping[str, str | int | bool]:
        ours = sorted(name for name in given if name in _OURS or name.endswith("_cb"))
        if ours:
            raise ValueError(
                f"bus.client must leave to the platform what it promises by, names {ours[0]}"
            )
        return given
