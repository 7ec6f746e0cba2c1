"""Named arrays in one Arrow file that any number of processes map into their memory."""

import json
import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_SHAPES = b"apiary.shapes"


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write the arrays in one step: a reader finds the whole file or none.

    Each array is one column of bytes, in its own record batch, since all may differ in length.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    described = {
        name: {"dtype": values.dtype.str, "shape": values.shape} for name, values in arrays.items()
    }
    schema = pa.schema([("bytes", pa.large_binary())], {_SHAPES: json.dumps(described)})
    part = path.with_suffix(f".{os.getpid()}.part")
    with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for values in arrays.values():
            column = pa.array([np.ascontiguousarray(values).tobytes()], pa.large_binary())
            writer.write_batch(pa.record_batch([column], schema=schema))
    part.replace(path)


def map_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return the arrays as read-only views of the mapped file: nothing is copied.

    The mapping is private to the process: a view may be made writable, as compiled code wants it,
    and what is written there reaches neither the file nor another process.

    Raises OSError where the file is not there, ValueError where it holds no such arrays.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    whole = pa.py_buffer(mapped)
    try:
        reader = pa.ipc.open_file(pa.BufferReader(whole))
        described = json.loads(reader.schema.metadata[_SHAPES])
    except (pa.ArrowInvalid, KeyError, TypeError) as error:
        raise ValueError(f"{path} must hold shared arrays: {error}") from error
    arrays: dict[str, NDArray[np.generic]] = {}
    for place, (name, told) in enumerate(described.items()):
        data, dtype = reader.get_batch(place).column(0).buffers()[2], np.dtype(told["dtype"])
        at, count = data.address - whole.address, data.size // dtype.itemsize
        flat = np.frombuffer(mapped, dtype, count, at) if count else np.empty(0, dtype)
        arrays[name] = values = flat.reshape(told["shape"])
        values.flags.writeable = False
    return arrays
