"""The order path: durable appends beside bare SQLite, replay, decision to wire, gate, encoding."""

import gc
import json
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core import events as ev
from swarm_core.book import Book, book_from_events
from swarm_core.instruments import Instrument
from swarm_core.market import Quote
from swarm_core.orders import Order, OrderSide
from swarm_core.replay import replay
from swarm_core.risk.compiled import CompiledGate
from swarm_core.risk.context import RiskContext, measure
from swarm_core.risk.gate import check_order
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing_settings import SizingSettings
from swarm_core.trading import release

RESULTS = Path(__file__).parent / "results" / "order_path.json"
ROUNDS = 5
ORDERS = 500
CASH = Decimal(10**6)


def make_fill(number: int) -> ev.OrderFilled:
    return ev.OrderFilled(
        event_id=ev.make_event_id("OrderFilled", number),
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


def bare_writer(path: Path) -> Callable[[Sequence[ev.Event]], None]:
    """Return what appends to a bare table: WAL, synchronous=FULL, one commit a batch.

    The bytes are ready made and the numbers follow each other: nothing is encoded or hashed.
    """
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=full")
    db.execute(
        "create table ev(pos integer primary key, stream text, seq int, body text, "
        "unique(stream, seq))"
    )
    body, written = ev.encode(make_fill(1)).decode(), 0

    def write(events: Sequence[ev.Event]) -> None:
        nonlocal written
        db.execute("begin immediate")
        rows = [(written + i, body) for i in range(len(events))]
        db.executemany("insert into ev(stream, seq, body) values ('s', ?, ?)", rows)
        db.execute("commit")
        written += len(events)

    return write


def timed(act: Callable[[], object], clock: Callable[[], float] = perf_counter) -> float:
    start = clock()
    act()
    return clock() - start


def appends(folder: Path) -> dict[str, float]:
    """Return events a second of the log, and its time over bare SQLite, batch by batch in turn."""
    bare = bare_writer(folder / "bare.db")
    log, number, results = SqliteEventLog(folder / "log.db"), 0, dict[str, float]()
    for size, count in ((1, 400), (100, 100)):
        seconds: dict[str, list[float]] = {"bare": [], "log": []}
        for _ in range(count):
            batch = [make_fill(number + i) for i in range(size)]
            number += size
            for name, write in (("bare", bare), ("log", log.append)):
                seconds[name].append(timed(lambda w=write, b=batch: w(b)))
        middle = {name: median(values) for name, values in seconds.items()}
        results[f"append_batch_{size}_per_s"] = size / middle["log"]
        results[f"append_batch_{size}_bare_per_s"] = size / middle["bare"]
        results[f"append_batch_{size}_time_over_bare"] = middle["log"] / middle["bare"]
    log.close()
    return results


class Target:
    """A decision over many instruments."""

    def __init__(self, number: int, ids: tuple[str, ...]) -> None:
        self.decision_id, self.time_ns, self.instrument_ids = f"d{number}", number, ids
        self.target_weights = tuple((-1) ** (number + i) * 0.5 / len(ids) for i in range(len(ids)))


class Wire:
    """A broker that accepts and fills, and notes when an order reached it, by two clocks."""

    def __init__(self) -> None:
        self.reached, self.number = list[tuple[float, float]](), 0

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        self.reached.append((perf_counter(), process_time()))
        order_id = order.client_order_id
        accepted = ev.OrderAccepted(
            event_id=ev.make_event_id("OrderAccepted", order_id),
            time_ns=time_ns,
            client_order_id=order_id,
            broker_order_id=order_id,
        )
        return (accepted, self._fill(order, time_ns))

    def _fill(self, order: Order, time_ns: int) -> ev.OrderFilled:
        self.number += 1
        return ev.OrderFilled(
            event_id=ev.make_event_id("OrderFilled", self.number),
            time_ns=time_ns,
            client_order_id=order.client_order_id,
            execution_id=f"x{self.number}",
            instrument_id=order.instrument_id,
            side=order.side,
            lots=order.quantity_lots,
            price_ticks=10_000,
            lot_tick_minor=10**6,
            currency="USD",
            commission_minor=50,
        )

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        return None

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
        return ()


def decide(
    log: SqliteEventLog, wire: Wire, count: int, instrument_count: int
) -> list[tuple[float, float]]:
    """Release decisions one after the other; return the time from each to its first order.

    In seconds, on the wall and of this process: on a machine that does other work as well, the
    second is what the code costs.
    """
    ids = tuple(f"US.{i}" for i in range(instrument_count))
    instruments = {
        i: Instrument(instrument_id=i, asset_class="equity", currency="USD") for i in ids
    }
    book, took = Book("USD", int(CASH) * 10**8), list[tuple[float, float]]()
    limits = RiskLimits(short_locate_required=False, messages_max=1_000_000, repeats_max=10**6)
    for number in range(1, count + 1):
        time_ns = number * 10**11
        quotes = {  # the market is known before anything is decided
            i: Quote.from_price(instruments[i], 100.0, time_ns, session_open=True) for i in ids
        }
        before, start_cpu = len(wire.reached), process_time()
        start = (
            perf_counter()
        )  # last: to ask for the processor's time costs more than to ask for this
        release(
            Target(number, ids),
            book=book,
            quotes=quotes,
            instruments=instruments,
            limits=limits,
            log=log,
            broker=wire,
            checks_passed=True,
            check_reason="",
            time_ns=time_ns,
            sizing=SizingSettings(dust_fraction=0.0),
        )
        reached, reached_cpu = wire.reached[before]
        took.append((reached - start, reached_cpu - start_cpu))
    return took


def share(values: list[float], part: float) -> float:
    return sorted(values)[int(len(values) * part)]


def to_wire(folder: Path) -> dict[str, float]:
    """Return milliseconds from a decision to its first order on the wire, with and without sync."""
    results: dict[str, float] = {}
    for name, pragma in (("synced", "full"), ("unsynced", "off")):
        log = SqliteEventLog(folder / f"{name}.db")
        log._db.execute(f"pragma synchronous={pragma}")
        took = decide(log, Wire(), 400, 5)[50:]
        for part in (0.5, 0.99):
            wall, cpu = (share([pair[i] for pair in took], part) * 1e3 for i in (0, 1))
            results[f"to_wire_{name}_p{part * 100:.0f}_ms"] = wall
            results[f"to_wire_{name}_p{part * 100:.0f}_cpu_ms"] = cpu
    return results


def replays(folder: Path) -> dict[str, float]:
    """Return events a second of reading, of folding what is read, and of working all out again."""
    log = SqliteEventLog(folder / "replay.db")
    log._db.execute("pragma synchronous=off")
    decide(log, Wire(), 30, 100)
    orders = log.last_sequence()
    log.append([make_fill(10**9 + i) for i in range(20_000)])
    count, results = log.last_sequence(), dict[str, float]()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for name, act in (
            ("read", lambda: sum(1 for _ in log.read())),
            ("fold", lambda: book_from_events(log.read(), "USD", CASH)),
        ):
            results[f"{name}_per_s"] = count / min(timed(act) for _ in range(ROUNDS))
            results[f"{name}_per_cpu_s"] = count / min(
                timed(act, process_time) for _ in range(ROUNDS)
            )
        records = [r for r in log.read() if r.sequence <= orders]
        seconds = min(timed(lambda: replay(records, "USD", CASH), process_time) for _ in range(3))
        results["replay_orders_and_verdicts_per_cpu_s"] = len(records) / seconds
    finally:
        gc.enable()
    return results


def make_context() -> tuple[RiskContext, list[Order]]:
    ids = [f"US.{i}" for i in range(ORDERS)]
    instruments = {
        i: Instrument(instrument_id=i, asset_class="equity", currency="USD") for i in ids
    }
    context = measure(
        book=book_from_events([], "USD", CASH),
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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = {**appends(folder), **replays(folder), **to_wire(folder), **gates()}
    for label, value in results.items():
        print(f"{label:40} {value:14,.2f}")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({n: round(v, 3) for n, v in results.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
