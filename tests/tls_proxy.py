"""A server's TLS: what stands in front of one that speaks none, and speaks it to our clients."""

import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import Certified

Change = Callable[[bytes], bytes]


@contextmanager
def tls_in_front(
    port: int,
    certified: Certified,
    *,
    asked_first: bool = False,
    change: Callable[[int], Change] = lambda _: bytes,
    clients: Path | None = None,
) -> Iterator[int]:
    """Yield the port of a TLS server that hands everything on to the plain one at `port`.

    With `asked_first` a client asks in plain whether TLS is spoken, as PostgreSQL's do; `change`
    is given the yielded port and returns what is done to the bytes of the server's answers. A
    client must prove itself by an authority of `clients`, where that is given.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified.certificate, certified.key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)

    def serve(client: socket.socket, changed: Change) -> None:
        try:
            if asked_first:
                client.recv(8)
                client.sendall(b"S")
            secure = context.wrap_socket(client, server_side=True)
        except OSError:  # the client did not like the certificate, or spoke in plain
            client.close()
            return
        try:
            with socket.create_connection(("127.0.0.1", port)) as plain, secure:
                _hand_on(secure, plain, changed)
        except OSError:  # one of them went
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listening = int(listener.getsockname()[1])
        changed = change(listening)

        def accept() -> None:
            while True:
                try:
                    client = listener.accept()[0]
                except OSError:  # the listener was closed: the test is done
                    return
                threading.Thread(target=serve, args=(client, changed), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def _hand_on(secure: ssl.SSLSocket, plain: socket.socket, changed: Change) -> None:
    with selectors.DefaultSelector() as ready:  # `select` takes no file number above 1,023
        ready.register(secure, selectors.EVENT_READ)
        ready.register(plain, selectors.EVENT_READ)
        while True:
            found = [secure] if secure.pending() else [key.fileobj for key, _ in ready.select()]
            for source in found:
                if source is secure:
                    data = secure.recv(65_536)
                    plain.sendall(data)
                else:
                    data = plain.recv(65_536)
                    secure.sendall(changed(data))
                if not data:
                    return
