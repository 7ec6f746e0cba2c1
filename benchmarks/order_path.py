"""The order path: durable appends beside bare SQLite, the gate, encoding and folding."""

import json
import sqlite3
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from time import perf_counter

from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core import events as ev
from swarm_core.book import book_from_events
from swarm_core.instruments import Instrument
from swarm_core.market import Quote
from swarm_core.orders import Order, OrderSide
from swarm_core.risk.compiled import CompiledGate
from swarm_core.risk.context import RiskContext, measure
from swarm_core.risk.gate import check_order
from swarm_core.risk.limits import RiskLimits

RESULTS = Path(__file__).parent / "results" / "order_path.json"
ROUNDS = 5
ORDERS = 500


def make_fill(number: int) -> ev.OrderFilled:
    return ev.OrderFilled(
        event_id=f"{number:032x}",
        time_ns=number,
        client_order_id=f"A{number:024x}",
        execution_id=f"x{number}",
        instrument_id="US.A",
        side=OrderSide.BUY,
        lots=1,
        price_ticks=100,
        lot_tick_minor=10**6,
        currency="USD",
        commission_minor=5,
    )


def bare_writer(path: Path) -> Callable[[list[ev.Event]], None]:
    """Return what appends to a bare table: WAL, synchronous=FULL, one commit a batch."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=full")
    db.execute("create table ev(pos integer primary key, seq text unique, body text)")
    body = ev.encode(make_fill(1)).decode()

    def write(events: list[ev.Event]) -> None:
        db.execute("begin immediate")
        rows = [(e.event_id, body) for e in events]
        db.executemany("insert into ev(seq, body) values (?, ?)", rows)
        db.execute("commit")

    return write


def timed(act: Callable[[], object]) -> float:
    start = perf_counter()
    act()
    return perf_counter() - start


def appends(folder: Path) -> dict[str, float]:
    """Return events a second of the log and its ratio to bare SQLite, taken turn by turn."""
    bare = bare_writer(folder / "bare.db")
    log, number, results = SqliteEventLog(folder / "log.db"), 0, dict[str, float]()
    for size, count in ((1, 100), (100, 20)):
        seconds: dict[str, list[float]] = {"bare": [], "log": []}
        for _ in range(ROUNDS):
            batches = [
                [make_fill(number + b * size + i) for i in range(size)] for b in range(count)
            ]
            number += size * count
            for name, write in (("bare", bare), ("log", log.append)):
                seconds[name].append(timed(lambda w=write, bs=batches: [w(b) for b in bs]))
        best = {name: min(values) for name, values in seconds.items()}
        results[f"append_batch_{size}_per_s"] = size * count / best["log"]
        results[f"append_batch_{size}_time_over_bare"] = best["log"] / best["bare"]
    records = list(log.read())
    results["read_per_s"] = len(records) / timed(lambda: list(log.read()))
    results["fold_per_s"] = len(records) / timed(lambda: book_from_events(records, "USD", 0))
    return results


def make_context() -> tuple[RiskContext, list[Order]]:
    ids = [f"US.{i}" for i in range(ORDERS)]
    instruments = {
        i: Instrument(instrument_id=i, asset_class="equity", currency="USD") for i in ids
    }
    context = measure(
        book=book_from_events([], "USD", Decimal(10**8)),
        quotes={i: Quote.from_price(instruments[i], 100.0, 1) for i in ids},
        instruments=instruments,
        limits=RiskLimits(),
        time_ns=1,
    )
    orders = [
        Order(decision_id="d", instrument_id=i, side=OrderSide.BUY, quantity_lots=10) for i in ids
    ]
    return context, orders


def gates() -> dict[str, float]:
    """Return microseconds an order: readable, compiled one by one, compiled as a basket."""
    context, orders = make_context()
    CompiledGate(context).check(orders)  # compiles
    readable, single, basket = list[float](), list[float](), list[float]()
    for _ in range(ROUNDS):
        readable.append(timed(lambda: [check_order(o, context) for o in orders]))
        one, many = CompiledGate(context), CompiledGate(context)
        single.append(timed(lambda g=one: [g.check([o]) for o in orders]))
        basket.append(timed(lambda g=many: g.check(orders)))
    per_order = 1e6 / ORDERS
    return {
        "gate_readable_us": min(readable) * per_order,
        "gate_compiled_single_us": min(single) * per_order,
        "gate_compiled_basket_us": min(basket) * per_order,
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = {**appends(Path(folder)), **gates()}
    for name, value in results.items():
        print(f"{name:40} {value:14,.2f}")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({n: round(v, 3) for n, v in results.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
