"""The hot tier: small values that the next decision needs at once, durable and atomic.

A space ("colony", "positions", "working_orders", "rows/fills") maps keys to bytes. Both stores
below pass one contract suite: every write is all or nothing, and it is there once the call
returned (Redis: as far as its own append-only file is set to).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import redis
from redis.typing import EncodableT, FieldT

from adapters.stores.hot_embedded import EmbeddedHotStore as EmbeddedHotStore
from adapters.stores.hot_embedded import HotStore as HotStore
from adapters.stores.hot_embedded import HotStoreUnavailableError as HotStoreUnavailableError
from adapters.stores.redis_client import open_redis


class RedisHotStore:
    """The hot tier in Redis or Valkey: one hash per space, under a prefix.

    A prefix that must be found out is asked for at every use, and is had when it answers.

    Every call answers or fails within about (attempts) x `timeout_s`.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str | Callable[[], str] = "apiary:hot:",
        timeout_s: float = 0.5,
        retries: int = 1,
    ) -> None:
        self._find_prefix = prefix if callable(prefix) else lambda: prefix
        self._client = open_redis(url, timeout_s=timeout_s, retries=retries)

    def put(self, space: str, values: Mapping[str, bytes]) -> None:
        if values:
            with self._answering() as client:
                client.hset(self._prefix + space, mapping=_fields(values))

    def swap(self, space: str, values: Mapping[str, bytes]) -> None:
        with self._answering() as client, client.pipeline(transaction=True) as pipe:
            pipe.delete(self._prefix + space)
            if values:
                pipe.hset(self._prefix + space, mapping=_fields(values))
            pipe.execute()

    def exchange(self, space: str, key: str, expected: bytes | None, value: bytes) -> bool:
        with self._answering() as client, client.pipeline(transaction=True) as pipe:
            name = self._prefix + space
            pipe.watch(name)
            if cast("bytes | None", pipe.hget(name, key)) != expected:
                return False
            pipe.multi()
            pipe.hset(name, mapping=_fields({key: value}))
            try:
                pipe.execute()
            except redis.WatchError:  # another writer came between: the expectation is gone
                return False
            return True

    def find(self, space: str, key: str) -> bytes | None:
        with self._answering() as client:
            return cast("bytes | None", client.hget(self._prefix + space, key))

    def read(self, space: str) -> dict[str, bytes]:
        with self._answering() as client:
            cells = cast("dict[bytes, bytes]", client.hgetall(self._prefix + space))
        return {k.decode(): cells[k] for k in sorted(cells)}

    def stamp(self, space: str) -> object | None:
        return None

    def remove(self, space: str, keys: Iterable[str]) -> int:
        names = list(keys)
        if not names:
            return 0
        with self._answering() as client:
            return cast("int", client.hdel(self._prefix + space, *names))

    def spaces(self) -> tuple[str, ...]:
        with self._answering() as client:
            prefix = self._prefix
            names = [cast("bytes", n).decode() for n in client.scan_iter(prefix + "*")]
        return tuple(sorted(n.removeprefix(prefix) for n in names))

    @property
    def _prefix(self) -> str:
        try:
            return self._find_prefix()
        except (OSError, ValueError) as error:
            raise HotStoreUnavailableError(str(error)) from error

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _answering(self) -> Iterator[redis.Redis]:
        try:
            yield self._client
        except redis.RedisError as error:
            raise HotStoreUnavailableError(f"Redis failed: {error}") from error


def _fields(values: Mapping[str, bytes]) -> dict[FieldT, EncodableT]:
    return dict(values.items())
