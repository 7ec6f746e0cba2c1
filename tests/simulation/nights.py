"""The hours of a simulated market and its night: a change of the clocks, splits, a dividend."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from swarm_core.actions.action import CorporateAction
from swarm_core.actions.dividends import CashDividend
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
    actions: tuple[Split | CashDividend, ...]
    before_open_ns: int  # how long before the opening the venue's account shows it
    paid_after_ns: int  # how long after the opening a dividend is paid
    fraction_is_late: bool  # whether cash for a fraction of a lot comes with it, or at once
    is_over: bool = False

    @classmethod
    def drawn(cls, random: Random, apart: Random, instrument_ids: Sequence[str]) -> "Night":
        """Return the night of a seed; what came later has dice `apart`: older seeds stay."""
        ids = list(instrument_ids)
        shift_ns = random.choice((-HOUR_NS, HOUR_NS)) if random.random() < 0.33 else 0
        actions: list[Split | CashDividend] = []
        if random.random() < 0.33:
            actions.append(_split(random.choice(ids), random.choice((2, 3, 10)), 1))
        before_open_ns = random.choice((STEP_NS, 5 * STEP_NS, 9 * STEP_NS))
        if not actions and apart.random() < 0.3:
            new, old = apart.choice(((1, 2), (1, 10), (2, 3)))
            actions.append(_split(apart.choice(ids), new, old))
        if apart.random() < 0.3:
            actions.append(
                CashDividend(
                    action_id="dividend",
                    instrument_id=apart.choice(ids),
                    amount=Decimal(apart.randint(1, 300)) / 100,
                    currency="USD",
                    pay_ns=0,
                )
            )
        paid_after_ns = apart.randint(60, 300) * _S
        return cls(shift_ns, tuple(actions), before_open_ns, paid_after_ns, apart.random() < 0.5)

    @property
    def has_reverse_split(self) -> bool:
        return any(isinstance(a, Split) and a.numerator < a.denominator for a in self.actions)

    @property
    def pays_cash(self) -> bool:
        return self.has_reverse_split or any(isinstance(a, CashDividend) for a in self.actions)

    def happen(self, venue: Venue, hours: ShortDays, now_ns: int) -> None:
        """Let the venue do what is due, once."""
        if now_ns >= hours.opens_ns(1) + self.paid_after_ns:
            venue.pay_dividends()
        if self.is_over or now_ns < hours.opens_ns(1) - self.before_open_ns:
            return
        self.is_over = True
        if self.shift_ns:
            venue.faults.happened["daylight_saving"] += 1
        for action in self.actions:
            if isinstance(action, Split):
                is_reverse = action.numerator < action.denominator
                venue.faults.happened["reverse_split" if is_reverse else "split"] += 1
                rest_minor = venue.split(
                    action.instrument_id, action.numerator, action.denominator, now_ns
                )
                if self.fraction_is_late:
                    venue.owed_minor += rest_minor
                else:
                    venue.cash_minor += rest_minor
            else:
                venue.faults.happened["dividend"] += 1
                venue.go_ex(action.instrument_id, int(action.amount * 10**8))

    def of_session(self, before: str, session: str) -> Sequence[CorporateAction]:
        return self.actions if before and before < "2024-01-02" <= session else ()

    def announced(self, after: str, until_ns: int) -> Sequence[CorporateAction]:
        return self.actions

    def halted(self, start_ns: int, end_ns: int) -> frozenset[str]:
        return frozenset()


def _split(instrument_id: str, new: int, old: int) -> Split:
    return Split(action_id="split", instrument_id=instrument_id, numerator=new, denominator=old)
