"""Which of what is owed a difference in cash has paid, where a broker does not say.

A tax that is withheld from a dividend is an entitlement of its own: it is owed and paid at once,
beside the dividend or some time after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations, product

from swarm_core.action_events import EntitlementAccrued, EntitlementPaid
from swarm_core.event_record import Event, make_event_id
from swarm_core.instruments import MINOR_PER_UNIT
from swarm_core.ledger import Ledger

_OWED_MAX = 12  # of as many it is tried which of them were paid together
# Of fewer it is tried as well which were paid less tax, or have had their tax taken since.
_TAXED_MAX, _TAXED_SINCE_MAX = 5, 4
_DELAY_NS_MAX = 120 * 86_400 * 10**9  # from the ex-date on; a dividend is paid some weeks after
_CENT_MINOR = MINOR_PER_UNIT // 100  # tax is rounded to it
CASH_SUFFIX = ":cash"  # how the ids end of cash for what an action took away: it is no dividend
_TAX_SUFFIX = ":tax"
_AFTER_ALL_SUFFIX = ":after-all"


@dataclass(frozen=True, slots=True)
class Paid:
    """What was paid, in minor units by action id, and the tax that was taken (negative).

    Of `estimates` it may be another amount than was owed.
    """

    amounts: Mapping[str, int]
    estimates: frozenset[str]
    taxes: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def total_minor(self) -> int:
        return sum(self.amounts.values()) + sum(self.taxes.values())

    @property
    def is_loose(self) -> bool:
        """Whether some of it is known by the difference alone."""
        return bool(self.estimates or self.taxes)


NOTHING_PAID = Paid({}, frozenset())


@dataclass(frozen=True, slots=True)
class _Part:
    """What is paid of an entitlement, and the tax on it; 0 where it is not."""

    event: EntitlementAccrued
    paid: int
    tax: int = 0


def unpaid(ledger: Ledger) -> list[EntitlementAccrued]:
    """Return what is owed and has not become cash, the oldest first."""
    owed = (e for i, e in ledger.entitlements.items() if i not in ledger.paid and e.amount_minor)
    return sorted(owed, key=lambda event: (event.time_ns, event.action_id))


def untaxed(ledger: Ledger, time_ns: int) -> list[EntitlementAccrued]:
    """Return the dividends that were paid whole, of which a tax may still be taken."""
    return [
        event
        for action_id, event in ledger.entitlements.items()
        if action_id in ledger.paid
        and _is_taxable(event)
        and f"{action_id}{_TAX_SUFFIX}" not in ledger.entitlements
        and time_ns - event.time_ns <= _DELAY_NS_MAX
    ]


def taken_too_early(
    ledger: Ledger, time_ns: int, estimate_fraction_max: float
) -> list[EntitlementAccrued]:
    """Return what may still be paid although it was taken for paid, together with an estimate.

    The estimate may have brought it all: then its true amount is the sum of both, which must lie
    within `estimate_fraction_max` of what was estimated. Each is returned as more of the estimate,
    under an id of its own; by `ledger.entitlements` it is returned once, and for 120 days.
    """
    found = list[EntitlementAccrued]()
    for estimate_id, payment in ledger.paid.items():
        estimate = ledger.entitlements[estimate_id]
        if not estimate.is_estimate or payment.amount_minor is None:
            continue
        bound = int(Decimal(str(estimate_fraction_max)) * abs(estimate.amount_minor))
        off = payment.amount_minor - estimate.amount_minor
        for action_id, other in ledger.paid.items():
            owed = ledger.entitlements[action_id]
            more_id = f"{action_id}{_AFTER_ALL_SUFFIX}"
            if (
                other.time_ns == payment.time_ns
                and not (owed.is_estimate or action_id.endswith(_AFTER_ALL_SUFFIX))
                and owed.currency == estimate.currency
                and more_id not in ledger.entitlements
                and time_ns - owed.time_ns <= _DELAY_NS_MAX
                and abs(off + owed.amount_minor) <= bound
            ):
                found.append(_more_of(estimate, more_id, owed.amount_minor, time_ns))
    return found


def find_paid(
    owed: Iterable[EntitlementAccrued],
    difference_minor: int,
    *,
    tolerance_minor: int,
    estimate_fraction_max: float,
    withheld_fraction: float = 0.0,
    taxable: Sequence[EntitlementAccrued] = (),
) -> Paid:
    """Return which of `owed` make up a difference in cash, in one currency.

    It is the smallest set, the oldest first, whose sum is the difference; else the one that is
    the nearest to it, within `estimate_fraction_max` of the estimates in it and a cent for each
    dividend, owed or `taxable`, that `withheld_fraction` is taken of; else, where more than the
    tolerance differs, within the tolerance beside that. The last estimate of a set, or else the
    last tax, takes what remains; without one, what remains within the tolerance is no part of it.
    """
    if not difference_minor:
        return NOTHING_PAID
    first = [event for event in owed if event.amount_minor][:_OWED_MAX]
    whole = [_Part(event, event.amount_minor) for event in first]
    sets = [chosen for n in range(1, len(whole) + 1) for chosen in combinations(whole, n)]
    if withheld_fraction:
        withheld = Decimal(str(withheld_fraction))
        sets += _taxed_sets(first[:_TAXED_MAX], taxable[-_TAXED_SINCE_MAX:], withheld)
    fraction = Decimal(str(estimate_fraction_max))

    def error_minor(chosen: Sequence[_Part]) -> int:
        return abs(difference_minor - sum(part.paid + part.tax for part in chosen))

    def bound_minor(chosen: Sequence[_Part]) -> int:
        loose = sum(abs(part.paid) for part in chosen if part.event.is_estimate)
        return int(fraction * loose) + _CENT_MINOR * sum(part.tax != 0 for part in chosen)

    within = [s for s in sets if error_minor(s) <= bound_minor(s)]
    if not within and abs(difference_minor) > tolerance_minor:
        within = [s for s in sets if error_minor(s) <= bound_minor(s) + tolerance_minor]
    return _amounts(min(within, key=error_minor), difference_minor) if within else NOTHING_PAID


def payment_events(
    paid: Paid, owed: Mapping[str, EntitlementAccrued], ledger: Ledger, time_ns: int
) -> list[Event]:
    """Return what books a payment of some of `owed`, and each tax as an entitlement of its own."""
    events = list[Event]()
    for action_id, amount in paid.amounts.items():
        event = owed[action_id]
        if action_id not in ledger.entitlements:
            events.append(event)
        events.append(_paid(event, time_ns, amount if action_id in paid.estimates else None))
    for action_id, tax in paid.taxes.items():
        dividend = ledger.entitlements[action_id]
        tax_id = f"{action_id}{_TAX_SUFFIX}"
        tax_owed = _more_of(dividend, tax_id, tax, time_ns)
        events += [tax_owed, _paid(tax_owed, time_ns, None)]
    return events


def _more_of(
    owed: EntitlementAccrued, action_id: str, amount_minor: int, time_ns: int
) -> EntitlementAccrued:
    """Return what comes of the same action beside what was owed of it, due now."""
    return EntitlementAccrued(
        event_id=make_event_id("EntitlementAccrued", action_id),
        time_ns=time_ns,
        causation_id=owed.event_id,
        action_id=action_id,
        instrument_id=owed.instrument_id,
        currency=owed.currency,
        amount_minor=amount_minor,
        pay_ns=time_ns,
    )


def _paid(owed: EntitlementAccrued, time_ns: int, amount_minor: int | None) -> EntitlementPaid:
    return EntitlementPaid(
        event_id=make_event_id("EntitlementPaid", owed.action_id),
        time_ns=time_ns,
        causation_id=owed.event_id,
        action_id=owed.action_id,
        amount_minor=amount_minor,
    )


def _is_taxable(event: EntitlementAccrued) -> bool:
    """Return whether it is a dividend that is received: what a short position pays is not taxed."""
    is_dividend = not (event.is_estimate or event.action_id.endswith(CASH_SUFFIX))
    return is_dividend and event.amount_minor > 0


def _taxed_sets(
    first: Sequence[EntitlementAccrued], taxable: Sequence[EntitlementAccrued], withheld: Decimal
) -> list[tuple[_Part, ...]]:
    """Return the sets in which some tax is taken, the smallest first."""

    def tax(event: EntitlementAccrued) -> int:
        return -int(withheld * event.amount_minor)

    ways: list[list[_Part | None]] = [[None, _Part(e, 0, tax(e))] for e in taxable]
    for event in first:
        amount = event.amount_minor
        taxed = [_Part(event, amount, tax(event))] if _is_taxable(event) else []
        ways.append([None, _Part(event, amount), *taxed])
    sets = [tuple(part for part in chosen if part is not None) for chosen in product(*ways)]
    return sorted((s for s in sets if any(part.tax for part in s)), key=len)


def _amounts(chosen: Sequence[_Part], difference_minor: int) -> Paid:
    amounts = {part.event.action_id: part.paid for part in chosen if part.paid}
    taxes = {part.event.action_id: part.tax for part in chosen if part.tax}
    estimates = [part.event.action_id for part in chosen if part.event.is_estimate]
    left = difference_minor - sum(amounts.values()) - sum(taxes.values())
    if estimates:
        amounts[estimates[-1]] += left
    elif taxes:
        taxes[next(reversed(taxes))] += left
    return Paid(amounts, frozenset(estimates), taxes)
