"""What stops everything: trouble that is shared; one instrument alone is put aside."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from features.schemas import BARS
from features.validation.blocking import blocking_reasons, withheld
from features.validation.context import CheckContext
from features.validation.findings import FINDINGS

START = datetime(2021, 3, 1, 21, tzinfo=UTC)
DAYS = 40


def make_rows(names: int) -> pl.DataFrame:
    """Return DAYS daily bars of each of the names, one instrument after the other."""
    return BARS.conform(
        pl.DataFrame(
            [
                {
                    "instrument_id": f"N{n}",
                    "interval": "1d",
                    "event_time": START + timedelta(days=d),
                    "knowledge_time": START + timedelta(days=d),
                    "close": 1.0,
                    "source": "s",
                }
                for n in range(names)
                for d in range(DAYS)
            ]
        )
    )


def make_findings(rows: pl.DataFrame, stopped: list[int]) -> pl.DataFrame:
    hits = rows.with_row_index("row_index").filter(pl.col("row_index").is_in(stopped))
    made = hits.with_columns(
        table=pl.lit("bars"),
        rule=pl.lit("jumps"),
        kind=pl.lit("unadjusted_split"),
        confidence=pl.lit(0.9),
        severity=pl.lit("quarantine"),
        reason=pl.lit("a ratio of 4"),
    )
    return made.select(pl.col(c).cast(t) for c, t in FINDINGS.items())


def reasons(rows: pl.DataFrame, stopped: list[int]) -> tuple[str, ...]:
    context = CheckContext(as_of=START + timedelta(days=DAYS))
    return blocking_reasons("bars", rows, make_findings(rows, stopped), context)


def test_one_instrument_that_is_bad_throughout_stops_no_other() -> None:
    assert reasons(make_rows(6), list(range(DAYS))) == ()


def test_two_instruments_that_are_bad_throughout_stop_everything_and_say_what_for() -> None:
    found = reasons(make_rows(6), list(range(2 * DAYS)))
    assert len(found) == 2  # all rows, and the newest day's
    assert "33.3% were (80 of 240: unadjusted_split 80; e.g. a ratio of 4)" in found[0]


@pytest.mark.parametrize("names", [1, 2, 3])
def test_of_few_instruments_one_is_too_much(names: int) -> None:
    assert reasons(make_rows(names), list(range(DAYS)))


def test_a_newest_day_that_is_bad_everywhere_stops_everything() -> None:
    newest = [DAYS * (n + 1) - 1 for n in range(6)]
    found = reasons(make_rows(6), newest)
    assert any("newest rows" in reason for reason in found)


def test_rows_that_a_later_version_replaces_stop_nothing() -> None:
    """A vendor sent the newest day in a wrong unit, and sent it again: the repair is traded on."""
    rows = make_rows(6)
    newest = rows.filter(pl.col("event_time") == rows["event_time"].max())
    repair = newest.with_columns(pl.col("knowledge_time").dt.offset_by("1h"))
    bad = rows.with_row_index().filter(pl.col("event_time") == newest["event_time"][0])["index"]
    assert len(reasons(rows, bad.to_list())) == 1
    both = pl.concat([rows, repair])
    assert reasons(both, bad.to_list()) == ()
    assert withheld("bars", both, make_findings(both, bad.to_list())) == {}
    still = make_findings(both, [*bad.to_list(), rows.height])
    assert withheld("bars", both, still) == {"N0": rows["event_time"].max()}


def test_an_instrument_is_withheld_from_its_first_bad_record_since_the_last_good_one() -> None:
    """What was put aside before that is the past: a backfill of those sessions trades it."""
    rows = make_rows(6)
    of_first = rows.with_row_index().filter(pl.col("instrument_id") == "N0").sort("event_time")
    index, times = of_first["index"].to_list(), of_first["event_time"].to_list()
    bad = [index[2], index[3], index[-3], index[-2], index[-1]]
    assert withheld("bars", rows, make_findings(rows, bad)) == {"N0": times[-3]}
    assert withheld("bars", rows, make_findings(rows, index)) == {"N0": times[0]}
    assert withheld("bars", rows, make_findings(rows, bad[:-1])) == {}
