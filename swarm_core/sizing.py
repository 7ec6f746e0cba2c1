"""From target weights to whole lots: what to buy and sell so that the book becomes the target."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Protocol

from swarm_core.book import Book
from swarm_core.brackets import exits_for
from swarm_core.instruments import LOTS_MAX
from swarm_core.orders import Order, OrderSide, client_order_id
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.context import InstrumentRisk, RiskContext
from swarm_core.sizing_settings import ExitSettings, SizingSettings

WEIGHT_MAX = 1_000.0  # times NAV: no book is meant to be larger, and lots stay countable


class Targets(Protocol):
    """The part of a decision that orders are made of; weights are fractions of NAV."""

    @property
    def decision_id(self) -> str: ...
    @property
    def time_ns(self) -> int: ...
    @property
    def instrument_ids(self) -> tuple[str, ...]: ...
    @property
    def target_weights(self) -> "WeightVector": ...


class WeightVector(Protocol):
    """A sequence of N floats: a tuple or a numpy array."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> float: ...


@dataclass(frozen=True, slots=True)
class DeniedTarget:
    instrument_id: str
    code: DenialCode
    detail: str


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be traded of one instrument, and what is surely held once it is, in lots."""

    lots: int
    held_after: int
    reference_ticks: int


def find_fault(decision: Targets) -> str | None:
    """Return why a decision may not be traded at all, or None."""
    ids, weights = decision.instrument_ids, decision.target_weights
    if len(ids) != len(weights):
        return f"target_weights must be one per instrument, were {len(weights)} for {len(ids)}"
    if len(set(ids)) != len(ids):
        return "instrument_ids must name each instrument once, and do not"
    for i, instrument_id in enumerate(ids):
        if not isfinite(weights[i]):
            return f"target weight of {instrument_id} must be finite, was {weights[i]}"
        if abs(weights[i]) > WEIGHT_MAX:
            return (
                f"target weight of {instrument_id} must be in -{WEIGHT_MAX:g}..{WEIGHT_MAX:g} of "
                f"NAV, was {weights[i]:g}"
            )
    return None


def size(
    decision: Targets, book: Book, context: RiskContext, settings: SizingSettings
) -> tuple[list[Order], list[DeniedTarget]]:
    """Return the orders that move the book to the target, and the targets that cannot be sized.

    Lots are rounded towards zero, so no target is exceeded. What already works at the broker
    counts as done. Orders that reduce come first, then those that add, each by instrument id.
    """
    changes: dict[str, _Change] = {}
    denied: list[DeniedTarget] = []
    targets: Mapping[str, float] = {
        instrument_id: float(decision.target_weights[i])
        for i, instrument_id in enumerate(decision.instrument_ids)
    }
    dust_above, dust_below = float(settings.dust_fraction).as_integer_ratio()
    for instrument_id in sorted(targets):
        weight = targets[instrument_id]
        risk = context.instruments.get(instrument_id)
        if risk is None or risk.unmeasured is not None or context.nav is None:
            if weight or book.lots(instrument_id):
                detail = f"Target weight was {weight:.6f}."
                denied.append(_deny(instrument_id, detail, context))
            continue
        wanted = _lots_of(weight, context.nav, risk.lot_value)
        change = _open_change(risk, wanted)
        closes = wanted == 0 and change != 0
        is_dust = abs(change) * risk.lot_value * dust_below < dust_above * context.nav
        if change == 0 or (is_dust and not closes):
            continue
        if abs(change) > LOTS_MAX:
            denied.append(_out_of_range(instrument_id, change))
            continue
        found = _change_of(risk, change, wanted)
        if settings.exits is not None and found.held_after and risk.reference_ticks < 0:
            denied.append(_without_exits(instrument_id))
            continue
        changes[instrument_id] = found
    return _orders_of(decision.decision_id, changes, book, settings), denied


def size_lots(
    decision_id: str,
    targets: Mapping[str, int],
    book: Book,
    context: RiskContext,
    settings: SizingSettings,
) -> tuple[list[Order], list[DeniedTarget]]:
    """Return the orders that move the book to targets in lots, as `size` does from weights.

    Every difference is traded, however small.
    """
    changes: dict[str, _Change] = {}
    denied: list[DeniedTarget] = []
    for instrument_id in sorted(targets):
        risk = context.instruments.get(instrument_id)
        change = 0 if risk is None else _open_change(risk, targets[instrument_id])
        if risk is not None and change == 0:
            continue
        if risk is None or risk.unmeasured is not None or context.nav is None:
            detail = f"Target was {targets[instrument_id]} lots."
            denied.append(_deny(instrument_id, detail, context))
            continue
        if abs(change) > LOTS_MAX:
            denied.append(_out_of_range(instrument_id, change))
            continue
        found = _change_of(risk, change, targets[instrument_id])
        if settings.exits is not None and found.held_after and risk.reference_ticks < 0:
            denied.append(_without_exits(instrument_id))
            continue
        changes[instrument_id] = found
    return _orders_of(decision_id, changes, book, settings), denied


def _lots_of(weight: float, nav: int, lot_value: int) -> int:
    """Return the whole lots of a weight, exactly: rounded towards zero, whatever its sign."""
    above, below = weight.as_integer_ratio()
    lots = abs(above) * nav // (below * lot_value)
    return lots if above >= 0 else -lots


def _change_of(risk: InstrumentRisk, change: int, wanted: int) -> _Change:
    """Return the change, and what is held after it in the worst case.

    Earlier orders that work still may fill or not: those that add are not counted on.
    """
    sign = 1 if wanted > 0 else -1
    against = risk.open_sell_lots if wanted > 0 else risk.open_buy_lots
    sure = min(sign * (risk.position_lots + change) - against, abs(wanted))
    return _Change(change, sign * max(0, sure), risk.reference_ticks)


def _open_change(risk: InstrumentRisk, wanted: int) -> int:
    """Return the lots between what is wanted and what is held or already working."""
    return wanted - risk.position_lots - (risk.open_buy_lots - risk.open_sell_lots)


def _orders_of(
    decision_id: str, changes: Mapping[str, _Change], book: Book, settings: SizingSettings
) -> list[Order]:
    orders = [
        Order(
            decision_id=decision_id,
            instrument_id=instrument_id,
            side=OrderSide.BUY if change.lots > 0 else OrderSide.SELL,
            quantity_lots=abs(change.lots),
            kind=settings.kind,
            time_in_force=settings.time_in_force,
            strategy=settings.strategy,
            parent_client_order_id=_parent_of(settings, instrument_id),
        )
        for instrument_id, change in changes.items()
    ]
    ordered = sorted(
        orders, key=lambda o: (o.signed_lots * book.lots(o.instrument_id) >= 0, o.instrument_id)
    )
    if settings.exits is None:
        return ordered
    return [
        each
        for order in ordered
        for each in (order, *_exits_of(order, changes[order.instrument_id], settings.exits))
    ]


def _exits_of(order: Order, change: _Change, exits: ExitSettings) -> tuple[Order, ...]:
    """Return the two ways out of the position that an order leaves; none where it leaves none."""
    if not 0 < abs(change.held_after) <= LOTS_MAX:
        return ()
    return exits_for(order, change.held_after, change.reference_ticks, exits)


def _out_of_range(instrument_id: str, change: int) -> DeniedTarget:
    detail = f"{abs(change)} lots must be within {LOTS_MAX}"
    return DeniedTarget(instrument_id, DenialCode.OUT_OF_RANGE, detail)


def _without_exits(instrument_id: str) -> DeniedTarget:
    """Deny what would be held without a stop: none stands below zero."""
    code = DenialCode.BAD_REFERENCE
    return DeniedTarget(instrument_id, code, f"{code.explanation} Exits need a price above zero.")


def _parent_of(settings: SizingSettings, instrument_id: str) -> str:
    parent = settings.parent_decision_id
    return client_order_id(parent, instrument_id, 0) if parent else ""


def _deny(instrument_id: str, detail: str, context: RiskContext) -> DeniedTarget:
    risk = context.instruments.get(instrument_id)
    code = DenialCode.UNKNOWN_INSTRUMENT if risk is None else risk.unmeasured
    code = code or DenialCode.NO_NET_ASSET_VALUE
    return DeniedTarget(instrument_id, code, f"{code.explanation} {detail}")
