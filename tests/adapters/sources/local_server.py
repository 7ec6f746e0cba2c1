"""A small HTTP server on a free loopback port that plays a script of answers, good and bad."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What is answered; `announced_bytes` lies about the length, `pause_s` keeps silent first."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announced_bytes: int | None = None
    pause_s: float = 0.0


def as_json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Return an answer of JSON."""
    return Reply(
        json.dumps(content).encode(),
        status,
        {"Content-Type": "application/json", **(headers or {})},
    )


HTML_PAGE = Reply(
    b"<!DOCTYPE html><html><body>Service is being maintained</body></html>",
    headers={"Content-Type": "text/html"},
)

Handler = Callable[[Request], Reply]


@dataclass
class LocalServer:
    """The server's address and everything that was asked of it."""

    url: str
    requests: list[Request]


@contextmanager
def serve(handler: Handler) -> Iterator[LocalServer]:
    """Answer every request by the handler until the block ends."""
    requests: list[Request] = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            request = Request(parts.path, query, headers)
            requests.append(request)
            reply = handler(request)
            time.sleep(reply.pause_s)
            self.send_response(reply.status)
            for key, value in reply.headers.items():
                self.send_header(key, value)
            size = len(reply.body) if reply.announced_bytes is None else reply.announced_bytes
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of stdlib
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield LocalServer(f"http://127.0.0.1:{server.server_address[1]}", requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def script(*replies: Reply) -> Handler:
    """Answer with these replies in turn, then with the last one for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]
