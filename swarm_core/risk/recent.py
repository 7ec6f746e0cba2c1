"""What was sent lately, as the limits on rates and repetitions look at it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from swarm_core.book import Book
from swarm_core.orders import LikeKey
from swarm_core.risk.limits import NS_PER_S, RiskLimits

# How far a clock may step back between two messages, and none of them be overlooked.
CLOCK_STEP_NS_MAX = 60 * NS_PER_S


@dataclass(slots=True)
class Recent:
    """Messages, orders by instrument, and what a like order would repeat, each in its window.

    What slices of the plan that is worked now have sent stands apart, in `slice_keys`.
    """

    message_count: int
    repeats: Counter[str] = field(default_factory=Counter[str])
    keys: set[LikeKey] = field(default_factory=set[LikeKey])
    slice_keys: set[LikeKey] = field(default_factory=set[LikeKey])


def look_back(book: Book, limits: RiskLimits, time_ns: int) -> Recent:
    """Return what was sent in the windows of the limits before a moment."""
    since_message = time_ns - int(limits.messages_window_s * NS_PER_S)
    since_repeat = time_ns - int(limits.repeats_window_s * NS_PER_S)
    since_like = time_ns - int(limits.duplicate_window_s * NS_PER_S)
    recent = Recent(_count_since(book.message_times, since_message))
    oldest, plan = min(since_repeat, since_like), book.working_plan
    for sent_ns, order_id, like in reversed(book.sent):
        if sent_ns <= oldest - CLOCK_STEP_NS_MAX:
            break  # the book remembers a whole day
        if sent_ns <= oldest:
            continue
        if sent_ns > since_repeat:
            recent.repeats[like[0]] += 1
        record = book.orders.get(order_id)  # None: it has ended, and was retired
        # An order that the broker turned out never to have got is not its own duplicate.
        if sent_ns > since_like and (
            record is None or record.state.is_working or record.state.is_final
        ):
            of_plan = plan and record and plan.is_due_slice(record.order, time_ns)
            (recent.slice_keys if of_plan else recent.keys).add(like)
    return recent


def _count_since(times_ns: Sequence[int], since_ns: int) -> int:
    """Count the times after a moment; they come in order, but for steps of the clock."""
    count = 0
    for time_ns in reversed(times_ns):
        if time_ns <= since_ns - CLOCK_STEP_NS_MAX:
            break
        count += time_ns > since_ns
    return count
