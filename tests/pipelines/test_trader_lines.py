"""What `apiary status` tells of a trader: how it stands, and which contracts end soon."""

from pathlib import Path

from pipelines.cli_trader import trader_lines
from pipelines.settings import read_settings
from tests.trader.homes import make_home
from trader.clocks import wall_ns
from trader.heartbeat import Heartbeat, heartbeat_path

ROLLED = "FUT.ESZ6: rolled into FUT.ESH7"


def test_contracts_that_end_stand_behind_the_trader(tmp_path: Path) -> None:
    settings = read_settings(make_home(tmp_path))
    beat = Heartbeat(heartbeat_path(settings.home), 0)

    beat.beat(wall_ns(), {"state": "active", "working_orders": 0})
    before = trader_lines(settings)
    beat.beat(wall_ns(), {"state": "active", "working_orders": 0, "ends": [ROLLED]})
    after = trader_lines(settings)

    assert len(before) == 1
    assert after[1:] == [ROLLED]


def test_what_is_held_without_exits_is_named(tmp_path: Path) -> None:
    """After a second halt was lifted a position stood without its stop, and no line said so."""
    settings = read_settings(make_home(tmp_path))
    beat = Heartbeat(heartbeat_path(settings.home), 0)

    beat.beat(wall_ns(), {"state": "active", "working_orders": 0, "unprotected": ["US.A"]})

    assert trader_lines(settings)[1:] == ["US.A is held without exits"]


def test_what_the_account_has_more_is_named(tmp_path: Path) -> None:
    settings = read_settings(make_home(tmp_path))
    beat = Heartbeat(heartbeat_path(settings.home), 0)
    differs = {"cash": {"USD": "+5000"}, "positions": {"US.A": "-10"}}

    beat.beat(wall_ns(), {"state": "reducing", "working_orders": 0, "differs": differs})

    assert trader_lines(settings)[1:] == [
        "the account has more than the book: USD +5000, US.A -10 (apiary account show)"
    ]
