"""One client's connection: handshake, start, then requests, each to the handler of its number."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from datetime import date
from typing import Protocol

from gateway_simulator.catalogue import Catalogue
from gateway_simulator.clock import Clock, local_of
from gateway_simulator.error_codes import Code
from gateway_simulator.handshake import GreetingReader, RefusedError, choose_version
from gateway_simulator.listings import Asked, Listing
from gateway_simulator.market import Market
from gateway_simulator.message_ids import In, Out
from gateway_simulator.outbox import Outbox
from gateway_simulator.pacing import HistoryPace
from gateway_simulator.settings import GatewaySettings
from gateway_simulator.venue import Venue
from gateway_simulator.wire import BadMessageError, Field, Fields, FrameReader

Handler = Callable[["Session", Fields], None]
_READ_BYTES = 65_536
NO_REQUEST = -1


class Faults(Protocol):
    """What a session asks of the faults: they see each message before it is handled."""

    paces_next: bool

    def lets_in(self, session: "Session", name: str) -> bool: ...

    def count(self, event: str) -> None: ...


class ServingGateway(Protocol):
    """What a session and its handlers need of the gateway behind them."""

    settings: GatewaySettings
    clock: Clock
    catalogue: Catalogue
    market: Market
    venue: Venue
    history_pace: HistoryPace
    upstream: bool
    report: Callable[[str], None]

    @property
    def faults(self) -> Faults: ...

    def today(self) -> date: ...

    def find_session(self, client_id: int) -> "Session | None": ...

    def find_listings(self, asked: Asked) -> list[Listing]: ...

    def next_order_id(self, client_id: int) -> int: ...

    def use_order_id(self, client_id: int, order_id: int) -> None: ...

    def note(self, session: "Session", name: str, raw: list[str]) -> None: ...

    def forget(self, session: "Session") -> None: ...


class Session:
    """A client that is connected; it knows what it subscribed to, and nothing that lasts."""

    def __init__(
        self,
        gateway: ServingGateway,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handlers: Mapping[In, Handler],
    ) -> None:
        self.gateway, self._reader, self._handlers = gateway, reader, handlers
        self.outbox = Outbox(writer, random.Random(gateway.settings.seed))
        self.version = 0
        self.client_id: int | None = None
        self.tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self.market_data_type = 1
        self.binds_by_itself = False
        self.wants_account = ""  # the account whose updates it subscribed to
        self.wants_positions = False
        self._times: deque[float] = deque()
        self._greeted = GreetingReader()
        self._frames = FrameReader()

    @property
    def is_started(self) -> bool:
        return self.client_id is not None

    async def run(self) -> None:
        """Serve the client until it leaves or is thrown out."""
        try:
            rest = await self._greet()
            await self._serve(rest)
        except RefusedError as refused:
            self.gateway.report(f"refused: {refused}")
        except BadMessageError as error:
            self.error(NO_REQUEST, Code.READING, reason=error)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # it left without a word
        finally:
            self.close()

    async def _greet(self) -> bytes:
        while True:
            data = await self._reader.read(_READ_BYTES)
            if not data:
                raise ConnectionResetError
            done = self._greeted.feed(data)
            if done is not None:
                break
        offered, rest = done
        self.version = choose_version(offered, highest=self.gateway.settings.server_version)
        now = local_of(self.gateway.clock.now_ns())
        self.send(str(self.version), f"{now:%Y%m%d %H:%M:%S} EST")
        return rest

    async def _serve(self, rest: bytes) -> None:
        data = rest
        while True:
            for fields in self._frames.feed(data):
                if not self.outbox.silent and not self._handle(fields):
                    return
                await asyncio.sleep(0)  # the others have their turn between two messages
            data = await self._reader.read(_READ_BYTES)
            if not data:
                return

    def _handle(self, raw: list[str]) -> bool:
        """Handle one message; False where the client is thrown out."""
        fields = Fields(raw)
        number = fields.whole()
        known = number in In.__members__.values()
        handler = self._handlers.get(In(number)) if known else None
        if not self._is_in_pace():
            return False
        if handler is None:
            self.error(NO_REQUEST, Code.UNKNOWN_MESSAGE)
            return True
        if not self.is_started and number != In.START_API:
            return True  # nothing is heard before the start
        name = In(number).name.lower()
        self.gateway.note(self, name, raw)
        if not self.gateway.faults.lets_in(self, name):
            return not self.outbox.silent
        try:
            handler(self, fields)
        except (BadMessageError, ValueError) as error:
            self.error(NO_REQUEST, Code.READING, reason=error)
        return self.is_started

    def _is_in_pace(self) -> bool:
        now = asyncio.get_running_loop().time()
        most = self.gateway.settings.messages_per_s_max
        self._times.append(now)
        while self._times[0] < now - 1.0:
            self._times.popleft()
        if not most or len(self._times) <= most:
            return True
        self.error(NO_REQUEST, Code.MAX_RATE, rate=len(self._times))
        # The gateway hangs up on who goes on after three warnings in a second.
        return len(self._times) <= most + 3

    def send(self, *fields: Field) -> None:
        self.outbox.send(fields)

    def error(self, request_id: int, code: Code, **parts: object) -> None:
        self.error_text(request_id, code.number, code.text(**parts))

    def error_text(self, request_id: int, number: int, text: str) -> None:
        """Tell an error; request id -1 belongs to no request."""
        tail = [""] if self.version >= 166 else []
        self.send(Out.ERROR, 2, request_id, number, text, *tail)

    def start_task(self, kind: str, request_id: int, task: "asyncio.Task[None]") -> None:
        self.stop_task(kind, request_id)
        self.tasks[kind, request_id] = task

    def stop_task(self, kind: str, request_id: int) -> bool:
        """Stop a subscription; False where there is none."""
        task = self.tasks.pop((kind, request_id), None)
        if task is not None:
            task.cancel()
        return task is not None

    def stop_subscriptions(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        self.tasks.clear()

    def close(self, *, abruptly: bool = False) -> None:
        """Hang up; abruptly without the goodbye of TCP."""
        self.stop_subscriptions()
        self.gateway.forget(self)
        self.outbox.close(abruptly=abruptly)
