"""What a check set costs an order: the readable gate beside the compiled one, at every level.

Each order passes (or is denied by) every rule on the book, on its instrument and on its strategy.
Run `python -m benchmarks.risk_gate`.
"""

import json
from decimal import Decimal
from pathlib import Path
from time import perf_counter_ns

import numpy as np

from swarm_core.book import book_from_events
from swarm_core.instruments import Instrument
from swarm_core.market import Quote
from swarm_core.orders import Order, OrderKind, OrderSide
from swarm_core.risk.compiled import CompiledGate
from swarm_core.risk.context import RiskContext, measure
from swarm_core.risk.gate import check_order
from swarm_core.risk.limits import RiskLimits

INSTRUMENTS, ORDERS, ROUNDS, SEED = 200, 400, 15, 20260101
RESULTS = Path(__file__).parent / "results" / "risk_gate.json"
LEVELS = {
    "tenant": {"hive": {"gross_fraction_max": 1.5}},
    "trader": {"anna": {"order_value_max": 60_000, "messages_max": 1_000}},
    "strategy": {"bees": {"gross_fraction_max": 0.4}, "ants": {"net_fraction_max": 0.5}},
    "instrument": {f"US.{i}": {"position_value_max": 40_000} for i in range(0, INSTRUMENTS, 4)},
}


def make_context(levels: dict[str, object]) -> RiskContext:
    """Return the account: 100 million, 200 instruments in ten sectors, nothing held."""
    instruments = {
        f"US.{i}": Instrument(
            instrument_id=f"US.{i}", asset_class="equity", currency="USD", sector=f"s{i % 10}"
        )
        for i in range(INSTRUMENTS)
    }
    quotes = {
        name: Quote.from_price(one, 100.0, 1, daily_volume=1e7, session_open=True)
        for name, one in instruments.items()
    }
    return measure(
        book=book_from_events([], "USD", Decimal(10**6)),
        quotes=quotes,
        instruments=instruments,
        limits=RiskLimits.from_mapping({"levels": levels, "messages_max": 5_000}),
        time_ns=1,
    )


def make_orders() -> list[Order]:
    """Return orders of every kind; about one in ten asks for too much."""
    generator = np.random.default_rng(SEED)
    orders: list[Order] = []
    for number in range(ORDERS):
        kind = (OrderKind.MARKET, OrderKind.LIMIT, OrderKind.STOP)[number % 3]
        orders.append(
            Order(
                decision_id=f"d{number}",
                instrument_id=f"US.{generator.integers(INSTRUMENTS)}",
                side=OrderSide.BUY if number % 2 else OrderSide.SELL,
                quantity_lots=int(generator.choice([5, 10, 20, 5_000], p=[0.3, 0.3, 0.3, 0.1])),
                kind=kind,
                limit_price_ticks=10_050 if kind.has_limit else None,
                stop_price_ticks=(10_100 if number % 2 else 9_900) if kind.has_stop else None,
                strategy=("bees", "ants", "wasps")[number % 3],
            )
        )
    return orders


def each_us(check: object, orders: list[Order]) -> list[float]:
    """Return the microseconds that each order took."""
    took: list[float] = []
    for order in orders:
        start = perf_counter_ns()
        check(order)  # type: ignore[operator]  # a function of one order
        took.append((perf_counter_ns() - start) / 1_000)
    return took


def costs(levels: dict[str, object]) -> dict[str, float]:
    """Return microseconds an order, interleaved: the least round, and the worst hundredth."""
    context, orders = make_context(levels), make_orders()
    CompiledGate(context).check(orders)  # compiles
    readable, single, basket, packing = ([] for _ in range(4))
    tail: list[float] = []
    for _ in range(ROUNDS):
        readable.append(sum(each_us(lambda o: check_order(o, context), orders)) / ORDERS)
        start = perf_counter_ns()
        one = CompiledGate(context)
        packing.append((perf_counter_ns() - start) / 1_000)
        took = each_us(lambda o, gate=one: gate.check([o]), orders)
        single.append(sum(took) / ORDERS)
        tail.append(float(np.quantile(took, 0.99)))
        many = CompiledGate(context)
        start = perf_counter_ns()
        many.check(orders)
        basket.append((perf_counter_ns() - start) / 1_000 / ORDERS)
    return {
        "readable_us": min(readable),
        "compiled_one_by_one_us": min(single),
        "compiled_one_by_one_p99_us": min(tail),
        "compiled_basket_us": min(basket),
        "compiled_packing_us": min(packing),
        "readable_over_basket": min(readable) / min(basket),
    }


def main() -> None:
    results = {
        f"{name}_{key}": round(value, 3)
        for name, levels in (("firm", {}), ("all_levels", LEVELS))
        for key, value in costs(levels).items()  # type: ignore[arg-type]  # a mapping of levels
    }
    for name, value in results.items():
        print(f"{name:44} {value:12,.2f}")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
