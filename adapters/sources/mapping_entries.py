"""Plain entries of a YAML file as the dataclasses of a mapping, and what is wrong with them."""

import re
from dataclasses import fields
from typing import Any, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_Spec = TypeVar("_Spec")

_TUPLES = ("column", "drop_end", "drop_start", "join", "format", "hash_of", "mean_of", "null_if",
           "not_null", "is_in", "not_in", "header", "index", "columns", "nulls", "where",
           "files")  # fmt: skip
# Entries that are one word here although others of their name are lists.
_WORDS = (("TableMapping", "format"), ("Condition", "column"), ("Deliveries", "format"))


class MappingError(ValueError):
    """A mapping says something that cannot be; the message is one line and names the place."""


def build(kind: type[_Spec], entry: dict[str, Any]) -> _Spec:
    """Make the dataclass of a plain entry; single texts stand for tuples of one."""
    check_keys(entry, kind, kind.__name__.lower())
    made = {
        key: texts_of(value)
        if key in _TUPLES
        and not isinstance(value, (dict, tuple))
        and (kind.__name__, key) not in _WORDS
        else value
        for key, value in entry.items()
    }
    try:
        return kind(**made)
    except TypeError as error:
        raise MappingError(f"{kind.__name__.lower()} must be complete: {error}") from None


def texts_of(value: object) -> tuple[str, ...]:
    """Return a text, or each of a list, as texts."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return tuple(str(item) for item in items)


def entry_of(value: object, what: str) -> dict[str, Any]:
    """Return named entries; raises MappingError where the value has none."""
    if not isinstance(value, dict):
        raise MappingError(f"{what} must have named entries, was {type(value).__name__}")
    return {str(key): item for key, item in value.items()}


def check_keys(entry: dict[str, Any], kind: type, what: str) -> None:
    """Raise MappingError where an entry is no field of the dataclass."""
    known = [f.name for f in fields(kind)]
    unknown = sorted(set(entry) - set(known))
    if unknown:
        raise MappingError(f"{what} must have only the entries {known}, had {unknown}")


def check_choice(what: str, value: object, choices: object) -> None:
    """Raise MappingError where the value is not among the words of a Literal."""
    if value not in get_args(choices):
        raise MappingError(f"{what} must be one of {get_args(choices)}, was {value!r}")


def check_pattern(what: str, pattern: str) -> set[str]:
    """Return the names of a regular expression's groups; raises MappingError where it is none."""
    try:
        return set(re.compile(pattern).groupindex)
    except re.error as error:
        raise MappingError(f"{what} must be a regular expression, was {pattern!r}") from error


def check_zone(zone: str) -> None:
    """Raise MappingError where the name is of no time zone."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise MappingError(
            f"zone must be a name of the IANA data base such as Europe/Berlin, was {zone!r}"
        ) from None


def shown_of(spec: object) -> str:
    """Return what a dataclass says, without what it leaves empty."""
    parts = [f"{f.name}={getattr(spec, f.name)!r}" for f in fields(spec) if getattr(spec, f.name)]  # type: ignore[arg-type]  # every spec here is a dataclass
    return ", ".join(parts) or "empty"
