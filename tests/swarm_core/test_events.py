"""Events: exact bytes there and back, for every class, and old versions lifted."""

import json
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, ClassVar, get_type_hints

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.event_codec import Codec, Plan
from swarm_core.execution.working import WorkingPlan
from swarm_core.instruments import Instrument
from swarm_core.lineage import Lineage
from swarm_core.market import Quote
from swarm_core.orders import Order, OrderKind, TimeInForce
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing_settings import SizingSettings
from tests.swarm_core.builders import (
    make_fill,
    make_instrument,
    make_limits,
    make_order,
    make_quote,
)

texts = st.text(min_size=1, max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
BUILT: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(1, 2**70),  # money in minor units outgrows 64 bits in sums
    bool: st.booleans(),
    float: numbers,
    Decimal: st.decimals("0.000001", "1e9", allow_nan=False),
    Order: st.just(make_order()) | st.just(make_order(limit=9_999)),
    Lineage: st.builds(Lineage, decision_id=texts, session=texts, raw_versions=st.just(("a@1",))),
    tuple[str, ...]: st.lists(texts, max_size=3).map(tuple),
    tuple[float, ...]: st.lists(numbers, max_size=3).map(tuple),
    tuple[Quote, ...]: st.just((make_quote(),)),
    tuple[Instrument, ...]: st.just((make_instrument(multiplier=Decimal("0.1")),)),
    RiskLimits: st.just(make_limits(restricted=frozenset({"b", "a"})))
    | st.just(
        RiskLimits.from_mapping(
            {"levels": {"strategy": {"bees": {"gross_fraction_max": 0.5, "restricted": ["US.A"]}}}}
        )
    ),
    SizingSettings: st.just(SizingSettings()),
    WorkingPlan: st.just(
        WorkingPlan(
            decision_id="d",
            instrument_ids=("a", "b"),
            start_weights=(0.1, 0.0),
            target_weights=(0.3, -0.2),
            moments_ns=(1, 2),
            done_ppm=(5, 10**6, 5, 10**6),
        )
    ),
    frozenset[str]: st.frozensets(texts, max_size=3),
    int | None: st.none() | st.integers(),
    OrderKind | None: st.none() | st.sampled_from(OrderKind),
    TimeInForce | None: st.none() | st.sampled_from(TimeInForce),
}


@st.composite
def drawn_events(draw: st.DrawFn, kind: type[ev.Event] | None = None) -> ev.Event:
    cls = kind or draw(st.sampled_from(ev.EVENT_CLASSES))
    hints = get_type_hints(cls)
    values = {
        f.name: draw(
            BUILT[hints[f.name]] if hints[f.name] in BUILT else st.sampled_from(hints[f.name])
        )
        for f in fields(cls)
    }
    if cls is ev.TransferBooked:  # of cash or of lots, never both
        values["lots" if draw(st.booleans()) else "amount_minor"] = 0
    try:
        return cls(**values)
    except ValueError:  # what cannot have happened is no event
        reject()


@given(event=drawn_events())
def test_an_event_survives_the_way_to_bytes_and_back(event: ev.Event) -> None:
    data = ev.encode(event)

    assert ev.decode(data) == event
    assert ev.encode(ev.decode(data)) == data


