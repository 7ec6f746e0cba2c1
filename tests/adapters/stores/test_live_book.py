"""The book in the hot tier: shown beside the trading, which never waits for it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.stores.hot import EmbeddedHotStore, HotStoreUnavailableError, RedisHotStore
from adapters.stores.hot_mirrored import MirroredHotStore
from adapters.stores.hot_state import HotState
from adapters.stores.live_book import LiveBook
from swarm_core.live_view import LiveView, PheromoneField
from tests.services import RedisProcess

STATES = "colony_states"


def make_view(number: int, **positions: int) -> LiveView:
    orders = {f"order-{number}": b"{}"}
    return LiveView("trader", number, positions or {"US.A": number}, orders)


def make_field(step: int) -> PheromoneField:
    return PheromoneField(step, ("US.A", "US.B"), ("long",), np.full((2, 1), float(step)))


class HeldStore(EmbeddedHotStore):
    """A store that answers nobody until it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked, self.let_go = threading.Event(), threading.Event()
        self.swapped: list[str] = []

    def swap(self, space: str, values: Mapping[str, bytes]) -> None:
        self.swapped.append(space)
        self.asked.set()
        self.let_go.wait()
        super().swap(space, values)


def test_what_is_shown_can_be_read_by_others(tmp_path: Path) -> None:
    live = LiveBook(lambda: EmbeddedHotStore(tmp_path / "hot.db"))
    live.show(make_view(7, **{"US.A": 3, "US.B": -2}))
    live.show_field(make_field(9))
    live.settle()

    state = HotState(EmbeddedHotStore(tmp_path / "hot.db"))
    assert state.positions("main") == {"US.A": 3, "US.B": -2}
    assert state.orders("main") == {"order-7": b"{}"}
    assert state.heartbeats() == {"trader": 7}
    field = state.find_field("main")
    assert field is not None
    assert (field.step, field.values.tolist()) == (9, [[9.0], [9.0]])

    live.show(LiveView("trader", 8, {}, {}))  # all is sold, nothing works
    live.close()
    assert (state.positions("main"), state.orders("main")) == ({}, {})


def test_nobody_waits_for_a_store_that_hangs_and_the_newest_wins(tmp_path: Path) -> None:
    store = HeldStore(tmp_path / "hot.db")
    live = LiveBook(lambda: store)
    live.show(make_view(1))
    store.asked.wait()

    for number in range(2, 1_000):  # returns while the store still answers nobody
        live.show(make_view(number))
    assert store.swapped == ["positions/main"]
    store.let_go.set()
    live.close(60.0)

    assert HotState(EmbeddedHotStore(tmp_path / "hot.db")).positions("main") == {"US.A": 999}
    assert store.swapped == ["positions/main", "working_orders/main"] * 2


def test_a_store_that_is_away_is_told_and_found_again(tmp_path: Path) -> None:
    away = [True]

    def open_store() -> EmbeddedHotStore:
        if away:
            raise HotStoreUnavailableError("Redis failed: it is away")
        return EmbeddedHotStore(tmp_path / "hot.db")

    live = LiveBook(open_store)
    live.show(make_view(1))
    live.settle()
    assert live.failure == "Redis failed: it is away"

    away.clear()
    live.show(make_view(2))
    live.close()
    assert not live.failure
    assert HotState(EmbeddedHotStore(tmp_path / "hot.db")).positions("main") == {"US.A": 2}


def test_a_field_that_is_not_finite_stops_nothing(tmp_path: Path) -> None:
    live = LiveBook(lambda: EmbeddedHotStore(tmp_path / "hot.db"))
    live.show_field(PheromoneField(1, ("US.A",), ("long",), np.full((1, 1), np.nan)))
    live.settle()
    assert "must be finite" in live.failure
    live.show(make_view(2))
    live.close()
    assert not live.failure


@pytest.fixture
def redis() -> Iterator[RedisProcess]:
    process = RedisProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def open_machine(redis: RedisProcess, tmp_path: Path) -> Callable[[str], MirroredHotStore]:
    """Open the hot tier as a machine of its own does: one server, and a file for each."""

    def open_one(name: str) -> MirroredHotStore:
        path = tmp_path / f"{name}.db"
        return MirroredHotStore(
            RedisHotStore(redis.url, timeout_s=0.3), lambda: EmbeddedHotStore(path)
        )

    return open_one


def test_states_outlive_the_server_and_reach_other_machines_when_it_is_back(
    redis: RedisProcess, open_machine: Callable[[str], Any]
) -> None:
    here, there = open_machine("here"), open_machine("there")
    here.put(STATES, {"2024-01-02": b"first"})
    assert there.find(STATES, "2024-01-02") == b"first"

    redis.kill()
    here.put(STATES, {"2024-01-03": b"second"})
    assert here.find(STATES, "2024-01-02") == b"first"
    assert here.read(STATES) == {"2024-01-02": b"first", "2024-01-03": b"second"}
    with pytest.raises(HotStoreUnavailableError):
        here.put("rows/fills", {"a": b"b"})  # what lies on the server alone is not pretended

    redis.start()
    here.put(STATES, {"2024-01-04": b"third"})
    assert there.read(STATES) == {
        "2024-01-02": b"first",
        "2024-01-03": b"second",
        "2024-01-04": b"third",
    }


def test_a_server_that_lost_a_state_gets_it_back_from_who_kept_it(
    open_machine: Callable[[str], Any],
) -> None:
    here, there = open_machine("here"), open_machine("there")
    here.put(STATES, {"2024-01-02": b"first"})
    here.server.remove(STATES, ["2024-01-02"])
    assert there.find(STATES, "2024-01-02") is None

    assert here.find(STATES, "2024-01-02") == b"first"
    assert there.find(STATES, "2024-01-02") == b"first"
    with pytest.raises(ValueError, match="only added to"):
        here.swap(STATES, {})
