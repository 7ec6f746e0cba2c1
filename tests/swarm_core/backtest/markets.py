"""Random markets, orders and settings for the engine, and both ways to run them."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from adapters.brokers.simulated import SimulatedBroker
from swarm_core import events as ev
from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.engine import TAPES, Backtest
from swarm_core.backtest.opening import Openings
from swarm_core.backtest.settings import FORCES, KINDS, EngineSettings
from swarm_core.backtest.stepwise import StepwiseBacktest
from swarm_core.carry.borrow import BorrowAvailability
from swarm_core.commissions import (
    BpsCommission,
    CommissionModel,
    IbFixedCommission,
    IbTieredCommission,
    MakerTakerCommission,
    PerContractCommission,
)
from swarm_core.fills import FillSettings
from swarm_core.frictions.latency import Latency
from swarm_core.frictions.slippage import (
    BpsSlippage,
    SquareRootSlippage,
    TickSlippage,
    VolumeShareSlippage,
)
from swarm_core.instruments import Instrument
from swarm_core.orders import Order, OrderKind, OrderSide, TimeInForce
from swarm_core.risk import kernel as k
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing_settings import SizingSettings

NONE = c.NONE
MINUTE_NS, DAY_NS = 60 * 10**9, 86_400 * 10**9
RATES = {"EUR": Decimal("1.0837"), "JPY": Decimal("0.0067")}
Rows = dict[str, list[tuple[int, ...]]]


def pick(rng: np.random.Generator, *choices: object) -> object:
    return choices[int(rng.integers(len(choices)))]


def make_instruments(rng: np.random.Generator, count: int) -> tuple[Instrument, ...]:
    return tuple(
        Instrument(
            instrument_id=f"X.{name}",
            asset_class=str(pick(rng, "equity", "equity", "future", "crypto", "option")),
            currency=str(pick(rng, "USD", "USD", "EUR", "JPY")),
            price_increment=Decimal(str(pick(rng, "0.01", "0.05", "0.0001"))),
            size_increment=Decimal(str(pick(rng, "1", "1", "0.01", "100"))),
            multiplier=Decimal(str(pick(rng, "1", "1", "50"))),
            sector=str(pick(rng, "tech", "energy")),
        )
        for name in rng.permutation([*"ABCDE"])[:count]
    )


def make_bars(rng: np.random.Generator, instruments: tuple[Instrument, ...], count: int) -> Bars:
    """Return a market with gaps, halts, bands, bars without an open and unreported volumes."""
    n = len(instruments)
    shape = (count, n)
    step = int(pick(rng, MINUTE_NS, DAY_NS, 7 * 3_600 * 10**9))  # type: ignore[call-overload]  # ints
    time_ns = 20_000 * DAY_NS + np.cumsum(rng.integers(1, 3, count)) * step
    close = np.maximum(2, 1_000 + np.cumsum(rng.integers(-30, 31, shape), axis=0))
    open_ = np.maximum(1, close + rng.integers(-25, 26, shape))
    high = np.maximum(open_, close) + rng.integers(0, 20, shape)
    low = np.maximum(1, np.minimum(open_, close) - rng.integers(0, 20, shape))
    volume = rng.integers(0, 400, shape)
    rare = lambda share: rng.random(shape) < share  # noqa: E731  # one line, used six times here
    close = np.where(rare(0.1), NONE, close)
    open_ = np.where(rare(0.1), NONE, open_)
    no_range = rare(0.1)
    banded = rng.random() < 0.3
    return Bars.of(
        instruments,
        time_ns,
        close,
        open_=open_,
        high=np.where(no_range, NONE, high),
        low=np.where(no_range, NONE, low),
        volume=np.where(rare(0.1), -1, volume),
        open_ns=time_ns - step + int(rng.integers(0, 3)) if rng.random() < 0.5 else None,
        day_volume=rng.integers(-1, 5_000, shape) if rng.random() < 0.5 else None,
        halted=rare(0.1).astype(np.int64) if rng.random() < 0.5 else None,
        band_low=np.where(rare(0.3), low + 3, NONE) if banded else None,
        band_high=np.where(rare(0.3), high - 3, NONE) if banded else None,
        leaving=rng.choice(3, shape, p=[0.8, 0.1, 0.1]) if rng.random() < 0.3 else None,
        roll_to=make_rolls(rng, count, n) if n > 1 and rng.random() < 0.4 else None,
        rates=make_rates(rng, instruments, count) if rng.random() < 0.4 else None,
    )


def make_rolls(rng: np.random.Generator, count: int, n: int) -> c.Ints:
    """Return rolls from a place to the next one at some of the closes."""
    rolls = np.full((count, n), NONE, np.int64)
    for t in np.flatnonzero(rng.random(count) < 0.2):
        at = int(rng.integers(n))
        rolls[t, at] = (at + 1) % n
    return rolls


def make_rates(
    rng: np.random.Generator, instruments: tuple[Instrument, ...], count: int
) -> dict[str, list[Decimal | None]]:
    """Return rates that move on some of the bars."""
    return {
        name: [
            None if rng.random() < 0.3 else Decimal(f"{float(rate) * rng.uniform(0.9, 1.1):.6f}")
            for _ in range(count)
        ]
        for name, rate in RATES.items()
        if name in {i.currency for i in instruments}
    }


def make_commission(rng: np.random.Generator) -> CommissionModel:
    models: tuple[CommissionModel, ...] = (
        BpsCommission(Decimal("1.35"), Decimal(str(pick(rng, "0", "0.1")))),
        IbFixedCommission(),
        IbTieredCommission(month_quantity=Decimal(str(pick(rng, "0", "299_900.5")))),
        PerContractCommission(exchange_fee=Decimal("0.375"), minimum=Decimal(1)),
        MakerTakerCommission(maker_bps=Decimal("-0.5"), taker_bps=Decimal("7.25")),
    )
    return models[int(rng.integers(len(models)))]


def make_limits(rng: np.random.Generator) -> RiskLimits:
    """Return limits tight enough that each of them is met now and then."""
    return RiskLimits(
        collar_fraction_max=float(rng.choice([0.02, 0.5])),
        quote_age_s_max=float(rng.choice([90.0, 93_600.0, 604_800.0])),
        order_value_fraction_max=float(rng.choice([0.1, 1.0])),
        order_volume_fraction_max=float(rng.choice([0.05, 1.0])),
        messages_max=int(rng.choice([2, 8, 2_000])),
        messages_window_s=float(rng.choice([60.0, 86_400.0])),
        repeats_max=int(rng.choice([2, 20])),
        repeats_window_s=float(rng.choice([90.0, 86_400.0])),
        duplicate_window_s=float(rng.choice([0.0, 10.0, 86_400.0])),
        position_fraction_max=float(rng.choice([0.2, 1.0])),
        gross_fraction_max=float(rng.choice([0.6, 3.0])),
        net_fraction_max=float(rng.choice([0.5, 2.0])),
        sector_fraction_max=float(rng.choice([0.5, 2.0])),
        currency_fraction_max=float(rng.choice([0.3, 2.0])),
        leverage_max=float(rng.choice([0.7, 3.0])),
        daily_loss_fraction_max=float(rng.choice([0.002, 0.05])),
        drawdown_fraction_max=float(rng.choice([0.01, 0.25])),
        short_locate_required=bool(rng.random() < 0.5),
        restricted=frozenset({"X.C"}) if rng.random() < 0.2 else frozenset(),
    )


def make_settings(rng: np.random.Generator) -> EngineSettings:
    slippage = pick(
        rng, None, BpsSlippage(Decimal("2.5")), TickSlippage(2), VolumeShareSlippage(),
        SquareRootSlippage(Decimal(1), Decimal(12)),
    )  # fmt: skip
    kinds = [kind for kind in OrderKind if not kind.has_limit and not kind.has_stop]
    return EngineSettings(
        starting_cash=Decimal(str(pick(rng, "20_000", "100_000.55", "1_000_000"))),
        limits=make_limits(rng),
        commission=make_commission(rng),
        fills=FillSettings(
            participation_fraction_max=float(rng.choice([0.05, 0.3, 1.0])),
            day_order_is_one_bar=bool(rng.random() < 0.5),
            day_order_age_s_max=float(rng.choice([150.0, 345_600.0])),
            slippage=slippage,  # type: ignore[arg-type]  # one of the models
            latency=Latency(
                milliseconds=int(rng.choice([0, 0, 70_000])), bars=int(rng.choice([0, 0, 2]))
            ),
        ),
        sizing=SizingSettings(
            dust_fraction=float(rng.choice([0.0, 0.0005, 0.01])),
            kind=kinds[int(rng.integers(len(kinds)))],
            time_in_force=FORCES[int(rng.integers(len(FORCES)))],
        ),
        decision_lag_s=float(rng.choice([0.0, 30.0])),
        located=frozenset({"X.A", "X.B"}) if rng.random() < 0.5 else frozenset(),
        borrow=BorrowAvailability(
            lots={"X.A": int(rng.integers(0, 40))}, default_lots=int(rng.integers(0, 60))
        )
        if rng.random() < 0.4
        else BorrowAvailability(),
    )


def make_orders(rng: np.random.Generator, bars: Bars) -> list[list[Order]]:
    """Return a few orders of every kind and force for each bar, near the market's price."""
    return [
        [
            _order(rng, bars, t, number)
            for number in range(int(rng.integers(0, 4)) if rng.random() < 0.6 else 0)
        ]
        for t in range(len(bars.market.time_ns))
    ]


