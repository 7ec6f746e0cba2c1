"""What a user says about a folder of files: which are which table, and how their cells are read."""

import re
from collections.abc import Callable, Iterable
from collections.abc import Mapping as MappingLike
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from adapters.sources.mapping_entries import (
    MappingError,
    build,
    check_choice,
    check_keys,
    check_pattern,
    check_zone,
    entry_of,
    shown_of,
    texts_of,
)
from adapters.sources.mapping_series import DRAWN_TABLES, Deliveries, Drawn
from features.schemas import TABLES

StandsFor = Literal["instant", "session", "bar_start", "day"]
Format = Literal[
    "auto", "csv", "parquet", "jsonl", "json", "lean_map_file", "lean_factor_file", "stamped_json",
    "grouped_header",
]  # fmt: skip
Hours = Literal["", "regular", "extended"]
Ambiguous = Literal["reject", "earliest", "latest"]

DEFAULT_NULLS = (
    "", ".", "-", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "none", "<NA>",
)  # fmt: skip
# What the derivation of corporate actions reads, in place of the columns of its table.
IMPLIED_COLUMNS = ("close", "adj_close")
_DURATION = re.compile(r"(-?(\d+(ns|us|ms|mo|s|m|h|d|w|q|y))+)?")
_MAX_MAPPING_BYTES = 1 << 20  # a mapping is written by hand; anything larger is a mistake


