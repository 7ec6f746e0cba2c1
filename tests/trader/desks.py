"""A trading desk on a simulated broker, for tests that stop it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from adapters.brokers.simulated import SimulatedBroker
from adapters.stores.event_log_sqlite import SqliteEventLog
from swarm_core import events as ev
from swarm_core.book import book_from_events
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.ports import Broker, EventLog
from swarm_core.sizing_settings import SizingSettings
from tests.swarm_core.builders import CASH, INSTRUMENTS, NOW_NS, A, B, make_limits, make_quote
from trader.desk import TradingDesk
from trader.kill_switch import KillSwitch

GTC = SizingSettings(kind=OrderKind.MARKET, time_in_force=TimeInForce.GOOD_TILL_CANCELLED)


class Timepiece:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.ns = NOW_NS

    def __call__(self) -> int:
        return self.ns


class LostLog:
    """A log that can be read up to where it was lost, and not written."""

    def __init__(self, log: EventLog) -> None:
        self.log = log

    def append(self, events: Sequence[ev.Event], *, expected_sequence: int | None = None):
        raise ConnectionRefusedError("the database is down")

    def read(self, after_sequence: int = 0):
        return self.log.read(after_sequence)


def make_desk(home: Path, broker: Broker | None = None) -> TradingDesk:
    """Return a desk whose log and kill switch are in `home`, as a new process would open it."""
    log = SqliteEventLog(home / "events.db")
    limits = make_limits(position_fraction_max=5.0, permitted_asset_classes=frozenset({"equity"}))
    return TradingDesk(
        book=book_from_events(log.read(), "USD", CASH),
        log=log,
        broker=broker or SimulatedBroker(INSTRUMENTS).with_events(log.read()),
        switch=KillSwitch(home / "control" / "halt.json"),
        instruments=INSTRUMENTS,
        limits=limits,
        now_ns=Timepiece(),
        sizing=GTC,
        quotes={i: replace(make_quote(i), session_open=True) for i in (A, B)},
    )
