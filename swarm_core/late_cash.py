"""Cash and positions that a broker shows as they were before the newest executions."""

from collections.abc import Iterable
from itertools import accumulate

from swarm_core import events as ev
from swarm_core.ledger import Ledger


def late_fills(
    ledger: Ledger,
    missed: Iterable[ev.Event],
    currency: str,
    difference_minor: int,
    since_ns: int,
) -> int:
    """Return how many of the newest executions a broker's cash leaves out, 0 where it is not that.

    `difference_minor` is how much more cash the broker has than the ledger with what was `missed`:
    to the minor unit what these executions moved, commissions included. Only those after `since_ns`
    are looked at. What a fill of a future moved is not known by itself: it explains nothing.
    """
    events = list(missed)
    fills = [*ledger.executions.values(), *(e for e in events if isinstance(e, ev.OrderFilled))]
    fees = {f.execution_id: f.commission_minor or 0 for f in fills} | ledger.commissions
    for event in events:
        if isinstance(event, ev.CommissionCharged):
            fees[event.execution_id] = event.commission_minor
    newest = sorted(
        (f for f in fills if f.currency == currency and f.time_ns > since_ns),
        key=lambda f: (f.time_ns, f.execution_id),
        reverse=True,
    )
    left = difference_minor
    for count, fill in enumerate(newest, 1):
        if fill.is_margined:
            return 0
        left -= fill.side.sign * fill.lots * fill.price_ticks * fill.lot_tick_minor
        left -= fees[fill.execution_id]
        if not left:
            return count
    return 0


def lags_behind(
    ledger: Ledger,
    missed: Iterable[ev.Event],
    instrument_id: str,
    difference_lots: int,
    since_ns: int,
) -> bool:
    """Return whether a broker's position is that of before some of the newest executions.

    `difference_lots` is how much more it shows than the ledger with what was `missed`. Only
    executions after `since_ns` are looked at.
    """
    fills = [*ledger.executions.values(), *(e for e in missed if isinstance(e, ev.OrderFilled))]
    newest = sorted(
        (f for f in fills if f.instrument_id == instrument_id and f.time_ns > since_ns),
        key=lambda f: (f.time_ns, f.execution_id),
        reverse=True,
    )
    left = accumulate((f.side.sign * f.lots for f in newest), initial=difference_lots)
    return 0 in list(left)[1:]
