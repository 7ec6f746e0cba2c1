"""Which version of each bar the rows of the feature table read, without reading one for nothing.

A row reads what was known at its own as_of. As long as no old bar comes late or is revised, all
rows read the same bars. What a revision reaches is two things:

- The rows of its own instrument whose windows hold the bar. They read another history of that
  instrument (`own`), which costs its lookback; other instruments' rows do not.
- The means over all instruments of one moment, and so the regressions on them, of every instrument
  whose window holds that moment. Here no instrument can be computed alone. All of them are read
  anew (`market`), but only as far back as those features look, and only for them.

Ranks compare the values of one moment, all of which are there: nothing is read for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.catalog.versions import KEY
from features.kernels import histories as kernels
from features.kernels.ranges import range_maximum
from features.schemas import UTC_TIME

# Rows of a panel that is evaluated at once: some hundred megabytes with all features.
_PANEL_ROWS = 500_000

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of the versions in the order in which they are read; none of them: only their number."""

    rows: Longs
    segment: Longs
    wanted: Flags

    @classmethod
    def of(cls, size: int) -> "_Rows":
        """Return room for so many."""
        return cls(np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.bool_))


@dataclass(frozen=True, slots=True)
class _Late:
    """The versions that came after their own as_of, in the order in which they became known."""

    bar: Longs
    row: Longs
    known: Longs
    instrument: Longs

    def by_instrument(self, count: int) -> tuple[Longs, Longs, Longs, Longs]:
        """Return each instrument's first one, and their bars, rows and times in that order."""
        order = np.argsort(self.instrument, kind="stable")
        starts = np.searchsorted(self.instrument[order], np.arange(count + 1)).astype(np.int64)
        return starts, self.bar[order], self.row[order], self.known[order]


def _integers(column: pl.Series) -> Longs:
    # A copy of its own: the compiler makes another version of a kernel for read-only arrays.
    return np.array(column.to_physical().cast(pl.Int64).to_numpy())


