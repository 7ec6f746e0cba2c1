"""The compiled gate answers as the readable one does, in every number."""

from copy import deepcopy
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_core.execution.working import WorkingPlan, parent_order_id
from swarm_core.orders import Order, OrderKind, OrderSide
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.compiled import CompiledGate
from swarm_core.risk.context import InstrumentRisk, RiskContext
from swarm_core.risk.gate import Approved, check_order
from swarm_core.risk.limits import ResolvedLimits
from swarm_core.trading_state import TradingState

NAMES = ("US.A", "US.B", "EU.C")
PLAN = WorkingPlan(  # three slices are due, the fourth is not
    decision_id="p",
    instrument_ids=NAMES,
    start_weights=(0.0, 0.0, 0.0),
    target_weights=(0.1, 0.1, 0.1),
    moments_ns=(-2, -1, 0, 1),
    done_ppm=(250_000, 500_000, 750_000, 10**6) * 3,
)
small = st.integers(0, 60)
rarely = st.sampled_from([False] * 19 + [True])
usually = st.sampled_from([True] * 19 + [False])

risks = st.builds(
    InstrumentRisk,
    unmeasured=st.sampled_from([None] * 19 + [DenialCode.STALE_QUOTE]),
    reference_ticks=st.sampled_from([90, 100, 100, 100, 110, 10**12, -95]),
    lot_value=st.sampled_from([5, 10, 10, 20, 50] * 6 + [10**12, 10**18]),
    daily_volume_lots=st.sampled_from([None, 10**6, 10**6, 300]),
    session_open=st.sampled_from([True] * 8 + [False, None]),
    permitted=usually,
    restricted=rarely,
    needs_locate=st.booleans(),
    located=st.booleans(),
    throttled=rarely,
    sector=st.sampled_from(["tech", "energy"]),
    currency=st.sampled_from(["USD", "EUR"]),
    is_base_currency=st.booleans(),
    position_lots=st.integers(-60, 60),
    open_buy_lots=small,
    open_sell_lots=small,
    repeats=st.integers(0, 3),
)
limit = st.sampled_from([10**18] * 6 + [400, 900, 2_000])
limits = st.builds(
    ResolvedLimits,
    collar_ppm=st.sampled_from([0, 50_000, 200_000, 10**6]),
    quote_age_ns=st.just(0),
    order_value=limit,
    order_volume_ppm=st.sampled_from([10**6, 10**6, 20_000]),
    volume_required=rarely,
    messages=st.integers(3, 12),
    repeats=st.integers(2, 5),
    position_value=limit,
    concentration=limit,
    gross=limit,
    net=limit,
    sector=limit,
    currency=limit,
    buying_power=limit,
    daily_loss_ppm=st.sampled_from([10**6, 10**6, 40_000]),
    drawdown_ppm=st.sampled_from([10**6, 10**6, 90_000]),
    locate_required=rarely,
)
navs = st.sampled_from([900, 1_000, 1_000, 1_000, 10**15] * 4 + [None])


@st.composite
def drawn_contexts(draw: st.DrawFn) -> RiskContext:
    """Draw an account, tighter limits for an instrument, and a strategy's own share and limits."""
    context = draw(accounts)
    if draw(st.booleans()):
        own = context.limits.tightened(draw(limits), "instrument US.A")
        context.own_limits["US.A"] = own
    if draw(st.booleans()):
        seen = {
            name: replace(
                risk,
                position_lots=draw(st.integers(-60, 60)),
                open_buy_lots=draw(small),
                open_sell_lots=draw(small),
                restricted=draw(rarely),
            )
            for name, risk in context.instruments.items()
        }
        context.strategies["bees"] = RiskContext(
            time_ns=0,
            trading_state=context.trading_state,
            nav=context.nav,
            session_nav=context.session_nav,
            peak_nav=context.peak_nav,
            instruments=seen,
            limits=draw(limits),
        )
    return context


accounts = st.builds(
    RiskContext,
    time_ns=st.just(0),
    trading_state=st.sampled_from([TradingState.ACTIVE] * 10 + list(TradingState)),
    nav=navs,
    session_nav=st.sampled_from([1_000, 1_000, 1_050] * 6 + [0]),
    peak_nav=st.sampled_from([1_000, 1_100, 1_100] * 6 + [0]),
    instruments=st.fixed_dictionaries(dict.fromkeys(NAMES, risks)),
    limits=limits,
    message_count=st.integers(0, 4),
    plan=st.sampled_from([None, PLAN, PLAN]),
)


@st.composite
def drawn_orders(draw: st.DrawFn) -> Order:
    kind = draw(st.sampled_from(OrderKind))
    return Order(
        decision_id=draw(st.sampled_from(["d1", "d2", "d3", "p/1", "p/2", "p/3", "p/4"])),
        instrument_id=(name := draw(st.sampled_from([*NAMES * 6, "US.X"]))),
        parent_client_order_id=draw(st.sampled_from(["", *[parent_order_id("p", name)] * 3])),
        side=draw(st.sampled_from(OrderSide)),
        quantity_lots=draw(st.sampled_from([*range(1, 21), 10**12])),
        kind=kind,
        limit_price_ticks=draw(st.sampled_from([-5, 80, 95, 98, 100, 102, 115]))
        if kind.has_limit
        else None,
        stop_price_ticks=draw(st.sampled_from([1, 80, 100, 115])) if kind.has_stop else None,
        slice_index=draw(st.integers(0, 3)),
        strategy=draw(st.sampled_from(["bees", "ants"])),
    )


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(context=drawn_contexts(), orders=st.lists(drawn_orders(), max_size=12))
def test_compiled_and_readable_gates_agree_on_every_order(
    context: RiskContext, orders: list[Order]
) -> None:
    readable = deepcopy(context)
    expected = []
    for order in orders:
        verdict = check_order(order, readable)
        if isinstance(verdict, Approved):
            readable.send(order)
        expected.append(verdict)

    gate = CompiledGate(context)
    cut = len(orders) // 2
    assert gate.check(orders[:cut]) + gate.check(orders[cut:]) == expected
