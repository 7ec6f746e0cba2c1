"""What goes wrong in a simulated session, drawn from its seed: deaths, lines, disks and data."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random


class Killed(BaseException):
    """kill -9: nothing may catch it."""


# Every kind of fault; the rate of each is drawn for each seed, and many seeds draw none of it.
KINDS = (
    "submit_lost",  # the connection breaks, and the order never arrived
    "ack_lost",  # the connection breaks between submit and acknowledgement
    "ack_late",
    "half_open",  # the socket takes everything and answers nothing
    "reject",
    "pacing",  # the broker hangs up on too many messages
    "find_broken",
    "cancel_broken",
    "cancel_late",  # the order is filled while it is cancelled
    "account_unreadable",
    "told_twice",
    "told_late",
    "reordered",
    "commission_before",
    "commission_after",
    "outage_1101",  # the connection comes back, what was said meanwhile does not
    "outage_1102",  # the connection comes back with what was said meanwhile
    "manual_order",  # somebody places an order by hand
    "broker_clock_skewed",
    "another_writer",  # another process writes to the log in between
    "disk_full",
    "item_twice",
    "item_missing",
    "item_late",
    "item_stale",
    "item_future",
    "item_revised",
    "price_zero",
    "price_negative",
    "price_nan",
    "feed_lost",
    "check_failed",
    "decision_unsound",
    "person_halts",
    "person_flattens",
    "limits_changed",
    "killed",
)
# What a night may bring; drawn by dice of their own, so that older seeds play as they did.
NIGHT_KINDS = ("split", "daylight_saving", "reverse_split", "dividend")
# What a person, or who lends the shares, does to what works and is held; by dice of their own too.
CHANGE_KINDS = (
    "person_changes",  # another quantity for a working order
    "person_cancels",
    "change_lost",  # the connection breaks before the change
    "change_ack_lost",
    "change_ack_late",
    "change_refused",
    "filled_after_end",  # long after an order has ended, the venue tells that some of it was filled
    "shares_recalled",  # what was sold short is bought in, and cannot be borrowed again
)
# What an exchange takes back, and the owner moves in or out; by dice of their own once more.
OWNER_KINDS = (
    "taken_back",  # an execution, of any age
    "owner_moves",  # cash, which the owner claims until it is booked
)
# Those that halt trading until a person has looked come seldom, or nothing else would be seen.
_SELDOM = frozenset(
    {
        "manual_order",
        "disk_full",
        "item_stale",
        "item_future",
        "price_nan",
        "feed_lost",
        "check_failed",
        "decision_unsound",
        "person_halts",
        "person_flattens",
    }
)


@dataclass(slots=True)
class Faults:
    """The rates of one session and the dice; `happened` counts what really came to pass."""

    random: Random
    rates: dict[str, float]
    apart: Random  # of the kinds that came later: what older seeds draw stays
    owner: Random
    happened: Counter[str] = field(default_factory=Counter[str])
    active: bool = True

    @classmethod
    def drawn(cls, random: Random, apart: Random, owner: Random) -> "Faults":
        """Return the faults of a seed: a third of all kinds, each at a rate of its own."""
        rates = {
            kind: random.choice((0.02, 0.05, 0.2)) * (0.1 if kind in _SELDOM else 1.0)
            if random.random() < 0.33
            else 0.0
            for kind in KINDS
        }
        rates["killed"] *= 0.3  # a life has hundreds of points at which it may end
        if apart.random() < 0.5:  # changes come together, or few would meet their faults
            rates |= {kind: apart.choice((0.0, 0.1, 0.3)) for kind in CHANGE_KINDS}
            rates["shares_recalled"] *= 0.1
            rates["person_cancels"] *= 0.2
            rates["person_changes"] = 0.9  # few orders work long enough to be changed
        if owner.random() < 0.25:
            rates |= {kind: owner.choice((0.0, 0.005, 0.02)) for kind in OWNER_KINDS}
        return cls(random, rates, apart, owner)

    @classmethod
    def none(cls, random: Random) -> "Faults":
        return cls(random, {}, random, random)

    def happens(self, kind: str) -> bool:
        rate = self.rates.get(kind, 0.0)
        dice = self.apart if kind in CHANGE_KINDS else self.random
        dice = self.owner if kind in OWNER_KINDS else dice
        if not self.active or not rate or dice.random() >= rate:
            return False
        self.happened[kind] += 1
        return True


class Life:
    """One life of the trading process: once it is over, nothing of it reaches the world."""

    def __init__(self, faults: Faults) -> None:
        self.faults, self.is_over = faults, False

    def pass_point(self) -> None:
        """Pass one of the points at which a process may die."""
        if self.faults.happens("killed"):
            self.is_over = True
        self.must_live()

    def must_live(self) -> None:
        if self.is_over:
            raise Killed
