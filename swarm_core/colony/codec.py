"""The exact binary form of a state: versioned, checked by sha256, equal bits for equal states."""

import dataclasses
import hashlib
import json
import math
from typing import Any

import numpy as np

from swarm_core.colony import upgrade
from swarm_core.colony.state import GROUPS, ColonyState, Floats, Integers, Singles

_MAGIC = b"APIARY-COLONY\n"
VERSION = 3
_READABLE = (1, 2, 3)
_ALIGNMENT = 8
_PLAIN_TUPLES = ("instrument_ids", "class_names", "columns", "market_keys", "sense_names")
_KINDS: dict[object, str] = {Floats: "<f8", Singles: "<f4", Integers: "<i8"}
_DTYPES = tuple(_KINDS.values())
_PLAIN = tuple(f.name for f in dataclasses.fields(ColonyState) if f.name not in GROUPS)


def encode(state: ColonyState) -> bytes:
    """Return the state as bytes: magic, length and JSON header, little-endian arrays, sha256."""
    return b"".join(_parts(state))


def decode(data: bytes) -> ColonyState:
    """Return the state that was encoded; one of an older version is brought up to date.

    Raises ValueError where the bytes are no state, of another version, torn or changed.
    """
    if not data.startswith(_MAGIC):
        raise ValueError(f"a colony state must start with {_MAGIC!r}, was {data[:14]!r}")
    if len(data) < len(_MAGIC) + 40 or hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise ValueError(f"a colony state must end with its own sha256, {len(data)} bytes did not")
    start = len(_MAGIC) + 8
    size = int.from_bytes(data[len(_MAGIC) : start], "little")
    header: Any = json.loads(data[start : start + size])
    try:
        version = header["version"]
    except (TypeError, KeyError):
        version = None
    if version not in _READABLE:
        raise ValueError(f"version of a colony state must be {VERSION}, was {version}")
    try:
        return _rebuild(header, memoryview(data)[start + size : -32])
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"a colony state must have the fields of version {VERSION}, was of another: {error}"
        ) from error


def stored_digest(data: bytes) -> str:
    """Return the digest that the state had when it was encoded, in whichever version that was.

    Once decoded and brought up to date, a state of an older version has another.
    """
    return data[-32:].hex()


def digest(state: ColonyState) -> str:
    """Return the sha256 of the encoded state, as 64 hexadecimal digits."""
    parts = _parts(state)
    return parts[-1].hex()


def _parts(state: ColonyState) -> list[bytes]:
    arrays: list[list[object]] = []
    body: list[bytes] = []
    for group in GROUPS:
        values = getattr(state, group)
        for name in values._fields:
            array = np.ascontiguousarray(getattr(values, name))
            kind = array.dtype.newbyteorder("<").str
            arrays.append([group, name, kind, list(array.shape)])
            body.append(array.astype(kind, copy=False).tobytes())
    plain = {name: getattr(state, name) for name in _PLAIN}
    header = json.dumps({"version": VERSION, "plain": plain, "arrays": arrays}, sort_keys=True)
    text = header.encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    parts = [_MAGIC, len(text).to_bytes(8, "little"), text, *body]
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return [*parts, hasher.digest()]


def _rebuild(header: dict[str, Any], body: memoryview) -> ColonyState:
    groups: dict[str, dict[str, np.ndarray]] = {group: {} for group in GROUPS}
    offset = 0
    for group, name, kind, shape in header["arrays"]:
        if kind not in _DTYPES:
            raise ValueError(f"array type must be one of {_DTYPES}, was {kind!r}")
        count = math.prod(shape)
        size = count * np.dtype(kind).itemsize
        flat = np.frombuffer(body[offset : offset + size], dtype=kind)
        groups[group][name] = flat.astype(flat.dtype.newbyteorder("=")).reshape(shape)
        offset += size
    if offset != len(body):
        raise ValueError(f"a colony state must end with its arrays, {len(body) - offset} bytes on")
    if header["version"] == 1:
        groups["trust"] = upgrade.trust_of_version_1(groups["trust"])
    if header["version"] < 3:
        groups["queen"] = upgrade.queen_of_version_2(groups["queen"])
        groups["book"] = upgrade.book_of_version_2(groups["book"])
    plain: dict[str, Any] = header["plain"]
    plain.setdefault("settings", "")
    for name in _PLAIN_TUPLES:
        plain[name] = tuple(plain[name])
    parts = {name: group_type(**groups[name]) for name, group_type in GROUPS.items()}
    for group, group_type in GROUPS.items():
        for name, declared in group_type.__annotations__.items():
            kind = groups[group][name].dtype.newbyteorder("<").str
            if kind != _KINDS[declared]:
                raise ValueError(f"{group}.{name} must be of type {_KINDS[declared]}, was {kind}")
    return ColonyState(**plain, **parts)
