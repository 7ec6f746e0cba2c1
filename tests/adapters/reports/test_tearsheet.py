"""A tearsheet is one page that needs no network and says what is luck."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from adapters.reports.tearsheet import TearsheetPages

LABELS = ("gross 0.5", "gross <1.0>")


def _rows(label: str, seed: int, sessions: int = 300) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    first = datetime(2019, 1, 2, 21, tzinfo=UTC)
    return pl.DataFrame(
        {
            "label": label,
            "event_time": [first + timedelta(days=n) for n in range(sessions)],
            "net_return": rng.normal(0.0004, 0.01, sessions),
            "benchmark_return": rng.normal(0.0003, 0.01, sessions),
            "gross": 0.8,
            "turnover": np.abs(rng.normal(0, 0.1, sessions)),
        }
    )


def _parts() -> pl.DataFrame:
    names = ["momentum", "carry", "US.A", "US.B", "costs"]
    kinds = ["sense", "sense", "instrument", "instrument", "cost"]
    added = [0.02, -0.01, 0.03, -0.02, -0.004]
    return pl.DataFrame(
        {
            "label": LABELS[0],
            "event_time": _rows(LABELS[0], 0)["event_time"][0],
            "kind": kinds,
            "name": names,
            "contribution": added,
        }
    )


def write_sample(folder: Path, deflated: float | None = 0.4, active: float | None = None) -> Path:
    """Write a page over two points of a sweep."""
    rows = pl.concat([_rows(label, n) for n, label in enumerate(LABELS)])
    told = {"sharpe": 0.61, "deflated": deflated, "trials": 12, "annual_return": 0.081}
    told["deflated_active"] = active
    figures = {LABELS[0]: told, LABELS[1]: told | {"sharpe": None}}
    return TearsheetPages(folder).write("walk_forward", "Does it pay?", rows, _parts(), figures)


def test_the_page_holds_everything_inside(tmp_path: Path) -> None:
    """Plots, library and styles are in the file; nothing is fetched."""
    page = write_sample(tmp_path).read_text()
    assert "<script src=" not in page
    assert '<link rel="stylesheet"' not in page
    for told in (
        "Equity after costs",
        "Drawdown",
        "Months of",
        "What each sense added to",
        "8.1%",
    ):
        assert told in page


@pytest.mark.parametrize(
    ("deflated", "told"), [(0.4, "this may be luck"), (None, "this may be luck"), (0.99, "more")]
)
def test_the_page_says_what_is_luck(tmp_path: Path, deflated: float | None, told: str) -> None:
    """The sentence at the head names the number of trials and what is left after them."""
    page = write_sample(tmp_path, deflated).read_text()
    assert told in page
    assert "after 12 trials on record" in page


@pytest.mark.parametrize(
    ("active", "told"),
    [(0.4, "is 40.0%: this may be luck"), (0.99, "is 99.0%: more than luck"), (None, "not known")],
)
def test_the_page_says_what_is_left_beside_the_benchmark(
    tmp_path: Path, active: float | None, told: str
) -> None:
    """Zero and the benchmark have a line each: a book that only follows a market is told apart."""
    page = write_sample(tmp_path, 0.97, active).read_text()
    assert "Against zero: the chance of a true ratio above zero is 97.0%: more than luck." in page
    line = next(line for line in page.splitlines() if "Against the benchmark" in line)
    assert told in line
    assert ("skill" in line) is (active == 0.99)


def test_a_page_is_known_again_by_what_it_was_made_from(tmp_path: Path) -> None:
    """Only the same page of the same things is found; a changed one must be written anew."""
    pages = TearsheetPages(tmp_path)
    assert pages.find("walk", "abc") is None
    path = pages.write("walk", "", _rows("a", 0), _parts(), {"a": {"deflated": 0.5}}, "abc")
    assert pages.find("walk", "abc") == path
    assert pages.find("walk", "abd") is None


def test_what_people_wrote_is_shown_and_not_run(tmp_path: Path) -> None:
    """A label with brackets stands in the page as text."""
    page = write_sample(tmp_path).read_text()
    assert "<th>gross &lt;1.0&gt;</th>" in page


@pytest.mark.parametrize("count", [1, 4, 5, 30])
def test_a_few_points_are_columns_and_many_are_lines(count: int, tmp_path: Path) -> None:
    """On a narrow screen, where the heads fall away, each cell names its own figure or point."""
    labels = [f"point {n}" for n in range(count)]
    figures = {label: {"sharpe": float(n), "trials": n} for n, label in enumerate(labels)}
    rows = pl.concat([_rows(label, n) for n, label in enumerate(labels)])
    page = TearsheetPages(tmp_path).write("walk", "", rows, _parts(), figures).read_text()
    heads = re.findall(r"<th>([^<]*)</th>", page)
    lines = {
        re.findall(r"<tr><td>([^<]*)</td>", line)[0]: (
            re.findall(r'data-name="([^"]*)"', line),
            re.findall(r'data-name="[^"]*">([^<]*)<', line),
        )
        for line in re.findall(r"<tr><td>.*</tr>", page)
    }
    if count < 5:
        assert heads == ["", *labels]
        assert lines["trials"] == (labels, [str(n) for n in range(count)])
        assert list(lines) == ["sharpe", "trials"]
    else:
        assert heads == ["", "sharpe", "trials"]
        assert lines["point 3"] == (["sharpe", "trials"], ["3", "3"])
        assert list(lines) == labels
    assert "@media (max-width: 640px)" in page


def test_nothing_is_left_beside_the_page(tmp_path: Path) -> None:
    """The page is written in one step."""
    write_sample(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["walk_forward.html"]
