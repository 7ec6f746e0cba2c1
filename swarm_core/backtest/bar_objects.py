"""Bars of one moment as the objects that the step-by-step path takes."""

from collections.abc import Collection

from swarm_core.backtest.bars import Bars
from swarm_core.backtest.columns import NONE, Ints
from swarm_core.market import Bar


def ended_at(bars: Bars, t: int) -> set[str]:
    """Return the instruments whose exchange's session ends with this moment."""
    m = bars.market
    ends = m.ends[t] if len(m.ends) else [m.session_end[t]] * len(bars.instruments)
    return {i.instrument_id for i, end in zip(bars.instruments, ends, strict=True) if end}


def bars_at(bars: Bars, t: int, in_session: Collection[str] = ()) -> list[Bar]:
    """Return the bars of one moment as objects; an instrument without a close has none.

    `in_session` names those whose session has had a bar already.
    """
    m, ended = bars.market, ended_at(bars, t)

    def given(values: Ints, at: int, nothing: int = NONE) -> int | None:
        value = NONE if not len(values) else int(values[t, at])
        return None if value in (NONE, nothing) else value

    return [
        Bar(
            instrument_id=instrument.instrument_id,
            time_ns=int(m.time_ns[t]),
            close_ticks=int(m.close[t, at]),
            open_ticks=given(m.open, at),
            high_ticks=given(m.high, at),
            low_ticks=given(m.low, at),
            volume_lots=given(m.volume, at, -1),
            open_time_ns=None if m.open_ns[t] == NONE else int(m.open_ns[t]),
            band_low_ticks=given(m.band_low, at),
            band_high_ticks=given(m.band_high, at),
            is_halted=bool(given(m.halted, at, 0)),
            opens_session=instrument.instrument_id not in in_session,
            closes_session=instrument.instrument_id in ended,
        )
        for at, instrument in enumerate(bars.instruments)
        if m.close[t, at] != NONE
    ]
