"""A file's raw rows as rows of a table, and those that cannot be read, with the reason why."""

import json
from dataclasses import dataclass

import polars as pl

from adapters.sources.adjustments import implied_actions
from adapters.sources.batches import FILE, ROW_BITS, SOURCE, TAGS
from adapters.sources.cells import cell_of, hashed, shown, template_of
from adapters.sources.mapping import (
    IMPLIED_COLUMNS,
    Condition,
    Field,
    Instrument,
    MappingError,
    TableMapping,
    TimeField,
    Unpivot,
)
from adapters.sources.market_clues import HUNDREDTHS
from adapters.sources.moments import MOMENT, Moment, with_moment
from adapters.sources.reading import RAGGED, RawRows
from adapters.sources.session_hours import OFF_HOURS, off_hours
from features.calendars import with_session_close
from features.schemas import QUARANTINE_COLUMNS, TABLES
from features.symbology import resolve_rows

_PRICES = ("open", "high", "low", "close", "bid", "ask", "price", "amount")
REASON, SYMBOL, DAY, CALENDAR = "__reason", "__symbol", "__day", "__calendar"
_KNOWN_FROM, _WRITTEN, _BAD, _TOLD = "__known_from", "__written", "__bad", "__told"


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows that conform to the table, what became of the others, and the symbols seen.

    Each has the `source` that it came from, and `source_row` or (symbols) its `tag`, the bits of it
    that name the file.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    symbols: pl.DataFrame


def to_table(spec: TableMapping, raw: RawRows, *, instruments: pl.DataFrame | None) -> TableRows:
    """Return the rows of a batch of files; every row is in `rows`, in `rejected` or excluded.

    Excluded are those that `where` leaves to other tables and, in a wide file, empty cells.
    `raw` comes from `batches.joined`. Raises MappingError where the mapping does not fit the
    columns.
    """
    frame = raw.rows
    if frame.is_empty() or set(frame.columns) <= {"source_row", *TAGS}:
        return TableRows(TABLES[spec.table].empty(), _ragged(spec, raw), _no_symbols())
    frame = _with_written(frame)
    for condition in spec.where:
        frame = frame.filter(_meets(condition, frame))
    if spec.unpivot is not None:
        frame = _unpivoted(frame, spec.unpivot, spec.nulls)
    typed = _typed(spec, frame).with_columns(source=pl.col(SOURCE))
    named = _in_whole_units(spec, _named(spec, typed, instruments))
    readable = named.filter(pl.col(REASON).is_null())
    unreadable = named.filter(pl.col(REASON).is_not_null())
    readable, outside = _in_hours(spec, readable)
    rejected = pl.concat(
        [
            _rejected(spec, unreadable),
            _rejected(spec, outside).with_columns(
                rule=pl.lit(OFF_HOURS), kind=pl.lit("off_session")
            ),
            _ragged(spec, raw),
        ]
    )
    rows = _from_adjustments(spec, readable) if spec.implied_actions else readable
    return TableRows(TABLES[spec.table].conform(rows), rejected, _symbols(spec, readable))


def _with_written(frame: pl.DataFrame) -> pl.DataFrame:
    """Keep the row as written: whatever becomes of it, it can be shown."""
    written = pl.struct(pl.exclude("source_row", *TAGS))
    return frame.with_columns(written.alias(_WRITTEN))


def _meets(condition: Condition, frame: pl.DataFrame) -> pl.Expr:
    if condition.column not in frame.columns:
        raise MappingError(
            f"where must name one of the columns {shown(frame.schema)}, was {condition.column!r}"
        )
    text = pl.col(condition.column).cast(pl.String).str.strip_chars().fill_null("")
    kept = text.is_in(list(condition.is_in)) if condition.is_in else pl.lit(value=True)
    return kept & ~text.is_in(list(condition.not_in))


def _unpivoted(frame: pl.DataFrame, wide: Unpivot, nulls: tuple[str, ...]) -> pl.DataFrame:
    missing = [c for c in (*wide.index, *wide.columns) if c not in frame.columns]
    if missing:
        raise MappingError(f"unpivot must name columns of the file, was {missing}")
    kept = [*wide.index, "source_row", _WRITTEN, *TAGS]
    names = wide.chosen(c for c in frame.columns if c not in kept)
    long = frame.unpivot(names, index=kept, variable_name=wide.name, value_name=wide.value)
    if wide.pattern:
        told = pl.col(wide.name).str.extract_groups(f"^(?:{wide.pattern})$")
        long = long.with_columns(told.alias(_TOLD)).unnest(_TOLD)
    text = pl.col(wide.value).cast(pl.String).str.strip_chars()
    return long.filter(text.is_not_null() & ~text.is_in(list(nulls)))


