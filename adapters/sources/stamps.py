"""Which format a column of dates is written in, and the cases in which that cannot be known."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adapters.sources.column_names import plain_name
from adapters.sources.mapping import DEFAULT_NULLS, MappingError
from adapters.sources.quarters import has_day, has_month, with_months
from adapters.sources.serial_days import of_serial

_SAMPLE = 20_000
_SLASHED = {True: ("%d{s}%m{s}%Y", "%d{s}%m{s}%y"), False: ("%m{s}%d{s}%Y", "%m{s}%d{s}%y")}
_TIMES = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S%.f", " %I:%M:%S %p", " %I:%M %p", " %H%M%S")
_WORDED = ("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %b %y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y")
_PERIODS = ("%Y-Q%q", "%YQ%q", "%Y Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y", "%YM%m", "%Y-M%m", "%b %Y",
            "%B %Y", "%b-%Y", "%G-W%V", "%GW%V", "%Y-%j")  # fmt: skip
_SHORT = ("%Y", "%Y-%m", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y%m%d %H%M", "%Y%j")
# Days as spreadsheets count them, 20000 to 80000: of a smaller or larger number it is asked.
_SERIAL_SPAN = (datetime(1954, 10, 3), datetime(2119, 1, 10))  # noqa: DTZ001 - naive, as they are
_EPOCHS = ((1e17, "epoch_ns"), (1e14, "epoch_us"), (1e11, "epoch_ms"), (1e8, "epoch_s"))
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$"
_MIDNIGHT = r"^\d{4}-\d{2}-\d{2}[T ]00:00(:00(\.0+)?)?(?:Z|UTC| ?[+-]\d{2}:?\d{2})?$"
_OFFSET = r":\d{2}.*(Z|UTC|[+-]\d{2}:?\d{2})$"
# A stamp of the last second, millisecond or microsecond of a minute, and what is left of it.
_LAST = {
    left: rf":\d{{2}}:59{part}(?:Z|UTC| ?[+-]\d{{2}}:?\d{{2}})?$"
    for left, part in (("1s", r"(?:\.0+)?"), ("1ms", r"\.9{3}0*"), ("1us", r"\.9{6}0*"))
}
_NEARLY_ALL = 0.9
_YEAR_MIN = 1700
_CLOCK_NAME = re.compile(r"^(?:time|sec|second)s?(?:_|$)|time_?of_?day")  # 34200.5: of the day
_INTERVALS = ((60, "1m"), (300, "5m"), (900, "15m"), (1800, "30m"), (3600, "1h"), (14400, "4h"),
              (86400, "1d"))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """What is known of a column of stamps.

    `moments` are the different ones as written, without a zone, texts to the minute. `take` keeps
    the first characters of stamps that are midnights of their own zone: a day each.
    """

    format: tuple[str, ...]
    days_only: bool
    interval: str
    zone: str | None = None
    take: int | None = None
    needs_zone: bool = False
    left: str = ""  # until a bar is over that is stamped with its last second, millisecond, ...
    moments: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.Datetime("us")))

    @property
    def step_days(self) -> float:
        """How many days lie between two neighbours, at the median; 0 where there are none."""
        steps = self.moments.drop_nulls().unique().sort().diff().drop_nulls().dt.total_hours()
        return float(steps.median() or 0) / 24  # type: ignore[arg-type]  # of a column of numbers


def recognise(column: pl.Series, name: str, day_first: bool | None, zone: str | None) -> Stamps:
    """Return how the stamps are to be read.

    Raises MappingError with a question where two readings are possible.
    """
    if isinstance(column.dtype, pl.Datetime):
        own = column.dtype.time_zone
        days_only = bool((column.dt.truncate("1d") == column).all())
        naive = column.dt.replace_time_zone(None)
        return Stamps(
            format=("iso",), days_only=days_only, interval=_interval(naive, days_only),
            zone=own or zone, needs_zone=not (days_only or own or zone),
            moments=naive.drop_nulls().unique(),
        )  # fmt: skip
    if column.dtype == pl.Date():
        days = column.drop_nulls().unique().cast(pl.Datetime("us"))
        return Stamps(format=("iso",), days_only=True, interval="1d", zone=zone, moments=days)
    found = recognise_all(column, np.array([len(column)]), name, day_first, zone)[0]
    if isinstance(found, MappingError):
        raise found
    return found


def recognise_all(
    column: pl.Series, heights: np.ndarray, name: str, day_first: bool | None, zone: str | None
) -> list[Stamps | MappingError]:
    """Return how the stamps of several files are to be read, each file by itself.

    `column` holds the texts of one file after the other, `heights` how many each has. In place of
    an answer stands the question where a file leaves two readings open. A text that is in many
    files is parsed once.
    """
    text = column.cast(pl.String).str.strip_chars()
    of_file = pl.Series(np.repeat(np.arange(len(heights)), heights))
    written = text.is_not_null() & ~text.is_in(list(DEFAULT_NULLS))
    cells = pl.DataFrame({"text": text, "file": of_file}).filter(written)
    return _Files(cells, len(heights)).recognised(name, day_first, zone)


class _Files:
    """The different texts of one column of several files; masks and means are of each file."""

    def __init__(self, cells: pl.DataFrame, count: int) -> None:
        held = cells.unique(["file", "text"], maintain_order=True)
        held = held.filter(pl.int_range(pl.len()).over("file") < _SAMPLE)
        self.texts = held["text"].unique(maintain_order=True)
        place = pl.DataFrame({"text": self.texts}).with_row_index("place")
        held = held.join(place, on="text", how="left", maintain_order="left")
        self._places = held["place"].to_numpy()
        self._count = count
        self._file = held["file"].to_numpy()
        self._heights = np.bincount(self._file, minlength=count)
        self._starts = np.concatenate([[0], np.cumsum(self._heights)])

    def recognised(
        self, name: str, day_first: bool | None, zone: str | None
    ) -> list[Stamps | MappingError]:
        """Return the answer, or the question, of each file."""
        answers: dict[int, Stamps | MappingError] = {
            int(file): MappingError(f"the column {name!r} is empty: which one is the time?")
            for file in np.flatnonzero(self._heights == 0)
        }
        self._add_epochs(answers)
        if not _CLOCK_NAME.search(plain_name(name)):
            self._add_serials(answers, zone)
        self._add_iso(answers, zone)
        self._add_others(answers, name, day_first, zone)
        return [answers[file] for file in range(self._count)]

    def _counted(self, fits: pl.Series) -> np.ndarray:
        """Return how many of each file's texts are among those that fit."""
        mask = fits.fill_null(value=False).to_numpy()[self._places]
        return np.bincount(self._file[mask], minlength=self._count)

    def _mostly(self, fits: pl.Series) -> np.ndarray:
        """Nearly all: a damaged cell is a row to reject, not another format."""
        return self._counted(fits) / np.maximum(self._heights, 1) > _NEARLY_ALL

    def _of(self, file: int, values: pl.Series) -> pl.Series:
        """Return what belongs to the texts of one file, in its order."""
        return values.gather(self._places[self._starts[file] : self._starts[file + 1]])

    def _add_epochs(self, answers: dict[int, Stamps | MappingError]) -> None:
        number = self.texts.cast(pl.Float64, strict=False)
        is_epoch = self._counted(number.is_not_null()) == self._heights
        for file in map(int, np.flatnonzero(is_epoch)):
            own = None if file in answers else self._of(file, number)
            epoch = None if own is None else _epoch(own)
            if own is not None and epoch is not None:
                scale = {"epoch_s": 1e6, "epoch_ms": 1e3, "epoch_us": 1.0, "epoch_ns": 1e-3}[epoch]
                stamps = (own * scale).cast(pl.Int64).cast(pl.Datetime("us"))
                days_only = bool((stamps.dt.truncate("1d") == stamps).all())
                answers[file] = Stamps(
                    format=(epoch,), days_only=days_only, zone="UTC", moments=stamps,
                    interval=_interval(stamps, days_only),
                )  # fmt: skip

    def _add_serials(self, answers: dict[int, Stamps | MappingError], zone: str | None) -> None:
        """Answer the files whose days are numbers as spreadsheets count them."""
        moments = pl.select(of_serial(pl.lit(self.texts))).to_series()
        is_serial = self._mostly(moments.is_between(*_SERIAL_SPAN))
        if not is_serial.any():
            return
        with_time = self._counted(moments != moments.dt.truncate("1d")) > 0
        for file in [f for f in map(int, np.flatnonzero(is_serial)) if f not in answers]:
            own = self._of(file, moments)
            answers[file] = _stamps("serial", own, not with_time[file], zone, has_offset=False)

    def _add_iso(self, answers: dict[int, Stamps | MappingError], zone: str | None) -> None:
        text = self.texts
        is_iso = self._mostly(text.str.contains(_ISO))
        if not is_iso.any():
            return
        midnight = self._mostly(text.str.contains(_MIDNIGHT))
        with_time = self._counted(text.str.contains(":")) > 0
        with_offset = self._mostly(text.str.contains(_OFFSET))
        days = _parse(text.str.head(10), "%Y-%m-%d")
        # Seconds may be written or not; to the minute is fine enough to tell bars apart.
        plain = text.str.replace("T", " ").str.head(19)
        minutes = plain.str.head(10) + " " + plain.str.slice(11, 5).replace("", "00:00")
        moments = _parse(minutes, "%Y-%m-%d %H:%M")
        lasts = {left: self._counted(text.str.contains(last)) for left, last in _LAST.items()}
        for file in map(int, np.flatnonzero(is_iso)):
            if file in answers:
                continue
            if midnight[file]:
                answers[file] = Stamps(
                    format=("iso",), days_only=True, interval="1d", take=10,
                    moments=self._of(file, days),
                )  # fmt: skip
                continue
            found = _stamps(
                "iso", self._of(file, moments), not with_time[file], zone, bool(with_offset[file])
            )
            left = (left for left, count in lasts.items() if count[file] == self._heights[file])
            answers[file] = replace(found, left=next(left, ""))

    def _add_others(
        self,
        answers: dict[int, Stamps | MappingError],
        name: str,
        day_first: bool | None,
        zone: str | None,
    ) -> None:
        """Choose the one format that reads a column; ask where day and month may be swapped."""
        left = {file for file in range(self._count) if file not in answers}
        for form in (*(f + t for f in (*_SHORT, *_WORDED) for t in _TIMES), *_PERIODS):
            if not left:
                return
            self._add_readings(answers, left, form, zone)
        if not left:
            return
        readings = {first: self._slashed(first, left) for first in (True, False)}
        chosen: dict[str, set[int]] = {}
        for file in sorted(left):
            possible = {f: found[file] for f, found in readings.items() if file in found}
            text = self._of(file, self.texts)
            try:
                chosen.setdefault(_chosen(possible, text, name, day_first), set()).add(file)
            except MappingError as question:
                answers[file] = question
        for form, files in chosen.items():
            moments = _parse(self.texts, form)
            for file in files:
                answers[file] = _stamps(form, self._of(file, moments), _is_day(form), zone, False)

    def _add_readings(
        self,
        answers: dict[int, Stamps | MappingError],
        left: set[int],
        form: str,
        zone: str | None,
    ) -> None:
        """Answer those of the files that are left whose stamps a format reads."""
        moments = _parse(self.texts, form)
        read = self._mostly(_fits(moments))
        for file in [file for file in left if read[file]]:
            answers[file] = _stamps(form, self._of(file, moments), _is_day(form), zone, False)
            left.discard(file)

    def _slashed(self, first: bool, left: set[int]) -> dict[int, tuple[str, int]]:
        """Return the format, day first or second, that reads a column, and how many cells of it."""
        found: dict[int, tuple[str, int]] = {}
        for separator in ("/", "-", "."):
            for pattern in _SLASHED[first]:
                for time in _TIMES:
                    form = pattern.format(s=separator) + time
                    fits = _fits(_parse(self.texts, form))
                    read, counts = self._mostly(fits), self._counted(fits)
                    for file in left:
                        if read[file] and file not in found:
                            found[file] = (form, int(counts[file]))
        return found


