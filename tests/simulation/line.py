"""The trader's line to the venue and to its log: they break, stall, repeat and die with it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from swarm_core import events as ev
from swarm_core.broker_account import BrokerAccount
from swarm_core.orders import Order
from swarm_core.ports import EventLog
from swarm_core.working_terms import WorkingTerms
from tests.simulation.faults import Faults, Life
from tests.simulation.invariants import Watch
from tests.simulation.venue import Venue
from trader.kill_switch import Halt, KillSwitch

_S = 10**9


class Line:
    """What one life of the trader has of the venue: fulfils `trader.ports.LiveBroker`."""

    is_thread_safe = False

    def __init__(
        self, venue: Venue, life: Life, faults: Faults, now_ns: Callable[[], int], watch: Watch
    ) -> None:
        self.venue, self.life, self.faults, self.now_ns = venue, life, faults, now_ns
        self.watch = watch
        self._deaf_until_ns = 0

    @property
    def connection_count(self) -> int:
        self.life.must_live()
        return self.venue.connection_count

    @property
    def readings_asked(self) -> int:
        self.life.must_live()
        return self.venue.readings_asked

    @property
    def is_connected(self) -> bool:
        self.life.must_live()
        return self.now_ns() >= self.venue.down_until_ns

    def submit(self, order: Order, time_ns: int) -> Sequence[ev.Event]:
        self._reach()
        if self.faults.happens("submit_lost"):
            raise ConnectionResetError("the line broke before the order")
        if self.faults.happens("pacing"):
            self.venue.go_down(self.now_ns(), 10, keep=True)
            raise ConnectionAbortedError("max rate of messages exceeded")
        deaf = self._is_deaf()
        if deaf and self.faults.random.random() < 0.5:
            return ()  # the socket took it, and it went nowhere
        self.watch.order_leaves(order)
        answer = self.venue.receive(order, self.now_ns())
        self.life.pass_point()
        if self.faults.happens("ack_lost"):
            raise ConnectionResetError("the line broke after the order")
        if deaf or self.faults.happens("ack_late"):
            self.venue.tell(answer, self.now_ns() + 5 * _S)
            return ()
        return (answer,)

    def submit_together(self, orders: Sequence[Order], time_ns: int) -> Sequence[ev.Event]:
        """Send them one after the other: the line may break, or the process die, in between."""
        answers: list[ev.Event] = []
        for order in orders:
            self._reach()
            if self.faults.happens("submit_lost"):
                raise ConnectionResetError("the line broke among the orders")
            self.watch.order_leaves(order)
            last = order is orders[-1]
            bound = order.is_exit and not orders[0].is_exit
            answers.append(self.venue.receive(order, self.now_ns(), last=last, bound=bound))
            self.life.pass_point()
        if self.faults.happens("ack_lost"):
            raise ConnectionResetError("the line broke after the orders")
        return answers

    def find(self, client_order_id: str) -> Sequence[ev.Event] | None:
        self._reach()
        if self._is_deaf() or self.faults.happens("find_broken"):
            raise TimeoutError("the broker does not answer")
        ticket = self.venue.find(client_order_id)
        return None if ticket is None else self._garbled(list(ticket.story))

    def cancel(self, client_order_id: str, time_ns: int) -> Sequence[ev.Event]:
        self._reach()
        if self._is_deaf() or self.faults.happens("cancel_broken"):
            raise TimeoutError("the broker does not answer")
        ticket = self.venue.find(client_order_id)
        answer = None if ticket is None else self.venue.cancel(ticket, self.now_ns())
        self.life.pass_point()
        return () if answer is None else (answer,)

    def cancel_everything(self) -> None:
        for ticket in self.venue.tickets:
            self.venue.cancel(ticket, self.now_ns())

    def heard(self) -> Sequence[ev.Event]:
        self.life.must_live()
        now_ns = self.now_ns()
        if now_ns < self.venue.down_until_ns or self._is_deaf():
            return ()
        told = [event for due, event in self.venue.outbox if due <= now_ns]
        self.venue.outbox = [item for item in self.venue.outbox if item[0] > now_ns]
        told = [e for e in told if not isinstance(e, ev.OrderEvent) or e.client_order_id]
        self.life.pass_point()  # what was taken from the socket dies with the process
        return self._garbled(told)

    def account(self) -> BrokerAccount:
        self._reach()
        if self._is_deaf() or self.faults.happens("account_unreadable"):
            raise TimeoutError("completed orders were not read to their end")
        return self.venue.account(self.now_ns())

    def _reach(self) -> None:
        self.life.pass_point()
        if self.now_ns() < self.venue.down_until_ns:
            raise ConnectionRefusedError("not connected")

    def _is_deaf(self) -> bool:
        """Whether the socket is half open; it is found out after a while, and opened anew."""
        now_ns = self.now_ns()
        if self._deaf_until_ns and now_ns >= self._deaf_until_ns:
            self._deaf_until_ns = 0
            self.venue.connection_count += 1
        elif not self._deaf_until_ns and self.faults.happens("half_open"):
            self._deaf_until_ns = now_ns + 20 * _S
        return now_ns < self._deaf_until_ns

    def _garbled(self, told: list[ev.Event]) -> Sequence[ev.Event]:
        """Tell everything, some of it twice and in other words, in any order."""
        if told and self.faults.happens("told_twice"):
            told += [_told_again(event) for event in told[: len(told) // 2 + 1]]
        if self.faults.happens("reordered"):
            self.faults.random.shuffle(told)
        return told


def _told_again(event: ev.Event) -> ev.Event:
    if isinstance(event, ev.OrderFilled):
        return replace(event, event_id=event.event_id + "-again", time_ns=event.time_ns + 1)
    if isinstance(event, ev.OrderCancelled):  # under one id, as a restarted client tells it
        return replace(event, time_ns=event.time_ns + 1)
    return event


class ChangingLine(Line):
    """A line to a venue that takes changes of an order: a `ModifyingBroker` as well."""

    def modify(
        self, order: Order, terms: WorkingTerms, number: int, time_ns: int
    ) -> Sequence[ev.Event]:
        self._reach()
        if self.faults.happens("change_lost"):
            raise ConnectionResetError("the line broke before the change")
        deaf = self._is_deaf()
        if deaf and self.faults.random.random() < 0.5:
            return ()
        self.watch.change_leaves(order, terms, number)
        ticket = self.venue.find(order.client_order_id)
        if ticket is None:
            return ()  # what never arrived is looked up
        answer = self.venue.modify(ticket, terms, number, self.now_ns())
        self.life.pass_point()
        if self.faults.happens("change_ack_lost"):
            raise ConnectionResetError("the line broke after the change")
        if deaf or self.faults.happens("change_ack_late"):
            self.venue.tell(answer, self.now_ns() + 5 * _S)
            return ()
        return (answer,)

    def find_terms(self, order: Order) -> WorkingTerms | None:
        self._reach()
        if self._is_deaf() or self.faults.happens("find_broken"):
            raise TimeoutError("the broker does not answer")
        ticket = self.venue.find(order.client_order_id)
        return None if ticket is None else self.venue.terms(ticket)


class Disk:
    """The log as one life of the trader sees it: it dies around appends, and disks are full."""

    def __init__(
        self, log: EventLog, life: Life, faults: Faults, now_ns: Callable[[], int]
    ) -> None:
        self.log, self.life, self.faults, self.now_ns = log, life, faults, now_ns
        self._full_until_ns = 0

    def append(
        self, events: Sequence[ev.Event], *, expected_sequence: int | None = None
    ) -> Sequence[ev.RecordedEvent]:
        self.life.pass_point()
        if self.faults.happens("disk_full"):
            self._full_until_ns = self.now_ns() + 15 * _S
        self.must_have_room()
        if self.faults.happens("another_writer"):
            number = self.faults.happened["another_writer"]
            self.log.append(
                [
                    ev.DataCheckFailed(
                        event_id=ev.make_event_id("DataCheckFailed", number),
                        time_ns=self.now_ns(),
                        session="",
                        check_name="gaps",
                        reason="another process writes",
                        blocking=False,
                    )
                ]
            )
        recorded = self.log.append(events, expected_sequence=expected_sequence)
        self.life.pass_point()
        return recorded

    def must_have_room(self) -> None:
        if self.now_ns() < self._full_until_ns:
            raise OSError(28, "No space left on device")

    def read(self, after_sequence: int = 0):
        self.life.must_live()
        return self.log.read(after_sequence)


class SwitchOnDisk(KillSwitch):
    """The switch as one life of the trader has it: its file lies on the disk that may be full."""

    def __init__(self, path: Path, disk: Disk, watch: Watch) -> None:
        super().__init__(path)
        self._disk, self._watch = disk, watch

    def pull(self, halt: Halt) -> str | None:
        self._watch.is_pulled = True
        return super().pull(halt)

    def _write(self, halt: Halt) -> None:
        self._disk.must_have_room()
        super()._write(halt)
