"""The first bytes of a connection: both sides name versions, and one is chosen."""

import re
import struct

# Later ones (201 and up) speak protocol buffers; both clients take 176.
SERVER_VERSION_MAX = 176
SERVER_VERSION_MIN = 145  # before it orders carry versions of their own
_MARK = b"API\0"
_GREETING_BYTES_MAX = 1_024
_RANGE = re.compile(rb"v(\d+)(?:\.\.(\d+))?(?: .*)?", re.DOTALL)


class RefusedError(ValueError):
    """A greeting that is not answered: the connection is closed."""


class GreetingReader:
    """Waits for the greeting of a client, in pieces of any size."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Return the versions offered and what came behind them; None while it is incomplete.

        Raises RefusedError on what is no greeting.
        """
        self._bytes += data
        if not _MARK.startswith(bytes(self._bytes[: len(_MARK)])):
            raise RefusedError(f"a greeting must begin with API, was {bytes(self._bytes[:16])!r}")
        if len(self._bytes) < len(_MARK) + 4:
            return None
        (length,) = struct.unpack_from(">I", self._bytes, len(_MARK))
        if length > _GREETING_BYTES_MAX:
            raise RefusedError(f"a greeting must have {_GREETING_BYTES_MAX} bytes at most")
        end = len(_MARK) + 4 + length
        if len(self._bytes) < end:
            return None
        return bytes(self._bytes[len(_MARK) + 4 : end]), bytes(self._bytes[end:])


def choose_version(offered: bytes, *, highest: int = SERVER_VERSION_MAX) -> int:
    """Return the highest version that both sides know, from an offer such as `v100..176`.

    Raises RefusedError where there is none.
    """
    found = _RANGE.fullmatch(offered.rstrip(b"\0"))
    if found is None:
        raise RefusedError(f"versions must be offered as v100..176, was {offered[:40]!r}")
    lowest_theirs = int(found[1])
    highest_theirs = int(found[2] or found[1])
    chosen = min(highest, highest_theirs)
    if chosen < max(SERVER_VERSION_MIN, lowest_theirs):
        raise RefusedError(
            f"a version in {SERVER_VERSION_MIN}..{highest} must be offered, "
            f"was {lowest_theirs}..{highest_theirs}"
        )
    return chosen
