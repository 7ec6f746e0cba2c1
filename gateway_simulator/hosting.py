"""A gateway in a thread of its own: for clients that block, and for tests."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

from gateway_simulator.gateway import Gateway

T = TypeVar("T")
_ANSWER_S_MAX = 10.0


class HostedGateway:
    """Runs a gateway beside the caller; `call` does something on its loop and waits for it."""

    def __init__(self, make: Callable[[], Gateway] = Gateway) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._gateway: Gateway | None = None

    def start(self) -> Self:
        """Start to listen; OSError where the port is taken."""
        self._thread.start()
        try:
            self._gateway = self._run(self._start())
        finally:
            if self._gateway is None:
                self._end_loop()
        return self

    async def _start(self) -> Gateway:
        gateway = self._make()
        await gateway.start()
        return gateway

    @property
    def gateway(self) -> Gateway:
        if self._gateway is None:
            raise RuntimeError("the gateway must be started first")
        return self._gateway

    @property
    def port(self) -> int:
        return self.gateway.port

    def call(self, act: Callable[[Gateway], T]) -> T:
        """Do something with the gateway on its loop, and return what it returns."""

        async def run() -> T:
            return act(self.gateway)

        return self._run(run())

    def stop(self) -> None:
        if self._thread.is_alive():
            self._run(self.gateway.stop())
            self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_S_MAX)
        if not self._thread.is_alive():
            self._loop.close()  # it holds three files

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_S_MAX)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