def test_the_text_that_is_kept_of_a_value_is_its_own() -> None:
    """Instruments and limits are written once; another one of the same id or place is another."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Told(ev.Event):
        instruments: tuple[Instrument, ...]
        limits: RiskLimits

    plain = Codec((Told,), upcasts={})
    keeping = Codec((Told,), upcasts={}, steady=frozenset({Instrument, RiskLimits}))
    kept = make_instrument()
    for number in range(10_000):  # more than are kept, and most of them leave at once
        one = make_instrument(multiplier=Decimal(number + 1))
        told = Told(
            event_id="e",
            time_ns=number,
            instruments=(kept, one),
            limits=make_limits(gross_fraction_max=1.0 + number % 7 / 10),
        )
        assert keeping.encode(told) == plain.encode(told)


def test_every_class_of_event_is_registered() -> None:
    found = {c for c in vars(ev).values() if isinstance(c, type) and issubclass(c, ev.Event)}

    assert found - {ev.Event, ev.OrderEvent} == set(ev.EVENT_CLASSES)


def test_the_bytes_of_an_event_never_change_between_releases() -> None:
    event = ev.CurrencyMarked(event_id="e", time_ns=5, currency="EUR", rate=Decimal("1.10"))

    assert ev.encode(event) == (
        b'{"causation_id":"","correlation_id":"","currency":"EUR","event_id":"e",'
        b'"rate":"1.10","source":"","time_ns":5,"type":"CurrencyMarked","v":2}'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_float_that_is_not_finite_is_not_written(value: float) -> None:
    event = ev.RegimeAssessed(
        event_id="e", time_ns=1, regime_names=("calm",), regime_posterior=(value,)
    )
    with pytest.raises(ValueError, match="JSON compliant"):
        ev.encode(event)


def spoiled(**changes: object) -> bytes:
    body = json.loads(
        ev.encode(ev.ReleaseBlocked(event_id="e", time_ns=1, decision_id="d", reason="r"))
    )
    return json.dumps({k: v for k, v in {**body, **changes}.items() if v is not None}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        spoiled(type="Nothing"),
        spoiled(v=2),
        spoiled(v="1"),
        spoiled(reason=None),
        spoiled(extra=1),
        spoiled(time_ns=-1),
        spoiled(event_id=""),
    ],
)
def test_bytes_that_are_no_event_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="must be"):
        ev.decode(data)


@dataclass(frozen=True)
class Weighed:
    schema_version: ClassVar[int] = 3
    grams: int
    label: str


def test_an_old_version_is_lifted_step_by_step() -> None:
    codec = Codec(
        (Weighed,),
        {
            ("Weighed", 1): lambda body: {"grams": body["kilograms"] * 1_000},
            ("Weighed", 2): lambda body: {**body, "label": "none"},
        },
    )

    assert codec.decode(b'{"type":"Weighed","v":1,"kilograms":2}') == Weighed(2_000, "none")
    assert codec.decode(b'{"type":"Weighed","v":2,"grams":7}') == Weighed(7, "none")
    assert codec.decode(codec.encode(Weighed(5, "x"))) == Weighed(5, "x")


def test_an_old_version_without_its_step_is_refused() -> None:
    with pytest.raises(ValueError, match="an event must be readable"):
        Codec((Weighed,), {}).decode(b'{"type":"Weighed","v":1,"kilograms":2}')


def test_an_id_is_made_of_what_happened() -> None:
    assert ev.make_event_id("A", "x", 1) == ev.make_event_id("A", "x", 1)
    assert (
        len({ev.make_event_id("A", "x", 1), ev.make_event_id("A", "x1"), ev.make_event_id("Ax", 1)})
        == 3
    )


def test_orders_and_fills_that_were_stored_before_stops_came_are_lifted() -> None:
    """The very bytes of version 1 give the same order and fill, with the new fields unset."""
    intended = json.loads(ev.encode(ev.OrderIntended(event_id="e", time_ns=1, order=make_order())))
    del intended["order"]["stop_price_ticks"]
    fill = make_fill(make_order())
    filled = json.loads(ev.encode(fill))
    del filled["is_maker"], filled["is_margined"]

    lifted = [ev.decode(json.dumps({**body, "v": 1}).encode()) for body in (intended, filled)]

    assert lifted == [ev.OrderIntended(event_id="e", time_ns=1, order=make_order()), fill]


@given(drawn_events())
def test_the_compiled_writer_gives_the_bytes_of_the_plain_encoder(event: ev.Event) -> None:
    """Keys in order, no spaces: what is written fast is what JSON itself would write."""
    plain = Plan(type(event)).to_mapping(event)
    told = {**plain, "type": type(event).__name__, "v": type(event).schema_version}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert ev.encode(event) == text.encode()
