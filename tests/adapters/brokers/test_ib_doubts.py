"""What a real gateway does that leaves a doubt: it hangs, errs about orders, and takes back."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from ib_async import AccountValue, CommissionReport, Contract, Position, Trade
from ib_async.util import UNSET_DOUBLE

from adapters.brokers.ib import IbBroker
from adapters.brokers.ib_account import cash_of, lots_of
from adapters.brokers.ib_orders import charged
from adapters.brokers.ib_session import IbSettings
from gateway_simulator.gateway import Gateway
from gateway_simulator.handling import HANDLERS
from gateway_simulator.hosting import HostedGateway
from gateway_simulator.message_ids import In
from gateway_simulator.orders import Status
from gateway_simulator.outbox import Outbox
from gateway_simulator.session import Session
from gateway_simulator.wire import Field, Fields
from swarm_core import events as ev
from swarm_core.findings import FindingKind
from swarm_core.order_states import OrderState
from swarm_core.orders import Order
from swarm_core.reconciliation import ReconciliationRules, reconcile
from swarm_core.trading import book_from_events
from swarm_core.trading_state import TradingState
from tests.adapters.brokers.gateway_double import GatewayDouble
from tests.adapters.brokers.test_broker_contract import kinds, make_ib, tcp_ib
from tests.gateway_simulator.gateways import fill, hosted, order_of, wait_until
from tests.gateway_simulator.official import official
from tests.swarm_core.builders import CASH, INSTRUMENTS, NOW_NS, A, make_order

ERROR, ORDER_STATUS = 4, 3


@pytest.fixture
def host() -> Iterator[HostedGateway]:
    with hosted(matches_by_itself=False) as gateway:
        yield gateway


@pytest.fixture
def broker(host: HostedGateway) -> Iterator[IbBroker]:
    opened = tcp_ib(host, answer_s_max=0.5)
    yield opened
    opened.close()


def resting(broker: IbBroker) -> Order:
    order = make_order(lots=100, limit=9_000)
    broker.submit(order, NOW_NS)
    broker.heard()
    return order


def err(host: HostedGateway, order: Order, code: int) -> None:
    """Say an error about an order, which goes on working."""

    def say(gateway: Gateway) -> None:
        order_id = order_of(gateway, order.client_order_id).order_id
        gateway.sessions[0].send(ERROR, 2, order_id, code, "told", "")

    host.call(say)


def test_an_answer_that_comes_late_is_not_taken_for_that_of_the_next_question(
    host: HostedGateway, broker: IbBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that hung said what was open before the order came, and it was sent twice."""
    broker.find(make_order(decision_id="first").client_order_id)
    broker.submit(make_order(decision_id="first"), NOW_NS)
    send, held, hangs = Outbox.send, list[tuple[Outbox, Sequence[Field]]](), threading.Event()
    hangs.set()

    def hang(self: Outbox, fields: Sequence[Field]) -> None:
        if hangs.is_set():
            held.append((self, list(fields)))
        else:
            send(self, fields)

    def go_on(_: Gateway) -> None:
        hangs.clear()
        for outbox, fields in held:
            send(outbox, fields)

    monkeypatch.setattr(Outbox, "send", hang)
    order = make_order(decision_id="second")
    with pytest.raises(OSError, match="must"):
        broker.account()
    with pytest.raises(OSError, match="must"):
        broker.submit(order, NOW_NS)
    timer = threading.Timer(0.2, lambda: host.call(go_on))
    timer.start()
    found: Sequence[ev.Event] | None = None
    for _ in range(100):
        try:
            found = broker.find(order.client_order_id)
            break
        except OSError:
            timer.join()
            wait_until(lambda: broker.is_connected)

    refs = host.call(lambda g: [o.ref for o in g.venue.orders])
    assert (found is not None) == (order.client_order_id in refs)


def test_two_threads_that_ask_at_once_are_both_answered(
    host: HostedGateway, broker: IbBroker
) -> None:
    """A halt asks beside an act that asks: neither may take the other's answer."""
    order = resting(broker)
    found = list[Sequence[ev.Event] | None]()

    def ask() -> None:
        found.extend(broker.find(order.client_order_id) for _ in range(3))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 9
    assert all(events for events in found)
    assert broker.connection_count == 1


