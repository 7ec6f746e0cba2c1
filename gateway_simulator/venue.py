"""The broker behind the gateway: it takes orders, matches them, and keeps what happened.

What happens is told to one listener as facts; connections come and go without the venue noticing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gateway_simulator import matching
from gateway_simulator.catalogue import Catalogue
from gateway_simulator.clock import Clock, parse_date_time
from gateway_simulator.error_codes import Code
from gateway_simulator.ledger import Account, commission_of, margin_of
from gateway_simulator.listings import Listing
from gateway_simulator.market import Market
from gateway_simulator.order_request import OrderRequest
from gateway_simulator.orders import Commission, Execution, LiveOrder, Margin, Status
from gateway_simulator.validation import Refusal, find_refusal, refuse
from gateway_simulator.wire import plain

_FIRST_PERM_ID = 1_900_000_000


@dataclass(frozen=True, slots=True)
class OrderTold:
    """An order is new, or stands differently now."""

    order: LiveOrder


@dataclass(frozen=True, slots=True)
class Refused:
    """Something about an order was refused; the order, if there is one, stands as it stood."""

    client_id: int
    order_id: int
    refusal: Refusal


Fact = OrderTold | Refused | Execution | Commission


@dataclass
class Venue:
    """Orders, executions and accounts; everything in it outlives a connection."""

    catalogue: Catalogue
    market: Market
    clock: Clock
    accounts: dict[str, Account]
    tell: Callable[[Fact], None]
    matches_by_itself: bool = True
    fill_most: Decimal | None = None  # how much fills at once at most: partial fills
    run: int = 0  # counts the restarts of the gateway: within one, order ids are used once
    orders: list[LiveOrder] = field(default_factory=list[LiveOrder])
    executions: list[Execution] = field(default_factory=list[Execution])
    commissions: dict[str, Commission] = field(default_factory=dict[str, Commission])
    received_count: int = 0
    next_rejection: str = ""  # the reason for which the next order or change is rejected
    _perm_id: int = _FIRST_PERM_ID

    @property
    def working(self) -> list[LiveOrder]:
        return [order for order in self.orders if not order.status.is_final]

    def find(self, client_id: int, order_id: int) -> LiveOrder | None:
        """Return the newest order of a client under an id; ids repeat after a restart."""
        mine = [o for o in self.orders if o.key == (client_id, order_id)]
        live = [o for o in mine if not o.status.is_final]
        return (live or mine or [None])[-1]

    def place(self, client_id: int, request: OrderRequest, listing: Listing) -> LiveOrder | None:
        """Take an order, or change the one that has its id; None where it was refused."""
        known = self.find(client_id, request.order_id) if request.order_id else None
        if known is not None and not known.status.is_final:
            return self._modify(known, request, listing)
        if known is not None and known.run == self.run:
            code = Code.FILLED if known.status is Status.FILLED else Code.DUPLICATE_ORDER
            return self._refuse(client_id, request.order_id, refuse(code))
        refusal = find_refusal(request, listing, list(self.accounts))
        parent_id = request.whole("parentId")
        parent = self.find(client_id, parent_id) if parent_id else None
        if refusal is None and parent_id and (parent is None or parent.status.is_final):
            refusal = refuse(Code.NO_ORDER, order_id=parent_id)
        if refusal is not None:
            return self._refuse(client_id, request.order_id, refusal)
        return self._accept(client_id, request, listing, parent)

    def what_if(
        self, client_id: int, request: OrderRequest, listing: Listing
    ) -> tuple[LiveOrder, Margin] | None:
        """Return what an order would do to the account; None where it was refused."""
        refusal = find_refusal(request, listing, list(self.accounts))
        if refusal is not None:
            self._refuse(client_id, request.order_id, refusal)
            return None
        order = self._new(client_id, request, listing, perm_id=0)
        order.status = Status.PRE_SUBMITTED
        return order, self._margin(order)

    def _new(
        self, client_id: int, request: OrderRequest, listing: Listing, perm_id: int
    ) -> LiveOrder:
        account = request.text("account") or next(iter(self.accounts))
        return LiveOrder(
            request, listing, client_id, request.order_id, perm_id, account, run=self.run
        )

    def _accept(
        self, client_id: int, request: OrderRequest, listing: Listing, parent: LiveOrder | None
    ) -> LiveOrder:
        self.received_count += 1
        self._perm_id += 1
        order = self._new(client_id, request, listing, self._perm_id)
        self.orders.append(order)
        reason, self.next_rejection = self.next_rejection or self._find_shortfall(order), ""
        if reason:
            order.status, order.reason = Status.INACTIVE, reason
            order.ended_ns = self.clock.now_ns()
            self.tell(OrderTold(order))
            self._refuse(client_id, order.order_id, refuse(Code.REJECTED, reason=reason))
            return order
        if parent is not None:
            parent.children.append(order)
        self._release(order)
        self.tell(OrderTold(order))
        self._transmit(order, parent)
        return order

    def _release(self, order: LiveOrder) -> None:
        """Let an order stand where its kind lets it stand; held ones wait for `transmit`."""
        if not order.request.flag("transmit"):
            order.status, order.held = Status.PENDING_SUBMIT, ""
        elif order.parent_id and not self._parent_filled(order):
            order.status, order.held = Status.PRE_SUBMITTED, "child"
        elif order.auction or order.stop is not None:
            order.status, order.held = Status.PRE_SUBMITTED, "trigger" if order.stop else ""
        else:
            order.status, order.held = Status.SUBMITTED, ""

    def _parent_filled(self, order: LiveOrder) -> bool:
        parents = [o for o in self.orders if order in o.children]
        return bool(parents) and parents[-1].status is Status.FILLED

    def _transmit(self, order: LiveOrder, parent: LiveOrder | None) -> None:
        if not order.request.flag("transmit"):
            return
        family = [parent, *parent.children] if parent is not None else []
        for held in family:
            if held is not order and held.status is Status.PENDING_SUBMIT:
                held.request = _transmitted(held.request)
                self._release(held)
                self.tell(OrderTold(held))
        for started in [*family, order] if order not in family else family:
            self._match(started)

    def _modify(
        self, order: LiveOrder, request: OrderRequest, listing: Listing
    ) -> LiveOrder | None:
        client_id, order_id = order.key
        if listing.con_id != order.listing.con_id:
            return self._refuse(client_id, order_id, refuse(Code.NO_MATCH))
        if request.text("action").upper() != order.request.text("action").upper():
            return self._refuse(client_id, order_id, refuse(Code.NO_MATCH))
        if request.text("orderRef") != order.ref and request.text("orderRef") and order.ref:
            return self._refuse(client_id, order_id, refuse(Code.DUPLICATE_ORDER))
        refusal = find_refusal(request, listing, list(self.accounts))
        if refusal is None and (request.number("totalQuantity") or 0) < order.filled:
            refusal = refuse(Code.VALIDATING, request="bW", reason="Less than has been filled.")
        reason, self.next_rejection = self.next_rejection, ""
        if refusal is None and reason:
            refusal = refuse(Code.REJECTED, reason=reason)
        if refusal is not None:
            return self._refuse(client_id, order_id, refusal)
        order.change(request)
        if not order.remaining:
            self._end(order, Status.FILLED)
            return order
        self._release(order)
        self.tell(OrderTold(order))
        self._transmit(order, next((o for o in self.orders if order in o.children), None))
        return order

    def _refuse(self, client_id: int, order_id: int, refusal: Refusal) -> None:
        self.tell(Refused(client_id, order_id, refusal))

    def cancel(self, order: LiveOrder, reason: str = "") -> None:
        """End an order and its children; its error 202 is told to whoever placed it."""
        for child in order.children:
            if not child.status.is_final:
                self.cancel(child, reason)
        order.reason = reason
        self._end(order, Status.CANCELLED)
        told = refuse(Code.CANCELLED, reason=reason)
        self.tell(Refused(order.client_id, order.order_id, told))

    def cancel_all(self) -> None:
        for order in self.working:
            if not order.status.is_final:
                self.cancel(order)

    def _end(self, order: LiveOrder, status: Status) -> None:
        order.status, order.ended_ns, order.held = status, self.clock.now_ns(), ""
        self.tell(OrderTold(order))

    def on_market(self) -> None:
        """Try every working order against the quotes of this moment."""
        for order in self.working:
            if not order.status.is_final:
                self._match(order)

    def _match(self, order: LiveOrder) -> None:
        if self._is_over(order):
            self.cancel(order, "The order's time is over.")
            return
        if order.auction or not self._may_fill(order):
            return
        quote = self.market.quote(order.listing)
        if matching.is_stopped(order, quote):
            return
        if order.stop is not None and not order.triggered:
            order.triggered, order.status, order.held = True, Status.SUBMITTED, ""
            self.tell(OrderTold(order))
        found = matching.find_match(order, quote, self.fill_most)
        if found is not None:
            self.fill(order, found.quantity, found.price)
        if order.tif in ("IOC", "FOK") and not order.status.is_final:
            self.cancel(order)

    def _is_over(self, order: LiveOrder) -> bool:
        """Tell whether an order was good until a moment that has passed."""
        until = order.request.text("goodTillDate") if order.tif == "GTD" else ""
        return bool(until) and parse_date_time(until, 0) <= self.clock.now_ns()

    def _may_fill(self, order: LiveOrder) -> bool:
        waits = order.held == "child" or order.status is Status.PENDING_SUBMIT
        return self.matches_by_itself and not waits and not order.status.is_final

    def auction(self, name: str) -> None:
        """Hold the opening or the closing auction: what cannot fill in it is cancelled."""
        for order in self.working:
            if order.auction != name or order.status is not Status.PRE_SUBMITTED or order.held:
                continue
            price = self.market.quote(order.listing).last
            found = matching.find_auction_match(order, price)
            if found is None:
                self.cancel(order, "The auction was beyond the limit.")
            else:
                self.fill(order, found.quantity, found.price)

    def end_day(self) -> None:
        """Expire every order that is good for a day, and settle futures at their last prices."""
        for account in self.accounts.values():
            account.settle(self.prices(account))
        for order in self.working:
            if order.tif not in ("GTC", "GTD") and not order.status.is_final:
                self.cancel(order, "The day has ended.")

    def fill(self, order: LiveOrder, quantity: Decimal, price: Decimal) -> Execution:
        """Fill a part of an order; ValueError where it is no part of what is left."""
        if not 0 < quantity <= order.remaining or order.status.is_final:
            raise ValueError(f"quantity must be in 0..{order.remaining}, was {quantity}")
        order.filled += quantity
        order.paid += quantity * price
        order.last_price = price
        number = len(self.executions) + 1
        done = Execution(
            exec_id=f"0000e0d5.{order.perm_id:08x}.{number:04d}.01",
            order=order,
            listing=order.listing,
            time_ns=self.clock.now_ns() // 10**9 * 10**9,
            quantity=quantity,
            price=price,
            side="BOT" if order.side > 0 else "SLD",
            cumulative=order.filled,
            average_price=order.average_price,
            order_id=order.order_id,
            client_id=order.client_id,
            exchange=order.listing.primary_exchange or order.listing.exchange,
        )
        self._book(order, done)
        return done

    def take_back(self, exec_id: str) -> Execution:
        """Take a whole execution back, as an exchange busts a trade; what it cost stays charged.

        It is told again without shares, under an id that ends in 02; ValueError where it is none.
        """
        found = [e for e in self.executions if e.exec_id == exec_id and e.quantity]
        again = exec_id.removesuffix(".01") + ".02"
        if not found or again in self.commissions:
            raise ValueError(f"exec_id must be of an execution that stands, was {exec_id!r}")
        done = found[0]
        other = "SLD" if done.side == "BOT" else "BOT"
        self.accounts[done.order.account].book(replace(done, side=other))
        gone = replace(done, exec_id=again, quantity=Decimal(0))
        self.commissions[again] = replace(self.commissions[exec_id], exec_id=again)
        self.executions.append(gone)
        self.tell(gone)
        return gone

    def _book(self, order: LiveOrder, done: Execution) -> None:
        account = self.accounts[order.account]
        realized = account.book(done)
        listing = order.listing
        cost = commission_of(listing, done.quantity, done.price)
        paid = Commission(
            exec_id=done.exec_id, amount=cost, currency=listing.currency, realized=realized
        )
        account.charge(paid)
        self.executions.append(done)
        self.commissions[done.exec_id] = paid
        full = not order.remaining
        if full:
            order.status, order.ended_ns = Status.FILLED, self.clock.now_ns()
        self.tell(done)
        self.tell(OrderTold(order))
        self.tell(paid)
        if full:
            self._after_fill(order)
        self._reduce_group(order, done.quantity, full=full)

    def _after_fill(self, order: LiveOrder) -> None:
        for child in order.children:
            if child.status.is_final or child.held != "child":
                continue
            self._release(child)
            self.tell(OrderTold(child))
            self._match(child)

    def _reduce_group(self, order: LiveOrder, quantity: Decimal, *, full: bool) -> None:
        """One cancels all; a partial fill takes as much from the others, unless type 1 says all.

        The children of one parent are a group of type 3 by themselves.
        """
        name = order.request.text("ocaGroup")
        siblings = next((o.children for o in self.orders if order in o.children), [])
        for other in list(self.working):
            named = bool(name) and other.request.text("ocaGroup") == name
            if other is order or other.status.is_final or not (named or other in siblings):
                continue
            all_at_once = named and order.request.whole("ocaType") in (0, 1)
            if full or all_at_once or other.remaining <= quantity:
                self.cancel(other)
                continue
            left = {**other.request.values, "totalQuantity": plain(other.quantity - quantity)}
            other.request = replace(other.request, values=left)
            self.tell(OrderTold(other))

    def _find_shortfall(self, order: LiveOrder) -> str:
        """Return why the account cannot carry an order, or nothing where it can."""
        if order.held == "child" or order.parent_id:
            return ""
        margin = self._margin(order)
        if margin.equity_after >= margin.initial_after or self._reduces(order):
            return ""
        return (
            "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH "
            f"LOAN VALUE [{margin.equity_after} {margin.currency}] MUST EXCEED THE INITIAL MARGIN "
            f"[{margin.initial_after} {margin.currency}]"
        )

    def _reduces(self, order: LiveOrder) -> bool:
        held = self.accounts[order.account].holdings.get(order.listing.con_id)
        return held is not None and held.quantity * order.side < 0

    def _margin(self, order: LiveOrder) -> Margin:
        account = self.accounts[order.account]
        quote = self.market.quote(order.listing)
        price = quote.ask if order.side > 0 else quote.bid
        return margin_of(account, order, price, self.prices(account), self.rates(account))

    def prices(self, account: Account) -> dict[int, Decimal]:
        """Return the price of all that an account holds, by contract id."""
        held = [h.listing for h in account.holdings.values() if h.quantity]
        return {listing.con_id: self.market.quote(listing).last for listing in held}

    def rates(self, account: Account) -> dict[str, Decimal]:
        """Return what each currency of an account is worth in its base currency."""
        return {c: self.rate(c, account.base) for c in {*account.cash, *self._currencies(account)}}

    def _currencies(self, account: Account) -> set[str]:
        return {h.listing.currency for h in account.holdings.values()}

    def rate(self, currency: str, base: str) -> Decimal:
        """Return what one unit of a currency is worth; 1 where no pair is listed."""
        if currency == base:
            return Decimal(1)
        for listing in self.catalogue:
            if listing.sec_type == "CASH":
                if (listing.symbol, listing.currency) == (currency, base):
                    return self.market.quote(listing).middle
                if (listing.symbol, listing.currency) == (base, currency):
                    return 1 / self.market.quote(listing).middle
        return Decimal(1)


def _transmitted(request: OrderRequest) -> OrderRequest:
    return replace(request, values={**request.values, "transmit": "1"})
