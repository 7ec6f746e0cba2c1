"""The hot tier on a server, with what a decision cannot do without on this machine as well."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from adapters.stores.hot_embedded import HotStore, HotStoreUnavailableError

# The colony's states: each is proved by its digest in the event log, so either copy may be read.
MIRRORED = frozenset({"colony_states"})


class MirroredHotStore:
    """A server's store; the spaces of `mirrored` are written here first, and there if it answers.

    So a server that is away stops no decision on this machine, and another machine finds the
    states as soon as it is back: what it missed is sent with the next that is written or found.
    Every other space lies on the server alone. `open_local` is called when it is first needed.
    """

    def __init__(
        self,
        server: HotStore,
        open_local: Callable[[], HotStore],
        mirrored: frozenset[str] = MIRRORED,
    ) -> None:
        self.server, self._open_local, self._mirrored = server, open_local, mirrored
        self._local: HotStore | None = None
        self._owed: dict[tuple[str, str], bytes] = {}

    @property
    def local(self) -> HotStore:
        if self._local is None:
            self._local = self._open_local()
        return self._local

    def put(self, space: str, values: Mapping[str, bytes]) -> None:
        if space not in self._mirrored:
            self.server.put(space, values)
            return
        self.local.put(space, values)
        self._owed |= {(space, key): value for key, value in values.items()}
        self._settle()

    def find(self, space: str, key: str) -> bytes | None:
        if space not in self._mirrored:
            return self.server.find(space, key)
        try:
            found = self.server.find(space, key)
        except HotStoreUnavailableError:
            return self.local.find(space, key)
        if found is not None:
            return found
        kept = self.local.find(space, key)
        if kept is not None:
            self._owed[space, key] = kept
            self._settle()
        return kept

    def read(self, space: str) -> dict[str, bytes]:
        if space not in self._mirrored:
            return self.server.read(space)
        kept = self.local.read(space)
        with suppress(HotStoreUnavailableError):
            kept |= self.server.read(space)
        return dict(sorted(kept.items()))

    def stamp(self, space: str) -> object | None:
        return None if space in self._mirrored else self.server.stamp(space)

    def swap(self, space: str, values: Mapping[str, bytes]) -> None:
        self._require_plain(space)
        self.server.swap(space, values)

    def exchange(self, space: str, key: str, expected: bytes | None, value: bytes) -> bool:
        self._require_plain(space)
        return self.server.exchange(space, key, expected, value)

    def remove(self, space: str, keys: Iterable[str]) -> int:
        self._require_plain(space)
        return self.server.remove(space, keys)

    def spaces(self) -> tuple[str, ...]:
        return self.server.spaces()

    def close(self) -> None:
        for store in (self.server, self._local):
            if store is not None:
                store.close()

    def _require_plain(self, space: str) -> None:
        if space in self._mirrored:
            raise ValueError(f"{space} lies in two places: it is only added to")

    def _settle(self) -> None:
        """Send the server what it missed; it keeps being owed where it does not answer."""
        with suppress(HotStoreUnavailableError):
            for (space, key), value in list(self._owed.items()):
                self.server.put(space, {key: value})
                del self._owed[space, key]
