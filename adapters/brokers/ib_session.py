"""A connection to TWS or IB Gateway that comes back by itself, in a thread of its own."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from ib_async import IB, StartupFetch

T = TypeVar("T")
_UPSTREAM_LOST, _DATA_LOST, _DATA_KEPT = 1100, 1101, 1102
_FARM_DOWN, _FARM_UP = frozenset({2103, 2105, 2157}), frozenset({2104, 2106, 2107, 2108, 2158})
_PAPER_PREFIXES = ("DU", "DF")


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

    def __post_init__(self) -> None:
        if not 0 < self.port < 65_536:
            raise ValueError(f"port must be in 1..65535, was {self.port}")
        if not 0 < self.backoff_s_min <= self.backoff_s_max:
            raise ValueError(
                f"backoff_s_min must be in (0, {self.backoff_s_max}], was {self.backoff_s_min}"
            )

    def choose_account(self, managed: list[str]) -> str:
        """Return the account to trade; LiveAccountError where it is live and not named so."""
        account = self.account or (managed[0] if len(managed) == 1 else "")
        if account not in managed:
            raise LiveAccountError(f"account must be one of {managed}, was {account!r}")
        if not account.startswith(_PAPER_PREFIXES) and account != self.live_account:
            raise LiveAccountError(
                f"live_account must name {account} to trade it, was {self.live_account!r}"
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
    ) -> None:
        self.settings, self._make_client, self._on_client = settings, make_client, on_client
        self.account = ""
        self.connection_count = 0
        self.farms: dict[str, bool] = {}  # what the gateway said last of each data farm
        self.data_lost = False  # subscriptions must be made again
        self._client: IB | None = None
        self._upstream = True  # whether the gateway itself reaches the broker
        self._fatal: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ib", daemon=True)
        self._keeper: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Connect; raises ConnectionError, or LiveAccountError on an account not to be traded."""
        self._thread.start()
        self.call(self._connect())

    def close(self) -> None:
        """Disconnect for good."""
        if not self._thread.is_alive():
            return
        self.call(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self.settings.answer_s_max)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work on the loop and wait; OSError where it does not answer in time."""
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
    def client(self) -> IB:
        """Return the connected client; ConnectionError where there is none."""
        if self._fatal is not None:
            raise ConnectionRefusedError(str(self._fatal))
        if self._client is None or not self.is_connected:
            raise ConnectionError("the gateway must be connected, is not")
        return self._client

    async def _connect(self) -> None:
        client, settings = self._make_client(), self.settings
        await client.connectAsync(
            settings.host,
            settings.port,
            clientId=settings.client_id,
            timeout=settings.answer_s_max,
            fetchFields=StartupFetch(0),  # what is needed is read when it is asked for
        )
        try:
            self.account = settings.choose_account(client.managedAccounts())
        except LiveAccountError as error:
            self._fatal = error
            client.disconnect()
            raise
        self._client, self._upstream = client, True
        client.errorEvent += self._on_error
        client.disconnectedEvent += self._on_disconnected
        self._on_client(client)
        self.connection_count += 1

    async def _leave(self) -> None:
        self._fatal = ConnectionError("the session was closed")
        if self._keeper is not None:
            self._keeper.cancel()
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
            self.data_lost = True
            return

    def _on_error(self, _: int, code: int, text: str, __: object) -> None:
        if code == _UPSTREAM_LOST:
            self._upstream = False
        elif code in (_DATA_LOST, _DATA_KEPT):
            self._upstream = True
            self.data_lost = self.data_lost or code == _DATA_LOST
            self.connection_count += 1  # what happened meanwhile must be asked for
        elif code in _FARM_DOWN or code in _FARM_UP:
            self.farms[text.rsplit(":", 1)[-1].strip()] = code in _FARM_UP
