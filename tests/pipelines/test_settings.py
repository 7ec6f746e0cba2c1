"""Settings: a wrong one gives one line that says what must hold and what was given."""

from decimal import Decimal
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from pipelines.settings import (
    DEFAULT_CONFIG,
    Environment,
    SettingsError,
    choose_config,
    read_colony,
    read_risk_limits,
    read_settings,
    read_tiers,
    read_training,
    settings_for_files,
)
from pipelines.venue import read_trader_venue, read_venue
from swarm_core.commissions import IbTieredCommission
from swarm_core.currencies import FillConversion
from swarm_core.frictions.slippage import VolumeShareSlippage


def make_config(tmp_path: Path, **changes: object) -> Path:
    """Write the shipped configuration with some values changed."""
    content = yaml.safe_load(DEFAULT_CONFIG.read_text()) | changes
    path = tmp_path / "apiary.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_shipped_configuration_holds() -> None:
    settings = read_settings(DEFAULT_CONFIG)
    read_colony(settings)
    read_risk_limits(settings)
    read_training(settings)
    read_tiers(settings)


def test_limits_that_are_named_by_a_folder_are_never_the_shipped_ones(tmp_path: Path) -> None:
    for named in ("desk/risk_limits.yaml", str(tmp_path / "desk" / "risk_limits.yaml")):
        settings = read_settings(make_config(tmp_path, risk_limits=named))
        with pytest.raises(SettingsError, match=str(tmp_path / "desk" / "risk_limits.yaml")):
            read_risk_limits(settings)
    shipped = read_settings(make_config(tmp_path)).risk_limits
    assert shipped == DEFAULT_CONFIG.parent / "risk_limits.yaml"


def test_a_run_on_files_keeps_the_limits_of_its_desk(tmp_path: Path) -> None:
    (tmp_path / "risk_limits.yaml").write_text("messages_max: 7\n")
    (tmp_path / "rows").mkdir()
    written = settings_for_files(
        tmp_path / "rows", None, tmp_path / "home", base=make_config(tmp_path)
    )
    assert read_risk_limits(read_settings(written)).messages_max == 7


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"base_currency": "dollars"}, "base_currency"),
        ({"sources": []}, "sources"),
        ({"sources": [{"kind": "carrier_pigeon"}]}, "sources"),
        ({"book": {"starting_cash": -5}}, "starting_cash"),
        ({"surprise": 1}, "surprise"),
        ({"windows": {"history": {"start": "2020-01-01", "end": "2019-01-01"}}}, "windows"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(make_config(tmp_path, **changes))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("venue", "told"),
    [
        ({"fee": 1}, "book.venue: venue.fee must be one of commission"),
        ({"commission": {"model": "free"}}, "book.venue: commission.model must be one of bps"),
        ({"slippage": {"model": "ticks", "ticks": -1}}, "ticks must be in [0, 1000], was -1"),
    ],
)
def test_a_wrong_venue_is_told_in_one_line(
    tmp_path: Path, venue: dict[str, object], told: str
) -> None:
    settings = read_settings(make_config(tmp_path, book={"venue": venue}))
    with pytest.raises(SettingsError) as caught:
        read_venue(settings)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_fill_is_converted_by_scheduled_sessions_and_not_by_the_trader(
    tmp_path: Path,
) -> None:
    book = {"venue": {"conversion": {"model": "at_fill", "spread_bps": 5}}}
    settings = read_settings(make_config(tmp_path, book=book))
    assert read_venue(settings).conversion == FillConversion(spread_bps=Decimal(5))
    with pytest.raises(SettingsError, match="must be none or sweep for `apiary trade`") as caught:
        read_trader_venue(settings)
    assert "\n" not in str(caught.value)


def test_the_venue_of_the_example_holds(tmp_path: Path) -> None:
    """What the shipped file shows behind comment signs can be taken as it is."""
    lines = DEFAULT_CONFIG.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("  # venue:"))
    block = takewhile(lambda line: line.startswith("  #"), lines[first:])
    shown = [line.replace("  # ", "  ", 1) for line in block]
    book = yaml.safe_load("\n".join(shown))

    venue = read_venue(read_settings(make_config(tmp_path, book=book)))

    assert venue.commission == IbTieredCommission()
    assert venue.fills.slippage == VolumeShareSlippage()
    assert venue.price_limits is not None


def test_nothing_may_be_learned_from_what_is_decided(tmp_path: Path) -> None:
    windows = yaml.safe_load(DEFAULT_CONFIG.read_text())["windows"]
    windows["training"]["end"] = windows["decisions"]["end"]
    with pytest.raises(SettingsError, match=r"training\.end must not be after decisions\.start"):
        read_settings(make_config(tmp_path, windows=windows))


@pytest.mark.parametrize("text", ["", "- a list", "a: [unclosed"])
def test_what_is_no_configuration_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "apiary.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_settings(path)
    assert "\n" not in str(caught.value)


def test_a_configuration_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be a file that exists"):
        choose_config(tmp_path / "none.yaml")


def test_a_folder_becomes_a_configuration_without_dates(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = settings_for_files(tmp_path / "data", None, tmp_path / "home", base=None)
    settings = read_settings(path)
    assert settings.windows is None
    assert settings.home == (tmp_path / "home").resolve()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("default: {hot_days: -1}", "default.hot_days"),
        ("tables: {fills: {hot_days: 9, warm_days: 2}}", "warm_days must be at least hot_days (9)"),
        ("cold: {retention_days: 1}", "cold.retention_days"),
        ("colds: {}", "colds"),
    ],
)
def test_a_wrong_rule_of_the_tiers_is_named_in_one_line(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "tiers.yaml").write_text(text)
    settings = read_settings(make_config(tmp_path))

    with pytest.raises(SettingsError) as caught:
        read_tiers(settings)

    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_secrets_of_the_environment_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("REDIS_URL", "POSTGRES_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY", "FRED_API_KEY")
    for name in names:
        monkeypatch.setenv(f"APIARY_{name}", f"hidden-{name}")

    assert "hidden" not in repr(Environment())
