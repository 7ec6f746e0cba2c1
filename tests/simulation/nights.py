"""The hours of a simulated market and the night in them: a change of the clocks, a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from swarm_core.actions.action import CorporateAction
from swarm_core.actions.splits import Split
from tests.simulation.venue import Venue
from tests.swarm_core.builders import NOW_NS

_S = 10**9
DAYS, STEPS, STEP_NS = 2, 30, 6 * _S
OPEN_NS = STEPS * STEP_NS
DAY_NS = OPEN_NS + 120 * _S  # a short night
HOUR_NS = 60 * _S  # as short as the days: the night is half as long or half as long again


@dataclass(frozen=True, slots=True)
class ShortDays:
    """The hours of a market whose days last minutes: fulfils `trader.ports.Hours`.

    The first night the clocks change: from then on it opens and closes `shift_ns` later.
    """

    shift_ns: int = 0

    def opens_ns(self, day: int) -> int:
        return NOW_NS + day * DAY_NS + (self.shift_ns if day else 0)

    def _day(self, time_ns: int) -> int:
        return max(0, (time_ns - NOW_NS - self.shift_ns) // DAY_NS)

    def session_at(self, time_ns: int) -> str:
        return f"2024-01-{self._day(time_ns) + 1:02d}"

    def is_over(self, session: str, time_ns: int) -> bool:
        return time_ns > self.opens_ns(int(session[-2:]) - 1) + OPEN_NS

    def is_open(self, time_ns: int) -> bool:
        return 0 <= time_ns - self.opens_ns(self._day(time_ns)) < OPEN_NS


@dataclass(slots=True)
class Night:
    """What the first night brings; fulfils `trader.ports.Actions` for whoever trades."""

    shift_ns: int
    split: Split | None
    before_open_ns: int  # how long before the opening the venue's account shows it
    is_over: bool = False

    @classmethod
    def drawn(cls, random: Random, instrument_ids: Sequence[str]) -> "Night":
        shift_ns = random.choice((-HOUR_NS, HOUR_NS)) if random.random() < 0.33 else 0
        split = None
        if random.random() < 0.33:
            split = Split(
                action_id="split",
                instrument_id=random.choice(list(instrument_ids)),
                numerator=random.choice((2, 3, 10)),
                denominator=1,
            )
        return cls(shift_ns, split, random.choice((STEP_NS, 5 * STEP_NS, 9 * STEP_NS)))

    def happen(self, venue: Venue, hours: ShortDays, now_ns: int) -> None:
        """Let the venue do what is due, once."""
        if self.is_over or now_ns < hours.opens_ns(1) - self.before_open_ns:
            return
        self.is_over = True
        if self.shift_ns:
            venue.faults.happened["daylight_saving"] += 1
        if self.split is not None:
            venue.faults.happened["split"] += 1
            venue.split(self.split.instrument_id, self.split.numerator, now_ns)

    def of_session(self, before: str, session: str) -> Sequence[CorporateAction]:
        is_met = before < "2024-01-02" <= session
        return (self.split,) if self.split is not None and before and is_met else ()

    def announced(self, after: str, until_ns: int) -> Sequence[CorporateAction]:
        return () if self.split is None else (self.split,)
