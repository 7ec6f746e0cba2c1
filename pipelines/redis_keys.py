"""Which keys in Redis are those of a desk, as its settings and its event log say."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from adapters.stores.desk_id import home_id, shared_id
from adapters.stores.redis_namespace import RedisNamespace
from pipelines.desk_log import open_event_log
from pipelines.settings import ApiarySettings, Environment

if TYPE_CHECKING:
    from adapters.stores.book_snapshots import HashedLog


def redis_namespace(settings: ApiarySettings) -> "RedisNamespace":
    """Return the names of this desk's keys in Redis; nothing is reached before one is used."""
    environment, home = Environment(), settings.home
    postgres = environment.postgres_text()

    def find_id() -> str:
        if postgres is None:
            return home_id(home)
        from adapters.stores.postgres_address import PostgresAddress

        return shared_id(home, PostgresAddress(postgres, environment.postgres_ca_file))

    @contextmanager
    def open_log() -> "Iterator[HashedLog | None]":
        if postgres is None and not (home / "warm" / "events.db").is_file():
            yield None
            return
        log: Any = open_event_log(settings)
        with closing(log):
            yield log

    def local_states() -> dict[str, bytes]:
        if not (home / "hot" / "hot.db").is_file():
            return {}
        from adapters.stores.hot_embedded import EmbeddedHotStore

        with closing(EmbeddedHotStore(home / "hot" / "hot.db")) as kept:
            return kept.read("colony_states")

    return RedisNamespace(
        environment.redis_text() or "",
        name=environment.redis_namespace or "",
        topic=settings.bus.topic,
        find_id=find_id,
        open_log=open_log,
        local_states=local_states,
    )
