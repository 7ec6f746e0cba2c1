"""The trader's own small HTTP server on the loopback: its health, and the kill switch."""

import asyncio
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from trader.account_settling import AccountClaim
from trader.kill_switch import Halt
from trader.order_commands import OrderCommand

_BODY_BYTES_MAX = 4_096
_PATIENCE_S = 5.0
_CALLS = frozenset(
    {"/halt", "/orders/cancel", "/orders/replace", "/orders/settle", "/account/settle"}
)


def make_token(path: Path) -> str:
    """Return the token at `path`, readable by its owner alone; made where there is none."""
    if path.is_file():
        return path.read_text().strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    return token


class ControlServer:
    """`GET /health` and, with the token, `POST /halt` with `{"reason", "actor", "flatten"}`.

    `POST /orders/cancel`, `/orders/settle` and `/orders/replace` take `{"order", "by", "reason"}`
    and, to replace, `quantity`, `limit` and `stop`; `POST /account/settle` takes the fields of an
    `AccountClaim`. It only latches; the trader acts at its next
    beat. There is no call that lifts a halt.
    """

    def __init__(
        self,
        port: int,
        token: str,
        pull: Callable[[Halt], object],
        health: Callable[[], Mapping[str, object]],
        orders: Callable[[OrderCommand], str] | None = None,
        claims: Callable[[AccountClaim], str] | None = None,
    ) -> None:
        self.port, self._token, self._pull, self._health = port, token, pull, health
        self._orders, self._claims = orders, claims
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "ControlServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, body = await asyncio.wait_for(self._answer(reader), _PATIENCE_S)
        except (TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            status, body = "400 Bad Request", {"error": f"the request must be readable: {error}"}
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode())
        writer.write(text)
        try:
            await writer.drain()
            writer.close()
        except OSError:
            return  # whoever asked has gone; what was asked is done

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[str, Mapping[str, object]]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if ": " in line)
        fields = {name.lower(): value for name, value in pairs}
        method, target = head[0].split(" ")[:2]
        if (method, target) == ("GET", "/health"):
            return "200 OK", self._health()
        if method != "POST" or target not in _CALLS:
            return "404 Not Found", {"error": f"must be GET /health or POST to {sorted(_CALLS)}"}
        given = fields.get("authorization", "").removeprefix("Bearer ").strip()
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            return "401 Unauthorized", {"error": "the token must be given as a bearer"}
        size = int(fields.get("content-length", "0"))
        if not 0 < size <= _BODY_BYTES_MAX:
            raise ValueError(f"the body must have 1..{_BODY_BYTES_MAX} bytes, had {size}")
        asked = json.loads(await reader.readexactly(size))
        if not isinstance(asked, dict):
            raise ValueError("the body must be a JSON object")  # noqa: TRY004  # one kind answers 400
        if target != "/halt":
            return self._take_command(target, asked)
        halt = Halt(
            reason=str(asked.get("reason", "")),
            actor=str(asked.get("actor", "")),
            flatten=asked.get("flatten") is True,
        )
        self._pull(halt)
        return "202 Accepted", {"halting": True, "flatten": halt.flatten}

    def _take_command(
        self, target: str, asked: Mapping[str, object]
    ) -> tuple[str, Mapping[str, object]]:
        if self._orders is None or self._claims is None:
            return "404 Not Found", {"error": "this process takes no commands"}
        if target == "/account/settle":
            return "202 Accepted", {"told": self._claims(AccountClaim.of(asked))}
        replaces, settles = target == "/orders/replace", target == "/orders/settle"
        command = OrderCommand.of(asked, replaces=replaces, settles=settles)
        return "202 Accepted", {"told": self._orders(command)}
