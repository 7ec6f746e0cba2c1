"""Two desks on one Redis database: each finds its own and nothing of the other's."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from redis import Redis

from adapters.bus.messages import relay
from adapters.bus.redis_streams import RedisBus
from adapters.stores.desk_id import home_id, shared_id
from adapters.stores.hot import EmbeddedHotStore, RedisHotStore
from adapters.stores.hot_state import HotState
from adapters.stores.online_block import FeatureBlock
from adapters.stores.online_features import RedisOnlineFeatures
from adapters.stores.postgres_address import PostgresAddress
from pipelines import resources
from pipelines.bus import opened_bus
from pipelines.settings import choose_config, settings_for_files
from swarm_core import events as ev
from swarm_core.lineage import Lineage
from tests.adapters.bus.test_bus import session_opened
from tests.adapters.stores.test_tiers import make_fills
from tests.services import RedisProcess, postgres_server
from tests.trader.homes import ABSENT, book_of, make_home, run_to_end, trader_process

STATES, SESSION = "colony_states", "2024-01-02"


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess()
    process.start()
    monkeypatch.setenv("APIARY_REDIS_URL", process.url)
    monkeypatch.setenv("APIARY_CONFIG", "")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    yield process
    process.stop()


@pytest.fixture
def opened(redis: RedisProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Open a desk as another process would, its bus on Redis."""

    def open_desk(home: str) -> Any:
        monkeypatch.setattr(resources, "_workshops", {})
        choose_config(settings_for_files(tmp_path, None, tmp_path / home, base=None))
        built = resources.workshop()
        bus = built.settings.bus.model_copy(update={"kind": "redis"})
        built.settings = built.settings.model_copy(update={"bus": bus})
        return built

    return open_desk


def online(number: int) -> FeatureBlock:
    time = np.full(1, 10, dtype=np.int64)
    return FeatureBlock(("ret",), ("US.A",), time, time, np.full((1, 1), float(number)))


def use(desk: Any, number: int) -> None:
    """Write to every place that a desk has in Redis, under the names that any other uses."""
    desk.event_log().append([session_opened(n) for n in range(number, 2 * number)])
    for step in range(30):
        desk.get("hot").put(STATES, {f"{SESSION}-{step}": b"%d" % number})
        HotState(desk.get("hot")).write_positions("main", {"US.A": number, f"US.{step}": 1})
    desk.get("rows").write("fills", make_fills(0, number))
    desk.get("feature_store")._online.write({"view": online(number)})
    with opened_bus(desk) as bus:
        relay(desk.event_log(), bus)


def check(desk: Any, number: int) -> None:
    """Find what `use` wrote, and no more."""
    hot = desk.get("hot")
    assert set(hot.server.read(STATES).values()) == {b"%d" % number}
    assert HotState(hot).positions("main") == {"US.A": number, "US.29": 1}
    assert desk.get("rows").query("fills").height == number
    (block,) = desk.get("feature_store")._online.blocks(["view"])
    assert block.values.tolist() == [[float(number)]]
    with opened_bus(desk) as bus:
        assert [m.sequence for m in bus.read("group", 100)] == list(range(1, number + 1))
        bus.commit("group", number)


