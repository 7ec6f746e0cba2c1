"""Cells of a file as values: text, numbers and days, with a word on those that are none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from adapters.sources.mapping import Csv, Field, MappingError, TableMapping
from features.text_format import format_text

_NO_PROBLEM = (pl.lit(value=False), pl.lit(None, dtype=pl.String))
_SIGNS = "$€£¥ \u00a0"  # written beside a price, as exchanges' web pages export it
_NEW_FOR_OLD = r"(?i)^(?<new>[\d.,]+)\s*(?:[:/]|-?\s*for\s*-?)\s*(?<old>[\d.,]+)$"
_POWERS = {"k": 3, "m": 6, "b": 9}
_DAY_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, whether the cell holds something that is not such a value, and then the reason.

    `problem` is costly text: it is for the rows that are bad.
    """

    value: pl.Expr
    is_bad: pl.Expr
    problem: pl.Expr


def pick_column(schema: pl.Schema, names: Sequence[str], what: str) -> str:
    """Return the first of the names that the file has; raises MappingError where it has none."""
    for name in names:
        if name in schema:
            return name
    raise MappingError(
        f"{what} must be read from one of the columns {shown(schema)}, was {list(names)}"
    )


def text_of(schema: pl.Schema, name: str, nulls: Sequence[str]) -> pl.Expr:
    """Return the column as stripped text; null where it is one of the null markers."""
    column = pl.col(name)
    if schema[name] != pl.String():
        column = column.cast(pl.String)
    stripped = column.str.strip_chars()
    return pl.when(~stripped.is_in(list(nulls))).then(stripped)


def template_of(schema: pl.Schema, template: str) -> pl.Expr:
    """Return the template with each {column} replaced by the row's text; null where one is null."""
    parts: list[pl.Expr] = []
    rest = template
    while "{" in rest:
        before, _, rest = rest.partition("{")
        name, closing, rest = rest.partition("}")
        if not closing or name not in schema:
            raise MappingError(
                f"template {template!r} must name columns of {shown(schema)}, was {name!r}"
            )
        parts += [pl.lit(before), pl.col(name).cast(pl.String).str.strip_chars()]
    return pl.concat_str([*parts, pl.lit(rest)])


def shown(schema: pl.Schema) -> list[str]:
    """Return the columns as the file has them, without those that only carry a row along."""
    return [name for name in schema if name != "source_row" and not name.startswith("__")]


def cell_of(
    field: Field, target: str, dtype: pl.DataType, schema: pl.Schema, spec: TableMapping
) -> Cell:
    """Return how a field is read as the target's type."""
    if field.constant is not None:
        return Cell(pl.lit(field.constant, dtype=dtype), *_NO_PROBLEM)
    if field.template is not None:
        made = _spelled(template_of(schema, field.template), field)
        if dtype.is_numeric():
            number = _ratio_of(made, spec.csv) if target == "ratio" else number_of(made, spec.csv)
            return _typed(_scaled(number, field), made, target)
        return Cell(made.cast(dtype), *_NO_PROBLEM)
    if field.hash_of:
        return Cell(_hash_of(schema, field.hash_of), *_NO_PROBLEM)
    if field.mean_of:
        return _mean_of(field, target, dtype, schema, spec)
    name = pick_column(schema, field.column, target)
    nulls = [n for n in (*spec.nulls, *field.null_if) if n not in field.not_null]
    text = _spelled(text_of(schema, name, nulls), field)
    if field.values is not None:
        looked_up = text.replace_strict(
            dict(field.values), default=field.default, return_dtype=pl.String
        )
        return _typed(looked_up.cast(dtype, strict=False), text, target)
    if dtype.is_numeric():
        return _signed(field, target, _number(field, target, schema, name, text, spec.csv))
    if dtype == pl.Date():
        return _typed(day_of(schema, name, text), text, target)
    return Cell(text.cast(dtype), *_NO_PROBLEM)


