"""The bus on Redis Streams: an entry's id is the event's sequence, so that none stands twice."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from adapters.bus.messages import BusError, Message, check_group
from adapters.stores.redis_client import open_redis

# A commit that comes late must not take a group back.
_COMMIT = """
local now = tonumber(redis.call('hget', KEYS[1], ARGV[1]) or '0')
if tonumber(ARGV[2]) > now then redis.call('hset', KEYS[1], ARGV[1], ARGV[2]) end
return 1
"""
# Entries go in one call, all of them or none; those that are there already are passed over.
_PUBLISH = """
local last = redis.call('xrevrange', KEYS[1], '+', '-', 'COUNT', 1)
local newest = 0
if #last > 0 then newest = tonumber(string.match(last[1][1], '^(%d+)')) end
for i = 1, #ARGV, 2 do
  if tonumber(ARGV[i]) > newest then
    redis.call('xadd', KEYS[1], ARGV[i] .. '-0', 'm', ARGV[i + 1])
  end
end
return 1
"""


class RedisBus:
    """The stream `topic` of a Redis-compatible server, with the groups' offsets beside it.

    A topic that must be found out is asked for at every use.

    `url` is a redis:// or rediss:// address. As durable as the server's append-only file.
    """

    def __init__(
        self,
        url: str,
        topic: str | Callable[[], str] = "apiary.events",
        *,
        timeout_s: float = 2.0,
    ) -> None:
        self._client: Any = open_redis(url, timeout_s=timeout_s)
        self._find_topic = topic if callable(topic) else lambda: topic
        self._publish = self._client.register_script(_PUBLISH)
        self._commit = self._client.register_script(_COMMIT)

    @property
    def _stream(self) -> str:
        return self._find_topic()

    @property
    def _offsets(self) -> str:
        return f"{self._stream}.offsets"

    def find_last(self) -> Message | None:
        with self._answering():
            found = self._client.xrevrange(self._stream, "+", "-", count=1)
        return _message(found[0]) if found else None

    def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        given: list[bytes | int] = []
        for message in messages:
            given += [message.sequence, message.to_bytes()]
        with self._answering():
            self._publish(keys=[self._stream], args=given)

    def read(self, group: str, count_max: int) -> Sequence[Message]:
        after = self.committed(group)
        with self._answering():
            found = self._client.xrange(self._stream, f"({after}-0", "+", count=count_max)
        return [_message(entry) for entry in found]

    def commit(self, group: str, sequence: int) -> None:
        check_group(group)
        with self._answering():
            self._commit(keys=[self._offsets], args=[group, sequence])

    def committed(self, group: str) -> int:
        check_group(group)
        with self._answering():
            return int(self._client.hget(self._offsets, group) or 0)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OSError) as error:
            raise BusError(f"the bus on Redis must answer, did not: {error}") from error


def _message(entry: tuple[bytes, dict[bytes, bytes]]) -> Message:
    return Message.from_bytes(entry[1][b"m"])
