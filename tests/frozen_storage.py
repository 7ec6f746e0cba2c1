"""S3 whose archive classes must be thawed, as S3 itself has them: stands in front of a server.

What is put in GLACIER or DEEP_ARCHIVE is refused (InvalidObjectState) until a restore was asked for
and has been waited for, which takes `LOOKS` looks at the object. All else is handed on unchanged.
"""

import http.client
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

_FROZEN = ("GLACIER", "DEEP_ARCHIVE")
_REFUSED = (
    b'<?xml version="1.0"?><Error><Code>InvalidObjectState</Code>'
    b"<Message>The operation is not valid for the object's storage class</Message></Error>"
)
LOOKS = 2


class FrozenObjects:
    """The keys that are frozen, their class, and how often each thawing one was looked at."""

    def __init__(self) -> None:
        self.classes: dict[str, str] = {}
        self.looks: dict[str, int] = {}

    def can_be_read(self, key: str) -> bool:
        return key not in self.classes or self.looks.get(key, 0) > LOOKS

    def put(self, key: str, storage_class: str) -> None:
        self.looks.pop(key, None)
        self.classes.pop(key, None)
        if storage_class in _FROZEN:
            self.classes[key] = storage_class

    def look(self, key: str) -> dict[str, str]:
        """Return the headers that tell of the class and of a restore."""
        if key not in self.classes:
            return {}
        told = {"x-amz-storage-class": self.classes[key]}
        if key in self.looks:
            self.looks[key] += 1
            ongoing = str(not self.can_be_read(key)).lower()
            told["x-amz-restore"] = f'ongoing-request="{ongoing}"'
        return told


class _Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: FrozenObjects
    port: int

    def _serve(self) -> None:
        body, asked = self._body(), urlsplit(self.path)
        key = unquote(asked.path)
        read = unquote(self.headers.get("x-amz-copy-source", key))
        is_read = self.command == "GET" or "x-amz-copy-source" in self.headers
        if self.command == "POST" and asked.query.startswith("restore"):
            self.objects.looks.setdefault(key, 0)
            self._answer(202, {}, b"")
        elif is_read and not self.objects.can_be_read(read):
            self._answer(403, {}, _REFUSED)
        else:
            self._hand_on(key, body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - as they are asked for

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return found

    def _hand_on(self, key: str, body: bytes) -> None:
        plain = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        plain.request(self.command, self.path, body, _without_framing(self.headers.items()))
        answer = plain.getresponse()
        content = answer.read()
        if self.command == "PUT" and answer.status == HTTPStatus.OK:
            self.objects.put(key, self.headers.get("x-amz-storage-class", ""))
        more = self.objects.look(key) if self.command == "HEAD" else {}
        given = {n: v for n, v in answer.getheaders() if n.lower() not in more}
        self._answer(answer.status, given | more, content)
        plain.close()

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in _without_framing(headers.items()).items():
            self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _without_framing(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    framing = ("transfer-encoding", "connection", "content-length", "expect")
    return {name: value for name, value in headers if name.lower() not in framing}


@contextmanager
def frozen_storage(port: int) -> Iterator[tuple[int, FrozenObjects]]:
    """Yield the port of the front of the server at `port`, and what it keeps frozen."""
    objects = FrozenObjects()
    front = type("Front", (_Front,), {"objects": objects, "port": port})
    server = ThreadingHTTPServer(("127.0.0.1", 0), front)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1]), objects
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
