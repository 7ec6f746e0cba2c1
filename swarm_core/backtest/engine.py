"""The backtest engine: bars and targets in, a moved account and tapes of events out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from swarm_core.backtest import columns as c
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.columns import Ints, Tape
from swarm_core.backtest.desk import empty_tape, found_desk, with_more_room
from swarm_core.backtest.loop import place_orders, trade_targets, trade_weights
from swarm_core.backtest.orders import OrderPlan
from swarm_core.backtest.settings import EngineSettings
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


class Backtest:
    """One account that is walked over bars, part after part; memory does not grow with them.

    What happens goes to `sink` as rows of int64, each tape under its name in TAPES, and the NAV
    at each close under "nav".
    """

    def __init__(
        self,
        bars: Bars,
        settings: EngineSettings,
        sink: Sink,
        *,
        rates: Mapping[str, Decimal] | None = None,
        tape_rows: int = _TAPE_ROWS,
    ) -> None:
        self.instruments = bars.instruments
        self._settings, self._sink = settings, sink
        self._rules = settings.packed()
        self._desk = found_desk(bars.instruments, settings, rates)
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

        def walk(start: int, tape: Tape) -> int:
            return trade_targets(
                self._desk, bars.market, tape, self._rules, start, self._bars, wanted
            )

        self._walk(bars, walk)

    def trade_weights(self, bars: Bars, weights: Floats) -> None:
        """Walk the bars towards weights [T, N] of NAV; NaN leaves an instrument as it is.

        Raises as trade_targets does, and ValueError on a weight that is infinite.
        """
        if weights.shape != bars.market.close.shape:
            raise ValueError(
                f"weights must have the shape {bars.market.close.shape}, was {weights.shape}"
            )
        if bool(np.isinf(weights).any()):
            raise ValueError("weights must be finite or NaN, was infinite")
        wanted = np.ascontiguousarray(weights, np.float64)

        def walk(start: int, tape: Tape) -> int:
            return trade_weights(
                self._desk, bars.market, tape, self._rules, start, self._bars, wanted
            )

        self._walk(bars, walk)

    def place_orders(self, bars: Bars, plan: OrderPlan) -> None:
        """Walk the bars, sending a plan's orders at the close of their bars."""
        if len(plan.first) != len(bars.market.time_ns) + 1:
            raise ValueError(f"plan must be of {len(bars.market.time_ns)} bars, was not")

        def walk(start: int, tape: Tape) -> int:
            return place_orders(
                self._desk, bars.market, tape, self._rules, start, self._bars, plan.first,
                plan.rows,
            )  # fmt: skip

        self._walk(bars, walk, int(np.diff(plan.first).max(initial=0)))

    def _walk(self, bars: Bars, walk: Callable[[int, Tape], int], new: int = 0) -> None:
        """Call the loop until it is through, making room whenever it asks for some."""
        if bars.instruments != self.instruments:
            raise ValueError("bars must be of the instruments that the backtest was begun with")
        times = bars.market.time_ns
        if not len(times):
            return
        if times[0] <= self._last_ns:
            raise ValueError(f"bars must be later than {self._last_ns}, began at {times[0]}")
        tape = self._tape._replace(nav=np.empty(len(times), np.int64))
        at = 0
        while (at := walk(at, tape)) < len(times):
            if self._desk.state[c.STATUS] != c.RUNNING:
                raise OverflowError(
                    f"money must stay within {c.SAFE_UNITS} currency units, did not "
                    f"at bar {self._bars + at}"
                )
            self._flush(tape)
            tape = self._make_room(tape, max(new, len(self.instruments)))
        self._flush(tape)
        self._sink("nav", tape.nav)
        self._bars += len(times)
        self._last_ns = int(times[-1])

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
