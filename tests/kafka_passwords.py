"""A Kafka cluster that asks for a name and a password: stands in front of one that does not.

It speaks SASL/PLAIN as brokers do: it is told of in the versions of the protocol, shakes hands,
and hands nothing else on before the password was right.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_VERSIONS, _HANDSHAKE, _AUTHENTICATE = 18, 17, 36
_WRONG = 58  # SASL_AUTHENTICATION_FAILED
_OFFERED = struct.pack(">hhhhhh", _HANDSHAKE, 0, 1, _AUTHENTICATE, 0, 1)


@contextmanager
def password_in_front(port: int, username: str, password: str) -> Iterator[int]:
    """Yield the port of the front of the cluster at `port`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client = listener.accept()[0]
                except OSError:  # the listener was closed: the test is done
                    return
                secret = f"\0{username}\0{password}".encode()
                threading.Thread(target=_serve, args=(client, port, secret), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def _serve(client: socket.socket, port: int, secret: bytes) -> None:
    """Answer a client's requests, one after another."""
    is_in = False
    try:
        with client, socket.create_connection(("127.0.0.1", port)) as cluster:
            while (asked := _frame(client)) is not None:
                key, version, number = struct.unpack_from(">hhi", asked)
                if key == _HANDSHAKE:
                    body = struct.pack(">hih", 0, 1, 5) + b"PLAIN"
                    _send(client, struct.pack(">i", number) + body)
                elif key == _AUTHENTICATE:
                    is_in = asked.endswith(secret)
                    _send(client, struct.pack(">i", number) + _verdict(is_in, version))
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


def _verdict(is_in: bool, version: int) -> bytes:
    told = b"" if is_in else b"invalid username or password"
    message = struct.pack(">h", -1) if is_in else struct.pack(">h", len(told)) + told
    lifetime = struct.pack(">q", 0) if version else b""
    return struct.pack(">h", 0 if is_in else _WRONG) + message + struct.pack(">i", 0) + lifetime


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
