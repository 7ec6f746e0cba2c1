"""The connection to Interactive Brokers: whose account it is, and how it ends."""

import asyncio
import threading
import time

import pytest

from adapters.brokers.ib_session import IbSettings, LiveAccountError
from gateway_simulator.faults import FaultKind
from tests.adapters.brokers.gateway_double import GatewayDouble, wait_until
from tests.adapters.brokers.test_broker_contract import make_ib, tcp_ib
from tests.gateway_simulator.gateways import do, hosted


@pytest.mark.parametrize(
    ("account", "live", "passes"),
    [
        ("DU1", "", True),
        ("U7", "", False),
        ("U7", "U8", False),
        ("U7", "U7", True),
    ],
)
def test_a_live_account_must_be_named(account: str, live: str, passes: bool) -> None:
    """A gateway logged in to a live account is refused, unless the setting names that account."""
    settings = IbSettings(live_account=live)
    if passes:
        assert settings.choose_account([account]) == account
        return
    with pytest.raises(LiveAccountError, match="live_account must name U7"):
        settings.choose_account([account])


def test_a_refused_account_sends_nothing() -> None:
    gateway = GatewayDouble()
    """The connection is closed again before anything is asked."""
    gateway.accounts = ["U7"]

    with pytest.raises(LiveAccountError):
        make_ib(gateway)

    assert not any(client.isConnected() for client in gateway.clients)


@pytest.mark.parametrize("account", ["DU2", "U7"])
def test_a_gateway_that_comes_back_with_another_account_is_given_up(account: str) -> None:
    """Paper or live: what was traded is not in it, and a person has to look."""
    gateway = GatewayDouble()
    broker = make_ib(gateway)
    assert broker.refusal == ""
    gateway.accounts = [account]
    broker.session.call(gateway.clients[-1].drop())

    wait_until(lambda: account in broker.refusal)
    assert not broker.is_connected
    assert not any(client.isConnected() for client in gateway.clients)
    broker.close()


def test_a_wrong_clock_of_the_gateway_is_known() -> None:
    """The pulse tells how far the gateway's clock is ahead of ours."""
    with hosted() as host:
        do(host, FaultKind.CLOCK_SKEW, seconds=3_600)
        broker = tcp_ib(host)
        wait_until(lambda: abs(broker.session.clock_skew_s - 3_600) < 60)
        broker.close()


def test_whoever_asks_while_the_session_ends_is_told_so() -> None:
    """A call that waits ends with the session, a later one at once; the loop is closed."""
    broker = make_ib(GatewayDouble())
    session, told = broker.session, list[Exception]()

    def ask() -> None:
        with pytest.raises(ConnectionError, match="closed") as error:
            session.call(asyncio.sleep(3_600))
        told.append(error.value)

    waiting = threading.Thread(target=ask)
    waiting.start()
    wait_until(lambda: any("sleep" in repr(t) for t in asyncio.all_tasks(session._loop)))
    broker.close()
    waiting.join(10)
    ask()
    assert len(told) == 2
    assert session._loop.is_closed()


def test_a_gateway_that_never_tells_the_time_is_kept() -> None:
    """No answer to the pulse means a dead socket only where the gateway has answered before."""
    gateway = GatewayDouble(silent={"time"})
    broker = make_ib(gateway, pulse_s=0.01)
    time.sleep(0.5)
    assert broker.connection_count == 1
    gateway.silent.clear()
    wait_until(lambda: broker.session._tells_time)
    gateway.silent.add("time")
    wait_until(lambda: broker.connection_count == 2)
    broker.close()
