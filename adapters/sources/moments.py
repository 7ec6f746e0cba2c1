"""Times of a file as UTC moments: formats, zones, and what a stamp stands for."""

from dataclasses import dataclass
from datetime import UTC, datetime, time

import polars as pl

from adapters.sources.cells import number_of, pick_column, text_of
from adapters.sources.mapping import Csv, MappingError, TableMapping, TimeField
from adapters.sources.quarters import has_day, has_month, with_months, with_whole_clock
from adapters.sources.serial_days import of_serial
from features.text_format import format_text

_OFFSET_FORMATS = ("%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M%z")
_NAIVE_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M",
    "%Y%m%d", "%Y-%m",
)  # fmt: skip
MOMENT = "__moment_"  # how the columns of `with_moment` begin
_EPOCH_PER_US = {"epoch_s": 1e6, "epoch_ms": 1e3, "epoch_us": 1.0, "epoch_ns": 1e-3}
# A year outside these bounds is a two-digit year read as a four-digit one, or a wrong unit.
_EARLIEST, _LATEST = datetime(1800, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """A stamp as UTC moment, as local day, when its day is over; whether and why it is none.

    `problem` is costly text: it is for the rows that are bad.
    """

    utc: pl.Expr
    day: pl.Expr
    day_over: pl.Expr
    is_bad: pl.Expr
    is_empty: pl.Expr
    problem: pl.Expr


def moment_of(field: TimeField, what: str, schema: pl.Schema, spec: TableMapping) -> Moment:
    """Return how a time field is read.

    Raises MappingError where the file lacks its column or a naive stamp has no zone.
    """
    text, naive, utc = _stamp(field, what, schema, spec)
    if field.take is not None or field.stands_for in {"session", "day"}:
        zone = field.zone or "UTC"
        day = pl.coalesce(naive.dt.date(), utc.dt.convert_time_zone(zone).dt.date())
    else:
        day = pl.coalesce(naive, utc.dt.replace_time_zone(None)).dt.date()
    exact = _exact(field, what, schema, naive, utc)
    over = _midnight(day.dt.offset_by("1d"), field.zone or "UTC")
    inside = exact.is_between(_EARLIEST, _LATEST)
    problem = (
        pl.when(text.is_null())
        .then(pl.lit(f"{what} must be given, was empty"))
        .when(exact.is_null())
        .then(
            format_text(
                "{} must be a time in {} that exists once in {}, was '{}'",
                pl.lit(what), pl.lit(" or ".join(field.format)), pl.lit(field.zone or "its zone"),
                text.str.head(80),
            )
        )
        .otherwise(
            format_text("{} must lie in 1800 to 2100, was '{}'", pl.lit(what), text.str.head(80))
        )
    )  # fmt: skip
    is_bad = exact.is_null() | ~inside
    return Moment(_plus(exact, field), day, _plus(over, field), is_bad, text.is_null(), problem)


def with_moment(
    frame: pl.DataFrame, field: TimeField, what: str, spec: TableMapping
) -> tuple[pl.DataFrame, Moment]:
    """Return the frame with what its stamps say in columns of their own, and how these are called.

    Each different stamp is read once: thousands of files have the same days, and to parse one costs
    more than all other cells of its row. Raises MappingError as `moment_of` does.
    """
    told = moment_of(field, what, frame.schema, spec)
    names = list(field.join) or [pick_column(frame.schema, field.column, what)]
    columns = {
        f"{MOMENT}{what.replace(' ', '_')}_{part}": expr
        for part, expr in zip(
            ("utc", "day", "day_over", "is_bad", "is_empty"),
            (told.utc, told.day, told.day_over, told.is_bad, told.is_empty),
            strict=True,
        )
    }
    read = frame.select(names).unique().lazy().with_columns(**columns).collect()
    joined = frame.join(read, on=names, how="left", nulls_equal=True, maintain_order="left")
    return joined, Moment(*map(pl.col, columns), problem=told.problem)


def to_local_time(text: str) -> time:
    """Return the local time that a mapping's `at` names."""
    return time.fromisoformat(text)


def _stamp(
    field: TimeField, what: str, schema: pl.Schema, spec: TableMapping
) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Return the stamp as text, as naive local time and as UTC; one of the latter is null."""
    no_utc = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    no_naive = pl.lit(None, dtype=pl.Datetime("us"))
    if field.join:
        names = [pick_column(schema, [name], what) for name in field.join]
        text = pl.concat_str([text_of(schema, name, spec.nulls) for name in names], separator=" ")
        return text, *_parsed(with_whole_clock(text), field)
    name = pick_column(schema, field.column, what)
    dtype = schema[name]
    text = text_of(schema, name, spec.nulls)
    if isinstance(dtype, pl.Datetime):
        stamp = pl.col(name).dt.cast_time_unit("us")
        if dtype.time_zone is None:
            return text, stamp, no_utc
        return text, no_naive, stamp.dt.convert_time_zone("UTC")
    if dtype == pl.Date():
        return text, pl.col(name).cast(pl.Datetime("us")), no_utc
    if field.take is not None:
        text = text.str.head(field.take)
    return text, *_parsed(text, field)


def _parsed(text: pl.Expr, field: TimeField) -> tuple[pl.Expr, pl.Expr]:
    first = field.format[0]
    if first in _EPOCH_PER_US:
        return pl.lit(None, dtype=pl.Datetime("us")), _epoch(text, first)
    if first == "serial":
        return of_serial(text), pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    if first == "iso":
        # 2020-01-31T10:00:00Z and +01:00 in one spelling: a space, and an offset without colon.
        plain = (
            text.str.replace(r"^(\d{4}-\d\d-\d\d)[T ]+", "${1} ")
            .str.replace(r" ?(?:Z|UTC)$", "+0000")
            .str.replace(r" ?([+-]\d\d):?(\d\d)$", "${1}${2}")
        )
        # 2020-01 ends like an offset would; only a stamp with a time can have one.
        has_offset = plain.str.contains(r":\d\d.*[+-]\d{4}$")
        stamp = pl.when(has_offset).then(plain)
        utc = pl.coalesce(_strptime(stamp, form) for form in _OFFSET_FORMATS)
        naive = pl.coalesce(_strptime(text.str.replace("T", " "), f) for f in _NAIVE_FORMATS)
        return naive, utc.dt.convert_time_zone("UTC")
    with_offset = [form for form in field.format if "%z" in form]
    without = [form for form in field.format if "%z" not in form]
    utc = pl.coalesce([*(_strptime(text, f) for f in with_offset),
                       pl.lit(None, dtype=pl.Datetime("us", "UTC"))])  # fmt: skip
    naive = pl.coalesce([*(_strptime(text, f) for f in without),
                         pl.lit(None, dtype=pl.Datetime("us"))])  # fmt: skip
    return naive, utc.dt.convert_time_zone("UTC")


def _strptime(text: pl.Expr, form: str) -> pl.Expr:
    """Parse the text; a format without a day means the first one, without a month January."""
    text, form = with_months(text, form)
    if not has_day(form):
        first = ("|01", "|%d") if has_month(form) else ("|01|01", "|%m|%d")
        text, form = text + pl.lit(first[0]), form + first[1]
    zone = "UTC" if "%z" in form else None
    return text.str.to_datetime(form, time_unit="us", time_zone=zone, strict=False)


def _epoch(text: pl.Expr, unit: str) -> pl.Expr:
    number = text.cast(pl.Int64, strict=False)
    scale = _EPOCH_PER_US[unit]
    whole = number * int(scale) if scale >= 1 else number // 1000
    fractional = number_of(text, Csv()) * scale  # seconds with a fraction
    microseconds = pl.when(number.is_null()).then(fractional.round(0).cast(pl.Int64, strict=False))
    stamp = microseconds.otherwise(whole).cast(pl.Datetime("us"))
    return stamp.dt.replace_time_zone("UTC")


def _exact(field: TimeField, what: str, schema: pl.Schema, naive: pl.Expr, utc: pl.Expr) -> pl.Expr:
    if field.stands_for == "session":
        # The exchange's close replaces it; midnight only says that the day is readable.
        return pl.coalesce(naive.dt.replace_time_zone("UTC"), utc)
    if field.stands_for == "day":
        zone = field.zone or "UTC"
        day = pl.coalesce(naive.dt.date(), utc.dt.convert_time_zone(zone).dt.date())
        if field.at is None:
            return day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return _at(day, to_local_time(field.at), zone)
    if field.zone is None:
        if _may_be_naive(field, schema):
            raise MappingError(
                f"{what} must name the zone of its stamps, which carry none (zone: UTC, "
                "America/New_York, ...)"
            )
        return utc
    ambiguous = "null" if field.ambiguous == "reject" else field.ambiguous
    local = naive.dt.replace_time_zone(field.zone, ambiguous=ambiguous, non_existent="null")
    return pl.coalesce(utc, local.dt.convert_time_zone("UTC"))


def _may_be_naive(field: TimeField, schema: pl.Schema) -> bool:
    """Whether a stamp without zone would be lost for want of one; ISO text may carry its own."""
    if field.join:
        return not any("%z" in form for form in field.format)
    dtypes = [schema[name] for name in field.column if name in schema]
    if dtypes and isinstance(dtypes[0], pl.Datetime):
        return dtypes[0].time_zone is None
    if dtypes and dtypes[0] == pl.Date():
        return True
    first = field.format[0]
    return not (first == "iso" or first in _EPOCH_PER_US or all("%z" in f for f in field.format))


def _at(day: pl.Expr, at: time, zone: str) -> pl.Expr:
    local = day.dt.combine(at).dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    return local.dt.convert_time_zone("UTC")


def _midnight(day: pl.Expr, zone: str) -> pl.Expr:
    return _at(day, time(0, 0), zone)


def _plus(moment: pl.Expr, field: TimeField) -> pl.Expr:
    return moment.dt.offset_by(field.plus) if field.plus else moment
