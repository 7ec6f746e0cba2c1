"""Which format a column of dates is written in, and the cases in which that cannot be known."""

from dataclasses import dataclass

import polars as pl

from adapters.sources.mapping import DEFAULT_NULLS, MappingError

_SAMPLE = 20_000
_SLASHED = {True: ("%d{s}%m{s}%Y", "%d{s}%m{s}%y"), False: ("%m{s}%d{s}%Y", "%m{s}%d{s}%y")}
_TIMES = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S%.f", " %I:%M:%S %p", " %I:%M %p")
_WORDED = ("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y")
_SHORT = ("%Y", "%Y-%m", "%Y/%m/%d", "%Y%m%d")
_EPOCHS = ((1e17, "epoch_ns"), (1e14, "epoch_us"), (1e11, "epoch_ms"), (1e8, "epoch_s"))
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$"
_OFFSET = r":\d{2}.*(Z|UTC|[+-]\d{2}:?\d{2})$"
_INTERVALS = ((60, "1m"), (300, "5m"), (900, "15m"), (1800, "30m"), (3600, "1h"), (14400, "4h"),
              (86400, "1d"))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """What is known of a column of stamps."""

    format: tuple[str, ...]
    days_only: bool
    interval: str
    zone: str | None = None


def recognise(column: pl.Series, name: str, day_first: bool | None, zone: str | None) -> Stamps:
    """Return how the stamps are to be read.

    Raises MappingError with a question where two readings are possible or no zone is known.
    """
    if isinstance(column.dtype, pl.Datetime):
        days_only = bool((column.dt.truncate("1d") == column).all())
        if not days_only and column.dtype.time_zone is None and zone is None:
            raise MappingError(f"in which zone are the times of {name!r}?")
        return Stamps(
            format=("iso",), days_only=days_only, interval=_interval(column, days_only),
            zone=zone or (None if days_only else column.dtype.time_zone),
        )  # fmt: skip
    if column.dtype == pl.Date():
        return Stamps(format=("iso",), days_only=True, interval="1d", zone=zone)
    text = column.cast(pl.String).str.strip_chars()
    written = text.filter(text.is_not_null() & ~text.is_in(list(DEFAULT_NULLS)))
    if written.is_empty():
        raise MappingError(f"the column {name!r} is empty: which one is the time?")
    return _of_text(written.head(_SAMPLE), name, day_first, zone)


def _of_text(text: pl.Series, name: str, day_first: bool | None, zone: str | None) -> Stamps:
    number = text.cast(pl.Float64, strict=False)
    if number.is_not_null().all() and (epoch := _epoch(number)) is not None:
        scale = {"epoch_s": 1e6, "epoch_ms": 1e3, "epoch_us": 1.0, "epoch_ns": 1e-3}[epoch]
        stamps = (number * scale).cast(pl.Int64).cast(pl.Datetime("us"))
        return Stamps(format=(epoch,), days_only=False, interval=_interval(stamps, False))
    if _mostly(text.str.contains(_ISO)):
        days_only = not text.str.contains(":").any()
        has_offset = _mostly(text.str.contains(_OFFSET))
        return _stamps("iso", text, name, days_only, zone, has_offset)
    chosen = _choose(text, name, day_first)
    return _stamps(chosen, text, name, "%H" not in chosen and "%I" not in chosen, zone, False)


def _stamps(
    form: str, text: pl.Series, name: str, days_only: bool, zone: str | None, has_offset: bool
) -> Stamps:
    if not days_only and not has_offset and zone is None:
        raise MappingError(f"in which zone are the times of {name!r} ({text[0]!r})?")
    plain = text.str.replace("T", " ").str.head(19)
    read = "%Y-%m-%d %H:%M:%S" if form == "iso" else form
    moments = _parse(plain if form == "iso" else text, read)
    return Stamps(
        format=(form,), days_only=days_only, interval=_interval(moments, days_only),
        zone=None if has_offset else zone,
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
        raise MappingError(f"in which format is {name!r}, such as {text[0]!r}?")
    if len(possible) == 2 and possible[True][1] == possible[False][1]:
        if day_first is None:
            raise MappingError(
                f"is {name!r} ({text[0]!r}) day/month or month/day? Every date reads as both"
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
