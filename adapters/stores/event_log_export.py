"""Records of the event log as Parquet, JSON lines or CSV, a batch at a time."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from swarm_core.event_chain import GENESIS, chain_hash

_BATCH = 10_000
_COLUMNS = (
    ("sequence", pa.int64()),
    ("time_ns", pa.int64()),
    ("type", pa.string()),
    ("version", pa.int32()),
    ("event_id", pa.string()),
    ("causation_id", pa.string()),
    ("correlation_id", pa.string()),
    ("client_order_id", pa.string()),
    ("hash", pa.string()),
    ("event", pa.string()),
)
StoredRow = tuple[int, bytes, bytes]


def export(rows: Iterable[StoredRow], path: Path, before: bytes = GENESIS) -> int:
    """Write rows (sequence, bytes, hash) to a file by its ending; return how many.

    `event` holds the bytes as stored, so that the chain can be checked from the export alone;
    `before` is the hash of the record before the first. The file appears when it is whole. Raises
    ValueError on an ending that is none of them, and where a record does not follow from its bytes.
    """
    writers: dict[str, Callable[[Iterator[list[dict[str, Any]]], Path], int]] = {
        ".parquet": _parquet,
        ".jsonl": _json_lines,
        ".csv": _csv,
    }
    writer = writers.get(path.suffix)
    if writer is None:
        raise ValueError(f"the export must end in one of {sorted(writers)}, was {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        count = writer(_batches(_checked(rows, before)), part)
        part.replace(path)
    except OSError as error:
        raise OSError(f"{path} must be writable, nothing was exported: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _checked(rows: Iterable[StoredRow], before: bytes) -> Iterator[StoredRow]:
    expected: int | None = None
    for sequence, body, digest in rows:
        is_next = expected is None or sequence == expected
        if not is_next or chain_hash(before, sequence, body) != digest:
            raise ValueError(
                f"record {sequence} must follow from its bytes and the record before to be "
                "exported, and does not: `apiary log verify` says more"
            )
        yield sequence, body, digest
        before, expected = digest, sequence + 1


def _batches(rows: Iterable[StoredRow]) -> Iterator[list[dict[str, Any]]]:
    left = iter(rows)
    while batch := list(islice(left, _BATCH)):
        yield [_record(*row) for row in batch]


def _record(sequence: int, body: bytes, digest: bytes) -> dict[str, Any]:
    event = json.loads(body)
    return {
        "sequence": sequence,
        "time_ns": event["time_ns"],
        "type": event["type"],
        "version": event["v"],
        "event_id": event["event_id"],
        "causation_id": event.get("causation_id", ""),
        "correlation_id": event.get("correlation_id", ""),
        "client_order_id": event.get("client_order_id", ""),
        "hash": digest.hex(),
        "event": body.decode(),
    }


def _parquet(batches: Iterator[list[dict[str, Any]]], path: Path) -> int:
    schema, count = pa.schema(list(_COLUMNS)), 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_pylist(batch, schema))
            count += len(batch)
    return count


def _json_lines(batches: Iterator[list[dict[str, Any]]], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for batch in batches:
            for record in batch:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += len(batch)
    return count


def _csv(batches: Iterator[list[dict[str, Any]]], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [name for name, _ in _COLUMNS])
        writer.writeheader()
        for batch in batches:
            writer.writerows(batch)
            count += len(batch)
    return count
