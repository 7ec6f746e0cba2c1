"""The life of an order: our acts are legal, the broker's words are facts in any order."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.order_states import ACTS, IllegalTransitionError, OrderRecord, OrderState
from tests.swarm_core.builders import make_fill, make_order

ORDER = make_order(lots=10)
HEAD = {"event_id": "e", "time_ns": 1, "client_order_id": ORDER.client_order_id}
APPROVED = ev.OrderApproved(**HEAD, attempt=1, reference_ticks=1, value_micros=1)
SUBMITTED = ev.OrderSubmitted(**HEAD, attempt=1)
ACCEPTED = ev.OrderAccepted(**HEAD, broker_order_id="7")
CANCELLED = ev.OrderCancelled(**HEAD, reason="asked for")
EXPIRED = ev.OrderExpired(**HEAD, unfilled_lots=10)
FILLS = [make_fill(ORDER, lots, number=n) for n, lots in enumerate((2, 3, 5), start=1)]

ACT_EVENTS: dict[type[ev.OrderEvent], ev.OrderEvent] = {
    ev.OrderApproved: APPROVED,
    ev.OrderDenied: ev.OrderDenied(
        **HEAD, code=next(iter(ev.DenialCode)), measured=0, limit=0, detail=""
    ),
    ev.OrderSubmitted: SUBMITTED,
    ev.OrderSubmissionLost: ev.OrderSubmissionLost(**HEAD, attempt=1),
    ev.OrderFound: ev.OrderFound(**HEAD, attempt=1),
    ev.OrderStateUnknown: ev.OrderStateUnknown(**HEAD, reason="1100"),
    ev.OrderCancelRequested: ev.OrderCancelRequested(**HEAD, reason="halt"),
}


def record_after(*events: ev.OrderEvent) -> OrderRecord:
    record = OrderRecord(ORDER)
    for event in events:
        record.apply(event)
    return record


def test_every_act_is_legal_or_refused_in_every_state() -> None:
    for state in OrderState:
        for kind, event in ACT_EVENTS.items():
            record = OrderRecord(ORDER, state=state)
            if (state, kind) in ACTS:
                record.apply(event)
                assert record.state is ACTS[state, kind]
            else:
                with pytest.raises(IllegalTransitionError):
                    record.apply(event)


def test_no_act_leads_out_of_a_final_state() -> None:
    assert not [state for state, _ in ACTS if state.is_final]


def test_nothing_is_submitted_without_an_approval() -> None:
    assert {state for (state, kind) in ACTS if kind is ev.OrderSubmitted} == {OrderState.APPROVED}


@given(
    words=st.permutations([ACCEPTED, *FILLS]),
    repeats=st.lists(st.sampled_from([ACCEPTED, *FILLS]), max_size=6),
)
def test_a_filled_order_is_filled_in_whatever_order_it_is_told(
    words: list[ev.OrderEvent], repeats: list[ev.OrderEvent]
) -> None:
    record = record_after(APPROVED, SUBMITTED, *words, *repeats)

    assert (record.state, record.filled_lots, record.open_lots) == (OrderState.FILLED, 10, 0)


@given(words=st.permutations([ACCEPTED, FILLS[0], FILLS[1], CANCELLED]))
def test_a_cancelled_order_keeps_fills_that_come_late(words: list[ev.OrderEvent]) -> None:
    record = record_after(APPROVED, SUBMITTED, *words)

    assert (record.state, record.filled_lots, record.open_lots) == (OrderState.CANCELLED, 5, 0)


@given(words=st.permutations([ACCEPTED, CANCELLED, EXPIRED]))
def test_the_first_ending_stands(words: list[ev.OrderEvent]) -> None:
    record = record_after(APPROVED, SUBMITTED, *words)

    first = next(w for w in words if w is not ACCEPTED)
    expected = OrderState.CANCELLED if first is CANCELLED else OrderState.EXPIRED
    assert record.state is expected


def test_a_cancel_that_is_asked_for_waits_for_its_answer() -> None:
    requested = ACT_EVENTS[ev.OrderCancelRequested]
    record = record_after(APPROVED, SUBMITTED, ACCEPTED, requested, FILLS[0])
    assert (record.state, record.open_lots) == (OrderState.CANCEL_PENDING, 8)

    record.apply(CANCELLED)
    assert (record.state, record.open_lots) == (OrderState.CANCELLED, 0)


@given(words=st.permutations([ACCEPTED, FILLS[0], FILLS[1], replace(CANCELLED, filled_lots=5)]))
def test_an_order_ends_with_the_fills_that_its_end_counts(words: list[ev.OrderEvent]) -> None:
    record = record_after(APPROVED, SUBMITTED)
    filled, is_told = 0, False
    for word in words:
        record.apply(word)
        filled += word.lots if isinstance(word, ev.OrderFilled) else 0
        is_told |= isinstance(word, ev.OrderCancelled)
        if is_told:
            assert record.open_lots == 5 - filled
            assert record.state.is_working == record.awaits_fills == (filled < 5)

    assert (record.state, record.filled_lots, record.open_lots) == (OrderState.CANCELLED, 5, 0)


def test_an_order_that_expires_waits_for_the_fills_that_are_counted() -> None:
    record = record_after(APPROVED, SUBMITTED, FILLS[0], ev.OrderExpired(**HEAD, unfilled_lots=5))
    assert (record.awaits_fills, record.open_lots) == (True, 3)

    record.apply(FILLS[1])
    assert (record.awaits_fills, record.state) == (False, OrderState.EXPIRED)


def test_what_is_told_later_of_how_much_was_filled_ends_the_wait() -> None:
    record = record_after(APPROVED, SUBMITTED, replace(CANCELLED, filled_lots=5))
    assert record.awaits_fills

    for again in (CANCELLED, replace(CANCELLED, filled_lots=5)):
        assert record.knows(again), "told again, in other words, after a restart"
    shown = replace(CANCELLED, filled_lots=0)  # the account was read in full, and shows no fill
    assert not record.knows(shown)
    record.apply(shown)
    assert record.state is OrderState.CANCELLED
    assert record.knows(shown)


@given(st.permutations(range(3)))
def test_the_newest_adjustment_stands_in_whatever_order_they_are_told(order: list[int]) -> None:
    """What the other exit took is told with the whole quantity: an older one says nothing more."""
    told = [
        ev.OrderAdjusted(
            event_id=f"a{n}",
            time_ns=n,
            client_order_id=ORDER.client_order_id,
            action_id=f"x{n}",
            quantity_lots=lots,
            limit_price_ticks=None,
            stop_price_ticks=None,
        )
        for n, lots in enumerate((9, 7, 4), start=1)
    ]
    record = record_after(APPROVED, SUBMITTED, ACCEPTED, *(told[i] for i in order))

    assert (record.order.quantity_lots, record.open_lots) == (4, 4)
