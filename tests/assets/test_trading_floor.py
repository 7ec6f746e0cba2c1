"""What the scheduled decision takes for the decision of a session, in a log that others write."""

import pytest

from adapters.stores.event_log_memory import MemoryEventLog
from assets.trading_floor import TradingFloor
from swarm_core import events as ev
from swarm_core.lineage import Lineage

SESSION = "2026-12-14"


@pytest.mark.parametrize(
    ("lineage", "taken"),
    [
        (Lineage(decision_id="c", session=SESSION, colony_state_digest="ab"), [SESSION]),
        (Lineage(decision_id="flatten", session=""), []),
        (Lineage(decision_id="targets-1", session=SESSION), []),
        (Lineage(decision_id="end-FUT.A-2026-12-18-1", session=SESSION, run_id="why"), []),
    ],
)
def test_only_the_colony_decides_a_session(lineage: Lineage, taken: list[str]) -> None:
    """After any other decision there is no state of the colony to go on from."""
    floor = TradingFloor.__new__(TradingFloor)  # its tables are not needed for this
    floor.log = MemoryEventLog()
    floor.events, floor.closed, floor.taken = [], {}, {}
    floor.log.append(
        [
            ev.DecisionTaken(
                event_id=ev.make_event_id("DecisionTaken", lineage.decision_id),
                time_ns=1,
                lineage=lineage,
                instrument_ids=("A",),
                target_weights=(0.0,),
            )
        ]
    )

    floor._take_up()

    assert list(floor.taken) == taken
