"""The backtest engine: bars and targets in, a moved account and tapes of events out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.colony import trade_colony
from swarm_core.backtest.columns import Ints, Market, Tape
from swarm_core.backtest.desk import empty_tape, found_desk, with_more_room
from swarm_core.backtest.loop import place_orders, trade_targets, trade_weights
from swarm_core.backtest.opening import OpeningDesk, Openings
from swarm_core.backtest.orders import OrderPlan
from swarm_core.backtest.settings import R_LAG, EngineSettings
from swarm_core.backtest.signals import Signal, compiled_walk
from swarm_core.backtest.weights import check_weights
from swarm_core.colony.replay import Panel, Records, prepare
from swarm_core.colony.settings import ColonySettings
from swarm_core.colony.state import ColonyState
from swarm_core.derivatives.futures import ROLL
from swarm_core.risk.kernel import POSITION

Floats = NDArray[np.float64]
Sink = Callable[[str, Ints], None]  # (name of the tape, its rows [rows, columns])
_TAPE_ROWS = 65_536
_COUNTS = {
    "orders": c.ORDER_ROWS,
    "fills": c.FILL_ROWS,
    "changes": c.CHANGE_ROWS,
    "refused": c.REFUSED_ROWS,
}
Walk = Callable[[int, Market, Tape], int]  # (first bar, bars, room) -> the bar it stopped before
TAPES: Mapping[str, tuple[str, ...]] = {
    "orders": c.ORDER_TAPE,
    "fills": c.FILL_TAPE,
    "changes": c.CHANGE_TAPE,
    "refused": c.REFUSED_TAPE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an account stands; money in minor units (1e-8), by instrument in the bars' order."""

    nav_minor: int
    cash_minor: Mapping[str, int]
    fees_minor: Mapping[str, int]
    lots: tuple[int, ...]
    cost_minor: tuple[int, ...]
    realised_minor: tuple[int, ...]
    bars: int
    orders: int
    approved: int
    fills: int
    expired: int


def _first(market: Market, stop: int) -> Market:
    """Return the first `stop` bars as views."""
    return Market(*(values[:stop] for values in market))


