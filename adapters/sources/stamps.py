"""Which format a column of dates is written in, and the cases in which that cannot be known."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from adapters.sources.mapping import DEFAULT_NULLS, MappingError

_SAMPLE = 20_000
_SLASHED = {True: ("%d{s}%m{s}%Y", "%d{s}%m{s}%y"), False: ("%m{s}%d{s}%Y", "%m{s}%d{s}%y")}
_TIMES = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S%.f", " %I:%M:%S %p", " %I:%M %p", " %H%M%S")
_WORDED = ("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y")
_SHORT = ("%Y", "%Y-%m", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")
_EPOCHS = ((1e17, "epoch_ns"), (1e14, "epoch_us"), (1e11, "epoch_ms"), (1e8, "epoch_s"))
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$"
_MIDNIGHT = r"^\d{4}-\d{2}-\d{2}[T ]00:00(:00(\.0+)?)?(?:Z|UTC| ?[+-]\d{2}:?\d{2})?$"
_OFFSET = r":\d{2}.*(Z|UTC|[+-]\d{2}:?\d{2})$"
_INTERVALS = ((60, "1m"), (300, "5m"), (900, "15m"), (1800, "30m"), (3600, "1h"), (14400, "4h"),
              (86400, "1d"))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """What is known of a column of stamps.

    `moments` are the different ones as written, without a zone. `take` keeps the first characters
    of stamps that are midnights of their own zone: a day each.
    """

    format: tuple[str, ...]
    days_only: bool
    interval: str
    zone: str | None = None
    take: int | None = None
    needs_zone: bool = False
    moments: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.Datetime("us")))


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
    text = column.cast(pl.String).str.strip_chars()
    written = text.filter(text.is_not_null() & ~text.is_in(list(DEFAULT_NULLS)))
    if written.is_empty():
        raise MappingError(f"the column {name!r} is empty: which one is the time?")
    return _of_text(written.unique(maintain_order=True).head(_SAMPLE), name, day_first, zone)


def _of_text(text: pl.Series, name: str, day_first: bool | None, zone: str | None) -> Stamps:
    number = text.cast(pl.Float64, strict=False)
    if number.is_not_null().all() and (epoch := _epoch(number)) is not None:
        scale = {"epoch_s": 1e6, "epoch_ms": 1e3, "epoch_us": 1.0, "epoch_ns": 1e-3}[epoch]
        stamps = (number * scale).cast(pl.Int64).cast(pl.Datetime("us"))
        days_only = bool((stamps.dt.truncate("1d") == stamps).all())
        return Stamps(
            format=(epoch,), days_only=days_only, interval=_interval(stamps, days_only), zone="UTC",
            moments=stamps,
        )  # fmt: skip
    if _mostly(text.str.contains(_ISO)):
        if _mostly(text.str.contains(_MIDNIGHT)):
            days = _parse(text.str.head(10), "%Y-%m-%d")
            return Stamps(format=("iso",), days_only=True, interval="1d", take=10, moments=days)
        days_only = not text.str.contains(":").any()
        has_offset = _mostly(text.str.contains(_OFFSET))
        return _stamps("iso", text, days_only, zone, has_offset)
    chosen = _choose(text, name, day_first)
    return _stamps(chosen, text, "%H" not in chosen and "%I" not in chosen, zone, False)


def _stamps(
    form: str, text: pl.Series, days_only: bool, zone: str | None, has_offset: bool
) -> Stamps:
    plain = text.str.replace("T", " ").str.head(19)
    if form == "iso":
        # Seconds may be written or not; to the minute is fine enough to tell bars apart.
        moments = _parse(plain.str.head(10) + " " + plain.str.slice(11, 5).replace("", "00:00"),
                         "%Y-%m-%d %H:%M")  # fmt: skip
    else:
        moments = _parse(text, form)
    return Stamps(
        format=(form,), days_only=days_only, interval=_interval(moments, days_only),
        zone=None if has_offset else zone,
        needs_zone=not (days_only or has_offset or zone), moments=moments.drop_nulls(),
    )  # fmt: skip


def _choose(text: pl.Series, name: str, day_first: bool | None) -> str:
    """Return the one format that reads the column; asks where day and month may be swapped."""
    certain = [f + t for f in (*_SHORT, *_WORDED) for t in _TIMES]
    for form in certain:
        if _mostly(_parse(text, form).is_not_null()):
            return form
    readings = {first: _slashed(text, first) for first in (True, False)}
    possible = {first: found for first, found in readings.items() if found is not None}
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


def _slashed(text: pl.Series, first: bool) -> tuple[str, int] | None:
    """Return the format, day first or second, that reads the column, and how many cells of it."""
    for separator in ("/", "-", "."):
        for pattern in _SLASHED[first]:
            for time in _TIMES:
                form = pattern.format(s=separator) + time
                moments = _parse(text, form)
                # %Y reads "85" as the year 85; %y is the format then.
                fits = moments.is_not_null() & (moments.dt.year() >= 1700)
                if _mostly(fits):
                    return form, int(fits.fill_null(value=False).sum())
    return None


def _parse(text: pl.Series, form: str) -> pl.Series:
    if "%d" not in form:
        first = ("-01", "-%d") if "%m" in form else ("-01-01", "-%m-%d")
        text, form = text + first[0], form + first[1]
    return text.str.to_datetime(form, time_unit="us", strict=False)


def _mostly(fits: pl.Series) -> bool:
    """Nearly all: a damaged cell is a row to reject, not another format."""
    return bool(fits.fill_null(value=False).mean() > 0.9)  # type: ignore[operator]


def _epoch(number: pl.Series) -> str | None:
    low = number.abs().min()
    return next((name for bound, name in _EPOCHS if low >= bound), None)  # type: ignore[operator]


def _interval(moments: pl.Series, days_only: bool) -> str:
    """Return the commonest step between neighbours, as the nearest usual interval."""
    if days_only:
        return "1d"
    steps = moments.drop_nulls().unique().sort().diff().drop_nulls().dt.total_seconds()
    if steps.is_empty():
        return "1d"
    common = steps.mode().sort()[0]
    return min(_INTERVALS, key=lambda item: abs(item[0] - common))[1]


def shared_interval(pieces: Sequence[Stamps]) -> str:
    """Return the interval of the moments of several files together: an hour a file tells none."""
    moments = pl.concat([stamps.moments.cast(pl.Datetime("us")) for stamps in pieces])
    return _interval(moments, all(stamps.days_only for stamps in pieces))
