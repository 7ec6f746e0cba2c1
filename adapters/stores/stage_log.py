"""An append-only file of JSON lines, one a change, each chained by hash to the one before."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_START = "0" * 64


class CorruptLogError(ValueError):
    """A line was changed, removed or put in after it was written."""


def read_records(path: Path) -> list[dict[str, object]]:
    """Return the records, oldest first; a last line torn by a crash was never written.

    Raises CorruptLogError where a whole line does not follow from the one before it.
    """
    return [record for records, _ in _chained(path) for record in records]


def append_records(path: Path, records: Sequence[Mapping[str, object]]) -> None:
    """Append the records as one line, all or none, durably; the caller holds the lock."""
    chain = _chained(path)
    body = json.dumps([dict(r) for r in records], sort_keys=True, allow_nan=False)
    link = _link(chain[-1][1] if chain else _START, body)
    line = json.dumps({"hash": link, "records": json.loads(body)}, sort_keys=True)
    whole = _whole_length(path)
    new = not path.exists()
    with path.open("ab") as file:
        file.truncate(whole)  # a torn last line gives way
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)


def _chained(path: Path) -> list[tuple[list[dict[str, object]], str]]:
    data = path.read_bytes() if path.exists() else b""
    out: list[tuple[list[dict[str, object]], str]] = []
    previous = _START
    for number, line in enumerate(data[: _whole_length(path)].splitlines(), start=1):
        try:
            entry = json.loads(line)
            records, found = entry["records"], entry["hash"]
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptLogError(f"line {number} of {path} must be a record: {error!r}") from error
        previous = _link(previous, json.dumps(records, sort_keys=True, allow_nan=False))
        if found != previous:
            raise CorruptLogError(f"line {number} of {path} must have hash {previous}, had {found}")
        out.append((records, previous))
    return out


def _whole_length(path: Path) -> int:
    data = path.read_bytes() if path.exists() else b""
    return data.rfind(b"\n") + 1


def _link(previous: str, body: str) -> str:
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
