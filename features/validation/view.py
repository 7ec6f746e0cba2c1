"""A table as the rules see it: conforming rows, and its series as sorted arrays made once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from features.schemas import TableSchema

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# The columns that name one series of a table, and the column that holds its value.
SERIES_COLUMNS: dict[str, tuple[str, ...]] = {
    "bars": ("instrument_id", "interval", "source", "adjustment"),
    "quotes": ("instrument_id", "interval", "source"),
    "trades": ("instrument_id", "source"),
    "macro": ("series_id", "source"),
    "fundamentals": ("instrument_id", "metric", "period", "source"),
}
# Where fewer records moved, the moves themselves may all be faults.
_MOVES_MIN = 5
VALUE_COLUMN = {"bars": "close", "trades": "price", "macro": "value", "fundamentals": "value"}


@dataclass(frozen=True)
class SeriesArrays:
    """The latest version of every record, by series and time.

    `row` (n) is the row index in the table, `series` (n) the number of the series, `start` (s+1)
    where each begins, `time` (n) microseconds since 1970, `close` (n) the value; `names` (s rows)
    holds the columns that name each series.
    """

    row: Ints
    series: Ints
    start: Ints
    time: Ints
    close: Floats
    names: pl.DataFrame
    _rows: pl.DataFrame

    def column(self, name: str) -> Floats:
        """Return a numeric column in the order of the series; NaN where null or absent."""
        if name not in self._rows.columns:
            return np.full(self.row.size, np.nan)
        values = self._rows.get_column(name).cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return values[self.row]

    @cached_property
    def first(self) -> Bools:
        """Whether a record is the first of its series."""
        mask = np.zeros(self.row.size, dtype=np.bool_)
        mask[self.start[:-1]] = True
        return mask

    @cached_property
    def daily(self) -> Bools:
        """Whether a series is of days (s), which those without an interval are."""
        if "interval" not in self.names.columns:
            return np.ones(self.names.height, dtype=np.bool_)
        return (self.names.get_column("interval") == "1d").fill_null(True).to_numpy()

    @cached_property
    def log_return(self) -> Floats:
        """Log of value over previous value (n); NaN at a start and where either is not positive."""
        out = np.full(self.close.size, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.log(self.close)
        logs[~np.isfinite(logs)] = np.nan
        out[1:] = np.diff(logs)
        out[self.first] = np.nan
        return out

    @cached_property
    def sigma(self) -> Floats:
        """Robust standard deviation of log returns by series (s): 1.4826 x median absolute.

        Rousseeuw and Croux (1993). Only moves count: an illiquid price that rests for days is
        no quiet one.
        """
        frame = pl.DataFrame({"s": self.series, "r": np.abs(self.log_return)})
        by = (
            frame.filter(pl.col("r").is_not_nan())
            .group_by("s")
            .agg(
                (pl.col("r").filter(pl.col("r") > 0).median() * 1.4826).alias("moving"),
                (pl.col("r").clip(0, 0.2).mean() * 0.5).alias("resting"),
                (pl.col("r") > 0).sum().alias("moves"),
            )
        )
        few = pl.col("moves") < _MOVES_MIN
        wide = by.select(pl.when(few).then("resting").otherwise("moving").fill_null(0.0))
        out = np.full(self.start.size - 1, np.nan)
        out[by["s"].to_numpy()] = wide.to_series().to_numpy()
        return np.maximum(np.nan_to_num(out, nan=0.0), 1e-4)

    def address(self, position: int) -> str:
        """Return where a record was read, for a sentence: its source, and its row in it."""
        at = int(self.row[position])
        named = {c: self._rows[c][at] for c in ("source", "source_row") if c in self._rows.columns}
        source, row = named.get("source"), named.get("source_row")
        return f"{source}" if row is None else f"source_row {row} of {source}"

    def label(self, series: int) -> str:
        """Return the name of a series for a sentence."""
        return str(self.names.row(int(series))[0])


class TableView:
    """One table under check: its schema, its conforming rows in their first order."""

    def __init__(self, table: str, schema: TableSchema, rows: pl.DataFrame) -> None:
        self.table = table
        self.schema = schema
        self.rows = rows

    @cached_property
    def series(self) -> SeriesArrays:
        """The table's series; raises KeyError for a table that has none."""
        by = SERIES_COLUMNS[self.table]
        value = VALUE_COLUMN[self.table]
        codes, names = _series_codes(self.rows, by)
        time = self.rows.get_column("event_time").to_physical().to_numpy().astype(np.int64)
        known = self.rows.get_column("knowledge_time").to_physical().to_numpy()
        order = _sorted_order(codes, time, known)
        codes, time = codes[order], time[order]
        last = np.ones(order.size, dtype=np.bool_)
        last[:-1] = (codes[1:] != codes[:-1]) | (time[1:] != time[:-1])
        order, codes, time = order[last], codes[last], time[last]
        start = np.searchsorted(codes, np.arange(names.height + 1))
        close = self.rows.get_column(value).fill_null(float("nan")).to_numpy()[order]
        return SeriesArrays(order, codes, start, time, close, names, self.rows)


def _series_codes(rows: pl.DataFrame, by: tuple[str, ...]) -> tuple[Ints, pl.DataFrame]:
    """Number the series densely; return each row's number and the names by number."""
    combined = np.zeros(rows.height, dtype=np.int64)
    for column in by:
        codes = _dense(_physical(rows.get_column(column)))
        combined = _dense(combined * (int(codes.max(initial=0)) + 1) + codes)
    count = int(combined.max(initial=-1)) + 1
    representative = np.zeros(count, dtype=np.int64)
    representative[combined] = np.arange(rows.height)
    return combined, rows.select(by)[representative]


def _physical(column: pl.Series) -> Ints:
    """Return an integer for each distinct string, null as 0."""
    codes = column.cast(pl.Categorical).to_physical().cast(pl.Int64)
    return (codes + 1).fill_null(0).to_numpy()


def _dense(codes: Ints) -> Ints:
    """Renumber codes to 0..k-1, keeping their order; codes far apart go through a sort."""
    top = int(codes.max(initial=0)) + 1
    if top > max(10 * codes.size, 1_000_000):
        return np.unique(codes, return_inverse=True)[1].astype(np.int64)
    used = np.zeros(top, dtype=np.int64)
    used[codes] = 1
    return (np.cumsum(used) - 1)[codes]


def _sorted_order(codes: Ints, time: Ints, known: Ints) -> Ints:
    """Return the order by series, time and knowledge; a sorted table costs one pass."""
    same = codes[1:] == codes[:-1]
    later = (time[1:] > time[:-1]) | ((time[1:] == time[:-1]) & (known[1:] >= known[:-1]))
    if np.all((codes[1:] > codes[:-1]) | (same & later)):
        return np.arange(codes.size)
    if np.all(later):  # sorted by time: a stable sort by series is enough, and cheap
        return np.argsort(codes.astype(np.uint32), kind="stable")
    return np.lexsort((known, time, codes))
