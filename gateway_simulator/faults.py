"""Faults on cue: what goes wrong, and when; read from a script or asked for by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import Enum
from typing import Any


class FaultKind(Enum):
    """All that can go wrong."""

    LOSE_ORDER = "lose_order"  # the connection breaks before the order is read
    DROP_BEFORE_ACK = "drop_before_ack"  # the order is taken, the connection breaks before a word
    DROP = "drop"  # the connection breaks
    HALF_OPEN = "half_open"  # the connection stands, and nothing comes or goes any more
    REFUSE_CONNECTIONS = "refuse_connections"
    RESTART = "restart"  # all connections break, and order ids begin at 1 again
    UPSTREAM_LOST = "upstream_lost"  # 1100
    UPSTREAM_BACK = "upstream_back"  # 1102: subscriptions live
    UPSTREAM_BACK_DATA_LOST = "upstream_back_data_lost"  # 1101: subscriptions are gone
    FARM_DOWN = "farm_down"  # 2103
    FARM_UP = "farm_up"  # 2104
    FILL_WHILE_AWAY = "fill_while_away"  # every connection breaks, then what works is filled
    MANUAL_ORDER = "manual_order"  # a person places an order: id 0
    DUPLICATE_FILLS = "duplicate_fills"  # each is told twice
    LATE_FILLS = "late_fills"  # each is told after delay_s
    REORDER_FILLS = "reorder_fills"  # two at a time, the second first
    PARTIAL_FILLS = "partial_fills"  # `quantity` at most at once
    COMMISSION_FIRST = "commission_first"  # before its execution
    COMMISSION_LATE = "commission_late"  # delay_s after its execution
    REJECT = "reject"  # the next order, or change of one
    PACING = "pacing"  # the next historical request is refused for its pace
    SLOW = "slow"  # every answer takes delay_s
    TORN = "torn"  # bytes are split anywhere
    CLOCK_SKEW = "clock_skew"  # the gateway's clock is wrong by `seconds`
    END = "end"  # every lasting fault ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault; it happens `after_s` seconds after the `nth` event of a kind, or after now.

    `at` names a message as the clients send it (`place_order`, `cancel_order`, `req_positions`),
    or `connect`, or `fill`.
    """

    kind: FaultKind
    at: str = ""
    nth: int = 1
    after_s: float = 0.0
    seconds: float = 0.0
    delay_s: float = 0.0
    quantity: Decimal = Decimal(1)
    symbol: str = "AAPL"
    action: str = "BUY"
    limit: Decimal | None = None
    reason: str = "scripted"
    farm: str = "usfarm"

    def __post_init__(self) -> None:
        if self.nth < 1:
            raise ValueError(f"nth must be >= 1, was {self.nth}")
        for name in ("after_s", "delay_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, was {getattr(self, name)}")


_DECIMALS = ("quantity", "limit")


def fault_of(given: Mapping[str, Any]) -> Fault:
    """Return a fault from a mapping; ValueError says which word is unknown or wrong."""
    known = {field.name for field in fields(Fault)}
    unknown = sorted(str(key) for key in set(given) - known)
    if unknown:
        raise ValueError(f"a fault must have only {sorted(known)}, had {unknown}")
    kinds = [kind.value for kind in FaultKind]
    if given.get("kind") not in kinds:
        raise ValueError(f"kind must be one of {kinds}, was {given.get('kind')!r}")
    values = {k: Decimal(str(v)) if k in _DECIMALS else v for k, v in given.items()}
    for name in ("nth", "after_s", "seconds", "delay_s"):
        if name in values and not isinstance(values[name], int | float):
            raise ValueError(f"{name} must be a number, was {values[name]!r}")
    return Fault(**{**values, "kind": FaultKind(given["kind"])})


def script_of(given: object) -> list[Fault]:
    """Return the faults of a script: a list, or a mapping that has it under `faults`."""
    listed = given.get("faults") if isinstance(given, Mapping) else given
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise TypeError(f"a script must be a list of faults, was a {type(given).__name__}")
    for item in listed:
        if not isinstance(item, Mapping):
            raise TypeError(f"a fault must be a mapping, was {item!r}")
    return [fault_of(item) for item in listed]
