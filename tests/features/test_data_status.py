"""Whether orders may leave: what was not checked is not traded, and what is withheld from when."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from features.data_status import DATA_STATUS, Release, may_release

BAD_FROM = datetime(2018, 1, 17, 21, tzinfo=UTC)
MONTH = "2018-01-01"


def status(**values: object) -> pl.DataFrame:
    row: dict[str, object] = {
        "table": "bars",
        "partition": MONTH,
        "event_time": datetime(2018, 1, 1, tzinfo=UTC),
        "knowledge_time": BAD_FROM,
        "passed": True,
        **values,
    }
    return DATA_STATUS.conform(pl.DataFrame([row]))


@pytest.mark.parametrize(
    ("hours", "withheld"), [(-24, set()), (-24 * 300, set()), (0, {"US.A"}), (24, {"US.A"})]
)
def test_an_instrument_is_withheld_from_its_first_bad_record_on(
    hours: int, withheld: set[str]
) -> None:
    """A backfill of the sessions before it knows no more than a desk did then."""
    told = status(withheld="US.A", withheld_since=BAD_FROM.isoformat())
    moment = BAD_FROM + timedelta(hours=hours)
    assert may_release(told, ["bars"], MONTH, moment) == Release(True, "", frozenset(withheld))


def test_an_outcome_of_an_older_release_withholds_at_all_moments() -> None:
    moment = BAD_FROM - timedelta(days=9)
    found = may_release(status(withheld="US.A,US.B"), ["bars"], MONTH, moment)
    assert found.withheld == {"US.A", "US.B"}


def test_what_was_not_checked_or_failed_is_not_traded() -> None:
    missing = may_release(status(), ["bars", "macro"], MONTH, BAD_FROM)
    failed = may_release(status(passed=False, reasons="gaps"), ["bars"], MONTH, BAD_FROM)
    assert (missing.passed, missing.reason) == (False, f"macro of {MONTH} was not checked")
    assert (failed.passed, failed.reason) == (False, f"bars of {MONTH} failed: gaps")
