"""The account of a trial: the engine's books over a market, in the figures that are judged.

The colony decides at each close; its orders are sized, pass the gate, and fill at the next
session's open, or at its close where the market has closes alone. A back-adjusted price stands on
no venue's grid, so prices are counted in millionths and sizes in hundredths.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from models.experiments.market import Market
from models.experiments.trials import Trial
from swarm_core.backtest.bars import Bars, Floats
from swarm_core.backtest.columns import FILL_TAPE, NONE, Ints
from swarm_core.backtest.engine import Backtest
from swarm_core.backtest.settings import EngineSettings
from swarm_core.colony.engine import new_state
from swarm_core.colony.replay import Records
from swarm_core.colony.state import ColonyState
from swarm_core.commissions import BpsCommission
from swarm_core.fills import FillSettings
from swarm_core.instruments import Instrument
from swarm_core.risk.limits import LOOSEST

_DEAR = 1e5  # a price above it leaves the range of millionths
_MINOR = 1e8


@dataclass(frozen=True, slots=True)
class Walked:
    """What a trial left behind over T sessions of N instruments.

    Contributions and costs are fractions of NAV at the close before; the instruments' less the
    costs are the change of NAV to the minor unit.
    """

    state: ColonyState
    records: Records
    nav: Floats  # [T] at each close
    turnover: Floats  # [T] traded value over NAV
    cost: Floats  # [T] commission and slippage
    contribution: Floats  # [T, N] what each instrument earned before costs


def walk(trial: Trial, market: Market) -> Walked:
    """Run a trial's colony through the engine over a market that is cut already.

    Raises OverflowError where an amount leaves 64 bits, and ValueError on a bad price.
    """
    bars = bars_of(market)
    tapes: dict[str, list[Ints]] = {"fills": [], "nav": []}
    test = Backtest(
        bars, desk_of(trial), lambda name, rows: tapes.get(name, list[Ints]()).append(rows)
    )
    state = new_state(trial.colony, market.panel.instrument_ids, trial.seed)
    after, records = test.trade_colony(bars, trial.colony, state, market.panel)
    nav = np.concatenate([*tapes["nav"], np.empty(0, np.int64)])
    fills = np.concatenate([*tapes["fills"], np.empty((0, len(FILL_TAPE)), np.int64)])
    earned, cost, traded = _attribute(bars, fills)
    before = np.concatenate(([trial.nav], nav[:-1] / _MINOR))
    return Walked(
        after,
        records,
        nav / _MINOR,
        traded / before,
        cost / before,
        earned / before[:, None],
    )


def desk_of(trial: Trial) -> EngineSettings:
    """Return the account of a trial; what limits it are the colony's own limits."""
    costs = trial.costs
    return EngineSettings(
        starting_cash=Decimal(str(trial.nav)),
        limits=LOOSEST,
        fills=FillSettings(
            participation_fraction_max=1.0, slippage_bps=costs.slippage_bps, impact_bps=0.0
        ),
        commission=BpsCommission(bps=Decimal(str(costs.commission_bps))),
    )


def bars_of(market: Market) -> Bars:
    """Return a market's prices as bars, all in one currency as the market gives them."""
    prices = _real(market.panel.prices)
    opens = None if market.opens is None else _real(market.opens)
    highest = np.nanmax(prices, axis=0, initial=0.0)
    instruments = [
        _instrument(name, bool(top > _DEAR))
        for name, top in zip(market.panel.instrument_ids, highest, strict=True)
    ]
    return Bars.from_prices(instruments, market.panel.time_ns, prices, open_=opens)


def _instrument(name: str, dear: bool) -> Instrument:
    tick, lot = Decimal("0.000001"), Decimal("0.01")
    return Instrument(
        instrument_id=name,
        asset_class="fund",
        currency="USD",
        price_increment=lot if dear else tick,
        size_increment=tick if dear else lot,
    )


def _real(prices: Floats) -> Floats:
    """Return prices with NaN where there is none that could trade."""
    return np.where((prices > 0.0) & np.isfinite(prices), prices, np.nan)


def _attribute(bars: Bars, fills: Ints) -> tuple[Floats, Floats, Floats]:
    """Return earned [T, N] before costs, cost [T] and traded value [T], in currency units.

    A lot and a tick of these instruments are worth one minor unit.
    """
    shape = bars.market.close.shape
    marks = _carried(bars.market.close)
    traded, spent = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    value, cost = np.zeros(shape[0], np.int64), np.zeros(shape[0], np.int64)
    t, i, side, lots, ticks, charge = fills.T[1:7]
    base = bars.market.open[t, i]
    base = np.where(base == NONE, bars.market.close[t, i], base)
    np.add.at(traded, (t, i), side * lots)
    np.add.at(spent, (t, i), side * lots * base)
    np.add.at(value, t, lots * ticks)
    np.add.at(cost, t, charge + lots * np.abs(ticks - base))
    held = np.cumsum(traded, axis=0)
    before = np.vstack([np.zeros((1, shape[1]), np.int64), held[:-1]])
    change = np.diff(marks, axis=0, prepend=marks[:1])
    earned = before * change + traded * marks - spent
    return earned / _MINOR, cost / _MINOR, value / _MINOR


def _carried(close: Ints) -> NDArray[np.int64]:
    """Return each close or the last one before it, 0 before the first."""
    out = np.where(close == NONE, 0, close)
    for t in range(1, len(out)):
        out[t] = np.where(close[t] == NONE, out[t - 1], close[t])
    return out
