"""The broker's what-if before an order: what it does not carry, or does not say, is not sent."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.brokers.simulated import SimulatedBroker
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from swarm_core.replay import replay
from swarm_core.risk.codes import DenialCode
from tests.swarm_core.builders import CASH, INSTRUMENTS, make_decision
from tests.trader.desks import make_desk


@dataclass(frozen=True)
class Told:
    """A what-if answer."""

    initial_before: Decimal | None
    initial_after: Decimal | None
    equity_after: Decimal | None


class Lender(SimulatedBroker):
    """A broker that answers a what-if with what a test gives it."""

    told: Told | Exception

    def what_if(self, order: Order) -> Told:
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


def told(before: int | None, after: int | None, equity: int | None) -> Told:
    return Told(*(None if v is None else Decimal(v) for v in (before, after, equity)))


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (told(0, 100, 100), 1),
        (told(0, 101, 100), 0),
        (told(500, 400, 100), 1),  # still short, and better than before: the way back is open
        (told(0, None, 100), 0),
        (told(0, 100, None), 0),
        (ValueError("201: no permission"), 0),
    ],
)
def test_an_order_that_the_account_does_not_carry_is_denied(
    tmp_path: Path, answer: Told | Exception, sent: int
) -> None:
    broker = Lender(INSTRUMENTS)
    broker.told = answer
    desk = make_desk(tmp_path, broker)
    desk.line.asks_for_margin = True

    report = desk.release(make_decision(A=0.1))

    assert report.sent_count == sent
    (state,) = report.states.values()
    assert state is (OrderState.ACCEPTED if sent else OrderState.DENIED)
    assert list(report.denied.values()) == ([] if sent else [DenialCode.MARGIN])
    assert replay(desk.log.read(), "USD", CASH).first_difference is None


def test_while_the_broker_does_not_answer_the_order_waits(tmp_path: Path) -> None:
    """It is neither sent nor denied, and goes out when the decision is resumed."""
    broker = Lender(INSTRUMENTS)
    broker.told = ConnectionResetError("away")
    desk = make_desk(tmp_path, broker)
    desk.line.asks_for_margin = True

    waiting = desk.release(make_decision(A=0.1))
    broker.told = told(0, 100, 100)
    resumed = desk.release(make_decision(A=0.1))

    assert list(waiting.states.values()) == [OrderState.APPROVED]
    assert (waiting.sent_count, resumed.sent_count) == (0, 1)
    assert replay(desk.log.read(), "USD", CASH).first_difference is None


def test_nobody_is_asked_where_it_is_switched_off(tmp_path: Path) -> None:
    broker = Lender(INSTRUMENTS)
    broker.told = ConnectionResetError("away")

    assert make_desk(tmp_path, broker).release(make_decision(A=0.1)).sent_count == 1
