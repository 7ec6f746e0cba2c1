"""Reads an order as clients send it: the fields by name, and the few that the market acts on."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from gateway_simulator.listings import Asked, read_asked
from gateway_simulator.wire import Fields, number_of


def _names(text: str) -> list[str]:
    return text.split()


_FIRST = _names(
    "action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account openClose origin "
    "orderRef transmit parentId blockOrder sweepToFill displaySize triggerMethod outsideRth "
    "hidden"
)
_SECOND = _names(
    "discretionaryAmt goodAfterTime goodTillDate faGroup faMethod faPercentage faProfile "
    "modelCode shortSaleSlot designatedLocation exemptCode ocaType rule80A settlingFirm "
    "allOrNone minQty percentOffset eTradeOnly firmQuoteOnly nbboPriceCap auctionStrategy "
    "startingPrice stockRefPrice delta stockRangeLower stockRangeUpper "
    "overridePercentageConstraints volatility volatilityType deltaNeutralOrderType "
    "deltaNeutralAuxPrice"
)
DELTA_NEUTRAL = _names(
    "deltaNeutralConId deltaNeutralSettlingFirm deltaNeutralClearingAccount "
    "deltaNeutralClearingIntent deltaNeutralOpenClose deltaNeutralShortSale "
    "deltaNeutralShortSaleSlot deltaNeutralDesignatedLocation"
)
_THIRD = _names(
    "continuousUpdate referencePriceType trailStopPrice trailingPercent scaleInitLevelSize "
    "scaleSubsLevelSize scalePriceIncrement"
)
SCALE = _names(
    "scalePriceAdjustValue scalePriceAdjustInterval scaleProfitOffset scaleAutoReset "
    "scaleInitPosition scaleInitFillQty scaleRandomPercent"
)
PEG_BENCH = _names(
    "referenceContractId isPeggedChangeAmountDecrease peggedChangeAmount "
    "referenceChangeAmount referenceExchangeId"
)
_ADJUSTED = _names(
    "adjustedOrderType triggerPrice lmtPriceOffset adjustedStopPrice adjustedStopLimitPrice "
    "adjustedTrailingAmount adjustableTrailingUnit extOperator softDollarTierName "
    "softDollarTierVal cashQty mifid2DecisionMaker mifid2DecisionAlgo mifid2ExecutionTrader "
    "mifid2ExecutionAlgo dontUseAutoPriceForHedge isOmsContainer"
)
# What came with later versions, in the order in which it came.
_LATER = (
    (148, "discretionaryUpToLimitPrice"),
    (151, "usePriceMgmtAlgo"),
    (158, "duration"),
    (160, "postToAts"),
    (162, "autoCancelParent"),
    (166, "advancedErrorOverride"),
    (169, "manualOrderTime"),
)
LEG = _names("conId ratio action exchange openClose shortSaleSlot designatedLocation exemptCode")
# How many fields follow the kind of a condition: price, time, margin, execution, volume, percent.
_CONDITION_FIELDS = {1: 6, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5}
PEG_BENCH_TYPES = ("PEG BENCH", "PEGBENCH")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as it was sent: its id, its contract, and every field by name."""

    order_id: int
    contract: Asked
    values: Mapping[str, str]
    legs: tuple[tuple[str, ...], ...] = ()
    leg_prices: tuple[str, ...] = ()
    routing: tuple[tuple[str, str], ...] = ()
    algo: tuple[tuple[str, str], ...] = ()
    conditions: tuple[tuple[str, ...], ...] = ()
    neutral: tuple[str, ...] = ()  # the contract that makes it delta neutral: id, delta, price

    def text(self, name: str) -> str:
        return self.values.get(name, "")

    def number(self, name: str) -> Decimal | None:
        return number_of(self.text(name))

    def whole(self, name: str) -> int:
        return int(self.number(name) or 0)

    def flag(self, name: str) -> bool:
        return self.text(name) not in ("", "0")

    @property
    def is_peg_bench(self) -> bool:
        return self.text("orderType") in PEG_BENCH_TYPES

    @property
    def has_scale(self) -> bool:
        return (self.number("scalePriceIncrement") or Decimal(0)) > 0


def read_order(fields: Fields, version: int) -> OrderRequest:
    """Read a placed order as clients of a version send it; BadMessageError where it breaks off."""
    order_id, contract = fields.whole(), read_asked(fields)
    values: dict[str, str] = {}

    def take(names: list[str]) -> None:
        values.update((name, fields.text()) for name in names)

    take(["secIdType", "secId", *_FIRST])
    legs, leg_prices, routing = _read_combo(fields) if contract.sec_type == "BAG" else ((), (), ())
    fields.text()  # shares of an allocation, long out of use
    take(_SECOND)
    if values["deltaNeutralOrderType"] not in ("", "None"):
        take(DELTA_NEUTRAL)
    take(_THIRD)
    if (number_of(values["scalePriceIncrement"]) or 0) > 0:
        take(SCALE)
    take(["scaleTable", "activeStartTime", "activeStopTime", "hedgeType"])
    if values["hedgeType"]:
        take(["hedgeParam"])
    take(["optOutSmartRouting", "clearingAccount", "clearingIntent", "notHeld"])
    neutral = tuple(fields.text() for _ in range(3)) if fields.flag() else ()
    take(["algoStrategy"])
    algo = _read_pairs(fields) if values["algoStrategy"] else ()
    take(["algoId", "whatIf", "orderMiscOptions", "solicited", "randomizeSize", "randomizePrice"])
    if values["orderType"] in PEG_BENCH_TYPES:
        take(PEG_BENCH)
    conditions = tuple(_read_condition(fields) for _ in range(fields.whole()))
    if conditions:
        take(["conditionsIgnoreRth", "conditionsCancelOrder"])
    take(_ADJUSTED)
    take([name for since, name in _LATER if version >= since])
    if version >= 170:
        _read_offsets(fields, contract, values)
    return OrderRequest(
        order_id=order_id,
        contract=contract,
        values=values,
        legs=legs,
        leg_prices=leg_prices,
        routing=routing,
        algo=algo,
        conditions=conditions,
        neutral=neutral,
    )


def _read_pairs(fields: Fields) -> tuple[tuple[str, str], ...]:
    return tuple((fields.text(), fields.text()) for _ in range(fields.whole()))


def _read_combo(
    fields: Fields,
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...], tuple[tuple[str, str], ...]]:
    legs = tuple(tuple(fields.text() for _ in LEG) for _ in range(fields.whole()))
    prices = tuple(fields.text() for _ in range(fields.whole()))
    return legs, prices, _read_pairs(fields)


def _read_condition(fields: Fields) -> tuple[str, ...]:
    kind = fields.whole()
    return (str(kind), *(fields.text() for _ in range(_CONDITION_FIELDS.get(kind, 0))))


def _read_offsets(fields: Fields, contract: Asked, values: dict[str, str]) -> None:
    if contract.exchange == "IBKRATS":
        values["minTradeQty"] = fields.text()
    kind = values["orderType"]
    if kind in ("PEG BEST", "PEGBEST"):
        values["minCompeteSize"] = fields.text()
        values["competeAgainstBestOffset"] = offset = fields.text()
        if offset.startswith("Infinit"):
            values["midOffsetAtWhole"], values["midOffsetAtHalf"] = fields.text(), fields.text()
    elif kind in ("PEG MID", "PEGMID"):
        values["midOffsetAtWhole"], values["midOffsetAtHalf"] = fields.text(), fields.text()
