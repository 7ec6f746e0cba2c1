"""The three states in which trading can stand, and who may move between them."""

from enum import Enum


class TradingState(Enum):
    HALTED = "halted"  # nothing leaves but cancels
    REDUCING = "reducing"  # only what makes a position smaller leaves
    ACTIVE = "active"

    def may_become(self, state: "TradingState", *, by_person: bool) -> bool:
        """Return whether the change is allowed: machines may only tighten, people may also lift."""
        return by_person or _TIGHTNESS[state] >= _TIGHTNESS[self]


_TIGHTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}
