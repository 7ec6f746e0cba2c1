"""When a segment leaves its tier: by age, by size, and when its session is closed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from adapters.stores.segments import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPolicy:
    """How long a row stays: in the hot tier, and then in the warm one, counted from event_time.

    A tier that holds more than its `bytes_max` of a table lets the oldest go earlier. With
    `at_close` rows leave the hot tier as soon as their session is closed, whatever their age.
    """

    hot_age: timedelta = timedelta(days=7)
    warm_age: timedelta = timedelta(days=730)
    hot_bytes_max: int | None = None
    warm_bytes_max: int | None = None
    at_close: bool = False

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.hot_age <= self.warm_age:
            raise ValueError(
                f"ages must be 0 <= hot_age <= warm_age, were {self.hot_age} and {self.warm_age}"
            )
        for name, size in (("hot", self.hot_bytes_max), ("warm", self.warm_bytes_max)):
            if size is not None and size < 0:
                raise ValueError(f"{name}_bytes_max must not be negative, was {size}")

    def leaves_hot(
        self, segments: Sequence[Segment], as_of: datetime, closed_until: datetime | None
    ) -> Iterator[Segment]:
        """Yield the segments that are due; never one with rows after `closed_until`."""
        ripe = [s for s in segments if closed_until is None or not _ends_after(s, closed_until)]
        age = timedelta(0) if self.at_close and closed_until is not None else self.hot_age
        moment = as_of if age else (closed_until or as_of) + timedelta(microseconds=1)
        yield from _due(segments, ripe, moment - age, self.hot_bytes_max)

    def leaves_warm(self, segments: Sequence[Segment], as_of: datetime) -> Iterator[Segment]:
        """Yield the segments that are due for the cold tier."""
        yield from _due(segments, segments, as_of - self.warm_age, self.warm_bytes_max)


@dataclass(frozen=True, slots=True)
class TierPolicies:
    """The policy of every table: its own, or the one for all."""

    default: TierPolicy = field(default_factory=TierPolicy)
    tables: Mapping[str, TierPolicy] = field(default_factory=dict[str, TierPolicy])

    def of(self, table: str) -> TierPolicy:
        return self.tables.get(table, self.default)


def _ends_after(segment: Segment, moment: datetime) -> bool:
    return segment.last is not None and segment.last > moment


def _due(
    held: Sequence[Segment], ripe: Sequence[Segment], before: datetime, bytes_max: int | None
) -> Iterator[Segment]:
    left = sum(s.byte_count for s in held)
    # Without a time first, then by age, so that what is asked for most stays.
    for segment in sorted(ripe, key=lambda s: (s.last is not None, s.last or before)):
        aged = segment.last is None or segment.last < before
        if aged or (bytes_max is not None and left > bytes_max):
            left -= segment.byte_count
            yield segment
