"""The engine agrees with a naive backtest in Decimal to the last minor unit."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_core.backtest.bars import Bars
from swarm_core.backtest.columns import NONE
from swarm_core.backtest.engine import Backtest, Standing
from swarm_core.backtest.settings import EngineSettings
from swarm_core.commissions import BpsCommission, CommissionModel, IbFixedCommission
from swarm_core.fills import FillSettings
from swarm_core.instruments import Instrument
from swarm_core.orders import OrderKind, TimeInForce
from swarm_core.risk.limits import LOOSEST
from swarm_core.sizing_settings import SizingSettings
from tests.swarm_core.backtest import reference

DAY_NS = 86_400 * 10**9


def run_engine(
    rules: reference.Rules, bars: Bars, lots: np.ndarray
) -> tuple[Standing, list[tuple[int, ...]], list[int]]:  # fmt: skip
    commission: CommissionModel = IbFixedCommission()
    if rules.fee_bps is not None:
        commission = BpsCommission(rules.fee_bps)
    chosen = EngineSettings(
        starting_cash=rules.cash,
        limits=LOOSEST,
        commission=commission,
        fills=FillSettings(
            participation_fraction_max=float(rules.participation),
            slippage_bps=float(rules.slippage_bps),
            impact_bps=0.0,
            day_order_ends_with_session=rules.one_bar,
        ),
        sizing=SizingSettings(
            kind=OrderKind.MARKET,
            time_in_force=TimeInForce.DAY if rules.one_bar else TimeInForce.GOOD_TILL_CANCELLED,
        ),
    )
    fills: list[tuple[int, ...]] = []
    nav: list[int] = []

    def sink(name: str, rows: np.ndarray) -> None:
        if name == "fills":
            fills.extend(map(tuple, rows.tolist()))
        elif name == "nav":
            nav.extend(rows.tolist())

    test = Backtest(bars, chosen, sink)
    test.trade_targets(bars, lots)
    return test.standing(), fills, nav


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))  # type: ignore[arg-type]  # its members
@given(st.integers(0, 2**32 - 1))
def test_fills_cash_and_nav_are_those_of_a_naive_backtest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, count = int(rng.integers(1, 4)), 50
    tick, lot = Decimal("0.01"), Decimal(str(rng.choice(["1", "0.1", "10"])))
    by_value = bool(rng.random() < 0.5)
    rules = reference.Rules(
        cash=Decimal("250000.37"),
        tick=tick,
        lot=lot,
        participation=Decimal(str(rng.choice(["1", "0.25", "0.05"]))),
        slippage_bps=Decimal(str(rng.choice(["0", "1.5", "7"]))),
        fee_bps=Decimal(str(rng.choice(["0", "1", "2.35"]))) if by_value else None,
        per_share=None if by_value else Decimal("0.005"),
        one_bar=bool(rng.random() < 0.5),
    )
    close = np.maximum(50, 2_000 + np.cumsum(rng.integers(-40, 41, (count, n)), axis=0))
    open_ = np.maximum(1, close + rng.integers(-30, 31, (count, n)))
    volume = rng.integers(0, 900, (count, n))
    lots = np.repeat(rng.integers(-80, 120, (10, n)), 5, axis=0)
    lots = np.where(rng.random(lots.shape) < 0.1, NONE, lots)
    instruments = [
        Instrument(
            instrument_id=f"X.{i}",
            asset_class="crypto",
            currency="USD",
            price_increment=tick,
            size_increment=lot,
        )
        for i in range(n)
    ]  # fmt: skip
    times = 20_000 * DAY_NS + np.arange(count) * DAY_NS
    bars = Bars.of(instruments, times, close, open_=open_, volume=volume)
    end, fills, nav = run_engine(rules, bars, lots)

    def units(values: np.ndarray, unit: Decimal) -> list[list[Decimal]]:
        return [[Decimal(int(v)) * unit for v in row] for row in values]

    wished = [[None if v == NONE else Decimal(int(v)) * lot for v in row] for row in lots]
    naive = reference.walk(
        rules, units(open_, tick), units(close, tick), units(volume, lot), wished
    )
    assert [int(v * 10**8) for v in naive.nav] == nav
    assert int(naive.cash * 10**8) == end.cash_minor["USD"]
    told = [
        (t, i, int(abs(size) / lot), int(price / tick), int(charge * 10**8))
        for t, i, size, price, charge in naive.fills
    ]
    # What makes a position smaller is sent first: of one bar, the instruments stand otherwise.
    assert told == sorted(((f[1], f[2], f[4], f[5], f[6]) for f in fills), key=lambda f: f[:2])


def test_a_buy_that_volume_cuts_in_three_is_worked_out_by_hand() -> None:
    share = Instrument(instrument_id="X", asset_class="crypto", currency="USD")
    times = 20_000 * DAY_NS + np.arange(5) * DAY_NS
    prices = np.array([[10_000], [10_100], [10_200], [10_300], [10_400]])
    bars = Bars.of([share], times, prices, open_=prices, volume=np.full((5, 1), 400))
    rules = reference.Rules(
        cash=Decimal(100_000), tick=Decimal("0.01"), lot=Decimal(1), participation=Decimal("0.1"),
        fee_bps=Decimal(10),
    )  # fmt: skip
    end, fills, nav = run_engine(rules, bars, np.array([[100]] + [[NONE]] * 4))
    # 40 at 101.00, 40 at 102.00, 20 at 103.00 and 10 bp of each: 10,180.00 and 10.18 in fees.
    assert [(f[1], f[4], f[5]) for f in fills] == [
        (1, 40, 10_100),
        (2, 40, 10_200),
        (3, 20, 10_300),
    ]
    assert [f[6] for f in fills] == [404_000_000, 408_000_000, 206_000_000]
    assert end.cash_minor["USD"] == 8_980_982_000_000
    assert nav[-1] == end.cash_minor["USD"] + 100 * 104 * 10**8
    assert end.cost_minor == (1_018_000_000_000,)


def test_money_that_would_leave_64_bits_stops_the_run() -> None:
    dear = Instrument(instrument_id="X", asset_class="crypto", currency="USD")
    times = 20_000 * DAY_NS + np.arange(3) * DAY_NS
    prices = np.array([[10**6], [10**6], [10**12]])
    bars = Bars.of([dear], times, prices, open_=prices)
    rules = reference.Rules(
        cash=Decimal(10**9), tick=Decimal("0.01"), lot=Decimal(1), fee_bps=Decimal(0)
    )
    with pytest.raises(OverflowError, match="must stay within"):
        run_engine(rules, bars, np.array([[10**5], [NONE], [NONE]]))
