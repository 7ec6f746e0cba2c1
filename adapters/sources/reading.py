"""Files as frames: CSV, JSON, JSON lines, Parquet, each row numbered."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from adapters.sources.json_records import (
    MAX_JSON_BYTES,
    NoRecordsError,
    as_text,
    flattened,
    parse_object,
    records_of,
)
from adapters.sources.mapping import Csv

MAX_FILE_BYTES = 2 << 30  # beyond this a folder belongs into Parquet parts; also the zip-bomb limit
_SNIFFED_CHARACTERS = 1 << 16
SEPARATORS = (",", ";", "\t", "|")
RAGGED = "__line_as_written"
_HEADERS_MAX = 100  # lines that begin as a header may
_DEPTH_MAX = 3  # of structs within structs


class UnreadableFileError(ValueError):
    """A file as a whole cannot be read; the message names it and what must hold."""


@dataclass(frozen=True, slots=True)
class RawRows:
    """The rows of one file as written, and those lines that do not fit its header.

    `rows` has the file's columns and source_row (from 0; the header is not counted). `ragged` has
    source_row and the line as written.
    """

    rows: pl.DataFrame
    ragged: pl.DataFrame


def read_whole(path: Path) -> bytes:
    """Return a file's bytes; raises UnreadableFileError where it is larger than allowed."""
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise UnreadableFileError(f"{path} must have at most {MAX_FILE_BYTES} bytes, was {size}")
    return path.read_bytes()


def read_rows(name: str, content: bytes, layout: Csv, form: str = "auto") -> RawRows:
    """Return the rows of a CSV, JSON, JSON lines or Parquet content; "auto" goes by the name.

    Text files come with every column as text. Raises UnreadableFileError.
    """
    suffix = Path(name).suffix.lower()
    try:
        if form == "parquet" or (form == "auto" and suffix in {".parquet", ".pq"}):
            return _numbered(_flat(name, pl.read_parquet(io.BytesIO(content))))
        if form == "jsonl" or (form == "auto" and suffix in {".jsonl", ".ndjson"}):
            return _json_lines(name, content)
        if form == "json" or (form == "auto" and suffix == ".json"):
            return _json(name, content)
        return _csv(name, content, layout)
    except NoRecordsError as error:
        raise UnreadableFileError(f"{name} must hold records as JSON, did not: {error}") from error
    except (pl.exceptions.PolarsError, csv.Error) as error:
        first = str(error).splitlines()[0]
        kind = suffix.removeprefix(".") if form == "auto" else form
        raise UnreadableFileError(f"{name} must be readable as {kind}, was not: {first}") from error


def decode(name: str, content: bytes, encoding: str | None = None) -> str:
    """Return the text of a file without its byte order mark.

    Without a named encoding: UTF-8 or, by its mark, UTF-16. Lines that end with a carriage return
    alone end with a newline. Raises UnreadableFileError where the bytes are neither, because a
    guessed letter may be a changed name.
    """
    guessed = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        text = content.decode(encoding or guessed)
    except (UnicodeDecodeError, LookupError) as error:
        raise UnreadableFileError(
            f"{name} must be {encoding or guessed} text (name another encoding in the mapping), "
            f"was not: {error}"
        ) from error
    return text if "\n" in text else text.replace("\r", "\n")


def sniff_separator(text: str) -> str:
    """Return the separator that splits the first lines most evenly; a comma where none does."""
    head = text[:_SNIFFED_CHARACTERS].splitlines()
    lines = list(islice((line for line in head if line.strip()), 20))
    counts = {s: [line.count(s) for line in lines] for s in SEPARATORS}
    # The header decides first: in "1,5;2,5" both separators are frequent below it.
    return max(SEPARATORS, key=lambda s: (counts[s][0], min(counts[s])) if lines else (0, 0))


