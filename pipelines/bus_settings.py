"""Settings of the event bus: which one it is, and how a cluster is reached."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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
