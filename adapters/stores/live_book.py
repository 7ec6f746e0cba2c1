"""A book in the hot tier, for whoever watches: written beside the trading, which never waits."""

import threading
from collections.abc import Callable
from typing import Any

from adapters.stores.hot_embedded import HotStore
from adapters.stores.hot_state import HotState
from swarm_core.live_view import LiveView, PheromoneField


class LiveBook:
    """Takes what is to be shown and writes it in a thread of its own; the newest wins.

    `show` and `show_field` return at once, whatever the store does. A store that is away is told
    by `failure` and tried again with the next view. Nothing reads this to trade: the log is the
    source, and what is shown may be a moment old.
    """

    def __init__(self, open_store: Callable[[], HotStore], book: str = "main") -> None:
        self._open, self._book = open_store, book
        self._turn = threading.Condition()
        self._view: LiveView | None = None
        self._field: PheromoneField | None = None
        self._is_closing = self._is_writing = False
        self._thread: threading.Thread | None = None
        self._store: Any = None
        self._shown: LiveView | None = None  # what the store holds, as far as is known
        self.failure = ""

    def show(self, view: LiveView) -> None:
        """Let this be what is shown of the book."""
        with self._turn:
            self._view = view
            self._wake()

    def show_field(self, field: PheromoneField) -> None:
        """Let these be the trails that are shown."""
        with self._turn:
            self._field = field
            self._wake()

    def settle(self, timeout_s: float = 2.0) -> None:
        """Wait until all that was given is written, or until the time is over."""
        with self._turn:
            self._turn.wait_for(self._is_idle, timeout_s)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits, within this time, and end."""
        with self._turn:
            thread, self._is_closing = self._thread, True
            self._turn.notify_all()
        if thread is not None:
            thread.join(timeout_s)

    def _wake(self) -> None:
        if self._thread is None and not self._is_closing:
            # A daemon: a store that hangs must not keep the process from leaving.
            self._thread = threading.Thread(target=self._run, name="live book", daemon=True)
            self._thread.start()
        self._turn.notify_all()

    def _is_idle(self) -> bool:
        return self._view is None and self._field is None and not self._is_writing

    def _run(self) -> None:
        while True:
            with self._turn:
                while self._view is None and self._field is None:
                    if self._is_closing:
                        self._forget_store()
                        return
                    self._turn.wait()
                view, self._view = self._view, None
                field, self._field = self._field, None
                self._is_writing = True
            self._write(view, field)
            with self._turn:
                self._is_writing = False
                self._turn.notify_all()

    def _write(self, view: LiveView | None, field: PheromoneField | None) -> None:
        try:
            if self._store is None:
                self._store = self._open()
            state = HotState(self._store)
            if field is not None:
                state.write_field(self._book, field)
            if view is not None:
                self._write_view(state, view)
            self.failure = ""
        except (OSError, ValueError) as error:
            self.failure = " ".join(str(error).split())
            self._forget_store()

    def _write_view(self, state: HotState, view: LiveView) -> None:
        last = self._shown
        if last is None or last.positions != view.positions:
            state.write_positions(self._book, view.positions)
        if last is None or last.orders != view.orders:
            state.replace_orders(self._book, view.orders)
        state.beat(view.process, view.time_ns)
        self._shown = view

    def _forget_store(self) -> None:
        store, self._store, self._shown = self._store, None, None
        if store is not None:
            store.close()