def _mean_of(
    field: Field, target: str, dtype: pl.DataType, schema: pl.Schema, spec: TableMapping
) -> Cell:
    """Return the mean of the numbers of several columns; null where one of them is."""
    parts = [
        cell_of(replace(field, mean_of=(), column=(name,)), target, dtype, schema, spec)
        for name in field.mean_of
    ]
    mean = pl.sum_horizontal([part.value for part in parts], ignore_nulls=False) / len(parts)
    is_bad = pl.any_horizontal(part.is_bad.fill_null(value=False) for part in parts)
    problem = pl.coalesce(pl.when(part.is_bad).then(part.problem) for part in parts)
    return Cell(mean, is_bad, problem)


def _spelled(text: pl.Expr, field: Field) -> pl.Expr:
    """Return the text in capitals, without a start or an ending, where the field says so."""
    if field.upper:
        text = text.str.to_uppercase()
    if field.drop_start:
        starts = "|".join(map(re.escape, field.drop_start))
        text = text.str.replace(rf"(?i)^(?:{starts})", "")
    if field.drop_end:
        endings = "|".join(map(re.escape, field.drop_end))
        text = text.str.replace(rf"(?i)(?:{endings})$", "")
    return text


def number_of(text: pl.Expr, layout: Csv, *, shortened: bool = False) -> pl.Expr:
    """Return the text as a finite number or null; `shortened` ones may be written as 2.31M.

    A minus may be the mathematical sign, and (1.25) is -1.25, as accountants write it.
    """

    def read(texts: pl.Series) -> pl.Series:
        number = _read_numbers(texts, layout, shortened=shortened)
        is_left = number.is_null() & texts.is_not_null()
        if not is_left.any():  # such signs are few: only what reads as no number is respelt
            return number
        respelt = (
            texts.filter(is_left)
            .str.replace(r"^\s*\((\D*\d[^()]*)\)\s*$", "-${1}")
            .str.replace(r"^([^\d\u2212]*)\u2212", "-${1}")
        )
        again = _read_numbers(respelt, layout, shortened=shortened)
        return number.scatter(is_left.arg_true(), again)

    return text.map_batches(read, return_dtype=pl.Float64)


def _read_numbers(texts: pl.Series, layout: Csv, *, shortened: bool) -> pl.Series:
    name = texts.name
    number = _plain_number(pl.col(name), layout, shortened=shortened)
    return texts.to_frame().select(number.alias(name)).to_series()


def _plain_number(text: pl.Expr, layout: Csv, *, shortened: bool) -> pl.Expr:
    # Where a comma is decimal, a point can only group thousands: 1.234 is then 1234.
    grouping = layout.thousands or ("." if layout.decimal == "," else "")
    bare = text.str.strip_chars(_SIGNS)
    digits = _ungrouped(bare, grouping, layout.decimal) if grouping else bare
    if layout.decimal == ",":
        digits = digits.str.replace(",", ".", literal=True)
    number = (
        digits.map_batches(_lengthened, return_dtype=pl.Float64)
        if shortened
        else digits.cast(pl.Float64, strict=False)
    )
    return pl.when(number.is_finite()).then(number)


def _ungrouped(text: pl.Expr, grouping: str, decimal: str) -> pl.Expr:
    """Return numbers without the marks between their thousands; null where a mark is elsewhere.

    1.234,5 among numbers such as 1,234.5 is another number, not a longer one. Between commas there
    may be two digits, as India counts: 12,34,567.
    """
    mark, point = re.escape(grouping), re.escape(decimal)
    inner = rf"(?:{mark}\d{{2}})*" if grouping == "," else ""
    is_grouped = text.str.contains(
        rf"^[-+]?\d{{1,3}}{inner}(?:{mark}\d{{3}})+(?:{point}\d*)?[^\d.,]*$"
    )
    bare = text.str.replace_all(grouping, "", literal=True)
    return pl.when(~text.str.contains(grouping, literal=True) | is_grouped).then(bare)


def _lengthened(digits: pl.Series) -> pl.Series:
    """Return numbers of which some may end with K, M or B: few do, and they alone are respelt."""
    number = digits.cast(pl.Float64, strict=False)
    is_short = number.is_null() & digits.is_not_null()
    if not is_short.any():
        return number
    text = digits.filter(is_short)
    for letter, power in _POWERS.items():
        text = text.str.replace(rf"(?i)(\d){letter}$", f"${{1}}e{power}")
    return number.scatter(is_short.arg_true(), text.cast(pl.Float64, strict=False))


