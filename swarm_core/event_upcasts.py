"""The steps that lift stored events of an older version to the next one."""

from collections.abc import Callable, Mapping
from typing import Any

Body = dict[str, Any]


def _with_stop_price(body: Body) -> Body:
    return {**body, "order": {**body["order"], "stop_price_ticks": None}}


def _with_exit_kind(body: Body) -> Body:
    return {**body, "order": {**body["order"], "exit_kind": None}}


def _with_exits(body: Body) -> Body:
    return {**body, "sizing": {**body["sizing"], "exits": None}}


def _with_levels(body: Body) -> Body:
    limits, sizing = body["limits"], body["sizing"]
    return {
        **body,
        "limits": {**limits, "levels": []},
        "sizing": {**sizing, "parent_decision_id": ""},
    }


def _with_liquidity(body: Body) -> Body:
    return {**body, "is_maker": False, "is_margined": False}


def _with_forecasts(body: Body) -> Body:
    return {**body, "plan": {**body["plan"], "forecasts": [], "impact_coefficient": 1.0}}


def _with_filled_lots(body: Body) -> Body:
    return {**body, "filled_lots": None}


def _with_amount(body: Body) -> Body:
    return {**body, "amount_minor": None}


def _as_owed(body: Body) -> Body:
    return {**body, "is_estimate": False}


def _as_sent(body: Body) -> Body:
    return {**body, "kind": None, "time_in_force": None}


def _of_tables(body: Body) -> Body:
    return {**body, "source": ""}


# (class, stored version) -> the step to the next version.
UPCASTS: Mapping[tuple[str, int], Callable[[Body], Body]] = {
    ("OrderIntended", 1): _with_stop_price,
    ("OrderIntended", 2): _with_exit_kind,
    ("OrderFilled", 1): _with_liquidity,
    ("OrderCancelled", 1): _with_filled_lots,
    ("ReferencesTaken", 1): _with_levels,
    ("ReferencesTaken", 2): _with_exits,
    ("CurrencyMarked", 1): _of_tables,
    ("OrderModified", 1): _as_sent,
    ("WorkingStarted", 1): _with_forecasts,
    ("VariationSettled", 1): _with_amount,
    ("EntitlementAccrued", 1): _as_owed,
    ("EntitlementPaid", 1): _with_amount,
}
