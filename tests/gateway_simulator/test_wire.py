"""The wire: what is framed comes back however it is cut, and so do the orders of both clients."""

import struct
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import ib_async
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ib_async.client import Client
from ib_async.decoder import Decoder
from ibapi.client import EClient
from ibapi.decoder import Decoder as OfficialDecoder
from ibapi.order import Order as OfficialOrder
from ibapi.wrapper import EWrapper

from gateway_simulator.default_listings import share
from gateway_simulator.handshake import GreetingReader, RefusedError, choose_version
from gateway_simulator.order_messages import completed_order, open_order
from gateway_simulator.order_request import OrderRequest, read_order
from gateway_simulator.orders import LiveOrder, Status
from gateway_simulator.wire import BadMessageError, Fields, FrameReader, frame, plain, split
from tests.gateway_simulator.official import stock

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
VERSIONS = st.integers(145, 176)
QUICK = settings(max_examples=40, deadline=None)


@QUICK
@given(st.lists(st.lists(TEXTS, min_size=1, max_size=6), max_size=6), st.data())
def test_frames_survive_any_cut(messages: list[list[str]], data: st.DataObject) -> None:
    """Torn anywhere, even inside a length, the same messages come out in the same order."""
    sent = b"".join(frame(fields) for fields in messages)
    reader, received = FrameReader(), []
    while sent:
        cut = data.draw(st.integers(1, len(sent)))
        received += reader.feed(sent[:cut])
        sent = sent[cut:]
    assert received == messages


def test_a_length_that_nobody_sends_is_refused() -> None:
    with pytest.raises(BadMessageError, match="bytes at most"):
        FrameReader().feed(struct.pack(">I", 0xFFFFFFFF))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, max_value=10**12, min_value=0))
def test_a_number_is_written_exactly(number: Decimal) -> None:
    assert Decimal(plain(number)) == number
    assert Fields([plain(number)]).number() in (number, None)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (b"v100..226", 176),
        (b"v157..178", 176),
        (b"v100..176 +PACEAPI", 176),
        (b"v100..163", 163),
        (b"v176", 176),
    ],
)
def test_the_highest_common_version_is_chosen(offered: bytes, chosen: int) -> None:
    assert choose_version(offered) == chosen


@pytest.mark.parametrize("offered", [b"v177..226", b"v38..100", b"176", b"", b"v1..x"])
def test_an_offer_without_a_common_version_is_refused(offered: bytes) -> None:
    with pytest.raises(RefusedError, match="must be offered"):
        choose_version(offered)


@given(st.data())
def test_a_greeting_survives_any_cut(data: st.DataObject) -> None:
    sent = b"API\0" + struct.pack(">I", 9) + b"v100..176" + b"rest"
    reader, found = GreetingReader(), None
    while sent and found is None:
        cut = data.draw(st.integers(1, len(sent)))
        found, sent = reader.feed(sent[:cut]), sent[cut:]
    assert found is not None
    assert found[0] == b"v100..176"
    assert found[1] + sent == b"rest"


def test_what_is_no_greeting_is_refused() -> None:
    with pytest.raises(RefusedError, match="must begin with API"):
        GreetingReader().feed(b"GET / HTTP/1.1\r\n")


def sent_by_ib_async(order: ib_async.Order, version: int) -> list[str]:
    """Return the fields that ib_async sends for an order."""
    client = Client(SimpleNamespace())
    client._serverVersion, client.connState = version, Client.CONNECTED
    out: list[str] = []
    client.sendMsg = out.append  # type: ignore[method-assign]  # nothing is to be sent
    contract = ib_async.Stock("A", "SMART", "USD")
    client.placeOrder(7, contract, order)
    return out[0].split("\0")[1:-1]


def sent_by_the_official_client(order: OfficialOrder, version: int) -> list[str]:
    client = EClient(EWrapper())
    client.serverVersion_ = version
    client.connState = EClient.CONNECTED
    out: list[bytes] = []
    client.conn = SimpleNamespace(sendMsg=out.append, isConnected=lambda: True)
    client.placeOrder(7, stock(), order)
    return split(out[0][4:])[1:]


