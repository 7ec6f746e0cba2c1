"""Checks that settings call at construction; each raises one line that says what must hold."""

from collections import Counter
from collections.abc import Sequence


def check_between(name: str, value: object, low: float, high: float) -> None:
    """Raise ValueError unless value is a number with low <= value <= high."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(  # noqa: TRY004  one kind of error for all settings
            f"{name} must be a number, was {value!r}"
        )
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low:g} and {high:g}, was {value!r}")


def check_count(name: str, value: object, low: int, high: int) -> None:
    """Raise ValueError unless value is a whole number with low <= value <= high."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(  # noqa: TRY004  one kind of error for all settings
            f"{name} must be a whole number, was {value!r}"
        )
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}, was {value}")


def check_each(name: str, values: Sequence[float], low: float, high: float) -> None:
    """Raise ValueError unless there is a value and every one is between low and high."""
    check_listed(name, values)
    if len(values) == 0:
        raise ValueError(f"{name} must have at least one value, was empty")
    for position, value in enumerate(values):
        check_between(f"{name}[{position}]", value, low, high)


def check_listed(name: str, values: object) -> None:
    """Raise ValueError where one value, or a text, stands where a list of them must."""
    if not isinstance(values, tuple | list):
        raise ValueError(f"{name} must be a list, was {values!r}")  # noqa: TRY004  as above


def check_texts(name: str, values: Sequence[object]) -> None:
    """Raise ValueError unless every value is a text."""
    kinds = sorted(kind.__name__ for kind in set(map(type, values)) if not issubclass(kind, str))
    if kinds:
        raise ValueError(f"{name} must be texts, had {kinds}")


def check_unique(name: str, values: Sequence[str]) -> None:
    """Raise ValueError where a name stands twice."""
    doubled = sorted(value for value, count in Counter(values).items() if count > 1)
    if doubled:
        raise ValueError(f"{name} must be unique, was doubled: {doubled[:5]}")