class Histories:
    """The versions of the bars, and what of them the rows with event_time >= start read.

    A panel holds rows of the versions in the order in which they are read, with `segment` (a code
    that changes where another history begins), `moment` (in a view of the market, a code for each
    of its event_times) and `wanted`, true for the rows whose features are asked for: over all
    panels of one call each of them once.
    """

    def __init__(self, versions: pl.DataFrame, start: datetime) -> None:
        place = versions.select(
            bar=pl.struct(*KEY).rle_id(), instrument=pl.col("instrument_id").rle_id()
        )
        bar, instrument = _integers(place["bar"]), _integers(place["instrument"])
        first = np.flatnonzero(np.diff(bar, prepend=-1))
        prompt = versions["prompt"].to_numpy()
        known = _integers(versions["knowledge_time"])
        self._versions = versions
        self._event = _integers(versions["event_time"])[first]
        self._as_of = _integers(versions["as_of"])[first]
        self._prompt = np.full(first.size, -1, np.int64)
        self._prompt[bar[prompt]] = np.flatnonzero(prompt)
        numbers = np.arange(instrument.max(initial=-1) + 2)
        self._starts = np.searchsorted(instrument[first], numbers).astype(np.int64)
        self._wanted = (self._prompt >= 0) & (versions["event_time"] >= start).to_numpy()[first]
        moments, of_bar = np.unique(self._event, return_inverse=True)
        self._moments, self._moment_of_row = moments, of_bar.astype(np.int64)[bar]
        rows = np.flatnonzero(~prompt)
        rows = rows[np.argsort(known[rows], kind="stable")]
        self._late = _Late(bar[rows], rows, known[rows], instrument[rows])

    @property
    def is_revised(self) -> bool:
        """Whether a bar came late, or was revised after its own as_of."""
        return self._late.row.size > 0

    def decisions(self) -> pl.Series:
        """Return the as_of of every row to come: those whose bar was there in time."""
        return pl.Series("as_of", np.unique(self._as_of[self._wanted])).cast(UTC_TIME)

    def own(self, lookback: int) -> Iterator[tuple[pl.DataFrame, float]]:
        """Yield panels of single instruments' histories, and the share of them that is done.

        Windows of the wanted rows may reach `lookback` rows before their own.
        """
        count = self._starts.size - 1
        late = self._late.by_instrument(count)
        begin = size = 0
        for i in range(count + 1):
            more = 0 if i == count else self._own_rows((i, i + 1), late, lookback, _Rows.of(0))
            if size and (i == count or size + more > _PANEL_ROWS):
                found = _Rows.of(size)
                self._own_rows((begin, i), late, lookback, found)
                yield self._panel(found), i / count
                begin, size = i, 0
            size += more

    def _own_rows(
        self,
        span: tuple[int, int],
        late: tuple[Longs, Longs, Longs, Longs],
        lookback: int,
        into: _Rows,
    ) -> int:
        return kernels.own_rows(
            span,
            self._starts,
            self._as_of,
            self._prompt,
            self._wanted,
            *late,
            lookback,
            into.rows,
            into.segment,
            into.wanted,
        )

    def market(self, lookback: int) -> Iterator[tuple[pl.DataFrame, float]]:
        """Yield panels of all instruments as decisions knew them, and the share that is done.

        Each view of the market goes back as far as a window of `lookback` rows of any of its
        wanted rows, for every instrument.
        """
        moments = self._as_of[self._wanted]
        if not moments.size:
            return
        begin, last = moments.min(), moments.max()
        views: list[_Rows] = []
        size = 0
        for view, until in self._views(lookback):
            views.append(view)
            size += view.rows.size
            if size >= _PANEL_ROWS or until == last:
                yield self._market_panel(views), float((until - begin) / max(last - begin, 1))
                views, size = [], 0

    def _views(self, lookback: int) -> Iterator[tuple[_Rows, int]]:
        """Yield the market of each stretch of decisions for which no mean that they read changed.

        With each comes the last as_of of the stretch.
        """
        late, current = self._late, self._prompt.copy()
        place = (self._starts, self._event, self._as_of, self._wanted, current)
        first = last = reach = applied = seen = 0
        changed = kernels.NEVER
        is_open = False
        for begin, end in self._stretches():
            until = int(np.searchsorted(late.known, begin, side="right"))
            newest = kernels.newest_change(
                self._starts, self._event, current, late.bar, late.instrument, (seen, until)
            )
            seen, changed = until, max(changed, newest)
            reached = kernels.market_reach(*place, (begin, end), lookback)
            # What no window reaches waits: earlier rows may have read what it replaces.
            if changed >= reached:
                if is_open:
                    yield _market_rows(place, (first, last), reach), last
                current[late.bar[applied:until]] = late.row[applied:until]
                applied, changed, is_open = until, kernels.NEVER, False
            if not is_open:
                first, reach, is_open = begin, reached, True
            last, reach = end, min(reach, reached)
        if is_open:
            yield _market_rows(place, (first, last), reach), last

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """Yield the first and last as_of of the decisions between two late versions."""
        moments = np.unique(self._as_of[self._wanted])
        known = np.searchsorted(self._late.known, moments, side="right")
        begins = np.flatnonzero(np.diff(known, prepend=-1))
        ends = np.append(begins[1:], moments.size) - 1
        for begin, end in zip(begins, ends, strict=True):
            yield int(moments[begin]), int(moments[end])

    def _market_panel(self, views: list[_Rows]) -> pl.DataFrame:
        count = self._starts.size
        joined = _Rows(
            np.concatenate([v.rows for v in views]),
            np.concatenate([v.segment + k * count for k, v in enumerate(views)]),
            np.concatenate([v.wanted for v in views]),
        )
        number = np.repeat(np.arange(len(views)), [v.rows.size for v in views])
        moment = self._moment_of_row[joined.rows] + number * self._moments.size
        return self._panel(joined).with_columns(pl.Series("moment", moment))

    def _panel(self, found: _Rows) -> pl.DataFrame:
        return self._versions[found.rows].with_columns(
            pl.Series("segment", found.segment), pl.Series("wanted", found.wanted)
        )

    def bars_known(self, panel: pl.DataFrame, lookback: int) -> pl.Series:
        """Return, for each row of a panel, when the newest version in its reach was known.

        In reach are the versions, of whatever instrument, of every moment between the row and the
        row `lookback` before it: the means of the market may have read them.
        """
        begin = np.flatnonzero(np.diff(panel["segment"].to_numpy(), prepend=-1))
        length = np.diff(np.append(begin, panel.height))
        low = np.maximum(np.arange(panel.height) - lookback, np.repeat(begin, length))
        event, as_of = _integers(panel["event_time"]), _integers(panel["as_of"])
        oldest = event[low]
        known = _integers(self._versions["knowledge_time"])
        prompt = self._prompt[self._prompt >= 0]
        moments, moment = np.unique(self._event[self._prompt >= 0], return_inverse=True)
        newest = np.full(moments.size, kernels.NEVER)
        np.maximum.at(newest, moment, known[prompt])
        first, last = np.searchsorted(moments, oldest), np.searchsorted(moments, event, "right") - 1
        late = kernels.newest_late(
            self._event[self._late.bar],
            self._late.known,
            as_of,
            oldest,
            np.argsort(as_of, kind="stable"),
        )
        return pl.Series("bars_known", np.maximum(range_maximum(newest, first, last), late)).cast(
            UTC_TIME
        )


def _market_rows(
    place: tuple[Longs, Longs, Longs, Flags, Longs], span: tuple[int, int], reach: int
) -> _Rows:
    none = _Rows.of(0)
    size = kernels.market_rows(*place, span, reach, none.rows, none.segment, none.wanted)
    found = _Rows.of(size)
    kernels.market_rows(*place, span, reach, found.rows, found.segment, found.wanted)
    return found
