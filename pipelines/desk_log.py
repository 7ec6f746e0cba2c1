"""The event log of a desk, where its settings and environment say that it lies."""

from typing import TYPE_CHECKING

from pipelines.settings import ApiarySettings, Environment

if TYPE_CHECKING:
    from adapters.stores.book_snapshots import HashedLog


def open_event_log(settings: ApiarySettings) -> "HashedLog":
    """Return the event log of a desk: its own file, or PostgreSQL where one is named."""
    from adapters.stores.event_log_opening import open_event_log as open_log

    environment = Environment()
    return open_log(
        settings.home / "warm" / "events.db",
        postgres_url=environment.postgres_text(),
        ca_file=environment.postgres_ca_file,
    )
