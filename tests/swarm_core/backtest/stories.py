"""What becomes of a market, told by the compiled engine and step by step."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.engine import TAPES, Backtest
from swarm_core.backtest.opening import Openings
from swarm_core.backtest.orders import OrderPlan
from swarm_core.backtest.settings import FORCES, KINDS, EngineSettings
from swarm_core.backtest.stepwise import StepwiseBacktest
from swarm_core.orders import Order
from swarm_core.risk import kernel as k
from tests.swarm_core.backtest.markets import NONE, RATES

Rows = dict[str, list[tuple[int, ...]]]


@dataclass(frozen=True)
class Story:
    """What a run leaves behind: its rows, NAV by bar, and the account at its end."""

    rows: Rows
    nav_minor: list[int]
    cash_minor: dict[str, int]
    fees_minor: dict[str, int]
    positions: list[tuple[int, int, int]]  # lots, cost, realised


def compiled_story(
    bars: Bars,
    settings: EngineSettings,
    walk: Callable[[Backtest, Bars], None],
    tape_rows: int = 64,
    openings: Openings | None = None,
) -> Story:
    """Run the loop; the tapes are short, so that they overflow and are emptied on the way."""
    rows: Rows = {name: [] for name in TAPES}
    nav: list[int] = []

    def sink(name: str, values: c.Ints) -> None:
        if name == "nav":
            nav.extend(values.tolist())
        else:
            rows.setdefault(name, []).extend(map(tuple, values.tolist()))

    test = Backtest(bars, settings, sink, rates=RATES, openings=openings, tape_rows=tape_rows)
    walk(test, bars)
    end = test.standing()
    positions = list(zip(end.lots, end.cost_minor, end.realised_minor, strict=True))
    return Story(
        rows,
        nav,
        {name: v for name, v in end.cash_minor.items() if v},
        {name: v for name, v in end.fees_minor.items() if v},
        positions,
    )


def stepwise_story(
    bars: Bars,
    settings: EngineSettings,
    walk: Callable[[StepwiseBacktest, Bars], None],
    openings: Openings | None = None,
) -> Story:
    """Run the objects, and put their events into the columns of the loop."""
    instruments = {i.instrument_id: i for i in bars.instruments}
    venue = SimulatedBroker(
        instruments, fills=settings.fills, commission=settings.commission, borrow=settings.borrow
    )
    test = StepwiseBacktest(bars.instruments, settings, venue, rates=RATES, openings=openings)
    walk(test, bars)
    ledger = test.book.ledger
    assert ledger.find_imbalance() is None
    places = [ledger.positions.get(i) for i in instruments]
    return Story(
        _rows(test, list(instruments), bars),
        test.nav_minor,
        {name: v for name, v in ledger.cash.items() if v},
        {name: v for name, v in ledger.fees.items() if v},
        [(0, 0, 0) if p is None else (p.lots, p.cost_minor, p.realised_minor) for p in places],
    )


def told_both_ways(
    bars: Bars,
    settings: EngineSettings,
    sent: Sequence[Sequence[Order]],
    openings: Openings | None = None,
) -> Story:
    """Return what becomes of the orders sent at each bar's close, the same by loop and objects."""
    plan = OrderPlan.of(sent, [i.instrument_id for i in bars.instruments])
    compiled = compiled_story(
        bars, settings, lambda test, b: test.place_orders(b, plan), openings=openings
    )
    stepwise = stepwise_story(
        bars, settings, lambda test, b: test.place_orders(b, sent), openings=openings
    )
    assert_same(compiled, stepwise)
    assert sorted_actions(compiled) == sorted_actions(stepwise)
    return compiled


