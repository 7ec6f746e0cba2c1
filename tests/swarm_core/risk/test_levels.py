"""Limits by level: the tightest counts, the denial names it, and only a person may loosen one."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.order_states import IllegalTransitionError
from swarm_core.orders import OrderSide
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.compiled import CompiledGate
from swarm_core.risk.context import RiskContext, measure
from swarm_core.risk.gate import Approved, Denied, check_order
from swarm_core.risk.levels import FIELDS, Level
from swarm_core.risk.limits import LIMIT_NAMES, RiskLimits
from swarm_core.risk.loosening import loosened
from tests.swarm_core.backtest.markets import make_limits as drawn_limits
from tests.swarm_core.builders import (
    INSTRUMENTS,
    NOW_NS,
    A,
    B,
    make_fill,
    make_limits,
    make_order,
    make_quote,
)

NAV = 100_000  # dollars; at 100.00 a lot, 10 lots are 1 % of it


def limits(**levels: object) -> RiskLimits:
    mapping = make_limits().to_mapping() | {"levels": levels}
    return RiskLimits.from_mapping(mapping).of_desk("hive", "anna")


def context(given: RiskLimits, book: Book | None = None) -> RiskContext:
    return measure(
        book=book or Book("USD", NAV * 10**8),
        quotes={i: make_quote(i) for i in INSTRUMENTS},
        instruments=INSTRUMENTS,
        limits=given,
        time_ns=NOW_NS,
    )


TIGHT = {"order_value_max": 999}


@pytest.mark.parametrize(
    ("levels", "named"),
    [
        ({"tenant": {"hive": TIGHT}}, "tenant hive"),
        ({"trader": {"anna": TIGHT}}, "trader anna"),
        ({"strategy": {"colony": TIGHT}}, "strategy colony"),
        ({"instrument": {A: TIGHT}}, f"instrument {A}"),
        ({"tenant": {"hive": {"order_value_max": 998}}, "trader": {"anna": TIGHT}}, "tenant hive"),
    ],
)
def test_the_tightest_level_counts_and_is_named(levels: dict[str, object], named: str) -> None:
    seen = context(limits(**levels))

    denied = check_order(make_order(), seen)

    assert isinstance(denied, Denied)
    assert (denied.code, denied.level) == (DenialCode.ORDER_VALUE, named)
    assert f"of {named}" in denied.detail
    assert CompiledGate(seen).check([make_order()]) == [denied]


@pytest.mark.parametrize(
    "levels",
    [
        {"tenant": {"other": TIGHT}},
        {"trader": {"ben": TIGHT}},
        {"strategy": {"bees": TIGHT}},
        {"instrument": {B: TIGHT}},
        {"trader": {"anna": {"order_value_max": 10**9}}},  # looser than the firm: changes nothing
    ],
)
def test_limits_of_others_do_not_count(levels: dict[str, object]) -> None:
    assert isinstance(check_order(make_order(), context(limits(**levels))), Approved)


def test_a_strategy_is_measured_by_its_own_orders() -> None:
    """What another strategy holds is not counted against it; what it holds itself is."""
    book = Book("USD", NAV * 10**8)
    for strategy, number in (("bees", 1), ("colony", 2)):
        order = make_order(lots=20, decision_id=f"d{number}", strategy=strategy)
        fields = {"time_ns": NOW_NS, "client_order_id": order.client_order_id}
        for event in (
            ev.OrderIntended(event_id=f"i{number}", time_ns=NOW_NS, order=order),
            ev.OrderApproved(
                event_id=f"a{number}", attempt=1, reference_ticks=1, value_micros=1, **fields
            ),
            ev.OrderSubmitted(event_id=f"s{number}", attempt=1, **fields),
            make_fill(order, number=number),
        ):
            book.apply(event)
    seen = context(limits(strategy={"colony": {"gross_fraction_max": 0.0311}}), book)
    seen.recent_keys.clear()

    first = make_order(lots=11, decision_id="d3")
    assert isinstance(
        check_order(first, seen), Approved
    )  # 20 of its own and 11: 3.1 % of NAV, less fees
    seen.send(first)
    more = check_order(make_order(B, 1, decision_id="d4"), seen)
    others = check_order(make_order(B, 1, decision_id="d4", strategy="bees"), seen)

    assert isinstance(more, Denied)
    assert (more.code, more.level) == (DenialCode.GROSS_EXPOSURE, "strategy colony")
    assert isinstance(others, Approved)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"desk": {}}, "a level must be one of .*, was 'desk'"),
        ({"trader": ["anna"]}, r"levels.trader must map names to limits, was \['anna'\]"),
        (
            {"strategy": {"bees": {"leverage_max": 0.1}}},
            "limits of the strategy bees must",
        ),
        ({"trader": {"anna": {"messages_max": 1.5}}}, "trader anna: messages_max must be a whole"),
        ({"trader": {"anna": {"messages_max": -1}}}, r"trader anna: messages_max must be in \[0,"),
    ],
)
def test_a_level_that_does_not_hold_gives_one_line(content: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        RiskLimits.from_mapping({"levels": content})
    assert "\n" not in str(raised.value)


def test_limits_with_levels_survive_the_way_to_a_file_and_back() -> None:
    given = limits(
        strategy={"colony": {"restricted": [A], "order_value_max": "12.5"}},
        instrument={A: {"volume_required": True}},
    )

    assert RiskLimits.from_mapping(given.to_mapping()) == given
    assert given.digest() != make_limits().digest()


BEFORE = limits(trader={"anna": {"order_value_max": 500}})


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"gross_fraction_max": 2.1}, ("gross_fraction_max",)),
        ({"gross_fraction_max": 1.9}, ()),
        ({"volume_required": True}, ()),
        ({"messages_window_s": 61.0}, ()),
        ({"messages_window_s": 59.0}, ("messages_window_s",)),
        ({"restricted": [A]}, ()),
        ({"permitted_asset_classes": ["equity"]}, ()),
        ({"permitted_asset_classes": ["warrant", "equity"]}, ("permitted_asset_classes",)),
        ({"levels": {}}, ("order_value_max of trader anna",)),
        (
            {"levels": {"trader": {"anna": {"order_value_max": 501}}}},
            ("order_value_max of trader anna",),
        ),
        ({"levels": {"trader": {"anna": {"order_value_max": 499}}, "tenant": {"hive": TIGHT}}}, ()),
    ],
)
def test_what_is_looser_is_found(change: dict[str, object], found: tuple[str, ...]) -> None:
    after = RiskLimits.from_mapping(BEFORE.to_mapping() | change)

    assert loosened(BEFORE, after) == found


values = st.fixed_dictionaries(
    {
        "order_value_max": st.integers(0, 3_000).map(Decimal),
        "gross_fraction_max": st.sampled_from([0.005, 0.02, 1.0]),
        "position_fraction_max": st.sampled_from([0.005, 0.02, 1.0]),
        "collar_fraction_max": st.sampled_from([0.0, 0.05, 1.0]),
    }
)


@given(
    firm=values, level=values, kind=st.sampled_from(["tenant", "trader", "strategy", "instrument"])
)
def test_a_level_never_loosens(
    firm: dict[str, object], level: dict[str, object], kind: str
) -> None:
    """Whatever the firm denies is denied as well with a level beneath it."""
    names = {"tenant": "hive", "trader": "anna", "strategy": "colony", "instrument": A}
    wide = make_limits(**firm)
    own = {n: v for n, v in level.items() if n in FIELDS[Level(kind)]}
    mapping = wide.to_mapping() | {"levels": {kind: {names[kind]: own}}}
    narrow = RiskLimits.from_mapping(mapping).of_desk("hive", "anna")

    for order in (make_order(), make_order(side=OrderSide.SELL, limit=10_200)):
        if isinstance(check_order(order, context(wide)), Denied):
            assert isinstance(check_order(order, context(narrow)), Denied)


def changed(after: RiskLimits, **fields: object) -> ev.LimitsChanged:
    values: dict[str, object] = {
        "event_id": f"l{after.digest()}",
        "time_ns": 1,
        "limits": after,
        "digest_before": "",
        "digest_after": after.digest(),
        "loosened": (),
        "actor": "anna",
        "second_actor": "",
        "reason": "drill",
        "by_person": False,
    }
    return ev.LimitsChanged(**{**values, **fields})  # type: ignore[arg-type]  # a builder of any field


def test_a_machine_cannot_loosen_limits_in_the_log() -> None:
    book = Book("USD", 1)
    book.apply(changed(make_limits(messages_max=5)))

    with pytest.raises(IllegalTransitionError, match="messages_max was by anna"):
        book.apply(changed(make_limits(messages_max=6)))
    book.apply(changed(make_limits(messages_max=6), by_person=True, loosened=("messages_max",)))
    book.apply(changed(make_limits(messages_max=4)))

    assert book.limits == make_limits(messages_max=4)


@given(st.integers(0, 2**32 - 1), st.integers(0, 10**15))
def test_limits_folded_into_one_resolve_as_the_levels_do(seed: int, nav: int) -> None:
    """Of the book and of each instrument, whatever the value of the account."""
    given = drawn_limits(np.random.default_rng(seed))
    resolved, folded = given.resolve(nav), given.on_book().resolve(nav)
    on_instruments = given.on_instruments()
    for name in LIMIT_NAMES:
        assert getattr(folded, name) == getattr(resolved, name), name
        for instrument_id, own in on_instruments.items():
            level = given.resolve_level(Level.INSTRUMENT, instrument_id, nav)
            assert level is not None
            wanted = resolved.tightened(level, "")
            assert getattr(own.resolve(nav), name) == getattr(wanted, name), name
