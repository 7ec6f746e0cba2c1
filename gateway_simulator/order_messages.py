"""How the gateway tells of orders, executions and commissions."""

from gateway_simulator.clock import date_time_text
from gateway_simulator.message_ids import Out
from gateway_simulator.order_request import DELTA_NEUTRAL, PEG_BENCH, SCALE, OrderRequest
from gateway_simulator.orders import Commission, Execution, LiveOrder, Margin
from gateway_simulator.wire import UNSET_DOUBLE, Field

_DEFAULTS = {
    "lmtPrice": "0.0",
    "auxPrice": "0.0",
    "tif": "DAY",
    "openClose": "",
    "origin": "0",
    "outsideRth": "0",
    "exemptCode": "-1",
    "triggerMethod": "0",
    "deltaNeutralOrderType": "None",
    "clearingIntent": "IB",
    "triggerPrice": UNSET_DOUBLE,
    "lmtPriceOffset": UNSET_DOUBLE,
    "adjustedOrderType": "None",
    "parentPermId": "0",
}


def _value(order: OrderRequest, name: str) -> str:
    return order.text(name) or _DEFAULTS.get(name, "")


def open_order(order: LiveOrder, version: int, margin: Margin | None = None) -> list[Field]:
    """Return an order as `openOrder` tells it to a client of a version."""
    asked = order.request

    def take(names: str) -> list[Field]:
        return [_value(asked, name) for name in names.split()]

    fields: list[Field] = [Out.OPEN_ORDER, order.order_id, *order.listing.short_fields()]
    fields += take("action totalQuantity orderType lmtPrice auxPrice tif ocaGroup")
    fields += [order.account, *take("openClose origin orderRef")]
    fields += [order.client_id, order.perm_id]
    fields += take("outsideRth hidden discretionaryAmt goodAfterTime")
    fields += ["", *take("faGroup faMethod faPercentage faProfile modelCode goodTillDate")]
    fields += take("rule80A percentOffset settlingFirm shortSaleSlot designatedLocation exemptCode")
    fields += take("auctionStrategy startingPrice stockRefPrice delta stockRangeLower")
    fields += take("stockRangeUpper displaySize blockOrder sweepToFill allOrNone minQty ocaType")
    fields += [*take("eTradeOnly firmQuoteOnly nbboPriceCap"), order.parent_id]
    fields += take("triggerMethod volatility volatilityType")
    fields += _neutral(asked, DELTA_NEUTRAL)
    fields += take("continuousUpdate referencePriceType trailStopPrice trailingPercent")
    fields += take("basisPoints basisPointsType")
    fields += [*_combo(asked), *_scale(asked), *_hedge(asked)]
    fields += take("optOutSmartRouting clearingAccount clearingIntent notHeld")
    fields += [*_neutral_contract(asked), *_algo(asked), *take("solicited whatIf")]
    fields += [order.status.value, *_margin(margin), *take("randomizeSize randomizePrice")]
    fields += [*_peg(asked), *_conditions(asked)]
    fields += take("adjustedOrderType triggerPrice trailStopPrice lmtPriceOffset")
    fields += take("adjustedStopPrice adjustedStopLimitPrice adjustedTrailingAmount")
    fields += take("adjustableTrailingUnit softDollarTierName softDollarTierVal softDollarTierName")
    fields += take("cashQty dontUseAutoPriceForHedge isOmsContainer")
    return fields + [f for since, name in _LATER if version >= since for f in take(name)]


_OFFSETS = "minTradeQty minCompeteSize competeAgainstBestOffset midOffsetAtWhole midOffsetAtHalf"
_LATER = (
    (148, "discretionaryUpToLimitPrice"),
    (151, "usePriceMgmtAlgo"),
    (158, "duration"),
    (160, "postToAts"),
    (162, "autoCancelParent"),
    (170, _OFFSETS),
)


def completed_order(order: LiveOrder, version: int) -> list[Field]:
    """Return an order that has ended, as `completedOrder` tells it."""
    asked = order.request

    def take(names: str) -> list[Field]:
        return [_value(asked, name) for name in names.split()]

    fields: list[Field] = [Out.COMPLETED_ORDER, *order.listing.short_fields()]
    fields += take("action totalQuantity orderType lmtPrice auxPrice tif ocaGroup")
    fields += [order.account, *take("openClose origin orderRef"), order.perm_id]
    fields += take("outsideRth hidden discretionaryAmt goodAfterTime")
    fields += take("faGroup faMethod faPercentage faProfile modelCode goodTillDate rule80A")
    fields += take("percentOffset settlingFirm shortSaleSlot designatedLocation exemptCode")
    fields += take("startingPrice stockRefPrice delta stockRangeLower stockRangeUpper displaySize")
    fields += take("sweepToFill allOrNone minQty ocaType triggerMethod volatility volatilityType")
    fields += _neutral(asked, [DELTA_NEUTRAL[0], *DELTA_NEUTRAL[5:]])
    fields += take("continuousUpdate referencePriceType trailStopPrice trailingPercent")
    fields += [*_combo(asked), *_scale(asked), *_hedge(asked)]
    fields += take("clearingAccount clearingIntent notHeld")
    fields += [*_neutral_contract(asked), *_algo(asked), *take("solicited")]
    fields += [order.status.value, *take("randomizeSize randomizePrice")]
    fields += [*_peg(asked), *_conditions(asked)]
    fields += take("trailStopPrice lmtPriceOffset cashQty dontUseAutoPriceForHedge isOmsContainer")
    fields += ["", order.filled, "0", "0", "", "0", "0", take("parentPermId")[0]]
    ended = date_time_text(order.ended_ns)
    fields += [ended, order.reason or _ending(order)]
    return fields + (take(_OFFSETS) if version >= 170 else [])


