"""A connection to TWS or IB Gateway that comes back by itself, in a thread of its own."""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from ib_async import IB, StartupFetch

from adapters.brokers.ib_errors import Meaning, meaning_of
from adapters.brokers.ib_repairs import mend
from adapters.brokers.ib_unread import note_unread

T = TypeVar("T")
_PAPER_PREFIXES = ("DU", "DF")


def _wall_s() -> float:
    return time.time_ns() / 1e9


class LiveAccountError(ValueError):
    """The gateway is logged in to an account that the settings do not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IbSettings:
    """Where the gateway is. A live account is refused unless `live_account` names it."""

    host: str = "127.0.0.1"
    port: int = 4002
    client_id: int = 1
    account: str = ""
    live_account: str = ""
    answer_s_max: float = 10.0
    backoff_s_min: float = 1.0
    backoff_s_max: float = 60.0
    pulse_s: float = 15.0  # a connection that is silent for so long is asked whether it lives

    def __post_init__(self) -> None:
        if not 0 < self.port < 65_536:
            raise ValueError(f"port must be in 1..65535, was {self.port}")
        if not 0 < self.backoff_s_min <= self.backoff_s_max:
            raise ValueError(
                f"backoff_s_min must be in (0, {self.backoff_s_max}], was {self.backoff_s_min}"
            )
        for name in ("answer_s_max", "pulse_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, was {getattr(self, name)}")

    def choose_account(self, managed: list[str]) -> str:
        """Return the account to trade; LiveAccountError where it is live and not named so."""
        account = self.account or (managed[0] if len(managed) == 1 else "")
        if account not in managed:
            raise LiveAccountError(f"account must be one of {managed}, was {account!r}")
        if not account.startswith(_PAPER_PREFIXES) and account != self.live_account:
            raise LiveAccountError(
                f"live_account must name {account} to trade it, was {self.live_account!r} "
                "(a desk names it as account of kind ib_live)"
            )
        return account


class IbSession:
    """Runs ib_async on its own loop; every connection gets a fresh client.

    A nightly restart of the gateway rolls its order ids back: what a client remembers by order id
    would then be taken for another order, so nothing is carried over.
    """

    def __init__(
        self,
        settings: IbSettings,
        *,
        make_client: Callable[[], IB] = IB,
        on_client: Callable[[IB], None] = lambda _: None,
        on_data_lost: Callable[[], None] = lambda: None,
        now_s: Callable[[], float] = _wall_s,
        trades: bool = True,
    ) -> None:
        self.settings, self._make_client, self._on_client = settings, make_client, on_client
        self._on_data_lost = on_data_lost
        self._trades = trades  # a connection that sends no orders may be of any account
        self.account = ""
        self.connection_count = 0  # how often the broker was reached, or the way to it came back
        self.readings_asked = 0  # how often the account must be read for what was said of it
        self._tells_time = False
        self.clock_skew_s = 0.0  # how far the gateway's clock is ahead of ours
        self._now_s = now_s
        self.farms: dict[str, bool] = {}  # what the gateway said last of each data farm
        self.data_losses = 0  # how often subscriptions had to be made again
        self._unread: list[str] = []  # of the answers that are waited for: what cannot be read
        self._odd_zones: set[str] = set()  # of executions, told once each
        self._questions = 0  # how many answers are waited for
        self._turn = asyncio.Lock()
        self._client: IB | None = None
        self._upstream = True  # whether the gateway itself reaches the broker
        self._fatal: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ib", daemon=True)
        self._keeper: asyncio.Task[None] | None = None
        self._pulse: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Connect; raises ConnectionError, or LiveAccountError on an account not to be traded."""
        if not self._thread.is_alive():  # it lives on where an earlier try was refused
            self._thread.start()
        self.call(self._connect())

    def close(self) -> None:
        """Disconnect for good; of one that was never opened let go of what its loop holds."""
        if not self._thread.is_alive():
            self._loop.close()
            return
        self.call(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self.settings.answer_s_max)
        if not self._thread.is_alive():
            self._loop.close()  # it holds three files

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work on the loop and wait; OSError where it does not answer in time."""
        if self._loop.is_closed():
            work.close()
            raise ConnectionError("the session must be open, was closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(self.settings.answer_s_max * 3)
        except concurrent.futures.CancelledError:
            raise ConnectionError("the connection to the gateway was closed meanwhile") from None
        except TimeoutError:
            future.cancel()
            raise

    @property
    def is_connected(self) -> bool:
        return self._client is not None and self._client.isConnected() and self._upstream

    @property
    def refusal(self) -> str:
        """Return why the gateway is not reached any more until a person has acted, or nothing."""
        return "" if self._fatal is None else str(self._fatal)

    def raise_if_lost(self) -> None:
        """Raise OSError where only a person may mend the connection."""
        if self._fatal is not None:
            raise ConnectionRefusedError(str(self._fatal))

    @property
    def client(self) -> IB:
        """Return the connected client; ConnectionError where there is none."""
        self.raise_if_lost()
        if self._client is None or not self.is_connected:
            raise ConnectionError("the gateway must be connected, is not")
        return self._client

    async def _connect(self) -> None:
        client = self._make_client()
        note_unread(client, self._on_unread)
        mend(client, self._now_s, self._odd_zones)
        self._upstream = True
        client.errorEvent += self._on_error  # a way that is lost may be told at once, and only then
        await self._reach(client)
        try:
            if self._trades:
                self.account = self._chosen(client.managedAccounts())
            # Ids roll back at night: those of all that still works must not be given again.
            await self._in_time(client.reqAllOpenOrdersAsync())
            if not client.isConnected():
                raise ConnectionResetError("the connection broke while it was made")
        except (OSError, LiveAccountError) as error:
            client.disconnect()  # or its client id stays taken
            if isinstance(error, LiveAccountError):
                self._fatal = error
            raise
        self._client = client
        client.disconnectedEvent += self._on_disconnected
        self._on_client(client)
        self.connection_count += 1
        self._pulse = self._loop.create_task(self._feel_pulse(client))

    async def _reach(self, client: IB) -> None:
        """Log in; ConnectionError with what the gateway says where it lets nobody in."""
        settings, said = self.settings, list[str]()

        def note(_: int, code: int, text: str, __: object) -> None:
            said.append(f"{code}: {text}")

        client.errorEvent += note
        try:
            await client.connectAsync(
                settings.host,
                settings.port,
                clientId=settings.client_id,
                timeout=settings.answer_s_max,
                fetchFields=StartupFetch(0),  # what is needed is read when it is asked for
            )
        except TimeoutError:
            why = said[-1] if said else f"did not within {settings.answer_s_max:g} s"
            raise ConnectionError(
                f"the gateway must let client {settings.client_id} in, {why}"
            ) from None
        finally:
            client.errorEvent -= note

    def _chosen(self, managed: list[str]) -> str:
        account = self.settings.choose_account(managed)
        if self.account and account != self.account:
            raise LiveAccountError(f"account must stay {self.account}, was {account}")
        return account

    async def _in_time(self, work: Any) -> Any:
        wait_s = self.settings.answer_s_max
        try:
            return await asyncio.wait_for(work, wait_s)
        except TimeoutError:
            raise TimeoutError(f"the gateway must answer within {wait_s:g} s, did not") from None

    async def read(self, question: Awaitable[T]) -> T:
        """Return an answer; OSError where it does not come in time, or a part cannot be read.

        An order that the client library cannot read is at the broker all the same.
        """
        self._questions += 1
        try:
            answer = await self._in_time(question)
            if self._unread:
                raise ConnectionError(
                    f"every message of the gateway must be readable, was not: {self._unread[0]}"
                )
            return answer
        finally:
            self._questions -= 1
            if not self._questions:
                self._unread.clear()

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Ask what is answered without the number of its question: one at a time.

        An answer that did not come in time may come yet, and would be taken for that of the next
        question, by which an order that was sent since has never arrived: the line is hung up.
        """
        async with self._turn:
            client = self._client
            try:
                return await self.read(question())
            except (TimeoutError, asyncio.CancelledError):
                if client is not None and client.isConnected():
                    client.disconnect()
                raise

    def ask_for_reading(self) -> None:
        """Have the whole account read and reconciled soon: something was said that it explains."""
        self.readings_asked += 1

    def _on_unread(self, what: str) -> None:
        if self._questions:
            self._unread.append(what)
        else:
            self.ask_for_reading()  # it was said unasked: what it said must be asked for

    async def _feel_pulse(self, client: IB) -> None:
        """Ask for the time now and then: a socket may be dead without anybody having said so."""
        while self._client is client and client.isConnected():
            try:
                told = await self._in_time(client.reqCurrentTimeAsync())
                self.clock_skew_s = told.timestamp() - self._now_s()
                self._tells_time = True
            except OSError:
                # A gateway that has never told the time is not dead because it does not.
                if self._tells_time and self._client is client:
                    client.disconnect()  # as if the other side had hung up: it is reached anew
                    return
            await asyncio.sleep(self.settings.pulse_s)

    async def _leave(self) -> None:
        self._fatal = ConnectionError("the session was closed")
        # Whoever still waits for an answer is told at once, and the loop ends with nothing on it.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=self.settings.answer_s_max)
        if self._client is not None:
            self._client.disconnect()

    def _on_disconnected(self) -> None:
        if self._fatal is None and (self._keeper is None or self._keeper.done()):
            self._keeper = self._loop.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        wait_s = self.settings.backoff_s_min
        while self._fatal is None:
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self.settings.backoff_s_max)
            try:
                await self._connect()
            except OSError:
                continue
            except LiveAccountError:
                return  # the gateway came back with another account: only a person may mend it
            self.data_losses += 1
            return

    def _on_error(self, _: int, code: int, text: str, __: object) -> None:
        meaning = meaning_of(code, text)
        if meaning is Meaning.UPSTREAM_LOST:
            self._upstream = False
        elif meaning in (Meaning.DATA_LOST, Meaning.DATA_KEPT):
            self._upstream = True
            self.connection_count += 1  # what happened meanwhile must be asked for
            if meaning is Meaning.DATA_LOST and self._client is not None:
                self.data_losses += 1
                self._on_data_lost()
        elif meaning in (Meaning.FARM_DOWN, Meaning.FARM_UP):
            self.farms[text.rsplit(":", 1)[-1].strip()] = meaning is Meaning.FARM_UP
