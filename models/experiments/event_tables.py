"""The tapes of a backtest as Arrow tables: orders with verdicts, fills, changes and refusals."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from features.schemas import UTC_TIME
from swarm_core.backtest.bars import Bars
from swarm_core.backtest.columns import EXPIRED, HELD, NONE, REJECTED, TRIGGERED, Ints
from swarm_core.backtest.engine import TAPES
from swarm_core.backtest.settings import FORCES, KINDS
from swarm_core.risk.kernel import APPROVED, CODES

_VERDICTS = {APPROVED: "approved", **{at: code.value for at, code in enumerate(CODES)}}
_NAMES: Mapping[str, Mapping[int, str]] = {
    "side": {1: "buy", -1: "sell"},
    "kind": {at: kind.value for at, kind in enumerate(KINDS)},
    "force": {at: force.value for at, force in enumerate(FORCES)},
    "code": _VERDICTS,
    "what": {EXPIRED: "expired", HELD: "held", TRIGGERED: "triggered", REJECTED: "rejected"},
}


def event_tables(tapes: Mapping[str, Sequence[Ints]], bars: Bars) -> dict[str, pa.Table]:
    """Return each tape's rows as a table, in the order in which they happened.

    `tapes` holds what a sink was given, and `bars` the bars of the whole run. Prices stay in ticks,
    sizes in lots and money in minor units; what was not given (a limit, a stop) is null.
    """
    return {name: _table(tapes.get(name, ()), columns, bars) for name, columns in TAPES.items()}


def _table(parts: Sequence[Ints], columns: Sequence[str], bars: Bars) -> pa.Table:
    rows = np.concatenate([*parts, np.empty((0, len(columns)), np.int64)])
    frame = pl.DataFrame({name: rows[:, at] for at, name in enumerate(columns)})
    ids = [i.instrument_id for i in bars.instruments]
    given = [_column(name, ids) for name in columns]
    times = pl.Series("event_time", bars.market.time_ns[frame["bar"].to_numpy()])
    moment = times.cast(pl.Datetime("ns", "UTC")).cast(UTC_TIME)
    return frame.select(moment, *given).to_arrow()


def _column(name: str, ids: Sequence[str]) -> pl.Expr:
    """Return a column with words in place of places, and null in place of what was not given."""
    column = pl.col(name)
    if name == "instrument":
        return column.replace_strict(dict(enumerate(ids)), return_dtype=pl.String).alias(
            "instrument_id"
        )
    if name in _NAMES:
        return column.replace_strict(_NAMES[name], return_dtype=pl.String)
    if name == "is_maker":
        return column.cast(pl.Boolean)
    return pl.when(column != NONE).then(column)
