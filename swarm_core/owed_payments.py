"""Which of what is owed a difference in cash has paid, where a broker does not say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from swarm_core.action_events import EntitlementAccrued

_OWED_MAX = 12  # of as many it is tried which of them were paid together


@dataclass(frozen=True, slots=True)
class Paid:
    """What was paid, in minor units by action id: of estimates it may be another than was owed."""

    amounts: Mapping[str, int]
    estimates: frozenset[str]

    @property
    def total_minor(self) -> int:
        return sum(self.amounts.values())


NOTHING_PAID = Paid({}, frozenset())


def find_paid(
    owed: Iterable[EntitlementAccrued],
    difference_minor: int,
    *,
    tolerance_minor: int,
    estimate_fraction_max: float,
) -> Paid:
    """Return which of `owed` make up a difference in cash, in one currency.

    It is the smallest set, the oldest first, whose sum is the difference; else the one that is
    the nearest to it, within `estimate_fraction_max` of the estimates in it; else, where more than
    the tolerance differs, within the tolerance beside that. The last estimate of a set takes what
    remains; without one, what remains within the tolerance is no part of what was paid.
    """
    if not difference_minor:
        return NOTHING_PAID
    first = [event for event in owed if event.amount_minor][:_OWED_MAX]
    sets = [s for n in range(1, len(first) + 1) for s in combinations(first, n)]
    fraction = Decimal(str(estimate_fraction_max))

    def error_minor(chosen: Sequence[EntitlementAccrued]) -> int:
        return abs(difference_minor - sum(e.amount_minor for e in chosen))

    def bound_minor(chosen: Sequence[EntitlementAccrued]) -> int:
        return int(fraction * sum(abs(e.amount_minor) for e in chosen if e.is_estimate))

    within = [s for s in sets if error_minor(s) <= bound_minor(s)]
    if not within and abs(difference_minor) > tolerance_minor:
        within = [s for s in sets if error_minor(s) <= bound_minor(s) + tolerance_minor]
    return _amounts(min(within, key=error_minor), difference_minor) if within else NOTHING_PAID


def _amounts(chosen: Sequence[EntitlementAccrued], difference_minor: int) -> Paid:
    amounts = {event.action_id: event.amount_minor for event in chosen}
    estimates = [event.action_id for event in chosen if event.is_estimate]
    if estimates:
        amounts[estimates[-1]] += difference_minor - sum(amounts.values())
    return Paid(amounts, frozenset(estimates))