def _order(rng: np.random.Generator, bars: Bars, t: int, number: int) -> Order:
    at = int(rng.integers(len(bars.instruments)))
    kind = KINDS[int(rng.integers(len(KINDS)))]
    near = max(1, int(bars.market.close[t, at])) if bars.market.close[t, at] != NONE else 1_000

    def price() -> int:
        return max(1, near + int(rng.integers(-40, 41)))

    return Order(
        decision_id=f"bar-{t}",
        instrument_id=bars.instruments[at].instrument_id,
        side=OrderSide.BUY if rng.random() < 0.5 else OrderSide.SELL,
        quantity_lots=int(rng.integers(1, 60)),
        kind=kind,
        time_in_force=TimeInForce(pick(rng, "day", "gtc", "gtc", "ioc")),
        limit_price_ticks=price() if kind.has_limit else None,
        stop_price_ticks=price() if kind.has_stop else None,
        slice_index=number,
    )


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


def _rows(test: StepwiseBacktest, ids: list[str], bars: Bars) -> Rows:
    times = bars.market.time_ns.tolist()
    lag = int(test.settings.decision_lag_s * 10**9)
    bar_of = {time: t for t, time in enumerate(times)}
    rows: Rows = {name: [] for name in TAPES}
    number: dict[str, int] = {}
    terms: dict[str, tuple[int, ...]] = {}
    fills = 0
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
            assert event.commission_minor is not None
            rows["fills"].append(
                (
                    number[event.client_order_id],
                    bar_of[event.time_ns],
                    ids.index(event.instrument_id),
                    event.side.sign,
                    event.lots,
                    event.price_ticks,
                    event.commission_minor,
                    event.is_maker,
                )
            )  # fmt: skip
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


def assert_same(compiled: Story, stepwise: Story) -> None:
    """Hold the loop to the objects: every row, every NAV and the books, to the minor unit."""
    for name in TAPES:
        left = compiled.rows[name]
        if name == "changes":
            left = [(*row[:3], -1, row[4]) if row[2] == c.TRIGGERED else row for row in left]
        if name == "fills":
            left = [row[:8] for row in left]  # what the market offered stands in no event
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
