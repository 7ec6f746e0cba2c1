"""What a mapping says of how rows become a series: files that repeat it, bars drawn of ticks."""

import re
from dataclasses import dataclass
from typing import Literal

from adapters.sources.mapping_entries import (
    MappingError,
    check_choice,
    check_pattern,
    check_zone,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Files of a data set that hold its records again: only what a later one changes is a version.

    Such a version is known when its delivery is, whatever `knowledge` says of first ones. By "day":
    the group `day` of a regular expression reads the day of the delivery, over in `zone`, off the
    file's path, by a strptime `format`. By "name": the files follow one another by their paths, and
    each is known when the last of its records is.
    """

    by: Literal["day", "name"]
    day: str = ""
    format: str = "%Y-%m-%d"
    zone: str = "UTC"

    def __post_init__(self) -> None:
        check_choice("by", self.by, Literal["day", "name"])
        check_zone(self.zone)
        groups = check_pattern("day", self.day)
        if self.by == "day" and "day" not in groups:
            raise MappingError(f"day must have the group (?P<day>...), was {self.day!r}")


# What bars can be drawn of, and the table whose columns are read for it.
DRAWN_TABLES = {"trades": "trades", "mid": "quotes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Bars of an interval of the clock, drawn from single trades or from the middle of quotes.

    The columns of such a table are those of trades, or of quotes.
    """

    of: Literal["trades", "mid"]
    interval: str = "1m"

    def __post_init__(self) -> None:
        check_choice("of", self.of, Literal["trades", "mid"])
        if not re.fullmatch(r"[1-9]\d*[smhd]", self.interval):
            raise MappingError(f"interval must be such as 1m, 1h or 1d, was {self.interval!r}")
