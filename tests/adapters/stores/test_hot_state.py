"""Typed values of the hot tier: the same over the embedded store and over a real server."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.hot import EmbeddedHotStore, HotStore, RedisHotStore
from adapters.stores.hot_state import CorruptStateError, HotState, PheromoneField
from tests.services import redis_server

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(params=["embedded", "redis"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], HotStore]:
    """Open the same store again and again, as another process would."""
    if request.param == "embedded":
        return lambda: EmbeddedHotStore(tmp_path / "hot.db")
    url = request.getfixturevalue("redis_url")
    return lambda: RedisHotStore(url, prefix=f"{tmp_path.name}:")


def make_field(*, step: int = 1, seed: int = 1, rows: int = 6) -> PheromoneField:
    values = np.random.default_rng(seed).standard_normal((rows, 5))
    ids = tuple(f"US.{i}" for i in range(rows))
    return PheromoneField(step, ids, ("long", "short", "danger", "success", "rejection"), values)


def same(a: PheromoneField | None, b: PheromoneField) -> bool:
    return (
        a is not None
        and (a.step, a.instrument_ids, a.channels) == (b.step, b.instrument_ids, b.channels)
        and np.array_equal(a.values, b.values)
    )


def test_a_field_is_read_by_another_process_as_it_was_written(
    opener: Callable[[], HotStore],
) -> None:
    HotState(opener()).write_field("main", make_field())

    assert same(HotState(opener()).find_field("main"), make_field())
    assert HotState(opener()).find_field("other") is None


def test_a_reader_sees_every_later_field_of_another(opener: Callable[[], HotStore]) -> None:
    """What the reader keeps in memory must never hide what another one has written since."""
    writer, reader = HotState(opener()), HotState(opener())
    for step in range(30):
        field = make_field(step=step, seed=step, rows=6 + step % 2)
        writer.write_field("main", field)
        assert same(reader.find_field("main"), field)
        assert same(reader.find_field("main"), field)


@settings(max_examples=40, deadline=None)
@given(
    acts=st.lists(
        st.tuples(
            st.integers(0, 1), st.sampled_from(["put", "swap", "remove", "find"]), st.booleans()
        ),
        max_size=25,
    )
)
def test_two_stores_on_one_file_never_disagree(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[int, str, bool]]
) -> None:
    path = tmp_path_factory.mktemp("hot") / "hot.db"
    stores, model = [EmbeddedHotStore(path), EmbeddedHotStore(path)], dict[str, bytes]()
    for number, (who, act, which) in enumerate(acts):
        key, value = ("a", "b")[which], str(number).encode()
        if act == "put":
            stores[who].put("s", {key: value})
            model[key] = value
        elif act == "swap":
            stores[who].swap("s", {key: value})
            model = {key: value}
        elif act == "remove":
            stores[who].remove("s", [key])
            model.pop(key, None)
        for store in stores:
            assert store.find("s", "a") == model.get("a")
            assert store.find("s", "b") == model.get("b")


_WRITER = """
import sys
from pathlib import Path
from adapters.stores.hot import EmbeddedHotStore
store = EmbeddedHotStore(Path(sys.argv[1]))
for line in sys.stdin:
    store.put("s", {"k": line.strip().encode()})
    print("done", flush=True)
"""


def test_a_write_of_another_process_is_seen_at_once(tmp_path: Path) -> None:
    path = tmp_path / "hot.db"
    reader = EmbeddedHotStore(path)
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for number in range(20):
            writer.stdin.write(f"{number}\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "done\n"
            assert reader.find("s", "k") == str(number).encode()
        writer.stdin.close()


def test_positions_orders_and_heartbeats(opener: Callable[[], HotStore]) -> None:
    state, other = HotState(opener()), HotState(opener())
    state.write_positions("main", {"US.A": 5, "US.B": -2, "US.C": 0})
    state.write_orders("main", {"o1": b"1", "o2": b"2"})
    state.forget_orders("main", ["o1"])
    state.beat("trader", 1_000)
    state.beat("gateway", 5_000)

    assert other.positions("main") == {"US.A": 5, "US.B": -2}
    assert other.orders("main") == {"o2": b"2"}
    assert other.heartbeats() == {"trader": 1_000, "gateway": 5_000}
    assert other.silent(6_000, age_ns_max=2_000) == ("trader",)
    state.write_positions("main", {"US.A": 1})
    assert other.positions("main") == {"US.A": 1}


def test_a_torn_field_is_found(opener: Callable[[], HotStore]) -> None:
    store = opener()
    HotState(store).write_field("main", make_field())
    whole = store.find("field", "main") or b""
    for torn in (b"", whole[:20], whole[:-8], b"x" + whole[1:]):
        store.put("field", {"main": torn})
        with pytest.raises(CorruptStateError):
            HotState(store).find_field("main")


def test_a_field_that_cannot_be_is_refused(opener: Callable[[], HotStore]) -> None:
    with pytest.raises(ValueError, match="must be float64 of shape"):
        PheromoneField(1, ("US.A",), ("long",), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="must be finite"):
        HotState(opener()).write_field(
            "main", PheromoneField(1, ("US.A",), ("long",), np.full((1, 1), np.nan))
        )


def test_values_beyond_the_cache_are_read_all_the_same(tmp_path: Path) -> None:
    store = EmbeddedHotStore(tmp_path / "hot.db", cache_bytes_max=10)
    store.put("s", {"small": b"12345678", "large": bytes(100)})

    assert [store.find("s", k) for k in ("small", "large", "large", "small")] == [
        b"12345678",
        bytes(100),
        bytes(100),
        b"12345678",
    ]