def test_two_desks_at_once_find_their_own(opened: Any, redis: RedisProcess) -> None:
    desks = {number: opened(f"home-{number}") for number in (7, 13)}
    threads = [Thread(target=use, args=(d, n)) for n, d in desks.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for number in desks:
        check(opened(f"home-{number}"), number)
    with Redis.from_url(redis.url) as client:
        starts = {b":".join(key.split(b":")[:2]) for key in client.scan_iter()}
    assert starts == {f"apiary:{home_id(d.home)}".encode() for d in desks.values()}


def test_two_traders_at_once_show_each_its_own_book(redis: RedisProcess, tmp_path: Path) -> None:
    configs = [make_home(tmp_path / name, speed=100_000) for name in ("one", "other")]
    (tmp_path / "other" / "targets.yaml").write_text("targets: []\n")
    absent = [name for name in ABSENT if name != "redis"]
    with trader_process(configs[0], absent) as one, trader_process(configs[1], absent) as other:
        for process in (one, other):
            said, _ = process.communicate(timeout=280)
            assert process.returncode == 0, said

    shown = []
    for config in configs:
        prefix = f"apiary:{home_id(config.parent / 'home')}:hot:"
        state = HotState(RedisHotStore(redis.url, prefix=prefix))
        held = {i: p.lots for i, p in book_of(config).ledger.positions.items() if p.lots}
        assert state.positions("main") == held
        shown.append(held)
    assert shown[0]
    assert not shown[1]


def _of_before(redis: RedisProcess, log: Any) -> None:
    """Write what a desk wrote before desks had names."""
    hot = RedisHotStore(redis.url)
    hot.put(STATES, {SESSION: zlib.compress(b"state" + b"\7" * 32)})
    hot.put("rows/fills", {"segment": b"rows"})
    RedisOnlineFeatures(redis.url).write({"view": online(5)})
    bus = RedisBus(redis.url)
    relay(log, bus)
    bus.commit("group", 2)


def _decided(digest: str) -> ev.Event:
    lineage = Lineage(decision_id="D1", session=SESSION, colony_state_digest=digest)
    return ev.DecisionTaken(
        event_id="decided", time_ns=1, instrument_ids=(), target_weights=(), lineage=lineage
    )


def test_keys_of_before_go_to_the_desk_whose_log_names_them(
    opened: Any, redis: RedisProcess
) -> None:
    own = opened("home")
    own.event_log().append([*(session_opened(n) for n in (1, 2, 3)), _decided("07" * 32)])
    _of_before(redis, own.event_log())
    other = opened("other")
    other.event_log().append([session_opened(9), _decided("08" * 32)])

    assert other.get("hot").find(STATES, SESSION) is None
    with opened_bus(other) as bus:
        assert bus.find_last() is None
    assert RedisHotStore(redis.url).read("rows/fills") == {"segment": b"rows"}

    again = opened("home")
    assert again.get("hot").find(STATES, SESSION) == zlib.compress(b"state" + b"\7" * 32)
    assert again.get("hot").read("rows/fills") == {"segment": b"rows"}
    (block,) = again.get("feature_store")._online.blocks(["view"])
    assert block.values.tolist() == [[5.0]]
    with opened_bus(again) as bus:
        assert bus.committed("group") == 2
        assert relay(again.event_log(), bus) == 0
    assert RedisHotStore(redis.url).spaces() == ()


def test_the_states_in_the_home_show_whose_keys_they_are(
    opened: Any, redis: RedisProcess, tmp_path: Path
) -> None:
    RedisHotStore(redis.url).put(STATES, {SESSION: b"mine", "2024-01-03": b"newer"})
    for name, state in (("home", b"mine"), ("other", b"another")):
        EmbeddedHotStore(tmp_path / name / "hot" / "hot.db").put(STATES, {SESSION: state})

    assert opened("other").get("hot").find(STATES, "2024-01-03") is None
    # What was written under the new names since stands; what they lack is added.
    desk = home_id(tmp_path / "home")
    RedisHotStore(redis.url, prefix=f"apiary:{desk}:hot:").put(STATES, {SESSION: b"since"})
    hot = opened("home").get("hot")
    assert hot.server.read(STATES) == {SESSION: b"since", "2024-01-03": b"newer"}


def test_rows_whose_desk_cannot_be_told_are_left_and_told(
    opened: Any, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    RedisHotStore(redis.url).put("rows/fills", {"segment": b"rows"})
    with pytest.raises(OSError, match="set APIARY_REDIS_NAMESPACE=apiary where it is") as told:
        opened("home").get("hot").read("rows/fills")
    assert len(str(told.value).splitlines()) == 1
    monkeypatch.setenv("APIARY_REDIS_NAMESPACE", "apiary")
    assert opened("home").get("hot").read("rows/fills") == {"segment": b"rows"}
    monkeypatch.setenv("APIARY_REDIS_NAMESPACE", "fresh")
    assert opened("home").get("hot").read("rows/fills") == {}
    monkeypatch.setenv("APIARY_REDIS_NAMESPACE", "a:b")
    with pytest.raises(ValueError, match="APIARY_REDIS_NAMESPACE"):
        opened("home").get("hot")


def test_homes_of_one_log_are_one_desk(tmp_path: Path) -> None:
    with postgres_server() as postgres:
        address = PostgresAddress(postgres.url)
        names: list[str] = []
        threads = [
            Thread(target=lambda n=n: names.append(shared_id(tmp_path / str(n), address)))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(names) == 4
    assert len(set(names)) == 1
    with pytest.raises(OSError, match="the desk's name must be read from") as told:
        shared_id(tmp_path / "1", address)
    assert len(str(told.value).splitlines()) == 1


def test_a_desk_keeps_its_name_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    config = make_home(tmp_path)
    run_to_end(config)  # without Redis none is needed
    assert not (tmp_path / "home" / "desk.id").exists()
    assert home_id(tmp_path / "home") == home_id(tmp_path / "home")
    (tmp_path / "home" / "desk.id").write_text("../other")
    with pytest.raises(ValueError, match="must hold 12 hexadecimal digits"):
        home_id(tmp_path / "home")
