"""A pool of processes on this machine that share one memory-mapped file of arrays."""

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from adapters.file_lock import Locked
from adapters.workers.orphans import end_with_parent
from adapters.workers.shared_arrays import map_arrays, write_arrays

Arrays = Mapping[str, NDArray[np.generic]]
T = TypeVar("T")
R = TypeVar("R")
ATTEMPTS_MAX = 3  # an item that has lost its worker so often while alone is what kills it

_FOLDER, _HELD = "apiary-sweep-", "held"

_mapped: dict[str, NDArray[np.generic]] = {}


def _open(path: str) -> None:
    end_with_parent()
    _mapped.update(map_arrays(Path(path)))


def _call(work: Callable[[Arrays, T], R], item: T) -> R:
    return work(_mapped, item)


@contextmanager
def _shared_folder() -> Iterator[Path]:
    """Give a folder for what is shared, and remove those whose process was killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        if Locked(left / _HELD).is_free():
            shutil.rmtree(left, ignore_errors=True)
    # It gets its name when it is held: nobody may take it for one that was left.
    with (
        tempfile.TemporaryDirectory(prefix=f".{_FOLDER}") as hidden,
        Locked(Path(hidden) / _HELD),
    ):
        folder = Path(hidden).with_name(Path(hidden).name[1:])
        Path(hidden).rename(folder)
        try:
            yield folder
        finally:
            folder.rename(hidden)


class _KeptContext(SpawnContext):
    """A spawning context that keeps its processes: a broken pool waits for those it could not end.

    It asks them by SIGTERM, which a worker may ignore or have blocked, and joins them for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started: list[BaseProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> BaseProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnContext.Process(*args, **kwargs)
        self.started.append(process)
        return process

    def kill(self) -> None:
        for process in self.started:
            if process.is_alive():
                process.kill()


class ProcessPool:
    """Runs a function over items in worker processes; what a killed worker held is run again.

    The arrays are written once and mapped by every worker. Only as many items are handed out as
    there are workers. A worker that dies breaks what the others hold as well, and nobody knows
    whose it was: each of these items is run again alone, and only a loss while alone counts.
    Where this process itself is killed, its workers end with it.
    """

    def __init__(self, worker_count: int) -> None:
        if worker_count < 1:
            raise ValueError(f"worker_count must be at least 1, was {worker_count}")
        self.worker_count = worker_count

    def run(
        self,
        work: Callable[[Arrays, T], R],
        arrays: Arrays,
        items: Sequence[T],
        starting: Callable[[int], None],
    ) -> Iterator[tuple[int, R | None]]:
        """Yield the place of an item and what `work` gave for it, in the order of completion.

        `work` is a function of a module; `starting` is told each item's place before it is handed
        out, again where it is handed out again. None stands where an item lost its worker
        ATTEMPTS_MAX times. What `work` raises is raised here.
        """
        with _shared_folder() as folder:
            path = folder / "arrays.arrow"
            write_arrays(path, arrays)
            waiting, suspects = deque(range(len(items))), set[int]()
            lost = [0] * len(items)
            while waiting:
                context = _KeptContext()
                with self._pool(context, path, len(waiting)) as pool:
                    yield from self._drain(pool, work, items, waiting, suspects, lost, starting)
                    if waiting:  # the pool is broken
                        context.kill()

    def _pool(self, context: SpawnContext, path: Path, count: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=min(self.worker_count, count),
            mp_context=context,  # threads and fork do not mix
            initializer=_open,
            initargs=(str(path),),
        )

    def _drain(
        self,
        pool: ProcessPoolExecutor,
        work: Callable[[Arrays, T], R],
        items: Sequence[T],
        waiting: deque[int],
        suspects: set[int],
        lost: list[int],
        starting: Callable[[int], None],
    ) -> Iterator[tuple[int, R | None]]:
        """Work until nothing is left or the pool has lost a worker."""
        running: dict[Future[R], int] = {}
        broken = is_alone = False
        while running or (waiting and not broken):
            while waiting and not broken and len(running) < self.worker_count:
                alone = bool(suspects & {waiting[0], *running.values()})
                if running and alone:
                    break
                place = waiting.popleft()
                starting(place)
                try:
                    running[pool.submit(_call, work, items[place])] = place
                except BrokenProcessPool:
                    waiting.appendleft(place)
                    broken = True
            is_alone = is_alone if broken else len(running) == 1
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                place = running.pop(done)
                if not isinstance(done.exception(), BrokenProcessPool):
                    yield place, done.result()
                    continue
                broken = True
                suspects.add(place)
                lost[place] += is_alone
                if lost[place] >= ATTEMPTS_MAX:
                    yield place, None
                else:
                    waiting.appendleft(place)
