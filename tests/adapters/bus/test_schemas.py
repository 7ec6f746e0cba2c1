"""Schemas of events: registered, never changed under their version, and old ones still read."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.bus.schemas import (
    IncompatibleSchemaError,
    check_same_shape,
    current,
    read_registry,
    register,
    schema_of,
    write_registry,
)
from swarm_core import events as ev
from tests.swarm_core.test_events import drawn_events

REGISTRY = read_registry()
CLASSES = {cls.__name__: cls for cls in ev.EVENT_CLASSES}


def test_every_event_is_registered_as_it_is_written() -> None:
    """Register a new version with `python -m tests.adapters.bus.test_schemas`."""
    assert register(current(), REGISTRY) == REGISTRY


def _fits(value: Any, schema: Any) -> bool:
    """Return whether a stored value fits; enough of JSON Schema for what is generated here."""
    if "const" in schema:
        return value == schema["const"]
    if "enum" in schema:
        return value in schema["enum"]
    if "anyOf" in schema:
        return any(_fits(value, inner) for inner in schema["anyOf"])
    kinds: dict[str, Any] = {
        "string": str, "integer": int, "number": (int, float), "boolean": bool,
        "null": type(None), "array": list, "object": dict,
    }  # fmt: skip
    if not isinstance(value, kinds[schema["type"]]):
        return False
    if schema["type"] == "array":
        return all(_fits(item, schema["items"]) for item in value)
    if schema["type"] == "object":
        inner = schema["properties"]
        return set(value) == set(inner) and all(_fits(value[k], inner[k]) for k in inner)
    return True


@settings(deadline=None)
@given(event=drawn_events())
def test_what_is_written_fits_its_schema(event: ev.Event) -> None:
    body = json.loads(ev.encode(event))
    assert _fits(body, REGISTRY[body["type"]][str(body["v"])]), body


def _cut_to(value: Any, schema: Any) -> Any:
    """Return the value with the fields of an older schema alone."""
    if isinstance(value, dict):
        inner = schema.get("properties", {})
        return {k: _cut_to(v, inner[k]) for k, v in value.items() if k in inner}
    if isinstance(value, list):
        return [_cut_to(item, schema["items"]) for item in value]
    return value


OLD = [
    (name, version)
    for name, versions in REGISTRY.items()
    for version in versions
    if int(version) < CLASSES[name].schema_version
]


@settings(deadline=None, max_examples=20)
@given(data=st.data())
@pytest.mark.parametrize(("name", "version"), OLD)
def test_an_event_of_an_old_version_is_still_read(name: str, version: str, data: Any) -> None:
    event = data.draw(drawn_events(CLASSES[name]))
    body = {**json.loads(ev.encode(event)), "v": int(version)}
    lifted = ev.decode(json.dumps(_cut_to(body, REGISTRY[name][version])).encode())
    assert type(lifted) is type(event)
    assert lifted.event_id == event.event_id


def test_old_versions_are_on_record() -> None:
    """Events that were changed once are there in both forms, so that the test above has work."""
    assert ("OrderFilled", "1") in OLD
    assert ("OrderIntended", "1") in OLD


def test_a_changed_event_must_be_a_new_version() -> None:
    written = current()
    with pytest.raises(IncompatibleSchemaError, match="is gone"):
        register({k: v for k, v in written.items() if k != "CashMoved"}, written)
    changed = json.loads(json.dumps(written))
    changed["CashMoved"]["1"]["properties"]["currency"] = {"type": "integer"}
    with pytest.raises(IncompatibleSchemaError, match=r"CashMoved version 1.* must be a new"):
        register(written, changed)
    fewer = json.loads(json.dumps(written))
    fewer["OrderDenied"]["1"]["properties"]["code"]["enum"].append("gone_code")
    with pytest.raises(IncompatibleSchemaError, match=r"must still know \['gone_code'\]"):
        register(written, fewer)
    skipped = {"CashMoved": {"3": schema_of(ev.CashMoved)}}
    with pytest.raises(IncompatibleSchemaError, match="must be of version 2, was 3"):
        register(skipped, {"CashMoved": written["CashMoved"]})
    with pytest.raises(IncompatibleSchemaError, match="must be of version 2, was 1"):
        register({"CashMoved": written["CashMoved"]}, {"CashMoved": {"2": {}}})


def test_an_enum_may_grow() -> None:
    check_same_shape({"enum": ["a"]}, {"enum": ["a", "b"]}, "here")


if __name__ == "__main__":
    write_registry(register(current(), REGISTRY))
