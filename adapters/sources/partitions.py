"""Folders that stand for columns, as Hive, Spark and Polars write them: symbol=AAPL/month=03/."""

import re
from collections.abc import Mapping, Sequence

from adapters.sources.column_names import NAMES, plain_name

# The day that a file of all symbols is of, where no column says so: eod_20190102.csv.
FILE_DAY = "file_day"
# The same in three partitions, a column each: year=2019/month=1/day=2.
FILE_YEAR = "file_year"
DAY_PARTS = (FILE_YEAR, "file_month", FILE_DAY)
DAY_PARTS_FORMAT = "%Y %m %d"
DAYS_OF_PATHS = (FILE_DAY, FILE_YEAR)
DAY = rf"(?P<{FILE_DAY}>(?:19|20)\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01]))"
_DAY_KEYS = "date|day|dt|trade_?date|session|as_?of"
_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"0?[1-9]|1[0-2]", r"0?[1-9]|[12]\d|3[01]"
_ANYWHERE = r"(?:.*/)?"
_IN_ONE = rf"(?=(?i:{_ANYWHERE}(?:{_DAY_KEYS})={DAY})(?:[ T]00[^/]*)?/)"
_IN_THREE = "".join(
    rf"(?=(?i:{_ANYWHERE}(?:{keys})=(?P<{name}>{value})/))"
    for keys, name, value in zip(
        ("year|y|yyyy", "month|m|mm", "day|d|dd"), DAY_PARTS, (_YEAR, _MONTH, _DAY), strict=True
    )
)
_PARTITION = re.compile(r"(?:^|/)([^/=]+)=([^/]+)(?=/)")


def partition_key(relative: str, meaning: str = "symbol") -> str | None:
    """Return the key of the partition that means something: ticker of ticker=AAPL/."""
    keys = (match[1] for match in _PARTITION.finditer(relative))
    return next((key for key in keys if plain_name(key) in NAMES[meaning]), None)


def partition_value(relative: str, meaning: str = "symbol") -> str | None:
    """Return the value of a partition such as ticker=AAPL; None where there is none."""
    key = partition_key(relative, meaning)
    return None if key is None else next(m[2] for m in _PARTITION.finditer(relative) if m[1] == key)


def symbol_rule(key: str) -> str:
    """Return the regular expression that finds the symbol of a partition."""
    return rf"(?:^|/){re.escape(key)}=(?P<symbol>[^/]+)/"


def find_day_partitions(relative: str) -> Mapping[str, str] | None:
    """Return the day of a file's partitions by the columns that hold it; None without one."""
    for pattern in (_IN_THREE, _IN_ONE):
        if match := re.match(pattern, relative):
            return match.groupdict()
    return None


def path_pattern(relative: str, *, with_symbol: bool) -> str:
    """Return the pattern that finds the day of a path's partitions, and the symbol beside it."""
    days = next(p for p in (_IN_THREE, _IN_ONE) if re.match(p, relative))
    key = partition_key(relative) if with_symbol else None
    named = "" if key is None else rf"(?={_ANYWHERE}{re.escape(key)}=(?P<symbol>[^/]+)/)"
    return f"^{days}{named}"


def day_of_parts(parts: Mapping[str, str]) -> str:
    """Return the day that partitions say, as one text."""
    if FILE_YEAR not in parts:
        return parts[FILE_DAY]
    year, month, day = (parts[name] for name in DAY_PARTS)
    return f"{year}-{month:0>2}-{day:0>2}"


def rules_of(paths: Sequence[str]) -> list[str]:
    """Return the rule by which the partitions of these paths name their symbols, if they do."""
    keys = {partition_key(path) for path in paths}
    key = keys.pop() if len(keys) == 1 else None
    return [] if key is None else [symbol_rule(key)]
