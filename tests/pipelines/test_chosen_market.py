"""What a desk's first run reads off its data, and what every later process makes of it."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.opening import open_folder
from assets.partitions import ALL_TIME
from pipelines.chain import find_windows
from pipelines.chosen_market import find_market, with_market
from pipelines.market import settle_market
from pipelines.settings import ApiarySettings, SettingsError, read_settings, settings_for_files

MORNING = """
name: mornings
tables:
  - table: bars
    files: bars.csv
    time: {column: date, stands_for: session}
    knowledge: {lag: LAG}
    symbol: symbol
    instrument: {id: "US.{symbol}", calendar: XNYS}
    columns: {interval: {constant: 1d}, close: close, adjustment: {constant: raw}}
"""


def source_known_after(tmp_path: Path, lag: str) -> FileSource:
    """Return a folder whose bars are known so long after their close."""
    folder = tmp_path / "data"
    folder.mkdir()
    days = [f"2020-03-{day:02}" for day in (2, 3, 4, 5, 6, 9, 10)]
    pl.DataFrame({"date": days, "symbol": "A", "close": 10.0}).write_csv(folder / "bars.csv")
    mapping = tmp_path / "mornings.yaml"
    mapping.write_text(MORNING.replace("LAG", lag))
    return open_folder(folder, str(mapping))


def test_bars_of_the_next_morning_are_decided_on_in_the_morning(tmp_path: Path) -> None:
    source = source_known_after(tmp_path, "16h")
    given = read_settings(settings_for_files(tmp_path / "data", None, tmp_path / "home", base=None))
    chosen = settle_market(given, source)
    assert chosen is not None
    assert chosen.notes == ("decided 16.1 hours after the close: its bars are not known before",)
    later = with_market(given, find_market(given.home))
    assert later.decision_lag == timedelta(hours=16, minutes=5)
    assert given.decision_lag == timedelta(hours=2)


def test_bars_that_come_after_the_next_open_are_refused(tmp_path: Path) -> None:
    source = source_known_after(tmp_path, "30h")
    given = read_settings(settings_for_files(tmp_path / "data", None, tmp_path / "home", base=None))
    with pytest.raises(SettingsError, match=r"known within 18 hours .* many were known 30\.0"):
        settle_market(given, source)


def test_bars_of_which_none_can_be_read_are_told_with_the_reason(tmp_path: Path) -> None:
    """It said that there were bars "of nothing"."""
    source_known_after(tmp_path, "0s")
    bars = tmp_path / "data" / "bars.csv"
    bars.write_text(bars.read_text().replace("10.0", "ten"))
    source = open_folder(tmp_path / "data", str(tmp_path / "mornings.yaml"))
    given = read_settings(settings_for_files(tmp_path / "data", None, tmp_path / "home", base=None))
    with pytest.raises(
        SettingsError, match=r"can be read, of 7 none was, e\.g\. close .*'ten'.*\{"
    ):
        settle_market(given, source)


def test_a_wide_file_of_other_names_is_refused_and_read_by_the_mapping_that_the_page_shows(
    tmp_path: Path,
) -> None:
    folder, days = tmp_path / "data", ["2020-03-02", "2020-03-03", "2020-03-04"]
    folder.mkdir()
    prices = {"AAPL US Equity": [10.0, 11.0, 12.0], "ibm": [20.0, None, 21.0]}
    pl.DataFrame({"Date": days, **prices}).write_csv(folder / "prices.csv")
    given = read_settings(settings_for_files(folder, None, tmp_path / "home", base=None))
    page = re.search(r"only macro .*: (docs/\S+)#wide-files\)$", refused(given, folder))
    assert page is not None
    text = (Path(__file__).parents[2] / page.group(1)).read_text(encoding="utf-8")
    mapping = text.split("## Wide files", 1)[1].split("```yaml\n", 1)[1].split("```", 1)[0]
    (tmp_path / "wide.yaml").write_text(mapping)
    source = open_folder(folder, str(tmp_path / "wide.yaml"))
    bars = source.fetch("bars", *ALL_TIME)
    assert source.rejected("bars").is_empty()
    assert sorted(bars.select("instrument_id", "close").rows()) == [
        *(("US.AAPL US Equity", close) for close in (10.0, 11.0, 12.0)),
        *(("US.ibm", close) for close in (20.0, 21.0)),
    ]


def refused(given: ApiarySettings, folder: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        settle_market(given, open_folder(folder, None))
    return str(caught.value)


def test_bars_of_minutes_are_told_to_become_sessions(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    stamps = [f"2020-03-0{day}T{hour}:30:00Z" for day in (2, 3, 4) for hour in range(15, 20)]
    pl.DataFrame({"datetime": stamps, "close": 10.0}).write_csv(folder / "AAPL.csv")
    given = read_settings(settings_for_files(folder, None, tmp_path / "home", base=None))
    chosen = settle_market(given, open_folder(folder, None))
    assert chosen is not None
    assert chosen.notes == ("bars of 1h are drawn together to sessions, each decided once",)


def test_more_instruments_than_the_colony_has_room_for_are_refused_before_anything_runs(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    days = pl.date_range(date(2020, 3, 2), date(2020, 3, 6), "1d", eager=True)
    for name in ("AAPL", "IBM", "KO"):
        pl.DataFrame({"date": days, "close": 10.0}).write_csv(folder / f"{name}.csv")
    colony = tmp_path / "colony.yaml"
    colony.write_text("instruments_max: 2\n")
    given = read_settings(settings_for_files(folder, None, tmp_path / "home", base=None))
    source = open_folder(folder, None)
    chosen = settle_market(given, source)
    settings = with_market(given, chosen).model_copy(update={"colony": colony})
    with pytest.raises(SettingsError, match=r"colony\.yaml must be at least the 3 instruments"):
        find_windows(settings, source, datetime(2020, 4, 1, tzinfo=UTC))


def test_a_market_that_was_damaged_on_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "market.json").write_text('{"calendar": "XNYS", ')

    with pytest.raises(SettingsError, match=r"market\.json must be what `apiary run` wrote"):
        find_market(tmp_path)