def _ending(order: LiveOrder) -> str:
    if order.status.value == "Filled":
        return f"Filled Size: {order.filled}"
    return f"Cancelled by Trader {order.reason}".strip()


def _neutral(asked: OrderRequest, names: list[str]) -> list[Field]:
    kind = asked.text("deltaNeutralOrderType")
    if kind in ("", "None"):
        # An empty word ends the part for every client; "None" would announce more fields.
        return ["", _value(asked, "deltaNeutralAuxPrice")]
    return [kind, _value(asked, "deltaNeutralAuxPrice"), *(_value(asked, n) for n in names)]


def _combo(asked: OrderRequest) -> list[Field]:
    fields: list[Field] = ["", len(asked.legs)]
    fields += [value for leg in asked.legs for value in leg]
    fields += [len(asked.leg_prices), *asked.leg_prices, len(asked.routing)]
    return fields + [text for pair in asked.routing for text in pair]


def _scale(asked: OrderRequest) -> list[Field]:
    names = ["scaleInitLevelSize", "scaleSubsLevelSize", "scalePriceIncrement"]
    return [_value(asked, name) for name in names + (SCALE if asked.has_scale else [])]


def _hedge(asked: OrderRequest) -> list[Field]:
    kind = asked.text("hedgeType")
    return [kind, asked.text("hedgeParam")] if kind else [""]


def _neutral_contract(asked: OrderRequest) -> list[Field]:
    return [True, *asked.neutral] if asked.neutral else [False]


def _algo(asked: OrderRequest) -> list[Field]:
    name = asked.text("algoStrategy")
    if not name:
        return [""]
    return [name, len(asked.algo), *(text for pair in asked.algo for text in pair)]


def _peg(asked: OrderRequest) -> list[Field]:
    return [_value(asked, name) for name in PEG_BENCH] if asked.is_peg_bench else []


def _conditions(asked: OrderRequest) -> list[Field]:
    fields: list[Field] = [len(asked.conditions)]
    fields += [value for condition in asked.conditions for value in condition]
    if asked.conditions:
        fields += [asked.text("conditionsIgnoreRth"), asked.text("conditionsCancelOrder")]
    return fields


def _margin(margin: Margin | None) -> list[Field]:
    """Return the nine amounts, the three commissions, their currency and a warning."""
    if margin is None:
        return [*([UNSET_DOUBLE] * 9), "", "", "", "", ""]
    return [
        margin.initial_before,
        margin.maintenance_before,
        margin.equity_before,
        margin.initial_after - margin.initial_before,
        margin.maintenance_after - margin.maintenance_before,
        margin.equity_after - margin.equity_before,
        margin.initial_after,
        margin.maintenance_after,
        margin.equity_after,
        *([margin.commission] * 3),  # what it is, at least, and at most
        margin.currency,
        "",
    ]


def order_status(order: LiveOrder) -> list[Field]:
    """Return how far an order has come, as `orderStatus` tells it."""
    return [
        Out.ORDER_STATUS,
        order.order_id,
        order.status.value,
        order.filled,
        order.remaining,
        order.average_price,
        order.perm_id,
        order.parent_id,
        order.last_price,
        order.client_id,
        order.held,
        "0",
    ]


def execution(told: Execution, request_id: int) -> list[Field]:
    """Return a fill, as `execDetails` tells it; request id -1 is one that nobody asked for."""
    return [
        Out.EXECUTION,
        request_id,
        told.order_id,
        *told.listing.short_fields(),
        told.exec_id,
        date_time_text(told.time_ns),
        told.order.account,
        told.exchange,
        told.side,
        told.quantity,
        told.price,
        told.order.perm_id,
        told.client_id,
        0,
        told.cumulative,
        told.average_price,
        told.order.ref,
        "",
        "",
        told.order.request.text("modelCode"),
        2,
    ]


def commission(told: Commission) -> list[Field]:
    """Return what an execution cost, as `commissionReport` tells it."""
    realized = UNSET_DOUBLE if told.realized is None else told.realized
    return [
        Out.COMMISSION,
        1,
        told.exec_id,
        told.amount,
        told.currency,
        realized,
        UNSET_DOUBLE,
        "",
    ]
