"""The registered schemas of the events: what a consumer in any language may count on."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from swarm_core.events import EVENT_CLASSES

REGISTERED = Path(__file__).with_name("event_schemas.json")
Schema = dict[str, Any]
Registry = dict[str, dict[str, Schema]]  # event -> version -> JSON Schema
_PLAIN = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    Decimal: {"type": "string", "format": "decimal"},
}


class IncompatibleSchemaError(ValueError):
    """An event changed in a way that readers of its stored form would not survive."""


def schema_of(cls: type[Any]) -> Schema:
    """Return the JSON Schema of the stored form of an event class."""
    schema = _object(cls)
    fixed = {"type": {"const": cls.__name__}, "v": {"const": cls.schema_version}}
    schema["properties"] = dict(sorted({**schema["properties"], **fixed}.items()))
    schema["required"] = sorted(schema["properties"])
    return schema


def _object(cls: type[Any]) -> Schema:
    hints = get_type_hints(cls)
    properties = {f.name: _of(hints[f.name]) for f in sorted(fields(cls), key=lambda f: f.name)}
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _of(hint: Any) -> Schema:
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _of(get_args(hint)[0])}
    if get_origin(hint) is frozenset:
        return {"type": "array", "items": _of(get_args(hint)[0]), "uniqueItems": True}
    if isinstance(hint, UnionType):
        inner = next(a for a in get_args(hint) if a is not NoneType)
        return {"anyOf": [_of(inner), {"type": "null"}]}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": sorted(member.value for member in hint)}
    if isinstance(hint, type) and is_dataclass(hint):
        return _object(hint)
    raise TypeError(f"a stored field must be of a type with an exact form, was {hint}")


def current() -> Registry:
    """Return the schema of every event as it is written today."""
    return {c.__name__: {str(c.schema_version): schema_of(c)} for c in EVENT_CLASSES}


def read_registry(path: Path = REGISTERED) -> Registry:
    """Return what is registered; an empty registry where there is no file yet."""
    return json.loads(path.read_text()) if path.is_file() else {}


def write_registry(registry: Registry, path: Path = REGISTERED) -> None:
    """Write the registry, an event's version a line."""
    lines = [
        f'"{name}": {{\n'
        + ",\n".join(
            f'  "{v}": {json.dumps(schema, sort_keys=True)}' for v, schema in versions.items()
        )
        + "\n}"
        for name, versions in sorted(registry.items())
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def register(written: Registry, registered: Mapping[str, Mapping[str, Schema]]) -> Registry:
    """Return the registry with today's schemas in it.

    A version on record keeps its fields for ever: other fields are a new version. What may grow
    is the list of an enum's values. Raises IncompatibleSchemaError on any other change, and where
    an event or its newest version is gone.
    """
    merged: Registry = {name: dict(versions) for name, versions in registered.items()}
    for name in registered:
        if name not in written:
            raise IncompatibleSchemaError(f"the event {name} must stay readable, is gone")
    for name, versions in written.items():
        (version, schema), *_ = versions.items()
        known = merged.setdefault(name, {})
        newest = max((int(v) for v in known), default=0)
        if int(version) < newest:
            raise IncompatibleSchemaError(f"{name} must be of version {newest}, was {version}")
        if newest and int(version) > newest + 1:
            raise IncompatibleSchemaError(f"{name} must be of version {newest + 1}, was {version}")
        if version in known:
            check_same_shape(known[version], schema, f"{name} version {version}")
        known[version] = schema
    return merged


def check_same_shape(old: Any, new: Any, where: str) -> None:
    """Raise IncompatibleSchemaError where the new schema does not read everything of the old."""
    if isinstance(old, dict) and isinstance(new, dict):
        if "enum" in old and "enum" in new:
            gone = sorted(set(old["enum"]) - set(new["enum"]))
            if gone:
                raise IncompatibleSchemaError(f"{where} must still know {gone}")
            return
        differing = sorted(set(old) ^ set(new))
        if differing:
            raise IncompatibleSchemaError(f"{where} must be a new version: {differing} differ")
        for key in old:
            check_same_shape(old[key], new[key], f"{where}.{key}")
    elif old != new:
        raise IncompatibleSchemaError(f"{where} must be a new version: {new!r}, was {old!r}")