def _typed(spec: TableMapping, frame: pl.DataFrame) -> pl.DataFrame:
    """Add the target columns, the local day, the base of knowledge and the first problem."""
    schema = frame.schema
    targets: dict[str, pl.DataType] = (
        {name: pl.Float64() for name in IMPLIED_COLUMNS}
        if spec.implied_actions
        else TABLES[spec.table].columns
    )
    cells = {n: cell_of(f, n, targets[n], schema, spec) for n, f in spec.columns.items()}
    flaws = [(cell.is_bad, cell.problem) for cell in cells.values()]
    exprs = [cell.value.alias(f"__new_{name}") for name, cell in cells.items()]
    if spec.symbol is not None:
        symbol = cell_of(spec.symbol, "symbol", pl.String(), schema, spec)
        exprs.append(symbol.value.alias(SYMBOL))
        flaws.append((symbol.is_bad, symbol.problem))
    if spec.time is not None:
        frame, moment = with_moment(frame, spec.time, "time", spec)
        exprs += [moment.utc.alias("__new_event_time"), moment.day.alias(DAY)]
        exprs.append(_known_from(spec.time, moment).alias(_KNOWN_FROM))
        flaws.insert(0, (moment.is_bad, moment.problem))
    if spec.end_time is not None:
        frame, end = with_moment(frame, spec.end_time, "end_time", spec)
        exprs.append(end.utc.alias("__new_end_time"))
        # An open end is no flaw; a written one that cannot be read is.
        flaws.append((end.is_bad & ~end.is_empty, end.problem))
    if spec.knowledge.time is not None:
        frame, known = with_moment(frame, spec.knowledge.time, "knowledge time", spec)
        exprs.append(_known_from(spec.knowledge.time, known).alias("__new_knowledge_time"))
        flaws.append((known.is_bad, known.problem))
    exprs.append(_calendar(spec, schema).alias(CALENDAR))
    return _timed(spec, _renamed(_with_reasons(frame, exprs, flaws)))


def _known_from(field: TimeField, moment: Moment) -> pl.Expr:
    """A day without a time is known when it is over, a moment at once."""
    return moment.day_over if field.stands_for == "day" and field.at is None else moment.utc


def _with_reasons(
    frame: pl.DataFrame, exprs: list[pl.Expr], flaws: list[tuple[pl.Expr, pl.Expr]]
) -> pl.DataFrame:
    """Add the columns and the first reason why a row is bad, written for the bad rows alone."""
    is_bad = pl.any_horizontal(is_bad.fill_null(value=False) for is_bad, _ in flaws)
    marked = frame.lazy().with_columns(*exprs, is_bad.alias(_BAD)).collect()
    none = pl.lit(None, dtype=pl.String)
    if not marked[_BAD].any():
        return marked.with_columns(none.alias(REASON)).drop(_spent(marked))
    bad = marked.filter(_BAD).with_columns(
        pl.coalesce([*(pl.when(flag).then(reason) for flag, reason in flaws), none]).alias(REASON)
    )
    good = marked.filter(~pl.col(_BAD)).with_columns(none.alias(REASON))
    return pl.concat([good, bad]).drop(_spent(marked))


def _spent(marked: pl.DataFrame) -> list[str]:
    return [name for name in marked.columns if name == _BAD or name.startswith(MOMENT)]


def _renamed(frame: pl.DataFrame) -> pl.DataFrame:
    new = [c for c in frame.columns if c.startswith("__new_")]
    names = {c: c.removeprefix("__new_") for c in new}
    return frame.drop([n for n in names.values() if n in frame.columns]).rename(names)


def _calendar(spec: TableMapping, schema: pl.Schema) -> pl.Expr:
    default = spec.instrument.calendar if spec.instrument else "XNYS"
    field = spec.calendar or Field(constant=default)
    return cell_of(field, "calendar", pl.String(), schema, spec).value.fill_null(default)


def _timed(spec: TableMapping, frame: pl.DataFrame) -> pl.DataFrame:
    """Put event_time where the stamp stands for it, and knowledge_time never before it."""
    if spec.time is None:
        return frame
    if spec.time.stands_for == "session":
        plus = spec.time.plus
        parts = [
            with_session_close(part, DAY, str(part[CALENDAR][0])).with_columns(
                pl.col("event_time").dt.offset_by(plus) if plus else pl.col("event_time")
            )
            for part in frame.drop("event_time").partition_by(CALENDAR, maintain_order=True)
        ]
        frame = pl.concat(parts) if parts else frame
        frame = frame.with_columns(pl.col("event_time").alias(_KNOWN_FROM))
    if spec.time.stands_for == "bar_start":
        if "interval" not in frame.columns:
            raise MappingError("a time that stands for bar_start must come with an interval")
        end = pl.col("event_time").dt.offset_by(pl.col("interval"))
        frame = frame.with_columns(end.alias("event_time"), end.alias(_KNOWN_FROM))
    known = pl.col("knowledge_time") if spec.knowledge.time is not None else pl.col(_KNOWN_FROM)
    later = known.dt.offset_by(spec.knowledge.lag)
    # A clock that is off, or a day's stamp, cannot make a record known before it was true.
    return frame.with_columns(knowledge_time=pl.max_horizontal(later, "event_time"))


