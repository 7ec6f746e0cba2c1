"""Compiled choice of the versions of bars that rows read, where old bars come late or are revised.

Bars lie one after another, by instrument and time: `starts` holds each instrument's first bar and,
last, their number. `current` names the row of each bar's version, -1 where there is none yet. Late
versions lie in the order in which they became known. Times are integers. A function that is given
an empty `rows` counts only.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

NEVER = np.iinfo(np.int64).min
_NO_MOMENT = np.iinfo(np.int64).max


@njit(cache=True, nogil=True)
def _floor(current: Longs, begin: int, bar: int, lookback: int) -> int:
    """Return the bar that lies `lookback` known bars before; the first one where there are less."""
    left, k = lookback, bar
    while k > begin and left > 0:
        k -= 1
        left -= current[k] >= 0
    return k if left == 0 else begin


@njit(cache=True, nogil=True)
def own_rows(
    instruments: tuple[int, int],
    starts: Longs,
    as_of: Longs,
    prompt: Longs,
    wanted: Flags,
    late_starts: Longs,
    late_bar: Longs,
    late_row: Longs,
    late_known: Longs,
    lookback: int,
    rows: Longs,
    segment: Longs,
    is_wanted: Flags,
) -> int:
    """Write, per instrument, the histories that its wanted rows read, and return their length.

    A history is the instrument's bars as they were known to some of its wanted rows, one after
    another, and so many bars before them. It ends where a late version comes to be known that the
    next wanted row reaches; what no row to come reaches is passed over. Late versions lie by
    instrument here: `late_starts` holds the first of each.
    """
    n = part = 0
    current = np.empty(as_of.size, np.int64)
    for i in range(instruments[0], instruments[1]):
        begin, end = starts[i], starts[i + 1]
        current[begin:end] = prompt[begin:end]
        late = late_starts[i]
        first = last = -1
        for b in range(begin, end):
            if not wanted[b]:
                continue
            pending, nearest = late, -1
            while pending < late_starts[i + 1] and late_known[pending] <= as_of[b]:
                nearest = max(nearest, late_bar[pending])
                pending += 1
            if pending > late and nearest >= _floor(current, begin, b, lookback):
                if first >= 0:
                    low = _floor(current, begin, first, lookback)
                    n = _write(
                        current, wanted, (low, first, last), n, part, rows, segment, is_wanted
                    )
                    part += 1
                for k in range(late, pending):
                    current[late_bar[k]] = late_row[k]
                first = -1
            late = pending
            first = b if first < 0 else first
            last = b
        if first >= 0:
            low = _floor(current, begin, first, lookback)
            n = _write(current, wanted, (low, first, last), n, part, rows, segment, is_wanted)
            part += 1
    return n


@njit(cache=True, nogil=True)
def _write(
    current: Longs,
    wanted: Flags,
    span: tuple[int, int, int],
    n: int,
    part: int,
    rows: Longs,
    segment: Longs,
    is_wanted: Flags,
) -> int:
    low, first, last = span
    for b in range(low, last + 1):
        if current[b] < 0:
            continue
        if rows.size > 0:
            rows[n], segment[n] = current[b], part
            is_wanted[n] = wanted[b] and b >= first
        n += 1
    return n


@njit(cache=True, nogil=True)
def market_reach(
    starts: Longs,
    event: Longs,
    as_of: Longs,
    wanted: Flags,
    current: Longs,
    span: tuple[int, int],
    lookback: int,
) -> int:
    """Return the earliest event_time in reach of the wanted rows of a span of as_of."""
    reach = _NO_MOMENT
    for i in range(starts.size - 1):
        begin, end = starts[i], starts[i + 1]
        b = begin + np.searchsorted(as_of[begin:end], span[0])
        while b < end and not wanted[b]:
            b += 1
        if b < end and as_of[b] <= span[1]:
            reach = min(reach, event[_floor(current, begin, b, lookback)])
    return reach


@njit(cache=True, nogil=True)
def newest_change(
    starts: Longs,
    event: Longs,
    current: Longs,
    late_bar: Longs,
    late_instrument: Longs,
    lates: tuple[int, int],
) -> int:
    """Return the newest event_time of which these late versions change a return, or NEVER."""
    newest = NEVER
    for k in range(lates[0], lates[1]):
        b, end = late_bar[k], starts[late_instrument[k] + 1]
        # The next bar's return is measured from this one, however long the gap between them.
        after = b + 1
        while after < end and current[after] < 0:
            after += 1
        moment = event[after] if after < end else event[b]
        newest = moment if moment > newest else newest
    return int(newest)


@njit(cache=True, nogil=True)
def market_rows(
    starts: Longs,
    event: Longs,
    as_of: Longs,
    wanted: Flags,
    current: Longs,
    span: tuple[int, int],
    reach: int,
    rows: Longs,
    segment: Longs,
    is_wanted: Flags,
) -> int:
    """Write the bars of all instruments from `reach` on, and return how many they are.

    The span is that of the wanted rows' as_of. Of each instrument comes one bar more, the last one
    before: the first return of the moments is measured from it.
    """
    n = 0
    for i in range(starts.size - 1):
        begin, end = starts[i], starts[i + 1]
        low = begin + np.searchsorted(event[begin:end], reach)
        low = _floor(current, begin, low, 1)
        for b in range(low, end):
            if as_of[b] > span[1]:
                break
            if current[b] < 0:
                continue
            if rows.size > 0:
                rows[n], segment[n] = current[b], i
                is_wanted[n] = wanted[b] and as_of[b] >= span[0]
            n += 1
    return n


@njit(cache=True, nogil=True)
def newest_late(
    late_event: Longs, late_known: Longs, as_of: Longs, oldest: Longs, order: Longs
) -> Longs:
    """Return when the newest late version in reach of each row was known, or NEVER.

    A row reads the versions known by its `as_of` of bars from `oldest` on; `order` sorts the rows
    by as_of.
    """
    out = np.full(as_of.size, NEVER)
    # Of two versions the older one of an older bar never counts again: what is kept has falling
    # event times, and rising times of knowledge.
    kept = np.empty(late_event.size, np.int64)
    size = late = 0
    for r in order:
        while late < late_known.size and late_known[late] <= as_of[r]:
            while size > 0 and late_event[kept[size - 1]] <= late_event[late]:
                size -= 1
            kept[size] = late
            size += 1
            late += 1
        low, high = 0, size
        while low < high:
            middle = (low + high) // 2
            if late_event[kept[middle]] >= oldest[r]:
                low = middle + 1
            else:
                high = middle
        if low > 0:
            out[r] = late_known[kept[low - 1]]
    return out
