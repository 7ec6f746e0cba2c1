"""Futures: variation margin every day, cash at expiry, and when and how to roll.

A futures position is booked by its margin, not by its price: opening moves no cash, each
session's profit becomes cash at the settlement price, and the net asset value is the same as if
the full price had been paid. Full-cost books would show cash that is not there, and charge
interest on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swarm_core import events as ev
from swarm_core.action_events import ActionKind
from swarm_core.ledger import Ledger
from swarm_core.orders import Order, OrderKind, OrderSide, TimeInForce

ROLL = "roll"  # the strategy that orders of a roll are counted to


def variation_settlements(
    ledger: Ledger, settlement_ticks: Mapping[str, int], time_ns: int
) -> list[ev.Event]:
    """Return the daily settlement of every margined position that has a settlement price.

    cash += lots x (price - price of the last settlement or trade) x lot_tick. Source: Hull,
    Options, Futures and Other Derivatives, "the operation of margin accounts".
    """
    return [
        ev.VariationSettled(
            event_id=ev.make_event_id("VariationSettled", instrument_id, time_ns),
            time_ns=time_ns,
            instrument_id=instrument_id,
            price_ticks=settlement_ticks[instrument_id],
        )
        for instrument_id, position in sorted(ledger.positions.items())
        if position.is_margined and position.lots and instrument_id in settlement_ticks
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class FutureContract:
    """One delivery month of a root, and the session (ISO date) on which it expires."""

    instrument_id: str
    root: str
    expiry_session: str


def expiry_events(
    contract: FutureContract, ledger: Ledger, final_ticks: int, time_ns: int
) -> list[ev.Event]:
    """Return the end of a position at the final settlement price: settled, then closed in cash.

    Physical delivery is not modelled: a position that should not be delivered is rolled before.
    """
    position = ledger.positions.get(contract.instrument_id)
    if position is None or not position.lots:
        return []
    final_value = position.lots * final_ticks * position.lot_tick_minor
    settled = ev.VariationSettled(
        event_id=ev.make_event_id("VariationSettled", contract.instrument_id, time_ns, "final"),
        time_ns=time_ns,
        instrument_id=contract.instrument_id,
        price_ticks=final_ticks,
    )
    action_id = f"expiry:{contract.instrument_id}:{contract.expiry_session}"
    closed = ev.HoldingChanged(
        event_id=ev.make_event_id("HoldingChanged", action_id),
        time_ns=time_ns,
        action_id=action_id,
        action=ActionKind.EXPIRY,
        instrument_id=contract.instrument_id,
        currency=position.currency,
        lots_change=-position.lots,
        cost_out_minor=final_value if position.is_margined else position.cost_minor,
        cash_minor=0 if position.is_margined else final_value,
        mark_ticks=final_ticks,
    )
    return [settled, closed]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRoll:
    """Roll `sessions_before` sessions before the expiry. Source: the roll of the S&P GSCI."""

    sessions_before: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.sessions_before <= 250:
            raise ValueError(f"sessions_before must be in 0..250, was {self.sessions_before}")

    def is_due(self, sessions_left: int, volume_lots: int, next_volume_lots: int) -> bool:
        """Return whether to roll with so many sessions left to the expiry."""
        return sessions_left <= self.sessions_before


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRoll:
    """Roll when the next contract trades more, and by `sessions_before` at the latest.

    Source: Zipline's "volume" roll style (Quantopian, 2017).
    """

    sessions_before: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.sessions_before <= 250:
            raise ValueError(f"sessions_before must be in 0..250, was {self.sessions_before}")

    def is_due(self, sessions_left: int, volume_lots: int, next_volume_lots: int) -> bool:
        """Return whether to roll, by the volumes of the last session and the sessions left."""
        return next_volume_lots > volume_lots or sessions_left <= self.sessions_before


def next_contract(contract: FutureContract, chain: Sequence[FutureContract]) -> FutureContract:
    """Return the contract of the same root that expires next; ValueError where there is none."""
    later = [
        c for c in chain if c.root == contract.root and c.expiry_session > contract.expiry_session
    ]
    if not later:
        raise ValueError(f"a contract after {contract.instrument_id} must be known, was none")
    return min(later, key=lambda c: c.expiry_session)


def roll_orders(
    decision_id: str, held_lots: int, contract: FutureContract, following: FutureContract
) -> tuple[Order, Order]:
    """Return the order that closes a position and the one that opens it in the next contract.

    They are two orders like any others: the gate judges both, and both pay what fills pay.
    """
    return roll_pair(decision_id, held_lots, contract.instrument_id, following.instrument_id)


def roll_pair(
    decision_id: str, held_lots: int, instrument_id: str, following_id: str
) -> tuple[Order, Order]:
    """Return the two orders of a roll between contracts that are named."""
    if not held_lots:
        raise ValueError(f"a position in {instrument_id} must be held to roll, was none")
    return (
        roll_leg(decision_id, -held_lots, instrument_id),
        roll_leg(decision_id, held_lots, following_id),
    )


def roll_leg(decision_id: str, signed_lots: int, instrument_id: str) -> Order:
    """Return one of the two orders: to buy so many lots, or to sell them where they are below 0."""
    return Order(
        decision_id=decision_id,
        instrument_id=instrument_id,
        side=OrderSide.BUY if signed_lots > 0 else OrderSide.SELL,
        quantity_lots=abs(signed_lots),
        kind=OrderKind.MARKET_ON_OPEN,
        time_in_force=TimeInForce.DAY,
        strategy=ROLL,
    )
