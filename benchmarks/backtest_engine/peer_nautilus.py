"""NautilusTrader on the first task: its engine, risk engine and portfolio as they come.

Only `engine.run()` is timed: making the bar objects is told apart, as `build_s`.
"""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import tasks as t
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, CurrencyType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy

SIM = Venue("SIM")


class Settings(StrategyConfig, frozen=True, kw_only=True):
    instrument_id: InstrumentId
    bar_type: BarType


class Cross(Strategy):
    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.fast = ExponentialMovingAverage(t.FAST)
        self.slow = ExponentialMovingAverage(t.SLOW)
        self.quantity, self.is_long, self.fills = Quantity.from_int(t.QUANTITY), False, 0

    def on_start(self) -> None:
        self.register_indicator_for_bars(self.config.bar_type, self.fast)
        self.register_indicator_for_bars(self.config.bar_type, self.slow)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Any) -> None:
        if not self.slow.initialized:
            return
        if self.fast.value > self.slow.value:
            if not self.is_long:
                self.send(OrderSide.BUY)
        elif self.fast.value < self.slow.value and self.is_long:
            self.send(OrderSide.SELL)

    def send(self, side: OrderSide) -> None:
        self.submit_order(self.order_factory.market(self.config.instrument_id, side, self.quantity))
        self.is_long = not self.is_long

    def on_order_filled(self, event: Any) -> None:
        self.fills += 1


def pair() -> CurrencyPair:
    """Return an instrument of shares against dollars, at 1 bp for makers and takers."""
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol("S000USDT"), SIM), raw_symbol=Symbol("S000USDT"),
        base_currency=Currency("S000", 0, 0, "S000", CurrencyType.CRYPTO), quote_currency=USDT,
        price_precision=4, size_precision=0, price_increment=Price.from_str("0.0001"),
        size_increment=Quantity.from_int(1), maker_fee=Decimal("0.0001"),
        taker_fee=Decimal("0.0001"), ts_event=0, ts_init=0,
    )  # fmt: skip


def build(frame: pd.DataFrame) -> tuple[BacktestEngine, Cross]:
    engine = BacktestEngine(
        BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False)
    )
    engine.add_venue(SIM, OmsType.NETTING, AccountType.CASH, [Money(t.CASH, USDT)])
    instrument = pair()
    kind = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")
    engine.add_instrument(instrument)
    engine.add_data(BarDataWrangler(kind, instrument).process(frame), sort=False)
    strategy = Cross(Settings(instrument_id=instrument.id, bar_type=kind))
    engine.add_strategy(strategy)
    engine.sort_data()
    return engine, strategy


def cross(request: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    arrays = t.minutes(request["bars"], request["seed"])
    index = pd.DatetimeIndex(arrays["time_ns"].view("M8[ns]"), tz="UTC")
    frame = pd.DataFrame({name: arrays[name][:, 0] for name in t.NAMES}, index=index)

    def run() -> dict[str, Any]:
        began = time.perf_counter()
        engine, strategy = build(frame)
        ready = time.perf_counter()
        engine.run()
        seconds = time.perf_counter() - ready
        equity = engine.cache.account_for_venue(SIM).balance_total(USDT).as_double()
        held = engine.portfolio.net_position(strategy.config.instrument_id)
        if held:
            equity += float(held) * engine.cache.bar(strategy.config.bar_type).close.as_double()
        told = {"fills": strategy.fills, "equity": equity, "build_s": ready - began}
        engine.dispose()
        return {**told, "seconds": seconds}

    return run


t.serve({"T1": cross})
