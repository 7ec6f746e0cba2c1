"""The account of a trial: the engine's books over a market, in the figures that are judged.

What decides (the colony, a function, a list of orders) decides at each close; orders are sized,
pass the gate, and meet the next session's bar. A market without a floor trades its research prices:
they stand on no venue's grid, so they are counted in millionths and sizes in hundredths.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from features.calendars import day_of
from models.experiments.attribution import Attribution, attribute
from models.experiments.fields import ExperimentError
from models.experiments.floor import Floor, close_ns, session_numbers
from models.experiments.market import Market
from models.experiments.strategy import (
    CopiedFeatures,
    FunctionStrategy,
    MarketView,
    OrderList,
    read_only_copy,
)
from models.experiments.trials import Trial
from swarm_core.backtest.bars import Bars, Floats
from swarm_core.backtest.columns import ACTION_TAPE, FILL_TAPE, Ints
from swarm_core.backtest.engine import Backtest
from swarm_core.backtest.opening import Openings
from swarm_core.backtest.orders import OrderPlan
from swarm_core.backtest.settings import EngineSettings
from swarm_core.backtest.weights import find_bad_weight
from swarm_core.colony.engine import new_state
from swarm_core.colony.replay import Records
from swarm_core.colony.state import ColonyState
from swarm_core.instruments import Instrument
from swarm_core.orders import Order

_DEAR = 1e5  # a price above it leaves the range of millionths
_MINOR = 1e8


@dataclass(frozen=True, slots=True)
class Walked:
    """What a trial left behind over T sessions of N instruments.

    Contributions, costs and what currencies did are fractions of NAV at the close before; together
    they are the change of NAV to the minor unit. From the close at which nothing is left of NAV
    there is nothing to be a fraction of: they are 0.
    """

    targets: Floats  # [T, N] weights decided at each close, NaN where nothing was
    held: Floats  # [T, N] weights at each close
    nav: Floats  # [T] at each close
    turnover: Floats  # [T, N] traded value over NAV
    costs: Mapping[str, Floats]  # [T] commission, slippage, borrow, interest
    contribution: Floats  # [T, N] what each instrument earned before costs
    currencies: Mapping[str, Floats]  # [T] what a foreign currency's rate did
    colony: tuple[ColonyState, Records] | None  # where the colony decided


def walk(trial: Trial, market: Market) -> Walked:
    """Run a trial through the engine over a market that is cut already.

    Raises OverflowError where an amount leaves 64 bits, ValueError on a bad price, and
    ExperimentError where a strategy does not hold.
    """
    floor = floor_of(market)
    bars = floor.banded(trial.venue.price_limits)
    tapes: dict[str, list[Ints]] = {"fills": [], "nav": [], "actions": []}
    test = Backtest(
        bars,
        desk_of(trial, _lag_s(market)),
        lambda name, rows: tapes.get(name, list[Ints]()).append(rows),
        openings=Openings(actions=floor.actions, carry=trial.venue.carry),
    )
    targets, colony = _decide(trial, market, floor)(test, bars)
    nav = np.concatenate([*tapes["nav"], np.empty(0, np.int64)])
    fills, actions = (
        np.concatenate([*tapes[name], np.empty((0, len(tape)), np.int64)])
        for name, tape in (("fills", FILL_TAPE), ("actions", ACTION_TAPE))
    )
    cash = int(Decimal(str(trial.nav)) * 10**8)
    found = attribute(bars, fills, actions, trial.base_currency, cash)
    if floor.decided is not None:
        found, nav = found.by_session(floor.decided), nav[floor.decided]
    return _told(found, nav, trial, targets, colony)


Ask = Callable[[MarketView], Floats]  # a view of T sessions of N instruments -> [T, N] weights
Run = Callable[[Backtest, Bars], tuple[Floats, tuple[ColonyState, Records] | None]]


def _decide(trial: Trial, market: Market, floor: Floor) -> Run:
    """Return what walks a backtest by the trial's decisions, each at the last bar of a session."""

    def at_bars(weights: Floats, bars: Bars) -> Floats:
        if floor.decided is None:
            return weights
        out = np.full(bars.market.close.shape, np.nan)
        out[floor.decided] = weights
        return out

    def by_colony(test: Backtest, bars: Bars) -> tuple[Floats, tuple[ColonyState, Records]]:
        state = new_state(trial.colony, market.panel.instrument_ids, trial.seed)
        colony = test.trade_colony(bars, trial.colony, state, market.panel)
        return colony[1].target_weights, colony

    def by_function(test: Backtest, bars: Bars) -> tuple[Floats, None]:
        weights = weights_of(trial, market)
        _check_decided(trial, market, weights)
        test.trade_weights(bars, at_bars(weights, bars))
        return weights, None

    def by_orders(test: Backtest, bars: Bars) -> tuple[Floats, None]:
        assert isinstance(trial.strategy, OrderList)
        planned = _planned(trial.strategy, market, bars)
        sent: list[list[Order]] = [[] for _ in bars.market.time_ns]
        for t, orders in zip(_bars_of(floor), planned, strict=True):
            sent[t] = orders
        plan = OrderPlan.of(sent, [i.instrument_id for i in bars.instruments])
        test.place_orders(bars, plan)
        return np.full(market.panel.prices.shape, np.nan), None

    if trial.strategy is None:
        return by_colony
    return by_function if isinstance(trial.strategy, FunctionStrategy) else by_orders


