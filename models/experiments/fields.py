"""Reading one field of a written mapping: the value, or one line on what it must be."""

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import cast


class ExperimentError(ValueError):
    """A field of an experiment that does not hold; its text is one line."""


def wrong(field: str, must: str, was: object) -> ExperimentError:
    """Return the error of a field: what it must be and what it was."""
    return ExperimentError(f"{field} must be {must}, was {was!r}")


def mapping_of(
    value: object, field: str, known: tuple[str, ...] | None = None
) -> Mapping[str, object]:
    """Return a mapping with text keys, all of them among `known` where that is given."""
    if not isinstance(value, Mapping) or not all(isinstance(k, str) for k in value):
        raise wrong(field, "a mapping", value)
    fields = cast(Mapping[str, object], value)
    unknown = sorted(set(fields) - set(known)) if known is not None else []
    if known is not None and unknown:
        name = unknown[0] if field == "the experiment" else f"{field}.{unknown[0]}"
        raise wrong(name, f"one of {', '.join(known)}", unknown[0])
    return fields


def number(value: object, field: str, low: float, high: float) -> float:
    """Return a finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong(field, f"a number in {low:g}..{high:g}", value)
    if not low <= value <= high:
        raise wrong(field, f"in {low:g}..{high:g}", value)
    return float(value)


def count(value: object, field: str, low: int, high: int) -> int:
    """Return a whole number in low..high."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise wrong(field, f"a whole number in {low}..{high}", value)
    return value


def day(value: object, field: str) -> date:
    """Return a date, written as YYYY-MM-DD."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong(field, "a date as YYYY-MM-DD", value) from None


def text(value: object, field: str) -> str:
    """Return text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise wrong(field, "text", value)
    return value


def choice(value: object, field: str, choices: tuple[str, ...]) -> str:
    """Return one of the choices."""
    if value not in choices:
        raise wrong(field, f"one of {', '.join(choices)}", value)
    return str(value)


def items(value: object, field: str) -> list[object]:
    """Return a list that is not empty."""
    if not isinstance(value, list) or not value:
        raise wrong(field, "a list that is not empty", value)
    return cast(list[object], value)
