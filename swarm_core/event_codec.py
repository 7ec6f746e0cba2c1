"""Exact, canonical bytes of frozen dataclasses: the same value always gives the same bytes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from json.encoder import encode_basestring
from math import isfinite
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

Convert = Callable[[Any], Any]
Write = Callable[[Any], str]
Upcast = Callable[[dict[str, Any]], dict[str, Any]]
Steady = frozenset[type[Any]]

_REMEMBERED_MAX = 4_096  # values of a class; a text has some hundred bytes

_encoder = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
_encode = _encoder.encode


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


def _int_or_null(value: int | None) -> str:
    return "null" if value is None else int.__repr__(value)


def _float_text(value: float) -> str:
    """Return a float as its shortest text; what is not finite is refused by the encoder."""
    return float.__repr__(value) if type(value) is float and isfinite(value) else _encode(value)


def _remembering(write: Write) -> Write:
    """Return what writes each of some values that stay, by a look at which one it is.

    What is remembered is held, so that no other value takes its identity meanwhile.
    """
    texts: dict[int, tuple[Any, str]] = {}

    def written(value: Any) -> str:
        found = texts.get(id(value))
        if found is not None:
            return found[1]
        if len(texts) >= _REMEMBERED_MAX:
            texts.clear()
        text = write(value)
        texts[id(value)] = (value, text)
        return text

    return written


def _expression(hint: Any, field: str, names: dict[str, Any], steady: Steady) -> str:
    """Return source that writes a field as JSON text; what it calls is put into `names`."""
    place = f"n{len(names)}"
    if hint is int:
        return f"{{{field}:d}}"
    if hint is str:
        names[place] = encode_basestring
        return f"{{{place}({field})}}"
    if hint is bool:
        names[place] = {True: "true", False: "false"}
        return f"{{{place}[{field}]}}"
    if isinstance(hint, type) and issubclass(hint, Enum):
        # A member's own value is found faster than the member in a table: hashing it is Python.
        if all(_encoder.encode(member.value) == f'"{member.value}"' for member in hint):
            return f'"{{{field}._value_}}"'
        names[place] = {member: _encoder.encode(member.value) for member in hint}
        return f"{{{place}[{field}]}}"
    if hint == int | None:
        names[place] = _int_or_null
        return f"{{{place}({field})}}"
    names[place] = _writer(hint, steady)
    return f"{{{place}({field})}}"


def _writer(hint: Any, steady: Steady) -> Write:
    """Return what writes a value of one annotated type as canonical JSON text."""
    if isinstance(hint, type) and is_dataclass(hint):
        write = _compile(hint, {}, "", steady)
        return _remembering(write) if hint in steady else write
    if get_origin(hint) is tuple:
        write = _writer(get_args(hint)[0], steady)
        return lambda values: f"[{','.join([write(value) for value in values])}]"
    if isinstance(hint, UnionType) and NoneType in get_args(hint):
        write = _writer(next(a for a in get_args(hint) if a is not NoneType), steady)
        return lambda value: "null" if value is None else write(value)
    if hint is str:
        return encode_basestring
    if hint is float:
        return _float_text
    if hint is Decimal:
        return lambda value: f'"{value}"'
    to_json = _converters(hint)[0]
    return lambda value: _encoder.encode(to_json(value))


def _compile_writer(cls: type[Any], steady: Steady) -> Callable[[Any], bytes]:
    """Return what writes a versioned value as canonical JSON: keys in order, no spaces."""
    fixed = {"type": cls.__name__, "v": cls.schema_version}
    return _compile(cls, fixed, ".encode()", steady)


def _compile(
    cls: type[Any], fixed: Mapping[str, Any], then: str, steady: Steady
) -> Callable[[Any], Any]:
    """Return a function that writes the fields of a class, and what is `fixed` for all of it.

    It is one f-string made for the class, as `dataclass` makes its `__init__`: writing an event
    piece by piece costs more than putting it on disk.
    """
    hints = get_type_hints(cls)
    own = {f.name for f in fields(cls)}
    names: dict[str, Any] = {}
    parts: list[str] = []
    for name in sorted(own | fixed.keys()):
        if name in own:
            text = _expression(hints[name], f"e.{name}", names, steady)
        else:
            text = _encoder.encode(fixed[name])
        parts.append(f'"{name}":{text}')
    source = "def write(e): return f'{{" + ",".join(parts) + "}}'" + then
    exec(source, names)
    return names["write"]


class Plan:
    """How one dataclass is turned into JSON values and back, worked out once per class."""

    def __init__(self, cls: type[Any]) -> None:
        hints = get_type_hints(cls)
        self._cls = cls
        names = sorted(f.name for f in fields(cls))
        both = [(name, *_converters(hints[name])) for name in names]
        self._names = frozenset(names)
        self._plain = tuple(n for n, to, _ in both if to is _same)
        self._encoded = tuple((n, to) for n, to, _ in both if to is not _same)
        self._decoded = tuple((n, back) for n, to, back in both if to is not _same)

    def to_mapping(self, value: Any) -> dict[str, Any]:
        body = {name: getattr(value, name) for name in self._plain}
        for name, to_json in self._encoded:
            body[name] = to_json(getattr(value, name))
        return body

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

    `upcasts[(name, version)]` lifts the stored fields of one version to the next one's. Values of
    the `steady` classes, which must not change inside, are the same ones in many events: the text
    of each is kept.
    """

    def __init__(
        self,
        classes: tuple[type[Any], ...],
        upcasts: Mapping[tuple[str, int], Upcast],
        steady: Steady = frozenset(),
    ) -> None:
        self._classes = {cls.__name__: cls for cls in classes}
        self._plan = cache(Plan)
        self._writers = {cls: _compile_writer(cls, steady) for cls in classes}
        self._upcasts = dict(upcasts)

    def encode(self, value: Any) -> bytes:
        """Return the canonical bytes; ValueError on a float that is not finite."""
        write = self._writers.get(value.__class__)
        if write is None:
            raise TypeError(
                f"an event must be of a registered class, was {value.__class__.__name__}"
            )
        return write(value)

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
