"""The HTML report: one file that holds what the run did, and says so where it did nothing."""

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from plotly.offline import get_plotlyjs

from adapters.reports.data import ReportData
from adapters.reports.html import render_report, text, tiles, trades
from tests.adapters.reports.sample_run import make_run

NOW = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    return render_report(make_run(sessions=60), path).read_text(encoding="utf-8")


def without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def charts_drawn(page: str) -> int:
    return page.count("Plotly.newPlot(") - get_plotlyjs().count("Plotly.newPlot(")


def test_the_page_needs_no_network(page: str) -> None:
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", page)
    assert not re.findall(r"@import|url\(http", without_scripts(page))


def test_the_library_is_inlined_once(page: str) -> None:
    assert page.count("plotly.js v") == 1


def test_every_chart_is_drawn(page: str) -> None:
    assert charts_drawn(page) == 9
    assert "no rows yet" not in page


def test_tables_and_lineage_are_there(page: str) -> None:
    body = without_scripts(page)
    for words in ("STALE_QUOTE", "unadjusted_split", "lgbm_rank", "quorum of 3.1 senses"):
        assert words in body


def test_a_run_that_did_nothing_gives_a_page_that_says_so(tmp_path: Path) -> None:
    path = render_report(ReportData(generated_at=NOW), tmp_path / "empty.html")

    page = path.read_text(encoding="utf-8")
    assert page.count("no rows yet") == 9
    assert charts_drawn(page) == 0


def test_a_first_session_alone_is_drawn(tmp_path: Path) -> None:
    path = render_report(make_run(sessions=1), tmp_path / "first.html")

    assert "no rows yet" not in path.read_text(encoding="utf-8")


def test_text_from_data_cannot_become_markup(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    data = ReportData(generated_at=NOW, title=bad, facts={bad: bad})

    page = render_report(data, tmp_path / "bad.html").read_text(encoding="utf-8")

    assert bad not in page


def test_the_same_run_gives_the_same_figures_twice(tmp_path: Path) -> None:
    pages = [
        render_report(make_run(20), tmp_path / n).read_text(encoding="utf-8")
        for n in ("a.html", "b.html")
    ]
    unnamed = [re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "", p) for p in pages]

    assert unnamed[0] == unnamed[1]


def test_tiles_count_what_the_tables_hold() -> None:
    shown = {t.name: t for t in tiles(make_run(sessions=60))}

    assert shown["Orders"].value == "30"
    assert shown["Orders"].note == "3 denied by the gate"
    assert shown["Fills"].value == "27"
    assert shown["Quarantined"].value == "40"


def test_tiles_of_an_empty_run_claim_nothing() -> None:
    shown = {t.name: t.value for t in tiles(ReportData(generated_at=NOW))}

    assert {shown[n] for n in ("NAV", "Return", "Sharpe ratio", "Model IC")} == {"–"}


def test_the_newest_orders_come_first_with_their_fills() -> None:
    grid = trades(make_run(sessions=60))

    sessions = [row[0] for row in grid.rows]
    assert sessions == sorted(sessions, reverse=True)
    denied = next(row for row in grid.rows if "denied" in row)
    assert denied[grid.columns.index("price")] == "–"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (float("nan"), "–"), (1234567, "1,234,567"), (True, "yes"), (0.25, "0.25")],
)
def test_values_are_written_for_people(value: object, shown: str) -> None:
    assert text(value) == shown


def test_rows_of_another_shape_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="nav must have the columns"):
        ReportData(generated_at=NOW, nav=pl.DataFrame({"session": [1]}))
    with pytest.raises(ValueError, match="model_ic must have"):
        ReportData(generated_at=NOW, model_ic=pl.DataFrame({"day": [1]}))
    with pytest.raises(ValueError, match="time zone"):
        ReportData(generated_at=datetime(2026, 1, 5))  # noqa: DTZ001 - the naive time is the case
