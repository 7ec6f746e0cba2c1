"""An order that closes or rolls a contract before its last day is explained by the rule."""

from pathlib import Path

from adapters.stores.event_log_sqlite import SqliteEventLog
from adapters.stores.lineage import LineageQueries
from adapters.stores.tables_delta import DeltaTableStore
from swarm_core.events import DecisionTaken, OrderIntended
from swarm_core.lineage import Lineage
from swarm_core.orders import Order, OrderSide
from tests.adapters.stores.lineage_market import Cards

WHY = "FUT.A is rolled into FUT.B: its last trading day is 2020-03-20"


def test_an_order_that_rolls_a_future_tells_the_rule(tmp_path: Path) -> None:
    """Nothing that a decision of a colony would have is called missing."""
    lineage = Lineage(decision_id="end-FUT.A-2020-03-20-1", session="2020-03-19", run_id=WHY)
    order = Order(
        decision_id=lineage.decision_id,
        instrument_id="FUT.A",
        side=OrderSide.SELL,
        quantity_lots=4,
    )
    log = SqliteEventLog(tmp_path / "events.db")
    log.append(
        [
            DecisionTaken(
                event_id="f1",
                time_ns=1,
                lineage=lineage,
                instrument_ids=("FUT.A", "FUT.B"),
                target_weights=(0.0, 0.1),
            ),
            OrderIntended(event_id="f2", time_ns=2, order=order),
        ]
    )

    tree = LineageQueries(log, DeltaTableStore(tmp_path / "cold"), Cards()).explain_order(
        order.client_order_id
    )

    decision = tree.find("decision")
    assert decision is not None
    assert decision.facts["why"] == WHY
    assert tree.find("missing") is None
