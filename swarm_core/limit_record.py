"""Limits put on record: tightened by anybody, loosened only by a signed-off change."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.ports import ConcurrentAppendError, EventLog
from swarm_core.risk.limits import RiskLimits
from swarm_core.risk.loosening import loosened

# Another writer may move the log between our read and our write.
_TRIES_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """Who loosens limits, who agreed (empty where nobody must), and why."""

    by: str
    reason: str
    second: str = ""
    four_eyes: bool = False

    def __post_init__(self) -> None:
        if not self.by.strip() or not self.reason.strip():
            raise ValueError(f"by and reason must be given, were {self.by!r} and {self.reason!r}")
        if self.four_eyes and self.second.strip() in ("", self.by.strip()):
            raise ValueError(
                f"a second person must agree, other than {self.by}, was {self.second!r}"
            )


def write_limits(
    limits: RiskLimits, *, book: Book, log: EventLog, time_ns: int, sign_off: SignOff | None
) -> tuple[str, ...]:
    """Put limits on record; return what they loosen. Without a sign-off they may only tighten.

    Raises ValueError where they would loosen something all the same.
    """
    for tries_left in reversed(range(_TRIES_MAX)):
        book.apply_all(log.read(book.sequence))
        before = book.limits
        looser = () if before is None else loosened(before, limits)
        if looser and sign_off is None:
            raise ValueError(_refusal(looser))
        if before == limits:
            return ()
        try:
            log.append(
                [_changed(limits, before, looser, book.sequence, time_ns, sign_off)],
                expected_sequence=book.sequence,
            )
        except ConcurrentAppendError:
            if not tries_left:
                raise
            continue
        book.apply_all(log.read(book.sequence))
        return looser
    raise ConcurrentAppendError("the log must rest for one step, and did not")


def _refusal(looser: tuple[str, ...]) -> str:
    return (
        f"limits must be loosened by `apiary limits apply`, were by the file: {', '.join(looser)}"
    )


def _changed(
    limits: RiskLimits,
    before: RiskLimits | None,
    looser: tuple[str, ...],
    sequence: int,
    time_ns: int,
    sign_off: SignOff | None,
) -> ev.LimitsChanged:
    digest = limits.digest()
    first = "the first limits of this book" if before is None else "the file was tightened"
    return ev.LimitsChanged(
        event_id=ev.make_event_id("LimitsChanged", digest, sequence),
        time_ns=time_ns,
        limits=limits,
        digest_before="" if before is None else before.digest(),
        digest_after=digest,
        loosened=looser,
        actor="the limits file" if sign_off is None else sign_off.by,
        second_actor="" if sign_off is None else sign_off.second,
        reason=first if sign_off is None else sign_off.reason,
        by_person=sign_off is not None,
    )


def limits_in_force(recorded: RiskLimits | None, file: RiskLimits) -> tuple[RiskLimits, str]:
    """Return the limits to trade by, and why the file's are not, where they are not.

    What is on record counts; a file that is tighter counts at once.
    """
    looser = () if recorded is None else loosened(recorded, file)
    if recorded is None or not looser:
        return file, ""
    return recorded, _refusal(looser)


def find_recorded_limits(events: Iterable[ev.RecordedEvent]) -> RiskLimits | None:
    """Return the limits that a log put in force last, or None where it never did."""
    changes = (r.event for r in events if isinstance(r.event, ev.LimitsChanged))
    return reduce(lambda _, change: change.limits, changes, None)


def keep_limits(limits: RiskLimits, *, book: Book, log: EventLog, time_ns: int) -> None:
    """Put the limits that are traded by on record, where they are the first or tighter.

    Whoever trades first does it, so that a file that was made looser since is told and refused.
    """
    book.apply_all(log.read(book.sequence))
    if book.limits is None or not loosened(book.limits, limits):
        write_limits(limits, book=book, log=log, time_ns=time_ns, sign_off=None)
