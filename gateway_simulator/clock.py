"""The gateway's time and how it is written: seconds since 1970, or text with its zone."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ZONE_NAME = "US/Eastern"
ZONE = ZoneInfo("America/New_York")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Clock:
    """The time of day as the gateway has it; `skew_ns` is how far it is wrong."""

    source: Callable[[], int] = field(default=time.time_ns)
    skew_ns: int = 0

    def now_ns(self) -> int:
        return self.source() + self.skew_ns

    def now_s(self) -> int:
        return self.now_ns() // 10**9


def utc_of(time_ns: int) -> datetime:
    """Return a moment to the microsecond, without passing through a float."""
    return _EPOCH + timedelta(microseconds=time_ns // 1_000)


def local_of(time_ns: int) -> datetime:
    return utc_of(time_ns).astimezone(ZONE)


def date_time_text(time_ns: int) -> str:
    """Return `20260105 10:00:00 US/Eastern`, as executions and bars are dated."""
    return f"{local_of(time_ns):%Y%m%d %H:%M:%S} {ZONE_NAME}"


def parse_date_time(text: str, default_ns: int) -> int:
    """Return the moment that a client writes, in any of the forms that the gateway takes.

    `20260105 10:00:00 US/Eastern`, `20260105-15:00:00` (which is UTC), `20260105 10:00:00` and
    `20260105`; an empty text is the default. Raises ValueError on anything else.
    """
    if not text.strip():
        return default_ns
    head, _, zone_name = text.strip().partition(" ")
    zone: ZoneInfo | None = ZONE
    if "-" in head:
        moment = datetime.strptime(head, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        return _ns_of(moment)
    clock, _, name = zone_name.strip().partition(" ")
    if name:
        zone = _zone(name.strip())
    form = "%Y%m%d %H:%M:%S" if clock else "%Y%m%d"
    moment = datetime.strptime(f"{head} {clock}".strip(), form).replace(tzinfo=zone)
    return _ns_of(moment)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"a time zone must be known, was {name[:40]!r}") from None


def _ns_of(moment: datetime) -> int:
    whole = moment.astimezone(UTC) - _EPOCH
    return (whole.days * 86_400 + whole.seconds) * 10**9 + whole.microseconds * 1_000
