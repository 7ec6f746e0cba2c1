"""Random markets, orders and settings for the engine."""

from decimal import Decimal

import numpy as np

from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.settings import FORCES, KINDS, EngineSettings
from swarm_core.carry.borrow import BorrowAvailability
from swarm_core.commissions import (
    BpsCommission,
    CommissionModel,
    IbFixedCommission,
    IbTieredCommission,
    MakerTakerCommission,
    PerContractCommission,
)
from swarm_core.currencies import FillConversion
from swarm_core.fills import FillSettings
from swarm_core.frictions.auction_cutoffs import AuctionCutoffs
from swarm_core.frictions.latency import Latency
from swarm_core.frictions.slippage import (
    BpsSlippage,
    SquareRootSlippage,
    TickSlippage,
    VolumeShareSlippage,
)
from swarm_core.instruments import Instrument
from swarm_core.orders import Order, OrderKind, OrderSide, TimeInForce
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing_settings import SizingSettings

NONE = c.NONE
MINUTE_NS, DAY_NS = 60 * 10**9, 86_400 * 10**9
RATES = {"EUR": Decimal("1.0837"), "JPY": Decimal("0.0067")}


def pick(rng: np.random.Generator, *choices: object) -> object:
    return choices[int(rng.integers(len(choices)))]


