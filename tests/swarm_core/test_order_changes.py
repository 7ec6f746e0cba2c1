"""An order's terms while it works: in whatever order the words come, they lead to one end."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.findings import FindingKind
from swarm_core.order_changes import settle
from swarm_core.order_states import IllegalTransitionError, OrderRecord, OrderState
from swarm_core.reconciliation import BrokerAccount, ReconciliationRules, reconcile
from swarm_core.working_terms import WorkingTerms
from tests.swarm_core.builders import NOW_NS, make_fill, make_order

ORDER = make_order(lots=100, limit=9_900)
ORDER_ID = ORDER.client_order_id


def asked(lots: int, limit: int = 9_900, number: int = 1) -> ev.OrderModifyRequested:
    return ev.OrderModifyRequested(
        event_id=f"asked {number}",
        time_ns=NOW_NS,
        client_order_id=ORDER_ID,
        number=number,
        quantity_lots=lots,
        limit_price_ticks=limit,
        stop_price_ticks=None,
        reference_ticks=10_000,
        value_micros=1,
    )


def taken(lots: int, limit: int = 9_900, number: int = 1) -> ev.OrderModified:
    return ev.OrderModified(
        event_id=f"taken {number}",
        time_ns=NOW_NS,
        client_order_id=ORDER_ID,
        number=number,
        quantity_lots=lots,
        limit_price_ticks=limit,
        stop_price_ticks=None,
    )


def refused(number: int = 1) -> ev.OrderModifyRejected:
    return ev.OrderModifyRejected(
        event_id=f"refused {number}",
        time_ns=NOW_NS,
        client_order_id=ORDER_ID,
        number=number,
        reason="no",
    )


def resting() -> OrderRecord:
    return OrderRecord(ORDER, state=OrderState.ACCEPTED)


def after(*events: ev.OrderEvent) -> OrderRecord:
    record = resting()
    for event in events:
        if not record.knows(event):
            record.apply(event)
    return record


def test_an_open_change_counts_in_the_larger_terms() -> None:
    assert after(asked(150)).open_lots == 150
    assert after(asked(50)).open_lots == 100
    assert after(asked(150), make_fill(ORDER, 30)).open_lots == 120


def test_what_was_taken_stands_and_what_was_refused_does_not() -> None:
    record = after(asked(150, 9_950), taken(150, 9_950))
    assert (record.state, WorkingTerms.of(record.order)) == (
        OrderState.ACCEPTED,
        (150, 9_950, None),
    )
    assert after(asked(150), refused()).order == ORDER
    assert after(asked(150), make_fill(ORDER, 30), refused()).state is OrderState.PARTIALLY_FILLED


def test_an_order_that_is_full_in_either_terms_is_filled_once_that_is_known() -> None:
    record = after(asked(50), make_fill(ORDER, 50))
    assert record.state is OrderState.MODIFY_PENDING
    record.apply(taken(50))
    assert record.state is OrderState.FILLED

    record = after(asked(150), make_fill(ORDER, 100))
    assert record.state is OrderState.MODIFY_PENDING
    record.apply(refused())
    assert record.state is OrderState.FILLED


def test_more_than_the_old_terms_has_filled_only_in_the_new() -> None:
    record = after(asked(150, 9_950), make_fill(ORDER, 120))

    assert record.state is OrderState.PARTIALLY_FILLED
    assert WorkingTerms.of(record.order) == (150, 9_950, None)
    assert record.knows(taken(150, 9_950))
    assert record.knows(refused())


def test_a_late_word_about_an_earlier_change_says_nothing() -> None:
    record = after(asked(150), taken(150), asked(120, number=2))

    assert record.knows(taken(150))
    assert record.knows(refused(1))
    record.apply(refused(1))
    assert record.state is OrderState.MODIFY_PENDING


def test_a_change_that_was_taken_after_all_is_a_fact() -> None:
    """It was told as refused first: what the broker says last is how the order works."""
    assert after(asked(150), refused(), taken(150)).order.quantity_lots == 150


def test_an_order_may_be_cancelled_while_its_change_is_open() -> None:
    cancel = ev.OrderCancelRequested(
        event_id="c", time_ns=NOW_NS, client_order_id=ORDER_ID, reason="now"
    )
    record = after(asked(150), cancel)

    assert (record.state, record.open_lots) == (OrderState.CANCEL_PENDING, 150)
    record.apply(refused())
    assert (record.state, record.open_lots) == (OrderState.CANCEL_PENDING, 100)


@pytest.mark.parametrize(
    "state", [s for s in OrderState if s not in (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED)]
)
def test_only_an_order_that_rests_at_the_broker_is_changed(state: OrderState) -> None:
    with pytest.raises(IllegalTransitionError):
        OrderRecord(ORDER, state=state).apply(asked(150))


@given(
    lots=st.integers(1, 300),
    is_taken=st.booleans(),
    sizes=st.lists(st.integers(1, 60), max_size=8),
    place=st.integers(0, 8),
)
def test_fills_and_the_answer_lead_to_one_end_in_any_order(
    lots: int, is_taken: bool, sizes: list[int], place: int
) -> None:
    """However the answer and the fills are mixed, the record ends the same."""
    whole = lots if is_taken else 100
    fills: list[ev.OrderEvent] = []
    done = 0
    for number, size in enumerate(sizes):
        size = min(size, whole - done)
        if size > 0:
            fills.append(make_fill(ORDER, size, number=number))
            done += size
    answer = taken(lots) if is_taken else refused()
    mixed = [*fills[:place], answer, *fills[place:]]

    record = after(asked(lots), *mixed)

    ordered = after(asked(lots), answer, *fills)
    assert (record.state, record.order, record.filled_lots, record.pending) == (
        ordered.state,
        ordered.order,
        ordered.filled_lots,
        None,
    )
    assert record.open_lots == (whole - done if record.state.is_working else 0)
    assert record.filled_lots == done <= record.most_lots


def test_an_account_may_fill_what_was_asked_for_and_no_more() -> None:
    """An open change for more explains fills beyond the old quantity; beyond both halts."""
    book = Book("USD", 10**15)
    record = resting()
    record.apply(asked(150))
    book.orders[ORDER_ID] = record
    account = BrokerAccount(
        time_ns=NOW_NS, fills=(make_fill(ORDER, 130),), position_lots={ORDER.instrument_id: 130}
    )

    kinds = [f.kind for f in reconcile(book, account, ReconciliationRules()).findings]
    assert FindingKind.OVERFILLED not in kinds

    more = replace(account, fills=(make_fill(ORDER, 170),))
    kinds = [f.kind for f in reconcile(book, more, ReconciliationRules()).findings]
    assert FindingKind.OVERFILLED in kinds


class Forgetful:
    """A broker at which the order works no more, and the path to it."""

    def __init__(self) -> None:
        self.broker, self.time_ns, self.heard = self, NOW_NS, list[ev.Event]()

    def modify(self, *asked: object) -> list[ev.Event]:
        raise AssertionError("an order that works no more must not be changed")

    def find_terms(self, order: object) -> None:
        return None

    def take_in(self, events: list[ev.Event]) -> None:
        self.heard += events


def cancelled(lots: int) -> ev.OrderCancelled:
    return ev.OrderCancelled(
        event_id="cancelled", time_ns=NOW_NS, client_order_id=ORDER_ID, reason="", filled_lots=lots
    )


@pytest.mark.parametrize(
    ("whole", "told", "lots"),
    [
        (150, [make_fill(ORDER, 100)], 100),  # nothing says that it ended with lots left
        (150, [cancelled(100), make_fill(ORDER, 100)], 150),
        (60, [make_fill(ORDER, 60)], 60),
        (60, [cancelled(60), make_fill(ORDER, 60)], 100),
    ],
)
def test_what_is_cancelled_had_lots_left(whole: int, told: list[ev.OrderEvent], lots: int) -> None:
    """An order that was full in the smaller terms and is cancelled stood in the larger."""
    record, path = after(asked(whole), *told), Forgetful()

    settle(path, record)  # type: ignore[arg-type]  # of the path no more is asked for
    for event in path.heard:
        assert isinstance(event, ev.OrderEvent)
        record.apply(event)

    assert (record.pending, record.order.quantity_lots) == (None, lots)
