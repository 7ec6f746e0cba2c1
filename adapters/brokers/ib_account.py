"""What Interactive Brokers tells of an account, as the book counts it."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from math import ceil, copysign

from ib_async import AccountValue, Contract, Fill, Position

from adapters.brokers import ib_orders
from adapters.brokers.ib_orders import UNSET
from swarm_core import events as ev
from swarm_core.instruments import Instrument, to_minor

Find = Callable[[Contract], Instrument | None]
_RATE_MIN = Decimal("1e-9")


def lots_of(positions: Iterable[Position], find: Find) -> dict[str, int]:
    """Return what is held by instrument; what is not ours by the broker's number.

    Of that a part of one counts as one: it is there, and nothing else says so. A contract that is
    told twice counts as it was told last, several that answer to one instrument count together.
    Raises ValueError where a position of ours is no whole number of lots.
    """
    lots: dict[str, int] = {}
    last = {held.contract.conId or id(held): held for held in positions}
    for held in last.values():
        if not held.position:
            continue
        instrument = find(held.contract)
        if instrument is None:
            whole = ceil(abs(held.position))
            lots[f"ib-contract-{held.contract.conId}"] = int(copysign(whole, held.position))
        else:
            name = instrument.instrument_id
            lots[name] = lots.get(name, 0) + ib_orders.whole_lots(instrument, held.position)
    return lots


def cash_of(positions: Iterable[Position], values: Sequence[AccountValue]) -> dict[str, int] | None:
    """Return cash by currency in minor units, None where none is told.

    Raises ConnectionError while the broker says that its values do not hold, or tells no number.
    """
    if any(v.tag == "AccountReady" and v.value.lower() == "false" for v in values):
        raise ConnectionError("the account must be ready, the broker says that it is not")
    cash = {v.currency: _cash(v) for v in values if v.tag == "CashBalance" and v.currency != "BASE"}
    if not cash:
        return None
    for held in positions:  # a currency that was bought is a position, and no cash besides
        currency = held.contract.symbol
        if held.contract.secType == "CASH" and currency in cash:
            cash[currency] -= to_minor(str(held.position))
    return {currency: minor for currency, minor in cash.items() if minor}


def rate_of(told: AccountValue) -> Decimal | None:
    """Return what one unit of a value's currency is worth in the account's own base currency.

    None where the value is no such rate; the broker's word for none is the largest number.
    """
    if told.tag != "ExchangeRate" or told.currency in ("", "BASE"):
        return None
    rate = _number(told.value)
    return rate if rate is not None and _RATE_MIN <= rate <= 1 / _RATE_MIN else None


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < Decimal(UNSET) else None


def _cash(told: AccountValue) -> int:
    amount = _number(told.value)
    if amount is None:
        raise ConnectionError(
            f"the account's cash in {told.currency} must be a number, was {told.value[:40]!r}"
        )
    return to_minor(amount)


def taken_back(fills: Iterable[Fill], find: Find, time_ns: int) -> list[ev.ExecutionCorrected]:
    """Return the corrections that leave nothing of an execution."""
    told = (
        ib_orders.corrected(fill.execution, instrument, time_ns)
        for fill in ib_orders.taken_back(fills)
        if (instrument := find(fill.contract)) is not None
    )
    return [correction for correction in told if correction is not None]