def _rows(test: StepwiseBacktest, ids: list[str], bars: Bars) -> Rows:
    times = bars.market.time_ns.tolist()
    lag = int(test.settings.decision_lag_s * 10**9)
    bar_of = {time: t for t, time in enumerate(times)}
    rows: Rows = {name: [] for name in TAPES}
    number: dict[str, int] = {}
    terms: dict[str, tuple[int, ...]] = {}
    fills, converted = 0, _converted(test.events)
    for event in test.events:
        if isinstance(event, ev.OrderIntended):
            order = event.order
            number[order.client_order_id] = len(number)
            limit, stop = order.limit_price_ticks, order.stop_price_ticks
            terms[order.client_order_id] = (
                number[order.client_order_id], bar_of[event.time_ns - lag],
                ids.index(order.instrument_id), order.side.sign, order.quantity_lots,
                KINDS.index(order.kind), FORCES.index(order.time_in_force),
                NONE if limit is None else limit, NONE if stop is None else stop,
            )  # fmt: skip
        elif isinstance(event, ev.OrderApproved):
            verdict = (k.APPROVED, 0, 0, event.value_micros)
            rows["orders"].append(terms[event.client_order_id] + verdict)
        elif isinstance(event, ev.OrderDenied):
            verdict = (k.CODES.index(event.code), event.measured, event.limit, 0)
            rows["orders"].append(terms[event.client_order_id] + verdict)
        elif isinstance(event, ev.OrderFilled):
            fills += 1
            order_number, bar = number[event.client_order_id], bar_of[event.time_ns]
            rows["fills"].append(_fill_row(event, order_number, bar, ids, converted))
        elif isinstance(event, ev.OrderRejected):
            order_id = event.client_order_id
            lots, bar = terms[order_id][4], terms[order_id][1]
            rows["changes"].append((number[order_id], bar, c.REJECTED, lots, fills))
        elif isinstance(event, ev.OrderExpired):
            rows["changes"].append(
                (number[event.client_order_id], bar_of[event.time_ns], c.EXPIRED,
                 event.unfilled_lots, fills)
            )  # fmt: skip
        elif isinstance(event, ev.OrderHeld):
            rows["changes"].append(
                (number[event.client_order_id], bar_of[event.time_ns], c.HELD, event.bars_left,
                 fills)
            )  # fmt: skip
        elif isinstance(event, ev.OrderTriggered):
            open_lots = -1  # not in the event
            rows["changes"].append(
                (number[event.client_order_id], bar_of[event.time_ns], c.TRIGGERED, open_lots,
                 fills)
            )  # fmt: skip
    rows["actions"] = _action_rows(test.events, bars, ids, number)
    codes = {code: at for at, code in enumerate(k.CODES)}
    rows["refused"] = [(bar, ids.index(name), codes[code]) for bar, name, code in test.refused]
    return rows


def _converted(events: list[ev.Event]) -> dict[str, ev.CurrencyConverted]:
    """Return the conversions of fills, by execution: each stands right behind its fill."""
    return {
        fill.execution_id: event
        for fill, event in itertools.pairwise(events)
        if isinstance(event, ev.CurrencyConverted) and isinstance(fill, ev.OrderFilled)
    }


def _fill_row(
    fill: ev.OrderFilled,
    number: int,
    bar: int,
    ids: list[str],
    converted: dict[str, ev.CurrencyConverted],
) -> tuple[int, ...]:
    assert fill.commission_minor is not None
    cash = base = fee = 0
    trade = converted.get(fill.execution_id)
    if trade is not None:
        cash, base, fee = trade.from_minor, trade.to_minor, trade.fee_minor
        if trade.to_currency == fill.currency:
            cash, base = -base, -cash
    return (
        number, bar, ids.index(fill.instrument_id), fill.side.sign, fill.lots, fill.price_ticks,
        fill.commission_minor, fill.is_maker, cash, base, fee,
    )  # fmt: skip


def assert_same(compiled: Story, stepwise: Story) -> None:
    """Hold the loop to the objects: every row, every NAV and the books, to the minor unit."""
    for name in TAPES:
        left = compiled.rows[name]
        if name == "changes":
            left = [(*row[:3], -1, row[4]) if row[2] == c.TRIGGERED else row for row in left]
        if name == "fills":
            left = [row[:8] + row[9:] for row in left]  # what the market offered stands in no event
        for at, (a, b) in enumerate(zip(left, stepwise.rows[name], strict=False)):
            assert a == tuple(map(int, b)), f"{name}[{at}] of {TAPES[name]}"
        assert len(left) == len(stepwise.rows[name]), name
    assert compiled.nav_minor == stepwise.nav_minor
    assert compiled.cash_minor == stepwise.cash_minor
    assert compiled.fees_minor == stepwise.fees_minor
    assert compiled.positions == stepwise.positions