def weights_of(trial: Trial, market: Market, ask: Ask | None = None) -> Floats:
    """Return what a trial's function decides over a market, [T, N]; `ask` may ask it elsewhere.

    It is given copies: beyond a part of an array, or beneath it, lies what it may not see. Raises
    ExperimentError where the function fails, or gives a weight that the engine refuses.
    """
    assert isinstance(trial.strategy, FunctionStrategy)
    panel = market.panel
    view = MarketView(
        days=tuple(day_of(close) for close in market.closes),
        instruments=panel.instrument_ids,
        close=read_only_copy(panel.prices),
        features=CopiedFeatures(panel.features),
        volume=None if market.volume is None else read_only_copy(market.volume),
    )
    weights = (ask or trial.strategy.weights)(view)
    fault = find_bad_weight(panel.instrument_ids, close_ns(market.closes).tolist(), weights)
    if fault is not None:
        raise ExperimentError(f"strategy.{trial.strategy.function}: {fault}")
    return weights


def _check_decided(trial: Trial, market: Market, weights: Floats) -> None:
    """Refuse a function that decides nothing in a whole window and its warm-up: a lost input."""
    if np.isfinite(weights).any():
        return
    assert isinstance(trial.strategy, FunctionStrategy)
    days, names = [day_of(close) for close in market.closes], market.panel.instrument_ids
    raise ExperimentError(
        f"strategy.{trial.strategy.function}: weights must be finite at least once in window "
        f"{trial.window.key} and its warm-up, were nan for {names[0]}..{names[-1]} on all "
        f"{len(days)} sessions from {days[0]} to {days[-1]}"
    )


def _planned(listed: OrderList, market: Market, bars: Bars) -> list[list[Order]]:
    """Return the orders of each session; one of a day without a session is refused."""
    days = {day_of(close): t for t, close in enumerate(market.closes)}
    grid = {i.instrument_id: i for i in bars.instruments}
    out: list[list[Order]] = [[] for _ in market.closes]
    for planned in listed.orders:
        if planned.instrument_id not in grid:
            raise ExperimentError(
                f"strategy.orders must be of instruments of the universe, "
                f"had {planned.instrument_id}"
            )
        if not min(days) <= planned.day <= max(days):
            continue  # of another window
        if planned.day not in days:
            raise ExperimentError(
                f"strategy.orders must be of days with a session, had {planned.day}"
            )
        sent = out[days[planned.day]]
        try:
            sent.append(planned.on_grid(grid[planned.instrument_id], len(sent)))
        except ValueError as error:
            raise ExperimentError(f"strategy.orders of {planned.day}: {error}") from error
    return out


def _told(
    found: Attribution,
    nav_minor: Ints,
    trial: Trial,
    targets: Floats,
    colony: tuple[ColonyState, Records] | None,
) -> Walked:
    nav = nav_minor / _MINOR
    own = np.where(np.maximum.accumulate(nav <= 0.0), np.inf, nav)
    before = np.concatenate(([trial.nav], own[:-1]))
    return Walked(
        targets=targets,
        held=found.value / own[:, None],
        nav=nav,
        turnover=found.traded / before[:, None],
        costs={name: values / before for name, values in found.costs.items()},
        contribution=found.earned / before[:, None],
        currencies={name: values / before for name, values in found.currencies.items()},
        colony=colony,
    )


def desk_of(trial: Trial, decision_lag_s: float) -> EngineSettings:
    """Return the account of a trial: its venue, its limits, and how its orders are made."""
    return EngineSettings(
        starting_cash=Decimal(str(trial.nav)),
        base_currency=trial.base_currency,
        limits=trial.limits,
        fills=trial.venue.fills,
        commission=trial.venue.commission,
        borrow=trial.venue.borrow,
        conversion=trial.venue.conversion,
        sizing=trial.sizing,
        decision_lag_s=decision_lag_s,
    )


def _bars_of(floor: Floor) -> list[int]:
    """Return the bar at which each session is decided."""
    count = len(floor.bars.market.time_ns)
    return list(range(count)) if floor.decided is None else floor.decided.tolist()


def _lag_s(market: Market) -> float:
    lags = np.unique(market.panel.time_ns - close_ns(market.closes))
    if len(lags) != 1 or lags[0] < 0:
        raise ExperimentError("every session must be decided as long after its close, was not")
    return float(lags[0]) / 1e9


def floor_of(market: Market) -> Floor:
    """Return the market's floor, or one of its research prices where it has none."""
    if market.floor is not None:
        return market.floor
    prices = _real(market.panel.prices)
    opens = None if market.opens is None else _real(market.opens)
    highest = np.nanmax(prices, axis=0, initial=0.0)
    instruments = [
        _instrument(name, bool(top > _DEAR))
        for name, top in zip(market.panel.instrument_ids, highest, strict=True)
    ]
    bars = Bars.from_prices(
        instruments,
        close_ns(market.closes),
        prices,
        open_=opens,
        session=session_numbers(market.closes),
    )
    return Floor(bars=bars)


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
