"""The gateway: it listens, keeps its clients apart, and tells each what concerns it."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal

from gateway_simulator import order_messages
from gateway_simulator.catalogue import Catalogue
from gateway_simulator.clock import Clock, local_of
from gateway_simulator.default_listings import default_listings, share
from gateway_simulator.error_codes import Code
from gateway_simulator.fault_book import FaultBook
from gateway_simulator.faults import Fault
from gateway_simulator.handling import HANDLERS
from gateway_simulator.ledger import Account
from gateway_simulator.listings import Asked, Listing
from gateway_simulator.market import Market
from gateway_simulator.order_request import OrderRequest
from gateway_simulator.orders import Commission, Execution, LiveOrder
from gateway_simulator.pacing import HistoryPace
from gateway_simulator.session import NO_REQUEST, Session
from gateway_simulator.settings import GatewaySettings
from gateway_simulator.venue import Fact, OrderTold, Refused, Venue
from gateway_simulator.wire import plain


class Gateway:
    """Everything behind the port; all methods are to be called on its event loop."""

    def __init__(
        self,
        settings: GatewaySettings | None = None,
        *,
        clock: Clock | None = None,
        listings: Iterable[Listing] | None = None,
        script: Iterable[Fault] = (),
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = settings or GatewaySettings()
        self.clock = clock or Clock()
        self.report = report
        self.catalogue = Catalogue(default_listings(self.today()) if listings is None else listings)
        self.market = Market(self.catalogue, self.clock, self.settings.seed)
        accounts = {
            name: Account(name, self.settings.currency, self.settings.cash)
            for name in self.settings.accounts
        }
        self.venue = Venue(
            self.catalogue,
            self.market,
            self.clock,
            accounts,
            self.told,
            matches_by_itself=self.settings.matches_by_itself,
        )
        self.faults = FaultBook(self, script)
        self.history_pace = HistoryPace()
        self.sessions: list[Session] = []
        self.leaving: set[Session] = set()
        self.upstream = True
        self.connection_count = 0
        self._kept: list[Fact] = []  # what happened while the upstream was lost
        self._delay_s, self._torn = 0.0, False
        self._refuses_until = 0.0
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._highest_id: dict[int, int] = {}

    def today(self) -> date:
        return local_of(self.clock.now_ns()).date()

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the gateway must be started first")
        return self._server.sockets[0].getsockname()[1]

    async def start(self) -> None:
        """Listen; OSError where the port is taken."""
        self._server = await asyncio.start_server(
            self._serve, self.settings.host, self.settings.port
        )
        self.faults.start()
        if self.settings.market_every_s:
            self._tasks.append(asyncio.create_task(self._move_market()))
        if self.settings.auctions_every_s:
            self._tasks.append(asyncio.create_task(self._hold_auctions()))

    async def stop(self) -> None:
        """Hang up on everybody and stop listening."""
        for task in self._tasks:
            task.cancel()
        for session in list(self.sessions):
            session.close()
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 1.0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asyncio.get_running_loop().time() < self._refuses_until:
            writer.transport.abort()
            return
        session = Session(self, reader, writer, HANDLERS)
        session.outbox.delay_s = self._delay_s
        if self._torn:
            session.outbox.tear()
        self.sessions.append(session)
        self.connection_count += 1
        await session.run()

    async def _move_market(self) -> None:
        while True:
            await asyncio.sleep(self.settings.market_every_s)
            self.venue.on_market()

    async def _hold_auctions(self) -> None:
        while True:
            await asyncio.sleep(self.settings.auctions_every_s)
            self.venue.auction("open")
            self.venue.auction("close")

    def forget(self, session: Session) -> None:
        self.leaving.discard(session)
        if session in self.sessions:
            self.sessions.remove(session)
            if session.is_started:
                self.report(f"client {session.client_id} left")

    def note(self, session: Session, name: str, raw: list[str]) -> None:
        self.report(f"client {session.client_id} {name} {' '.join(raw[1:12])}".rstrip())

    def find_session(self, client_id: int) -> Session | None:
        found = [s for s in self.sessions if s.client_id == client_id and not s.outbox.silent]
        return found[0] if found else None

    def next_order_id(self, client_id: int) -> int:
        """Return the next id of a client; after a restart it begins at 1 again."""
        return self._highest_id.get(client_id, 0) + 1

    def use_order_id(self, client_id: int, order_id: int) -> None:
        self._highest_id[client_id] = max(self._highest_id.get(client_id, 0), order_id)

    def find_listings(self, asked: Asked) -> list[Listing]:
        """Return what answers to a description; a share nobody lists is listed if so set."""
        found = self.catalogue.find(asked)
        may_list = self.settings.unlisted_shares and asked.sec_type == "STK" and asked.symbol
        if not found and may_list and asked.currency in ("", "USD") and not asked.con_id:
            self.catalogue.add(share(asked.symbol))
            found = self.catalogue.find(asked)
        return found

    def told(self, fact: Fact) -> None:
        """Hear a fact from the venue and pass it on, as the faults will have it."""
        self.report(describe(fact))
        if isinstance(fact, Execution):
            self.faults.count("fill")
        for delay_s, shaped in self.faults.shape(fact):
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, self.deliver, shaped)
            else:
                self.deliver(shaped)

    def deliver(self, fact: Fact) -> None:
        """Tell a fact to every client that it concerns."""
        if not self.upstream:
            self._kept.append(fact)
            return
        for session in list(self.sessions):
            if session.is_started and self._concerns(session, fact):
                _say(session, fact)

    def _concerns(self, session: Session, fact: Fact) -> bool:
        if isinstance(fact, Refused):
            return fact.client_id == session.client_id and fact.order_id > 0
        if isinstance(fact, Commission):
            done = [e for e in self.venue.executions if e.exec_id == fact.exec_id]
            return bool(done) and self._concerns(session, OrderTold(done[0].order))
        order = fact.order
        is_master = session.client_id == self.settings.master_client_id
        if order.order_id <= 0:
            return is_master or (session.client_id == 0 and session.binds_by_itself)
        return is_master or order.client_id == session.client_id

    def place_by_hand(
        self,
        symbol: str,
        action: str,
        quantity: Decimal,
        limit: Decimal | None = None,
        *,
        account: str = "",
    ) -> LiveOrder | None:
        """Place an order as a person does in the window of the gateway: without an order id."""
        listings = self.find_listings(Asked(symbol=symbol, sec_type="STK", currency="USD"))
        if len(listings) != 1:
            raise ValueError(f"symbol must name one share, {symbol} did {len(listings)}")
        values = {
            "action": action,
            "totalQuantity": plain(quantity),
            "orderType": "MKT" if limit is None else "LMT",
            "lmtPrice": "" if limit is None else plain(limit),
            "tif": "GTC",
            "transmit": "1",
            "account": account,
        }
        asked = Asked(con_id=listings[0].con_id)
        return self.venue.place(
            0, OrderRequest(order_id=0, contract=asked, values=values), listings[0]
        )

    def fill_working(self) -> None:
        """Fill all that works, at the quote of the moment."""
        for order in self.venue.working:
            if order.status.is_final or order.held == "child":
                continue
            quote = self.market.quote(order.listing)
            price = order.limit or (quote.ask if order.side > 0 else quote.bid)
            self.venue.fill(order, order.remaining, price)

    def restart(self, *, away_s: float = 0.0) -> None:
        """Restart as every night: connections break, order ids begin at 1 again."""
        self.venue.run += 1
        self._highest_id.clear()
        self.refuse_for(away_s)
        for session in list(self.sessions):
            session.close(abruptly=True)

    def refuse_for(self, seconds: float) -> None:
        self._refuses_until = asyncio.get_running_loop().time() + seconds

    def set_upstream(self, code: Code) -> None:
        """Lose the way to the broker (1100), or find it again (1101, 1102)."""
        self.upstream = code is not Code.UPSTREAM_LOST
        self.say_to_all(code)
        if code is Code.UPSTREAM_BACK_DATA_LOST:
            for session in self.sessions:
                session.stop_subscriptions()
        if self.upstream:
            kept, self._kept = self._kept, []
            for fact in kept:
                self.deliver(fact)

    def say_to_all(self, code: Code, **parts: object) -> None:
        for session in list(self.sessions):
            if session.is_started:
                session.error(NO_REQUEST, code, **parts)

    def set_delay(self, delay_s: float) -> None:
        self._delay_s = delay_s
        for session in self.sessions:
            session.outbox.delay_s = delay_s

    def tear(self) -> None:
        self._torn = True
        for session in self.sessions:
            session.outbox.tear()

    def end_faults(self) -> None:
        """Let delays, skew, partial fills and tearing of new connections end."""
        self.set_delay(0.0)
        self._torn, self.clock.skew_ns, self.venue.fill_most = False, 0, None
        self._refuses_until = 0.0


def _say(session: Session, fact: Fact) -> None:
    match fact:
        case OrderTold(order):
            session.send(*order_messages.open_order(order, session.version))
            session.send(*order_messages.order_status(order))
        case Refused():
            session.error_text(fact.order_id, fact.refusal.code, fact.refusal.text)
        case Execution():
            session.send(*order_messages.execution(fact, NO_REQUEST))
        case Commission():
            session.send(*order_messages.commission(fact))


def describe(fact: Fact) -> str:
    """Return a fact in one line, for a person who watches."""
    match fact:
        case OrderTold(order):
            limit = f" at {plain(order.limit)}" if order.limit is not None else ""
            return (
                f"order {order.order_id} ({order.perm_id}) of client {order.client_id}: "
                f"{order.request.text('action')} {plain(order.quantity)} "
                f"{order.listing.local_symbol} {order.kind}{limit} {order.status.value}, "
                f"{plain(order.filled)} filled"
            )
        case Refused():
            return f"order {fact.order_id}: {fact.refusal.code} {fact.refusal.text}"
        case Execution():
            price = plain(fact.price)
            return f"fill {fact.exec_id}: {fact.side} {plain(fact.quantity)} at {price}"
        case Commission():
            return f"commission of {fact.exec_id}: {plain(fact.amount)} {fact.currency}"
