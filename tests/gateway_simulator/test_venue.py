"""The broker behind the gateway: which orders fill, at what price, and what follows."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from gateway_simulator.gateway import Gateway
from gateway_simulator.listings import Asked
from gateway_simulator.order_request import OrderRequest
from gateway_simulator.orders import Commission, Execution, LiveOrder, Status
from gateway_simulator.venue import Fact, Refused
from tests.gateway_simulator.gateways import A_ID, B_ID, make_gateway

Place = Callable[..., LiveOrder | None]


class Floor:
    """A gateway without clients: what it would tell is kept."""

    def __init__(self, **fields: object) -> None:
        self.gateway: Gateway = make_gateway(**fields)
        self.facts: list[Fact] = []
        self.venue = self.gateway.venue
        self.venue.tell = self.facts.append
        self.next_id = 0

    def place(self, kind: str = "MKT", con_id: int = A_ID, **values: object) -> LiveOrder | None:
        self.next_id += 1
        fields = {"action": "BUY", "totalQuantity": 10, "orderType": kind, "transmit": 1, **values}
        order_id = int(str(fields.pop("order_id", self.next_id)))
        texts = {name: str(value) for name, value in fields.items()}
        request = OrderRequest(order_id=order_id, contract=Asked(con_id=con_id), values=texts)
        return self.venue.place(1, request, self.gateway.catalogue.get(con_id))

    def quote(self, bid: str, ask: str, con_id: int = A_ID, size: int = 10_000) -> None:
        self.gateway.market.set_quote(con_id, Decimal(bid), Decimal(ask), size=Decimal(size))
        self.venue.on_market()

    def codes(self) -> list[int]:
        return [fact.refusal.code for fact in self.facts if isinstance(fact, Refused)]

    def fills(self) -> list[tuple[Decimal, Decimal]]:
        return [(f.quantity, f.price) for f in self.facts if isinstance(f, Execution)]


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_a_market_order_pays_the_ask_and_a_limit_never_more_than_its_limit(floor: Floor) -> None:
    floor.place()
    resting = floor.place("LMT", lmtPrice="99.50")
    assert floor.fills() == [(Decimal(10), Decimal("100.01"))]
    floor.quote("99.30", "99.40")
    assert resting is not None
    assert (resting.status, resting.average_price) == (Status.FILLED, Decimal("99.40"))


def test_a_stop_waits_for_its_price(floor: Floor) -> None:
    """A sell stop sleeps until the price has fallen to it, then sells at the bid."""
    floor.place()
    stop = floor.place("STP", action="SELL", auxPrice="95")
    assert stop is not None
    assert (stop.status, stop.held) == (Status.PRE_SUBMITTED, "trigger")
    floor.quote("96", "96.02")
    assert not stop.filled
    floor.quote("94.98", "95.00")
    assert (stop.status, stop.average_price) == (Status.FILLED, Decimal("94.98"))


def test_a_stop_limit_becomes_a_limit(floor: Floor) -> None:
    """Triggered beyond its limit it rests, and fills when the price comes back."""
    order = floor.place("STP LMT", auxPrice="101", lmtPrice="101.50")
    floor.quote("102", "102.02")
    assert order is not None
    assert (order.triggered, order.filled) == (True, 0)
    floor.quote("101.40", "101.50")
    assert order.average_price == Decimal("101.50")


def test_what_is_offered_bounds_a_fill(floor: Floor) -> None:
    """Ten of twenty-five at once: three fills, one order, one commission each."""
    floor.quote("99.99", "100.01", size=10)
    order = floor.place(totalQuantity=25)
    floor.venue.on_market()
    floor.venue.on_market()
    assert [q for q, _ in floor.fills()] == [10, 10, 5]
    assert order is not None
    assert order.status is Status.FILLED
    assert sum(isinstance(f, Commission) for f in floor.facts) == 3


def test_immediate_or_cancel_leaves_nothing_behind(floor: Floor) -> None:
    floor.quote("99.99", "100.01", size=4)
    order = floor.place("LMT", lmtPrice="100.01", tif="IOC")
    assert order is not None
    assert (order.filled, order.status) == (4, Status.CANCELLED)
    all_or_none = floor.place("LMT", lmtPrice="100.01", tif="FOK")
    assert all_or_none is not None
    assert (all_or_none.filled, all_or_none.status) == (0, Status.CANCELLED)


@pytest.mark.parametrize(
    ("kind", "values", "auction"),
    [
        ("MKT", {"tif": "OPG"}, "open"),
        ("LMT", {"tif": "OPG", "lmtPrice": "101"}, "open"),
        ("MOC", {}, "close"),
        ("LOC", {"lmtPrice": "101"}, "close"),
    ],
)
def test_an_auction_order_waits_for_its_auction(
    floor: Floor, kind: str, values: dict[str, str], auction: str
) -> None:
    order = floor.place(kind, **values)
    assert order is not None
    floor.venue.on_market()
    assert order.status is Status.PRE_SUBMITTED
    floor.venue.auction("close" if auction == "open" else "open")
    assert order.status is Status.PRE_SUBMITTED
    floor.venue.auction(auction)
    assert (order.status, order.average_price) == (Status.FILLED, 100)


def test_an_auction_beyond_the_limit_cancels(floor: Floor) -> None:
    order = floor.place("LMT", tif="OPG", lmtPrice="99")
    floor.venue.auction("open")
    assert order is not None
    assert order.status is Status.CANCELLED


def test_one_cancels_all(floor: Floor) -> None:
    """A fill of one ends the others of its group, in whatever contract they are."""
    one = floor.place("LMT", lmtPrice="99", ocaGroup="g", ocaType="1")
    other = floor.place("LMT", con_id=B_ID, lmtPrice="98", ocaGroup="g", ocaType="1")
    floor.quote("98.9", "99")
    assert one is not None
    assert other is not None
    assert (one.status, other.status) == (Status.FILLED, Status.CANCELLED)


def test_a_bracket_is_reduced_by_a_part_of_its_target(floor: Floor) -> None:
    """Five of ten sold at the target leave five under the stop."""
    floor.place(order_id=1, transmit=0)
    target = floor.place("LMT", order_id=2, action="SELL", lmtPrice="105", parentId=1, transmit=0)
    stop = floor.place("STP", order_id=3, action="SELL", auxPrice="95", parentId=1)
    assert target is not None
    assert stop is not None
    assert (target.status, stop.status) == (Status.SUBMITTED, Status.PRE_SUBMITTED)
    floor.quote("105", "105.02", size=5)
    assert (target.filled, stop.quantity) == (5, 5)
    floor.venue.on_market()
    assert (target.status, stop.status) == (Status.FILLED, Status.CANCELLED)
    assert floor.venue.accounts["DU1"].holdings[A_ID].quantity == 0


def test_nothing_is_sent_before_the_last_of_a_bracket(floor: Floor) -> None:
    """A parent that is held does not fill; its cancel takes the children with it."""
    parent = floor.place(order_id=1, transmit=0)
    child = floor.place("LMT", order_id=2, action="SELL", lmtPrice="105", parentId=1, transmit=0)
    floor.venue.on_market()
    assert parent is not None
    assert child is not None
    assert (parent.status, parent.filled) == (Status.PENDING_SUBMIT, 0)
    floor.venue.cancel(parent)
    assert child.status is Status.CANCELLED
    assert floor.place("LMT", order_id=9, parentId=77, lmtPrice="99") is None
    assert floor.codes() == [202, 202, 135]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"kind": "LMT", "lmtPrice": "99.995"}, 110),
        ({"kind": "LMT"}, 321),
        ({"totalQuantity": "0"}, 434),
        ({"totalQuantity": "1.5"}, 10243),
        ({"kind": "REL"}, 387),
        ({"tif": "SOON"}, 391),
        ({"kind": "STP", "auxPrice": "95", "tif": "OPG"}, 391),
        ({"account": "DU9"}, 321),
        ({"action": "HOLD"}, 321),
        ({"totalQuantity": "100000"}, 201),
    ],
)
def test_what_cannot_be_traded_is_refused(floor: Floor, values: dict[str, str], code: int) -> None:
    """Each with the number that the gateway has for it; nothing is filled."""
    floor.place(**values)  # type: ignore[arg-type]  # kind is among the values
    assert floor.codes() == [code]
    assert floor.fills() == []
    assert floor.venue.working == []


def test_an_order_id_is_used_once_until_the_gateway_restarts(floor: Floor) -> None:
    """103 for one that was cancelled, 104 for one that filled; after a restart it is new."""
    floor.place(order_id=1)
    assert floor.place(order_id=1) is None
    cancelled = floor.place("LMT", order_id=2, lmtPrice="90")
    assert cancelled is not None
    floor.venue.cancel(cancelled)
    assert floor.place(order_id=2) is None
    assert floor.codes() == [104, 202, 103]
    floor.venue.run += 1
    again = floor.place(order_id=1)
    assert again is not None
    assert again.perm_id > cancelled.perm_id


def test_another_order_under_a_working_id_is_no_modification(floor: Floor) -> None:
    """After ids rolled back, a colliding one does not replace what works."""
    first = floor.place("LMT", order_id=1, lmtPrice="90", orderRef="mine")
    floor.place("LMT", order_id=1, lmtPrice="90", orderRef="yours")
    floor.place("LMT", order_id=1, con_id=B_ID, lmtPrice="90", orderRef="mine")
    floor.place("LMT", order_id=1, action="SELL", lmtPrice="90", orderRef="mine")
    assert floor.codes() == [103, 105, 105]
    assert first is not None
    assert (first.ref, first.side) == ("mine", 1)


def test_money_is_moved_exactly(floor: Floor) -> None:
    """Buy, sell in parts, go short and back: cash is the sum of fills and commissions."""
    for action, quantity, bid, ask in (
        ("BUY", 10, "99.99", "100.01"),
        ("SELL", 4, "101.00", "101.02"),
        ("SELL", 16, "98.00", "98.02"),
        ("BUY", 10, "97.00", "97.02"),
    ):
        floor.quote(bid, ask)
        floor.place(action=action, totalQuantity=quantity)
    account = floor.venue.accounts["DU1"]
    flows = [-f.quantity * f.price * (1 if f.side == "BOT" else -1) for f in floor.venue.executions]
    costs = [c.amount for c in floor.venue.commissions.values()]
    assert account.cash["USD"] == Decimal(1_000_000) + sum(flows) - sum(costs)
    assert account.holdings[A_ID].quantity == 0
    realized = [c.realized for c in floor.venue.commissions.values()]
    assert sum(r for r in realized if r is not None) == sum(flows)


def test_an_order_that_is_good_until_a_moment_ends_then(floor: Floor) -> None:
    """It outlives the day, and is cancelled at the first look after its moment."""
    now_ns = 1_767_700_000 * 10**9  # 2026-01-06 11:46:40 UTC
    floor.gateway.clock.source = lambda: now_ns
    order = floor.place("LMT", lmtPrice="90", tif="GTD", goodTillDate="20260106 12:00:00 UTC")
    assert floor.place("LMT", lmtPrice="90", tif="GTD", goodTillDate="soon") is None
    floor.venue.end_day()
    floor.venue.on_market()
    assert order is not None
    assert order.status is Status.SUBMITTED
    now_ns += 800 * 10**9
    floor.venue.on_market()
    assert order.status is Status.CANCELLED
