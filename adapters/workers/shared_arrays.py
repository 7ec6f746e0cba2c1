"""Named arrays in one Arrow file that any number of processes map into their memory."""

import json
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

    Raises OSError where the file is not there, ValueError where it holds no such arrays.
    """
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        described = json.loads(reader.schema.metadata[_SHAPES])
    except (pa.ArrowInvalid, KeyError, TypeError) as error:
        raise ValueError(f"{path} must hold shared arrays: {error}") from error
    arrays: dict[str, NDArray[np.generic]] = {}
    for place, (name, told) in enumerate(described.items()):
        column = reader.get_batch(place).column(0)
        data = column.buffers()[2]
        flat = np.frombuffer(data, dtype=np.dtype(told["dtype"])) if data.size else np.empty(0)
        arrays[name] = flat.astype(told["dtype"], copy=False).reshape(told["shape"])
    return arrays