@pytest.mark.parametrize("code", [104, 136, 161, 354, 387, 434, 10147, 10148, 10197, 10349])
def test_an_error_that_ends_nothing_leaves_an_order_that_fills_and_can_be_cancelled(
    host: HostedGateway, broker: IbBroker, code: int
) -> None:
    """The client took it for dead: a fill was told as its end, and no cancel was sent any more."""
    order = resting(broker)
    heard = list[str]()
    broker.session.client.errorEvent += lambda *_: heard.append("error")
    err(host, order, code)
    wait_until(lambda: bool(heard))
    fill(host, order.client_order_id, 30)
    broker.account()  # by then everything before has been heard
    told = broker.heard()
    broker.cancel(order.client_order_id, NOW_NS)

    assert "OrderFilled" in kinds(told)
    assert not kinds(told) & {"OrderCancelled", "OrderRejected"}
    wait_until(
        lambda: host.call(lambda g: order_of(g, order.client_order_id)).status is Status.CANCELLED
    )
    wait_until(lambda: "OrderCancelled" in kinds(broker.heard()))


@pytest.mark.parametrize(
    ("code", "told"),
    [(0, "raises"), (399, "raises"), (2109, "raises"), (154, "rejected"), (10147, "lost")],
)
def test_an_order_that_arrived_and_is_shown_nowhere_is_not_sent_again(
    host: HostedGateway, broker: IbBroker, monkeypatch: pytest.MonkeyPatch, code: int, told: str
) -> None:
    """A gateway that asks a person first says nothing, and lets it work when that is answered."""
    order = make_order(lots=100, limit=9_000)

    def hold(session: Session, fields: Fields) -> None:
        order_id = fields.whole()
        if code:
            session.send(ERROR, 2, order_id, code, "told", "")

    monkeypatch.setitem(HANDLERS, In.PLACE_ORDER, hold)
    with pytest.raises(TimeoutError):
        broker.submit(order, NOW_NS)
    if told == "raises":
        with pytest.raises(ConnectionError, match="must show"):
            broker.find(order.client_order_id)
        return
    found = broker.find(order.client_order_id)
    assert found is None if told == "lost" else kinds(found or ()) == {"OrderRejected"}


