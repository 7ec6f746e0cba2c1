"""Lets a worker process end when the process that started it is gone, however it went."""

import multiprocessing
import os
import threading
from multiprocessing.connection import wait

EXIT_CODE_ORPHANED = 1


def end_with_parent() -> None:
    """Watch the parent of this worker from now on, and end this process where it has ended.

    A parent that is killed tells its workers nothing, and they would wait for work for ever or
    work on what nobody reads. Called in a process that multiprocessing did not start, it does
    nothing. The work is cut in the middle: what it had begun to write is as after a kill.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        wait([sentinel])  # ready at once where the parent ended before
        os._exit(EXIT_CODE_ORPHANED)

    threading.Thread(
        target=watch, args=(parent.sentinel,), name="watch-parent", daemon=True
    ).start()
