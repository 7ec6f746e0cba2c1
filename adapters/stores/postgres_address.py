"""Where a PostgreSQL database is and how it is reached: never in plain over a network."""

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.secrets.tls_rule import is_here


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A database by its URL or key=value text; a server elsewhere must prove who it is.

    A host that is not this machine is reached with `sslmode=verify-full`, unless the URL says
    another mode itself; `ca_file` holds the authorities that are trusted, the system's where it
    is left out. The text of an address never holds its password.
    """

    url: str = field(repr=False)
    ca_file: Path | None = None
    connect_timeout_s: int = 5

    def __post_init__(self) -> None:
        try:
            conninfo_to_dict(self.url)
        except psycopg.ProgrammingError:
            # What libpq says repeats the text, and with it the password.
            raise ValueError("the address of PostgreSQL must be a URL or key=value text") from None
        if self.ca_file is not None and not self.ca_file.is_file():
            raise ValueError(f"the authorities of PostgreSQL must be a file, was {self.ca_file}")

    def __str__(self) -> str:
        parts = conninfo_to_dict(self.url)
        host, port = parts.get("host") or "localhost", parts.get("port") or 5432
        return f"{host}:{port}/{parts.get('dbname') or parts.get('user') or ''}"

    def conninfo(self) -> str:
        """Return what libpq is given, with the password in it."""
        parts: dict[str, Any] = dict(conninfo_to_dict(self.url))
        if self.ca_file is not None:
            parts["sslrootcert"] = str(self.ca_file)
        host = str(parts.get("host") or "")
        if "sslmode" not in parts and (self.ca_file is not None or not is_here(host)):
            parts["sslmode"] = "verify-full"
            parts.setdefault("sslrootcert", "system")
        parts.setdefault("connect_timeout", self.connect_timeout_s)
        return make_conninfo("", **parts)

    def connect(self, application_name: str) -> psycopg.Connection[Any]:
        """Return a connection that commits by itself; psycopg.OperationalError where none is had.

        A server that has gone without a word is given up after half a minute.
        """
        alive: dict[str, Any] = {
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        }
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            alive["tcp_user_timeout"] = 30_000
        return psycopg.connect(
            self.conninfo(), autocommit=True, application_name=application_name, **alive
        )
