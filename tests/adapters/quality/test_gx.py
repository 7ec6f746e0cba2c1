"""The suites that people read: outcomes, pages, and that no page reaches for the network."""

import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from adapters.quality.expectations import table_expectations
from adapters.quality.gx import GreatExpectationsSuites
from features.schemas import TABLES
from features.validation import ValidationSettings
from tests.features.validation.make import check_bars, make_bars, set_cells

_REMOTE = re.compile(r"<(?:link|script|img)[^>]*(?:href|src)=[\"']https?://|url\(['\"]?https?://")


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> GreatExpectationsSuites:
    # Usage statistics must be off before the library is imported, as the settings do.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GX_ANALYTICS_ENABLED", "false")
        return GreatExpectationsSuites(tmp_path_factory.mktemp("quality"))


def test_sound_rows_meet_their_suite(suites: GreatExpectationsSuites) -> None:
    rows = make_bars()
    outcome = suites.run("bars", rows, check_bars(rows))
    assert outcome.success
    assert outcome.document_path.is_file()


def test_rows_with_nulls_and_inverted_ranges_do_not(suites: GreatExpectationsSuites) -> None:
    rows = set_cells(make_bars(), [3], close=None, high=1.0)
    outcome = suites.run("bars", rows)
    failed = {r["expectation"] for r in outcome.results if not r["success"]}
    assert not outcome.success
    assert "expect_column_values_to_not_be_null" in failed
    assert "expect_column_pair_values_a_to_be_greater_than_b" in failed


def test_a_report_that_blocks_fails_the_suite_of_its_rules(
    suites: GreatExpectationsSuites,
) -> None:
    rows = make_bars()
    late = rows["event_time"].max() + pl.Series([9 * 86_400_000_000]).cast(pl.Duration("us"))[0]
    stale = check_bars(rows, as_of=late, settings=ValidationSettings())
    assert stale.blocking
    assert not suites.run("bars", rows, stale).success


def test_a_missing_column_fails_and_does_not_raise(suites: GreatExpectationsSuites) -> None:
    assert not suites.run("bars", make_bars().drop("close")).success


def test_a_large_frame_is_sampled_and_an_empty_one_is_fine(
    suites: GreatExpectationsSuites,
) -> None:
    rows = make_bars()
    assert suites.run("bars", pl.concat([rows] * 40)).success
    assert suites.run("corporate_actions", TABLES["corporate_actions"].empty()).success


def test_the_data_docs_open_without_a_network(suites: GreatExpectationsSuites) -> None:
    outcome = suites.run("bars", make_bars())
    index = suites.build_docs()
    pages = list(index.parent.rglob("*.html"))
    assert len(pages) >= 3
    for page in pages:
        assert not _REMOTE.search(page.read_text(encoding="utf-8")), page
    assert outcome.document_path.relative_to(index.parent).as_posix() in index.read_text("utf-8")


def test_a_second_process_lists_the_runs_of_the_first(suites: GreatExpectationsSuites) -> None:
    suites.run("bars", make_bars())
    first = suites.build_docs().read_text(encoding="utf-8")
    again = GreatExpectationsSuites(suites.root).build_docs().read_text(encoding="utf-8")
    assert again == first


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_expectations_on_its_required_columns(table: str) -> None:
    named = {e.arguments.get("column") for e in table_expectations(table)}
    assert set(TABLES[table].required) <= named


def test_importing_the_module_does_not_import_great_expectations() -> None:
    code = "import sys, adapters.quality.gx; sys.exit('great_expectations' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
