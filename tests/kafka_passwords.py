"""A Kafka cluster that asks for a name and a password: stands in front of one that does not.

It speaks SASL/PLAIN and SCRAM (RFC 5802) as brokers do: it is told of in the versions of the
protocol, shakes hands, and hands nothing else on before the password was right.
"""

import hashlib
import hmac
import os
import socket
import struct
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_VERSIONS, _HANDSHAKE, _AUTHENTICATE = 18, 17, 36
_WRONG = 58  # SASL_AUTHENTICATION_FAILED
_OFFERED = struct.pack(">hhhhhh", _HANDSHAKE, 0, 1, _AUTHENTICATE, 0, 1)
_ROUNDS = 4_096

# What a client says -> (whether it is in, whether it is wrong, what it is told).
Judge = Callable[[bytes], tuple[bool, bool, bytes]]


def _plain(username: str, password: str) -> Judge:
    secret = f"\0{username}\0{password}".encode()
    return lambda said: (said == secret, said != secret, b"")


class _Scram:
    """The server's side of one exchange; the password itself never crosses the wire."""

    def __init__(self, name: str, username: str, password: str) -> None:
        self._hash, self._username = name, username
        self._salt, self._nonce, self._asked = os.urandom(16), os.urandom(12).hex(), ""
        self._salted = hashlib.pbkdf2_hmac(name, password.encode(), self._salt, _ROUNDS)

    def __call__(self, said: bytes) -> tuple[bool, bool, bytes]:
        text = said.decode()
        if not self._asked:
            bare = text.partition(",,")[2]
            given = dict(part.split("=", 1) for part in bare.split(","))
            self._nonce = given["r"] + self._nonce
            salt = b64encode(self._salt).decode()
            challenge = f"r={self._nonce},s={salt},i={_ROUNDS}"
            self._asked = f"{bare},{challenge}"
            return False, given["n"] != self._username, challenge.encode()
        bare, _, proof = text.rpartition(",p=")
        whole = f"{self._asked},{bare}".encode()
        client = self._sign(self._salted, b"Client Key")
        signature = self._sign(hashlib.new(self._hash, client).digest(), whole)
        found = bytes(a ^ b for a, b in zip(client, signature, strict=True))
        if f"r={self._nonce}" not in bare or not hmac.compare_digest(found, b64decode(proof)):
            return False, True, b""
        mine = self._sign(self._sign(self._salted, b"Server Key"), whole)
        return True, False, b"v=" + b64encode(mine)

    def _sign(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, self._hash)


def _judge(mechanism: str, username: str, password: str) -> Judge:
    if mechanism == "PLAIN":
        return _plain(username, password)
    return _Scram({"256": "sha256", "512": "sha512"}[mechanism[-3:]], username, password)


@contextmanager
def password_in_front(
    port: int, username: str, password: str, mechanism: str = "PLAIN"
) -> Iterator[int]:
    """Yield the port of the front of the cluster at `port`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client = listener.accept()[0]
                except OSError:  # the listener was closed: the test is done
                    return
                judge = _judge(mechanism, username, password)
                given = client, port, mechanism, judge
                threading.Thread(target=_serve, args=given, daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def _serve(client: socket.socket, port: int, mechanism: str, judge: Judge) -> None:
    """Answer a client's requests, one after another."""
    is_in = False
    offered = struct.pack(">hih", 0, 1, len(mechanism)) + mechanism.encode()
    try:
        with client, socket.create_connection(("127.0.0.1", port)) as cluster:
            while (asked := _frame(client)) is not None:
                key, version, number = struct.unpack_from(">hhi", asked)
                if key == _HANDSHAKE:
                    _send(client, struct.pack(">i", number) + offered)
                elif key == _AUTHENTICATE:
                    is_in, is_wrong, told = judge(_said(asked))
                    _send(client, struct.pack(">i", number) + _verdict(told, version, is_wrong))
                elif key == _VERSIONS or is_in:
                    _send(cluster, asked)
                    answer = _frame(cluster)
                    if answer is None:
                        return
                    _send(client, _offering(answer, version) if key == _VERSIONS else answer)
                else:
                    return
    except OSError:  # one of them went
        return


def _said(asked: bytes) -> bytes:
    """Return what the client says of itself, behind the header and the name of the client."""
    (name,) = struct.unpack_from(">h", asked, 8)
    at = 10 + max(name, 0)
    (size,) = struct.unpack_from(">i", asked, at)
    return asked[at + 4 : at + 4 + size]


def _verdict(told: bytes, version: int, is_wrong: bool) -> bytes:
    why = b"invalid username or password"
    message = struct.pack(">h", len(why)) + why if is_wrong else struct.pack(">h", -1)
    lifetime = struct.pack(">q", 0) if version else b""
    code = struct.pack(">h", _WRONG if is_wrong else 0)
    return code + message + struct.pack(">i", len(told)) + told + lifetime


def _offering(answer: bytes, version: int) -> bytes:
    """Add to the versions of the protocol that a password is asked for."""
    number, error, count = struct.unpack_from(">ihi", answer)
    if error or version > 0:
        return answer  # the client asks again, for a version that the cluster has
    return struct.pack(">ihi", number, error, count + 2) + answer[10:] + _OFFERED


def _frame(source: socket.socket) -> bytes | None:
    size = _exactly(source, 4)
    return None if size is None else _exactly(source, struct.unpack(">i", size)[0])


def _exactly(source: socket.socket, count: int) -> bytes | None:
    found = b""
    while len(found) < count:
        data = source.recv(count - len(found))
        if not data:
            return None
        found += data
    return found


def _send(target: socket.socket, frame: bytes) -> None:
    target.sendall(struct.pack(">i", len(frame)) + frame)