def _chosen(
    possible: dict[bool, tuple[str, int]], text: pl.Series, name: str, day_first: bool | None
) -> str:
    """Return which of the possible formats, by day first or not, reads the texts."""
    if "." in text[0] and True in possible:
        return possible[True][0]  # 31.12.2019: dotted dates are written day first
    if not possible:
        raise MappingError(
            f"in which format is {name!r}, such as {text[0]!r} and {text[-1]!r}? write "
            "time: {format: [...]} in a mapping, one format or several"
        )
    if len(possible) == 2 and possible[True][1] == possible[False][1]:
        if day_first is None:
            raise MappingError(
                f"is {name!r} ({text[0]!r}) day/month or month/day? Every date reads as both; "
                "write --day-first or --month-first"
            )
        return possible[day_first][0]
    # One date with a 13 in the first place says which place the month has.
    return max(possible.values(), key=lambda found: found[1])[0]


def _is_day(form: str) -> bool:
    return "%H" not in form and "%I" not in form


def _stamps(
    form: str, moments: pl.Series, days_only: bool, zone: str | None, has_offset: bool
) -> Stamps:
    return Stamps(
        format=(form,), days_only=days_only, interval=_interval(moments, days_only),
        zone=None if has_offset else zone, needs_zone=not (days_only or has_offset or zone),
        moments=moments.drop_nulls() if moments.null_count() else moments,
    )  # fmt: skip


