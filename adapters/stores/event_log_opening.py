"""The event log of a home: one embedded file, or PostgreSQL where its address is given."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.stores.event_log_postgres import PostgresEventLog
    from adapters.stores.event_log_sqlite import SqliteEventLog


def open_event_log(
    path: Path, *, postgres_url: str | None = None, ca_file: Path | None = None
) -> "SqliteEventLog | PostgresEventLog":
    """Return the log; raises ValueError on an address that is none, OSError where it is away."""
    if postgres_url is None:
        from adapters.stores.event_log_sqlite import SqliteEventLog

        return SqliteEventLog(path)
    from adapters.stores.event_log_postgres import PostgresEventLog
    from adapters.stores.postgres_address import PostgresAddress

    return PostgresEventLog(PostgresAddress(postgres_url, ca_file=ca_file))
