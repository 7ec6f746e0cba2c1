"""What the workers of the pools' tests do: functions that a worker process can import."""

import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import TextIO

import numpy as np

from adapters.workers.processes import ProcessPool
from adapters.workers.ray_cluster import RayPool
from models.experiments.market_arrays import Arrays

_held: list[TextIO] = []


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


def die_beside_the_deaf(arrays: Arrays, item: tuple[int, str]) -> int:
    """Item 0 ignores SIGTERM and is idle from then on; item 1 kills its worker, the first time."""
    number, folder = item
    deaf, up, killed = (Path(folder) / name for name in ("deaf", "up", "killed"))
    if number == 0:
        _await(up)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        deaf.write_text("deaf")
    elif not killed.exists():
        up.write_text("up")
        _await(deaf)
        killed.write_text("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _await(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def fail(arrays: Arrays, item: int) -> int:
    """Raise on every item."""
    raise ValueError(f"item {item} does not hold")


def stay(arrays: Arrays, item: tuple[int, str]) -> int:
    """Hold a lock named after the item for as long as this worker lives; never end item 0."""
    number, folder = item
    held = (Path(folder) / str(number)).open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    _held.append(held)
    held.write(str(os.getpid()))
    held.flush()
    while number == 0:
        time.sleep(60)
    return number


def main() -> None:
    """Run `stay` over two workers: one of them never comes back, the other waits for work."""
    pool = {"processes": ProcessPool, "ray": RayPool}[sys.argv[2]](2)
    items = [(number, sys.argv[1]) for number in range(2)]
    for place, _ in pool.run(stay, {"none": np.empty(0)}, items, lambda _: None):
        print(place, flush=True)


if __name__ == "__main__":
    main()
