"""What goes out over one connection: in order, unless a fault delays, swallows or tears it."""

import asyncio
import random
from collections.abc import Sequence

from gateway_simulator.wire import Field, frame

_BUFFER_BYTES_MAX = 64 * 1024 * 1024  # who does not read for so long is cut off


class Outbox:
    """Writes messages to a connection and never waits for the reader."""

    def __init__(self, writer: asyncio.StreamWriter, rng: random.Random) -> None:
        self._writer, self._rng = writer, rng
        self._loop = asyncio.get_running_loop()
        self._ready_at = 0.0
        self._torn: asyncio.Queue[bytes] | None = None
        self._tearer: asyncio.Task[None] | None = None
        self.delay_s = 0.0
        self.silent = False  # half open: the connection stands and says nothing

    def send(self, fields: Sequence[Field]) -> None:
        """Send one message, in the order in which messages are given."""
        if self.silent or self._writer.is_closing():
            return
        data = frame(fields)
        due = max(self._loop.time() + self.delay_s, self._ready_at)
        if due <= self._loop.time():
            self._write(data)
            return
        self._ready_at = due
        self._loop.call_at(due, self._write, data)

    def _write(self, data: bytes) -> None:
        if self._writer.is_closing():
            return
        if self._torn is not None:
            self._torn.put_nowait(data)
            return
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > _BUFFER_BYTES_MAX:
            self._writer.transport.abort()

    def tear(self) -> None:
        """From now on, split what is sent anywhere, each piece in a packet of its own."""
        if self._torn is None:
            self._torn = asyncio.Queue()
            self._tearer = asyncio.ensure_future(self._write_torn(self._torn))

    async def _write_torn(self, torn: asyncio.Queue[bytes]) -> None:
        while not self._writer.is_closing():
            data = await torn.get()
            while data:
                cut = self._rng.randint(1, max(1, min(len(data), 40)))
                self._writer.write(data[:cut])
                data = data[cut:]
                await asyncio.sleep(0)

    def close(self, *, abruptly: bool = False) -> None:
        if self._tearer is not None:
            self._tearer.cancel()
        if abruptly:
            self._writer.transport.abort()
        else:
            self._writer.close()