def day_of(schema: pl.Schema, name: str, text: pl.Expr) -> pl.Expr:
    """Return the column as a day or null: a date, a moment, or text in an unambiguous form."""
    if schema[name].is_temporal():
        return pl.col(name).cast(pl.Date)
    return pl.coalesce(text.str.to_date(form, strict=False) for form in _DAY_FORMATS)


def _number(
    field: Field, target: str, schema: pl.Schema, name: str, text: pl.Expr, layout: Csv
) -> Cell:
    if schema[name].is_numeric():
        exact = pl.col(name).cast(pl.Float64)
        if schema[name] == pl.Float32():  # 42.389999 was written, not 42.38999938964844
            exact = pl.col(name).cast(pl.String).cast(pl.Float64)
        unknown = [float(marker) for marker in field.null_if]
        value = pl.when(exact.is_finite() & ~exact.is_in(unknown)).then(exact)
        return Cell(_scaled(value, field), exact.is_infinite(), _problem(target, text))
    if target == "value":  # 4.25% is 4.25 of a series that is told in percent
        text = text.str.strip_suffix("%").str.strip_chars_end()
    if field.thousands:
        decimal = "," if field.thousands == "." else "."
        layout = replace(layout, thousands=field.thousands, decimal=decimal)
    if target == "ratio":
        return _typed(_scaled(_ratio_of(text, layout), field), text, target)
    number = number_of(text, layout, shortened=target == "volume")
    return _typed(_scaled(number, field), text, target)


def _ratio_of(text: pl.Expr, layout: Csv) -> pl.Expr:
    """Return the new shares for one old: 4, 4:1, 4/1 and 4-for-1 are four."""
    parts = text.str.extract_groups(_NEW_FOR_OLD)
    new, old = (number_of(parts.struct.field(name), layout) for name in ("new", "old"))
    return pl.coalesce(number_of(text, layout), pl.when(old > 0).then(new / old))


def _signed(field: Field, target: str, cell: Cell) -> Cell:
    """Return a number with its sign, without it, or as a bad one, as the field says."""
    if field.negative == "kept":
        return cell
    if field.negative == "unsigned":
        return replace(cell, value=cell.value.abs())
    is_negative = (cell.value < 0).fill_null(value=False)
    reason = format_text(
        "{} must not be negative, was {}", pl.lit(target), cell.value.cast(pl.String).fill_null("")
    )
    return Cell(
        cell.value,
        cell.is_bad.fill_null(value=False) | is_negative,
        pl.when(is_negative).then(reason).otherwise(cell.problem),
    )


def _scaled(value: pl.Expr, field: Field) -> pl.Expr:
    return value if field.scale == 1 else value * field.scale


def _typed(value: pl.Expr, text: pl.Expr, target: str) -> Cell:
    return Cell(value, text.is_not_null() & value.is_null(), _problem(target, text))


def _problem(target: str, text: pl.Expr) -> pl.Expr:
    shown = text.str.head(80).fill_null("")
    return format_text("{} must be readable as its type, was '{}'", pl.lit(target), shown)


def _hash_of(schema: pl.Schema, names: Sequence[str]) -> pl.Expr:
    columns = [pl.col(pick_column(schema, [name], "hash_of")).cast(pl.String) for name in names]
    text = pl.concat_str([column.fill_null("") for column in columns], separator="\n")
    return hashed(text)


def hashed(text: pl.Expr) -> pl.Expr:
    """Return the head of the SHA-256 of the text, 32 hexadecimal digits."""
    return text.map_batches(_digests, return_dtype=pl.String)


def _digests(texts: pl.Series) -> pl.Series:
    import hashlib

    digests = [hashlib.sha256((text or "").encode()).hexdigest()[:32] for text in texts]
    return pl.Series(texts.name, digests, dtype=pl.String)