def test_an_end_whose_word_was_lost_is_found_among_the_completed(
    host: HostedGateway, broker: IbBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client went on showing it as working, however often the account was read."""
    order, send = resting(broker), Outbox.send
    lost = (ERROR, ORDER_STATUS)
    monkeypatch.setattr(Outbox, "send", lambda s, f: None if f[0] in lost else send(s, f))
    host.call(lambda g: g.venue.cancel(order_of(g, order.client_order_id)))
    monkeypatch.setattr(Outbox, "send", send)

    (shown,) = broker.account().orders
    assert shown.ending is OrderState.CANCELLED
    assert "OrderCancelled" in kinds(broker.find(order.client_order_id) or ())


@pytest.mark.parametrize("code", [1100, 2110])
def test_a_way_that_is_lost_when_the_connection_is_made_is_known(
    host: HostedGateway, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """It is said with the first words, and orders were sent to a gateway without a way out."""
    send = Outbox.send

    def warn(self: Outbox, fields: Sequence[Field]) -> None:
        send(self, fields)
        if fields[0] == 9:  # nextValidId
            send(self, [ERROR, 2, -1, code, "the way is lost", ""])

    monkeypatch.setattr(Outbox, "send", warn)
    broker = tcp_ib(host)
    assert not broker.is_connected
    with pytest.raises(ConnectionError):
        broker.submit(make_order(), NOW_NS)
    host.call(lambda g: g.sessions[0].send(ERROR, 2, -1, 1102, "restored", ""))
    wait_until(lambda: broker.is_connected)
    broker.close()


def test_a_gateway_that_lets_nobody_in_is_quoted(host: HostedGateway) -> None:
    """The client id was taken: there was no word of it."""
    with official(host.port, client_id=1) as other:
        other.wait("nextValidId")
        taken = IbBroker(
            IbSettings(port=host.port, answer_s_max=0.5), INSTRUMENTS, now_ns=lambda: NOW_NS
        )
        with pytest.raises(ConnectionError, match="must let client 1 in, 326"):
            taken.open()
        taken.close()


@pytest.mark.parametrize(
    ("code", "is_final"), [(200, True), (100, False), (322, False), (504, False)]
)
def test_only_the_word_that_there_is_no_contract_rejects_an_order(
    host: HostedGateway,
    broker: IbBroker,
    monkeypatch: pytest.MonkeyPatch,
    *,
    code: int,
    is_final: bool,
) -> None:
    """Asked too often, or without a way out, it was rejected for good, and was never sent."""
    send = Outbox.send

    def refuse(self: Outbox, fields: Sequence[Field]) -> None:
        if fields[0] == 10:  # contract details
            send(self, [ERROR, 2, fields[1], code, "told", ""])
        elif fields[0] != 52:  # their end
            send(self, fields)

    monkeypatch.setattr(Outbox, "send", refuse)
    order = make_order()
    if is_final:
        assert kinds(broker.submit(order, NOW_NS)) == {"OrderRejected"}
        return
    with pytest.raises(ConnectionError, match=f"must look A up, {code}: told"):
        broker.submit(order, NOW_NS)
    assert broker.find(order.client_order_id) is None
    monkeypatch.setattr(Outbox, "send", send)
    assert kinds(broker.submit(order, NOW_NS)) == {"OrderAccepted"}


@pytest.mark.parametrize(("amount", "currency"), [(UNSET_DOUBLE, "USD"), (0.0, "")])
def test_a_commission_without_amount_or_currency_is_not_told_yet(
    amount: float, currency: str
) -> None:
    """The largest number stands for none: it was booked, and there was no cash any more."""
    assert charged(CommissionReport("e.01", amount, currency), NOW_NS) is None
    told = charged(CommissionReport("e.01", 1.5, "USD"), NOW_NS)
    assert told is not None


@pytest.mark.parametrize("is_booked", [True, False])
def test_an_execution_that_was_taken_back_whole_halts_only_where_it_was_booked(
    *, is_booked: bool
) -> None:
    """It has no shares, which is no fill: nothing could be read of the account any more."""
    gateway = GatewayDouble()
    broker, order = make_ib(gateway), make_order(lots=7)
    book = book_from_events([], "USD", CASH)
    book.apply(ev.OrderIntended(event_id="i", time_ns=NOW_NS, order=order))
    broker.submit(order, NOW_NS)
    gateway.fill(order.client_order_id, 7, 100.0, "0000e0d5.713f.01.01")
    if is_booked:
        book.apply_all(e for e in broker.heard() if isinstance(e, ev.OrderFilled))
    first, before = gateway.fills[0], broker.readings_asked
    other = replace(first.execution, execId="0000e0d5.713f.01.02", shares=0.0)
    gateway.fills.append(first._replace(execution=other))
    gateway.tell("execDetailsEvent", Trade(first.contract), gateway.fills[1])
    told = replace(broker.account(), position_lots={}, cash_minor=None)
    found = reconcile(book, told, ReconciliationRules())

    assert broker.readings_asked == before + 1  # the account is read at once
    assert (FindingKind.FILL_TAKEN_BACK in {f.kind for f in found.findings}) is is_booked
    assert (found.mode is TradingState.HALTED) is is_booked
    book.apply_all(found.events)
    assert (book.lots(A), reconcile(book, told, ReconciliationRules()).findings) == (0, ())
    assert not [e for e in found.events if isinstance(e, ev.OrderFilled)]
    # The broker calls it filled all the same: it would have gone on working in the book for ever.
    assert ("OrderCancelled" in kinds(found.events)) is not is_booked
    assert "OrderFilled" not in kinds(broker.find(order.client_order_id) or ())

    # What it cost stays charged, and is told though no fill of it is.
    charged = CommissionReport("0000e0d5.713f.01.01", 1.25, "USD")
    gateway.fills[0] = first._replace(commissionReport=charged)
    assert [c.commission_minor for c in broker.account().commissions] == [125_000_000]

    again = replace(first.execution, execId="0000e0d5.713f.01.03", shares=5.0)
    gateway.fills.append(first._replace(execution=again))
    told = replace(broker.account(), position_lots={A: 5}, cash_minor=None)
    found = reconcile(book, told, ReconciliationRules())
    book.apply_all(found.events)
    assert (book.lots(A), found.mode) == (5, TradingState.ACTIVE)
    assert reconcile(book, told, ReconciliationRules()).findings == ()
    broker.close()


def test_a_part_of_something_that_is_not_ours_is_a_position() -> None:
    """Less than half of one was rounded away, and nobody was told."""
    held = [
        Position("DU1", Contract(conId=number, symbol="ZZZ", secType="STK"), quantity, 1.0)
        for number, quantity in ((1, 0.4), (2, -0.4), (3, 5.0), (4, 0.0))
    ]
    assert lots_of(held, lambda _: None) == {
        "ib-contract-1": 1,
        "ib-contract-2": -1,
        "ib-contract-3": 5,
    }


def test_cash_that_is_nothing_is_told_and_values_that_do_not_hold_are_not() -> None:
    """No cash at all was taken for cash that nobody knows, and compared with nothing."""
    none = AccountValue("DU1", "CashBalance", "0.0000", "USD", "")
    unready = AccountValue("DU1", "AccountReady", "false", "", "")

    assert cash_of((), []) is None
    assert cash_of((), [none]) == {}
    assert cash_of((), [none, unready._replace(value="true")]) == {}
    with pytest.raises(ConnectionError, match="must be ready"):
        cash_of((), [none, unready])
