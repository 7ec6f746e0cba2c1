"""How S3-compatible storage is reached: address, keys, time, authorities."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.fs as arrow_fs

RETRIES_MAX = 2


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach S3-compatible storage; secrets are never shown.

    `endpoint` is left out for AWS itself. `ca_file` holds the authorities that a server over TLS
    must prove itself by; delta-rs and polars know those of the variable SSL_CERT_FILE alone.
    """

    endpoint: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    region: str = "us-east-1"
    timeout_s: float = 10.0
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        if self.endpoint is not None and urlsplit(self.endpoint).scheme not in ("http", "https"):
            raise ValueError(f"the S3 endpoint must be http(s)://host, was {self.endpoint!r}")
        if not 0 < self.timeout_s <= 600:
            raise ValueError(f"timeout_s must be in (0, 600], was {self.timeout_s}")

    def options(self) -> dict[str, str]:
        """Return the options that delta-rs and polars share."""
        plain = self.endpoint is not None and self.endpoint.startswith("http:")
        given = {
            "aws_endpoint_url": self.endpoint,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_region": self.region,
            "aws_allow_http": str(plain).lower(),
            "timeout": f"{round(1000 * self.timeout_s)}ms",
            "connect_timeout": f"{round(1000 * min(self.timeout_s, 5.0))}ms",
        }
        return {k: v for k, v in given.items() if v is not None}

    def filesystem(self) -> arrow_fs.S3FileSystem:
        """Return the file system that lists, copies and makes buckets."""
        at = urlsplit(self.endpoint) if self.endpoint else None
        return arrow_fs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region,
            endpoint_override=at.netloc if at else None,
            scheme=at.scheme if at else "https",
            connect_timeout=min(self.timeout_s, 5.0),
            request_timeout=self.timeout_s,
            tls_ca_file_path=None if self.ca_file is None else str(self.ca_file),
            retry_strategy=arrow_fs.AwsStandardS3RetryStrategy(max_attempts=RETRIES_MAX),
            allow_bucket_creation=True,
        )