def _in_hours(spec: TableMapping, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the intraday bars that lie outside the hours that the mapping asks for, if it does."""
    hours = "" if spec.instrument is None or spec.table != "bars" else spec.instrument.hours
    if not hours or not {"interval", "event_time"} <= set(rows.columns):
        return rows, rows.clear()
    kept, outside = [rows.clear()], [rows.clear()]
    for part in rows.partition_by(CALENDAR, maintain_order=True):
        found = off_hours(part, str(part[CALENDAR][0]), hours)
        marked = part.with_row_index("__row").join(
            found.rename({"row": "__row", "reason": "__outside"}), on="__row", how="left",
            maintain_order="left",
        ).drop("__row")  # fmt: skip
        is_out = pl.col("__outside").is_not_null()
        kept.append(marked.filter(~is_out).drop("__outside"))
        told = marked.filter(is_out).with_columns(pl.col("__outside").alias(REASON))
        outside.append(told.drop("__outside"))
    return pl.concat(kept), pl.concat(outside)


def _in_whole_units(spec: TableMapping, frame: pl.DataFrame) -> pl.DataFrame:
    """Turn prices in hundredths (pence, cents, agorot) into whole units of their currency."""
    prices = [c for c in _PRICES if c in frame.columns and c in TABLES[spec.table].columns]
    of_table = spec.instrument.currency if spec.instrument else ""
    if not prices or spec.implied_actions:
        return frame
    if "currency" not in frame.columns:
        if of_table not in HUNDREDTHS:
            return frame
        frame = frame.with_columns(currency=pl.lit(of_table))
    written = pl.col("currency").fill_null(of_table)
    small = written.is_in(list(HUNDREDTHS))
    return frame.with_columns(
        *(pl.when(small).then(pl.col(c) / 100.0).otherwise(pl.col(c)).alias(c) for c in prices),
        currency=pl.when(small)
        .then(written.replace_strict(HUNDREDTHS, default=None, return_dtype=pl.String))
        .otherwise(pl.col("currency")),
    )


def _named(
    spec: TableMapping, frame: pl.DataFrame, instruments: pl.DataFrame | None
) -> pl.DataFrame:
    """Add instrument_id (by identity where the mapping asks for it) and check what is required."""
    if SYMBOL in frame.columns and spec.instrument is not None:
        frame = frame.drop("symbol", strict=False).rename({SYMBOL: "symbol"})
        made = template_of(frame.schema, spec.instrument.id)
        frame = frame.with_columns(instrument_id=made)
        if spec.instrument.resolve and instruments is not None:
            frame = _by_identity(frame, instruments)
    if spec.table == "news" and "news_id" not in frame.columns:
        parts = [pl.col("source"), pl.col("event_time").cast(pl.String), pl.col("headline")]
        parts.append(pl.col("instrument_id") if "instrument_id" in frame.columns else pl.lit(""))
        text = pl.concat_str([part.fill_null("") for part in parts], separator="\n")
        frame = frame.with_columns(news_id=hashed(text))
    if spec.table == "trades" and "sequence" not in frame.columns:
        # Prints of one moment may be alike in all that is written: each is a trade of its own.
        nth = pl.int_range(pl.len()).over(
            FILE, "instrument_id", "event_time", order_by="source_row"
        )
        frame = frame.with_columns(sequence=nth)
    required = (
        ("instrument_id", "event_time", *IMPLIED_COLUMNS)
        if spec.implied_actions
        else TABLES[spec.table].required
    )
    missing = [c for c in required if c not in frame.columns]
    if missing:
        raise MappingError(f"{spec.table} of {spec.files[0]!r} must be given {missing}, was not")
    if frame.select(pl.any_horizontal(pl.col(c).is_null().any() for c in required)).item():
        problems = [_must_be_given(pl.col(c), c) for c in required]
        frame = frame.with_columns(pl.coalesce([pl.col(REASON), *problems]).alias(REASON))
    return frame


def _by_identity(frame: pl.DataFrame, instruments: pl.DataFrame) -> pl.DataFrame:
    """Name rows by the ticker's bearer on their day; tickers unknown to the table keep their id."""
    known = frame["symbol"].is_in(instruments["ticker"].unique().implode())
    found = resolve_rows(
        frame.filter(known).drop("instrument_id"), instruments, ticker="symbol", day=DAY
    )
    failed = found.unresolved.with_columns(
        pl.coalesce(REASON, "reason").alias(REASON), instrument_id=pl.lit(None, dtype=pl.String)
    ).drop("reason")
    parts = [
        frame.filter(~known),
        found.resolved.select(frame.columns),
        failed.select(frame.columns),
    ]
    return pl.concat(parts)


def _from_adjustments(spec: TableMapping, rows: pl.DataFrame) -> pl.DataFrame:
    """Corporate actions out of close and adjusted close, true and known with the day's close."""
    bars = rows.select(
        "instrument_id", pl.col(DAY).alias("date"), "close", "adj_close", "source_row",
        "event_time", "knowledge_time", "source", FILE,
    ).unique([FILE, "instrument_id", "date"], keep="first", maintain_order=True)  # fmt: skip
    if spec.implied_actions == "":
        return bars
    actions = implied_actions(bars, dividend_base=spec.implied_actions, within=(FILE,))
    times = bars.select(FILE, "instrument_id", "date", "event_time", "knowledge_time", "source")
    currency = spec.instrument.currency if spec.instrument else None
    return actions.join(times, on=[FILE, "instrument_id", "date"], how="left").with_columns(
        currency=pl.lit(currency, dtype=pl.String)
    )


def _must_be_given(value: pl.Expr, name: str) -> pl.Expr:
    return pl.when(value.is_null()).then(pl.lit(f"{name} must be given, was empty"))


def _rejected(spec: TableMapping, rows: pl.DataFrame) -> pl.DataFrame:
    if rows.is_empty():
        return pl.DataFrame(schema=QUARANTINE_COLUMNS)
    dated = "event_time" in rows.columns
    no_time = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    return rows.select(
        table=pl.lit(spec.table),
        rule=pl.lit("readable"),
        kind=pl.lit("unreadable"),
        confidence=pl.lit(1.0),
        severity=pl.lit("quarantine"),
        reason=pl.col(REASON),
        event_time=pl.col("event_time") if dated else no_time,
        knowledge_time=pl.col("knowledge_time") if dated else no_time,
        source=pl.col("source"),
        source_row=pl.col("source_row"),
        row=pl.col(_WRITTEN).struct.json_encode(),
    ).cast(QUARANTINE_COLUMNS)  # type: ignore[arg-type]  # a plain dict is a schema


def _ragged(spec: TableMapping, raw: RawRows) -> pl.DataFrame:
    """Lines that do not fit the header, as rejected rows."""
    return pl.DataFrame(
        [
            {
                "table": spec.table, "rule": "readable", "kind": "unreadable", "confidence": 1.0,
                "severity": "quarantine",
                "reason": "a line must fit the file's header and format, did not",
                "source": source, "source_row": number, "row": json.dumps({"line": line}),
            }
            for source, number, line in raw.ragged.select(SOURCE, "source_row", RAGGED).iter_rows()
        ],
        schema=QUARANTINE_COLUMNS,
    )  # fmt: skip


def _symbols(spec: TableMapping, rows: pl.DataFrame) -> pl.DataFrame:
    """The symbols and ids seen, for the instruments table."""
    if spec.instrument is None or "symbol" not in rows.columns or spec.table == "instruments":
        return _no_symbols()
    seen = rows.select(
        "instrument_id", "symbol", pl.col(CALENDAR).alias("calendar"), "source",
        tag=pl.col("source_row") // (1 << ROW_BITS),
    )  # fmt: skip
    instrument: Instrument = spec.instrument
    of_table = HUNDREDTHS.get(instrument.currency, instrument.currency)
    currency = (
        rows["currency"] if "currency" in rows.columns and rows["currency"].dtype == pl.String else
        pl.Series([of_table] * rows.height, dtype=pl.String)
    )  # fmt: skip
    # That of most rows: where a file changes it midway, the others are not the instrument's.
    told = seen.with_columns(currency.alias("currency").fill_null(of_table))
    counted = told.group_by(told.columns).len().sort("len", "currency", descending=[True, False])
    return counted.drop("len").unique([*seen.columns], keep="first")


def _no_symbols() -> pl.DataFrame:
    names = ("instrument_id", "symbol", "calendar", "source")
    schema = dict.fromkeys(names, pl.String()) | {"tag": pl.Int64(), "currency": pl.String()}
    return pl.DataFrame(schema=schema)
