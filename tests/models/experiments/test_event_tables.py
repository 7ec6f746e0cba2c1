"""A backtest's tapes become Arrow tables that read without a key."""

from decimal import Decimal

import numpy as np
import pyarrow as pa

from models.experiments.event_tables import event_tables
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.columns import Ints
from swarm_core.backtest.engine import Backtest
from swarm_core.backtest.orders import OrderPlan
from swarm_core.backtest.settings import EngineSettings
from swarm_core.instruments import Instrument
from swarm_core.orders import Order, OrderKind, OrderSide

DAY_NS = 86_400 * 10**9


def _tables() -> dict[str, pa.Table]:
    share = Instrument(instrument_id="US.A", asset_class="equity", currency="USD")
    times = 20_000 * DAY_NS + np.arange(4) * DAY_NS
    prices = np.array([[10_000], [10_100], [9_900], [9_900]])
    bars = Bars.of([share], times, prices, open_=prices, high=prices + 50, low=prices - 50)
    buy = Order(decision_id="d", instrument_id="US.A", side=OrderSide.BUY, quantity_lots=10)
    huge = Order(decision_id="d", instrument_id="US.A", side=OrderSide.BUY, quantity_lots=10**6)
    low = Order(
        decision_id="d", instrument_id="US.A", side=OrderSide.BUY, quantity_lots=5,
        kind=OrderKind.LIMIT, limit_price_ticks=9_600,
    )  # fmt: skip
    plan = OrderPlan.of([[buy, huge], [low], [], []], ["US.A"])
    tapes: dict[str, list[Ints]] = {}
    test = Backtest(
        bars,
        EngineSettings(starting_cash=Decimal(100_000)),
        lambda name, rows: tapes.setdefault(name, []).append(rows),
    )
    test.place_orders(bars, plan)
    return event_tables(tapes, bars)


def test_orders_stand_beside_their_verdicts_and_fills() -> None:
    tables = _tables()
    orders, fills = tables["orders"].to_pylist(), tables["fills"].to_pylist()
    assert [o["code"] for o in orders] == ["approved", "order_value", "approved"]
    assert [o["kind"] for o in orders] == ["market_on_open", "market_on_open", "limit"]
    assert [o["limit_ticks"] for o in orders] == [None, None, 9_600]
    assert [(f["instrument_id"], f["side"], f["lots"]) for f in fills] == [("US.A", "buy", 10)]
    assert fills[0]["event_time"].date().isoformat() == "2024-10-05"


def test_an_order_that_nobody_filled_has_expired() -> None:
    (change,) = _tables()["changes"].to_pylist()
    assert (change["order"], change["what"], change["lots"]) == (2, "expired", 5)


def test_a_run_without_events_gives_empty_tables() -> None:
    share = Instrument(instrument_id="US.A", asset_class="equity", currency="USD")
    bars = Bars.of([share], np.array([DAY_NS]), np.array([[100]]))
    assert [table.num_rows for table in event_tables({}, bars).values()] == [0, 0, 0, 0]
