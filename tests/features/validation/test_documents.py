"""What people read: the generated rule table, the summary frames, the markdown."""

from pathlib import Path

import polars as pl

from features.validation.rule_table import rule_table, with_rule_table
from features.validation.summary import findings_over_time, to_markdown
from tests.features.validation.make import check_bars, make_bars, set_cells

DOCUMENT = Path(__file__).parents[3] / "docs" / "validation.md"


def test_the_documented_rules_are_the_rules_that_run() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_rule_table(text) == text


def test_every_rule_is_one_whole_line() -> None:
    lines = rule_table().splitlines()[2:]
    assert len({line.split("|")[1] for line in lines}) == len(lines)
    assert all(line.count("|") == 6 for line in lines)


def test_findings_are_counted_by_period() -> None:
    report = check_bars(set_cells(make_bars(), [5, 100], close=None))
    frame = findings_over_time(report)
    nulls = frame.filter(kind="null")
    assert nulls["finding_count"].sum() == 2
    assert nulls["period"].n_unique() == 2


def test_the_markdown_tells_verdict_counts_and_an_example() -> None:
    text = to_markdown(check_bars(set_cells(make_bars(), [5], close=None)))
    assert "`bars` passes: 360 rows, 1 quarantined" in text
    assert "| null | quarantine | 1 | 1 | 1.00 | required columns must not be null" in text


def test_a_check_leaves_its_rows_as_they_were() -> None:
    rows = make_bars()
    before = rows.clone()
    check_bars(rows)
    assert rows.equals(before)
    assert isinstance(check_bars(rows).summary, pl.DataFrame)
