"""The trader's settings: what does not hold is refused with one line that says what must."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assets.contract_ends import KnownEnds
from pipelines.cli import app
from pipelines.desk import ends_of
from pipelines.desk_log import open_event_log
from pipelines.settings import SettingsError, read_settings
from pipelines.trading_parts import (
    build_desk,
    contract_ends,
    instruments_of,
    open_broker,
    trade_settings,
)
from swarm_core.contract_ends import EndSettings
from tests.trader.homes import make_home, write_config, write_targets
from trader.hours import ExchangeHours

TRADE: dict[str, Any] = {
    "feed": {"kind": "replay", "file": "bars.csv"},
    "engine": {"kind": "targets", "file": "targets.yaml"},
    "broker": {"kind": "simulated"},
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"feed": {"kind": "tape"}}, "trade.feed: input tag 'tape'"),
        ({"feed": {"kind": "replay", "speed": -1}}, "speed: input should be greater than or equal"),
        ({"feed": {"kind": "ib", "bar_s": 7}}, "bar_s: input should be a multiple of 5"),
        ({"feed": {"kind": "ib"}}, "feed.bar_s must be given to fill orders on paper, was 0"),
        ({"broker": {"kind": "ib_live"}}, "account must name the live account to trade, was ''"),
        ({"broker": {"kind": "ib_paper", "port": 0}}, "port: input should be greater than 0"),
        ({"broker": {"kind": "ib_paper"}}, "must go to a simulated broker, or paced to a paper"),
        ({"engine": {"kind": "targets"}}, "file must be given, was missing"),
        ({"order_kind": "limit"}, "trade.order_kind"),
        ({"watch": {"heartbeat_s": 0}}, "heartbeat_s: input should be greater than or equal"),
        ({"control_port": 70_000}, "control_port: input should be less than 65536"),
        ({"working": {"kind": "twap", "slices": 0}}, "slices: input should be greater than"),
        ({"working": {"kind": "vwap", "volume_profile": [1]}}, "must have 6 positive shares"),
        ({"exits": {"take_profit": 0.1, "stop_loss": 1}}, "stop_loss: input should be less than"),
        (
            {"exits": {"take_profit": 0.1, "stop_loss": 0.1}, "working": {"kind": "twap"}},
            "exits must be asked for without working",
        ),
        ({"contract_end": {"act_sessions": 3}}, "act_sessions <= reduce_sessions <= warn_sessions"),
        ({"contract_end": {"then": "roll"}}, "into must name the next contract"),
        ({"contract_end": {"then": "hold"}}, "trade.contract_end.then: input should be"),
        ({"speed": 1}, "trade.speed: extra inputs are not permitted"),
    ],
)
def test_what_does_not_hold_gives_one_line(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    config = write_config(tmp_path, trade={**TRADE, **change})

    with pytest.raises(SettingsError) as raised:
        read_settings(config)

    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_desk_without_a_trader_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="trade must be configured"):
        trade_settings(read_settings(write_config(tmp_path)))


FUTURE = {"asset_class": "future", "currency": "USD", "multiplier": 50}


@pytest.mark.parametrize(
    "following",
    [
        None,
        {**FUTURE, "asset_class": "equity"},
        {**FUTURE, "currency": "EUR"},
        {**FUTURE, "multiplier": 5},
    ],
)
def test_a_future_is_rolled_only_into_one_that_is_alike(
    tmp_path: Path, following: dict[str, Any] | None
) -> None:
    listed = [{"instrument_id": "FUT.A", **FUTURE}]
    if following is not None:
        listed.append({"instrument_id": "FUT.B", **following})
    end = {"then": "roll", "into": {"FUT.A": "FUT.B"}}
    config = make_home(tmp_path, instruments=listed, contract_end=end)
    settings = read_settings(config)
    log = open_event_log(settings)
    desk = build_desk(
        settings, log, open_broker(settings, log, {}, int), instruments_of(settings), int
    )

    with pytest.raises(ValueError, match=r"FUT\.A: FUT\.B") as told:
        contract_ends(trade_settings(settings), desk, ExchangeHours("XNYS"), print)

    assert len(str(told.value).splitlines()) == 1


def test_a_future_that_ends_soon_is_warned_of_unless_something_else_is_asked_for(
    tmp_path: Path,
) -> None:
    trade = trade_settings(read_settings(make_home(tmp_path)))

    assert trade.contract_end.to_core() == EndSettings()


def test_the_scheduled_decision_knows_the_same_ends(tmp_path: Path) -> None:
    """What the trader is told of contracts that end binds the desk of the decision job as well."""
    listed = [{"instrument_id": "FUT.A", **FUTURE}, {"instrument_id": "FUT.B", **FUTURE}]
    named = {"FUT.A": {"last_trade_date": "20261218"}, "FUT.B": {"last_trade_date": "202703"}}
    end = {"warn_sessions": 9, "reduce_sessions": 3}
    settings = read_settings(
        make_home(tmp_path, instruments=listed, contracts=named, contract_end=end)
    )

    assert ends_of(settings) == KnownEnds(
        EndSettings(warn_sessions=9, reduce_sessions=3), {"FUT.A": "2026-12-18"}
    )
    assert ends_of(settings.model_copy(update={"trade": None})) == KnownEnds()


def test_the_example_holds() -> None:
    """config/paper.yaml is read, and its targets are where it says."""
    trade = read_settings(Path("config/paper.yaml")).trade
    assert trade is not None
    assert trade.engine.file.is_file()  # type: ignore[union-attr]  # of the kind that has a file


SPOILED = {
    "bars": ("bars.csv", "instrument_id,time\n", "must have the columns"),
    "zone": ("bars.csv", "instrument_id,time,close\nUS.ANT,2024-01-02T10:00:00,1\n", "its zone"),
    "stranger": ("bars.csv", "instrument_id,time,close\nUS.X,2024-01-02T10:00:00Z,1\n", "US.X"),
    "empty": ("bars.csv", "instrument_id,time,close\n", "must have bars between"),
    "targets": (
        "targets.yaml",
        "targets: [{at: 2024-01-02, weights: {US.ANT: 1}}]",
        "with its zone",
    ),
    "weight": (
        "targets.yaml",
        "targets: [{at: 2024-01-02T15:00:00Z, weights: {US.ANT: .nan}}]",
        "weight of US.ANT must be in [-10, 10], was nan",
    ),
    "limits": ("risk_limits.yaml", "gross_fraction_max: lots", "must be a number, was 'lots'"),
}


def test_only_known_instruments_may_be_named(tmp_path: Path) -> None:
    config = make_home(tmp_path, only=["US.BEE"])
    assert list(instruments_of(read_settings(config))) == ["US.BEE"]
    other = make_home(tmp_path / "other", only=["US.X"])
    with pytest.raises(
        SettingsError, match=r"trade.only must name known instruments, had \['US.X'"
    ):
        instruments_of(read_settings(other))


@pytest.mark.parametrize("case", list(SPOILED))
def test_a_file_that_does_not_hold_starts_no_trader(tmp_path: Path, case: str) -> None:
    """One line and exit code 1; no order and no log but what was there."""
    name, text, said = SPOILED[case]
    config = make_home(tmp_path)
    (tmp_path / name).write_text(text)

    result = CliRunner().invoke(app, ["trade", "--config", str(config)])

    told = " ".join(result.output.split())
    assert result.exit_code == 1
    assert said in told.replace("\n", " ")
    assert "Traceback" not in told
    write_targets(tmp_path, [])
