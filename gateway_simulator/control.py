"""A small HTTP server on the loopback by which a person, or a test in any language, sets faults."""

import asyncio
import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway_simulator.faults import fault_of
from gateway_simulator.gateway import Gateway
from gateway_simulator.ledger import value
from gateway_simulator.listings import Asked, Listing
from gateway_simulator.orders import LiveOrder
from gateway_simulator.wire import plain

_BODY_BYTES_MAX = 65_536
_PATIENCE_S = 5.0
Body = Mapping[str, Any]


class ControlServer:
    """`GET /state`, and `POST` to /fault, /quote, /fill, /take-back, /move and others (`_ACTS`)."""

    def __init__(self, gateway: Gateway, port: int = 0) -> None:
        self._gateway, self.port = gateway, port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on the loopback alone; OSError where the port is taken."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve_one(reader, writer)
        except OSError:
            pass  # whoever asked has gone
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, body = await asyncio.wait_for(self._answer(reader), _PATIENCE_S)
        except asyncio.LimitOverrunError as error:
            status, body = "431 Request Header Fields Too Large", {"error": str(error)}
        except (KeyError, InvalidOperation) as error:
            status, body = "400 Bad Request", {"error": f"{error!r} must be given and be right"}
        except (TimeoutError, ValueError, TypeError, asyncio.IncompleteReadError) as error:
            status, body = "400 Bad Request", {"error": str(error)}
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode())
        writer.write(text)
        await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[str, Body]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:])}
        method, target = head[0].split(" ")[:2]
        if (method, target) == ("GET", "/state"):
            return "200 OK", state_of(self._gateway)
        act = _ACTS.get(target) if method == "POST" else None
        if act is None:
            return "404 Not Found", {"error": f"must be GET /state or POST to {sorted(_ACTS)}"}
        size = int(fields.get("content-length", "0"))
        if not 0 <= size <= _BODY_BYTES_MAX:
            raise ValueError(f"the body must have {_BODY_BYTES_MAX} bytes at most, had {size}")
        asked = json.loads(await reader.readexactly(size) or b"{}")
        if not isinstance(asked, dict):
            raise TypeError("the body must be a JSON object")
        return "200 OK", act(self._gateway, asked)


def state_of(gateway: Gateway) -> Body:
    """Return what the gateway holds: clients, accounts, positions, orders, how much was filled."""
    accounts = {}
    for account in gateway.venue.accounts.values():
        worth = value(account, gateway.venue.prices(account), gateway.venue.rates(account))
        accounts[account.name] = {
            "cash": {currency: plain(amount) for currency, amount in account.cash.items()},
            "net_liquidation": plain(worth.net_liquidation),
            "positions": {
                held.listing.local_symbol: plain(held.quantity)
                for held in account.holdings.values()
                if held.quantity
            },
        }
    return {
        "port": gateway.port,
        "clients": [s.client_id for s in gateway.sessions if s.is_started],
        "upstream": gateway.upstream,
        "accounts": accounts,
        "orders": [_order(order) for order in gateway.venue.orders],
        "executions": len(gateway.venue.executions),
        "faults_done": [fault.kind.value for fault in gateway.faults.done],
    }


def _order(order: LiveOrder) -> Body:
    return {
        "perm_id": order.perm_id,
        "order_id": order.order_id,
        "client_id": order.client_id,
        "ref": order.ref,
        "symbol": order.listing.local_symbol,
        "action": order.request.text("action"),
        "quantity": plain(order.quantity),
        "kind": order.kind,
        "status": order.status.value,
        "filled": plain(order.filled),
    }


def _find_order(gateway: Gateway, body: Body) -> LiveOrder:
    found = [o for o in gateway.venue.working if body.get("perm_id", o.perm_id) == o.perm_id]
    found = [o for o in found if body.get("ref", o.ref) == o.ref]
    if len(found) != 1:
        raise ValueError(f"perm_id or ref must name one working order, did {len(found)}")
    return found[0]


def _find_listing(gateway: Gateway, body: Body) -> Listing:
    if "con_id" in body:
        return gateway.catalogue.get(int(body["con_id"]))
    asked = Asked(symbol=str(body["symbol"]).upper(), sec_type=body.get("sec_type", "STK"))
    found = gateway.find_listings(asked)
    if len(found) != 1:
        raise ValueError(f"symbol and sec_type must name one contract, did {len(found)}")
    return found[0]


def _fault(gateway: Gateway, body: Body) -> Body:
    gateway.faults.add(fault_of(body))
    return {"fault": body["kind"]}


def _quote(gateway: Gateway, body: Body) -> Body:
    listing = _find_listing(gateway, body)
    if body.get("release"):
        gateway.market.release_quote(listing.con_id)
        return {"released": listing.local_symbol}
    bid, ask = Decimal(str(body["bid"])), Decimal(str(body["ask"]))
    gateway.market.set_quote(listing.con_id, bid, ask)
    gateway.venue.on_market()
    return {"quoted": listing.local_symbol, "bid": plain(bid), "ask": plain(ask)}


def _fill(gateway: Gateway, body: Body) -> Body:
    order = _find_order(gateway, body)
    quote = gateway.market.quote(order.listing)
    usual = order.limit or (quote.ask if order.side > 0 else quote.bid)
    price = Decimal(str(body.get("price", usual)))
    done = gateway.venue.fill(order, Decimal(str(body.get("quantity", order.remaining))), price)
    return {"exec_id": done.exec_id}


def _cancel(gateway: Gateway, body: Body) -> Body:
    order = _find_order(gateway, body)
    gateway.venue.cancel(order, str(body.get("reason", "")))
    return _order(order)


def _manual(gateway: Gateway, body: Body) -> Body:
    limit = body.get("limit")
    order = gateway.place_by_hand(
        str(body["symbol"]).upper(),
        str(body.get("action", "BUY")).upper(),
        Decimal(str(body.get("quantity", 1))),
        None if limit is None else Decimal(str(limit)),
    )
    return {} if order is None else _order(order)


def _auction(gateway: Gateway, body: Body) -> Body:
    name = body.get("name", "open")
    if name not in ("open", "close"):
        raise ValueError(f"name must be open or close, was {name!r}")
    gateway.venue.auction(name)
    return {"auction": name}


def _end_day(gateway: Gateway, _: Body) -> Body:
    gateway.venue.end_day()
    return {"ended": True}


def _take_back(gateway: Gateway, body: Body) -> Body:
    return {"exec_id": gateway.venue.take_back(str(body["exec_id"])).exec_id}


def _move(gateway: Gateway, body: Body) -> Body:
    """Move cash, or shares at a price of nothing, into an account or out of it."""
    account = gateway.venue.accounts[str(body.get("account", gateway.settings.accounts[0]))]
    if "symbol" in body:
        listing, quantity = _find_listing(gateway, body), Decimal(str(body["quantity"]))
        account.receive(listing, quantity)
        return {"moved": plain(quantity), "of": listing.local_symbol}
    currency, amount = str(body["currency"]), Decimal(str(body["amount"]))
    account.move(currency, amount)
    return {"moved": plain(amount), "of": currency}


_ACTS: dict[str, Callable[[Gateway, Body], Body]] = {
    "/fault": _fault,
    "/quote": _quote,
    "/fill": _fill,
    "/cancel": _cancel,
    "/manual": _manual,
    "/auction": _auction,
    "/end-day": _end_day,
    "/take-back": _take_back,
    "/move": _move,
}
