"""The same pool on a Ray cluster: a local one that is started here, or a remote address."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from adapters.workers.processes import ATTEMPTS_MAX

Arrays = Mapping[str, NDArray[np.generic]]
T = TypeVar("T")
R = TypeVar("R")
_ROOT = Path(__file__).parents[2]
# Ray hands these to every worker of a remote cluster; data and environments stay at home.
_LEFT_OUT = [".git", ".venv", ".peers", "var", "dagster_home", "docs", "tests", "benchmarks"]


class RayPool:
    """Runs a function over items on a Ray cluster; arrays lie once in each node's object store.

    `address` is "local" for a cluster of `worker_count` processes that lives as long as the run,
    else what `ray.init` takes. Raises ImportError with one line where Ray is not installed, and
    ConnectionError where the address does not answer.
    """

    def __init__(self, worker_count: int, address: str = "local") -> None:
        if worker_count < 1:
            raise ValueError(f"worker_count must be at least 1, was {worker_count}")
        self.worker_count, self.address = worker_count, address
        self._ray: Any = None  # while it is kept
        self._shared: tuple[Arrays, Any] | None = None

    @property
    def is_kept(self) -> bool:
        return self._ray is not None

    def __enter__(self) -> Self:
        self._ray = self._connected()
        return self

    def __exit__(self, *raised: Any) -> None:
        if self._ray is not None:
            self._ray.shutdown()
            self._ray = self._shared = None

    def run(
        self,
        work: Callable[[Arrays, T], R],
        arrays: Arrays,
        items: Sequence[T],
        starting: Callable[[int], None],
    ) -> Iterator[tuple[int, R | None]]:
        """Yield the place of an item and what `work` gave for it, in the order of completion.

        None stands where an item lost its worker too often. What `work` raises is raised here.
        """
        if self.is_kept:
            if self._shared is None or self._shared[0] is not arrays:
                self._shared = arrays, _put(self._ray, arrays)
            yield from self._drain(self._ray, work, self._shared[1], items, starting)
            return
        ray = self._connected()
        try:
            yield from self._drain(ray, work, _put(ray, arrays), items, starting)
        finally:
            ray.shutdown()

    def _drain(
        self,
        ray: Any,
        work: Callable[[Arrays, T], R],
        shared: Any,
        items: Sequence[T],
        starting: Callable[[int], None],
    ) -> Iterator[tuple[int, R | None]]:
        # A worker that dies is retried by Ray itself; an error of the work is not.
        task = ray.remote(max_retries=ATTEMPTS_MAX - 1, num_cpus=1)(work)
        waiting = list(range(len(items)))[::-1]
        running: dict[Any, int] = {}
        while waiting or running:
            while waiting and len(running) < 2 * self.worker_count:
                place = waiting.pop()
                starting(place)
                running[task.remote(shared, items[place])] = place
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            place = running.pop(done)
            try:
                yield place, ray.get(done)
            except ray.exceptions.WorkerCrashedError:
                yield place, None
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error

    def _connected(self) -> Any:
        try:
            import ray
        except ImportError as error:
            raise ImportError("the engine ray must be installed: `pip install apiary[ray]`") from (
                error
            )
        local = self.address == "local"
        given: dict[str, Any] = (
            {"num_cpus": self.worker_count, "include_dashboard": False}
            if local
            else {"runtime_env": {"working_dir": str(_ROOT), "excludes": _LEFT_OUT}}
        )
        ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR, **given)
        return ray


def _put(ray: Any, arrays: Arrays) -> Any:
    return ray.put({name: np.ascontiguousarray(values) for name, values in arrays.items()})