def _action_rows(
    events: list[ev.Event], bars: Bars, ids: list[str], number: dict[str, int]
) -> list[tuple[int, ...]]:
    """Return what openings did, in the columns of ACTION_TAPE."""
    opens = np.where(bars.market.open_ns == NONE, bars.market.time_ns, bars.market.open_ns)
    bar_of = {time: t for t, time in reversed(list(enumerate(opens.tolist())))}
    rows: list[tuple[int, ...]] = []
    owed: dict[str, ev.EntitlementAccrued] = {}
    names = sorted({*(i.currency for i in bars.instruments), "USD"})
    for event in events:
        told: tuple[int, ...] | None = None
        if isinstance(event, ev.HoldingChanged):
            told = (
                ids.index(event.instrument_id), c.HOLDING, -1, event.lots_change,
                event.cost_out_minor, event.cash_minor, _or_none(event.mark_ticks),
            )  # fmt: skip
            if event.to_instrument_id and event.to_lots:
                rows.append((bar_of[event.time_ns], *told))
                told = (
                    ids.index(event.to_instrument_id), c.RECEIVED, -1, event.to_lots,
                    event.to_cost_minor,
                    event.to_lots * event.to_mark_ticks * event.to_lot_tick_minor,
                    event.to_mark_ticks,
                )  # fmt: skip
        elif isinstance(event, ev.EntitlementAccrued):
            owed[event.action_id] = event
            told = (ids.index(event.instrument_id), c.ACCRUED, -1, 0, 0, event.amount_minor, NONE)
        elif isinstance(event, ev.EntitlementPaid):
            paid = owed[event.action_id]
            told = (ids.index(paid.instrument_id), c.PAID, -1, 0, 0, paid.amount_minor, NONE)
        elif isinstance(event, ev.CarryCharged):
            place = ids.index(event.instrument_id) if event.instrument_id else -1
            row = 0 if event.instrument_id else names.index(event.currency)
            told = (place, c.CARRIED, -1, row, 0, event.amount_minor, NONE)
        elif isinstance(event, ev.OrderCancelled):
            told = (-1, c.CANCELLED, number[event.client_order_id], 0, 0, 0, NONE)
        elif isinstance(event, ev.OrderAdjusted):
            told = (-1, c.ADJUSTED, number[event.client_order_id], 0, 0, 0, NONE)
        if told is not None:
            rows.append((bar_of[event.time_ns], *told))
    return rows + _conversion_rows(events, bar_of, names)


def _conversion_rows(
    events: list[ev.Event], bar_of: dict[int, int], names: list[str]
) -> list[tuple[int, ...]]:
    rows: list[tuple[int, ...]] = []
    for event in events:
        if (
            isinstance(event, ev.CurrencyConverted) and not event.correlation_id
        ):  # of a fill otherwise
            for currency, minor in (
                (event.from_currency, -event.from_minor),
                (event.to_currency, event.to_minor),
            ):
                fee = event.fee_minor if currency == event.fee_currency else 0
                row = (-1, c.CONVERTED, -1, names.index(currency), fee, minor, NONE)
                rows.append((bar_of[event.time_ns], *row))
    return rows


def sorted_actions(story: Story) -> list[tuple[int, ...]]:
    """Return what openings did, in an order that both ways share; of orders, which and what."""
    rows = [row for row in story.rows.get("actions", []) if row[2] != c.SETTLED]
    return sorted(
        (row[0], -1, row[2], row[3], 0, 0, 0, NONE) if row[2] in (c.ADJUSTED, c.CANCELLED) else row
        for row in rows
    )


def _or_none(ticks: int | None) -> int:
    return NONE if ticks is None else ticks
