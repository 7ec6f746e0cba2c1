"""A pool of processes on this machine that share one memory-mapped file of arrays."""

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self, TypeVar

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

_mapped: dict[str, Arrays] = {}


def _call(path: str, work: Callable[[Arrays, T], R], item: T) -> R:
    """Do one item in a worker; the arrays are mapped once for as long as they are the same."""
    if path not in _mapped:
        _mapped.clear()
        _mapped[path] = map_arrays(Path(path))
    return work(_mapped[path], item)


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


class _Crew:
    """Worker processes that stay until they are sent home, and the folder of what they share."""

    def __init__(self, worker_count: int) -> None:
        self._worker_count = worker_count
        self._open = ExitStack()
        self._folder = self._open.enter_context(_shared_folder())
        self._context, self._pool = _KeptContext(), None
        self._shared: tuple[Arrays, Path] | None = None
        self._writes = 0

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._context = _KeptContext()  # threads and fork do not mix
            self._pool = ProcessPoolExecutor(
                self._worker_count, mp_context=self._context, initializer=end_with_parent
            )
        return self._pool

    def _send_home(self, *, broken: bool) -> None:
        if self._pool is not None:
            if broken:
                self._context.kill()
            self._pool.shutdown()
            self._pool = None

    def end(self) -> None:
        self._send_home(broken=False)
        self._open.close()

    def _path_of(self, arrays: Arrays) -> Path:
        """Write the arrays where all workers find them, but not the same ones twice."""
        if self._shared is None or self._shared[0] is not arrays:
            path = self._folder / f"arrays-{self._writes}.arrow"
            write_arrays(path, arrays)
            if self._shared is not None:
                self._shared[1].unlink()  # who has it mapped keeps it
            self._shared, self._writes = (arrays, path), self._writes + 1
        return self._shared[1]

    def run(
        self,
        work: Callable[[Arrays, T], R],
        arrays: Arrays,
        items: Sequence[T],
        starting: Callable[[int], None],
    ) -> Iterator[tuple[int, R | None]]:
        call = partial(_call, str(self._path_of(arrays)), work)
        waiting, suspects = deque(range(len(items))), set[int]()
        lost = [0] * len(items)
        while waiting:
            running: dict[Future[R], int] = {}
            try:
                yield from self._drain(running, call, items, waiting, suspects, lost, starting)
            except GeneratorExit:
                wait(running)
                raise

    def _drain(
        self,
        running: dict[Future[R], int],
        call: Callable[[T], R],
        items: Sequence[T],
        waiting: deque[int],
        suspects: set[int],
        lost: list[int],
        starting: Callable[[int], None],
    ) -> Iterator[tuple[int, R | None]]:
        """Work until nothing is left or the pool has lost a worker."""
        pool, broken, is_alone = self._started(), False, False
        while running or (waiting and not broken):
            while waiting and not broken and len(running) < self._worker_count:
                alone = bool(suspects & {waiting[0], *running.values()})
                if running and alone:
                    break
                place = waiting.popleft()
                starting(place)
                try:
                    running[pool.submit(call, items[place])] = place
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
        if broken:
            self._send_home(broken=True)


class ProcessPool:
    """Runs a function over items in worker processes; what a killed worker held is run again.

    The arrays are written once and mapped by every worker. Only as many items are handed out as
    there are workers. A worker that dies breaks what the others hold as well, and nobody knows
    whose it was: each of these items is run again alone, and only a loss while alone counts.
    Where this process itself is killed, its workers end with it. As a context it keeps its workers
    from run to run, else they are started for each and end with it.
    """

    def __init__(self, worker_count: int) -> None:
        if worker_count < 1:
            raise ValueError(f"worker_count must be at least 1, was {worker_count}")
        self.worker_count = worker_count
        self._crew: _Crew | None = None

    @property
    def is_kept(self) -> bool:
        return self._crew is not None

    def __enter__(self) -> Self:
        self._crew = _Crew(self.worker_count)
        return self

    def __exit__(self, *raised: Any) -> None:
        if self._crew is not None:
            self._crew.end()
            self._crew = None

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
        if self._crew is not None:
            yield from self._crew.run(work, arrays, items, starting)
        elif items:
            crew = _Crew(min(self.worker_count, len(items)))
            try:
                yield from crew.run(work, arrays, items, starting)
            finally:
                crew.end()