def make_instruments(rng: np.random.Generator, count: int) -> tuple[Instrument, ...]:
    venues = rng.spawn(1)[0]  # apart, so that the rest is drawn as without them
    return tuple(
        Instrument(
            instrument_id=f"X.{name}",
            venue=str(pick(venues, "", "XNYS", "XNAS")),
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
    # A future's prices may be below zero, or go through it; drawn apart from the rest.
    apart = rng.spawn(1)[0]
    deep = np.array([i.is_margined and apart.random() < 0.4 for i in instruments])
    shift = np.where(deep, int(apart.choice([-2_200, -1_010])), 0)
    step = int(pick(rng, MINUTE_NS, DAY_NS, 7 * 3_600 * 10**9))  # type: ignore[call-overload]  # ints
    time_ns = 20_000 * DAY_NS + np.cumsum(rng.integers(1, 3, count)) * step
    close = np.maximum(2, 1_000 + np.cumsum(rng.integers(-30, 31, shape), axis=0))
    open_ = np.maximum(1, close + rng.integers(-25, 26, shape))
    high = np.maximum(open_, close) + rng.integers(0, 20, shape)
    low = np.maximum(1, np.minimum(open_, close) - rng.integers(0, 20, shape))
    close, open_, high, low = (prices + shift for prices in (close, open_, high, low))
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
        session=20_000 + np.cumsum(rng.random(count) < 0.3) if rng.random() < 0.5 else None,
        ends=rare(0.3).astype(np.int64) if rng.random() < 0.3 else None,
    )


def make_rolls(rng: np.random.Generator, count: int, n: int) -> c.Ints:
    """Return rolls from a place to the next one at some of the closes."""
    rolls = np.full((count, n), NONE, np.int64)
    for t in np.flatnonzero(rng.random(count) < 0.2):
        at = int(rng.integers(n))
        rolls[t, at] = (at + 1) % n
        if n > 2 and t % 3 == 0:  # two holdings into one contract
            rolls[t, (at + 2) % n] = (at + 1) % n
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
    flat = RiskLimits(
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
    # Drawn apart, so that the markets that were drawn before stay as they are.
    levels = make_levels(np.random.default_rng(int(flat.digest(), 16)))
    return RiskLimits.from_mapping({**flat.to_mapping(), "levels": levels})


def make_levels(rng: np.random.Generator) -> dict[str, dict[str, dict[str, object]]]:
    """Return limits of a tenant, a trader and instruments, each of them there now and then."""

    def some(**drawn: object) -> dict[str, object]:
        return {name: value for name, value in drawn.items() if rng.random() < 0.2}

    def of_book() -> dict[str, object]:
        return some(
            collar_fraction_max=0.01,
            quote_age_s_max=60.0,
            order_value_max=str(int(rng.integers(500, 50_000))),
            order_volume_fraction_max=0.02,
            volume_required=True,
            messages_max=int(rng.integers(1, 6)),
            repeats_max=int(rng.integers(1, 6)),
            position_value_max=str(int(rng.integers(500, 80_000))),
            gross_fraction_max=float(rng.choice([0.3, 1.0])),
            net_fraction_max=float(rng.choice([0.3, 1.0])),
            leverage_max=float(rng.choice([0.4, 1.0])),
            daily_loss_fraction_max=0.001,
            drawdown_fraction_max=0.005,
            short_locate_required=True,
            restricted=[str(rng.choice(["X.A", "X.B"]))],
            permitted_asset_classes=["equity", "future", "fx"],
        )

    def of_instrument() -> dict[str, object]:
        return some(
            collar_fraction_max=0.005,
            order_value_fraction_max=float(rng.choice([0.03, 0.3])),
            order_volume_fraction_max=0.01,
            volume_required=True,
            position_value_max=str(int(rng.integers(200, 20_000))),
            position_fraction_max=float(rng.choice([0.03, 0.3])),
            repeats_max=int(rng.integers(1, 4)),
            short_locate_required=True,
        )

    levels: dict[str, dict[str, dict[str, object]]] = {}
    if rng.random() < 0.4:
        levels["instrument"] = {name: of_instrument() for name in ("X.A", "X.C", "X.Z")}
    if rng.random() < 0.15:
        levels["tenant"] = {"hive": of_book()}
    if rng.random() < 0.15:
        levels["trader"] = {"anna": of_book()}
    if rng.random() < 0.2:
        levels["strategy"] = {"another": {"gross_fraction_max": 0.01}}
    return levels


def make_settings(rng: np.random.Generator) -> EngineSettings:
    slippage = pick(
        rng, None, BpsSlippage(Decimal("2.5")), TickSlippage(2), VolumeShareSlippage(),
        SquareRootSlippage(Decimal(1), Decimal(12)),
    )  # fmt: skip
    kinds = [kind for kind in OrderKind if not kind.has_limit and not kind.has_stop]
    apart = rng.spawn(1)[0]
    return EngineSettings(
        starting_cash=Decimal(str(pick(rng, "20_000", "100_000.55", "1_000_000"))),
        limits=make_limits(rng),
        commission=make_commission(rng),
        fills=FillSettings(
            participation_fraction_max=float(rng.choice([0.05, 0.3, 1.0])),
            day_order_ends_with_session=bool(rng.random() < 0.5),
            day_order_age_s_max=float(rng.choice([150.0, 345_600.0])),
            slippage=slippage,  # type: ignore[arg-type]  # one of the models
            cutoffs=AuctionCutoffs(
                by_exchange=bool(apart.random() < 0.3),
                open_s=int(apart.choice([0, 20, 30_000, 30_000])),
                close_s=int(apart.choice([0, 20, 30_000, 30_000])),
                late_expires=bool(apart.random() < 0.5),
            ),
            latency=Latency(
                milliseconds=int(rng.choice([0, 0, 70_000])), bars=int(rng.choice([0, 0, 2]))
            ),
        ),
        sizing=SizingSettings(
            dust_fraction=float(rng.choice([0.0, 0.0005, 0.01])),
            kind=kinds[int(rng.integers(len(kinds)))],
            time_in_force=FORCES[int(rng.integers(len(FORCES)))],
        ),
        conversion=FillConversion(
            spread_bps=Decimal(str(pick(apart, "0", "3", "17.5"))),
            fee_bps=Decimal(str(pick(apart, "0", "0.2"))),
            fee_minimum=Decimal(str(pick(apart, "0", "2"))),
        )
        if apart.random() < 0.5
        else None,
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
    near = int(bars.market.close[t, at]) if bars.market.close[t, at] != NONE else 1_000
    least = -10_000 if bars.instruments[at].is_margined else 1

    def price(least: int) -> int:
        return max(least, near + int(rng.integers(-40, 41)))

    return Order(
        decision_id=f"bar-{t}",
        instrument_id=bars.instruments[at].instrument_id,
        side=OrderSide.BUY if rng.random() < 0.5 else OrderSide.SELL,
        quantity_lots=int(rng.integers(1, 60)),
        kind=kind,
        time_in_force=TimeInForce(pick(rng, "day", "gtc", "gtc", "ioc")),
        limit_price_ticks=price(least) if kind.has_limit else None,
        stop_price_ticks=price(1) if kind.has_stop else None,
        slice_index=number,
    )
