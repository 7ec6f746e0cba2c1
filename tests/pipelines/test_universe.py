"""A desk decides on a part of its market: the refusal names the way, and the chain goes it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adapters.sources.opening import open_folder
from pipelines.chain import find_windows
from pipelines.chosen_market import with_market
from pipelines.desk import build_desk
from pipelines.desk_settings import Universe as UniverseSettings
from pipelines.market import settle_market
from pipelines.settings import ApiarySettings, SettingsError, read_settings, settings_for_files
from pipelines.universe import UNIVERSE_FILE, find_universe
from tests.pipelines.homes import Home, open_home
from tests.pipelines.market_files import NAMES, market_rows, write_market

pytestmark = pytest.mark.xdist_group("universe")
NOW = datetime(2020, 4, 1, tzinfo=UTC)
MOST = 3
LIQUID = tuple(f"US.{name}" for name in NAMES[:MOST])


def _rows() -> pl.DataFrame:
    """The first three names trade ten times as much as the others."""
    more = pl.when(pl.col("symbol").is_in(NAMES[:MOST])).then(10).otherwise(1)
    return market_rows().with_columns(volume=pl.col("volume") * more)


def _settled(tmp_path: Path, **universe: Any) -> tuple[ApiarySettings, Any]:
    mapping = write_market(tmp_path / "data", _rows())
    config = settings_for_files(tmp_path / "data", str(mapping), tmp_path / "home", base=None)
    source = open_folder(tmp_path / "data", str(mapping))
    given = read_settings(config)
    chosen = UniverseSettings(**universe) if universe else None
    settings = with_market(given, settle_market(given, source))
    return settings.model_copy(update={"universe": chosen}), source


def test_a_market_that_is_too_large_is_refused_with_the_option_that_takes_a_part(
    tmp_path: Path,
) -> None:
    settings, source = _settled(tmp_path)
    colony = tmp_path / "colony.yaml"
    colony.write_text(f"instruments_max: {MOST}\n")
    small = settings.model_copy(update={"colony": colony})
    with pytest.raises(SettingsError, match=r"at least the 8 .* --most-liquid 3 .*most_liquid: 3"):
        find_windows(small, source, NOW)
    part = small.model_copy(update={"universe": UniverseSettings(most_liquid=MOST)})
    find_windows(part, source, NOW)
    assert build_desk(part).universe == find_universe(part)


def test_what_was_chosen_stays_and_another_rule_is_refused(tmp_path: Path) -> None:
    """A name that left could still be held, and nothing would decide on it."""
    settings, source = _settled(tmp_path, most_liquid=MOST)
    with pytest.raises(SettingsError, match="read off the data by `apiary run` first"):
        find_universe(settings)
    find_windows(settings, source, NOW)
    written = (settings.home / UNIVERSE_FILE).read_text()
    swapped = _rows().with_columns(volume=1e9 / pl.col("volume"))
    write_market(tmp_path / "data", swapped)
    find_windows(settings, source, NOW)
    assert (settings.home / UNIVERSE_FILE).read_text() == written
    other = settings.model_copy(update={"universe": UniverseSettings(most_liquid=4)})
    with pytest.raises(SettingsError, match=r"must stay 3 in .* was 4: take another home"):
        find_windows(other, source, NOW)


def test_a_list_is_taken_at_its_word_and_a_name_without_bars_refused(tmp_path: Path) -> None:
    settings, source = _settled(tmp_path, instruments=("US.BEE", "US.ANT"))
    find_windows(settings, source, NOW)
    universe = find_universe(settings)
    assert universe is not None
    assert universe.newest == ("US.ANT", "US.BEE")
    wrong = settings.model_copy(update={"universe": UniverseSettings(instruments=("US.NIX",))})
    with pytest.raises(SettingsError, match=r"must have bars .*, US\.NIX has none"):
        find_windows(wrong, source, NOW)


@pytest.mark.parametrize("given", [{}, {"most_liquid": 2, "instruments": ["US.A"]}])
def test_a_universe_is_one_of_both(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either most_liquid or instruments"):
        UniverseSettings(**given)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home after one run of the whole chain on the most liquid of its market."""
    path = tmp_path_factory.mktemp("universe")
    mapping = write_market(path / "data", _rows())
    with (
        pytest.MonkeyPatch.context() as patch,
        open_home(path, path / "data", mapping, patch, most_liquid=MOST) as home,
    ):
        home.chain.whole(home.windows)
        yield home


def test_features_forecasts_and_decisions_are_of_the_universe_alone(traded: Home) -> None:
    """All of the market is ingested and validated; what is decided on is the part."""
    tables: Any = traded.workshop.get("tables")
    assert tables.read("clean_bars")["instrument_id"].n_unique() == len(NAMES)
    begins = datetime.combine(traded.windows.decisions.start, datetime.min.time(), tzinfo=UTC)
    for table in ("features", "forecasts"):
        rows = tables.read(table)
        assert set(rows.filter(pl.col("event_time") >= begins)["instrument_id"]) == set(LIQUID)
        counts = rows.group_by("event_time").agg(pl.col("instrument_id").n_unique())
        assert counts["instrument_id"].max() == MOST
    assert rows["event_time"].min().date() > date(2016, 1, 31)


def test_an_order_is_explained_by_the_universe_that_it_is_of(traded: Home) -> None:
    """The choice stands once in the event log, before the first decision that it was made for."""
    events = [record.event for record in traded.workshop.event_log().read()]
    kinds = [type(event).__name__ for event in events]
    assert kinds.count("UniverseChosen") == 1
    assert kinds.index("UniverseChosen") < kinds.index("DecisionTaken")
    queries = traded.workshop.lineage()
    tree = queries.explain_order(queries.order_ids()[-1])
    decision = next(node for node in tree.children if node.kind == "decision")
    universe = next(node for node in decision.children if node.kind == "universe")
    assert f"the {MOST} most liquid" in universe.title
    rank, _, of = str(universe.facts["rank"]).partition(" of ")
    assert of == str(MOST)
    assert int(rank) <= MOST
    assert universe.facts["median_traded_value"] >= universe.facts["least_of_the_universe"] > 0