class Backtest:
    """One account that is walked over bars, part after part; memory does not grow with them.

    What happens goes to `sink` as rows of int64, each tape under its name in TAPES, the NAV at
    each close under "nav", and what `openings` did under "actions" (columns.ACTION_TAPE).
    """

    def __init__(
        self,
        bars: Bars,
        settings: EngineSettings,
        sink: Sink,
        *,
        rates: Mapping[str, Decimal] | None = None,
        openings: Openings | None = None,
        tape_rows: int = _TAPE_ROWS,
    ) -> None:
        self.instruments = bars.instruments
        self._settings, self._sink = settings, sink
        self._rules = settings.packed()
        self._desk = found_desk(bars.instruments, settings, rates)
        self._opening = OpeningDesk(
            bars.instruments, settings.base_currency, openings or Openings()
        )
        self._bars = 0
        self._last_ns = c.NONE
        keep = tape_rows if settings.keep_events else 0
        self._tape = empty_tape(len(bars.instruments), 0, keep)

    def trade_targets(self, bars: Bars, lots: Ints) -> None:
        """Walk the bars towards targets [T, N] in lots; NONE leaves an instrument as it is.

        The target of a bar is decided at its close. Raises ValueError where the arrays do not fit
        and OverflowError where an amount of money leaves 64 bits.
        """
        if lots.shape != bars.market.close.shape:
            raise ValueError(
                f"lots must have the shape {bars.market.close.shape}, was {lots.shape}"
            )
        wanted = np.ascontiguousarray(lots, np.int64)

        def walk(start: int, market: Market, tape: Tape) -> int:
            return trade_targets(self._desk, market, tape, self._rules, start, self._bars, wanted)

        self._walk(bars, walk)

    def trade_weights(self, bars: Bars, weights: Floats) -> None:
        """Walk the bars towards weights [T, N] of NAV; NaN leaves an instrument as it is.

        Raises as trade_targets does, and ValueError on a weight that does not hold (weights.py).
        """
        check_weights(bars, weights)
        wanted = np.ascontiguousarray(weights, np.float64)

        def walk(start: int, market: Market, tape: Tape) -> int:
            return trade_weights(self._desk, market, tape, self._rules, start, self._bars, wanted)

        self._walk(bars, walk)

    def trade_signal(
        self, bars: Bars, signal: Signal, parameters: Sequence[float], memory: Floats
    ) -> None:
        """Walk the bars, asking a compiled signal for targets in lots at each close.

        `memory` is the signal's own: give the same array with the next bars to go on.
        """
        walk_bars, given = compiled_walk(signal), np.array(parameters, np.float64)

        def walk(start: int, market: Market, tape: Tape) -> int:
            return walk_bars(
                self._desk, market, tape, self._rules, start, self._bars, given, memory
            )

        self._walk(bars, walk)

    def trade_colony(
        self, bars: Bars, settings: ColonySettings, state: ColonyState, panel: Panel
    ) -> tuple[ColonyState, Records]:
        """Let a colony decide at the panel's closes; return its state and record as a replay does.

        The panel is what the colony sees of the bars at which it decides: of all, or of some, where
        exchanges close one after the other. Its own NAV and costs are not used.
        Gives the decisions that engine.step gives with the weights, the NAV and the realised cost
        of this book; what was traded before its first decision is the panel's to say. The turnover
        of the record is what was asked for, the fills are on the tape.
        """
        ids = tuple(i.instrument_id for i in bars.instruments)
        decided_ns = bars.market.time_ns + self._rules[R_LAG]
        decides = np.isin(decided_ns, panel.time_ns)
        if panel.instrument_ids != ids or not np.array_equal(panel.time_ns, decided_ns[decides]):
            raise ValueError("panel must be of the bars' instruments and decisions, was not")
        row = np.where(decides, np.cumsum(decides) - 1, -1)
        ready = prepare(settings, state, panel)
        before = np.array([panel.traded, panel.paid])

        def walk(start: int, market: Market, tape: Tape) -> int:
            return trade_colony(
                self._desk, market, tape, self._rules, start, self._bars, ready.hive,
                ready.plan, ready.numbers, ready.limits, ready.out, ready.seen, ready.steps,
                ready.seed, ready.order, row, before, ready.log,
            )  # fmt: skip

        self._walk(bars, walk)
        return ready.after(), ready.records()

    def place_orders(self, bars: Bars, plan: OrderPlan) -> None:
        """Walk the bars, sending a plan's orders at the close of their bars."""
        if len(plan.first) != len(bars.market.time_ns) + 1:
            raise ValueError(f"plan must be of {len(bars.market.time_ns)} bars, was not")
        self._settings.check_alone(plan.strategies)

        def walk(start: int, market: Market, tape: Tape) -> int:
            return place_orders(
                self._desk, market, tape, self._rules, start, self._bars, plan.first,
                plan.rows,
            )  # fmt: skip

        self._walk(bars, walk, int(np.diff(plan.first).max(initial=0)))

    def _walk(self, bars: Bars, walk: Walk, new: int = 0) -> None:
        """Call the loop until it is through, making room whenever it asks for some."""
        if bars.instruments != self.instruments:
            raise ValueError("bars must be of the instruments that the backtest was begun with")
        if bool((bars.market.roll_to != c.NONE).any()):
            self._settings.check_alone([self._settings.sizing.strategy, ROLL])
        times = bars.market.time_ns
        if not len(times):
            return
        if times[0] <= self._last_ns:
            raise ValueError(f"bars must be later than {self._last_ns}, began at {times[0]}")
        tape = self._tape._replace(nav=np.empty(len(times), np.int64))
        at = 0
        for stop in [*self._opening.stops(bars.market), len(times)]:
            tape = self._walk_to(bars, walk, tape, at, stop, new)
            if stop < len(times):
                self._open(bars, stop)
            at = stop
        self._flush(tape)
        self._sink("nav", tape.nav)
        self._bars += len(times)
        self._last_ns = int(times[-1])

    def _walk_to(
        self, bars: Bars, walk: Walk, tape: Tape, at: int, stop: int, new: int
    ) -> Tape:  # fmt: skip
        market = bars.market if stop == len(bars.market.time_ns) else _first(bars.market, stop)
        while at < stop and (at := walk(at, market, tape)) < stop:
            if self._desk.state[c.STATUS] != c.RUNNING:
                raise OverflowError(
                    f"money must stay within {c.SAFE_UNITS} currency units, did not "
                    f"at bar {self._bars + at}"
                )
            self._flush(tape)
            most = max(new, len(self.instruments))
            tape = self._make_room(tape, most + 2 * len(self.instruments) * len(market.roll_to[:1]))
        return tape

    def _open(self, bars: Bars, t: int) -> None:
        """Let actions and carry happen before bar t, where any may."""
        m, session = bars.market, int(bars.market.session[t])
        if session == self._desk.state[c.SESSION]:
            return  # the part before this one opened it
        time_ns = int(m.time_ns[t] if m.open_ns[t] == c.NONE else m.open_ns[t])
        if self._opening.is_needed(self._desk, session, time_ns):
            rows = self._opening.open(self._desk, self._bars + t, session, time_ns)
            if self._settings.keep_events and len(rows):
                self._sink("actions", rows)

    def _make_room(self, tape: Tape, new: int) -> Tape:
        """Make the arrays large enough for a bar that brings `new` orders, whatever works."""
        state = self._desk.state
        working, recent = int(state[c.WORKING]), int(state[c.SENT] - state[c.SENT_OLDEST])
        if working + new > len(self._desk.working) or recent + new > len(self._desk.sent):
            self._desk = with_more_room(self._desk, new)
        if self._settings.keep_events and working + new > len(tape.orders):
            self._tape = empty_tape(len(self.instruments), 0, 2 * (working + new))
            tape = self._tape._replace(nav=tape.nav)
        return tape

    def _flush(self, tape: Tape) -> None:
        state = self._desk.state
        if not self._settings.keep_events:
            return
        for name, count in _COUNTS.items():
            rows = int(state[count])
            if rows:
                self._sink(name, getattr(tape, name)[:rows].copy())
            state[count] = 0

    def standing(self) -> Standing:
        """Return where the account stands after the last bar."""
        desk, state = self._desk, self._desk.state
        names = sorted({*(i.currency for i in self.instruments), self._settings.base_currency})
        cash, fees = desk.money[:, c.CASH].tolist(), desk.money[:, c.FEES].tolist()
        return Standing(
            nav_minor=int(state[c.NAV]),
            cash_minor=dict(zip(names, cash, strict=True)),
            fees_minor=dict(zip(names, fees, strict=True)),
            lots=tuple(desk.risks[:, POSITION].tolist()),
            cost_minor=tuple(desk.holdings[:, c.COST].tolist()),
            realised_minor=tuple(desk.holdings[:, c.REALISED].tolist()),
            bars=self._bars,
            orders=int(state[c.ORDERS]),
            approved=int(state[c.APPROVED_ORDERS]),
            fills=int(state[c.FILLS]),
            expired=int(state[c.EXPIRED_ORDERS]),
        )
