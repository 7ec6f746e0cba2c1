"""What the workers of the pools' tests do: functions that a worker process can import."""

import os
import signal
from pathlib import Path

import numpy as np

from models.experiments.market_arrays import Arrays


def total(arrays: Arrays, item: int) -> tuple[float, int]:
    """Return the item times the sum of what is shared, and who worked it out."""
    return float(np.sum(arrays["values"])) * item, os.getpid()


def die_in_turn(arrays: Arrays, item: tuple[int, str]) -> int:
    """Kill the worker: whenever it gets item 2, and the first time that it gets 1 or 4."""
    number, folder = item
    mark = Path(folder) / str(number)
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if number % 3 == 1 and not mark.exists():
        mark.write_text("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    return number * int(arrays["values"].size)


def fail(arrays: Arrays, item: int) -> int:
    """Raise on every item."""
    raise ValueError(f"item {item} does not hold")
