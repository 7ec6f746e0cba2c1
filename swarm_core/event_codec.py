"""Exact, canonical bytes of frozen dataclasses: the same value always gives the same bytes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from json.encoder import encode_basestring
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

Convert = Callable[[Any], Any]
Upcast = Callable[[dict[str, Any]], dict[str, Any]]

_encoder = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
# A text and a whole number are most of what is written: they need no walk through an encoder.
_WRITERS: dict[Any, Convert] = {str: encode_basestring, int: int.__repr__}


def _same(value: Any) -> Any:
    return value


def _converters(hint: Any) -> tuple[Convert, Convert]:
    """Return (to JSON, from JSON) for one annotated type; TypeError where it is not supported."""
    if hint in (str, int, bool, float):
        return _same, _same
    if hint is Decimal:
        return str, Decimal
    if get_origin(hint) is tuple and get_args(hint)[1:] == (Ellipsis,):
        to_json, from_json = _converters(get_args(hint)[0])
        if to_json is _same:
            return list, tuple
        return lambda v: [to_json(i) for i in v], lambda v: tuple(from_json(i) for i in v)
    if get_origin(hint) is frozenset and get_args(hint) == (str,):
        return sorted, frozenset
    if isinstance(hint, UnionType) and NoneType in get_args(hint) and len(get_args(hint)) == 2:
        inner = next(a for a in get_args(hint) if a is not NoneType)
        to_json, from_json = _converters(inner)
        return (
            lambda v: None if v is None else to_json(v),
            lambda v: None if v is None else from_json(v),
        )
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = {member.value: member for member in hint}
        return (lambda v: v.value), members.__getitem__
    if isinstance(hint, type) and is_dataclass(hint):
        return Plan(hint).to_mapping, Plan(hint).from_mapping
    raise TypeError(f"a stored field must be of a type with an exact form, was {hint}")


def _text_writer(hint: Any, to_json: Convert) -> Convert:
    """Return what writes a value of the type as JSON text."""
    if hint in _WRITERS:
        return _WRITERS[hint]
    if isinstance(hint, UnionType):
        inner = next(a for a in get_args(hint) if a is not NoneType)
        write = _text_writer(inner, _converters(inner)[0])
        return lambda value: "null" if value is None else write(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {member: _encoder.encode(member.value) for member in hint}.__getitem__
    return lambda value: _encoder.encode(to_json(value))


class Plan:
    """How one dataclass is turned into JSON values and back, worked out once per class."""

    def __init__(self, cls: type[Any]) -> None:
        hints = get_type_hints(cls)
        self._cls = cls
        names = sorted(f.name for f in fields(cls))
        both = [(name, *_converters(hints[name])) for name in names]
        self._names = frozenset(names)
        self._write = self._writer(hints)
        self._plain = tuple(n for n, to, _ in both if to is _same)
        self._encoded = tuple((n, to) for n, to, _ in both if to is not _same)
        self._decoded = tuple((n, back) for n, to, back in both if to is not _same)

    def to_mapping(self, value: Any) -> dict[str, Any]:
        body = {name: getattr(value, name) for name in self._plain}
        for name, to_json in self._encoded:
            body[name] = to_json(getattr(value, name))
        return body

    def _writer(self, hints: dict[str, Any]) -> tuple[tuple[str, str, Convert], ...]:
        """Return, for each key of the JSON text in order, its text, its field and its writer."""
        version = getattr(self._cls, "schema_version", None)
        fixed = {"type": self._cls.__name__, "v": version}
        names = sorted([*self._names, *fixed] if version is not None else self._names)
        parts: list[tuple[str, str, Convert]] = []
        before = "{"
        for name in names:
            before += f'"{name}":'
            if name in fixed and name not in self._names:
                before += _encoder.encode(fixed[name]) + ","
                continue
            to_json = _converters(hints[name])[0]
            parts.append((before, name, _text_writer(hints[name], to_json)))
            before = ","
        self._end = before.rstrip(",") + "}"
        return tuple(parts)

    def to_text(self, value: Any) -> str:
        """Return the canonical JSON of a versioned value: keys in order, no spaces."""
        pieces: list[str] = []
        for before, name, write in self._write:
            pieces.append(before)
            pieces.append(write(getattr(value, name)))
        pieces.append(self._end)
        return "".join(pieces)

    def from_mapping(self, body: dict[str, Any]) -> Any:
        """Return the value; ValueError where fields are missing, unknown or unreadable."""
        if body.keys() != self._names:
            odd = sorted(body.keys() ^ self._names)
            raise ValueError(f"{self._cls.__name__} must have its own fields, differed in {odd}")
        for name, from_json in self._decoded:
            body[name] = from_json(body[name])
        return self._cls(**body)


class Codec:
    """Bytes of a family of versioned dataclasses, named by their class names.

    `upcasts[(name, version)]` lifts the stored fields of one version to the next one's.
    """

    def __init__(self, classes: tuple[type[Any], ...], upcasts: Mapping[tuple[str, int], Upcast]):
        self._classes = {cls.__name__: cls for cls in classes}
        self._plan = cache(Plan)
        self._upcasts = dict(upcasts)

    def encode(self, value: Any) -> bytes:
        """Return the canonical bytes; ValueError on a float that is not finite."""
        cls = cast(type[Any], type(value))
        if self._classes.get(cls.__name__) is not cls:
            raise TypeError(f"an event must be of a registered class, was {cls.__name__}")
        return self._plan(cls).to_text(value).encode()

    def decode(self, data: bytes) -> Any:
        """Return the value of the bytes, of any stored version; ValueError where unreadable."""
        try:
            body = json.loads(data)
            name, version = body.pop("type"), body.pop("v")
            cls = self._classes[name]
            for old in range(version, cls.schema_version):
                body = self._upcasts[name, old](body)
            if version <= cls.schema_version:
                return self._plan(cls).from_mapping(body)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"an event must be readable, was {data[:80]!r}: {error}") from error
        raise ValueError(f"{name} must be of version <= {cls.schema_version}, was {version}")
