"""Which keys of a Redis database are a desk's own: several desks may share one.

A desk's keys begin with `apiary:ID:`. Before desks had names all keys began with `apiary:`; such
are taken over, in one transaction, by the desk whose event log shows that they are its own.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any, Protocol

from adapters.bus.messages import Message
from adapters.stores.redis_client import open_redis
from swarm_core.colony import codec
from swarm_core.events import RecordedEvent

PLAIN = "apiary"  # the namespace of before, which may still be asked for
_STATES = "colony_states"
# The target has what was written since: fields that it lacks are added, all else of it stands.
_MOVE = """
for i = 1, #KEYS, 2 do
  local old, new = KEYS[i], KEYS[i + 1]
  if redis.call('exists', old) == 1 then
    if redis.call('exists', new) == 0 then
      redis.call('rename', old, new)
    else
      if redis.call('type', old).ok == 'hash' then
        local cells = redis.call('hgetall', old)
        for j = 1, #cells, 2 do redis.call('hsetnx', new, cells[j], cells[j + 1]) end
      end
      redis.call('del', old)
    end
  end
end
return 1
"""


class KnownLog(Protocol):
    """The event log of a desk."""

    def read(self, after_sequence: int = 0) -> Iterable[RecordedEvent]: ...
    def hash_at(self, sequence: int) -> str | None: ...


class RedisNamespace:
    """The names of one desk's keys in one Redis database.

    With a `name` its keys begin with it and nothing is looked for. Otherwise `find_id` gives the
    desk's, and what lies under the names of before is taken over when a key is first used:
    `open_log` and `local_states` (session -> state, those that this machine keeps) show whose it
    is. Nothing is reached before that.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "",
        topic: str = "apiary.events",
        find_id: Callable[[], str] = lambda: "",
        open_log: Callable[[], AbstractContextManager[KnownLog | None]] | None = None,
        local_states: Callable[[], Mapping[str, bytes]] = dict,
        timeout_s: float = 2.0,
    ) -> None:
        self._url, self._topic, self._timeout_s = url, topic, timeout_s
        self._name, self._settled = name, bool(name)
        self._find_id, self._open_log, self._local_states = find_id, open_log, local_states
        self._lock = Lock()

    def name(self) -> str:
        """Return what every key begins with; OSError or ValueError where the id is not had."""
        if not self._name:
            self._name = f"{PLAIN}:{self._find_id()}"
        return self._name

    def hot(self) -> str:
        """Return the prefix of the hot tier's keys."""
        return f"{self._own()}:hot:"

    def online(self) -> str:
        """Return the prefix of the online features' keys."""
        return f"{self._own()}:online:"

    def stream(self) -> str:
        """Return the key of the bus' stream; its groups' offsets lie beside it."""
        own = self._own()
        return self._topic if own == PLAIN else f"{own}:{self._topic}"

    def _own(self) -> str:
        """Return the name, what is ours from before taken over.

        Raises redis.RedisError where the server does not answer, OSError or ValueError where it
        cannot be told whose it is.
        """
        with self._lock:
            name = self.name()
            if not self._settled:
                client = open_redis(self._url, timeout_s=self._timeout_s)
                try:
                    self._take_over(client, name)
                finally:
                    client.close()
                self._settled = True
            return name

    def _take_over(self, client: Any, name: str) -> None:
        if self._open_log is None:
            return
        found = [
            key.decode()
            for kind in ("hot", "online")
            for key in client.scan_iter(f"{PLAIN}:{kind}:*", count=1_000)
        ]
        moves: dict[str, str] = {}
        with self._open_log() as log:
            if found and self._is_ours(client, found, log):
                moves = {key: f"{name}{key.removeprefix(PLAIN)}" for key in found}
            if self._continues(client, log):
                for end in ("", ".offsets"):
                    moves[f"{self._topic}{end}"] = f"{name}:{self._topic}{end}"
        if moves:
            pairs = [key for pair in moves.items() for key in pair]
            client.eval(_MOVE, len(pairs), *pairs)

    def _is_ours(self, client: Any, found: list[str], log: KnownLog | None) -> bool:
        states = {
            key.decode(): value for key, value in client.hgetall(f"{PLAIN}:hot:{_STATES}").items()
        }
        if not states:
            if any(key.startswith(f"{PLAIN}:hot:rows/") for key in found):
                raise ValueError(
                    "rows in this Redis database belong to a desk that cannot be told: set "
                    f"APIARY_REDIS_NAMESPACE={PLAIN} where it is this one, or else another name"
                )
            return False  # what is shown and online features are made anew
        here = self._local_states()
        if shared := states.keys() & here.keys():
            return any(states[session] == here[session] for session in shared)
        return log is not None and any(
            _digest(states[session]) == digest
            for session, digest in _decided(log)
            if session in states
        )

    def _continues(self, client: Any, log: KnownLog | None) -> bool:
        """Return whether the stream of before is a copy of this log."""
        if log is None or client.type(self._topic) != b"stream":
            return False
        newest = client.xrevrange(self._topic, "+", "-", count=1)
        if not newest:
            return False
        try:
            last = Message.from_bytes(newest[0][1].get(b"m", b""))
        except ValueError:  # somebody else's stream
            return False
        return log.hash_at(last.sequence) == last.hash


def _decided(log: KnownLog) -> Iterator[tuple[str, str]]:
    """Yield the session of each decision and the digest of the colony's state after it."""
    for record in log.read():
        lineage = getattr(record.event, "lineage", None)
        digest = getattr(lineage, "colony_state_digest", "")
        if digest:
            yield str(getattr(lineage, "session", "")), str(digest)


def _digest(stored: bytes) -> str:
    try:
        return codec.stored_digest(zlib.decompress(stored))
    except (zlib.error, ValueError):
        return ""
