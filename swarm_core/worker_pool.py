"""What the engine asks of a pool of workers; the pools themselves are adapters/workers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]
T = TypeVar("T")
R = TypeVar("R")


class WorkerPool(Protocol):
    """Runs a function over items, each with the same shared arrays.

    As a context it keeps its workers, and what they have loaded and compiled, from one run to the
    next; arrays that are the same mapping as those of the run before are not shared anew.
    """

    @property
    def worker_count(self) -> int: ...

    @property
    def is_kept(self) -> bool:
        """Return whether the workers stay for the next run."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: Any) -> None: ...

    def run(
        self,
        work: Callable[[Arrays, T], R],
        arrays: Arrays,
        items: Sequence[T],
        starting: Callable[[int], None],
    ) -> Iterator[tuple[int, R | None]]:
        """Yield each item's place and result as it is done; None where its worker kept dying.

        `starting` is called here with an item's place before it is handed out.
        """
        ...
