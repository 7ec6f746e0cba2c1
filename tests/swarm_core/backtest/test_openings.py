"""Splits, dividends, interest and borrow reach the books of the loop as they reach the ledger's."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_core.actions.action import CorporateAction
from swarm_core.actions.dividends import CashDividend
from swarm_core.actions.exchanges import CashOut, SpinOff, StockMerger
from swarm_core.actions.splits import Split
from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.engine import Backtest
from swarm_core.backtest.opening import Openings
from swarm_core.backtest.settings import EngineSettings
from swarm_core.carry.borrow import BorrowCost
from swarm_core.carry.interest import CashInterest, CashRates
from swarm_core.commissions import BpsCommission
from swarm_core.currencies import CurrencySweep
from swarm_core.derivatives.expiry import FutureExpiry, OptionExpiry
from swarm_core.derivatives.futures import FutureContract
from swarm_core.derivatives.options import OptionContract, OptionRight, OptionSettlement
from swarm_core.fills import FillSettings
from swarm_core.instruments import Instrument
from swarm_core.overnight import Carry
from swarm_core.risk.limits import LOOSEST
from tests.swarm_core.backtest.markets import (
    DAY_NS,
    make_bars,
    make_instruments,
    make_orders,
    make_settings,
)
from tests.swarm_core.backtest.stories import (
    Story,
    told_both_ways,
)

CARRY = Carry(
    interest=CashInterest(
        rates={
            "USD": CashRates(credit=Decimal("0.031"), debit=Decimal("0.064")),
            "EUR": CashRates(debit=Decimal("0.05")),
        }
    ),
    borrow=BorrowCost(annual_rate=Decimal("0.03")),
)


def make_openings(rng: np.random.Generator, bars: Bars) -> Openings:
    """Return actions on a few of the sessions, some of them on one instrument at once."""
    actions: dict[int, list[CorporateAction]] = {}
    for number, session in enumerate(np.unique(bars.market.session)[1:].tolist()):
        if rng.random() < 0.4:
            actions[session] = [_action(rng, bars, number)]
    carry = CARRY if rng.random() < 0.7 else Carry()
    if rng.random() < 0.5:
        least = Decimal(str(rng.choice(["1", "250.5", "2000"])))
        carry = replace(carry, sweep=CurrencySweep(minimum=least, spread_bps=Decimal("0.7")))
    return Openings(actions=actions, carry=carry)


def _action(rng: np.random.Generator, bars: Bars, number: int) -> CorporateAction:
    """Return what may happen to one of the instruments: a contract ends, a share is split ..."""
    instrument = bars.instruments[int(rng.integers(len(bars.instruments)))]
    name, price = instrument.instrument_id, int(rng.integers(900, 1_100))
    others = [
        i.instrument_id
        for i in bars.instruments
        if i != instrument and i.currency == instrument.currency and not i.is_margined
    ]
    other = others[int(rng.integers(len(others)))] if others else ""
    if instrument.is_margined:
        contract = FutureContract(instrument_id=name, root="X", expiry_session=str(number))
        return FutureExpiry(contract=contract, final_ticks=price)
    named: dict[str, Any] = {"action_id": f"a{number}", "instrument_id": name}
    kind = int(rng.integers(6))
    if kind == 0:
        paid = instrument.ticks_to_price(price) + instrument.price_increment / 8
        return CashOut(**named, price=None if rng.random() < 0.5 else paid)
    if kind == 1 and other:
        return StockMerger(
            **named, to_instrument_id=other, ratio=Decimal("0.7"), cash=Decimal("1.5")
        )
    if kind == 2 and other:
        worth = Decimal(1)
        return SpinOff(**named, to_instrument_id=other, ratio=Decimal("0.25"), to_price=worth)
    if kind == 3 and instrument.asset_class == "option":
        whole = {i.instrument_id for i in bars.instruments if i.size_increment == 1}
        delivers = {name, other} <= whole and rng.random() < 0.7
        return OptionExpiry(
            contract=OptionContract(
                instrument_id=name,
                underlying_id=other,
                right=OptionRight.CALL if rng.random() < 0.5 else OptionRight.PUT,
                strike=Decimal(10),
                expiry_session=str(number),
                settlement=OptionSettlement.PHYSICAL if delivers else OptionSettlement.CASH,
            ),
            underlying_price=Decimal(int(rng.integers(7, 14))),
        )
    if kind == 4:
        pay_ns = int(bars.market.time_ns[0]) + int(rng.integers(1, 60)) * DAY_NS
        currency = instrument.currency
        return CashDividend(**named, amount=Decimal("0.375"), currency=currency, pay_ns=pay_ns)
    above, below = [(2, 1), (3, 2), (1, 3), (7, 5)][int(rng.integers(4))]
    return Split(**named, numerator=above, denominator=below)


def run_orders(seed: int) -> Story:
    rng = np.random.default_rng(seed)
    instruments = make_instruments(rng, int(rng.integers(1, 4)))
    bars = make_bars(rng, instruments, 60)
    chosen = replace(make_settings(rng), limits=replace(LOOSEST, duplicate_window_s=0.0))
    orders, openings = make_orders(rng, bars), make_openings(rng, bars)
    return told_both_ways(bars, chosen, orders, openings)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))  # type: ignore[arg-type]  # its members
@given(st.integers(0, 2**32 - 1))
def test_actions_and_carry_give_the_same_books(seed: int) -> None:
    run_orders(seed)


def test_the_actions_drawn_reach_what_they_can_do() -> None:
    seen: Counter[int] = Counter()
    for seed in range(40):
        seen.update(row[2] for row in run_orders(seed).rows.get("actions", []))
    assert min(seen[what] for what in range(9)) > 3, seen


def test_a_split_and_a_dividend_are_worked_out_by_hand() -> None:
    """100 shares at 100 become 200 at 50; 0.25 a share is owed at once and paid two days later."""
    share = Instrument(instrument_id="X", asset_class="equity", currency="USD")
    times = 20_000 * DAY_NS + np.arange(6) * DAY_NS
    prices = np.array([[10_000], [10_000], [5_000], [5_000], [5_000], [5_000]])
    bars = Bars.of([share], times, prices, open_=prices)
    desk = EngineSettings(
        starting_cash=Decimal(20_000),
        limits=LOOSEST,
        commission=BpsCommission(Decimal(0)),
        fills=FillSettings(slippage_bps=0.0, impact_bps=0.0),
    )
    dividend = CashDividend(
        action_id="d", instrument_id="X", amount=Decimal("0.25"), currency="USD",
        pay_ns=int(times[5]),
    )  # fmt: skip
    openings = Openings(
        actions={
            20_002: [Split(action_id="s", instrument_id="X", numerator=2, denominator=1)],
            20_003: [dividend],
        }
    )
    nav: list[int] = []
    test = Backtest(
        bars, desk, lambda name, rows: nav.extend(rows.tolist()) if name == "nav" else None,
        openings=openings,
    )  # fmt: skip
    test.trade_targets(bars, np.array([[100]] + [[c.NONE]] * 5))
    assert test.standing().lots == (200,)
    assert test.standing().cost_minor == (10_000 * 10**8,)
    assert nav == [n * 10**8 for n in (20_000, 20_000, 20_000, 20_050, 20_050, 20_050)]
    assert test.standing().cash_minor == {"USD": 10_050 * 10**8}
