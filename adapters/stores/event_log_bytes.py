"""Events from stored bytes, fast: compiled readers beside the canonical one of swarm_core."""

import msgspec


class _Named(msgspec.Struct):
    event_id: str


_names = msgspec.json.Decoder(_Named)


def find_event_id(body: bytes) -> str | None:
    """Return the id in an event's bytes, or None where they are no event."""
    try:
        return _names.decode(body).event_id
    except msgspec.DecodeError:
        return None