def _flat(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with the fields of structs as columns, of their own names or ohlc.open.

    Raises UnreadableFileError where cells are lists, or structs are nested too deep.
    """
    for _ in range(_DEPTH_MAX):
        structs = {c: t.fields for c, t in rows.schema.items() if isinstance(t, pl.Struct)}
        if not structs:
            break
        plain = [c for c in rows.columns if c not in structs]
        named = Counter([*plain, *(field.name for fields in structs.values() for field in fields)])
        rows = rows.select(
            *plain,
            *(
                pl.col(c).struct.field(field.name).alias(
                    field.name if named[field.name] == 1 else f"{c}.{field.name}"
                )
                for c, fields in structs.items()
                for field in fields
            ),
        )  # fmt: skip
    nested = [c for c, dtype in rows.schema.items() if dtype.is_nested()]
    if nested:
        raise UnreadableFileError(
            f"{name} must have one value a cell (explode lists to rows), has lists or records in "
            f"{', '.join(nested)[:200]}"
        )
    return rows


def _numbered(rows: pl.DataFrame) -> RawRows:
    plain = rows
    # Each step is a query: of thousands of small files no more are asked than must be.
    if any(dtype in (pl.Categorical, pl.Enum) for dtype in rows.dtypes):
        plain = rows.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    numbers = pl.Series("source_row", np.arange(plain.height, dtype=np.int64))
    return RawRows(_with_numbers(plain, numbers), _no_ragged())


def _with_numbers(rows: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """Return the rows with the number of each; a column of that name keeps what it says."""
    if numbers.name in rows.columns:
        rows = rows.rename({numbers.name: f"{numbers.name}_as_written"})
    return rows.insert_column(0, numbers)


def _csv(name: str, content: bytes, layout: Csv) -> RawRows:
    text = decode(name, content, layout.encoding)
    if layout.skip_lines:
        text = "".join(text.splitlines(keepends=True)[layout.skip_lines :])
    is_ended = text.endswith(("\n", "\r"))
    text = text.rstrip("\r\n") + "\n"  # lines after the last row are none
    if not text.strip():
        return _numbered(pl.DataFrame())
    separator = layout.separator or sniff_separator(text)
    first_line = next(csv.reader(io.StringIO(text), delimiter=separator))
    header = list(layout.header) or [cell.strip() for cell in first_line]
    _check_header(name, header)
    columns = _column_names(header)
    if not is_ended and _is_cut(text, separator, columns):
        return _csv_line_by_line(
            name, text, separator, columns, has_header=not layout.header, cut=True
        )
    try:
        rows = pl.read_csv(
            io.BytesIO(text.encode()), separator=separator, has_header=not layout.header,
            infer_schema=False, new_columns=columns, truncate_ragged_lines=False,
        )  # fmt: skip
    except pl.exceptions.PolarsError:
        return _csv_line_by_line(name, text, separator, columns, has_header=not layout.header)
    rows.columns = columns[: rows.width]
    _check_one_header(name, rows)
    return _numbered(rows)


def _is_cut(text: str, separator: str, columns: list[str]) -> bool:
    """Return whether a last line without an end lacks cells that the line before has.

    Its writer died, so that its last cell may be a part of what was to be written.
    """
    before, last = ([""] * 2 + text[-_SNIFFED_CHARACTERS:].splitlines())[-2:]
    count = last.count(separator)
    return count < len(columns) - 1 and count < before.count(separator)


def _csv_line_by_line(
    name: str,
    text: str,
    separator: str,
    columns: list[str],
    *,
    has_header: bool,
    cut: bool = False,
) -> RawRows:
    """The slow way, for files with lines longer than their header: those lines are set aside.

    The last one as well where it is `cut` short.
    """
    csv.field_size_limit(MAX_FILE_BYTES >> 1)
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    kept: list[list[str | None]] = []
    numbers: list[int] = []
    ragged: list[tuple[int, str]] = []
    if has_header:
        next(reader, None)
    lines = [line for line in reader if line]
    for number, cells in enumerate(lines):
        extra = cells[len(columns) :]
        if any(cell.strip() for cell in extra) or (cut and number == len(lines) - 1):
            ragged.append((number, json.dumps(cells)))
            continue
        padded: list[str | None] = [cell or None for cell in cells[: len(columns)]]
        kept.append(padded + [None] * (len(columns) - len(padded)))
        numbers.append(number)
    rows = pl.DataFrame(kept, schema=dict.fromkeys(columns, pl.String()), orient="row")
    _check_one_header(name, rows)
    numbered = _with_numbers(rows, pl.Series("source_row", numbers, dtype=pl.Int64))
    return RawRows(numbered, pl.DataFrame(ragged, schema=_no_ragged().schema, orient="row"))


def _check_header(name: str, header: list[str]) -> None:
    named = [column for column in header if column]
    doubled = sorted({column for column in named if named.count(column) > 1})
    if doubled:
        raise UnreadableFileError(
            f"{name} must name each column once (give a header in the mapping), "
            f"was twice: {', '.join(doubled)[:200]}"
        )


def _check_one_header(name: str, rows: pl.DataFrame) -> None:
    """Raise UnreadableFileError where a line within the file names its columns in another order."""
    again = rows.filter(pl.col(rows.columns[0]).is_in(rows.columns))
    for cells in again.unique(maintain_order=True).head(_HEADERS_MAX).iter_rows():
        named = [cell.strip() for cell in cells if cell]
        if (
            len(named) > 1
            and set(named) <= set(rows.columns)
            and named != rows.columns[: len(named)]
        ):
            raise UnreadableFileError(
                f"{name} must have one order of its columns, names them again within as "
                f"{', '.join(named)[:200]}: write a file for each order"
            )


def _column_names(header: list[str]) -> list[str]:
    """Empty names (a trailing separator, an index column) become unnamed_0, unnamed_1, ..."""
    return [column or f"unnamed_{number}" for number, column in enumerate(header)]


def _json_lines(name: str, content: bytes) -> RawRows:
    lines = decode(name, content).splitlines()
    found = ((line, parse_object(line)) for line in lines)
    return _of_records([line if record is None else record for line, record in found], bare=True)


def _json(name: str, content: bytes) -> RawRows:
    """Return the records of a JSON document, or of lines of JSON that bear its name."""
    if len(content) > MAX_JSON_BYTES:
        raise UnreadableFileError(
            f"{name} must have at most {MAX_JSON_BYTES} bytes as JSON (write JSON lines or Parquet "
            f"instead), was {len(content)}"
        )
    text = decode(name, content)
    try:
        return _of_records(records_of(text))
    except NoRecordsError:
        raise
    except ValueError as error:
        first, _, rest = text.strip().partition("\n")
        if rest and parse_object(first) is not None:
            return _json_lines(name, content)
        reason = str(error).splitlines()[0]
        raise UnreadableFileError(f"{name} must be readable as JSON, was not: {reason}") from error


def _of_records(records: Sequence[object], *, bare: bool = False) -> RawRows:
    """Return objects as rows, all else as lines that are none; `bare` lines may be empty."""
    rows: list[dict[str, str | None]] = []
    numbers: list[int] = []
    ragged: list[tuple[int, str]] = []
    for number, record in enumerate(records):
        if isinstance(record, dict):
            rows.append({key: as_text(value) for key, value in flattened(record).items()})
            numbers.append(number)
        elif not (bare and isinstance(record, str) and not record.strip()):
            ragged.append((number, record if isinstance(record, str) else json.dumps(record)))
    names = list(dict.fromkeys(key for row in rows for key in row))
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()))
    numbered = _with_numbers(frame, pl.Series("source_row", numbers, dtype=pl.Int64))
    return RawRows(numbered, pl.DataFrame(ragged, schema=_no_ragged().schema, orient="row"))


def _no_ragged() -> pl.DataFrame:
    return pl.DataFrame(schema={"source_row": pl.Int64(), RAGGED: pl.String()})
