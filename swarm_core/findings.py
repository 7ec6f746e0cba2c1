"""What a comparison of the book with its account can find, and how each kind tightens trading."""

from dataclasses import dataclass
from enum import Enum

from swarm_core.trading_state import TradingState

_S = TradingState


class FindingKind(Enum):
    """What a comparison can find, and the tightest state in which trading may go on with it."""

    MISSED_FILL = ("missed_fill", _S.ACTIVE)  # booked now
    MISSED_COMMISSION = ("missed_commission", _S.ACTIVE)  # booked now
    MISSED_STATE = ("missed_state", _S.ACTIVE)  # an acceptance or an end, booked now
    PAYMENT_BOOKED = ("payment_booked", _S.ACTIVE)  # what was owed of an action is paid
    SETTLEMENT_BOOKED = ("settlement_booked", _S.ACTIVE)  # variation margin of futures was paid
    FILL_CORRECTED = ("fill_corrected", _S.ACTIVE)  # the broker's other price or lots are booked
    CASH_BOOKED = ("cash_booked", _S.ACTIVE)  # a difference within the tolerance
    CASH_LATE = ("cash_late", _S.ACTIVE)  # the newest fills are not in the broker's cash yet
    POSITION_LATE = ("position_late", _S.ACTIVE)  # nor are they in its position; nothing leaves
    ORDER_ADOPTED = ("order_adopted", _S.ACTIVE)  # not ours; its fills are booked
    ORDER_CHANGED = ("order_changed", _S.ACTIVE)  # by another hand; booked
    ORDER_GROWN = ("order_grown", _S.REDUCING)  # by another hand, over what was approved; booked
    ORDER_UNBOUND = ("order_unbound", _S.REDUCING)  # by another hand, its price limit gone; booked
    ORDER_STRANGE = ("order_strange", _S.REDUCING)  # by another hand, of a kind that we cannot book
    ORDER_HELD = ("order_held", _S.ACTIVE)  # it rests at the broker without working
    ENDED_WORKS = ("ended_works", _S.ACTIVE)  # ours, and over in the log: its cancel is asked for
    FOREIGN_ORDER = ("foreign_order", _S.REDUCING)  # not ours, and not adopted
    FOREIGN_FILL = ("foreign_fill", _S.REDUCING)  # of an order that is not ours
    ORDER_MISSING = ("order_missing", _S.REDUCING)  # the broker had it and shows it nowhere
    CASH_DIFFERS = ("cash_differs", _S.REDUCING)
    POSITION_DIFFERS = ("position_differs", _S.HALTED)
    FILL_TAKEN_BACK = ("fill_taken_back", _S.HALTED)  # booked now; a person looks at it once
    FILL_CONFLICT = ("fill_conflict", _S.HALTED)  # one execution id, two contents
    OVERFILLED = ("overfilled", _S.HALTED)
    BOOK_IMBALANCE = ("book_imbalance", _S.HALTED)

    def __init__(self, code: str, mode: TradingState) -> None:
        self.code, self.mode = code, mode


@dataclass(frozen=True, slots=True)
class Finding:
    kind: FindingKind
    subject: str  # of what: an order, an execution, an instrument or a currency
    detail: str

    def __str__(self) -> str:
        return f"{self.kind.code} {self.subject}: {self.detail}"
