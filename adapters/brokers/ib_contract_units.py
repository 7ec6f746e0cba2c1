"""What a contract is worth and in which steps it is quoted, as the broker says it."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ib_async import ContractDetails

from swarm_core.instruments import Instrument

# Of a share the broker names neither; its fills may lie between two steps of its price.
_UNCHECKED = frozenset({"STK", "IND", "BOND", "FUND", "WAR"})


@dataclass(frozen=True, slots=True)
class ContractUnits:
    """What a price of one is worth in one contract, and the smallest step of its price.

    Decimal numbers as text, empty where the broker does not say.
    """

    multiplier: str = ""
    price_step: str = ""

    @classmethod
    def of(cls, details: ContractDetails) -> "ContractUnits":
        """Return those of a contract; ValueError where the broker tells no number.

        Some prices are told larger than they are: the multiplier is that of the price divided by
        `priceMagnifier`, e.g. of cents.
        """
        contract = details.contract
        if contract is None or contract.secType in _UNCHECKED:
            return cls()
        worth = _number(contract.multiplier or "1") / _number(str(details.priceMagnifier or 1))
        step = _number(str(details.minTick or 0))
        return cls(f"{worth.normalize():f}", f"{step.normalize():f}" if step else "")

    def check(self, instrument: Instrument) -> None:
        """Raise ValueError where an instrument is listed with another value, or coarser steps.

        Its lots would be sized wrong by that factor, and its fills booked at another price.
        """
        name = instrument.instrument_id
        if self.multiplier and Decimal(self.multiplier) != instrument.multiplier:
            raise ValueError(
                f"multiplier of {name} must be {self.multiplier}, as the broker has it, "
                f"was {instrument.multiplier}"
            )
        if self.price_step and Decimal(self.price_step) % instrument.price_increment:
            raise ValueError(
                f"price_increment of {name} must go into {self.price_step}, the broker's "
                f"smallest step, was {instrument.price_increment}"
            )


def _number(told: str) -> Decimal:
    try:
        number = Decimal(told)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or number < 0:
        raise ValueError(f"a contract's multiplier and step must be numbers, was {told!r}")
    return number