PRICES = st.decimals("0.01", "9999", places=2).map(float)
WORDS = st.text("abcXYZ 0123456789-_", max_size=12)
ORDERS = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["BUY", "SELL"]),
        "totalQuantity": st.integers(1, 10_000).map(float),
        "orderType": st.sampled_from(["LMT", "STP LMT", "STP", "MKT", "PEG BENCH", "PEG MID"]),
        "lmtPrice": PRICES,
        "auxPrice": PRICES,
        "tif": st.sampled_from(["DAY", "GTC", "IOC", "OPG"]),
        "ocaGroup": WORDS,
        "ocaType": st.integers(0, 3),
        "account": WORDS,
        "orderRef": WORDS,
        "parentId": st.integers(0, 99),
        "outsideRth": st.booleans(),
        "hidden": st.booleans(),
        "hedgeType": st.sampled_from(["", "D"]),
        "hedgeParam": st.just("x"),
        "algoStrategy": st.sampled_from(["", "Adaptive"]),
        "scalePriceIncrement": st.sampled_from([0.0, 0.5]),
        "scaleInitLevelSize": st.integers(1, 9),
        "minQty": st.integers(1, 99),
        "allOrNone": st.booleans(),
        "discretionaryAmt": PRICES,
    }
)
_NAMES = (
    "action totalQuantity lmtPrice auxPrice tif ocaGroup ocaType orderRef parentId "
    "outsideRth hidden minQty allOrNone discretionaryAmt algoStrategy orderType"
)
_SAME = _NAMES.split()


def made(kind: type[Any], values: dict[str, Any]) -> Any:
    order = kind()
    for name, value in values.items():
        setattr(order, name, value)
    return order


def live(request: OrderRequest) -> LiveOrder:
    return LiveOrder(request, share("A", 101), 3, request.order_id, 9, "DU1", Status.SUBMITTED)


@QUICK
@given(ORDERS, st.integers(157, 176))
def test_an_order_of_ib_async_comes_back_as_it_was_sent(
    values: dict[str, Any], version: int
) -> None:
    """Sent, read, told as open and as completed, and decoded again: the same order."""
    sent = made(ib_async.Order, values)
    told: list[Any] = []
    wrapper = SimpleNamespace(
        openOrder=lambda _, __, order, ___: told.append(order),
        completedOrder=lambda _, order, __: told.append(order),
    )
    request = read_order(Fields(sent_by_ib_async(sent, version)), version)
    decoder = Decoder(wrapper, version)  # type: ignore[arg-type]  # hears only of orders
    if version != 158:  # it reads a field there that the official client does not
        decoder.openOrder(split(frame(open_order(live(request), version))[4:]))
    decoder.completedOrder(split(frame(completed_order(live(request), version))[4:]))

    assert told
    for order in told:
        names = _SAME if order.orderId else [n for n in _SAME if n != "parentId"]
        assert [getattr(order, n) for n in names] == [getattr(sent, n) for n in names]


@QUICK
@given(ORDERS, VERSIONS)
def test_an_order_of_the_official_client_comes_back_as_it_was_sent(
    values: dict[str, Any], version: int
) -> None:
    """At every version that the simulator speaks."""
    sent = made(OfficialOrder, {**values, "totalQuantity": Decimal(int(values["totalQuantity"]))})
    request = read_order(Fields(sent_by_the_official_client(sent, version)), version)
    told: list[Any] = []
    wrapper = EWrapper()
    wrapper.openOrder = lambda _, __, order, ___: told.append(order)  # type: ignore[method-assign]
    wrapper.completedOrder = lambda _, order, __: told.append(order)  # type: ignore[method-assign]
    decoder = OfficialDecoder(wrapper, version)
    for message in (open_order(live(request), version), completed_order(live(request), version)):
        fields = [f.encode() for f in split(frame(message)[4:])]
        decoder.interpret(fields[1:], int(fields[0]))

    opened, completed = told
    assert [getattr(opened, n) for n in _SAME] == [getattr(sent, n) for n in _SAME]
    names = [n for n in _SAME if n != "parentId"]
    assert [getattr(completed, n) for n in names] == [getattr(sent, n) for n in names]


@QUICK
@given(ORDERS, VERSIONS, st.data())
def test_an_order_that_breaks_off_is_refused(
    values: dict[str, Any], version: int, data: st.DataObject
) -> None:
    """Half an order is no order."""
    order = made(OfficialOrder, {**values, "totalQuantity": Decimal(1)})
    fields = sent_by_the_official_client(order, version)
    cut = data.draw(st.integers(0, len(fields) - 20))
    with pytest.raises(BadMessageError):
        read_order(Fields(fields[:cut]), version)