def check_duration(what: str, text: str) -> None:
    """Raise MappingError unless the text is a duration such as 15m, 1d12h or -1270ms, or empty."""
    if not _DURATION.fullmatch(text):
        raise MappingError(f"{what} must be a duration such as 15m or 1d12h, was {text!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Where the values of one target column come from.

    Exactly one of: `column` (a name, or several of which the first present is read), `constant`,
    `template` ("OPT.{underlying}.{strike}"), `hash_of` (columns whose text names a record),
    `mean_of` (columns of numbers, all of which must be given). Then, in this order: `drop_start`
    and `drop_end` (left out there: "LSE:", ".US"), `null_if` (texts that mean unknown), `not_null`
    (texts that do not, though they do elsewhere: the ticker NA), `values`
    (lookup; a value that is not in it is rejected unless `default` is given), `scale` (pence to
    pounds: 0.01), `negative` (of prices: kept, rejected, or read without the sign).
    """

    column: tuple[str, ...] = ()
    constant: str | float | None = None
    template: str | None = None
    hash_of: tuple[str, ...] = ()
    mean_of: tuple[str, ...] = ()
    drop_start: tuple[str, ...] = ()
    drop_end: tuple[str, ...] = ()
    null_if: tuple[str, ...] = ()
    not_null: tuple[str, ...] = ()
    values: MappingLike[str, str] | None = None
    default: str | None = None
    scale: float = 1.0
    upper: bool = False
    negative: Literal["kept", "rejected", "unsigned"] = "kept"
    thousands: str = ""  # the mark between them, where the column has its own

    def __post_init__(self) -> None:
        origins = [self.column, self.template, self.hash_of, self.mean_of]
        if sum(map(bool, origins)) + (self.constant is not None) != 1:
            raise MappingError(
                "a field must have exactly one of column, constant, template, hash_of, mean_of, "
                f"was {shown_of(self)}"
            )
        check_choice("negative", self.negative, Literal["kept", "rejected", "unsigned"])
        if not 1e-12 <= abs(self.scale) <= 1e12:
            raise MappingError(f"scale must lie within 1e-12 to 1e12, was {self.scale}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeField:
    """How a moment is read: from which column(s), in which format and zone, and what it stands for.

    `column` names alternatives, `join` columns whose texts are put together with a space. `format`
    is "iso", "epoch_s" (_ms, _us, _ns), "serial" (days of a spreadsheet) or strptime formats, Q%q
    is a quarter; `take` keeps the first characters only. `stands_for`: an instant; a session (the
    close of the calendar's day); the start of a bar; a day (known at its end, unless `at` names a
    local time). `plus` is added last ("1d12h", "-1270ms").
    """

    column: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    format: tuple[str, ...] = ("iso",)
    take: int | None = None
    zone: str | None = None
    ambiguous: Ambiguous = "reject"
    stands_for: StandsFor = "instant"
    at: str | None = None
    plus: str = ""

    def __post_init__(self) -> None:
        if bool(self.column) == bool(self.join):
            raise MappingError(f"a time must have either column or join, was {shown_of(self)}")
        check_choice("stands_for", self.stands_for, StandsFor)
        check_choice("ambiguous", self.ambiguous, Ambiguous)
        if self.zone is not None:
            check_zone(self.zone)
        check_duration("plus", self.plus)
        if self.at is not None and not re.fullmatch(r"[0-2]\d:[0-5]\d(:[0-5]\d)?", self.at):
            raise MappingError(f'at must be a quoted local time such as "16:00", was {self.at!r}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """When a record could be known: at its own stamp, or some time after what it tells of."""

    time: TimeField | None = None
    lag: str = "0s"

    def __post_init__(self) -> None:
        check_duration("lag", self.lag)
        if self.lag.startswith("-"):
            raise MappingError(f"lag must not be negative: nothing is known early, was {self.lag}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which rows of a file belong to the table; the others belong to another one, or to none."""

    column: str
    is_in: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """What is true of all instruments of a table: how their id is made, where they trade.

    With `hours` only intraday bars of the calendar's sessions are taken ("regular"), or of the
    hours around them as well ("extended"); the others are put aside.
    """

    id: str = "{symbol}"
    asset_class: str = "equity"
    currency: str = "USD"
    venue: str | None = None
    calendar: str = "XNYS"
    price_increment: str | None = None
    size_increment: str | None = None
    multiplier: str | None = None
    # Names rows by the ticker's bearer on the row's day, as the instruments table has it.
    resolve: bool = False
    hours: Hours = ""

    def __post_init__(self) -> None:
        check_choice("hours", self.hours, Hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Csv:
    """How a text file is laid out; what is None is recognised from the file's beginning."""

    separator: str | None = None
    decimal: str = "."
    thousands: str = ""
    encoding: str | None = None
    skip_lines: int = 0
    header: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.decimal not in {".", ","}:
            raise MappingError(f'decimal must be "." or ",", was {self.decimal!r}')
        if self.separator is not None and len(self.separator) != 1:
            raise MappingError(f"separator must be one character, was {self.separator!r}")
        if not 0 <= self.skip_lines <= 10_000:
            raise MappingError(f"skip_lines must lie within 0 to 10000, was {self.skip_lines}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpivot:
    """A wide file as a long one: a column a symbol or series becomes a row each.

    Named groups of the regular expression `pattern` become columns, as those of `file_name` do:
    GDP_20240125 is a series and the day of its vintage. Columns that it does not match stay out.
    """

    index: tuple[str, ...]
    columns: tuple[str, ...] = ()  # those that become rows; none named means all but the index
    name: str = "symbol"
    value: str = "value"
    pattern: str = ""

    def __post_init__(self) -> None:
        check_pattern("pattern", self.pattern)

    def chosen(self, columns: Iterable[str]) -> list[str]:
        """Return which of a file's columns become rows."""
        wanted = self.columns or tuple(c for c in columns if c not in self.index)
        return [c for c in wanted if not self.pattern or re.fullmatch(self.pattern, c)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMapping:
    """How some files of a folder become rows of one table.

    `files` are patterns below the folder.
    `end_time` is the last day of a membership, or when a dividend is paid. `file_name` is a
    regular expression whose named groups become columns; `dataset` names the
    source of the rows (tables that share it hold versions of the same records).
    """

    table: str
    files: tuple[str, ...]
    columns: MappingLike[str, Field] = field(default_factory=dict[str, Field])
    time: TimeField | None = None
    knowledge: Knowledge = Knowledge()
    end_time: TimeField | None = None
    dataset: str = ""
    source_per_file: bool = False
    format: Format = "auto"
    csv: Csv = Csv()
    nulls: tuple[str, ...] = DEFAULT_NULLS
    where: tuple[Condition, ...] = ()
    unpivot: Unpivot | None = None
    file_name: str | None = None
    exclude: str | None = None
    symbol: Field | None = None
    instrument: Instrument | None = None
    calendar: Field | None = None
    implied_actions: Literal["", "on_close", "on_previous_close", "splits_only"] = ""
    deliveries: Deliveries | None = None
    drawn: Drawn | None = None

    def __post_init__(self) -> None:
        if self.table not in TABLES:
            raise MappingError(f"table must be one of {sorted(TABLES)}, was {self.table!r}")
        check_choice("format", self.format, Format)
        if self.drawn is not None and self.table != "bars":
            raise MappingError(f"drawn must be an entry of bars, was of {self.table}")
        known = IMPLIED_COLUMNS if self.implied_actions else tuple(TABLES[self.read_as].columns)
        unknown = sorted(set(self.columns) - set(known))
        if unknown:
            raise MappingError(f"columns of {self.read_as} must be of its schema, were {unknown}")
        if self.deliveries is not None and self.source_per_file:
            raise MappingError("deliveries must be of one data set: source_per_file parts them")
        if self.time is None and "event_time" in TABLES[self.table].required:
            raise MappingError(f"{self.table} of {self.files[0]!r} must have a time, had none")

    @property
    def read_as(self) -> str:
        """The table whose columns its files are read for: bars may be drawn of another."""
        return self.table if self.drawn is None else DRAWN_TABLES[self.drawn.of]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A folder's mapping: its name, its tables, and the files left out with the reason why."""

    name: str
    tables: tuple[TableMapping, ...]
    ignore: MappingLike[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        if not self.name or "@" in self.name:
            raise MappingError(f"name must be a word without @, was {self.name!r}")
        if not self.tables:
            raise MappingError(f"mapping {self.name!r} must name at least one table, named none")


def load_mapping(path: Path) -> Mapping:
    """Return the mapping written in a YAML file.

    Raises MappingError in one line that names the file and the entry.
    """
    size = path.stat().st_size
    if size > _MAX_MAPPING_BYTES:
        raise MappingError(f"{path} must have at most {_MAX_MAPPING_BYTES} bytes, was {size}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise MappingError(f"{path} must be YAML, was not: {reason}") from error
    try:
        return mapping_from(content, name=path.stem)
    except MappingError as error:
        raise MappingError(f"{path}: {error}") from None


def shipped_mapping(name: str) -> Mapping:
    """Return one of the mappings that come with the product; raises MappingError for others."""
    path = SHIPPED_MAPPINGS / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in SHIPPED_MAPPINGS.glob("*.yaml"))
        raise MappingError(f"a shipped mapping must be one of {known}, was {name!r}")
    return load_mapping(path)


def mapping_from(content: object, *, name: str) -> Mapping:
    """Return the mapping that plain dictionaries and lists describe."""
    entry = entry_of(content, "a mapping")
    check_keys(entry, Mapping, "a mapping")
    tables = entry.get("tables")
    if not isinstance(tables, list):
        raise MappingError(f"tables must be a list, was {type(tables).__name__}")
    made: list[TableMapping] = []
    for number, table in enumerate(tables, start=1):
        try:
            made.append(_table_mapping(entry_of(table, "a table")))
        except MappingError as error:
            raise MappingError(f"table {number}: {error}") from None
    ignore = {str(k): str(v) for k, v in entry_of(entry.get("ignore") or {}, "ignore").items()}
    return Mapping(name=str(entry.get("name", name)), tables=tuple(made), ignore=ignore)


SHIPPED_MAPPINGS = Path(__file__).parent / "mappings"


def _table_mapping(entry: dict[str, Any]) -> TableMapping:
    made = dict(entry)
    columns = entry_of(entry.get("columns") or {}, "columns")
    made["columns"] = {name: _field(value) for name, value in columns.items()}
    readers: dict[str, Callable[[Any], object]] = {
        "symbol": _field,
        "calendar": _constant_or_field,
        "time": _time,
        "end_time": _time,
        "knowledge": _knowledge,
        "where": _conditions,
        "csv": lambda value: build(Csv, entry_of(value, "csv")),
        "unpivot": lambda value: build(Unpivot, entry_of(value, "unpivot")),
        "deliveries": lambda value: build(Deliveries, entry_of(value, "deliveries")),
        "drawn": lambda value: build(Drawn, entry_of(value, "drawn")),
        "instrument": lambda value: build(Instrument, entry_of(value, "instrument")),
        "nulls": lambda value: (*DEFAULT_NULLS, *texts_of(value)),
    }
    for key, read in readers.items():
        if key in entry:
            made[key] = read(entry[key])
    return build(TableMapping, made)


def _knowledge(value: object) -> Knowledge:
    entry = dict(entry_of(value, "knowledge"))
    if "time" in entry:
        entry["time"] = _time(entry["time"])
    return build(Knowledge, entry)


def _conditions(value: object) -> tuple[Condition, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(build(Condition, entry_of(item, "where")) for item in items)


def _field(value: object) -> Field:
    if isinstance(value, dict):
        entry = dict(entry_of(value, "a field"))
        if isinstance(entry.get("values"), dict):
            entry["values"] = {str(k): str(v) for k, v in entry["values"].items()}
        return build(Field, entry)
    return Field(column=texts_of(value))


def _constant_or_field(value: object) -> Field:
    return Field(constant=value) if isinstance(value, str) else _field(value)


def _time(value: object) -> TimeField:
    return build(
        TimeField, entry_of(value, "time") if isinstance(value, dict) else {"column": value}
    )