def _parse(text: pl.Series, form: str) -> pl.Series:
    text, form = with_months(text, form)
    if not has_day(form):
        first = ("-01", "-%d") if has_month(form) else ("-01-01", "-%m-%d")
        text, form = text + first[0], form + first[1]
    return text.str.to_datetime(form, time_unit="us", strict=False)


def _fits(moments: pl.Series) -> pl.Series:
    """Return which stamps a format reads: %Y reads "85" as the year 85, which %y is for."""
    return moments.is_not_null() & (moments.dt.year() >= _YEAR_MIN)


def _epoch(number: pl.Series) -> str | None:
    low = number.abs().min()
    return next((name for bound, name in _EPOCHS if low >= bound), None)  # type: ignore[operator]


def _interval(moments: pl.Series, days_only: bool) -> str:
    """Return the commonest step between neighbours, as the nearest usual interval."""
    if days_only:
        return "1d"
    ticks: NDArray[np.int64] = moments.cast(pl.Datetime("us")).drop_nulls().to_physical().to_numpy()
    seconds: NDArray[np.int64] = np.diff(np.unique(ticks)) // 1_000_000
    steps, counts = np.unique(seconds, return_counts=True)
    if not len(steps):
        return "1d"
    common = int(steps[counts.argmax()])  # the shortest of those that are as common
    return min(_INTERVALS, key=lambda item: abs(item[0] - common))[1]


def shared_interval(pieces: Sequence[Stamps]) -> str:
    """Return the interval of the moments of several files together: an hour a file tells none."""
    moments = pl.concat([stamps.moments.cast(pl.Datetime("us")) for stamps in pieces])
    return _interval(moments, all(stamps.days_only for stamps in pieces))
