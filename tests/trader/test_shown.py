"""What the trader shows in the hot tier, and that it trades on where the hot tier is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.stores.desk_id import home_id
from adapters.stores.hot import EmbeddedHotStore, RedisHotStore
from adapters.stores.hot_state import HotState
from pipelines.cli import app
from tests.services import RedisProcess
from tests.trader.homes import (
    ABSENT,
    book_of,
    heartbeat,
    make_home,
    run_to_end,
    trader_process,
    wait_for,
)


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisProcess]:
    process = RedisProcess()
    process.start()
    monkeypatch.setenv("APIARY_REDIS_URL", process.url)
    yield process
    process.stop()


def test_the_book_is_shown_as_the_log_has_it_and_in_the_status(tmp_path: Path) -> None:
    config = make_home(tmp_path)
    run_to_end(config)

    state = HotState(EmbeddedHotStore(tmp_path / "home" / "hot" / "hot.db"))
    held = {i: p.lots for i, p in book_of(config).ledger.positions.items() if p.lots}
    assert state.positions("main") == held
    assert state.orders("main") == {}
    assert list(state.heartbeats()) == ["trader"]
    status = CliRunner().invoke(app, ["status", "--config", str(config)])
    assert status.exit_code == 0, status.output
    assert "hot: 2 positions, 0 orders work; shown by trader" in " ".join(status.output.split())


def test_redis_killed_in_the_middle_stops_no_trade(redis: RedisProcess, tmp_path: Path) -> None:
    config = make_home(tmp_path / "killed", speed=30_000)
    with trader_process(config, [name for name in ABSENT if name != "redis"]) as process:
        prefix = f"apiary:{home_id(config.parent / 'home')}:hot:"
        state = HotState(RedisHotStore(redis.url, prefix=prefix))
        wait_for(config, lambda _: "trader" in state.heartbeats(), process)
        redis.kill()
        said, _ = process.communicate(timeout=280)

    assert process.returncode == 0, said
    assert "active: 7 orders" in said
    assert "Redis failed" in str(heartbeat(config)["hot_tier"])
    assert not book_of(config).working_orders()
